"""Films into the dataset, each whole or not at all.

All of a film's files are written into a folder of its own under `.parts`, flushed, renamed into place, and
then named by `films/<film id>.json`, whose rename is the one moment at which the film is there. A kill
before it leaves files that no film names; `clean` removes them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from captain_cinema.films.records import FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.paths import (
    CACHE,
    FORMAT,
    MAKER,
    MANIFEST,
    PARTS,
    ROOMS,
    DatasetError,
    check_dataset,
    file_digest,
    flush,
    path_key,
    read_json,
    write_json,
)
from captain_cinema.films.store.pictures import EncodedPicture, encode_picture, jpeg_digest
from captain_cinema.films.store.records import (
    NOWHERE,
    Place,
    film_dict,
    film_of,
    keyframe_key,
    keyframe_row,
    rows_table,
    sort_key,
)
from captain_cinema.films.store.tar import ShardWriter, TarWriter

SHARD_BYTES = 256 << 20
"""A shard's size at most."""


def create_dataset(path: Path, settings: FilmSettings) -> None:
    """Make a folder a dataset, or check that it is one; remember the settings of this build.

    Raises:
        DatasetError: the folder holds something else.
    """
    if path.exists() and not path.is_dir():
        raise DatasetError(f"{path} is a file; name a new folder for the dataset")
    if path.is_dir() and any(path.iterdir()):
        check_dataset(path)
    for room in ROOMS:
        (path / room).mkdir(parents=True, exist_ok=True)
    manifest = {"maker": MAKER, "format": FORMAT, "settings": asdict(settings)}
    if read_json(path / MANIFEST) != json.loads(json.dumps(manifest)):
        write_json(path / MANIFEST, manifest)


@dataclass(frozen=True, kw_only=True)
class StoredFilm:
    """What `films/<film id>.json` says."""

    record: FilmRecord
    files: dict[str, tuple[int, str]]
    """Relative path -> bytes and sha256 of every file that is the film's."""

    @property
    def index(self) -> str:
        """The film's index."""
        return index_of(self.files)


def film_path(dataset: Path, film: str) -> Path:
    """Where a film's record stands."""
    return dataset / "films" / f"{film}.json"


def raw_film(path: Path) -> tuple[dict[str, Any], dict[str, tuple[int, str]]]:
    """A film's record as JSON holds it, and its files; quick, since most of a record is its cuts.

    Raises:
        DatasetError: it is missing or damaged.
    """
    value = read_json(path)
    try:
        if value is None:
            raise ValueError("no JSON object")
        record = dict(value["record"])
        files = {str(f["path"]): (int(f["bytes"]), str(f["sha256"])) for f in value["files"]}
        if record["id"] != path.stem or not isinstance(record["name"], str) or not index_of(files):
            raise ValueError("another film's")
    except (ValueError, KeyError, TypeError) as error:
        raise damaged_record(path) from error
    return record, files


def stored_film(path: Path) -> StoredFilm:
    """Read a film's record.

    Raises:
        DatasetError: it is missing or damaged.
    """
    record, files = raw_film(path)
    try:
        return StoredFilm(record=film_of(record), files=files)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_record(path) from error


def index_of(files: Iterable[str]) -> str:
    """The index among a film's files; empty if there is none."""
    return next((name for name in files if name.startswith("index/")), "")


def damaged_record(path: Path) -> DatasetError:
    """What to say of a record that cannot be read."""
    return DatasetError(
        f"the record {path} is missing or damaged; delete it and build again: that film alone is redone"
    )


def finished_film(dataset: Path, film: str) -> FilmRecord | None:
    """The record of a film that is done and whose files are all there, by name and size; None otherwise."""
    try:
        stored = stored_film(film_path(dataset, film))
        whole = all((dataset / name).stat().st_size == size for name, (size, _) in stored.files.items())
    except (DatasetError, OSError):
        return None
    return stored.record if whole else None


