"""Reading pictures by place: files are opened when they are first read, in every process anew."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from threading import Lock
from typing import BinaryIO

OPEN_FILES = 64


class ShardFiles:
    """Keeps the shards that were read last open; safe with threads, forks and pickling."""

    def __init__(self, folder: Path, *, limit: int = OPEN_FILES) -> None:
        self.folder, self.limit = folder, limit
        self._reset()

    def _reset(self) -> None:
        self.process = os.getpid()
        self.lock = Lock()
        self.files: OrderedDict[str, BinaryIO] = OrderedDict()

    def __getstate__(self) -> dict[str, object]:
        return {"folder": self.folder, "limit": self.limit}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._reset()

    def read(self, name: str, offset: int, size: int) -> bytes:
        """Bytes of a file; fewer if it ends before.

        Raises:
            OSError: it cannot be opened or read.
        """
        if self.process != os.getpid():  # after a fork: the parent's files share one position
            self._reset()
        with self.lock:
            file = self.files.pop(name, None)
            if file is None:
                file = (self.folder / name).open("rb", buffering=0)
            self.files[name] = file
            if len(self.files) > self.limit:
                self.files.popitem(last=False)[1].close()
            file.seek(offset)
            return file.read(size)

    def __del__(self) -> None:
        if self.process == os.getpid():
            self.close()

    def close(self) -> None:
        """Close all files; reading opens them again."""
        with self.lock:
            for file in self.files.values():
                file.close()
            self.files.clear()
