"""How good found cuts are: precision, recall and F1 against known ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class CutScore:
    """Found cuts against known ones; scores of several films add up."""

    hits: int
    false: tuple[int, ...]
    """Found frames where there is no cut."""
    missed: tuple[int, ...]
    """Cuts that were not found."""

    @property
    def precision(self) -> float:
        """Share of what was found that is a cut; 1 if nothing was found."""
        found = self.hits + len(self.false)
        return self.hits / found if found else 1.0

    @property
    def recall(self) -> float:
        """Share of the cuts that was found; 1 if there are none."""
        known = self.hits + len(self.missed)
        return self.hits / known if known else 1.0

    @property
    def f1(self) -> float:
        """Harmonic mean of both."""
        wrong = len(self.false) + len(self.missed)
        return 2 * self.hits / (2 * self.hits + wrong) if self.hits or wrong else 1.0

    def __add__(self, other: CutScore) -> CutScore:
        return CutScore(
            hits=self.hits + other.hits, false=self.false + other.false, missed=self.missed + other.missed
        )


def score_cuts(
    found: Iterable[int],
    hard: Iterable[int],
    gradual: Sequence[tuple[int, int]] = (),
    *,
    tolerance: int = 1,
) -> CutScore:
    """Match found cuts to hard ones, each to one at most, in order of the film.

    Args:
        found: first frames of shots, as a detector gives them.
        hard: first frames of shots after hard cuts.
        gradual: first and last frames of fades and dissolves, where a find is neither right nor wrong.
        tolerance: frames by which a find may be off.
    """
    waiting = sorted(set(hard))
    false: list[int] = []
    missed: list[int] = []
    hits = 0
    for frame in sorted(set(found)):
        while waiting and waiting[0] < frame - tolerance:
            missed.append(waiting.pop(0))
        if waiting and waiting[0] <= frame + tolerance:
            waiting.pop(0)
            hits += 1
        elif not any(first - tolerance <= frame <= last + tolerance for first, last in gradual):
            false.append(frame)
    return CutScore(hits=hits, false=tuple(false), missed=(*missed, *waiting))
