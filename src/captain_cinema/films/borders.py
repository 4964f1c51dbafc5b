"""Black borders, found over a film or stretch, and again wherever the aspect changes (section 3.1).

One frame does not tell a bar from a dark part of the picture. So frames are looked at twice a second, and
when the dark margins change for good. Each tells what is dark at its four sides, and whether the picture
begins there all at once along a straight line, as it does at a bar and hardly ever in a picture. Frames that
are black say nothing. A course of borders is then laid through the film: one that cuts no picture off, and
that has bars only where many frames show their edges at the same place.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from captain_cinema.films.decode import Frame
from captain_cinema.films.records import Crop

EVERY = 0.5
"""Seconds between frames that are looked at anyway."""
SMALL_WIDTH = 256
HOLDS = 3
"""Frames for which changed margins must hold to be looked at."""
APART = 5
"""Frames between looks at least."""
BAR_LEVEL = 40.0
"""Brightness of a bar at most: bars are not quite black in many copies."""
CONTENT = 0.012
"""Share of a line that is brighter than the bar from which on the line is picture."""
SHARP, WEAK = 0.3, 0.06
"""Share of a line that gets brighter at once where a bar ends; fewer need a bar that is even."""
NEAR = 3
"""Pixels by which two edges may be apart and still be one."""
CUTS_OFF, CUTS_OFF_FAINT, LEAVES_BAR, CHANGES, CHANGES_KNOWN = 3.0, 1.5, 1.0, 4.0, 2.0
"""Costs of the course of borders: picture lost, a faint part of it lost, a bar left in, a change of borders,
and one between borders that are well known."""
KNOWN = 8
"""Frames that make borders well known."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """What a frame shows at one of its sides."""

    dark: int
    """Pixels from the side to where the picture begins."""
    edge: int
    """2 for a sharp edge there or picture right at the side, 1 for a weak edge, 0 if it is not clear."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """What was seen in the frames from one number to another: top, bottom, left, right."""

    since: int
    last: int
    width: int
    height: int
    sides: tuple[Side, Side, Side, Side]
    count: int = 1
    """Frames looked at."""


class BorderFinder:
    """Finds the borders of frames that come in order; afterwards gives the picture's rectangle in each."""

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._margins = (0, 0, 0, 0)
        self._changed: tuple[int, tuple[int, int, int, int]] | None = None
        """Since when the margins are others than in the last look, and what they are."""
        self._held = 0
        self._looked = -APART
        self._due = 0.0
        self._first = 0.0
        self._count = 0
        self._course: _Course | None = None

    @classmethod
    def of(cls, evidence: Iterable[Sequence[Any]]) -> BorderFinder:
        """Put together what several finders saw of a film's stretches."""
        finder = cls()
        rows = sorted((row for part in evidence for row in part), key=lambda row: row[0])
        for since, last, width, height, count, *sides in rows:
            pairs = [Side(dark=dark, edge=edge) for dark, edge in zip(sides[::2], sides[1::2], strict=True)]
            top, bottom, left, right = pairs
            finder._looks.append(
                Look(
                    since=since,
                    last=last,
                    width=width,
                    height=height,
                    count=count,
                    sides=(top, bottom, left, right),
                )
            )
        return finder

    def evidence(self) -> list[list[int]]:
        """What was seen, in plain numbers."""
        return [
            [look.since, look.last, look.width, look.height, look.count]
            + [value for side in look.sides for value in astuple(side)]
            for look in self._looks
        ]

    def feed(self, frame: Frame) -> None:
        """The next frame."""
        if frame.flagged:
            return
        if not self._count:
            self._first = self._due = frame.seconds
        self._count += 1
        margins = small_margins(frame.small(min(SMALL_WIDTH, frame.width)))
        hurried = self._change(frame.number, margins) and len(self._looks) < 16 + 3 * (
            frame.seconds - self._first
        )
        if frame.number - self._looked < APART or not (frame.seconds >= self._due or hurried):
            return
        if frame.seconds >= self._due:
            self._due += EVERY * (1 + (frame.seconds - self._due) // EVERY)
        since = frame.number if self._changed is None else self._changed[0]
        self._margins, self._looked, self._changed = margins, frame.number, None
        sides = measure_sides(cv2.cvtColor(frame.full(), cv2.COLOR_RGB2GRAY))
        last = self._looks[-1] if self._looks else None
        if sides is not None:
            self._add(frame, sides, since)
        elif last is None or (last.width, last.height) != (frame.width, frame.height):
            # Nothing to be seen, but the size is to be known of a film that is black all through.
            unknown = Side(dark=max(frame.width, frame.height), edge=0)
            self._add(frame, (unknown, unknown, unknown, unknown), since)

    def crop_at(self, number: int) -> Crop:
        """The picture inside the borders of a frame.

        Raises:
            ValueError: no frame was seen at all.
        """
        if self._course is None or self._course.looks != len(self._looks):
            self._course = _Course(self._looks)
        return self._course.at(number)

    def _change(self, number: int, margins: tuple[int, int, int, int]) -> bool:
        """Whether the margins are others than in the last look, and have held for a while."""
        if all(abs(one - other) < 2 for one, other in zip(margins, self._margins, strict=True)):
            self._changed = None
            return False
        if self._changed is None or any(
            abs(one - other) > 1 for one, other in zip(margins, self._changed[1], strict=True)
        ):
            self._changed, self._held = (number, margins), 0
        self._held += 1
        return self._held >= HOLDS

    def _add(self, frame: Frame, sides: tuple[Side, Side, Side, Side], since: int) -> None:
        look = Look(since=since, last=frame.number, width=frame.width, height=frame.height, sides=sides)
        before = self._looks[-1] if self._looks else None
        if before is not None and (before.width, before.height, before.sides) == (
            look.width,
            look.height,
            look.sides,
        ):
            changes = {"last": look.last, "count": before.count + 1}
            self._looks[-1] = Look(**{**before.__dict__, **changes})
        else:
            self._looks.append(look)


def small_margins(image: UInt8[np.ndarray, "h w 3"]) -> tuple[int, int, int, int]:
    """Dark lines at the top, bottom, left and right of a reduced frame."""
    bright = cv2.threshold(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), 24, 1, cv2.THRESH_BINARY)[1]
    height, width = bright.shape
    rows = np.asarray(cv2.reduce(bright, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)).ravel() > 2 * CONTENT * width
    cols = np.asarray(cv2.reduce(bright, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32S)).ravel() > 2 * CONTENT * height
    return leading(rows), leading(rows[::-1]), leading(cols), leading(cols[::-1])


