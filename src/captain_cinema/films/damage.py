"""Which frames lean on a packet that was damaged."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from heapq import heappop, heappush

ONE_FRAME_A_PACKET = frozenset({"h264", "hevc", "vvc"})
"""Codecs whose packets give one frame each, unless they hold fields."""


@dataclass(eq=False, slots=True)
class Sent:
    """A packet given to the decoder; the frame that comes of it carries it along."""

    index: int
    """In decoding order."""


class Damage:
    """Follows damage from a packet to all that is decoded after it, up to the next frame coded on its own."""

    def __init__(self) -> None:
        self._keys: list[int] = []
        self._key_stamps: list[int] = []
        self._damaged: list[int] = []
        self._due: list[tuple[int, int]] = []
        self._awaited: set[int] = set()

    def expect(self, index: int, stamp: int) -> None:
        """A packet was sent that gives one frame, shown at `stamp`."""
        heappush(self._due, (stamp, index))
        self._awaited.add(index)

    def came(self, index: int, stamp: int) -> bool:
        """A frame came; whether one that should have come before did not, and is marked as damage."""
        self._awaited.discard(index)
        lost = False
        while self._due and self._due[0][0] <= stamp:
            due, missing = heappop(self._due)
            if missing in self._awaited and due < stamp:
                self._awaited.discard(missing)
                if not self._leads(missing, due):
                    lost |= self.mark(missing)
        return lost

    def _leads(self, index: int, stamp: int) -> bool:
        """Whether a frame is shown before its key frame: where a film was cut, such frames are left out."""
        place = bisect_right(self._keys, index) - 1
        return place >= 0 and stamp < self._key_stamps[place]

    def key(self, index: int, stamp: int | None) -> None:
        """A packet that is coded on its own was sent, shown at `stamp`."""
        self._keys.append(index)
        self._key_stamps.append(-(2**63) if stamp is None else stamp)

    def mark(self, index: int) -> bool:
        """A packet did not decode, or decoded with errors; whether that is new."""
        place = bisect_left(self._damaged, index)
        if self._damaged[place : place + 1] == [index]:
            return False
        self._damaged.insert(place, index)
        return True

    def reaches(self, index: int, stamp: int | None) -> bool:
        """Whether the frame of this packet, shown at `stamp`, is damaged or leans on one that is."""
        if not self._damaged:
            return False
        place = bisect_right(self._keys, index) - 1
        if place > 0 and stamp is not None and self._leads(index, stamp):
            place -= 1  # it leans on the key frame before, too
        start = self._keys[place] if place >= 0 else 0
        first = bisect_left(self._damaged, start)
        return first < len(self._damaged) and self._damaged[first] <= index
