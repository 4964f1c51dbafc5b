"""Fades and dissolves: stretches in which every frame is a mix of the frame before them and the one after.

If A is the last clean frame and B the first clean one again, a frame of a dissolve is (1 - a) A + a B with
`a` going from 0 to 1, and a fade is a dissolve from or to a picture of one colour. Camera moves, wipes and
flashes are no such mix. So windows of several lengths that end at the newest frame are projected onto the
line from their first to their last frame, on pictures of a few hundred pixels, where most motion is too small
to see. What remains off the line tells whether it is a mix, the place along it how far the mix has gone.

Two pictures of one shot are alike; those at the ends of a dissolve are not, and differ all over the picture,
which a title that fades in over a shot does not. Where the shots move much, nothing lies on the line; but
the contrast of a mix of two pictures that have nothing to do with each other still dips by a known amount.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from captain_cinema.films.mixes import Window, find_windows, fit_ramp
from captain_cinema.films.samples import HISTORY, PLAIN_DEVIATION, Samples, same_picture

RATE = 25.0
"""Samples a second, about: of films with more frames, every second or third is looked at."""
SETTLE = 10
"""Samples after which a blend does not grow any more."""
FLASH = 14
"""Samples before a blend that are looked at for the picture that follows it."""


@dataclass(frozen=True, kw_only=True)
class Blend:
    """A fade or dissolve."""

    start: int
    """The first frame that is not clean."""
    end: int
    """The first frame that is clean again."""
    seconds: float
    """Of that frame."""
    from_plain: bool
    """A fade in, from a picture of one colour."""
    to_plain: bool
    """A fade out."""


class BlendFinder:
    """Finds fades and dissolves in frames that come in order.

    Args:
        fps: frames a second, 0 if unknown.
    """

    def __init__(self, fps: float) -> None:
        self.stride = max(1, round(fps / RATE))
        self._samples = Samples()
        self._group: list[Window] = []
        self._over = -1
        """Samples before this one belong to blends that were told."""
        self._open: list[Window] = []
        """Windows seen lately that may become blends."""

    @property
    def lag(self) -> int:
        """Frames after the end of a blend by which it is known."""
        return 28 * self.stride

    @property
    def first_picture(self) -> int:
        """The first frame that was not of one colour, among those looked at; -1 before."""
        return self._samples.first_picture

    def feed(self, number: int, seconds: float, image: UInt8[np.ndarray, "h w 3"]) -> list[Blend]:
        """The next frame, RGB and reduced; returns the blends that are now known."""
        if number % self.stride:
            return []
        index = number // self.stride
        self._samples.add(index, number, seconds, image)
        for window in find_windows(self._samples, index):
            self._open.append(window)
            if window.sure and window.start > self._over:
                self._group.append(window)
        self._open = [window for window in self._open if index - window.last <= SETTLE]
        return self._settle(index)

    def finish(self) -> list[Blend]:
        """There are no more frames."""
        return self._settle(self._samples.newest + SETTLE + 1)

    def may_blend(self, number: int) -> bool:
        """Whether a frame may turn out to lie in a blend that is still going on."""
        index = number // self.stride
        return any(window.start - 1 <= index <= window.end + 1 for window in (*self._open, *self._group))

    def plain_between(self, start: int, end: int) -> bool:
        """Whether all frames looked at from one number up to another are of one colour."""
        numbers = range(-(-start // self.stride), -(-end // self.stride))
        return all(index not in self._samples or self._samples[index].plain for index in numbers)

    def same_plain(self, number: int) -> bool:
        """Whether a frame and the one before it are of one and the same colour: nothing to be cut there."""
        index = number // self.stride
        last, here = self._samples.get(index - 1), self._samples.get(index)
        if last is None or here is None:
            return False
        return last.plain and here.plain and abs(here.mean - last.mean) < 2 * PLAIN_DEVIATION

    def jumps(self, number: int) -> bool:
        """Whether the picture changes at this frame at one blow, which no blend does."""
        index = -(-number // self.stride)
        around = [self._samples.get(index + offset) for offset in range(-3, 3)]
        if any(sample is None for sample in around):
            return False
        thumbs = np.stack([sample.thumb for sample in around if sample is not None])
        steps = np.linalg.norm(np.diff(thumbs, axis=0), axis=1)
        return float(steps[2]) > max(9.0 * thumbs.shape[1] ** 0.5, 2.5 * float(np.delete(steps, 2).max()))

    def _settle(self, index: int) -> list[Blend]:
        """The group of windows that show one blend is over when no new one has joined it for a while."""
        blends = []
        while self._group:
            group: list[Window] = []
            for window in self._group:
                out_and_in = window.from_plain and any(one.to_plain for one in group)
                if not group or (window.start <= max(one.end for one in group) + 1 and not out_and_in):
                    group.append(window)
            if index - max(window.end for window in group) < SETTLE:
                break
            best = max(group, key=lambda window: window.worth)
            start, end = self._ends(best, group)
            if index - end < SETTLE and index - best.end < HISTORY // 2:
                break
            if not self._comes_back(start, end):
                blends.append(self._blend(best, start, end))
            self._over = max(end, max(window.end for window in group))
            self._group = [window for window in self._group if window.start > self._over]
            self._open = [window for window in self._open if window.start > self._over]
        return blends

    def _ends(self, best: Window, group: list[Window]) -> tuple[int, int]:
        """The first sample that is not clean and the first that is again."""
        rise, top = fit_ramp(best.mix)
        start, end = best.first + rise + 1, best.first + top
        slack = max(2, round(0.15 * (end - start)))
        while end < best.first + top + slack and best.mix[end - best.first] < 0.96 and end < best.last:
            end += 1
        if best.mix[max(0, start - 1 - best.first)] > 0.05:
            start = min(start, best.start)
        if best.full:
            start, end = min(one.start for one in group), max(one.end for one in group)
        if self._samples[best.first].plain:
            end = self._strongest(end, 1, best.first)
        elif self._samples[best.last].plain:
            start = self._strongest(start, -1, best.last)
        return start, end

    def _strongest(self, index: int, step: int, plain: int) -> int:
        """From a sample of a fade on to where contrast and brightness stop leaving the plain picture.

        Motion that hides where a fade ends does not change how strong the picture is.
        """
        level = self._samples[plain].mean
        while True:
            here, there = self._samples.get(index), self._samples.get(index + 4 * step)
            if here is None or there is None or there.deviation < 1.03 * here.deviation:
                return index
            if abs(there.mean - level) < 1.02 * abs(here.mean - level):
                return index
            index += step

    def _comes_back(self, start: int, end: int) -> bool:
        """Whether the picture after it is that of just before: a flash, a light going on and off."""
        after = self._samples.get(end)
        if after is None or after.plain:
            return False
        earlier = [self._samples.get(index) for index in range(start - FLASH, start)]
        return any(same_picture(one, after) for one in earlier if one is not None and not one.plain)

    def _blend(self, best: Window, start: int, end: int) -> Blend:
        final = self._samples.get(end)
        return Blend(
            start=max(0, start * self.stride - self.stride + 1),
            end=end * self.stride,
            seconds=final.seconds if final is not None else float("nan"),
            from_plain=self._samples[best.first].plain,
            to_plain=self._samples[best.last].plain,
        )
