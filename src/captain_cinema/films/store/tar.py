"""Tar files whose bytes are a function of their members alone, written once and read by place."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

BLOCK = 512
END = 2 * BLOCK


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file inside a tar."""

    name: str
    offset: int
    """Of its first byte in the tar."""
    size: int


def header(name: str, size: int) -> bytes:
    """A member's header: no owner, no time, nothing of this machine."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def padded(size: int) -> int:
    """A size rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def member_bytes(name: str, data: bytes) -> int:
    """What a member takes in a tar, header and padding included."""
    return BLOCK + padded(len(data))


class TarWriter:
    """One tar, written from front to end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size = 0
        self.file: BinaryIO = path.open("xb")

    def add(self, name: str, data: bytes) -> Member:
        """Append a member."""
        head = header(name, len(data))
        member = Member(name=name, offset=self.size + len(head), size=len(data))
        self.file.write(head + data + bytes(padded(len(data)) - len(data)))
        self.size = member.offset + padded(len(data))
        return member

    def close(self) -> None:
        """End the tar."""
        if not self.file.closed:
            self.file.write(bytes(END))
            self.size += END
            self.file.close()

    def discard(self) -> None:
        """Close without an end."""
        self.file.close()


class ShardWriter:
    """Tars of bounded size in a folder: 00000.tar, 00001.tar and so on, named by `name`.

    Args:
        folder: where they go.
        limit: bytes that a tar holds at most; a sample that is larger has one to itself.
        name: file name of a tar, with its number in `{}`.
    """

    def __init__(self, folder: Path, *, limit: int, name: str = "{:05d}.tar") -> None:
        self.folder, self.limit, self.name = folder, limit, name
        self.paths: list[Path] = []
        self.open: TarWriter | None = None

    def add(self, members: list[tuple[str, bytes]]) -> tuple[Path, list[Member]]:
        """Append a sample; its members are never parted."""
        size = sum(member_bytes(name, data) for name, data in members)
        if self.open is not None and self.open.size and self.open.size + size + END > self.limit:
            self.open.close()
            self.open = None
        if self.open is None:
            self.paths.append(self.folder / self.name.format(len(self.paths)))
            self.open = TarWriter(self.paths[-1])
        return self.open.path, [self.open.add(name, data) for name, data in members]

    def close(self) -> None:
        """End the last tar."""
        if self.open is not None:
            self.open.close()

    def discard(self) -> None:
        """Close without an end."""
        if self.open is not None:
            self.open.discard()


def members(path: Path) -> Iterator[Member]:
    """The members of a tar, by their headers alone.

    Raises:
        OSError, tarfile.TarError: it cannot be read, or is cut off or damaged.
    """
    with tarfile.open(path, "r:") as tar:
        for info in tar:
            yield Member(name=info.name, offset=info.offset_data, size=info.size)
            tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  # it would keep every one
