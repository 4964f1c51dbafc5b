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

import numpy as np

from captain_cinema.films.bars import Side, measure_sides, small_margins
from captain_cinema.films.decode import Frame
from captain_cinema.films.records import Crop

EVERY = 0.5
"""Seconds between frames that are looked at anyway."""
SMALL_WIDTH = 256
HOLDS = 3
"""Frames for which changed margins must hold to be looked at."""
APART = 5
"""Frames between looks at least."""
NEAR = 3
"""Pixels by which two edges may be apart and still be one."""
CUTS_OFF, CUTS_OFF_FAINT, LEAVES_BAR, CHANGES, CHANGES_KNOWN = 3.0, 1.5, 1.25, 4.0, 2.0
"""Costs of the course of borders: picture lost, a faint part of it lost, a bar left in, a change of borders,
and one between borders that are well known."""
KNOWN = 4
"""Frames that make borders well known."""


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
        self._looked = 0
        self._size = (0, 0)
        self._due = 0.0
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
        if not self._count or frame.seconds < self._due - 2 * EVERY:  # stamps may be reset
            self._due = frame.seconds
        self._count += 1
        margins = small_margins(frame.small(min(SMALL_WIDTH, frame.width)))
        hurried = self._change(frame.number, margins) and len(self._looks) < 16 + self._count / 8
        due = frame.seconds >= self._due or hurried
        if (frame.width, frame.height) != self._size:
            self._size, self._changed = (frame.width, frame.height), None
        elif frame.number - self._looked < APART or not due:
            return
        if frame.seconds >= self._due:
            self._due += EVERY * (1 + (frame.seconds - self._due) // EVERY)
        since = frame.number if self._changed is None else self._changed[0]
        self._margins, self._looked, self._changed = margins, frame.number, None
        sides = measure_sides(frame.grey())
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
        upright = lay_course(pairs_of(looks, 0, width), height)
        lying = lay_course(pairs_of(looks, 2, height), width)
        for look, (top, bottom), (left, right) in zip(looks, upright, lying, strict=True):
            crop = Crop(left=left, top=top, width=width - left - right, height=height - top - bottom)
            if not self._crops or asdict(crop) != asdict(self._crops[-1]):
                self._starts.append(look.since)
                self._crops.append(crop)


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What was seen at two opposite sides."""

    one: Side
    other: Side
    count: int
    """How often in a row."""
    across: bool
    """Whether the picture reaches from border to border in the other direction."""


def pairs_of(looks: Sequence[Look], first: int, size: int) -> list[Pair]:
    """What was seen at the top and bottom (`first` 0) or left and right (2).

    Args:
        size: of the frame in the other direction. The picture reaches across if it begins near where it
            mostly begins there.
    """
    sides = (2, 3) if first == 0 else (0, 1)
    usual = []
    for side in sides:
        sharp: Counter[int] = Counter()
        for look in looks:
            sharp[look.sides[side].dark] += look.count * (look.sides[side].edge == 2)
        usual.append(sharp.most_common(1)[0][0] if sharp.total() else 0)
    return [
        Pair(
            one=look.sides[first],
            other=look.sides[first + 1],
            count=look.count,
            across=all(
                look.sides[side].dark <= most + 0.06 * size for side, most in zip(sides, usual, strict=True)
            ),
        )
        for look in looks
    ]


def lay_course(pairs: Sequence[Pair], size: int) -> list[tuple[int, int]]:
    """The bars at two opposite sides, look by look: the course that costs least.

    Args:
        pairs: what was seen there.
        size: of the frame from one side to the other.
    """
    bars = [(0, 0), *likely_bars(pairs, size)]
    known = {bar: sum(pair.count for pair in pairs if shows(pair, bar)) for bar in bars}
    costs = np.array([[min(pair.count, 40) * cost(pair, bar) for bar in bars] for pair in pairs])
    change = np.array(
        [
            [CHANGES_KNOWN if min(known[one], known[other]) >= KNOWN else CHANGES for one in bars]
            for other in bars
        ]
    )
    np.fill_diagonal(change, 0)
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


def likely_bars(pairs: Sequence[Pair], size: int) -> list[tuple[int, int]]:
    """Pairs of bars that many looks show, the most frequent of those that are near each other.

    Bars that most of the film does not have must be alike on both sides, leave half of the picture, and have
    it reach across: titles, and windows in dark rooms, look like bars now and then, but not so.
    """
    seen: Counter[tuple[int, int]] = Counter()
    across: Counter[tuple[int, int]] = Counter()
    for pair in pairs:
        bar = (pair.one.dark, pair.other.dark)
        if pair.one.edge and pair.other.edge and sum(bar):
            seen[bar] += pair.count * min(pair.one.edge, pair.other.edge)
            across[bar] += pair.count * min(pair.one.edge, pair.other.edge) * pair.across
    half = sum(pair.count for pair in pairs) / 2
    bars: list[tuple[int, int]] = []
    for bar, _ in seen.most_common(64):
        if any(near(bar, one) for one in bars):
            continue
        support = sum(n for one, n in seen.items() if near(one, bar)) / 2
        reaching = sum(n for one, n in across.items() if near(one, bar)) / 2
        middle = abs(bar[0] - bar[1]) <= max(4, 0.02 * size) and sum(bar) <= size / 2
        if support >= half or (reaching >= 3 and middle):
            bars.append(bar)
    return bars


def near(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two pairs of bars are the same but for the encoder's doing."""
    return abs(one[0] - other[0]) <= NEAR and abs(one[1] - other[1]) <= NEAR


def shows(pair: Pair, bar: tuple[int, int]) -> bool:
    """Whether a look shows the edges of these bars."""
    return bool(pair.one.edge and pair.other.edge) and near((pair.one.dark, pair.other.dark), bar)


def cost(pair: Pair, bar: tuple[int, int]) -> float:
    """What speaks against bars in what was seen."""
    total = 0.0
    for side, size in zip((pair.one, pair.other), bar, strict=True):
        more = side.dark - size
        if more < -NEAR:
            total += CUTS_OFF if side.edge == 2 else CUTS_OFF_FAINT
        elif more > 1 and side.edge:
            total += LEAVES_BAR * side.edge / 2 * (1.0 if more > NEAR else 0.25)
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
