"""Near-duplicates within and across films: the first in film order stays, whoever finished first.

A film is cut against all films before it in the order of names, and what was dropped as a duplicate is no
reference for others. So the outcome depends on the set of films alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt64

from captain_cinema.films.records import FilmRecord, KeyframeRecord, Role

Key = tuple[int, Role]
"""A keyframe within its film."""


def film_order(film: FilmRecord) -> tuple[bytes, bytes, str]:
    """By file name, then path: the order of films in a dataset."""
    name, path = (text.encode("utf-8", "surrogatepass") for text in (film.name, film.path))
    return name, path, film.id


@dataclass(frozen=True, kw_only=True)
class Original:
    """The keyframe that another one repeats."""

    film: str
    name: str
    shot: int
    role: Role

    def reason(self, film: str) -> str:
        """Why its duplicate in `film` was dropped."""
        where = "" if self.film == film else f" of {self.name}"
        return f"duplicate of shot {self.shot}{where}"


class Seen:
    """Keyframes that were accepted so far.

    Args:
        distance: bits by which two hashes of the same picture differ at most.
    """

    def __init__(self, distance: int) -> None:
        self.distance = distance
        self._hashes = np.zeros(1024, np.uint64)
        self._sources: list[tuple[str, str, int, Role]] = []

    def pick_out(self, film: FilmRecord, keyframes: Iterable[KeyframeRecord]) -> dict[Key, Original]:
        """The duplicates among a film's keyframes; the others are accepted.

        Args:
            film: the next film in order.
            keyframes: those of it that are not poor.
        """
        found: dict[Key, Original] = {}
        for record in sorted(keyframes, key=lambda record: (record.shot, record.role == "first")):
            if not record.hash:
                continue
            value = np.uint64(int(record.hash, 16))
            original = self._original(value, film.id, record.shot)
            if original is None:
                self._accept(value, (film.id, film.name, record.shot, record.role))
            else:
                found[record.shot, record.role] = original
        return found

    def _original(self, value: np.uint64, film: str, shot: int) -> Original | None:
        near = np.flatnonzero(distances(self._hashes[: len(self._sources)], value) <= self.distance)
        for index in near:
            source, name, number, role = self._sources[index]
            if (source, number) != (film, shot):  # both keyframes of a shot are wanted, however alike
                return Original(film=source, name=name, shot=number, role=role)
        return None

    def _accept(self, value: np.uint64, source: tuple[str, str, int, Role]) -> None:
        if len(self._sources) == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.zeros_like(self._hashes)])
        self._hashes[len(self._sources)] = value
        self._sources.append(source)


def distances(hashes: UInt64[np.ndarray, " n"], value: np.uint64) -> Int64[np.ndarray, " n"]:
    """Bits by which hashes differ from one."""
    return np.bitwise_count(hashes ^ value).astype(np.int64)


def copied_from(fit: int, duplicates: Mapping[Key, Original], film: str) -> str:
    """The name of the film that a film is another encoding or a part of; empty if it has anything of its own.

    Args:
        fit: how many keyframes of the film are not poor.
        duplicates: those of them that are duplicates.
        film: its id.
    """
    names = [original.name for original in duplicates.values() if original.film != film]
    if not names or len(duplicates) < fit:
        return ""
    most = max(sorted(set(names)), key=names.count)
    others = len({original.film for original in duplicates.values()} - {film}) - 1
    return f"{most} and {others} more" if others else most
