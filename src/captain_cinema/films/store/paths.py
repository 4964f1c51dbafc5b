"""Where a dataset keeps what, and how a file gets there whole or not at all.

    DATASET/
      dataset.json                 format version and the settings of the newest build
      films/<film id>.json         one a finished film: its record, and the files that are its own; the last
                                   one written, so what no film names is a leftover of a killed run
      files/<path digest>.json     one a file that gave no film: duplicate, rejected, error
      index/<film id>-<generation>.parquet           keyframes, kept and dropped
      shards/<film id>-<generation>-00000.tar        JPEG and .json of kept ones (a WebDataset as it is)
      previews/<film id>-<generation>.tar            small JPEG of dropped ones and of whole frames
      clips/                       shots encoded again for training, if wanted
      cache/                       what can be made again: the joined index, latents, text embeddings
      .parts/                      what is being written

The generation is a digest of the content, so that a film that is done again never writes over what is read.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Literal

from captain_cinema.errors import CinemaError

FORMAT = 1
MAKER = "captain-cinema dataset"
MANIFEST = "dataset.json"

Room = Literal["films", "files", "index", "shards", "previews", "clips"]
ROOMS: tuple[Room, ...] = ("films", "files", "index", "shards", "previews", "clips")
PARTS = ".parts"
CACHE = "cache"


class DatasetError(CinemaError):
    """A dataset that is missing, damaged, not ours, or changed while it was read."""


def path_key(path: str) -> str:
    """The name under which a file without a film is kept: a digest of its path."""
    return hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def flush(path: Path) -> None:
    """Make sure that what was written survives a power cut.

    Raises:
        OSError: a file did not reach the disk. A folder cannot be flushed everywhere; that is no error.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        with suppress(OSError) if path.is_dir() else nullcontext():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Give a name to write to, and rename it to `path` once the block has ended well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        flush(part)
        os.replace(part, path)
        flush(path.parent)
    except BaseException:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise


def write_json(path: Path, value: object) -> None:
    """Replace a JSON file at once or not at all; names that are no UTF-8 come back as they were."""
    with written_aside(path) as part:
        part.write_text(json.dumps(value, indent=1) + "\n", "ascii")


def read_json(path: Path) -> dict[str, Any] | None:
    """A JSON object, or None when there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def file_digest(path: Path) -> str:
    """Sha256 of a file, in bounded memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_dataset(path: Path) -> dict[str, Any]:
    """The manifest of a dataset.

    Raises:
        DatasetError: the folder is missing, no dataset, or of a later version.
    """
    if not path.is_dir():
        raise DatasetError(
            f"there is no dataset in {path}; make one with `cinema dataset build FILMS -o {path}`"
        )
    manifest = read_json(path / MANIFEST)
    if manifest is None or manifest.get("maker") != MAKER:
        raise DatasetError(
            f"{path} is no dataset (it has no sound {MANIFEST});"
            " name a folder that `cinema dataset build` made"
        )
    if manifest.get("format") != FORMAT:
        raise DatasetError(
            f"the dataset in {path} has format {manifest.get('format')!r}, this version reads {FORMAT};"
            " build it again, or install the version that made it"
        )
    return manifest
