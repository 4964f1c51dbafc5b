"""The visual memory of a new keyframe: earlier ones, chosen by meaning and held at some size.

Every planner chooses here, whatever network draws (paper, section 3.2).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from captain_cinema.backbone.text import names_in
from captain_cinema.errors import AbilityError
from captain_cinema.keyframes.goldenmem import Memory, assign_scales
from captain_cinema.keyframes.selection import Mode, Seen, Selection, Wanted, select_context

Progress = Callable[[int, int], None]
"""Called with (steps done, all steps)."""
Rank = Literal["age", "relevance"]
"""Who is large in memory: the latest frames (the paper), or those that were chosen first."""

_WIDE = re.compile(r"\b((wide|long|full|establishing)[- ](shot|view|angle)|far away|afar)\b", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class HistoryFrame:
    """A keyframe that exists already."""

    number: int
    """Its shot, counted from 1."""
    caption: str
    frame: UInt8[np.ndarray, "h w 3"]
    embedding: Float[np.ndarray, " projection"] | None = None
    """Its picture embedding, as `DrawnKeyframe` gave it; None has it computed."""


@dataclass(frozen=True, kw_only=True)
class MemoryUse:
    """What a keyframe saw of one earlier frame."""

    number: int
    """The earlier shot."""
    rows: int
    """Token rows at which it was held."""
    tokens: int
    """Image tokens that it took."""
    score: float
    """How near it is to the caption; see `selection`."""
    pinned: bool


@dataclass(frozen=True, kw_only=True)
class DrawnKeyframe:
    """A new keyframe, and what it was conditioned on."""

    frame: UInt8[np.ndarray, "h w 3"]
    memory: tuple[MemoryUse, ...]
    """In story order."""
    embedding: Float[np.ndarray, " projection"] | None
    """Its picture embedding; None where captions alone are compared."""


@runtime_checkable
class Planner(Protocol):
    """What the storyboard needs of whoever draws the keyframes."""

    def draw(
        self,
        caption: str,
        history: Sequence[HistoryFrame],
        *,
        seed: int,
        pins: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> DrawnKeyframe:
        """Draw the next keyframe."""
        ...

    def select(
        self, caption: str, history: Sequence[HistoryFrame], *, pins: Sequence[int] = ()
    ) -> tuple[MemoryUse, ...]:
        """The memory that `draw` would give to the next keyframe."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Embeds frames and captions into one space."""

    def embed_frame(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " projection"]:
        """The embedding of one frame."""
        ...

    def embed_caption(self, caption: str) -> Float[np.ndarray, " projection"]:
        """The embedding of one caption."""
        ...


Sentences = Callable[[Sequence[str]], Float[np.ndarray, "n meaning_dim"]]
"""Sentence embeddings of texts, as unit vectors."""


def choose(
    caption: str,
    history: Sequence[HistoryFrame],
    pins: Sequence[int],
    *,
    mode: Mode,
    count: int,
    embedder: Embedder | None = None,
    sentences: Sentences | None = None,
) -> Selection:
    """Choose the context of a new keyframe by meaning.

    Args:
        caption: What it shows.
        history: All keyframes before it, in story order.
        pins: Numbers of earlier shots that must be in.
        mode: What is compared.
        count: How many may be chosen.
        embedder: For the modes that compare pictures.
        sentences: For the modes that compare captions.

    Raises:
        AbilityError: A pin is no earlier shot, or there are too many pins.
        ValueError: The mode needs an encoder that is not given.
    """
    places = {frame.number: index for index, frame in enumerate(history)}
    for pin in pins:
        if pin not in places:
            earlier = f"1 to {len(history)}" if history else "none"
            raise AbilityError(f"shot {pin} cannot be pinned: the earlier shots are {earlier}")
    names = names_in(caption)
    if mode.startswith("text"):
        if sentences is None:
            raise ValueError(f"mode {mode!r} needs sentence embeddings")
        vectors = sentences([caption, *(frame.caption for frame in history)])
        wanted = Wanted(text=vectors[0], names=names)
        seen = [
            Seen(text=vector, names=names_in(frame.caption), wide=_is_wide(frame))
            for vector, frame in zip(vectors[1:], history, strict=True)
        ]
    else:
        if embedder is None:
            raise ValueError(f"mode {mode!r} needs picture embeddings")
        query = embedder.embed_caption(caption)
        wanted = Wanted(picture=query, names=names)
        seen = [
            Seen(
                picture=_embedding(frame, embedder, len(query)),
                names=names_in(frame.caption),
                wide=_is_wide(frame),
            )
            for frame in history
        ]
    return select_context(wanted, seen, count=count, pins=[places[pin] for pin in pins], mode=mode)


def scales_of(chosen: Selection, *, memory: Memory | None, rows: int, rank: Rank) -> list[int]:
    """Token rows at which the chosen frames are held, in story order."""
    order = tuple(reversed(chosen.indices)) if rank == "age" else chosen.ranked
    scale = dict(zip(order, assign_scales(len(order), memory, rows), strict=True))
    return [scale[index] for index in chosen.indices]


def uses_of(
    chosen: Selection,
    history: Sequence[HistoryFrame],
    pins: Sequence[int],
    scales: Sequence[int],
    tokens_at: Callable[[int], int],
) -> tuple[MemoryUse, ...]:
    """What a keyframe sees of the chosen frames, in story order.

    Args:
        chosen: Which they are.
        history: What they were chosen from.
        pins: Numbers of the shots that had to be in.
        scales: Token rows of each.
        tokens_at: How many image tokens a frame with so many token rows takes.
    """
    return tuple(
        MemoryUse(
            number=history[index].number,
            rows=rows,
            tokens=tokens_at(rows),
            score=score,
            pinned=history[index].number in pins,
        )
        for index, rows, score in zip(chosen.indices, scales, chosen.scores, strict=True)
    )


def _is_wide(frame: HistoryFrame) -> bool:
    return _WIDE.search(frame.caption) is not None


def _embedding(frame: HistoryFrame, embedder: Embedder, length: int) -> Float[np.ndarray, " projection"]:
    """The frame's embedding; one that another preset's encoder made is of no use."""
    known = frame.embedding
    return known if known is not None and len(known) == length else embedder.embed_frame(frame.frame)
