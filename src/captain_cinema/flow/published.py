"""The time shifts that the published pipelines of FLUX.1 and FLUX.2 sample with.

More tokens want more noise, so the shift grows with the picture. Both are given as mu, whose exponential is
the factor that `schedule.time_shift` takes; the numbers are the pipelines' own fits.
"""

import math


def flux1_shift(img_len: int) -> float:
    """The shift for FLUX.1: mu on a line from 0.5 at 256 image tokens to 1.15 at 4096."""
    return math.exp(0.5 + (1.15 - 0.5) * (img_len - 256) / (4096 - 256))


def flux2_shift(img_len: int, steps: int) -> float:
    """The shift for FLUX.2, which depends on the number of steps as well.

    mu was fitted for 10 and for 200 steps, each on a line over the image tokens; other numbers of steps lie
    on the line between the two. Past 4300 tokens all take that of 200 steps.
    """
    many = 0.00016927 * img_len + 0.45666666
    if img_len > 4300:
        return math.exp(many)
    few = 8.73809524e-05 * img_len + 1.89833333
    return math.exp(many + (few - many) * (200 - steps) / 190)