class FilmWriter:
    """Writes one film; used as a context manager it leaves nothing behind on an error.

    Args:
        dataset: the dataset's folder, made by `create_dataset`.
        film: the film's record as far as it is known; its id counts.
        settings: of the build.
        shard_bytes: a shard's size at most.
    """

    def __init__(
        self, dataset: Path, film: FilmRecord, settings: FilmSettings, *, shard_bytes: int = SHARD_BYTES
    ) -> None:
        if not film.id:
            raise ValueError(f"{film.name} has no id; a file without pictures goes to `put_file`")
        self.dataset, self.film, self.settings = dataset, film, settings
        (dataset / PARTS).mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{film.id}-", dir=dataset / PARTS))
        self.shards = ShardWriter(self.folder, limit=shard_bytes)
        self.previews: TarWriter | None = None
        self.entries: dict[str, tuple[KeyframeRecord, Place]] = {}

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abandon()

    def add(self, picture: Picture, record: KeyframeRecord) -> None:
        """Store a keyframe, or a small copy of a dropped one."""
        self.add_encoded(encode_picture(picture, quality=self.settings.quality), record)

    def add_encoded(self, picture: EncodedPicture, record: KeyframeRecord) -> None:
        """Store a keyframe that is encoded already.

        Raises:
            ValueError: it is another film's, or there already.
        """
        key = keyframe_key(record.film, record.shot, record.role)
        if record.film != self.film.id or key in self.entries:
            raise ValueError(f"keyframe {key} is another film's, or comes twice")
        record = replace(record, width=picture.width, height=picture.height)
        place = NOWHERE
        if record.verdict == "kept":
            digest = jpeg_digest(picture.jpeg)
            row = json.dumps(sample(record), sort_keys=True).encode()
            path, members = self.shards.add([(f"{key}.jpg", picture.jpeg), (f"{key}.json", row)])
            place = Place(file=path.name, offset=members[0].offset, size=members[0].size, digest=digest)
        else:
            self._preview(f"{key}.jpg", picture.small)
        if picture.whole:
            self._preview(f"{key}.whole.jpg", picture.whole)
        self.entries[key] = (record, place)

    def finish(self, record: FilmRecord) -> FilmRecord:
        """Make the film part of the dataset, in the place of what was there of it.

        Args:
            record: the film's; its counts of kept and dropped keyframes are filled in here.

        Returns:
            The record as it was written.
        """
        if record.id != self.film.id:
            raise ValueError(f"film {self.film.id} cannot end as {record.id}")
        self.shards.close()
        if self.previews is not None:
            self.previews.close()
        entries = sorted(self.entries.values(), key=lambda entry: sort_key(entry[0]))
        kept = sum(entry[0].verdict == "kept" for entry in entries)
        record = replace(record, kept=kept, dropped=len(entries) - kept)
        files = self._name_files(entries)
        listed = [
            {"path": name, "bytes": part.stat().st_size, "sha256": file_digest(part)}
            for name, part in files.items()
        ]
        for name, part in files.items():
            flush(part)
            (self.dataset / name).parent.mkdir(exist_ok=True)
            os.replace(part, self.dataset / name)
        for room in {Path(name).parent for name in files}:
            flush(self.dataset / room)
        self._commit(record, listed)
        self.abandon()
        return record

    def abandon(self) -> None:
        """Leave nothing of this try behind; what the dataset had of the film stays."""
        self.shards.discard()
        if self.previews is not None:
            self.previews.discard()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _preview(self, name: str, jpeg: bytes) -> None:
        if self.previews is None:
            self.previews = TarWriter(self.folder / "previews.tar")
        self.previews.add(name, jpeg)

    def _name_files(self, entries: Sequence[tuple[KeyframeRecord, Place]]) -> dict[str, Path]:
        """Name every file by the film and the digest of all content, and write the index with these names."""
        digest = hashlib.sha256()
        for record, place in entries:
            digest.update(json.dumps(keyframe_row(record, place), sort_keys=True).encode())
        parts = list(self.shards.paths)
        parts += [self.previews.path] if self.previews is not None else []
        for part in parts:
            digest.update(bytes.fromhex(file_digest(part)))
        stem = f"{self.film.id}-{digest.hexdigest()[:8]}"
        shards = {path.name: f"shards/{stem}-{path.name}" for path in self.shards.paths}
        rows = [
            keyframe_row(record, replace(place, file=shards.get(place.file, ""))) for record, place in entries
        ]
        index = self.folder / "index.parquet"
        pq.write_table(rows_table(rows), index, compression="zstd", write_statistics=False)
        named = {f"index/{stem}.parquet": index}
        named |= {shards[path.name]: path for path in self.shards.paths}
        if self.previews is not None:
            named[f"previews/{stem}.tar"] = self.previews.path
        return named

    def _commit(self, record: FilmRecord, listed: list[dict[str, Any]]) -> None:
        path = film_path(self.dataset, record.id)
        before = read_json(path) or {}
        forget_joined(self.dataset)
        write_json(path, {"format": FORMAT, "record": film_dict(record), "files": listed})
        new = {item["path"] for item in listed}
        old = {str(item.get("path", "")) for item in before.get("files", ()) if isinstance(item, dict)}
        for name in old - new:
            if Path(name).parent.name in ROOMS:
                (self.dataset / name).unlink(missing_ok=True)
        (self.dataset / "files" / f"{path_key(record.path)}.json").unlink(missing_ok=True)


