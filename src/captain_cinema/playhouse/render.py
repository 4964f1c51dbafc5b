"""Draw a frame of the playhouse: the backdrop of a place, the cast and the props as cut paper, the weather.

`draw` is a pure function of the frame's state; the only memory is a bounded cache of painted backdrops.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from captain_cinema.playhouse.backdrop import MARGIN, OVERSIZE
from captain_cinema.playhouse.cutout import Cutout, affine, blend, fill, pixel_sigma
from captain_cinema.playhouse.figures import build
from captain_cinema.playhouse.motion import speed, stance
from captain_cinema.playhouse.palette import PAPER, figure_tint
from captain_cinema.playhouse.props import GRIP_HEIGHT, HELD
from captain_cinema.playhouse.settings import backdrop
from captain_cinema.playhouse.weather import fall
from captain_cinema.playhouse.world import INDOORS, FrameState

FIGURE_HEIGHT = {"wide": (0.68, 0.68, 0.68), "medium": (1.1, 1.1, 0.9), "close-up": (1.6, 1.3, 1.0)}
"""Height of a medium figure in frame heights, by framing, for one, two and three or more figures."""
HEAD_TOP = {"wide": 0.26, "medium": 0.2, "close-up": 0.22}
"""Where the top of a medium figure's head is."""
STATURE = {
    "wide": {"short": 0.86, "medium": 1.0, "tall": 1.14},
    "medium": {"short": 0.92, "medium": 1.0, "tall": 1.08},
    "close-up": {"short": 0.95, "medium": 1.0, "tall": 1.05},
}
SPREAD = {"wide": 1.0, "medium": 1.0, "close-up": 0.8}
"""Frame heights per unit of the stage between places of figures."""
ZOOM = {"wide": (1.0, 0.5), "medium": (1.35, 0.48), "close-up": (1.8, 0.44)}
"""How much a framing enlarges the backdrop, and the height it looks at."""
MARK = 1 / 8
"""Figures and things stand on marks, so far apart in frame heights: 16 pixels of 128, which is one latent of
the embedded VAE. A small model then meets a character in a few places, not at every pixel."""
PAN, PUSH = 1 / 16, 0.08
"""How far the camera travels in a second, and how much it zooms in."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a figure or a prop stands in the frame: its feet, in frame heights, and its size."""

    x: float
    y: float
    scale: float


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A figure cut out and ready to paint: its paper and the way to the frame's pixels."""

    body: Cutout
    held: Cutout
    to_pixels: np.ndarray


def draw(state: FrameState, *, height: int = 128) -> np.ndarray:
    """Draw one frame of the playhouse.

    Args:
        state: all there is to know about the frame.
        height: rows of the frame; it is twice as wide.

    Returns:
        uint8 RGB [height, 2 * height, 3], a new array.
    """
    image = _background(state, height)
    for shape in prop_shapes(state, height):
        _paint(image, shape, state.hour)
    for shape in figure_shapes(state, height):
        _paint(image, shape, state.hour)
    fall(image, state)
    return image


def figure_mask(state: FrameState, index: int, *, height: int = 128, held: bool = False) -> np.ndarray:
    """Where a figure is on top: its body, hat and accessories, without what it holds or what hides it.

    Args:
        state: the frame.
        index: which of `state.poses`.
        height: rows of the frame.
        held: what it holds belongs to it.

    Returns:
        bool [height, 2 * height].
    """
    shapes = figure_shapes(state, height)
    size = (height, 2 * height)
    own = np.zeros(size, np.uint8)
    over = np.zeros(size, np.uint8)
    _stamp(own, shapes[index].body, shapes[index].to_pixels)
    _stamp(own if held else over, shapes[index].held, shapes[index].to_pixels)
    for shape in shapes[index + 1 :]:
        _stamp(over, shape.body, shape.to_pixels)
        _stamp(over, shape.held, shape.to_pixels)
    return (own > 127) & (over <= 127)


