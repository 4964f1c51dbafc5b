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

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

THUMB = (24, 14)
SHAPE = (THUMB[1], THUMB[0])
BAR = 24.0 - 128
"""Colours of a bar at most, as thumbs have them."""
Place = tuple[slice, slice]
RATE = 25.0
"""Samples a second, about: of films with more frames, every second or third is looked at."""
LENGTHS = (5, 7, 10, 14, 19, 26, 36, 48, 60)
"""Of the windows, in samples."""
LENGTHS_ARRAY = np.array(LENGTHS)
NEAREST = cv2.INTER_NEAREST
HISTORY = 128
RING = np.arange(2 * HISTORY) % HISTORY
OFFSETS = np.arange(LENGTHS[-1] + 1)
SETTLE = 10
"""Samples after which a blend does not grow any more."""
FLASH = 14
"""Samples before a blend that are looked at for the picture that follows it."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


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


@dataclass(frozen=True, kw_only=True)
class _Sample:
    number: int
    seconds: float
    thumb: Float32[np.ndarray, " values"]
    luma: Float32[np.ndarray, " pixels"]
    """Without its mean."""
    mean: float
    deviation: float

    @property
    def plain(self) -> bool:
        return self.deviation < PLAIN_DEVIATION

    def part(self, place: Place | None) -> Float32[np.ndarray, " pixels"]:
        """Brightness in a part of the picture, without its mean; of all of it if that is None."""
        if place is None:
            return self.luma
        part = self.luma.reshape(SHAPE)[place].ravel()
        return part - part.mean()


PLAIN_DEVIATION = 5.0
"""Standard deviation of brightness below which a picture is of one colour."""


@dataclass(frozen=True, kw_only=True)
class _Window:
    """A window whose frames may be mixes of its first and its last; numbers count samples."""

    first: int
    last: int
    start: int
    """The first sample that is neither."""
    end: int
    """The first that is the last one's picture."""
    mix: Float32[np.ndarray, " samples"]
    """How far it has gone, 0 to 1."""
    rest: float
    """Share of the way that lies off the line, the most of any sample."""
    mean_rest: float
    reach: float
    """Root mean square difference of the ends, in grey levels."""
    from_plain: bool
    """Whether its first sample is of one colour, as in a fade in."""
    to_plain: bool
    sure: bool

    @property
    def worth(self) -> float:
        return self.reach * (1 - (2 if self.from_plain or self.to_plain else 1) * self.mean_rest)

    @property
    def full(self) -> bool:
        """Whether there may be more of it than the longest window holds."""
        return self.last - self.first == LENGTHS[-1] and self.end - self.start > 0.85 * LENGTHS[-1]


