"""Which frames of a film become one training sequence, which of them are given, and how noisy each one is.

Two kinds are mixed. A *stride* sequence is dynamic stride sampling's, its first frames given. A *recall*
sequence is what the planner meets in use: later frames to draw, and for every character in them an earlier
frame that shows it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from captain_cinema.train.stride import film_sequences


class SeenShot(Protocol):
    """What a choice of frames must know of a shot."""

    @property
    def names(self) -> tuple[str, ...]:
        """The characters that it shows."""
        ...


class SeenFilm(Protocol):
    """What a choice of frames must know of a film, be it of the playhouse or of a dataset."""

    @property
    def seed(self) -> int:
        """Another number for every film."""
        ...

    @property
    def shots(self) -> Sequence[SeenShot]:
        """In story order, with one keyframe each."""
        ...


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The shape that all sequences of a step share."""

    scales: tuple[int, ...]
    """Token rows of every given frame, oldest first (GoldenMem)."""
    targets: int
    """Frames to draw, at full size, after the given ones."""

    @property
    def pairs(self) -> int:
        """Given and drawn frames together."""
        return len(self.scales) + self.targets


def stride_indices(film: SeenFilm, layout: Layout, rng: np.random.Generator) -> tuple[int, ...]:
    """One of the film's valid stride sequences; the list is the film's own, whatever the step."""
    sequences = film_sequences(film.seed, len(film.shots), layout.pairs)
    return sequences[int(rng.integers(len(sequences)))]


def recall_indices(film: SeenFilm, layout: Layout, rng: np.random.Generator) -> tuple[int, ...]:
    """Later frames to draw, after earlier ones that show their characters (as many as there is room for)."""
    length, given = len(film.shots), len(layout.scales)
    first = int(rng.integers(given, length - layout.targets + 1))
    targets = sorted(int(i) for i in first + rng.choice(length - first, size=layout.targets, replace=False))
    wanted: list[int] = []
    names = [name for index in targets for name in film.shots[index].names]
    for name in dict.fromkeys(names):
        shows = [i for i in range(targets[0]) if name in film.shots[i].names]
        if shows and len(wanted) < given:
            wanted.append(shows[int(rng.integers(len(shows)))])
    chosen = set(wanted)
    rest = [i for i in range(targets[0]) if i not in chosen]
    extra = rng.choice(len(rest), size=given - len(chosen), replace=False) if given > len(chosen) else ()
    chosen.update(rest[int(i)] for i in extra)
    return (*sorted(chosen), *targets)


def sequence_indices(
    film: SeenFilm, layout: Layout, rng: np.random.Generator, *, recall: float
) -> tuple[int, ...]:
    """Frame numbers of one sequence, given ones first, both in story order."""
    if layout.scales and rng.random() < recall:
        return recall_indices(film, layout, rng)
    return stride_indices(film, layout, rng)
