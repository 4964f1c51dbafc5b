"""Where everything that a frame shows goes later in its shot: the truth about motion, piece by piece.

A frame is painted from shapes that keep their order and their corners while they move, so where a shape's
corners go says where each of its pixels goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from captain_cinema.playhouse.cutout import SHIFT, Piece
from captain_cinema.playhouse.render import Shape, back_to_sheet, figure_shapes, prop_shapes
from captain_cinema.playhouse.world import FrameState

RIM = 3
"""Pixels of 128 rows around a shape's edge that go with it: its rim of paper and the dark of its shadow."""
FRONT = 0.3
"""Depth of the hindmost shape; the backdrop is at 0, the foremost shape at 1."""


@dataclass(frozen=True, kw_only=True)
class Tracks:
    """Where the pixels of a frame go."""

    owner: Int[np.ndarray, "h w"]
    """Number of the shape that each pixel shows, by painting order; 0 is the backdrop."""
    moves: Float[np.ndarray, "frames shapes 2 3"]
    """Where a shape's pixels (x, y) are in each later frame."""
    carriages: Float[np.ndarray, "frames shapes 2 3"]
    """Where they would be if their figure only travelled, and the camera with it, without any gesture."""

    def depth(self) -> Float[np.ndarray, "h w"]:
        """How far in front each pixel is, 0 to 1."""
        count = self.moves.shape[1]
        return np.where(self.owner > 0, FRONT + (1 - FRONT) * self.owner / max(1, count - 1), 0.0)

    def displacement(
        self, rows: np.ndarray, cols: np.ndarray, *, gestures: bool = True
    ) -> Float[np.ndarray, "frames 2 rows cols"]:
        """How far the pixels of a grid go, right and down; without gestures, how far they only travel."""
        y, x = np.meshgrid(rows, cols, indexing="ij")
        place = np.stack([x, y, np.ones_like(x)], axis=-1).astype(np.float64)
        at = (self.moves if gestures else self.carriages)[:, self.owner[y, x]]
        return np.moveaxis(np.einsum("frcij,rcj->frci", at, place) - place[..., :2], -1, 1)


def track(first: FrameState, later: Sequence[FrameState], *, height: int = 128) -> Tracks:
    """Follow the shapes of a frame through later frames of the same shot.

    Args:
        first: the frame whose pixels are followed.
        later: frames of the same shot.
        height: rows of the frames; they are twice as wide.
    """
    papers = _papers(first, height)
    owner = np.zeros((height, 2 * height), np.int32)
    number = 1
    for paper in papers:
        numbers = range(number, number + len(paper))
        thick = max(1, round(RIM * height / 128))
        corners = [np.round(points * (1 << SHIFT)).astype(np.int32) for _, points in paper]
        for own, (piece, _), fixed in zip(numbers, paper, corners, strict=True):
            if piece.silhouette:
                cv2.polylines(owner, [fixed], True, own, 2 * thick + 1, cv2.LINE_8, SHIFT)
        for own, fixed in zip(numbers, corners, strict=True):
            cv2.fillPoly(owner, [fixed], own, cv2.LINE_8, SHIFT)
        number += len(paper)
    moves = np.empty((len(later), number, 2, 3))
    carriages = np.empty_like(moves)
    ways = [_whole(shape.to_pixels) for shape in _shapes(first, height)]
    start = _whole(back_to_sheet(first, height))
    back = [[np.linalg.pinv(np.c_[points, np.ones(len(points))]) for _, points in paper] for paper in papers]
    for frame, state in enumerate(later):
        moves[frame, 0] = (np.linalg.inv(_whole(back_to_sheet(state, height))) @ start)[:2]
        carriages[frame, 0] = moves[frame, 0]
        number = 1
        for paper, before, shape in zip(papers, ways, _shapes(state, height), strict=True):
            # Corners are counted from pixel centres, the way to the pixels is not.
            to = _CENTRED @ _whole(shape.to_pixels) @ np.linalg.inv(_CENTRED @ before)
            carriages[frame, number : number + len(paper)] = to[:2]
            number += len(paper)
        number = 1
        for paper, solved, moved in zip(papers, back, _papers(state, height), strict=True):
            found = _matched(paper, moved)
            known = next((i for i, points in enumerate(found) if points is not None), None)
            last = np.eye(2, 3) if known is None else (solved[known] @ found[known]).T
            for solve, points in zip(solved, found, strict=True):
                if points is not None:
                    last = (solve @ points).T
                moves[frame, number] = last
                number += 1
    return Tracks(owner=owner, moves=moves, carriages=carriages)


_CENTRED = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])


def _whole(matrix: np.ndarray) -> np.ndarray:
    return np.vstack([matrix, [0, 0, 1]])


def _shapes(state: FrameState, height: int) -> list[Shape]:
    return [*prop_shapes(state, height), *figure_shapes(state, height)]


def _papers(state: FrameState, height: int) -> list[list[tuple[Piece, np.ndarray]]]:
    """Every prop's and figure's shapes with their corners in pixels, in painting order."""
    papers = []
    for shape in _shapes(state, height):
        way = shape.to_pixels
        papers.append(
            [
                (piece, piece.points @ way[:, :2].T + (way[:, 2] - 0.5))
                for cutout in (shape.body, shape.held)
                for piece in cutout.pieces
            ]
        )
    return papers


def _matched(
    paper: list[tuple[Piece, np.ndarray]], moved: list[tuple[Piece, np.ndarray]]
) -> list[np.ndarray | None]:
    """For every shape the corners it has later: eyes close and breath rises, so shapes come and go.

    The n-th shape of a colour and so many corners is the n-th of them later; None where there is none.
    """
    found = defaultdict(list)
    for piece, points in moved:
        found[_kind(piece)].append(points)
    taken: dict[tuple[object, ...], int] = defaultdict(int)
    out: list[np.ndarray | None] = []
    for piece, _ in paper:
        kind = _kind(piece)
        place, taken[kind] = taken[kind], taken[kind] + 1
        out.append(found[kind][place] if place < len(found[kind]) else None)
    return out


def _kind(piece: Piece) -> tuple[object, ...]:
    return (piece.colour, len(piece.points), piece.silhouette)
