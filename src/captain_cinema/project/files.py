"""Finished files (design section 7): written beside, flushed, renamed; a record beside each says what made
it.

A picture or clip `003.png` has its record in `003.json`, which holds the picture's sha256. Four states
follow:

- the record's hash is the file's: finished;
- the file is sound but another: the user put it there by hand, and it is kept;
- the file cannot be decoded: damaged, made again;
- a kill came between the two renames: the record still waits as `.003.json.part`, and the next run ends the
  job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Record = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is on disk of one picture or clip."""

    path: Path
    sha256: str = ""
    """Of the file as it is now; empty when there is none."""
    record: Record | None = None
    """The record beside it, if there is one that can be read, whatever file it tells of."""
    spoilt_record: bool = False
    """There is a record, but it cannot be read."""

    @property
    def exists(self) -> bool:
        """Whether there is a file."""
        return bool(self.sha256)

    @property
    def finished(self) -> bool:
        """Whether the record tells of this very file."""
        return self.exists and self.record is not None and self.record.get("sha256") == self.sha256


def sha256_text(text: str) -> str:
    """Hex digest of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def part_of(path: Path) -> Path:
    """Where a file is written before it is whole; in the same folder, so that the rename is atomic."""
    return path.with_name(f".{path.name}.part")


def record_of(media: Path) -> Path:
    """Where the record of a picture or clip stands."""
    return media.with_suffix(".json")


def flush(path: Path) -> None:
    """Make sure that what was written survives a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give the name to write to, and rename it to `path` once the block has ended well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        yield part
        flush(part)
        os.replace(part, path)
        flush(path.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace a text file at once or not at all."""
    with written_beside(path) as part:
        part.write_text(text, "utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file at once or not at all."""
    with written_beside(path) as part:
        part.write_bytes(json_bytes(value))


def json_bytes(value: object) -> bytes:
    """JSON that people can read. File names may hold bytes that are no UTF-8; they come back as they were."""
    text = json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    return text.encode("utf-8", "backslashreplace")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is none that can be read."""
    try:
        value = json.loads(path.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def publish(media: Path, write: Callable[[Path], object], record: Record) -> Record:
    """Write a picture or clip and its record; afterwards both are there, or what was there before.

    The record goes to its waiting place before the file is renamed: killed between the two renames,
    :func:`recover` finds a whole file and a waiting record that knows it.
    """
    media.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(media)
    waiting = part_of(record_of(media))
    try:
        write(part)
        flush(part)
        whole = {"file": media.name, "sha256": sha256_file(part), "bytes": part.stat().st_size, **record}
        waiting.write_bytes(json_bytes(whole))
        flush(waiting)
    except BaseException:
        for leftover in (part, waiting):
            with suppress(OSError):
                leftover.unlink(missing_ok=True)
        raise
    os.replace(part, media)
    os.replace(waiting, record_of(media))
    flush(media.parent)
    return whole


def recover(folder: Path) -> None:
    """End what a kill interrupted: rename waiting records whose file is in place, remove unfinished parts."""
    for waiting in sorted(folder.glob(".*.json.part")):
        record = read_json(waiting)
        media = folder / Path(str((record or {}).get("file", ""))).name
        if record and media.is_file() and record.get("sha256") == sha256_file(media):
            os.replace(waiting, record_of(media))
    for leftover in folder.glob(".*.part"):
        leftover.unlink(missing_ok=True)


def look(media: Path) -> Finding:
    """What is on disk of one picture or clip; changes nothing."""
    try:
        digest = sha256_file(media)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return Finding(path=media, record=read_json(record_of(media)))
    waiting = read_json(part_of(record_of(media)))
    if waiting and waiting.get("sha256") == digest:
        return Finding(path=media, sha256=digest, record=waiting)
    record = read_json(record_of(media))
    spoilt = record is None and record_of(media).exists()
    return Finding(path=media, sha256=digest, record=record, spoilt_record=spoilt)


def keep_take(media: Path, takes: Path) -> Path | None:
    """Put a copy of a file, finished or not, and of its record into the takes before another replaces it."""
    if not media.is_file() or media.stat().st_size == 0:
        return None
    kept = takes / f"{media.stem}-{sha256_file(media)[:8]}{media.suffix}"
    for source, target in ((record_of(media), record_of(kept)), (media, kept)):
        if source.is_file() and not target.exists():
            with written_beside(target) as part:
                part.write_bytes(source.read_bytes())
    return kept
