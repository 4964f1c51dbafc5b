"""Windows of a film in which every picture is a mix of the first and the last; `blends` says why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Float32, Int

from captain_cinema.films.samples import HISTORY, SHAPE, VALUES, Place, Samples, between_bars

LENGTHS = (5, 7, 10, 14, 19, 26, 36, 48, 60)
"""Of the windows, in samples."""
LENGTHS_ARRAY = np.array(LENGTHS)
RING = np.arange(2 * HISTORY) % HISTORY
OFFSETS = np.arange(LENGTHS[-1] + 1)


@dataclass(frozen=True, kw_only=True)
class Window:
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
        """How much it says for a blend."""
        return self.reach * (1 - (2 if self.from_plain or self.to_plain else 1) * self.mean_rest)

    @property
    def full(self) -> bool:
        """Whether there may be more of it than the longest window holds."""
        return self.last - self.first == LENGTHS[-1] and self.end - self.start > 0.85 * LENGTHS[-1]


@dataclass(frozen=True, kw_only=True)
class _Ways:
    """Windows with the same last sample, a row each: squared lengths and products of their ends."""

    firsts: Int[np.ndarray, "windows 1"]
    own: Float[np.ndarray, "windows 1"]
    """The first sample's product with itself."""
    shared: Float[np.ndarray, "windows 1"]
    """Its product with the last."""
    ways: Float[np.ndarray, "windows 1"]
    """Squared distance of the two."""


def _likely(samples: Samples, last: int) -> _Ways | None:
    """Windows ending at the newest sample that begin and end as a mix does, or None."""
    firsts = last - LENGTHS_ARRAY
    firsts = firsts[firsts >= samples.oldest]
    if not len(firsts):
        return None
    at, norms = samples.products, samples.norms
    before, newest = (last - 1) % HISTORY, last % HISTORY
    one = firsts % HISTORY
    own, shared = norms[one], at[newest, one]
    ways = own + norms[newest] - 2 * shared
    far = ways > 25.0 * VALUES
    if not far.any():  # as in most shots most of the time
        return None
    firsts, one = firsts[far], one[far]
    own, shared, ways = own[far], shared[far], ways[far]
    second = (firsts + 1) % HISTORY
    head = (at[newest, second] - at[second, one] - shared + own) / ways
    tail = (at[before, newest] - at[before, one] - shared + own) / ways
    likely = np.flatnonzero((head < 0.14) & (tail > 0.86))
    if not len(likely):
        return None
    return _Ways(
        firsts=firsts[likely, None],
        own=own[likely, None],
        shared=shared[likely, None],
        ways=ways[likely, None],
    )


def find_windows(samples: Samples, last: int) -> Iterator[Window]:
    """Windows ending at the newest sample in which the way from first to last is gone step by step."""
    likely = _likely(samples, last)
    if likely is None:
        return
    firsts, own, ways = likely.firsts, likely.own, likely.ways
    at, one = samples.products, firsts % HISTORY
    # All windows at once, each filled up to the length of the longest with its last sample.
    places = RING[one + np.minimum(OFFSETS[: last + 1 - firsts[-1, 0]], last - firsts)]
    start = at[one, places]
    mixes = (at[last % HISTORY][places] - start - likely.shared + own) / ways
    steps = mixes[:, 1:] - mixes[:, :-1]
    mixed = (mixes > 0.05) & (mixes < 0.95)
    squares = (samples.norms[places] + own - 2 * start - mixes**2 * ways) / ways
    good = (steps.max(1) <= 0.45) & (steps.min(1) >= -0.12)
    good &= (mixed.sum(1) >= 3) & (squares.max(1) <= 0.55**2)
    for row in np.flatnonzero(good).tolist():
        first = int(firsts[row, 0])
        mix = mixes[row, : last + 1 - first]
        rest = np.sqrt(np.maximum(squares[row, : len(mix)], 0))
        inside = np.flatnonzero(mixed[row])
        window = Window(
            first=first,
            last=last,
            start=first + int(inside[0]),
            end=first + int(inside[-1]) + 1,
            mix=mix.astype(np.float32),
            rest=float(rest.max()),
            mean_rest=float(rest.mean()),
            reach=(float(ways[row, 0]) / VALUES) ** 0.5,
            from_plain=samples[first].plain,
            to_plain=samples[last].plain,
            sure=False,
        )
        sure = _is_sure(samples, window)
        if sure or window.rest < 0.4:
            yield replace(window, sure=sure)


def _is_sure(samples: Samples, window: Window) -> bool:
    """Whether the ends of a window are pictures of two shots, and what lies between is a mix of them."""
    if window.from_plain or window.to_plain:
        one_sided = window.from_plain != window.to_plain
        return one_sided and window.rest < 0.35 and window.mean_rest < 0.18
    one, other = samples[window.first], samples[window.last]
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
    off, dip, straight = _contrast(samples, window, shared, place)
    if window.rest < 0.25 and window.mean_rest < 0.14:
        return off < 0.18
    return alike < 0.4 and dip < 0.9 and off < 0.25 and straight < 0.25


def _contrast(
    samples: Samples, window: Window, shared: float, place: Place | None
) -> tuple[float, float, float]:
    """How contrast goes, which motion does not change.

    Args:
        samples: the film's.
        window: where it goes.
        shared: what the pictures at its ends have in common.
        place: the picture between bars.

    Returns:
        How far its course is from that of a mix of two pictures with so much in common (a drift of soft
        shapes looks like one, but keeps its contrast), how low it gets, and how far the mix is from a
        straight ramp.
    """
    inside = [samples[index] for index in range(window.first, window.last + 1)]
    if place is None:
        seen = np.array([sample.deviation for sample in inside]) ** 2
    else:
        seen = np.array([sample.part(place).var() for sample in inside])
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
