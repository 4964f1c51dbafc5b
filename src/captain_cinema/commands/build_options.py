"""The options of `cinema dataset build`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from captain_cinema.films.annotation_options import EndpointSettings, Patience
from captain_cinema.films.settings import Detector, FilmSettings

DEFAULTS = FilmSettings()
ENDPOINT = EndpointSettings()

Positional = tyro.conf.Positional
DetectorName = Annotated[Detector, tyro.conf.arg(metavar="NAME")]
Threshold = Annotated[float | None, tyro.conf.arg(metavar="NUMBER")]
Number = Annotated[float, tyro.conf.arg(metavar="NUMBER")]
Count = Annotated[int, tyro.conf.arg(metavar="N")]
ShortestShot = Annotated[float | None, tyro.conf.arg(metavar="SECONDS")]
Seconds = Annotated[float, tyro.conf.arg(metavar="SECONDS")]


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What `cinema dataset build` is told."""

    films: Positional[Annotated[tuple[str, ...], tyro.conf.arg(metavar="FILMS...")]]
    """files, folders or patterns."""
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="DATASET")]
    """the dataset's folder, new or of an earlier build."""
    cast: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """a YAML file with the characters that captions may name, film by film."""
    annotator: Annotated[str, tyro.conf.arg(metavar="none|sidecar|URL")] = "none"
    """who writes the captions: nobody, files beside the films, or an OpenAI-compatible endpoint."""
    model: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """the endpoint's."""
    key_variable: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """of the environment, that holds the endpoint's key; CINEMA_ANNOTATOR_KEY if left out."""
    per_minute: Annotated[float | None, tyro.conf.arg(metavar="N")] = None
    """requests to the endpoint at most."""
    batch: Count = ENDPOINT.frames
    """frames in one request."""
    parallel: Count = ENDPOINT.parallel
    """requests in flight."""
    tries: Count = ENDPOINT.patience.tries
    """requests for one reply of an endpoint that is busy."""
    reply_seconds: Seconds = ENDPOINT.patience.reply_seconds
    """how long one reply may take."""
    prices: Annotated[tuple[float, float] | None, tyro.conf.arg(metavar="IN OUT")] = None
    """what a million tokens cost, in and out; then the cost is told."""
    workers: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """processes; one film a task, long films in stretches. This process alone if left out."""
    ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None
    """do it on Ray: "local" starts it here, "auto" or an address joins a cluster."""
    detector: DetectorName = DEFAULTS.detector
    """of cuts."""
    threshold: Threshold = DEFAULTS.threshold
    """of the detector; its tuned default if left out."""
    shortest_shot: ShortestShot = DEFAULTS.shortest_shot
    """cuts nearer to each other are one; what suits the detector if left out."""
    short_side: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = DEFAULTS.short_side
    """height of a keyframe at most; it is twice as wide."""
    quality: Count = DEFAULTS.quality
    """of the stored JPEG."""
    black_luma: Number = DEFAULTS.black_luma
    """mean brightness below which a frame is black, unless something in it stands out."""
    flat_deviation: Number = DEFAULTS.flat_deviation
    """standard deviation of brightness below which a frame is flat."""
    blur_sharpness: Number = DEFAULTS.blur_sharpness
    """sharpness below which a frame is blurred."""
    text_share: Number = DEFAULTS.text_share
    """share of the sharp edges that is lettering past which a frame is a text card."""
    duplicate_distance: Count = DEFAULTS.duplicate_distance
    """bits of 64 by which the hashes of two keyframes of one picture differ at most."""
    stretch_seconds: Seconds = DEFAULTS.stretch_seconds
    """much longer films are worked on in stretches of this length."""
    json: bool = False
    """print one JSON object at the end."""

    def film_settings(self) -> FilmSettings:
        """How films are worked on."""
        names = [field.name for field in fields(FilmSettings)]
        return FilmSettings(**{name: getattr(self, name) for name in names})

    def endpoint(self) -> EndpointSettings:
        """How the endpoint is asked."""
        price_in, price_out = self.prices or (None, None)
        return EndpointSettings(
            frames=self.batch,
            parallel=self.parallel,
            per_minute=self.per_minute,
            patience=Patience(tries=self.tries, reply_seconds=self.reply_seconds),
            input_price=price_in,
            output_price=price_out,
        )