def figure_box(state: FrameState, index: int, *, height: int = 128) -> tuple[int, int, int, int] | None:
    """The box around `figure_mask`: x0, y0, x1, y1 in pixels, ends exclusive; None if nothing shows."""
    mask = figure_mask(state, index, height=height)
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _camera(state: FrameState) -> tuple[float, float]:
    """How far the camera has travelled to the right, and how much it has zoomed in."""
    moved = min(max(0.0, state.duration), max(0.0, state.seconds))
    travel = {"pan left": -PAN, "pan right": PAN}.get(state.camera, 0.0) * moved
    return travel, 1 + (PUSH * moved if state.camera == "push in" else 0.0)


def _background(state: FrameState, height: int) -> np.ndarray:
    weather = "clear" if state.place.setting in INDOORS else state.weather
    sheet = backdrop(state.place, state.hour, weather, height)
    return cv2.warpAffine(
        sheet,
        back_to_sheet(state, height),
        (2 * height, height),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )


def back_to_sheet(state: FrameState, height: int) -> np.ndarray:
    """From a frame's pixel to the pixel of the backdrop's sheet that it shows, both from pixel centres."""
    travel, push = _camera(state)
    zoom, look_y = ZOOM[state.framing]
    # In the closer framings the camera turns a little towards the cast, so the place is seen from many sides.
    aim = 0.0
    if state.framing != "wide" and state.poses:
        aim = 0.3 * (sum(min(1.6, max(0.4, pose.x)) for pose in state.poses) / len(state.poses) - 1)
    look_x = 1 + aim + travel * 0.8
    zoom *= push
    scale = OVERSIZE / zoom
    return np.array(
        [
            [scale, 0, (look_x - 1 / zoom + MARGIN) * OVERSIZE * height + 0.5 * scale - 0.5],
            [0, scale, (look_y - 0.5 / zoom) * OVERSIZE * height + 0.5 * scale - 0.5],
        ]
    )


def _spots(state: FrameState) -> list[Spot]:
    """Where every figure stands, spread so that they overlap as little as the frame allows."""
    if not state.poses:
        return []
    count = min(3, len(state.poses))
    tall = FIGURE_HEIGHT[state.framing][count - 1]
    spread = SPREAD[state.framing] if count == 1 else 1.1
    centres = [1 + (pose.x - 1) * spread for pose in state.poses]
    gap = 0.46 * tall
    for _ in range(4):
        order = sorted(range(len(centres)), key=lambda i: (centres[i], i))
        for left, right in pairwise(order):
            lack = gap - (centres[right] - centres[left])
            if lack > 0:
                centres[left] -= lack / 2
                centres[right] += lack / 2
        edge = min(0.5, 0.24 * tall)
        centres = [min(2 - edge, max(edge, x)) for x in centres]
    spots = []
    for pose, x in zip(state.poses, centres, strict=True):
        size = tall * STATURE[state.framing][pose.character.look.height]
        pace = speed(pose.action)
        if pace:
            # Begin against the direction of travel, so that the figure is in the frame for most of the shot.
            room = 0.5 * abs(pace) * min(2.5, max(0.0, state.duration))
            edge = min(0.45, 0.26 * tall)
            x = min(2 - edge, max(edge, x - room)) if pace > 0 else max(edge, min(2 - edge, x + room))
        x = _on_mark(x) + pace * pose.phase
        spots.append(Spot(x=x, y=HEAD_TOP[state.framing] + tall, scale=size))
    return spots


def _on_mark(x: float) -> float:
    """The nearest mark that is not at the edge of the frame."""
    return MARK * min(2 / MARK - 2, max(2, round(x / MARK)))


def _to_pixels(state: FrameState, spot: Spot, height: int, facing: int) -> np.ndarray:
    """From a figure's own coordinates (y up) to the frame's pixels, the camera's move included."""
    travel, push = _camera(state)
    zoom = 1 + (push - 1) * 1.25
    x = 1 + (spot.x - travel * 1.5 - 1) * zoom
    y = 0.5 + (spot.y - 0.5) * zoom if state.framing == "wide" else 0.4 + (spot.y - 0.4) * zoom
    size = spot.scale * zoom * height
    return np.array([[facing * size, 0, x * height], [0, -size, y * height]])


