"""A file of the corpus and how it must end."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drawn import SIZE

from captain_cinema.films.records import FilmVerdict


@dataclass(frozen=True, kw_only=True)
class Expected:
    """How a file of the corpus must end."""

    verdict: FilmVerdict
    says: str = ""
    """Part of the reason."""
    frames: tuple[int, int] = (0, 0)
    """Fewest and most frames that decode."""
    size: tuple[int, int] = SIZE
    """Upright, square pixels; what decodes only."""
    seconds: float | None = 2.0
    """Of the film; None if any will do."""
    corrupt: bool = False
    """Whether damage must be counted."""
    cuts: bool = True
    """Whether the cut in its middle can be found: false for films of one shot or of no size."""


Maker = Callable[[Path], Expected]
MAKERS: dict[str, Maker] = {}
OK = Expected(verdict="ok", frames=(24, 24))


def case(name: str) -> Callable[[Maker], Maker]:
    """Make the file of this name by the function."""

    def keep(maker: Maker) -> Maker:
        MAKERS[name] = maker
        return maker

    return keep


def seed_of(name: str) -> int:
    """A seed that differs by name and never changes."""
    return zlib.crc32(os.fsencode(name)) % 100_000
