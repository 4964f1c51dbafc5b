"""Long films in stretches, so that several workers share one and a kill costs little.

A stretch may begin anywhere only if it is known which frame is which: all stamps of the film are read first,
without decoding. A stretch owns the shots that begin in it. It starts early, so that the detector knows what
came before, and goes on past its end to the cut that closes its last shot. That cut must be the first one of
the stretch that follows; if it is not, or a frame is not where its stamp says, the film is done unbroken.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import av.error
import numpy as np
from jaxtyping import Int64

from captain_cinema.films.media import RAW_FORMATS, Probe, open_film
from captain_cinema.films.settings import FilmSettings

WORTH_IT = 1.5
"""Films of so many stretches are divided."""
LARGE = 64 << 20
"""Bytes from which on a film whose header does not say how long it is may be long."""
LEAD_SECONDS, LEAD_FRAMES = 20.0, 300
"""How early a stretch starts."""
ALIGN = 100
"""Frame numbers at which a stretch may start: detectors with windows have them in the same places."""
KEYFRAME_SECONDS = 60.0
"""Farther apart, key frames are no use to start from."""


class BrokenStretchError(Exception):
    """The frames of a stretch are not those that the stamps promise; the film is worked on unbroken."""


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """A part of a film, in frame numbers."""

    number: int
    begin: int
    """The first frame at which a shot of this stretch may start."""
    end: int | None
    """The first frame of the next stretch; None for the last."""
    feed: int
    """The first frame that the detector sees."""
    seek: float
    """Seconds of a key frame from which `feed` decodes soundly."""


UNBROKEN = Stretch(number=0, begin=0, end=None, feed=0, seek=0.0)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How a film is divided."""

    stretches: tuple[Stretch, ...]
    stamps: Int64[np.ndarray, " frames"] | None = None
    """Presentation stamps of all frames in order; None for an unbroken film."""


@dataclass(frozen=True, kw_only=True)
class Stamps:
    """What a film's packets say."""

    frames: Int64[np.ndarray, " frames"]
    keyframes: Int64[np.ndarray, " keyframes"]
    """Numbers of frames that are coded on their own."""
    tick: float
    """Seconds of a stamp's unit."""


def plan_stretches(path: Path, probe: Probe, settings: FilmSettings) -> Plan:
    """Divide a film; the same film and settings always give the same plan."""
    unbroken = Plan(stretches=(UNBROKEN,))
    length = settings.stretch_seconds
    may_be_long = probe.size >= LARGE if probe.seconds is None else probe.seconds >= WORTH_IT * length
    if not may_be_long:
        return unbroken
    stamps = read_stamps(path, probe)
    if stamps is None:
        return unbroken
    total = len(stamps.frames)
    lasts = float(stamps.frames[-1] - stamps.frames[0]) * stamps.tick
    if lasts < WORTH_IT * length:
        return unbroken
    count = max(2, round(lasts / length))
    begins = [total * number // count for number in range(count)]
    ends: list[int | None] = [*begins[1:], None]
    seconds = (stamps.frames - stamps.frames[0]) * stamps.tick
    rate = total / lasts
    lead = max(LEAD_FRAMES, math.ceil(LEAD_SECONDS * rate))
    parts = []
    for number, (begin, end) in enumerate(zip(begins, ends, strict=True)):
        feed = max(0, begin - lead) // ALIGN * ALIGN
        # One key frame earlier than needed: frames right after one may lean on what came before it.
        place = max(0, int(np.searchsorted(stamps.keyframes, feed, side="right")) - 2)
        parts.append(
            Stretch(
                number=number,
                begin=begin,
                end=end,
                feed=feed,
                seek=float(seconds[stamps.keyframes[place]]) if feed else 0.0,
            )
        )
    return Plan(stretches=tuple(parts), stamps=stamps.frames)


def read_stamps(path: Path, probe: Probe) -> Stamps | None:
    """All stamps of a film, read without decoding; None if they cannot tell which frame is which."""
    if any(name in RAW_FORMATS for name in probe.container.split(",")):
        return None
    stamps: list[int] = []
    keys: list[int] = []
    with open_film(path) as container:
        stream = next(one for one in container.streams.video if one.index == probe.stream)
        if not stream.time_base:
            return None
        tick = float(stream.time_base)
        try:
            for packet in container.demux(stream):
                if packet.size == 0:  # the empty packet that ends a demuxer's work
                    continue
                if packet.pts is None or packet.is_corrupt or packet.is_discard:
                    return None
                stamps.append(packet.pts)
                if packet.is_keyframe:
                    keys.append(packet.pts)
        except (av.error.FFmpegError, OSError):
            return None
    frames = np.array(sorted(stamps), np.int64)
    if len(frames) < 2 or not keys or bool((np.diff(frames) <= 0).any()):
        return None
    keyframes = np.searchsorted(frames, np.array(sorted(keys), np.int64))
    apart = np.diff(frames[[*keyframes, len(frames) - 1]]) * tick
    if keyframes[0] != 0 or float(apart.max(initial=0.0)) > KEYFRAME_SECONDS:
        return None
    return Stamps(frames=frames, keyframes=keyframes, tick=tick)
