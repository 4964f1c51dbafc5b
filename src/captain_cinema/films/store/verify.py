"""Is everything there, whole, and as the index says? And what would mend it?

Files are read once, in bounded memory: their hashes are held against the films' records, the members of
every shard against the index.
"""

from __future__ import annotations

import hashlib
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from captain_cinema.films.records import FilmRecord
from captain_cinema.films.store.index import ROWS, dataset_state, read_index
from captain_cinema.films.store.paths import CACHE, DatasetError, check_dataset, read_json
from captain_cinema.films.store.records import film_of, keyframe_key
from captain_cinema.films.store.tar import members
from captain_cinema.films.store.writer import StoredFilm, stored_film, unnamed_files

ProblemKind = Literal["record", "missing", "damaged", "index", "name", "unknown"]

AGAIN = "run the same `cinema dataset build` again: it redoes that film alone"
LEFTOVER = "a leftover of a build that was stopped; the next `cinema dataset build` removes it"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something that is not as it should be."""

    kind: ProblemKind
    path: str
    """Relative to the dataset."""
    message: str
    mend: str
    film: str = ""
    """Id of the film that it concerns."""


def verify(path: Path, *, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
    """Look at all that a dataset holds.

    Args:
        path: the dataset's folder.
        progress: told of films done and all of them.

    Returns:
        What is wrong, film by film; nothing if all is well.

    Raises:
        DatasetError: no dataset.
    """
    check_dataset(path)
    problems: list[Problem] = []
    records = sorted((path / "films").glob("*.json"))
    for done, record in enumerate(records, start=1):
        problems += _check_film(path, record)
        if progress is not None:
            progress(done, len(records))
    for file in sorted((path / "files").glob("*.json")):
        problems += _check_file(path, file)
    known = {record.stem for record in records}
    for name in unnamed_files(path):
        film = Path(name).name.partition("-")[0]
        message = "belongs to no film" if film not in known else "is of an earlier version of its film"
        problems.append(Problem(kind="unknown", path=name, message=message, mend=LEFTOVER, film=film))
    problems += _check_joined(path)
    return problems


def _check_joined(path: Path) -> Iterator[Problem]:
    """The joined index can be made again, so only one that would be believed counts."""
    from captain_cinema.films.store.reader import Dataset

    if not (path / CACHE / ROWS).exists():
        return
    try:
        dataset = Dataset(path)
        state, rows = dataset.state, len(dataset.table)
        dataset.close()
    except DatasetError:
        return  # said already, of the film that it is
    expected = sum(_rows(path, record) for record in (path / "films").glob("*.json"))
    if state == dataset_state(path) and rows != expected:
        yield Problem(
            kind="index",
            path=f"{CACHE}/{ROWS}",
            message=f"holds {rows} keyframes, the films' own indices {expected}",
            mend="delete it; it is made again when the dataset is opened",
        )


def _rows(path: Path, record: Path) -> int:
    value = (read_json(record) or {}).get("record", {})
    return int(value.get("kept", 0)) + int(value.get("dropped", 0))


def _check_file(path: Path, file: Path) -> Iterator[Problem]:
    try:
        film_of((read_json(file) or {})["record"])
    except (KeyError, TypeError, ValueError, AttributeError):
        yield Problem(
            kind="record",
            path=str(file.relative_to(path)),
            message="is damaged",
            mend="delete it and build again; the file that it tells of is looked at anew",
        )


def _check_film(path: Path, record: Path) -> Iterator[Problem]:
    relative = str(record.relative_to(path))
    film = record.stem
    delete = f"delete {relative}, then {AGAIN}"
    try:
        stored = stored_film(record)
    except DatasetError:
        yield Problem(kind="record", path=relative, message="is damaged", mend=delete, film=film)
        return
    whole: set[str] = set()
    for name, (size, digest) in stored.files.items():
        fault = _fault(path / name, size, digest)
        if fault:
            kind: ProblemKind = "missing" if fault == "is missing" else "damaged"
            # A build sees by itself what is missing or has another size; the same size needs a hint.
            mend = delete if fault == DAMAGED else AGAIN
            if kind == "damaged" and name.startswith("shards/"):
                fault += _spoilt(path, stored, name)
            yield Problem(kind=kind, path=name, message=fault, mend=mend, film=film)
        else:
            whole.add(name)
    if stored.index not in whole:
        return
    try:
        rows = read_index(path / stored.index).to_pylist()
    except DatasetError as error:
        yield Problem(kind="index", path=stored.index, message=str(error), mend=delete, film=film)
        return
    for message in _index_faults(stored.record, rows):
        yield Problem(kind="index", path=stored.index, message=message, mend=delete, film=film)
    for name in sorted(stored.files):
        if name.startswith("shards/") and name in whole:
            for kind, message in _shard_faults(path, name, rows):
                yield Problem(kind=kind, path=name, message=message, mend=delete, film=film)
    missing = {row["file"] for row in rows if row["file"]} - stored.files.keys()
    for name in sorted(missing):
        message = "is named by the index but not by the film's record"
        yield Problem(kind="index", path=name, message=message, mend=delete, film=film)


DAMAGED = "is damaged: its bytes are not those that were written"


def _fault(path: Path, size: int, digest: str) -> str:
    try:
        found = path.stat().st_size
        if found != size:
            return f"has {found} bytes instead of {size}"
        with path.open("rb") as file:
            same = hashlib.file_digest(file, "sha256").hexdigest() == digest
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if same else DAMAGED


def _spoilt(path: Path, stored: StoredFilm, name: str) -> str:
    """How many pictures of a damaged shard are spoilt, and which comes first."""
    try:
        rows = [row for row in read_index(path / stored.index).to_pylist() if row["file"] == name]
        with (path / name).open("rb") as file:
            spoilt = [row["key"] for row in rows if not _is_sound(file, row)]
    except (DatasetError, OSError):
        return ""
    if not spoilt:
        return f"; its {len(rows)} pictures are sound"
    return f"; {len(spoilt)} of its {len(rows)} pictures are spoilt, {spoilt[0]} is the first"


def _is_sound(file: Any, row: dict[str, Any]) -> bool:
    file.seek(row["offset"])
    data = file.read(row["size"])
    return hashlib.sha256(data).hexdigest()[:16] == row["digest"]


def _index_faults(record: FilmRecord, rows: list[dict[str, Any]]) -> Iterator[str]:
    foreign = {row["film"] for row in rows} - {record.id}
    if foreign:
        yield f"holds keyframes of another film ({', '.join(sorted(foreign))})"
    keys = Counter(row["key"] for row in rows)
    double = [key for key, count in keys.items() if count > 1]
    if double:
        yield f"holds {len(double)} keyframes twice, {double[0]} is the first"
    wrong = [row["key"] for row in rows if row["key"] != keyframe_key(row["film"], row["shot"], row["role"])]
    if wrong:
        yield f"names {len(wrong)} keyframes wrongly, {wrong[0]} is the first"
    kept = sum(row["verdict"] == "kept" for row in rows)
    if (kept, len(rows) - kept) != (record.kept, record.dropped):
        yield (
            f"holds {kept} kept and {len(rows) - kept} dropped keyframes, "
            f"the film's record says {record.kept} and {record.dropped}"
        )
    lost = [row["key"] for row in rows if (row["verdict"] == "kept") != bool(row["file"])]
    if lost:
        yield f"has no right place for {len(lost)} keyframes, {lost[0]} is the first"


def _shard_faults(path: Path, name: str, rows: list[dict[str, Any]]) -> Iterator[tuple[ProblemKind, str]]:
    """Whether index and shard say the same; the shard's bytes are known to be those that were written."""
    expected = {f"{row['key']}.jpg": row for row in rows if row["file"] == name}
    seen: Counter[str] = Counter()
    try:
        with (path / name).open("rb") as file:
            for member in members(path / name):
                seen[member.name] += 1
                if not member.name.endswith(".jpg"):
                    continue
                row = expected.get(member.name)
                if row is None:
                    yield "index", f"{member.name} is not in the index"
                elif (member.offset, member.size) != (row["offset"], row["size"]):
                    yield "index", f"{member.name} lies elsewhere than the index says"
                elif not _is_sound(file, row):
                    yield "index", f"{member.name} is another picture than the index says"
                elif not _is_picture(file, row):
                    yield "damaged", f"{member.name} is no picture of {row['width']}x{row['height']}"
    except (OSError, tarfile.TarError) as error:
        yield "damaged", f"is no sound tar ({error})"
        return
    double = [member for member, count in seen.items() if count > 1]
    if double:
        yield "name", f"holds {len(double)} names twice, {double[0]} is the first"
    lacking = expected.keys() - seen.keys()
    if lacking:
        yield "index", f"lacks {len(lacking)} pictures of the index, {min(lacking)} is the first"


def _is_picture(file: Any, row: dict[str, Any]) -> bool:
    """Whether the header says a JPEG of this size; a reduced decoding is enough for that."""
    file.seek(row["offset"])
    data = np.frombuffer(file.read(row["size"]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8) if len(data) else None
    if image is None:
        return False
    height, width = image.shape[:2]
    return (width, height) == (-(-row["width"] // 8), -(-row["height"] // 8))
