"""Noise on the context: frames that are given carry a little of it (paper, section 4.2 and figure 10).

A model that has learnt to continue noisy frames does not copy the small faults of those it drew before. The
paper compares four bands of 1000 noise steps and finds the lightest best.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from captain_cinema.flow.path import interpolate

STEPS = 1000


@dataclass(frozen=True, kw_only=True)
class Band:
    """Noise levels from `low` to `high` of 1000 steps, both included."""

    name: str
    low: int
    high: int

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.high <= STEPS:
            raise ValueError(f"a band lies between 0 and {STEPS} steps, got {self.low} to {self.high}")


LIGHT = Band(name="light", low=1, high=250)
MODERATE = Band(name="moderate", low=251, high=500)
STRONG = Band(name="strong", low=501, high=750)
HEAVY = Band(name="heavy", low=751, high=1000)
BANDS = {band.name: band for band in (LIGHT, MODERATE, STRONG, HEAVY)}
"""The paper's four bands, by name; the default is "light"."""
CLEAN = Band(name="clean", low=0, high=0)
"""No noise, for comparison."""


class NoisyContext(NamedTuple):
    """Context frames with noise, and how much each one carries (0 to 1)."""

    x_t: Tensor
    t: Tensor


def add_noise(
    x: Float[Tensor, "n img_len channels"], band: Band = LIGHT, generator: torch.Generator | None = None
) -> NoisyContext:
    """Put noise of its own level, drawn evenly from the band, on each frame.

    Args:
        x: Clean tokens of n frames.
        band: Where the levels come from.
        generator: Source of levels and noise, on the CPU so that a seed means the same everywhere.
    """
    steps = torch.randint(band.low, band.high + 1, (x.shape[0],), generator=generator)
    eps = torch.randn(x.shape, generator=generator, dtype=torch.float32).to(x.device, x.dtype)
    sample = interpolate(x, eps, (steps.double() / STEPS).to(x.device, x.dtype))
    return NoisyContext(sample.x_t, sample.t)
