"""A film's frames in order, whatever its stamps and its damage (section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av.error

from captain_cinema.films.frame import Converters, Frame, frame_of
from captain_cinema.films.media import (
    MAX_PIXELS,
    MediaError,
    Probe,
    hdr_kind,
    header_seconds,
    mean_rate,
    open_film,
    turn_of,
    upright_size,
)

__all__ = ["Decoding", "Frame", "decode", "frame_of"]

COMPLETE_SHARE = 0.98


@dataclass
class Decoding:
    """What became of a film; filled in when the iterator of its frames ends."""

    frames: int = 0
    corrupt: int = 0
    """Packets that did not decode and frames that decoded with errors."""
    seconds: float = 0.0
    """From the first frame's stamp to the last frame's end."""
    complete: bool = False
    """Decoded to at least 98 % of what the header promises."""
    reason: str = ""
    """Why it is not complete."""


def decode(
    path: Path, probe: Probe, *, start: float = 0.0, end: float | None = None, threads: int = 1
) -> tuple[Iterator[Frame], Decoding]:
    """Frames from `start` up to `end` (seconds after the first frame), and what became of the film.

    Raises:
        MediaError: while iterating, if the film cannot be opened or gives no frame at all.
    """
    decoding = Decoding()
    return _frames(path, probe, decoding, start, end, threads), decoding


def _frames(
    path: Path, probe: Probe, decoding: Decoding, start: float, end: float | None, threads: int
) -> Iterator[Frame]:
    converters = Converters()
    with open_film(path) as container:
        stream = container.streams.video[0]
        stream = next(one for one in container.streams.video if one.index == probe.stream)
        context = stream.codec_context
        context.thread_count = threads
        context.options = {"max_pixels": str(MAX_PIXELS)}
        step = 1 / (mean_rate(stream) or 25.0)
        first: float | None = None
        seconds = -step
        for packet in container.demux(stream):
            try:
                raws = packet.decode()
            except av.error.FFmpegError:
                decoding.corrupt += 1
                continue
            for raw in raws:
                if raw.time is None:
                    seconds += step
                else:
                    first = raw.time if first is None else first
                    seconds = raw.time - first
                rotation, mirrored = turn_of(raw)
                width, height = upright_size(raw.width, raw.height, probe.sample_aspect, rotation)
                decoding.corrupt += raw.is_corrupt
                frame = Frame(
                    number=decoding.frames,
                    seconds=seconds,
                    flagged=raw.is_corrupt,
                    keyframe=raw.key_frame,
                    width=width,
                    height=height,
                    rotation=rotation,
                    mirrored=mirrored,
                    hdr=hdr_kind(raw.color_trc),
                    raw=raw,
                    converters=converters,
                )
                decoding.frames += 1
                decoding.seconds = seconds + step
                if end is not None and seconds >= end:
                    return
                if seconds >= start:
                    yield frame
        if not decoding.frames:
            raise MediaError("it opens but gives no frame")
        promised = header_seconds(container, stream)[0]
        decoding.complete = promised is None or decoding.seconds >= COMPLETE_SHARE * promised
        if not decoding.complete:
            decoding.reason = f"it ends at {decoding.seconds:.1f} s of {promised:.1f} s"
