"""Which files the arguments of a build mean: files, folders of films, and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

# fmt: off
FILM_SUFFIXES = frozenset({
    ".3g2", ".3gp", ".264", ".265", ".asf", ".avi", ".divx", ".dv", ".f4v", ".flv", ".h264",
    ".h265", ".hevc", ".ivf", ".m1v", ".m2t", ".m2ts", ".m2v", ".m4v", ".mkv", ".mov", ".mp4",
    ".mpeg", ".mpg", ".mpv", ".mts", ".mxf", ".nut", ".obu", ".ogm", ".ogv", ".qt", ".rm",
    ".rmvb", ".ts", ".vob", ".webm", ".wmv", ".y4m",
})
# fmt: on
"""What a folder is searched for; a file named outright may have any suffix."""


def find_films(arguments: Sequence[str | Path]) -> list[Path]:
    """Every file that the arguments mean, in order of their bytes, each path once.

    An argument is a file of any name, a folder (searched through, links to folders included, each folder
    once), or a pattern with `*`, `?`, `[...]` or `**`; what exists under exactly that name is never taken as
    a pattern. What does not exist is returned as it is, so that it gets its verdict like any other; so is a
    folder with the name of a film and no film in it. Copies and links are not told apart here: they end as
    duplicates.
    """
    found: set[bytes] = set()
    for argument in arguments:
        text = os.fspath(argument)
        if not os.path.lexists(text) and glob.has_magic(text):
            matches = glob.glob(text, recursive=True) or [text]
        else:
            matches = [text]
        for match in matches:
            found.update(os.fsencode(path) for path in _films_of(match))
    return [Path(os.fsdecode(path)) for path in sorted(found)]


def _films_of(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    inside = list(_search(path, set()))
    return inside if inside or not _is_film_name(path) else [path]


def _is_film_name(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in FILM_SUFFIXES


def _search(folder: str, seen: set[tuple[int, int]]) -> Iterator[str]:
    """Films in a folder and the folders in it; `seen` holds the folders already searched (device, inode)."""
    try:
        status = os.stat(folder)
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        try:
            is_folder = entry.is_dir()
        except OSError:
            is_folder = False
        if is_folder:
            inside = list(_search(entry.path, seen))
            yield from inside
            if not inside and _is_film_name(entry.name):
                yield entry.path
        elif _is_film_name(entry.name):
            yield entry.path
