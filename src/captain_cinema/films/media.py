"""A film file from outside: what it is, by its header and its first frame (section 3.1)."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import av.error
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from captain_cinema.films.finding import find_films
from captain_cinema.films.opening import MAX_PIXELS, MediaError, digest, open_film, refuse

__all__ = ["MAX_PIXELS", "MediaError", "Probe", "digest", "find_films", "open_film", "probe"]

NEARLY_SQUARE = Fraction(1, 100)
"""Pixels this near to square are square: containers round the display size to whole pixels."""

PROBE_PACKETS = 1000
NOT_FILM = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a film says of itself, with the size it has once upright and with square pixels."""

    path: Path
    size: int
    """Bytes."""
    container: str
    codec: str
    width: int
    """Upright, square pixels."""
    height: int
    coded_width: int
    coded_height: int
    rotation: int
    """Degrees that the coded frame must be turned clockwise: 0, 90, 180 or 270."""
    mirrored: bool = False
    """Whether the coded frame is flipped left to right before it is turned."""
    sample_aspect: Fraction
    """Width of a coded pixel over its height."""
    fps: float
    """Mean frames a second; 0.0 if unknown."""
    seconds: float | None
    """As the header has it."""
    bit_depth: int
    interlaced: bool
    hdr: Literal["", "pq", "hlg"]
    stream: int
    """Index of the picture's stream in the container."""
    first_stamp: int | None = None
    """Presentation stamp of the first frame, in the stream's own unit."""


def probe(path: Path) -> Probe:
    """What kind of film `path` is.

    Raises:
        MediaError: it is no film, has no picture, is encrypted, or is larger than `MAX_PIXELS`.
    """
    with open_film(path) as container:
        stream = picture_stream(container)
        context = stream.codec_context
        width, height = context.width, context.height
        _check_size(width, height)
        frame = _first_frame(container, stream)
        if frame is not None:
            width, height = frame.width, frame.height
            _check_size(width, height)
        elif not width or not height:
            refuse("it gives no frame: their size is unknown or too large")
        aspect = sample_aspect(stream.sample_aspect_ratio)
        rotation, mirrored = turn_of(frame) if frame is not None else (0, False)
        upright = upright_size(width, height, aspect, rotation)
        depth = max((part.bits for part in frame.format.components), default=8) if frame is not None else 8
        return Probe(
            path=path,
            size=container.size,
            container=container.format.name,
            codec=context.name,
            width=upright[0],
            height=upright[1],
            coded_width=width,
            coded_height=height,
            rotation=rotation,
            mirrored=mirrored,
            sample_aspect=aspect,
            fps=mean_rate(container, stream),
            seconds=header_seconds(container, stream)[0],
            bit_depth=depth,
            interlaced=frame is not None and frame.interlaced_frame,
            hdr=hdr_kind(frame.color_trc if frame is not None else context.color_trc),
            stream=stream.index,
            first_stamp=stamp_of(frame) if frame is not None else None,
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        refuse(
            f"its frames of {width} x {height} are too large: at most {MAX_PIXELS // 10**6} million pixels"
        )


def picture_stream(container: InputContainer) -> VideoStream:
    """The stream that holds the film: never cover art; of several the longest, the first if they are alike.

    Raises:
        MediaError: there is none, or none that can be decoded.
    """
    if container.format.name.endswith("_pipe"):
        refuse("it is a still picture, not a film")
    videos = list(container.streams.video)
    films = [stream for stream in videos if not stream.disposition & NOT_FILM]
    if not films:
        if videos:
            refuse("it has a cover picture but no film")
        refuse("it has sound but no picture" if container.streams.audio else "it has no picture")
    known = [stream for stream in films if stream.codec_context is not None]
    if not known:
        refuse("its picture is in a format that cannot be decoded here")
    lengths = [header_seconds(container, stream)[0] or 0.0 for stream in known]
    longest = max(lengths)
    return next(stream for stream, length in zip(known, lengths, strict=True) if length >= 0.9 * longest)


def header_seconds(container: InputContainer, stream: VideoStream) -> tuple[float | None, bool]:
    """How long the film is by its header, and whether that is said of the picture itself.

    Without the latter it is said of the whole file, whose sound may be longer than its picture.
    """
    if container.format.name in RAW_FORMATS:
        return None, False
    if tag := stream.metadata.get("DURATION"):
        seconds, of_picture = _clock_seconds(tag), True
    elif stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base), True
    else:
        seconds, of_picture = (container.duration or 0) / av.time_base, False
    if "matroska" in container.format.name and stream.start_time and stream.time_base:
        seconds -= float(stream.start_time * stream.time_base)  # it counts from stamp 0
    return (seconds, of_picture) if seconds > 0 else (None, False)


