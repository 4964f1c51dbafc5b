"""What an annotator is, what it says of a keyframe, and what it spent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from captain_cinema.errors import CinemaError
from captain_cinema.films.records import FilmRecord, Picture
from captain_cinema.script import CastMember


class BrokenOff(CinemaError):
    """An annotator was closed while it was at work."""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """The verdict on one keyframe, and its caption."""

    keep: bool
    reason: str = ""
    """Why it should be dropped, in the annotator's own words; of a frame that is kept, which names were left
    out of its caption."""
    caption: str = ""
    """With `<Name>` tags of the cast and of nobody else; empty if missing."""
    characters: tuple[str, ...] = ()
    """Names of the cast that were recognised, spelt as the cast spells them."""
    error: str = ""
    """Why there is no caption although one was asked for; the frame is kept, and the next run asks again."""


MISSING = Annotation(keep=True)
"""No caption, and none was asked for."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What an annotator knows of a whole film before it has seen a frame."""

    caption: str = ""
    """The global caption."""
    cast: tuple[tuple[str, str], ...] = ()
    """Name and description of every character allowed in captions, as :class:`FilmRecord` keeps them."""


class Annotator(Protocol):
    """Captions keyframes and says which are poor.

    One is made in every worker process: it holds a key and open connections, so it is never pickled.
    `annotate` is called from one thread at a time.
    """

    @property
    def name(self) -> str:
        """For the records: "none", "sidecar" or "gemini-2.0-flash@generativelanguage.googleapis.com"."""
        ...

    @property
    def is_settled(self) -> bool:
        """Whether what it could not answer stays so for as long as its fingerprint is the same."""
        ...

    def check(self) -> None:
        """Try whether it can work at all, before films are decoded for it.

        Raises:
            CinemaError: One line for the user.
        """
        ...

    def about(self, film: FilmRecord) -> About:
        """What is known of the film: its global caption and its cast."""
        ...

    def fingerprint(self, film: FilmRecord) -> str:
        """Digits that change when its answers for the film may: another model, cast, prompt or sidecar."""
        ...

    def annotate(self, film: FilmRecord, pictures: Sequence[Picture]) -> list[Annotation]:
        """One annotation a picture, in order. A fault of the annotator is an `error` there, never raised.

        Raises:
            BrokenOff: Another thread closed the annotator meanwhile. What was answered is kept.
        """
        ...

    def close(self) -> None:
        """Let go of connections; whoever is in `annotate` comes back at once. Not used afterwards."""
        ...


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What an annotator has done so far; sums over workers are made with `+`."""

    frames: int = 0
    """Frames that were handed in."""
    captioned: int = 0
    dropped: int = 0
    missing: int = 0
    """Left without a caption by a fault."""
    cached: int = 0
    """Of the captioned and dropped: answered from the cache, or the same picture as another."""
    requests: int = 0
    input_tokens: int = 0
    """As the endpoint reports them, also for replies that could not be used."""
    output_tokens: int = 0
    cost: float | None = None
    """In the currency of the prices; None if no price is known."""

    def __add__(self, other: Usage) -> Usage:
        costs = [usage.cost for usage in (self, other) if usage.cost is not None]
        return Usage(
            frames=self.frames + other.frames,
            captioned=self.captioned + other.captioned,
            dropped=self.dropped + other.dropped,
            missing=self.missing + other.missing,
            cached=self.cached + other.cached,
            requests=self.requests + other.requests,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=sum(costs) if costs else None,
        )

    @property
    def done(self) -> int:
        """Frames that are through, one way or the other."""
        return self.captioned + self.dropped + self.missing

    def __str__(self) -> str:
        """One line for the person who waits and pays."""
        parts = [
            f"{self.done}/{self.frames} frames",
            f"{self.captioned} captioned",
            f"{self.dropped} dropped",
        ]
        if self.missing:
            parts.append(f"{self.missing} without caption")
        if self.cached:
            parts.append(f"{self.cached} answered before")
        parts.append(f"{self.requests} requests")
        if self.input_tokens or self.output_tokens:
            parts.append(f"{self.input_tokens:,} tokens in, {self.output_tokens:,} out")
        if self.cost is not None:
            parts.append(f"cost {self.cost:.4f}")
        return ", ".join(parts)


def film_cast(members: Sequence[CastMember]) -> tuple[tuple[str, str], ...]:
    """Members as a film's record keeps them."""
    return tuple((member.name, member.description) for member in members)
