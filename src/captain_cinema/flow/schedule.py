"""Which noise levels to visit, in sampling and in training."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

Level = TypeVar("Level", float, Tensor)


def time_shift(t: Level, shift: float) -> Level:
    """Move noise levels towards noise, as FLUX does: shift t / (1 + (shift - 1) t).

    0 and 1 stay, a shift of 1 does nothing; n times as many tokens want a shift about sqrt(n) times as large.
    It multiplies the ratio of noise to signal, t / (1 - t), by `shift`; so two shifts multiply.
    """
    if not shift > 0:
        raise ValueError(f"shift must be positive, got {shift}")
    return shift * t / (1 + (shift - 1) * t)


def timesteps(num_steps: int, shift: float = 1.0) -> Float[Tensor, " steps"]:
    """List the `num_steps` + 1 noise levels of a sampling run, shifted, from 1 down to 0."""
    if num_steps < 1:
        raise ValueError(f"num_steps must be at least 1, got {num_steps}")
    return time_shift(torch.linspace(1, 0, num_steps + 1, dtype=torch.float64), shift)


def sample_t(
    shape: Sequence[int],
    *,
    shift: float = 1.0,
    generator: torch.Generator | None = None,
    device: str | torch.device = "cpu",
) -> Float[Tensor, "*shape"]:
    """Draw noise levels for training: sigmoid of a normal number (logit-normal), then `time_shift`.

    Middle levels, where the prediction is hardest, come up most. Independent for every entry of `shape`.
    """
    normal = torch.randn(tuple(shape), generator=generator, device=generator.device if generator else device)
    return time_shift(torch.sigmoid(normal), shift).to(device)