def leading(lines: np.ndarray) -> int:
    """How many false values a row of them begins with."""
    return int(lines.argmax()) if lines.any() else len(lines)


def measure_sides(grey: Any) -> tuple[Side, Side, Side, Side] | None:
    """What a frame shows at its sides; None if it is black, or nearly."""
    image = np.asarray(grey, np.uint8)
    rows, cols = picture_lines(image), picture_lines(image.T)
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


def picture_lines(image: UInt8[np.ndarray, "lines length"]) -> np.ndarray:
    """Which lines hold picture rather than bar, told by the darker of the two outermost lines."""
    levels = [bar_level(image[:2]), bar_level(image[-2:])]
    limits = [level + max(10.0, 4 * noise) for level, noise in levels if level <= BAR_LEVEL]
    if not limits:
        return np.ones(len(image), bool)
    return np.asarray((image > max(limits)).mean(1) > CONTENT)


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
    even = noise < 1.5 and float(np.abs(image[:place].mean(1) - level).max(initial=0.0)) < 4
    if level > BAR_LEVEL or share < WEAK:
        return Side(dark=dark, edge=0)
    return Side(dark=place, edge=2 if share >= SHARP else int(even))


class _Course:
    """The borders of a film from beginning to end."""

    def __init__(self, looks: Sequence[Look]) -> None:
        if not looks:
            raise ValueError("no frame was looked at, so nothing is known of its borders")
        self.looks = len(looks)
        self._starts: list[int] = []
        self._crops: list[Crop] = []
        begin = 0
        for place in range(1, len(looks) + 1):
            same = place < len(looks) and (looks[place].width, looks[place].height) == (
                looks[begin].width,
                looks[begin].height,
            )
            if not same:
                self._lay(looks[begin:place])
                begin = place

    def at(self, number: int) -> Crop:
        return self._crops[max(0, bisect_right(self._starts, number) - 1)]

    def _lay(self, looks: Sequence[Look]) -> None:
        """Borders for frames of one size."""
        width, height = looks[0].width, looks[0].height
        upright = lay_course([(look.sides[0], look.sides[1], look.count) for look in looks], height)
        lying = lay_course([(look.sides[2], look.sides[3], look.count) for look in looks], width)
        for look, (top, bottom), (left, right) in zip(looks, upright, lying, strict=True):
            crop = Crop(left=left, top=top, width=width - left - right, height=height - top - bottom)
            if not self._crops or asdict(crop) != asdict(self._crops[-1]):
                self._starts.append(look.since)
                self._crops.append(crop)


