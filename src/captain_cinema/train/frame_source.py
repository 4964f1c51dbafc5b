"""The one interface through which training takes films, and the playhouse's films behind it.

A source gives films for a step; which of a film's keyframes make a sequence is decided in `sequences`, by
`stride`'s rule, the same for all. Playhouse films come from a pool and are drawn as they are needed; those
of a dataset come from `dataset_source`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from captain_cinema.train.film_pool import DrawnFilm, EncodedFilm, Pool
from captain_cinema.train.sequences import SeenFilm


@dataclass(frozen=True, kw_only=True)
class FilmSequence:
    """The keyframes of one sequence as the model reads them, position by position."""

    tokens: tuple[Float[Tensor, "img_len dim"], ...]
    txt: Float[Tensor, "pairs txt_len txt_dim"]
    figures: Float[Tensor, "pairs img_len"]
    """How much each full-size token matters for the characters (`film_pool`); zeros where nobody knows."""
    looks: Int[Tensor, "pairs txt_len traits"]
    """Whose look each text token is about (`train.binding`); UNKNOWN where nobody knows."""
    shown: Int[Tensor, "pairs img_len shown"]
    """Whom each full-size token shows, likewise."""
    pooled: Float[Tensor, "pairs pooled_dim"] | None = None
    """Each caption as one vector, for models that read it."""
    contrast: Float[Tensor, "pairs img_len channels"] | None = None
    """From each full-size keyframe to its `film_pool.counterfactual`, where somebody can draw it."""


class SourceFilm(Protocol):
    """A film out of a source."""

    @property
    def film(self) -> SeenFilm:
        """What the choice of its frames must know."""
        ...

    def sequence(self, chosen: Sequence[int], rows: Sequence[int]) -> FilmSequence:
        """The chosen keyframes, each at so many token rows."""
        ...

    def frame(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """A keyframe as it looks, at the training's height."""
        ...


class FilmSource(Protocol):
    """Where training takes films from."""

    def films(
        self, step: int, count: int, *, pairs: int, casts: tuple[int, ...], rng: np.random.Generator
    ) -> list[SourceFilm]:
        """Films for one step: a function of the step and of what `rng` gives.

        Args:
            step: the optimiser's step.
            count: how many films.
            pairs: keyframes of the sequences that they shall give.
            casts: cast sizes, for a source that can choose.
            rng: the step's.
        """
        ...

    def samples(self, count: int) -> list[SourceFilm]:
        """Films of two shots or more for sample sheets, kept back from training where the source can."""
        ...

    def silenced(
        self,
        txt: Float[Tensor, "b pairs txt_len txt_dim"],
        pooled: Float[Tensor, "b pairs pooled_dim"] | None,
        dropped: Bool[Tensor, "b pairs"],
    ) -> tuple[Tensor, Tensor | None]:
        """Captions with some of them left out; those given stay as they are."""
        ...


@dataclass(frozen=True, kw_only=True)
class PlayhouseShots:
    """An encoded playhouse film as a `SourceFilm`."""

    encoded: EncodedFilm
    frames: UInt8[np.ndarray, "shots h w 3"] | None = None

    @property
    def film(self) -> SeenFilm:
        """See `SourceFilm`."""
        return self.encoded.film

    def sequence(self, chosen: Sequence[int], rows: Sequence[int]) -> FilmSequence:
        """See `SourceFilm`."""
        encoded, indices = self.encoded, list(chosen)
        return FilmSequence(
            tokens=tuple(encoded.tokens[r][i] for i, r in zip(chosen, rows, strict=True)),
            txt=encoded.txt[indices],
            figures=encoded.figures[indices],
            looks=encoded.looks[indices],
            shown=encoded.shown[indices],
            contrast=encoded.contrast[indices],
        )

    def frame(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """See `SourceFilm`."""
        if self.frames is None:
            raise ValueError("a film of the pool keeps its tokens only")
        return self.frames[index]


def without_words(
    txt: Float[Tensor, "b pairs txt_len txt_dim"], dropped: Bool[Tensor, "b pairs"]
) -> Float[Tensor, "b pairs txt_len txt_dim"]:
    """Zeros in the place of the captions that are left out."""
    txt = txt.clone()
    txt[dropped] = 0
    return txt


class PlayhouseSource:
    """Films drawn on the fly; a pool of them, for the stage's cast sizes.

    Args:
        draw: (number, casts) -> a drawn film; with workers, a function that pickles.
        held_out: number -> a drawn film that is never trained on.
        encode: a drawn film as the model reads it.
        size: films held.
        period: steps between two new films.
        workers: draw ahead.
    """

    def __init__(
        self,
        draw: Callable[..., DrawnFilm],
        held_out: Callable[[int], DrawnFilm],
        encode: Callable[[DrawnFilm], EncodedFilm],
        *,
        size: int,
        period: int,
        workers: Executor | None = None,
    ) -> None:
        self.draw, self.held_out, self.encode = draw, held_out, encode
        self.size, self.period, self.workers = size, period, workers
        self.pools: dict[tuple[int, ...], Pool[DrawnFilm, EncodedFilm]] = {}

    def pool(self, casts: tuple[int, ...]) -> Pool[DrawnFilm, EncodedFilm]:
        """The pool of films with these cast sizes; only the stage's own is kept."""
        if casts not in self.pools:
            draw = partial(self.draw, casts=casts)
            pool = Pool(draw, self.encode, size=self.size, period=self.period, workers=self.workers)
            self.pools = {casts: pool}
        return self.pools[casts]

    def films(
        self, step: int, count: int, *, pairs: int, casts: tuple[int, ...], rng: np.random.Generator
    ) -> list[SourceFilm]:
        """See `FilmSource`."""
        pool = self.pool(casts)
        slots = rng.choice(pool.size, size=count, replace=count > pool.size)
        return [PlayhouseShots(encoded=pool.get(int(slot), step)) for slot in slots]

    def samples(self, count: int) -> list[SourceFilm]:
        """See `FilmSource`."""
        drawn = [self.held_out(number) for number in range(count)]
        return [PlayhouseShots(encoded=self.encode(d), frames=d.frames[max(d.frames)]) for d in drawn]

    def silenced(
        self, txt: Tensor, pooled: Tensor | None, dropped: Bool[Tensor, "b pairs"]
    ) -> tuple[Tensor, Tensor | None]:
        """See `FilmSource`."""
        return without_words(txt, dropped), pooled
