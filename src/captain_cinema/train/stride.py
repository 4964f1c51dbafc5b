"""Dynamic stride sampling of interleaved sequences (paper, section 3.2).

Instead of consecutive keyframes, a training sequence takes keyframes at strides that vary from one to the
next, which gives many more sequences of a film. Two sequences of a film count as different when they share
at most a quarter of their frames.
"""

from __future__ import annotations

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