def lay_course(looks: Sequence[tuple[Side, Side, int]], size: int) -> list[tuple[int, int]]:
    """The bars at two opposite sides, look by look: the course that costs least.

    Args:
        looks: what was seen at either side, and how often in a row.
        size: of the frame from one side to the other.
    """
    bars = [(0, 0), *likely_bars(looks, size)]
    known = Counter({bar: sum(n for one, other, n in looks if shows(one, other, bar)) for bar in bars})
    costs = np.array([[min(n, 40) * cost(one, other, bar) for bar in bars] for one, other, n in looks])
    change = np.array(
        [
            [
                0.0 if one == other else CHANGES_KNOWN if min(known[one], known[other]) >= KNOWN else CHANGES
                for one in bars
            ]
            for other in bars
        ]
    )
    total = costs[0]
    came: list[np.ndarray] = []
    for row in costs[1:]:
        ways = total[None, :] + change
        came.append(ways.argmin(1))
        total = ways.min(1) + row
    place = int(total.argmin())
    places = [place]
    for back in reversed(came):
        place = int(back[place])
        places.append(place)
    return [bars[place] for place in reversed(places)]


def likely_bars(looks: Sequence[tuple[Side, Side, int]], size: int) -> list[tuple[int, int]]:
    """Pairs of bars that many looks show, the most frequent of those that are near each other.

    Bars that most of the film does not have must be alike on both sides and leave half of the picture: titles
    and windows in dark rooms look like that now and then, but not in the middle.
    """
    seen: Counter[tuple[int, int]] = Counter()
    total = 0
    for one, other, count in looks:
        total += count
        if one.edge and other.edge and one.dark + other.dark:
            seen[(one.dark, other.dark)] += count * min(one.edge, other.edge)
    bars: list[tuple[int, int]] = []
    for bar, _ in seen.most_common(64):
        if any(abs(bar[0] - one) <= NEAR and abs(bar[1] - other) <= NEAR for one, other in bars):
            continue
        support = sum(n for (one, other), n in seen.items() if near((one, other), bar)) / 2
        middle = abs(bar[0] - bar[1]) <= max(4, 0.02 * size) and sum(bar) <= size / 2
        if support >= total / 2 or (support >= 3 and middle):
            bars.append(bar)
    return bars


def near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two pairs of bars are the same but for the encoder's doing."""
    return abs(one[0] - other[0]) <= NEAR and abs(one[1] - other[1]) <= NEAR


def shows(one: Side, other: Side, bar: tuple[int, int]) -> bool:
    """Whether a look shows the edges of these bars."""
    return bool(one.edge and other.edge) and near((one.dark, other.dark), bar)


def cost(one: Side, other: Side, bar: tuple[int, int]) -> float:
    """What speaks against bars in what was seen."""
    total = 0.0
    for side, size in zip((one, other), bar, strict=True):
        if side.dark < size - NEAR:
            total += CUTS_OFF if side.edge == 2 else CUTS_OFF_FAINT
        elif side.dark > size + NEAR and side.edge:
            total += LEAVES_BAR * side.edge / 2
    return total


def crop_two_to_one(border: Crop) -> Crop:
    """The largest 2:1 rectangle in the middle of another one; at least 2 x 1 pixels."""
    if border.width >= 2 * border.height:
        height = max(1, border.height)
        width = min(border.width, 2 * height)
    else:
        height = max(1, border.width // 2)
        width = min(border.width, 2 * height)
    return Crop(
        left=border.left + (border.width - width) // 2,
        top=border.top + (border.height - height) // 2,
        width=width,
        height=height,
    )
