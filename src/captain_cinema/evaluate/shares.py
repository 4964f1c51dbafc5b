"""Counting: a share of correct verdicts with its Wilson interval, and tables of shares."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

Z_95 = 1.959963984540054
"""Two-sided 95 % of the normal distribution."""

V = TypeVar("V")


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many of `total` were correct, and how many would be by blind choice."""

    correct: int
    total: int
    chance: float = 0.0
    """Expected rate of a choice that ignores the picture, 0 to 1."""

    @property
    def rate(self) -> float:
        """0 to 1; NaN of nothing."""
        return self.correct / self.total if self.total else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the rate."""
        return wilson(self.correct, self.total)

    def as_dict(self) -> dict[str, float | int | None]:
        """For JSON, where NaN has no place."""
        low, high = self.interval
        rate = self.rate if self.total else None
        return {
            "rate": rate,
            "correct": self.correct,
            "total": self.total,
            "low": low,
            "high": high,
            "chance": self.chance,
        }

    def __str__(self) -> str:
        if not self.total:
            return "no samples"
        low, high = self.interval
        return f"{self.rate:.3f}  (95 % {low:.3f} to {high:.3f}, n = {self.total})"


def wilson(correct: int, total: int, *, z: float = Z_95) -> tuple[float, float]:
    """Wilson's score interval of a proportion: right also near 0 and 1 and for few samples.

    Raises:
        ValueError: more correct than there are, or a negative count.
    """
    if not 0 <= correct <= total:
        raise ValueError(f"{correct} correct of {total} is not a share")
    if total == 0:
        return (0.0, 1.0)
    rate = correct / total
    centre = rate + z * z / (2 * total)
    spread = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return (max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale))


def group_by(items: Iterable[V], key: Callable[[V], str]) -> dict[str, list[V]]:
    """Items by label, labels in sorted order."""
    groups: dict[str, list[V]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return dict(sorted(groups.items()))


def table(rows: Sequence[tuple[str, Share]]) -> str:
    """One share a line, labels aligned."""
    width = max((len(label) for label, _ in rows), default=0)
    return "\n".join(f"{label:<{width}}  {share}" for label, share in rows)
