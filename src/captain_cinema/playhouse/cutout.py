"""Cut paper: flat shapes collected in a sheet's own coordinates, then painted with anti-aliased edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import cv2
import numpy as np

from captain_cinema.playhouse.palette import Colour

SHIFT = 5
"""Fractional bits of the coordinates given to OpenCV, so that shapes move by less than a pixel."""

Points = Sequence[tuple[float, float]]

_ANGLES = np.linspace(0, 2 * np.pi, 33)[:-1]
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)
_ARC_ANGLES = np.linspace(-np.pi / 2, np.pi / 2, 11)
_ARC = np.stack([np.cos(_ARC_ANGLES), np.sin(_ARC_ANGLES)], axis=1)


@lru_cache(maxsize=64)
def _spline(count: int, steps: int) -> np.ndarray:
    """Matrix that turns `count` corners into a closed quadratic B-spline of `count * steps` points."""
    matrix = np.zeros((count * steps, count))
    for corner in range(count):
        for step in range(steps):
            t = step / steps
            row = matrix[corner * steps + step]
            row[corner - 1] += (1 - t) ** 2 / 2
            row[corner] += 0.5 + t * (1 - t)
            row[(corner + 1) % count] += t * t / 2
    return matrix


def rounded(points: Points, steps: int = 5) -> np.ndarray:
    """The closed smooth curve that the corners pull towards them."""
    return _spline(len(points), steps) @ np.asarray(points, dtype=np.float64)


def affine(x: float, y: float, *, angle: float = 0.0, scale: float = 1.0, flip: bool = False) -> np.ndarray:
    """A 2x3 matrix: scale, turn by `angle`, mirror x when `flip`, then move to (x, y)."""
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    side = -1.0 if flip else 1.0
    return np.array([[side * cos, side * -sin, x], [sin, cos, y]])


def compose(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The transform that applies `inner` first, then `outer`."""
    out = outer[:, :2] @ inner
    out[:, 2] += outer[:, 2]
    return out


@dataclass(kw_only=True)
class Piece:
    """One shape of a cutout."""

    points: np.ndarray
    colour: Colour
    silhouette: bool


class Cutout:
    """A pile of shapes, bottom first, drawn in the coordinates that `place` says.

    `detail` shapes lie within others: they are painted but do not count for the silhouette.
    """

    def __init__(self) -> None:
        self.pieces: list[Piece] = []
        self._at: np.ndarray | None = None

    def place(self, transform: np.ndarray | None) -> None:
        """From now on shapes are given in coordinates that `transform` takes to the cutout's own."""
        self._at = transform

    def poly(self, points: Points | np.ndarray, colour: Colour, *, detail: bool = False) -> None:
        """A polygon with sharp corners."""
        array = np.asarray(points, dtype=np.float64)
        if self._at is not None:
            array = array @ self._at[:, :2].T + self._at[:, 2]
        self.pieces.append(Piece(points=array, colour=colour, silhouette=not detail))

    def blob(self, points: Points, colour: Colour, *, detail: bool = False) -> None:
        """A smooth shape pulled towards the corners."""
        self.poly(rounded(points), colour, detail=detail)

    def oval(
        self,
        x: float,
        y: float,
        rx: float,
        ry: float,
        colour: Colour,
        *,
        angle: float = 0,
        detail: bool = False,
    ) -> None:
        """An ellipse of half axes `rx` and `ry`, turned by `angle`."""
        points = _CIRCLE * (rx, ry)
        if angle:
            cos, sin = math.cos(angle), math.sin(angle)
            points = points @ np.array([[cos, sin], [-sin, cos]])
        self.poly(points + np.array((x, y)), colour, detail=detail)

    def disc(self, x: float, y: float, r: float, colour: Colour, *, detail: bool = False) -> None:
        """A circle."""
        self.poly(_CIRCLE * r + (x, y), colour, detail=detail)

    def limb(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        r_start: float,
        r_end: float,
        colour: Colour,
        *,
        detail: bool = False,
    ) -> None:
        """A tapered stroke with round ends."""
        dx, dy = end[0] - start[0], end[1] - start[1]
        length = math.hypot(dx, dy) or 1e-6
        cos, sin = dx / length, dy / length
        arc = _ARC @ np.array([[cos, sin], [-sin, cos]])
        self.poly(np.concatenate([arc * r_end + end, -arc * r_start + start]), colour, detail=detail)

    def curve(
        self, points: Points, r_start: float, r_end: float, colour: Colour, *, detail: bool = False
    ) -> None:
        """Limbs through `points`, tapering from `r_start` to `r_end`."""
        radii = np.linspace(r_start, r_end, len(points))
        for index in range(len(points) - 1):
            self.limb(points[index], points[index + 1], radii[index], radii[index + 1], colour, detail=detail)

    def fixed_point(self, transform: np.ndarray) -> list[np.ndarray]:
        """Every shape's corners in OpenCV's fixed-point pixels after `transform` (to pixels, y down)."""
        if not self.pieces:
            return []
        sizes = [len(piece.points) for piece in self.pieces]
        points = np.concatenate([piece.points for piece in self.pieces])
        # OpenCV's pixel centres lie on whole numbers: half a pixel keeps sizes in step at every resolution.
        pixels = points @ transform[:, :2].T + (transform[:, 2] - 0.5)
        fixed = np.round(pixels * (1 << SHIFT)).astype(np.int32)
        ends = list(accumulate(sizes))
        return [fixed[end - size : end] for size, end in zip(sizes, ends, strict=True)]


def fill(image: np.ndarray, points: np.ndarray, colour: Any) -> None:
    """Paint one anti-aliased polygon of fixed-point corners."""
    cv2.fillPoly(image, [points], colour, cv2.LINE_AA, SHIFT)


def pixel_sigma(length: float, height: int) -> float:
    """A blur radius given in frame heights, in pixels."""
    return max(0.3, length * height)


def blend(image: np.ndarray, alpha: np.ndarray, colour: Colour) -> None:
    """Lay `colour` over `image` in place, `alpha` (uint8, 0..255) says how much."""
    weight = cv2.merge([alpha, alpha, alpha])
    keep = cv2.multiply(image, cv2.bitwise_not(weight), scale=1 / 255)
    layer = np.empty_like(image)
    layer[:] = np.round(colour)
    cv2.add(keep, cv2.multiply(layer, weight, scale=1 / 255), dst=image)
