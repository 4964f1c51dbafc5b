"""Sections 3.1 and 3.3: the mid-shot frame and the first clean frame of every shot, in one sequential pass.

While a shot runs, its length is not known. So decoded frames are held, all of them as long as they fit. After
that its first ones, its newest ones, some spread over all of it, and of those that may turn out to be its
middle every second, fourth, eighth: it is then off by at most 1/64 of the shot's length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from captain_cinema.films.decode import Frame
from captain_cinema.films.records import Role

HELD_BYTES = 448 << 20
"""What the held frames of a film take at most."""
MOST = 192
"""Frames held at most, however small."""
FIRST, SPREAD = 6, 16
"""Frames held from the start of a shot, and spread over all of it."""
DARK = 2.5
"""A frame may be black inside its borders if its mean brightness is below so many times that of black: of the
frame, borders take more than half at most."""
SMALL_WIDTH = 256

BLEND_SHARE, BLEND_REST = 0.12, 0.2
"""A first frame is a blend of two shots if it has so much of the last frame before it, and is a mix of that
and the next one but for so much."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A frame that may become the keyframe of a shot."""

    role: Role
    rank: int
    """0 for the rule's own frame; others stand in if that is black."""
    number: int
    frame: Frame | None
    """None if it is not held, and must be fetched by another pass."""
    replaced: str = ""


@dataclass(frozen=True, kw_only=True)
class ClosedShot:
    """A shot that is over, and the frames that may stand for it."""

    start: int
    end: int
    """Exclusive."""
    choices: tuple[Choice, ...]


