"""The straight path between a frame and noise."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PathSample:
    """A point of the path and the velocity there."""

    x_0: Float[Tensor, "*n"]  # clean
    eps: Float[Tensor, "*n"]  # noise
    t: Float[Tensor, "*m"]  # noise level, 0 to 1
    x_t: Float[Tensor, "*n"]
    target: Float[Tensor, "*n"]


def interpolate(x_0: Float[Tensor, "*n"], eps: Float[Tensor, "*n"], t: Float[Tensor, "*m"]) -> PathSample:
    """Walk from x_0 towards eps: x_t = (1 - t) x_0 + t eps, whose velocity dx_t/dt is eps - x_0 everywhere.

    Args:
        x_0: clean latents.
        eps: Gaussian noise of the same shape.
        t: noise levels for the leading axes of `x_0`; one a frame is diffusion forcing.
    """
    if x_0.shape != eps.shape or x_0.shape[: t.ndim] != t.shape:
        raise ValueError(
            f"eps {tuple(eps.shape)} and t {tuple(t.shape)} do not fit x_0 {tuple(x_0.shape)}:"
            " eps needs the same shape, t its leading axes"
        )
    level = t.to(x_0.dtype).reshape(*t.shape, *[1] * (x_0.ndim - t.ndim))
    return PathSample(x_0=x_0, eps=eps, t=t, x_t=(1 - level) * x_0 + level * eps, target=eps - x_0)


def clean_from(
    x_t: Float[Tensor, "*n"], velocity: Float[Tensor, "*n"], t: Float[Tensor, "*m"]
) -> Float[Tensor, "*n"]:
    """Follow a velocity to the clean end of its straight path: x_0 = x_t - t v."""
    return x_t - t.to(x_t.dtype).reshape(*t.shape, *[1] * (x_t.ndim - t.ndim)) * velocity


SMALLEST_T = 0.05
"""Below this noise level a predicted frame counts as if predicted here; its velocity has no bound."""


def velocity_to(
    x_t: Float[Tensor, "*n"], x_0: Float[Tensor, "*n"], t: Float[Tensor, "*m"]
) -> Float[Tensor, "*n"]:
    """Point at a predicted clean x_0: the velocity (x_t - x_0) / t, the inverse of `clean_from`.

    A model that is narrow beside its tokens cannot give back the noise that a velocity holds; it says x_0.
    """
    level = t.clamp(min=SMALLEST_T).to(x_t.dtype).reshape(*t.shape, *[1] * (x_t.ndim - t.ndim))
    return (x_t - x_0) / level