def sample(record: KeyframeRecord) -> dict[str, Any]:
    """What lies beside a picture in a shard: its record."""
    return {"key": keyframe_key(record.film, record.shot, record.role), **asdict(record)}


def forget_joined(dataset: Path) -> None:
    """Drop the joined index, which is made again when the dataset is next opened."""
    for path in (dataset / CACHE).glob("index*.arrow"):
        with suppress(OSError):
            path.unlink(missing_ok=True)


def put_file(dataset: Path, record: FilmRecord) -> None:
    """Note a file that gave no film of its own: a duplicate, rejected, an error."""
    if record.verdict in ("ok", "partial"):
        raise ValueError(f"{record.name} is {record.verdict}; a film goes through FilmWriter")
    forget_joined(dataset)
    write_json(
        dataset / "files" / f"{path_key(record.path)}.json", {"format": FORMAT, "record": film_dict(record)}
    )


def remove_film(dataset: Path, film: str) -> None:
    """Take a film out of the dataset; its record goes first, so a kill leaves leftovers only."""
    path = film_path(dataset, film)
    value = read_json(path) or {}
    forget_joined(dataset)
    path.unlink(missing_ok=True)
    for item in value.get("files", ()):
        name = str(item.get("path", ""))
        if Path(name).parent.name in ROOMS:
            (dataset / name).unlink(missing_ok=True)


def clean(dataset: Path) -> list[str]:
    """Remove what a killed run left: parts, and files that no film names.

    Only one process may do it, with no writer at work.

    Returns:
        What was removed, relative to the dataset.
    """
    removed: list[str] = []
    for part in sorted((dataset / PARTS).glob("*")):
        shutil.rmtree(part, ignore_errors=True) if part.is_dir() else part.unlink(missing_ok=True)
        removed.append(str(part.relative_to(dataset)))
    for unknown in unnamed_files(dataset):
        (dataset / unknown).unlink(missing_ok=True)
        removed.append(unknown)
    return removed


def unnamed_files(dataset: Path) -> list[str]:
    """Files in the rooms that belong to no film: leftovers of a killed run.

    A film whose record is damaged keeps its files, so that nothing is lost to a single bad byte.
    """
    from captain_cinema.films.store.clips import unnamed_clips  # it reads what is written here

    named: set[str] = set()
    damaged: set[str] = set()
    for path in (dataset / "films").glob("*.json"):
        try:
            named.update(raw_film(path)[1])
        except DatasetError:
            damaged.add(path.stem)
    unknown: list[str] = []
    for room in ("index", "shards", "previews"):
        for path in sorted((dataset / room).glob("*")):
            name = f"{room}/{path.name}"
            if name not in named and path.name.partition("-")[0] not in damaged:
                unknown.append(name)
    unknown += unnamed_clips(dataset)
    unknown += [str(p.relative_to(dataset)) for room in ROOMS for p in (dataset / room).glob(".*.part")]
    return sorted(set(unknown))
