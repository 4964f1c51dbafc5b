"""One picture from FLUX.2-klein as it is published: a caption, reference pictures, noise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.backbone.references import (
    Reference,
    cache_references,
    cached_velocity,
    exact_velocity,
)
from captain_cinema.flow.published import flux2_shift
from captain_cinema.flow.sampler import euler
from captain_cinema.flow.schedule import timesteps

ReferenceMode = Literal["exact", "cached"]
"""How references are computed: as published, or once for all steps; see `backbone.references`."""


@dataclass(frozen=True, kw_only=True)
class KleinSampling:
    """How klein draws a picture; the defaults are the base model's card."""

    steps: int = 50
    guidance: float = 4.0
    """Classifier-free guidance against an empty caption: 1 is none, and costs half."""
    references: ReferenceMode = "exact"
    embedded_guidance: float | None = None
    """Guidance strength that a guidance-distilled model reads (FLUX.2-dev)."""


DISTILLED = KleinSampling(steps=4, guidance=1.0)
"""For klein 4B and 9B, which are distilled to four steps without guidance."""


@torch.inference_mode()
def sample_tokens(
    model: MMDiT,
    noise: Float[Tensor, "1 img_len channels"],
    txt: Float[Tensor, "1 txt_len txt_dim"],
    empty: Float[Tensor, "1 txt_len txt_dim"] | None,
    *,
    rows: int,
    cols: int,
    settings: KleinSampling,
    references: Sequence[Reference] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "1 img_len channels"]:
    """Denoise one picture.

    Args:
        model: the network.
        noise: where to begin, float32; it decides the device.
        txt: the caption.
        empty: the empty caption, for guidance; None only where guidance is 1.
        rows: token rows of the picture.
        cols: token columns.
        settings: how to draw.
        references: clean pictures that it may look at.
        progress: called after every step.
    """
    levels = timesteps(settings.steps, flux2_shift(noise.shape[1], settings.steps))
    velocity = _velocity(model, rows, cols, settings, references)
    if settings.guidance == 1:
        return euler(lambda x, t: velocity(x, txt, t), noise, levels, progress)
    if empty is None:
        raise ValueError("guidance needs an empty caption to go away from")
    strength = settings.guidance

    def guided(x: Tensor, t: float) -> Tensor:
        # One after the other, as the published pipeline does it: half the memory of a batch of two.
        given, free = velocity(x, txt, t), velocity(x, empty, t)
        return free + strength * (given - free)

    return euler(guided, noise, levels, progress)


def _velocity(
    model: MMDiT, rows: int, cols: int, settings: KleinSampling, references: Sequence[Reference]
) -> Callable[[Tensor, Tensor, float], Tensor]:
    strength = settings.embedded_guidance
    if settings.references == "cached" and references:
        cache = cache_references(model, references, guidance=strength)
        return lambda x, txt, t: cached_velocity(
            model, x, txt, t, rows=rows, cols=cols, cache=cache, guidance=strength
        )
    return lambda x, txt, t: exact_velocity(
        model, x, txt, t, rows=rows, cols=cols, references=references, guidance=strength
    )
