"""A step's sequences: which of them are a process's share, in which order, and what if one cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from captain_cinema.errors import CinemaError

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Share:
    """One of `count` equal parts of a step."""

    index: int = 0
    count: int = 1

    def of(self, order: list[int]) -> list[int]:
        """The members of `order` that belong to this part: neighbours stay together.

        Raises:
            CinemaError: there are fewer sequences than parts.
        """
        if len(order) < self.count:
            raise CinemaError(
                f"a step of {len(order)} sequences cannot be divided into {self.count} shares; give a larger"
                " --batch, or start fewer processes"
            )
        size = len(order)
        return order[self.index * size // self.count : (self.index + 1) * size // self.count]


WHOLE = Share()


def by_length(films: Sequence[Any], chosen: Sequence[Sequence[int]]) -> list[int]:
    """Sequence numbers by the length of their longest caption: neighbours waste little padding on each other,
    and processes that work at the same time have about as much to do.
    """

    def longest(number: int) -> int:
        shots = films[number].film.shots
        return max(len(shots[i].caption) for i in chosen[number])

    return sorted(range(len(films)), key=lambda number: (-longest(number), number))


class Unreadable:
    """Counts samples that cannot be read.

    Args:
        limit: how many are borne.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.found = 0
        self.named: set[str] = set()

    def count(self, error: Exception) -> None:
        """Name and count one; a sample that is met again counts again.

        Raises:
            CinemaError: it is one too many.
        """
        self.found += 1
        if str(error) not in self.named:
            self.named.add(str(error))
            logger.warning("a sample cannot be read and is replaced (%d so far): %s", self.found, error)
        if self.found > self.limit:
            raise CinemaError(
                f"{self.found} samples could not be read, the last: {error}; the checkpoint is kept, mend or"
                " build the dataset again (`cinema dataset verify`), and the same command goes on"
            )
