"""A film's frames in order, whatever its stamps and its damage (section 3.1)."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av.error
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from captain_cinema.films.damage import ONE_FRAME_A_PACKET, Damage, Sent
from captain_cinema.films.frame import Converters, Frame, frame_of
from captain_cinema.films.media import (
    MAX_PIXELS,
    STAMPLESS,
    MediaError,
    Probe,
    hdr_kind,
    header_seconds,
    open_film,
    sample_aspect,
    stamp_of,
    turn_of,
    upright_size,
)
from captain_cinema.films.stamps import Clock

__all__ = ["Decoding", "Frame", "decode", "frame_of"]

COMPLETE_SHARE = 0.98
USUAL_RATE = 25.0
READ_FAILURES = 8
"""So many failures to read one after another are the end of the film."""
SEEK_MARGINS = (0.0, 5.0, 30.0)
"""Seconds earlier to look for a key frame if there is none where it should be."""


@dataclass
class Decoding:
    """What became of a film; filled in when the iterator of its frames ends."""

    frames: int = 0
    """Given, flagged ones included."""
    corrupt: int = 0
    """Packets that did not decode and frames that decoded with errors."""
    seconds: float = 0.0
    """From the first frame's stamp to the last frame's end."""
    complete: bool = False
    """Decoded to at least 98 % of what the header promises, and at least 98 % of its frames."""
    reason: str = ""
    """Why it is not complete."""


def decode(
    path: Path, probe: Probe, *, start: float = 0.0, end: float | None = None, threads: int = 1
) -> tuple[Iterator[Frame], Decoding]:
    """Frames from `start` up to `end` (seconds after the first frame), and what became of the film.

    With a `start`, decoding begins at a key frame before it, and frames are numbered from 0 at `start`.
    Damage is never raised: damaged frames are flagged, and so is all that leans on them.

    Raises:
        MediaError: while iterating, if the film cannot be opened or gives no frame at all.
    """
    decoding = Decoding()
    return _Decoder(path, probe, decoding, threads).frames(start, end), decoding


class _Decoder:
    """One pass over a film."""

    def __init__(self, path: Path, probe: Probe, decoding: Decoding, threads: int):
        self.path, self.probe, self.decoding, self.threads = path, probe, decoding, threads
        self.damage = Damage()
        self.converters = Converters()
        self.sent = self.decoded = 0
        self.aspects: deque[tuple[int, Fraction]] = deque()
        self.aspect = probe.sample_aspect
        self.shape: tuple[int, int, int, Fraction] | None = None
        self.size, self.turn = (0, 0), (0, False)
        self.heard = 0.0
        self.step = 1 / (probe.fps or USUAL_RATE)
        self.stampless = probe.container in STAMPLESS

    def frames(self, start: float, end: float | None) -> Iterator[Frame]:
        """All frames in the order of presentation."""
        decoding = self.decoding
        with open_film(self.path) as container:
            stream = next((one for one in container.streams.video if one.index == self.probe.stream), None)
            if stream is None or stream.codec_context is None:
                raise MediaError("it is no longer the film it was", "error")
            self._prepare(stream)
            promised, of_picture = header_seconds(container, stream)
            tick = Fraction(stream.time_base) if stream.time_base else Fraction(1, 25)
            self.tick = float(tick)
            self.clock = Clock(
                self.step,
                tick=tick,
                first=self.probe.first_stamp if start > 0 and not self.stampless else None,
                promised=promised,
            )
            if start > 0:
                self._seek(container, stream, start)
            every_stream = promised is not None and not of_picture and len(container.streams) > 1
            raws = self._flagged(self._decoded(container, stream, every_stream))
            for frame in self._dressed(raws):
                if frame.seconds < start - self.tick / 2:
                    continue
                if end is not None and frame.seconds >= end:
                    decoding.complete = True
                    return
                if start > 0 and not decoding.frames:
                    decoding.corrupt = 0  # what was dropped on the way here is no damage
                frame.number = decoding.frames
                decoding.frames += 1
                raw = frame.raw
                lasts = self.step if self.stampless or not raw.duration else raw.duration * self.tick
                decoding.seconds = round(frame.seconds + lasts, 6)
                yield frame
            if not self.decoded:
                raise MediaError("it opens but gives no frame")
            late = ((self.clock.first or 0) - (stream.start_time or 0)) * self.tick
            self._close(promised, late, whole=start <= 0)

    def _prepare(self, stream: VideoStream) -> None:
        context = stream.codec_context
        context.thread_count = self.threads
        context.thread_type = "AUTO" if self.threads != 1 else "NONE"
        context.options = {"max_pixels": str(MAX_PIXELS)}
        context.copy_opaque = True
        self.context = context
        self.one_each = context.name in ONE_FRAME_A_PACKET and not self.probe.interlaced
        # A container's own word on the shape of pixels holds for all of the film, a codec's until it changes.
        self.codec_aspect = context.sample_aspect_ratio

    def _seek(self, container: InputContainer, stream: VideoStream, start: float) -> None:
        """Go to a key frame at or before `start`; to the film's beginning if none can be found."""
        first = self.probe.first_stamp
        if first is None or not stream.time_base or self.stampless:
            return
        for margin in SEEK_MARGINS:
            target = first + int((start - margin) / stream.time_base)
            if target <= first:
                break
            try:
                container.seek(target, stream=stream)
                packet = next(container.demux(stream), None)
                if packet is not None and packet.is_keyframe and (packet.pts or target + 1) <= target:
                    container.seek(target, stream=stream)
                    return
            except (av.error.FFmpegError, OSError):
                continue
        container.seek(first, stream=stream)

    def _packets(
        self, container: InputContainer, stream: VideoStream, every_stream: bool
    ) -> Iterator[Packet]:
        """The picture's packets; where reading fails, what follows if there is anything."""
        failures = 0
        while failures < READ_FAILURES:
            try:
                for packet in container.demux() if every_stream else container.demux(stream):
                    failures = 0
                    if not packet.size:
                        continue  # holds nothing, and would end the decoder's work
                    if packet.stream_index == stream.index:
                        yield packet
                    elif packet.pts is not None and packet.time_base:
                        end = (packet.pts + (packet.duration or 0)) * packet.time_base
                        self.heard = max(self.heard, float(end))
                return
            except av.error.FFmpegError:
                failures += 1
                self.decoding.corrupt += 1
            except IndexError:
                return  # PyAV ends every stream, and trips over those that appeared on the way
            except OSError as error:
                raise MediaError(f"reading failed: {error.strerror or error}", "error") from None

    def _decoded(
        self, container: InputContainer, stream: VideoStream, every_stream: bool
    ) -> Iterator[VideoFrame]:
        for packet in self._packets(container, stream, every_stream):
            index = self.sent
            self.sent += 1
            packet.opaque = Sent(index)
            if packet.is_keyframe:
                self.damage.key(index, packet.pts)
            if self.one_each and packet.pts is not None and not packet.is_discard:
                self.damage.expect(index, packet.pts)
            raws = self._decode(packet, index)
            if packet.is_corrupt:
                self._mark(index)
            self._watch_aspect(index)
            yield from raws
        yield from self._decode(None, self.sent)

    def _decode(self, packet: Packet | None, index: int) -> list[VideoFrame]:
        try:
            raws = self.context.decode(packet)
        except av.error.FFmpegError:
            self._mark(index)
            return []
        self.decoded += len(raws)
        return raws

    def _mark(self, index: int) -> None:
        self.decoding.corrupt += self.damage.mark(index)

    def _watch_aspect(self, index: int) -> None:
        aspect = self.context.sample_aspect_ratio
        if aspect != self.codec_aspect:
            self.codec_aspect = aspect
            self.aspects.append((index, sample_aspect(aspect)))

    def _flagged(self, raws: Iterator[VideoFrame]) -> Iterator[tuple[VideoFrame, bool]]:
        """Frames and whether they are damaged, late by as many as are shown before one that they lean on."""
        waiting: deque[tuple[VideoFrame, int]] = deque()
        for raw in raws:
            index = raw.opaque.index if isinstance(raw.opaque, Sent) else self.sent
            if raw.is_corrupt:
                self._mark(index)
            if self.one_each and raw.pts is not None:
                self.decoding.corrupt += self.damage.came(index, raw.pts)
            waiting.append((raw, index))
            if len(waiting) > self.context.reorder_depth:
                raw, index = waiting.popleft()
                yield raw, self.damage.reaches(index, raw.pts)
        for raw, index in waiting:
            yield raw, self.damage.reaches(index, raw.pts)

    def _dressed(self, raws: Iterator[tuple[VideoFrame, bool]]) -> Iterator[Frame]:
        """Frames with their time and shape; interlaced ones with their neighbours."""
        held: Frame | None = None
        for raw, flagged in raws:
            frame = self._frame(raw, flagged)
            if held is not None:
                held.after, frame.before = raw, held.raw
                yield held
                held = None
            if raw.interlaced_frame:
                held = frame
            else:
                frame.before = None
                yield frame
        if held is not None:
            yield held

    def _frame(self, raw: VideoFrame, flagged: bool) -> Frame:
        index = raw.opaque.index if isinstance(raw.opaque, Sent) else 0
        while self.aspects and self.aspects[0][0] <= index:
            self.aspect = self.aspects.popleft()[1]
        shape = (raw.width, raw.height, raw.rotation, self.aspect)
        if shape != self.shape:
            # Once a shape: asking a frame for its side data ties it into a cycle that outlives it.
            self.shape, self.turn = shape, turn_of(raw)
            self.size = upright_size(raw.width, raw.height, self.aspect, self.turn[0])
        return Frame(
            number=0,
            seconds=self.clock.at(None if self.stampless else stamp_of(raw)),
            flagged=flagged,
            keyframe=raw.key_frame,
            width=self.size[0],
            height=self.size[1],
            rotation=self.turn[0],
            mirrored=self.turn[1],
            hdr=hdr_kind(raw.color_trc),
            raw=raw,
            converters=self.converters,
        )

    def _close(self, promised: float | None, late: float, whole: bool) -> None:
        """Say whether the film is complete; how many frames were lost is known of a whole film only.

        Args:
            promised: seconds by the header.
            late: seconds from the film's first packet to its first frame.
            whole: whether it was decoded from its beginning.
        """
        decoding, probe = self.decoding, self.probe
        reached = decoding.seconds
        if promised is not None and max(reached, self.heard) < COMPLETE_SHARE * promised:
            decoding.reason = (
                f"its first {late:.1f} s of {promised:.1f} s do not decode"
                if late > (promised - reached) / 2
                else f"it ends at {reached:.1f} s of {promised:.1f} s"
            )
        elif (
            whole and decoding.corrupt and not probe.interlaced and self.decoded < COMPLETE_SHARE * self.sent
        ):
            decoding.reason = f"{self.sent - self.decoded} of {self.sent} frames are lost to damage"
        else:
            decoding.complete = True