class BlendFinder:
    """Finds fades and dissolves in frames that come in order.

    Args:
        fps: frames a second, 0 if unknown.
    """

    def __init__(self, fps: float) -> None:
        self.stride = max(1, round(fps / RATE))
        self._samples: dict[int, _Sample] = {}
        self._thumbs = np.zeros((HISTORY, THUMB[0] * THUMB[1] * 3), np.float32)
        self._products = np.zeros((HISTORY, HISTORY))
        self._norms = np.zeros(HISTORY)
        """Its diagonal."""
        self.first_picture = -1
        """The first frame that was not of one colour, among those looked at; -1 before."""
        self._newest = -1
        self._oldest = 0
        self._group: list[_Window] = []
        self._over = -1
        """Samples before this one belong to blends that were told."""
        self._open: list[_Window] = []
        """Windows seen lately that may become blends."""

    @property
    def lag(self) -> int:
        """Frames after the end of a blend by which it is known."""
        return 28 * self.stride

    def feed(self, number: int, seconds: float, image: UInt8[np.ndarray, "h w 3"]) -> list[Blend]:
        """The next frame, RGB and reduced; returns the blends that are now known."""
        if number % self.stride:
            return []
        index = number // self.stride
        if index != self._newest + 1:
            self._samples.clear()
            self._oldest = index
        self._add(index, number, seconds, image)
        for window in self._windows(index):
            self._open.append(window)
            if window.sure and window.start > self._over:
                self._group.append(window)
        self._open = [window for window in self._open if index - window.last <= SETTLE]
        return self._settle(index)

    def finish(self) -> list[Blend]:
        """There are no more frames."""
        return self._settle(self._newest + SETTLE + 1)

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

    def _add(self, index: int, number: int, seconds: float, image: np.ndarray) -> None:
        coarse = image
        if min(image.shape[:2]) > 2 * THUMB[0]:  # every second pixel of every second row
            size = (image.shape[1] // 2, (image.shape[0] + 1) // 2)
            even = image.shape[1] % 2 == 0
            coarse = cv2.resize(image[::2], size, interpolation=NEAREST) if even else image[::2, ::2]
        small = np.asarray(cv2.resize(coarse, THUMB, interpolation=cv2.INTER_AREA), np.float32) - 128
        luma = small.reshape(-1, 3) @ LUMA
        mean = float(luma.mean())
        luma -= mean
        thumb = small.ravel()
        deviation = math.sqrt(float(luma @ luma) / len(luma))
        self._samples[index] = _Sample(
            number=number, seconds=seconds, thumb=thumb, luma=luma, mean=mean, deviation=deviation
        )
        self._samples.pop(index - HISTORY, None)
        if self.first_picture < 0 and not self._samples[index].plain:
            self.first_picture = number
        self._newest = index
        self._oldest = max(self._oldest, index - HISTORY + 1)
        row = index % HISTORY
        self._thumbs[row] = thumb
        self._products[row] = self._products[:, row] = self._thumbs @ thumb
        self._norms[row] = self._products[row, row]

    def _windows(self, last: int) -> Iterator[_Window]:
        """Windows ending at the newest sample in which the way from first to last is gone step by step."""
        firsts = last - LENGTHS_ARRAY
        firsts = firsts[firsts >= self._oldest]
        if not len(firsts):
            return
        at, values = self._products, THUMB[0] * THUMB[1] * 3
        before, newest = (last - 1) % HISTORY, last % HISTORY
        one = firsts % HISTORY
        own, shared = self._norms[one], at[newest, one]
        ways = own + self._norms[newest] - 2 * shared
        far = ways > 25.0 * values
        if not far.any():  # as in most shots most of the time
            return
        firsts, one = firsts[far], one[far]
        own, shared, ways = own[far], shared[far], ways[far]
        second = (firsts + 1) % HISTORY
        head = (at[newest, second] - at[second, one] - shared + own) / ways
        tail = (at[before, newest] - at[before, one] - shared + own) / ways
        worth_it = np.flatnonzero((head < 0.14) & (tail > 0.86))
        if not len(worth_it):
            return
        firsts, one = firsts[worth_it, None], one[worth_it, None]
        own, shared, ways = own[worth_it, None], shared[worth_it, None], ways[worth_it, None]
        # All windows at once, each filled up to the length of the longest with its last sample.
        places = RING[one + np.minimum(OFFSETS[: last + 1 - firsts[-1, 0]], last - firsts)]
        start = at[one, places]
        mixes = (at[newest][places] - start - shared + own) / ways
        steps = mixes[:, 1:] - mixes[:, :-1]
        mixed = (mixes > 0.05) & (mixes < 0.95)
        squares = (self._norms[places] + own - 2 * start - mixes**2 * ways) / ways
        good = (steps.max(1) <= 0.45) & (steps.min(1) >= -0.12)
        good &= (mixed.sum(1) >= 3) & (squares.max(1) <= 0.55**2)
        for row in np.flatnonzero(good).tolist():
            first = int(firsts[row, 0])
            mix = mixes[row, : last + 1 - first]
            rest = np.sqrt(np.maximum(squares[row, : len(mix)], 0))
            inside = np.flatnonzero(mixed[row])
            window = _Window(
                first=first,
                last=last,
                start=first + int(inside[0]),
                end=first + int(inside[-1]) + 1,
                mix=mix.astype(np.float32),
                rest=float(rest.max()),
                mean_rest=float(rest.mean()),
                reach=(float(ways[row, 0]) / values) ** 0.5,
                from_plain=self._samples[first].plain,
                to_plain=self._samples[last].plain,
                sure=False,
            )
            sure = self._is_sure(window)
            if sure or window.rest < 0.4:
                yield replace(window, sure=sure)

    def _is_sure(self, window: _Window) -> bool:
        """Whether the ends of a window are pictures of two shots, and what lies between is a mix of them."""
        if window.from_plain or window.to_plain:
            one_sided = window.from_plain != window.to_plain
            return one_sided and window.rest < 0.35 and window.mean_rest < 0.18
        one, other = self._samples[window.first], self._samples[window.last]
        place = between_bars(one, other)
        here, there = one.part(place), other.part(place)
        shared = float(here @ there) / len(here)
        alike = shared / max(1e-6, float(here.std() * there.std()))
        if window.reach < 9.0 or alike > 0.5 or window.mean_rest > 0.3:
            return False
        change = np.abs(other.thumb - one.thumb)
        if place is not None:
            change = change.reshape(*SHAPE, 3)[place].ravel()
        if float(change.mean() ** 2) < 0.25 * float(change @ change) / len(change):
            return False
        off, dip, straight = self._contrast(window, shared, place)
        if window.rest < 0.25 and window.mean_rest < 0.14:
            return off < 0.18
        return alike < 0.4 and dip < 0.9 and off < 0.25 and straight < 0.25

    def _contrast(self, window: _Window, shared: float, place: Place | None) -> tuple[float, float, float]:
        """How contrast goes, which motion does not change.

        Args:
            window: where it goes.
            shared: what the pictures at its ends have in common.
            place: the picture between bars.

        Returns:
            How far its course is from that of a mix of two pictures with so much in common (a drift of soft
            shapes looks like one, but keeps its contrast), how low it gets, and how far the mix is from a
            straight ramp.
        """
        samples = [self._samples[index] for index in range(window.first, window.last + 1)]
        if place is None:
            seen = np.array([sample.deviation for sample in samples]) ** 2
        else:
            seen = np.array([sample.part(place).var() for sample in samples])
        mix = window.mix.clip(0, 1)
        told = (1 - mix) ** 2 * seen[0] + mix**2 * seen[-1] + 2 * mix * (1 - mix) * shared
        ramp = np.interp(
            np.arange(len(mix)), [window.start - 1 - window.first, window.end - window.first], [0.0, 1.0]
        )
        return (
            float(np.abs(seen - told).max() / max(seen[0], seen[-1])),
            float(seen.min() / min(seen[0], seen[-1])),
            float(np.abs(ramp - window.mix).max()),
        )

    def _settle(self, index: int) -> list[Blend]:
        """The group of windows that show one blend is over when no new one has joined it for a while."""
        blends = []
        while self._group:
            group: list[_Window] = []
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

    def _ends(self, best: _Window, group: list[_Window]) -> tuple[int, int]:
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

    def _blend(self, best: _Window, start: int, end: int) -> Blend:
        final = self._samples.get(end)
        return Blend(
            start=max(0, start * self.stride - self.stride + 1),
            end=end * self.stride,
            seconds=final.seconds if final is not None else float("nan"),
            from_plain=self._samples[best.first].plain,
            to_plain=self._samples[best.last].plain,
        )


def between_bars(one: _Sample, other: _Sample) -> Place | None:
    """Where two pictures have no bars in common, which would make them alike; None if there are none."""
    lit = np.maximum(one.thumb, other.thumb).reshape(*SHAPE, 3).max(2) > BAR
    place = lit_lines(lit.any(1)), lit_lines(lit.any(0))
    return None if place == (slice(0, SHAPE[0]), slice(0, SHAPE[1])) else place


def lit_lines(lit: Bool[np.ndarray, " lines"]) -> slice:
    """Lines from the first lit one to the last, without those next to a bar, which are part of it in part."""
    lines = np.flatnonzero(lit).tolist() or [0, len(lit) - 1]
    first, last = lines[0], lines[-1] + 1
    slim = slice(first + (first > 0), last - (last < len(lit)))
    return slim if slim.stop - slim.start > 2 else slice(0, len(lit))


def same_picture(one: _Sample, other: _Sample) -> bool:
    """Whether two samples show the same, brighter or darker as it may be."""
    place = between_bars(one, other)
    here, there = one.part(place), other.part(place)
    return float(here @ there) > 0.8 * float(here.std() * there.std()) * len(here)


def fit_ramp(mix: Float32[np.ndarray, " samples"]) -> tuple[int, int]:
    """The last sample of 0 and the first of 1 of the straight ramp that is nearest to a course of mixes."""
    places = np.arange(len(mix), dtype=np.float32)
    best, found = np.inf, (0, len(mix) - 1)
    for start in range(len(mix) - 2):
        ends = np.arange(start + 2, len(mix), dtype=np.float32)
        ramps = ((places - start) / (ends[:, None] - start)).clip(0, 1)
        off = ((ramps - mix) ** 2).sum(1)
        place = int(off.argmin())
        if off[place] < best:
            best, found = float(off[place]), (start, start + 2 + place)
    return found
