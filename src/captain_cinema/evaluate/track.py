"""How far does a figure travel in a clip? Template matching from the clip's first frame, no learnt model.

The first frame is known with its truth: where the figure is and which pixels are background. In every later
frame the camera is found first (a zoom about the centre and a sideways shift under which the background
agrees best), then the figure (the place where its picture, zoomed alike, agrees best). Travel is where the
figure is less where the camera alone would have put it, so that neither a pan nor a push-in passes for
walking.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from captain_cinema.evaluate.colour import SATURATION, WORKING_HEIGHT, working_lab, working_mask

ZOOMS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5)
"""How much a push-in may enlarge the picture."""

PAN_REACH = 0.5
"""How far a pan may move the background, in frame heights, either way."""

STEADY = 0.98
"""A camera move or a step must lower the difference below this share of standing still's to be believed."""

UPPER = 0.7
"""The upper part of a figure is tracked, as a share of its height: legs change shape in walking."""

MOMENTS = (0.3, 0.45, 0.6, 0.75, 0.9, 1.0)
"""When a clip is looked at, as shares of its length."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What the camera did since the first frame: zoom about the centre, then a shift in working pixels."""

    zoom: float
    shift: int


Lab = Float[np.ndarray, "rows cols 3"]
Mask = Bool[np.ndarray, "rows cols"]


def travel(
    clip: UInt8[np.ndarray, "frames h w 3"],
    figure: Bool[np.ndarray, "h w"],
    figures: Bool[np.ndarray, "h w"],
) -> float:
    """How far a figure goes within the scene over the whole clip, in frame heights: negative is left.

    Args:
        clip: the first frame is the keyframe.
        figure: the figure's pixels in the first frame.
        figures: all figures' pixels there, which are not background.

    Raises:
        ValueError: fewer than two frames, or no such figure.
    """
    if len(clip) < 2:
        raise ValueError(f"travel needs at least 2 frames, got {len(clip)}")
    template = upper_part(working_mask(figure))
    if not template.any():
        raise ValueError("the figure to follow is not in the first frame")
    near = cv2.dilate(working_mask(figures).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    first = working_lab(clip[0])
    last = len(clip) - 1
    speeds: list[float] = []
    for moment in MOMENTS:
        number = max(1, round(moment * last))
        frame = working_lab(clip[number])
        camera = find_camera(first, frame, ~near)
        speeds.append(find_step(first, frame, template, camera) / number)
    # The median holds when the figure has left the picture at the end, or is taken for something else once.
    return float(np.median(speeds)) * last / WORKING_HEIGHT


def upper_part(mask: Mask) -> Mask:
    """The upper share of a figure."""
    rows = np.nonzero(mask.any(axis=1))[0]
    if rows.size == 0:
        return mask
    kept = mask.copy()
    kept[rows[0] + max(1, round((rows[-1] + 1 - rows[0]) * UPPER)) :] = False
    return kept


def points(mask: Mask, zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """Where a mask's pixels are after a zoom about the centre: rows and columns, not rounded."""
    rows, cols = np.nonzero(mask)
    middle_row, middle_col = (mask.shape[0] - 1) / 2, (mask.shape[1] - 1) / 2
    return (rows - middle_row) * zoom + middle_row, (cols - middle_col) * zoom + middle_col


def difference(colours: np.ndarray, frame: Lab, rows: np.ndarray, cols: np.ndarray) -> float:
    """Mean colour difference of points that fall into the frame; infinite when most fall out."""
    row, col = np.rint(rows).astype(int), np.rint(cols).astype(int)
    inside = (row >= 0) & (row < frame.shape[0]) & (col >= 0) & (col < frame.shape[1])
    if inside.mean() < 0.4:
        return np.inf
    distance = np.linalg.norm(frame[row[inside], col[inside]] - colours[inside], axis=1)
    return float(np.minimum(distance, SATURATION).mean())


def find_camera(first: Lab, frame: Lab, background: Mask) -> Camera:
    """The zoom and shift under which the first frame's background agrees best with a later frame."""
    thinned = background.copy()
    thinned[1::2] = False
    thinned[:, 1::2] = False
    colours = first[thinned]
    reach = round(PAN_REACH * WORKING_HEIGHT)
    best, least = Camera(zoom=1.0, shift=0), np.inf
    for zoom in ZOOMS:
        rows, cols = points(thinned, zoom)
        for shift in range(-reach, reach + 1):
            found = difference(colours, frame, rows, cols + shift)
            if zoom == 1.0 and shift == 0:
                found *= STEADY
            if found < least:
                best, least = Camera(zoom=zoom, shift=shift), found
    return best


def find_step(first: Lab, frame: Lab, figure: Mask, camera: Camera) -> int:
    """How far the figure is from where the camera alone would have put it, in working pixels."""
    rows, cols = points(figure, camera.zoom)
    colours = first[figure]
    width = frame.shape[1]
    steps = sorted(range(-width, width + 1), key=abs)
    best, least = 0, np.inf
    for step in steps:
        # Walking bobs: the figure may stand a little higher or lower.
        found = min(
            difference(colours, frame, rows + up, cols + camera.shift + step) for up in (-2, -1, 0, 1, 2)
        )
        if found < least * (STEADY if step else 1.0):
            best, least = step, found
    return best
