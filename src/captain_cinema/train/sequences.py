"""Which frames of a film become one training sequence, which of them are given, and how noisy each one is.

Three kinds are mixed. A *stride* sequence is dynamic stride sampling's, its first frames given. A *recall*
sequence is what the planner meets in use: later frames to draw, and for every character in them an earlier
frame that shows it. An *introduction* sequence draws a character for the first time, from its description.
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


def introduction_indices(film: SeenFilm, layout: Layout, rng: np.random.Generator) -> tuple[int, ...] | None:
    """A character's first frame to draw, and later ones; None if no first frame lies where it must.

    Only here a caption describes a look, and no given frame shows it.
    """
    length, given = len(film.shots), len(layout.scales)
    names = dict.fromkeys(name for shot in film.shots for name in shot.names)
    first = sorted({next(i for i, shot in enumerate(film.shots) if name in shot.names) for name in names})
    fitting = [i for i in first if given <= i <= length - layout.targets]
    if not fitting:
        return None
    drawn = fitting[int(rng.integers(len(fitting)))]
    before = rng.choice(drawn, size=given, replace=False)
    after = drawn + 1 + rng.choice(length - drawn - 1, size=layout.targets - 1, replace=False)
    return (*sorted(int(i) for i in before), drawn, *sorted(int(i) for i in after))


def sequence_indices(
    film: SeenFilm, layout: Layout, rng: np.random.Generator, *, recall: float, introduce: float = 0.0
) -> tuple[int, ...]:
    """Frame numbers of one sequence, given ones first, both in story order.

    Args:
        film: whose.
        layout: the sequence's shape.
        rng: chooses.
        recall: share of recall sequences among those with given frames.
        introduce: share of introduction sequences among the rest.
    """
    if layout.scales and rng.random() < recall:
        return recall_indices(film, layout, rng)
    if introduce > 0 and rng.random() < introduce:
        found = introduction_indices(film, layout, rng)
        if found is not None:
            return found
    return stride_indices(film, layout, rng)
