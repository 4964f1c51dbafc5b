"""Watching a film to its end, and how far two pictures are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from captain_cinema.films.decode import Decoding, Frame, decode
from captain_cinema.films.media import probe


def watch(path: Path, **choices: float) -> tuple[list[Frame], Decoding]:
    frames, decoding = decode(path, probe(path), **choices)  # pyright: ignore[reportArgumentType]
    return list(frames), decoding


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())
