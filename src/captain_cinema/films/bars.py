"""What a single frame shows of black bars: dark sides, and whether the picture begins there all at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

BAR_LEVEL = 40.0
"""Brightness of a bar at most: bars are not quite black in many copies."""
CONTENT = 0.012
"""Share of a line that is brighter than the bar from which on the line is picture."""
SHARP, WEAK = 0.3, 0.06
"""Share of a line that gets brighter at once where a bar ends; fewer need a bar that is even."""


EVEN, UNEVEN = 1.5, 5.0
"""Noise of a bar at most in a good copy, and noise past which dark lines are no bar."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """What a frame shows at one of its sides."""

    dark: int
    """Pixels from the side to where the picture begins."""
    edge: int
    """2 for a sharp edge there or picture right at the side, 1 for a weak edge, 0 if it is not clear."""


def small_margins(image: UInt8[np.ndarray, "h w 3"]) -> tuple[int, int, int, int]:
    """Dark lines at the top, bottom, left and right of a reduced frame."""
    bright = cv2.threshold(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 24, 1, cv2.THRESH_BINARY)[1]
    height, width = bright.shape
    lines = (bright[0], bright[-1], bright[:, 0], bright[:, -1])
    if all(line.tobytes().count(1) > 2 * CONTENT * len(line) for line in lines):
        return 0, 0, 0, 0  # as in most films, told by the outermost lines alone
    rows = np.asarray(cv2.reduce(bright, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)).ravel() > 2 * CONTENT * width
    cols = np.asarray(cv2.reduce(bright, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)).ravel() > 2 * CONTENT * height
    return leading(rows), leading(rows[::-1]), leading(cols), leading(cols[::-1])


def leading(lines: np.ndarray) -> int:
    """How many false values a row of them begins with."""
    return int(lines.argmax()) if lines.any() else len(lines)


def measure_sides(grey: Any) -> tuple[Side, Side, Side, Side] | None:
    """What a frame shows at its sides; None if it is black, or nearly."""
    image = np.asarray(grey, np.uint8)
    above, beside = bars_of(image), bars_of(image.T)
    if is_even(above) and is_dark_picture(beside):
        beside = above
    elif is_even(beside) and is_dark_picture(above):
        above = beside
    rows = without_lettering(picture_lines(image, above))
    cols = picture_lines(image.T, beside)
    top, bottom, left, right = leading(rows), leading(rows[::-1]), leading(cols), leading(cols[::-1])
    height, width = image.shape
    if top + bottom > 0.96 * height or left + right > 0.96 * width:
        return None
    upright, lying = image[:, left : width - right], image[top : height - bottom].T
    return (
        measure_side(upright, top),
        measure_side(upright[::-1], bottom),
        measure_side(lying, left),
        measure_side(lying[::-1], right),
    )


def bars_of(image: UInt8[np.ndarray, "lines length"]) -> list[tuple[float, float]]:
    """Brightness and noise of the bars that the outermost lines on both sides may be part of."""
    return [bar for bar in (bar_level(image[:2]), bar_level(image[-2:])) if bar[0] <= BAR_LEVEL]


def is_even(bars: list[tuple[float, float]]) -> bool:
    """Whether the outermost lines on both sides are as even as bars are in good copies."""
    return len(bars) == 2 and all(noise < EVEN for _, noise in bars)


def is_dark_picture(bars: list[tuple[float, float]]) -> bool:
    """Whether outermost lines are as dark as bars, but uneven: then the other sides say what dark is."""
    return any(noise > UNEVEN for _, noise in bars)


def picture_lines(
    image: UInt8[np.ndarray, "lines length"], bars: list[tuple[float, float]]
) -> Bool[np.ndarray, " lines"]:
    """Which lines hold picture rather than bar."""
    if not bars:
        return np.ones(len(image), bool)
    limit = max(level + max(10.0, 4 * noise) for level, noise in bars)
    return np.asarray((image > limit).mean(1) > CONTENT)


def without_lettering(lines: np.ndarray) -> np.ndarray:
    """Lines of picture, without runs of a few with dark ones on both sides: subtitles in a bar, credits."""
    most = 0.12 * len(lines)
    ends = np.flatnonzero(np.diff(np.concatenate([[False], lines, [False]]).astype(np.int8)))
    kept = lines.copy()
    runs = list(zip(ends[::2], ends[1::2], strict=True))
    for ordered in (runs, runs[::-1]):
        for start, stop in ordered:
            if stop - start > most or start == 0 or stop == len(lines):
                break
            kept[start:stop] = False
    return kept


def bar_level(lines: UInt8[np.ndarray, "lines length"]) -> tuple[float, float]:
    """Brightness and noise of a bar that these lines would be part of."""
    level = float(np.median(lines))
    return level, 1.4826 * float(np.median(np.abs(lines.astype(np.float32) - level)))


def measure_side(image: UInt8[np.ndarray, "lines length"], dark: int) -> Side:
    """Whether the picture begins all at once after so many dark lines at the start of an image."""
    if dark == 0:
        level, noise = bar_level(image[:2])
        bright = float((image[:2] > min(level, BAR_LEVEL) + max(10.0, 4 * noise)).mean())
        return Side(dark=0, edge=2 if level > BAR_LEVEL or bright > 4 * CONTENT else 0)
    low, high = max(1, dark - 2), min(len(image) - 3, dark + 10)
    if high <= low:
        return Side(dark=dark, edge=0)
    means = image[low - 1 : high + 1].mean(1)
    rises = np.diff(means)
    place = low + int(np.argmax(rises > 0.6 * rises.max()))
    bar = image[max(0, place - 4) : place].astype(np.float32)
    behind = image[place : place + 4].astype(np.float32).mean(0)
    level, noise = bar_level(image[: max(2, place - 2)])
    share = float((behind - bar.mean(0) > max(4.0, 2.5 * noise)).mean())
    even = noise < EVEN and float(np.abs(image[:place].mean(1) - level).max(initial=0.0)) < 4
    if level > BAR_LEVEL or share < WEAK:
        return Side(dark=dark, edge=0)
    return Side(dark=place, edge=2 if share >= SHARP else int(even))