@dataclass(kw_only=True)
class Holding:
    """The frames held of the shot under way.

    Args:
        start: number of its first frame.
        lag: how many frames after a cut it becomes known at most.
        most: frames held at most.
        black: mean brightness of a black frame.
    """

    start: int
    lag: int
    most: int
    black: float
    frames: dict[int, Frame] = field(default_factory=dict)
    flagged: list[int] = field(default_factory=list)
    newest: int = -1
    _before: Frame | None = None
    """The last frame before the shot."""
    _spread: int = 1
    _stride: int = 1

    def add(self, frame: Frame) -> None:
        """The next frame of the film."""
        self.newest = frame.number
        if frame.flagged:
            self.flagged.append(frame.number)
        else:
            self.frames[frame.number] = frame
        if len(self.frames) > self.most:
            self._let_go()

    def close(self, end: int, *, clean_end: int | None = None) -> ClosedShot:
        """The shot ends before frame `end`, and the next one begins there.

        Args:
            end: number of the first frame of the next shot.
            clean_end: where the fade or dissolve to the next shot begins, if it does.
        """
        last = end if clean_end is None else max(self.start + 1, min(end, clean_end))
        own = {number: frame for number, frame in self.frames.items() if self.start <= number < last}
        choices = (*self._middle(own, last), *self._first(own, last))
        closed = ClosedShot(start=self.start, end=end, choices=choices)
        self._before = self.frames.get(end - 1)
        self.start, self._spread, self._stride = end, 1, 1
        self.frames = {number: frame for number, frame in self.frames.items() if number >= end}
        self.flagged = [number for number in self.flagged if number >= end]
        return closed

    def _let_go(self) -> None:
        """Thin the frames out to three quarters of what fits."""
        length = self.newest - self.start + 1
        while length / self._spread > SPREAD:
            self._spread *= 2
        for newest in (min(self.lag, self.most // 3), min(self.lag, self.most // 6), 2):
            while self._stride <= max(1, length // 64):
                kept = {n: frame for n, frame in self.frames.items() if self._is_held(n, length, newest)}
                if len(kept) <= self.most * 3 // 4:
                    self.frames = kept
                    return
                self._stride *= 2
            self._stride //= 2
        # Frames so large that hardly any fits: another pass fetches what is missing.
        self.frames = dict(list(self.frames.items())[-max(1, self.most // 2) :])

    def _is_held(self, number: int, length: int, newest: int) -> bool:
        offset = number - self.start
        if offset < FIRST or self.newest - number < newest or offset % self._spread == 0:
            return True
        # The shot may have ended as long ago as a cut takes to be told.
        return offset >= (length - self.lag) // 2 and offset % self._stride == 0

    def _middle(self, own: dict[int, Frame], last: int) -> Iterable[Choice]:
        wanted = self.start + (last - self.start) // 2
        slack = max(1, (last - self.start) // 64)
        nearest = min(own, key=lambda number: (abs(number - wanted), number), default=None)
        flagged = wanted in self.flagged
        if nearest is None or (abs(nearest - wanted) > slack and not flagged):
            if not self._all_flagged(last):
                yield Choice(role="middle", rank=0, number=wanted, frame=None)
            return
        replaced = "corrupt" if flagged and nearest != wanted else ""
        yield Choice(role="middle", rank=0, number=nearest, frame=own[nearest], replaced=replaced)
        others = [frame for number, frame in own.items() if number != nearest]
        yield from self._lighter("middle", own[nearest], others, wanted)

    def _first(self, own: dict[int, Frame], last: int) -> Iterable[Choice]:
        numbers = sorted(own)
        wanted, replaced = self.start, ""
        while wanted in self.flagged:
            wanted, replaced = wanted + 1, "corrupt"
        if wanted >= last:
            return
        if wanted not in own:
            yield Choice(role="first", rank=0, number=wanted, frame=None, replaced=replaced)
            return
        after = own.get(wanted + 1)
        if self._before is not None and after is not None and is_blend(self._before, own[wanted], after):
            wanted, replaced = wanted + 1, "transition"
        yield Choice(role="first", rank=0, number=wanted, frame=own[wanted], replaced=replaced)
        later = [own[number] for number in numbers if number > wanted]
        yield from self._lighter("first", own[wanted], later, wanted)

    def _lighter(self, role: Role, frame: Frame, others: list[Frame], wanted: int) -> Iterable[Choice]:
        """Frames to take the place of one that may be black: the nearest light one, and the lightest."""
        dark = DARK * self.black
        if not others or brightness(frame) >= dark:
            return
        light = {other.number: brightness(other) for other in others}
        enough = [other for other in others if light[other.number] >= dark]
        nearest = min(enough, key=lambda other: abs(other.number - wanted), default=None)
        lightest = max(others, key=lambda other: light[other.number])
        picked = [lightest] if nearest is None or nearest is lightest else [nearest, lightest]
        for rank, other in enumerate(picked, start=1):
            yield Choice(role=role, rank=rank, number=other.number, frame=other, replaced="black")

    def _all_flagged(self, last: int) -> bool:
        return len([number for number in self.flagged if number < last]) >= last - self.start


def frames_to_hold(frame_bytes: int) -> int:
    """How many frames of this size are held."""
    return max(8, min(MOST, HELD_BYTES // max(1, frame_bytes)))


def brightness(frame: Frame) -> float:
    """Mean brightness of a frame with its borders, 0 to 255."""
    return float(frame.small(SMALL_WIDTH).mean())


def is_blend(before: Frame, frame: Frame, after: Frame) -> bool:
    """Whether the first frame of a shot still shows the one before, as a converted frame rate leaves it."""
    last, here, following = (
        other.small(SMALL_WIDTH)[::2, ::2].astype(np.float32) for other in (before, frame, after)
    )
    if not last.shape == here.shape == following.shape:
        return False
    way = last - following
    size = float((way * way).sum())
    if size < here.size:  # two shots that look the same: nothing to see
        return False
    share = float(((here - following) * way).sum()) / size
    rest = here - following - share * way
    return BLEND_SHARE < share < 1 - BLEND_SHARE and float((rest * rest).sum()) < BLEND_REST**2 * size
