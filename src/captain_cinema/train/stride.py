"""Dynamic stride sampling of interleaved sequences (paper, section 3.2).

Instead of consecutive keyframes, a training sequence takes keyframes at strides that vary from one to the
next, which gives many more sequences of a film. Two sequences of a film count as different when they share
at most a quarter of their frames.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

OVERLAP = 0.25
"""Largest share of frames that two sequences of a film may have in common."""
MOST_TRIES = 512
"""Candidates looked at for a long film; the time for it grows with the square."""


def stride_sequence(length: int, pairs: int, rng: np.random.Generator) -> tuple[int, ...]:
    """`pairs` rising frame numbers below `length` at varying strides.

    Raises:
        ValueError: the film has fewer than `pairs` keyframes.
    """
    if pairs > length:
        raise ValueError(f"a film of {length} keyframes has no sequence of {pairs} pairs")
    return tuple(int(i) for i in np.sort(rng.choice(length, size=pairs, replace=False)))


def valid_sequences(
    length: int, pairs: int, rng: np.random.Generator, *, overlap: float = OVERLAP, tries: int = 64
) -> list[tuple[int, ...]]:
    """Sequences of one film of which no two share more than `overlap` of their frames, found greedily.

    Always holds at least one sequence. `tries` bounds the candidates looked at.
    """
    kept: list[tuple[int, ...]] = []
    most = int(overlap * pairs)
    for _ in range(tries):
        candidate = stride_sequence(length, pairs, rng)
        members = set(candidate)
        if all(len(members.intersection(other)) <= most for other in kept):
            kept.append(candidate)
    return kept


@lru_cache(maxsize=1024)
def film_sequences(seed: int, length: int, pairs: int) -> tuple[tuple[int, ...], ...]:
    """The valid sequences of a film, its own whatever the step: more of them for a longer film."""
    tries = max(64, min(length, MOST_TRIES))
    return tuple(valid_sequences(length, pairs, np.random.default_rng([seed, pairs]), tries=tries))


def consecutive_sequences(length: int, pairs: int, *, overlap: float = OVERLAP) -> int:
    """How many sequences of neighbouring keyframes a film has under the same rule."""
    if length < pairs:
        return 0
    stride = max(1, pairs - int(overlap * pairs))
    return (length - pairs) // stride + 1


@dataclass(frozen=True, kw_only=True)
class Supply:
    """How many sequences some films have."""

    pairs: int
    films: int
    """Long enough for it."""
    consecutive: int
    """Of neighbouring keyframes, no two sharing more than a quarter."""
    strided: int
    """Under the same rule with varying strides, as many as training keeps."""
    rising: float
    """Rising sequences at all."""

    def __str__(self) -> str:
        times = self.strided / max(1, self.consecutive)
        return (
            f"{self.pairs} pairs: {self.films} films are long enough; valid sequences (25 % overlap):"
            f" {self.consecutive:,} consecutive, {self.strided:,} with dynamic strides ({times:.1f} times),"
            f" of {self.rising:.3g} rising ones"
        )


def supply(films: Sequence[tuple[int, int]], pairs: int) -> Supply:
    """Count the sequences of some films.

    Args:
        films: seed and length of each.
        pairs: of a sequence.
    """
    long = [(seed, length) for seed, length in films if length >= pairs]
    return Supply(
        pairs=pairs,
        films=len(long),
        consecutive=sum(consecutive_sequences(length, pairs) for _, length in long),
        strided=sum(len(film_sequences(seed, length, pairs)) for seed, length in long),
        rising=float(sum(math.comb(length, pairs) for _, length in long)),
    )
