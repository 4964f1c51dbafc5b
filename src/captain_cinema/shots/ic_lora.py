"""The baseline after IC-LoRA + I2V: one composite image of all shots, cut up, then image-to-video.

In-Context LoRA tunes an image model to draw related pictures as the panels of one. What stands for it here:
the keyframe model draws all panels in one joint denoising, from noise, every panel seeing every other and
none a memory; the panels are put into one picture, cut out again and filmed each by itself. There is no
LoRA: the embedded model has learnt sequences of frames, not grids, so its own joint sampling is its best.
A film of more shots than the model was trained on is one composite all the same, as the method has no other
way to tell the shots of one another.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8

from captain_cinema.errors import ProjectError
from captain_cinema.shots.lct import JointPlanner


def grid_of(panels: int) -> tuple[int, int]:
    """Rows and columns of a composite: about square in panels, filled by rows."""
    cols = max(1, math.ceil(math.sqrt(panels)))
    return -(-panels // cols), cols


def draw_composite(
    planner: JointPlanner, captions: Sequence[str], *, seed: int
) -> UInt8[np.ndarray, "h w 3"]:
    """One picture with a panel for every caption, row by row; what is left over is black.

    Raises:
        ValueError: there is no caption.
    """
    if not captions:
        raise ValueError("a composite needs at least one caption")
    panels = planner.draw_joint(captions, seed=seed)
    rows, cols = grid_of(len(panels))
    height, width = panels[0].shape[:2]
    picture = np.zeros((rows * height, cols * width, 3), np.uint8)
    for place, panel in enumerate(panels):
        row, col = divmod(place, cols)
        picture[row * height : (row + 1) * height, col * width : (col + 1) * width] = panel
    return picture


def cut_panel(
    picture: UInt8[np.ndarray, "rows cols 3"], place: int, height: int, width: int
) -> UInt8[np.ndarray, "h w 3"]:
    """A panel of a composite, counted from 0.

    Raises:
        ProjectError: the picture has no such panel, so it is another film's.
    """
    row, col = divmod(place, max(1, picture.shape[1] // width))
    panel = picture[row * height : (row + 1) * height, col * width : (col + 1) * width]
    if panel.shape != (height, width, 3):
        raise ProjectError(
            f"the composite image has no panel {place + 1} of {width}x{height} pixels; delete composite.png "
            "and film again"
        )
    return panel.copy()
