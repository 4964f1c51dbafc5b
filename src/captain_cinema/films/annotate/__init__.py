"""Captions for keyframes (section 3.1, appendix B): none, from beside the film, or a vision-language model's.

An annotator is made once in each worker process::

    with closing(annotator("https://host/v1", cast=load_cast(path), cache=folder, model="...")) as reader:
        reader.check()                              # before the first film
        about = reader.about(film)                  # the film's caption and cast, for its record
        annotations = reader.annotate(film, pictures)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from captain_cinema.films.annotate.cast import cast_of, load_cast, unused_keys
from captain_cinema.films.annotate.kinds import (
    MISSING,
    About,
    Annotation,
    Annotator,
    BrokenOff,
    Usage,
    film_cast,
)
from captain_cinema.films.annotate.sidecar import SidecarAnnotator
from captain_cinema.films.annotation_options import EndpointSettings, Patience
from captain_cinema.films.records import FilmRecord, Picture
from captain_cinema.script import CastMember

__all__ = [
    "MISSING",
    "About",
    "Annotation",
    "Annotator",
    "BrokenOff",
    "EndpointSettings",
    "NoAnnotator",
    "Patience",
    "SidecarAnnotator",
    "Usage",
    "annotator",
    "cast_of",
    "load_cast",
    "unused_keys",
]


class NoAnnotator:
    """Leaves every caption missing."""

    name = "none"
    is_settled = True

    def __init__(self, *, cast: dict[str, list[CastMember]]) -> None:
        self._cast = cast

    def check(self) -> None:
        """See :class:`Annotator`: nothing can fail."""

    def about(self, film: FilmRecord) -> About:
        """See :class:`Annotator`: the cast file's cast."""
        return About(cast=film_cast(cast_of(self._cast, film)))

    def fingerprint(self, film: FilmRecord) -> str:
        """See :class:`Annotator`: the cast goes into the film's record."""
        return hashlib.sha256(repr((self.name, self.about(film).cast)).encode()).hexdigest()[:16]

    def annotate(self, film: FilmRecord, pictures: Sequence[Picture]) -> list[Annotation]:
        """See :class:`Annotator`."""
        return [MISSING] * len(pictures)

    def close(self) -> None:
        """See :class:`Annotator`."""


def annotator(
    spec: str,
    *,
    cache: Path,
    cast: dict[str, list[CastMember]] | None = None,
    api_key: str | None = None,
    model: str | None = None,
    settings: EndpointSettings | None = None,
    report: Callable[[Usage], None] | None = None,
) -> Annotator:
    """The annotator that a command line asks for.

    Args:
        spec: "none", "sidecar", or the address of an OpenAI-compatible endpoint.
        cache: A folder for an endpoint's answers, made if need be; the others leave it alone.
        cast: From :func:`load_cast`.
        api_key: None takes CINEMA_ANNOTATOR_KEY from the environment, or else, over https, GEMINI_API_KEY for
            Google and OPENAI_API_KEY for others.
        model: None takes CINEMA_ANNOTATOR_MODEL or else the only model that the endpoint lists.
        settings: Of an endpoint: frames a request, pace, prices.
        report: Told what an endpoint did and cost, after every batch.

    Raises:
        CinemaError: There is no such annotator, or it cannot begin; one line.
    """
    cast = cast or {}
    if spec == "none":
        return NoAnnotator(cast=cast)
    if spec == "sidecar":
        return SidecarAnnotator(cast=cast)
    from captain_cinema.films.annotate.endpoint import EndpointAnnotator

    return EndpointAnnotator(
        spec, cast=cast, cache=cache, api_key=api_key, model=model, settings=settings, report=report
    )
