"""From noise back to frames: the flow's differential equation, solved step by step."""

from collections.abc import Callable
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]


def euler(
    velocity: Velocity,
    x: Float[Tensor, "*n"],
    timesteps: Float[Tensor, " steps"],
    progress: Callable[[int, int], None] | None = None,
) -> Float[Tensor, "*n"]:
    """Solve dx/dt = v(x, t) by Euler's rule: x <- x + (t_next - t) v(x, t).

    Args:
        velocity: gets x and the noise level as a number. Pairs that are held at another level (context) are
            its own affair: it gives them their level and returns the velocity of what is denoised.
        x: noise, at the first of the timesteps.
        timesteps: noise levels to visit, the last one is where to stop; see `schedule.timesteps`.
        progress: called with (steps done, all steps) after every step.
    """
    levels = [float(t) for t in timesteps]
    for done, (t, t_next) in enumerate(pairwise(levels), start=1):
        x = x + (t_next - t) * velocity(x, t)
        if progress is not None:
            progress(done, len(levels) - 1)
    return x
