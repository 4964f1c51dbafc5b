"""What frozen models said, kept on disk: latents of frames and embeddings of captions are made once.

A cache belongs to one digest of weights. It is a row of safetensors files ("segments") that are written
aside and renamed, never changed and never needed: any of them may vanish. Several processes may share a
folder. When it holds more than its limit, the segments that were used longest ago go first.
"""

from __future__ import annotations

import hashlib
import logging
import os
import time
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

logger = logging.getLogger(__name__)

SEGMENT_BYTES = 16 << 20
FLUSH_SECONDS = 60.0
SUFFIX = ".safetensors"


def weights_digest(model: nn.Module, *also: object) -> str:
    """First 16 digits of the sha256 of a model's weights, by name, and of settings that matter as much."""
    digest = hashlib.sha256(repr(also).encode())
    for name, value in sorted(model.state_dict().items()):
        raw = value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(raw.tobytes())
    return digest.hexdigest()[:16]


class _Pending:
    """Tensors that wait to be written; apart from the cache, so that they can be written at its end."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit
        self.tensors: dict[str, Tensor] = {}
        self.bytes = 0
        self.since = time.monotonic()
        self.writable = True

    def flush(self) -> Path | None:
        """Write a segment; a disk that refuses costs speed, not the run."""
        tensors, self.tensors, self.bytes = self.tensors, {}, 0
        self.since = time.monotonic()
        if not tensors or not self.writable:
            return None
        name = hashlib.sha256("\n".join(sorted(tensors)).encode()).hexdigest()[:16]
        path = self.folder / f"{name}{SUFFIX}"
        part = path.with_name(f".{name}.{os.getpid()}.part")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            save_file(tensors, part)
            with part.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
            self.evict()
        except (OSError, SafetensorError) as error:
            self.writable = False
            logger.warning("nothing more is cached in %s: %s", self.folder, error)
            with suppress(OSError):
                part.unlink(missing_ok=True)
            return None
        return path

    def evict(self) -> None:
        """Remove the segments used longest ago until the rest is within the limit."""
        found: list[tuple[float, int, Path]] = []
        for path in self.folder.glob(f"*{SUFFIX}"):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime, status.st_size, path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.limit:
                break
            with suppress(OSError):
                path.unlink(missing_ok=True)
            total -= size


class TensorCache:
    """Tensors by name, on disk.

    Args:
        folder: of this kind and these weights; made when something is first written.
        limit: bytes on disk at most, give or take a segment.
        segment_bytes: what is written at once, and lost at most by a kill.
    """

    def __init__(self, folder: Path, *, limit: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self.limit, self.segment_bytes = folder, limit, segment_bytes
        self.segments: list[Any] = []
        self.paths: list[Path] = []
        self.used: set[int] = set()
        self.where: dict[str, int] = {}
        self.hits = self.misses = 0
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            self._open(path)
        self._leftovers()
        self.pending = _Pending(folder, limit)
        weakref.finalize(self, self.pending.flush)

    def _open(self, path: Path) -> None:
        try:
            segment = safe_open(path, framework="pt")
        except (OSError, SafetensorError):
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return
        for name in segment.keys():  # noqa: SIM118  # no mapping
            self.where[name] = len(self.segments)
        self.segments.append(segment)
        self.paths.append(path)

    def _leftovers(self) -> None:
        """Remove what killed runs were writing; a run of today may still be at it."""
        for part in self.folder.glob(".*.part"):
            with suppress(OSError):
                if time.time() - part.stat().st_mtime > 3600:
                    part.unlink()

    def __len__(self) -> int:
        return len(self.where) + len(self.pending.tensors)

    def get(self, name: str) -> Tensor | None:
        """The tensor of a name, if it was ever made."""
        waiting = self.pending.tensors.get(name)
        number = self.where.get(name)
        if waiting is None and number is None:
            self.misses += 1
            return None
        self.hits += 1
        if waiting is not None or number is None:
            return waiting
        if number not in self.used:
            self.used.add(number)
            with suppress(OSError):
                os.utime(self.paths[number])
        return self.segments[number].get_tensor(name)

    def put(self, name: str, tensor: Tensor) -> None:
        """Keep a tensor; it reaches the disk with the next segment."""
        kept = tensor.detach().cpu().contiguous().clone()
        self.pending.tensors[name] = kept
        self.pending.bytes += kept.nbytes
        late = time.monotonic() - self.pending.since > FLUSH_SECONDS
        if late or self.pending.bytes >= self.segment_bytes:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        path = self.pending.flush()
        if path is not None:
            self._open(path)