RAW_FORMATS = frozenset(
    {"h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "vc1", "h263", "h261", "dirac", "cavsvideo"}
)
"""Bare streams: FFmpeg guesses their length from the bit rate."""
STAMPLESS = frozenset({"h264", "hevc", "vvc"})
"""Bare streams whose stamps FFmpeg makes up, at 25 frames a second whatever their rate."""


def _clock_seconds(text: str) -> float:
    """Seconds of Matroska's "hh:mm:ss.fraction"; 0 if it is something else."""
    try:
        hours, minutes, seconds = text.strip().split(":")
        value = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return 0.0
    return value if math.isfinite(value) else 0.0


def mean_rate(container: InputContainer, stream: VideoStream) -> float:
    """Mean frames a second; 0.0 if the header has none or one that cannot be."""
    rates = [stream.average_rate, stream.guessed_rate]
    if container.format.name in RAW_FORMATS:
        rates.insert(0, stream.codec_context.framerate)  # else it is FFmpeg's guess, always 25
    for rate in rates:
        if rate and 0.01 <= float(rate) <= 1000:
            return float(rate)
    return 0.0


def sample_aspect(aspect: Fraction | None) -> Fraction:
    """Width of a coded pixel over its height; nearly square is square, nonsense is square."""
    if not aspect or not Fraction(1, 8) <= aspect <= 8:
        return Fraction(1)
    aspect = Fraction(aspect.numerator, aspect.denominator)
    return Fraction(1) if abs(aspect - 1) <= NEARLY_SQUARE else aspect


def upright_size(width: int, height: int, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """Width and height of a coded frame once its pixels are square and it is turned."""
    square = (max(1, round(width * aspect)), height)
    return (square[1], square[0]) if rotation % 180 else square


def stamp_of(frame: VideoFrame) -> int | None:
    """A frame's stamp; where only decoding is stamped, that of the packet which brought it out."""
    return frame.dts if frame.pts is None else frame.pts


def turn_of(frame: VideoFrame) -> tuple[int, bool]:
    """How a coded frame must be turned (clockwise, after mirroring left to right) to be upright."""
    side_data: Any = frame.side_data
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return 0, False
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    mirrored = a * d - b * c < 0
    angle = math.degrees(math.atan2(-b, -a) if mirrored else math.atan2(b, a))
    return round(angle / 90) % 4 * 90, mirrored


def hdr_kind(transfer: int) -> Literal["", "pq", "hlg"]:
    """The high dynamic range transfer function that a stream's or frame's number names."""
    return "pq" if transfer == 16 else "hlg" if transfer == 18 else ""


def _first_frame(container: InputContainer, stream: VideoStream) -> VideoFrame | None:
    """The first frame that decodes within a few packets."""
    stream.codec_context.thread_count = 1
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}
    try:
        for count, packet in enumerate(container.demux(stream)):
            if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
                refuse("it is encrypted")
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                frames = []
            if frames:
                return frames[0]
            if count >= PROBE_PACKETS:
                break
    except (av.error.FFmpegError, OSError, IndexError):  # the last: see decode.py
        return None
    return None
