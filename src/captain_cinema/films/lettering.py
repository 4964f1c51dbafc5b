"""How much of what there is to see in a frame is lettering: text cards and credits.

Letters are strokes: thin, all of one brightness, on an even ground, side by side in lines. Strokes stand out
from what a morphological opening (or closing, for dark ones) leaves of an image. Closing gaps between them
makes lines of text into blobs, which are told from other blobs by their shape, by how even the ground between
the strokes is, by how often a row of pixels goes from ground to stroke, and by there being two levels of
brightness, ink and ground: leaves and stones have all that lie between. On a card nearly all sharp edges
lie in such lines; in a picture with a title or subtitles over it, the picture has edges of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

WIDTH = 400
"""At which edges are counted and ordinary letters are looked for."""
FEWEST_EDGES = 30
ENOUGH = 0.95
SMALL_LINE = 16
"""Pixels below which a line is of small letters, whose edges are most of what they are."""
TWO_LEVELS_SMALL, TWO_LEVELS = 0.74, 0.83
"""Share of the variance that two levels explain, from which on a line is ink and ground."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """A size of letters."""

    whole: bool
    """Looked for in the whole image rather than at `WIDTH`."""
    stroke: int
    """Strokes are thinner than so many pixels."""
    gap: tuple[int, int]
    """Width and height of the gaps that are closed."""


SCALES = (
    Scale(whole=False, stroke=9, gap=(11, 3)),
    Scale(whole=False, stroke=31, gap=(41, 7)),
    Scale(whole=True, stroke=7, gap=(13, 1)),
)


def text_share(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Share of the sharp edges of an image that is lettering, 0 to 1."""
    height, width = grey.shape
    small = grey
    if width > WIDTH:
        size = (WIDTH, max(1, round(height * WIDTH / width)))
        small = np.asarray(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), np.uint8)
    across, down = (
        cv2.convertScaleAbs(cv2.Sobel(small, cv2.CV_16S, *way), alpha=0.5) for way in ((1, 0), (0, 1))
    )
    slopes = np.asarray(cv2.add(across, down))
    edges = slopes > max(20.0, 0.25 * percentile(slopes, 99.5))
    count = int(edges.sum())
    if count < FEWEST_EDGES:
        return 0.0
    lettering = np.zeros(edges.shape, bool)
    share = 0.0
    for scale in SCALES:
        if share > ENOUGH or (scale.whole and small is grey):
            break
        image = grey if scale.whole else small
        factor = small.shape[1] / image.shape[1]
        for left, top, right, bottom in lines_of_text(image, scale):
            rows = slice(max(0, int(top * factor) - 2), int(bottom * factor) + 3)
            lettering[rows, max(0, int(left * factor) - 2) : int(right * factor) + 3] = True
        share = float((edges & lettering).sum()) / count
    return share


def lines_of_text(grey: UInt8[np.ndarray, "h w"], scale: Scale) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, right and bottom of what looks like a line of letters of a size."""
    element = cv2.getStructuringElement(cv2.MORPH_RECT, (scale.stroke, scale.stroke))
    for operation in (cv2.MORPH_TOPHAT, cv2.MORPH_BLACKHAT):
        standing_out = np.asarray(cv2.morphologyEx(grey, operation, element))
        limit = max(25.0, 0.5 * percentile(standing_out, 99.7))
        strokes = (standing_out > limit).astype(np.uint8)
        gap = cv2.getStructuringElement(cv2.MORPH_RECT, scale.gap)
        blobs = cv2.morphologyEx(strokes, cv2.MORPH_CLOSE, gap)
        # Labels of two bytes are twice as fast; closed gaps leave room for few blobs.
        labels = cv2.CV_16U if blobs.size < 1 << 20 else cv2.CV_32S
        boxes = cv2.connectedComponentsWithStats(blobs, connectivity=8, ltype=labels)[2][1:]
        wide, high = boxes[:, cv2.CC_STAT_WIDTH], boxes[:, cv2.CC_STAT_HEIGHT]
        like_lines = (high >= 3) & (wide >= np.maximum(10, 1.8 * high)) & (high <= 2.2 * scale.stroke)
        for left, top, width, height, _ in boxes[like_lines].tolist():
            box = (slice(top, top + height), slice(left, left + width))
            if is_lettering(grey[box], strokes[box]):
                yield left, top, left + width, top + height


def percentile(values: UInt8[np.ndarray, "h w"], share: float) -> float:
    """As NumPy has it, by counting: faster for bytes than sorting."""
    counts = np.asarray(cv2.calcHist([values], [0], None, [256], [0, 256])).ravel()
    reached = np.cumsum(counts, dtype=np.float64)
    place = share / 100 * (values.size - 1)
    lower = int(place)
    low, high = np.searchsorted(reached, [lower, min(lower + 1, values.size - 1)], side="right").tolist()
    return low + (high - low) * (place - lower)


def is_lettering(grey: UInt8[np.ndarray, "h w"], strokes: UInt8[np.ndarray, "h w"]) -> bool:
    """Whether strokes in a box are letters on an even ground."""
    if not 0.12 < cv2.countNonZero(strokes) / strokes.size < 0.75:
        return False
    inside = strokes.astype(bool)
    # The quickest questions first; most boxes are none.
    height, width = grey.shape
    changes = (inside[:, 1:] != inside[:, :-1]).sum(1)
    if int(changes.max()) < width / height:
        return False
    # Stems are nearly as high as their line; the specks of a texture are not.
    stems = cv2.erode(strokes, np.ones((math.ceil(0.4 * height), 1), np.uint8), borderValue=0)
    if float(np.asarray(stems).any(0).mean()) <= 0.05:
        return False
    if two_levels(grey) < (TWO_LEVELS_SMALL if height < SMALL_LINE else TWO_LEVELS):
        return False
    ground = grey[cv2.dilate(strokes, np.ones((3, 3), np.uint8)) == 0]
    unevenness = float(ground.std()) if len(ground) >= 5 else 0.0
    contrast = abs(float(np.median(grey[inside])) - float(np.median(grey[~inside])))
    return unevenness <= 3 + 0.2 * contrast


def two_levels(grey: UInt8[np.ndarray, "h w"]) -> float:
    """Share of the variance of brightness that the best two levels explain (Otsu, 1979)."""
    limit, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    first = int(limit) + 1
    counts = np.bincount(grey.ravel(), minlength=256)
    light, all_levels = counts[first:], np.arange(256)
    above, total = int(light.sum()), grey.size
    if not 0 < above < total:
        return 0.0
    levels, levels_above = int(counts @ all_levels), int(light @ all_levels[first:])
    spread = float(counts @ all_levels**2) / total - (levels / total) ** 2
    share = above / total
    apart = levels_above / above - (levels - levels_above) / (total - above)
    return share * (1 - share) * apart**2 / spread
