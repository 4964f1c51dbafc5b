"""Whose picture is it? Decides which of several looks a drawn figure is nearest to, without a learnt model.

The truth of a playhouse frame is known, so the frame can be drawn again with another look in the character's
place. The candidate whose picture agrees best with the drawn one, where any of the candidates would stand, is
the verdict. Models draw a figure a few pixels off, so every candidate may be moved a little to where it fits
best; all have the same choice of places and are compared on the same pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from captain_cinema.evaluate.colour import SATURATION, WORKING_HEIGHT, working_lab, working_mask
from captain_cinema.playhouse import render
from captain_cinema.playhouse.world import FrameState, Look

SHIFT_X = 12
SHIFT_Y = 6
"""How far, in pixels of a frame 128 high, a figure may be from where the truth has it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LineUp:
    """What a drawn figure is compared with: the same frame, once for each candidate look."""

    pictures: tuple[Float[np.ndarray, "rows cols 3"], ...]
    where: Bool[np.ndarray, "rows cols"]
    """Pixels that any of the candidates covers."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The distances of a drawn figure to each candidate look, mean CIELAB difference a pixel."""

    distances: tuple[float, ...]

    @property
    def nearest(self) -> int:
        """The candidate that agrees best; of equals the last, so that a tie never favours the first."""
        return len(self.distances) - 1 - int(np.argmin(self.distances[::-1]))

    @property
    def margin(self) -> float:
        """How much nearer the first candidate is than the best of the others; negative if it is not."""
        return min(self.distances[1:]) - self.distances[0]


def line_up(state: FrameState, index: int, candidates: Sequence[Look], *, height: int = 128) -> LineUp:
    """Draw the true frame with each candidate look in the place of `state.poses[index]`'s.

    Raises:
        ValueError: fewer than two candidates, or none of them would be seen in the frame.
    """
    if len(candidates) < 2:
        raise ValueError(f"a choice needs at least 2 candidates, got {len(candidates)}")
    states = [with_look(state, index, look) for look in candidates]
    masks = [render.figure_mask(candidate, index, height=height) for candidate in states]
    where = working_mask(np.logical_or.reduce(masks))
    if not where.any():
        raise ValueError("the figure to judge is not in the frame")
    pictures = tuple(working_lab(render.draw(candidate, height=height)) for candidate in states)
    return LineUp(pictures=pictures, where=where)


def judge(drawn: UInt8[np.ndarray, "h w 3"], lineup: LineUp) -> Judgement:
    """Compare a drawn figure with each candidate of a line-up."""
    picture = working_lab(drawn)
    return Judgement(distances=tuple(best_fit(picture, true, lineup.where) for true in lineup.pictures))


def with_look(state: FrameState, index: int, look: Look) -> FrameState:
    """The same frame with another look for one of its characters."""
    pose = state.poses[index]
    other = replace(pose, character=replace(pose.character, look=look))
    return replace(state, poses=(*state.poses[:index], other, *state.poses[index + 1 :]))


def best_fit(
    picture: Float[np.ndarray, "rows cols 3"],
    true: Float[np.ndarray, "rows cols 3"],
    where: Bool[np.ndarray, "rows cols"],
) -> float:
    """The least mean difference of the two over `where`, over all allowed shifts of the true one."""
    reach_x = round(SHIFT_X * WORKING_HEIGHT / 128)
    reach_y = round(SHIFT_Y * WORKING_HEIGHT / 128)
    rows, cols = np.nonzero(where)
    colours = true[rows, cols]
    padded = np.pad(picture, ((reach_y, reach_y), (reach_x, reach_x), (0, 0)), mode="edge")

    def difference(down: int, right: int) -> float:
        apart = padded[rows + reach_y + down, cols + reach_x + right] - colours
        return float(np.minimum(np.sqrt(np.einsum("nc,nc->n", apart, apart)), SATURATION).mean())

    coarse = {
        (down, right): difference(down, right)
        for down in range(1 - reach_y, reach_y, 2)
        for right in range(-reach_x, reach_x + 1, 2)
    }
    middle, centre = min(coarse, key=coarse.__getitem__)
    downs = range(max(-reach_y, middle - 1), min(reach_y, middle + 1) + 1)
    rights = range(max(-reach_x, centre - 1), min(reach_x, centre + 1) + 1)
    return min(difference(down, right) for down in downs for right in rights)
