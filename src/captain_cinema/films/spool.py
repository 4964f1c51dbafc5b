"""Pictures and facts on their way into the dataset: a folder that is there whole or not at all.

One file holds all pictures, one an index of them, so that a film of two hours makes no thousands of files.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from captain_cinema.errors import CinemaError

PICTURES, INDEX = "pictures.bin", "index.json"
FORMAT = 1

Place = tuple[int, int]
"""Offset and size of a picture; (0, 0) if it is not there."""


class SpoolError(CinemaError):
    """A spool that is missing or damaged; what it held is made again."""


class SpoolWriter:
    """Writes a spool aside; used as a context manager it leaves nothing behind on an error."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.parent.mkdir(parents=True, exist_ok=True)
        self.part = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", suffix=".part", dir=folder.parent))
        self._size = 0
        self._pictures: BinaryIO = (self.part / PICTURES).open("xb")

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def put(self, picture: bytes) -> Place:
        """Store a picture."""
        if not picture:
            return 0, 0
        self._pictures.write(picture)
        place = (self._size, len(picture))
        self._size += len(picture)
        return place

    def get(self, place: Place) -> bytes:
        """A picture stored before, read again."""
        self._pictures.flush()
        return _read(self.part / PICTURES, place)

    def finish(self, index: dict[str, Any]) -> None:
        """Make the spool be there, in the place of one of the same name."""
        self._pictures.flush()
        os.fsync(self._pictures.fileno())
        self._pictures.close()
        with (self.part / INDEX).open("x", encoding="ascii") as file:
            # At once: piece by piece, Python's own slow encoder would do it.
            file.write(json.dumps({**index, "format": FORMAT, "bytes": self._size}))
            file.flush()
            os.fsync(file.fileno())
        shutil.rmtree(self.folder, ignore_errors=True)
        os.rename(self.part, self.folder)

    def abandon(self) -> None:
        """Leave nothing behind; does nothing to a spool that is finished."""
        self._pictures.close()
        shutil.rmtree(self.part, ignore_errors=True)


class Spool:
    """A finished spool.

    Raises:
        SpoolError: it is not there, or not whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self.index: dict[str, Any] = json.loads((folder / INDEX).read_bytes())
            whole = (folder / PICTURES).stat().st_size == self.index["bytes"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SpoolError(f"{folder} is missing or damaged; run the same command again") from error
        if not whole or self.index.get("format") != FORMAT:
            raise SpoolError(f"{folder} is not whole; run the same command again")

    def get(self, place: Place) -> bytes:
        """A picture."""
        return _read(self.folder / PICTURES, place)


def _read(path: Path, place: Place) -> bytes:
    offset, size = place
    with path.open("rb") as file:
        file.seek(offset)
        return file.read(size)