def figure_shapes(state: FrameState, height: int) -> list[Shape]:
    """The cast, cut out: one shape for each pose, the hindmost first."""
    shapes = []
    for pose, spot in zip(state.poses, _spots(state), strict=True):
        held = stance(pose)
        figure = build(pose.character.look, held, pose.holds)
        to_pixels = _to_pixels(state, spot, height, held.facing)
        shapes.append(Shape(body=figure.body, held=figure.held, to_pixels=to_pixels))
    return shapes


def prop_shapes(state: FrameState, height: int) -> list[Shape]:
    """The things that stand by themselves, cut out, the hindmost first."""
    shapes = []
    taken = [spot.x for spot in _spots(state)]
    for prop in state.props:
        count = min(3, max(1, len(state.poses)))
        tall = FIGURE_HEIGHT[state.framing][count - 1]
        tall = min(tall, 0.95)
        x = 1 + (prop.x - 1) * SPREAD[state.framing]
        near = min(taken, key=lambda other: abs(other - x), default=None)
        if near is not None and abs(near - x) < 0.3 * tall:
            x = near + (0.34 * tall if (x >= near) == (near < 1.7) or near < 0.3 else -0.34 * tall)
        paper = Cutout()
        paper.place(affine(0, GRIP_HEIGHT[prop.prop]))
        HELD[prop.prop](paper)
        spot = Spot(x=_on_mark(x), y=min(0.965, HEAD_TOP[state.framing] + tall), scale=tall)
        shapes.append(Shape(body=paper, held=Cutout(), to_pixels=_to_pixels(state, spot, height, 1)))
    return shapes


def _stamp(mask: np.ndarray, paper: Cutout, to_pixels: np.ndarray) -> None:
    for piece, points in zip(paper.pieces, paper.fixed_point(to_pixels), strict=True):
        if piece.silhouette:
            fill(mask, points, 255)


def _rim_table() -> np.ndarray:
    """From a blurred silhouette to the opacity of the paper rim: full by the edge, none further away."""
    return np.clip((np.arange(256) - 26) * 5.0, 0, 255).astype(np.uint8)


_RIM = _rim_table()


def _paint(image: np.ndarray, shape: Shape, hour: str) -> None:
    """A soft shadow, a rim of paper, then the shapes; only the touched part of the frame is blended."""
    height, width = image.shape[:2]
    papers = [(paper, paper.fixed_point(shape.to_pixels)) for paper in (shape.body, shape.held)]
    box = _extent([points for _, polygons in papers for points in polygons], height, width)
    if box is None:
        return
    x0, y0, x1, y1 = box
    mask = np.zeros((height, width), np.uint8)
    for paper, polygons in papers:
        for piece, points in zip(paper.pieces, polygons, strict=True):
            if piece.silhouette:
                fill(mask, points, 255)
    part = image[y0:y1, x0:x1]
    cut = np.ascontiguousarray(mask[y0:y1, x0:x1])
    offset = affine(0.008 * height, 0.012 * height)
    shadow = cv2.warpAffine(cut, offset, cut.shape[::-1])
    shadow = cv2.GaussianBlur(shadow, (0, 0), pixel_sigma(0.016, height))
    blend(part, cv2.convertScaleAbs(shadow, alpha=0.42), (20, 16, 36))
    rim = cv2.LUT(cv2.GaussianBlur(cut, (0, 0), pixel_sigma(0.009, height)), _RIM)
    blend(part, rim, figure_tint(PAPER, hour))
    for paper, polygons in papers:
        for piece, points in zip(paper.pieces, polygons, strict=True):
            fill(image, points, figure_tint(piece.colour, hour))


def _extent(polygons: list[np.ndarray], height: int, width: int) -> tuple[int, int, int, int] | None:
    """The part of the frame that the polygons, their rim and shadow touch; None when outside the frame."""
    points = np.concatenate(polygons)
    margin = 3 + round(0.08 * height)
    low = (points.min(axis=0) >> 5) - margin
    high = (points.max(axis=0) >> 5) + margin
    x0, y0 = max(0, int(low[0])), max(0, int(low[1]))
    x1, y1 = min(width, int(high[0])), min(height, int(high[1]))
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
