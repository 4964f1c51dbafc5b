"""Seconds of frames from presentation stamps that may be absent, jump, repeat, or start anywhere."""

from __future__ import annotations

from fractions import Fraction

JITTER_STEPS = 1.5
"""A stamp that goes back by so many frames is a slip of one frame, by more a reset of all that follow."""
SLIPS = 2
"""So many slips one after another are no slips."""
STRAY = 32
"""A frame that comes too soon after damage is followed by those that it overtook within so many frames."""
LONGEST_HOLD = 600.0
"""A frame may be shown for so many seconds if the header does not say how long the film is."""


class Clock:
    """Gives every frame its seconds after the first one; they always increase."""

    def __init__(
        self, step: float, *, tick: Fraction, first: int | None = None, promised: float | None = None
    ):
        """Start a clock.

        Args:
            step: seconds of a frame where nothing says otherwise.
            tick: seconds of a stamp's unit.
            first: the film's first stamp, if it is known because decoding starts later.
            promised: seconds of the film by its header.
        """
        self._step = step
        self._ticks, self._a_second = tick.numerator, tick.denominator
        self.first = first
        """The first stamp."""
        self._promised = promised
        self._shift = 0.0
        self._last: float | None = None
        self._slips = 0
        self._before_gap, self._since_gap = 0.0, STRAY

    def at(self, stamp: int | None) -> float:
        """Seconds of the next frame in the order of presentation."""
        now = self._read(stamp)
        self._last = now
        return now

    def _read(self, stamp: int | None) -> float:
        if stamp is not None and self.first is None:
            # Frames before the first stamp keep the seconds they were given.
            self.first = stamp
            if self._last is not None:
                self._shift = self._last + self._step
        last = self._last
        if stamp is None or self.first is None:
            return 0.0 if last is None else last + self._step
        now = (stamp - self.first) * self._ticks / self._a_second + self._shift
        if last is None:
            return now
        jump = now - last
        if jump > self._longest(last):
            return self._reset(now, last)
        self._since_gap += 1
        if jump > 0:
            if jump > JITTER_STEPS * self._step:
                self._before_gap, self._since_gap = last, 0
            self._slips = 0
            return now
        if now > self._before_gap and self._since_gap <= STRAY:
            return last + self._step / STRAY
        self._slips += 1
        if jump < -JITTER_STEPS * self._step or self._slips > SLIPS:
            return self._reset(now, last)
        return last + self._step / STRAY

    def _longest(self, last: float) -> float:
        """How far the next stamp may lie ahead before it is one of another count."""
        if self._promised is None:
            return LONGEST_HOLD
        return max(2 * self._step, 1.02 * self._promised + 1 - last)

    def _reset(self, now: float, last: float) -> float:
        self._slips = 0
        self._shift += last + self._step - now
        return last + self._step
