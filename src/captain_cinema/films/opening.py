"""Opening a film file so that nothing of its name or content is ever interpreted.

A film is opened by its descriptor, FFmpeg sees bytes without a name, and playlists that would make it open
something else are refused. Nothing here waits: a FIFO or a device is told by its kind.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NoReturn

import av
import av.error
from av.container import Flags, InputContainer

from captain_cinema.errors import CinemaError

MAX_PIXELS = 2 * 7680 * 4320
"""A coded frame past this (twice 8K) is refused before anything of it is decoded."""

READ_BYTES = 1 << 18


class MediaError(CinemaError):
    """A file that gives no film; the message is the reason, one line."""

    def __init__(self, reason: str, verdict: Literal["rejected", "error"] = "rejected"):
        super().__init__(reason)
        self.verdict: Literal["rejected", "error"] = verdict
        """`rejected`: what it holds is no film; `error`: it could not be read this time."""


class _Descriptor:
    """A file for FFmpeg without a name, so that no name is ever interpreted."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)


def refuse(reason: str, verdict: Literal["rejected", "error"] = "rejected") -> NoReturn:
    """Raise `MediaError` with nothing else behind it."""
    raise MediaError(reason, verdict) from None


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    """The descriptor of a regular file that can be read; nothing else is ever opened."""
    try:
        # Opening a device may already do something, and opening a FIFO waits.
        if kind := _kind(os.stat(path).st_mode):
            refuse(kind)
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        refuse("the link leads nowhere" if os.path.islink(path) else "there is no such file")
    except PermissionError:
        refuse("it may not be read: permission denied", "error")
    except OSError as error:
        if error.errno == errno.ELOOP:
            refuse("the link leads round in a loop")
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR):
            refuse(f"there is no such file: {error.strerror}")
        refuse(f"it cannot be opened: {error.strerror}", "error")
    except ValueError:
        refuse("there is no such file: its name holds a null character")
    try:
        if kind := _kind(os.fstat(handle).st_mode):
            refuse(kind)
        yield handle
    finally:
        os.close(handle)


def _kind(mode: int) -> str:
    """Why a file of this mode cannot be a film; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return f"it is {names.get(stat.S_IFMT(mode), 'something')}, not a regular file"


def digest(path: Path) -> str:
    """Sha256 of the content, in hexadecimal digits.

    Raises:
        MediaError: the file cannot be read or is no regular file.
    """
    with _descriptor(path) as handle:
        state = hashlib.sha256()
        try:
            while block := os.read(handle, 1 << 20):
                state.update(block)
        except OSError as error:
            refuse(f"reading failed: {error.strerror}", "error")
        return state.hexdigest()


def _open_nothing_else(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a film may not open other files")


@contextmanager
def open_film(path: Path) -> Iterator[InputContainer]:
    """A film's container, read through its descriptor.

    Raises:
        MediaError: the file is no regular file, cannot be read, or is nothing FFmpeg knows.
    """
    with _descriptor(path) as handle:
        size = os.fstat(handle).st_size
        if not size:
            refuse("it is empty")
        try:
            container = av.open(
                _Descriptor(handle),
                # Held by the probing decoders too: a huge frame must not be decoded to learn of its size.
                options={"max_pixels": str(MAX_PIXELS)},
                metadata_errors="replace",
                buffer_size=READ_BYTES,
                io_open=_open_nothing_else,
            )
            assert isinstance(container, InputContainer)
            # FFmpeg's stamps of presentation for files without any are those of decoding.
            container.flags &= ~Flags.gen_pts.value
        except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
            refuse(*_why_not(handle, error))
        with container:
            yield container


def _why_not(handle: int, error: Exception) -> tuple[str, Literal["rejected", "error"]]:
    """Why a file that FFmpeg does not open is no film, as far as its first bytes tell."""
    if isinstance(error, MemoryError):
        return "its header asks for more memory than there is", "rejected"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return f"reading failed: {error.strerror}", "error"
    try:
        head = os.pread(handle, 4096, 0)
        boxes = _boxes(handle)
    except OSError as problem:
        return f"reading failed: {problem.strerror}", "error"
    if "ftyp" in boxes and "moov" not in boxes:
        return "its index (the moov atom) is missing: the recording or download was not finished", "rejected"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "it is a web page, not a film", "rejected"
    if text.startswith((b"#extm3u", b"ffconcat")):
        return "it is a playlist, not a film", "rejected"
    return "it is no film that FFmpeg knows", "rejected"


def _boxes(handle: int) -> list[str]:
    """Names of the outermost boxes of an MP4 file, none for anything else."""
    names: list[str] = []
    end, place = os.fstat(handle).st_size, 0
    while place + 8 <= end and len(names) < 1000:
        head = os.pread(handle, 16, place)
        length = int.from_bytes(head[:4], "big")
        name = head[4:8]
        if not name.isalnum():
            break
        names.append(name.decode("ascii"))
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            break
        place += length
    return names
