"""How far does a figure travel in a clip? Template matching from the clip's first frame, no learnt model.

The first frame is known with its truth: where the figure is and which pixels are background. In every later
frame the camera is found first (a zoom about the centre and a sideways shift under which the background
agrees best), then the figure (the place where its picture, zoomed alike, agrees best). Travel is where the
figure is less where the camera alone would have put it, so that no pan or push-in passes for walking.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from captain_cinema.evaluate.colour import SATURATION, WORKING_HEIGHT, working_lab, working_mask

ZOOMS = (1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.5)
"""How much a push-in may enlarge the picture."""

PAN_REACH = 0.5
"""How far a pan may move the background, in frame heights, either way."""

BOB = (-2, 0, 2)
"""Walking lifts and lowers a figure by so many working pixels."""

STEADY = 0.9
"""A move must lower the difference below this share of standing still's to be believed."""

AGREEING = 0.7
"""The share of points that must agree; the others may be hidden, uncovered or have changed shape."""

INSIDE = 0.4
"""The share of points that must fall into the frame."""

UPPER = 0.7
"""The upper part of a figure is tracked, as a share of its height: legs change shape in walking."""

MOMENTS = (0.3, 0.45, 0.6, 0.8, 1.0)
"""When a clip is looked at, as shares of its length."""

LOST, LOST_AT_LEAST = 1.5, 4.0
"""A figure is lost where it agrees this many times worse, and so much more (CIELAB), than at its best."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What the camera did since the first frame: zoom about the centre, then a shift in working pixels."""

    zoom: float
    shift: int


@dataclass(frozen=True, kw_only=True)
class Step:
    """How far a figure is from where the camera alone would have put it, and how well it agrees there."""

    pixels: int
    """Working pixels to the right."""
    difference: float


@dataclass(frozen=True, kw_only=True, eq=False)
class Points:
    """Coloured points of the first frame, with no zoom yet."""

    rows: Float[np.ndarray, " points"]
    cols: Float[np.ndarray, " points"]
    colours: Float[np.ndarray, "points 3"]

    def zoomed(self, zoom: float, frame: Float[np.ndarray, "rows cols 3"]) -> Points:
        """Where they are after a zoom about the frame's centre."""
        row, col = (frame.shape[0] - 1) / 2, (frame.shape[1] - 1) / 2
        rows, cols = (self.rows - row) * zoom + row, (self.cols - col) * zoom + col
        return Points(rows=rows, cols=cols, colours=self.colours)


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
    first = working_lab(clip[0])
    near = cv2.dilate(working_mask(figures).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    template = points_of(first, upper_part(working_mask(figure)), every=2)
    background = points_of(first, ~near, every=4)
    if template.rows.size == 0:
        raise ValueError("the figure to follow is not in the first frame")
    last = len(clip) - 1
    speeds: list[float] = []
    apart: list[float] = []
    for moment in MOMENTS:
        number = max(1, round(moment * last))
        frame = working_lab(clip[number])
        camera = find_camera(background, frame)
        step = find_step(template, frame, camera)
        speeds.append(step.pixels / number)
        apart.append(step.difference)
    # Where it has left the picture, something else is taken for the figure: those moments do not count.
    found = np.array(apart) <= LOST * min(apart) + LOST_AT_LEAST
    return float(np.median(np.array(speeds)[found])) * last / WORKING_HEIGHT


def upper_part(mask: Bool[np.ndarray, "rows cols"]) -> Bool[np.ndarray, "rows cols"]:
    """The upper share of a figure."""
    rows = np.nonzero(mask.any(axis=1))[0]
    if rows.size == 0:
        return mask
    kept = mask.copy()
    kept[rows[0] + max(1, round((rows[-1] + 1 - rows[0]) * UPPER)) :] = False
    return kept


def points_of(
    frame: Float[np.ndarray, "rows cols 3"], mask: Bool[np.ndarray, "rows cols"], *, every: int
) -> Points:
    """The frame's points under a mask, one of so many a row and a column."""
    thinned = np.zeros_like(mask)
    thinned[::every, ::every] = mask[::every, ::every]
    rows, cols = np.nonzero(thinned)
    return Points(rows=rows.astype(float), cols=cols.astype(float), colours=frame[thinned])


def differences(
    points: Points,
    frame: Float[np.ndarray, "rows cols 3"],
    ups: Int[np.ndarray, " moves"],
    rights: Int[np.ndarray, " moves"],
) -> Float[np.ndarray, " moves"]:
    """How badly the points agree with a frame under each move: the mean over those that agree best.

    Infinite where too many of them leave the frame.
    """
    row = np.rint(points.rows[None] - ups[:, None]).astype(int)
    col = np.rint(points.cols[None] + rights[:, None]).astype(int)
    inside = (row >= 0) & (row < frame.shape[0]) & (col >= 0) & (col < frame.shape[1])
    seen = frame[row.clip(0, frame.shape[0] - 1), col.clip(0, frame.shape[1] - 1)]
    apart = np.minimum(np.linalg.norm(seen - points.colours[None], axis=2), SATURATION)
    apart = np.sort(np.where(inside, apart, np.inf), axis=1)
    kept = np.maximum(1, (inside.sum(axis=1) * AGREEING).astype(int))
    counted = np.arange(apart.shape[1])[None] < kept[:, None]
    mean = np.where(counted, apart, 0.0).sum(axis=1) / kept
    return np.where(inside.mean(axis=1) >= INSIDE, mean, np.inf)


def find_camera(background: Points, frame: Float[np.ndarray, "rows cols 3"]) -> Camera:
    """The zoom and shift under which the first frame's background agrees best with a later frame."""
    still = Camera(zoom=1.0, shift=0)
    if background.rows.size == 0:
        return still
    reach = round(PAN_REACH * WORKING_HEIGHT)
    least = STEADY * differences(background, frame, np.zeros(1, int), np.zeros(1, int))[0]
    best = still
    for zoom in ZOOMS:
        zoomed = background.zoomed(zoom, frame)
        for shifts in (np.arange(-reach, reach + 1, 2), np.arange(best.shift - 1, best.shift + 2)):
            found = differences(zoomed, frame, np.zeros_like(shifts), shifts)
            if found.min() < least:
                best, least = Camera(zoom=zoom, shift=int(shifts[found.argmin()])), found.min()
    return best


def find_step(figure: Points, frame: Float[np.ndarray, "rows cols 3"], camera: Camera) -> Step:
    """Where the figure's picture agrees best with a later frame."""
    zoomed = figure.zoomed(camera.zoom, frame)
    width = frame.shape[1]
    best, least = 0, float(best_of_bobs(zoomed, frame, np.zeros(1, int), camera)[0])
    bar = STEADY * least
    for coarse in (True, False):
        steps = np.arange(-width, width + 1, 2) if coarse else np.arange(best - 1, best + 2)
        found = best_of_bobs(zoomed, frame, steps, camera)
        if found.min() < bar:
            best, least = int(steps[found.argmin()]), float(found.min())
            bar = least
    return Step(pixels=best, difference=least)


def best_of_bobs(
    figure: Points, frame: Float[np.ndarray, "rows cols 3"], steps: Int[np.ndarray, " moves"], camera: Camera
) -> Float[np.ndarray, " moves"]:
    """The difference at each step, at the height where it is least."""
    rights = steps + camera.shift
    found = [differences(figure, frame, np.full_like(steps, up), rights) for up in BOB]
    return np.minimum.reduce(found)
