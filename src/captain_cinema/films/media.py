"""A film file from outside: what it is, whether it can be read at all, its digest (section 3.1).

Nothing of a file's name or content is ever interpreted: a film is opened by its descriptor, FFmpeg sees bytes
without a name, and playlists that would make it open something else are refused.
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, NoReturn

import av
import av.error
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from captain_cinema.errors import CinemaError
from captain_cinema.films.finding import find_films

__all__ = ["MAX_PIXELS", "MediaError", "Probe", "digest", "find_films", "open_film", "probe"]

MAX_PIXELS = 2 * 7680 * 4320
"""A coded frame past this (twice 8K) is refused before anything of it is decoded."""

NEARLY_SQUARE = Fraction(1, 100)
"""Pixels this near to square are square: containers round the display size to whole pixels."""

PROBE_PACKETS = 64
READ_BYTES = 1 << 18
NOT_FILM = Disposition.attached_pic | Disposition.still_image | Disposition.timed_thumbnails


class MediaError(CinemaError):
    """A file that gives no film; the message is the reason, one line."""

    def __init__(self, reason: str, verdict: Literal["rejected", "error"] = "rejected"):
        super().__init__(reason)
        self.verdict: Literal["rejected", "error"] = verdict
        """`rejected`: what it holds is no film; `error`: it could not be read this time."""


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


class _Descriptor:
    """A file for FFmpeg without a name, so that no name is ever interpreted."""

    def __init__(self, descriptor: int):
        self._descriptor = descriptor

    def read(self, size: int) -> bytes:
        return os.read(self._descriptor, size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return os.lseek(self._descriptor, offset, whence)

    def tell(self) -> int:
        return os.lseek(self._descriptor, 0, os.SEEK_CUR)


def _refuse(reason: str, verdict: Literal["rejected", "error"] = "rejected") -> NoReturn:
    raise MediaError(reason, verdict) from None


@contextmanager
def _descriptor(path: Path) -> Iterator[int]:
    """The descriptor of a regular file that can be read; never blocks on a FIFO or a device."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        _refuse("the link leads nowhere" if os.path.islink(path) else "there is no such file")
    except PermissionError:
        _refuse("it may not be read: permission denied", "error")
    except OSError as error:
        kind = _special(path)
        if error.errno == errno.ELOOP:
            _refuse("the link leads round in a loop")
        if kind:
            _refuse(kind)
        if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR):
            _refuse(f"there is no such file: {error.strerror}")
        _refuse(f"it cannot be opened: {error.strerror}", "error")
    except ValueError:
        _refuse("there is no such file: its name holds a null character")
    try:
        if kind := _kind(os.fstat(handle).st_mode):
            _refuse(kind)
        yield handle
    finally:
        os.close(handle)


def _kind(mode: int) -> str:
    """Why a file of this mode cannot be a film; empty for a regular file."""
    if stat.S_ISREG(mode):
        return ""
    names = {
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
        stat.S_IFSOCK: "a socket",
    }
    return f"it is {names.get(stat.S_IFMT(mode), 'something')}, not a regular file"


def _special(path: Path) -> str:
    try:
        return _kind(os.stat(path).st_mode)
    except OSError:
        return ""


def digest(path: Path) -> str:
    """Sha256 of the content, in hexadecimal digits.

    Raises:
        MediaError: the file cannot be read or is no regular file.
    """
    with _descriptor(path) as handle:
        state = hashlib.sha256()
        try:
            while block := os.read(handle, 1 << 20):
                state.update(block)
        except OSError as error:
            _refuse(f"reading failed: {error.strerror}", "error")
        return state.hexdigest()


def _open_nothing_else(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise PermissionError("a film may not open other files")


@contextmanager
def open_film(path: Path) -> Iterator[InputContainer]:
    """A film's container, read through its descriptor.

    Raises:
        MediaError: the file is no regular file, cannot be read, or is nothing FFmpeg knows.
    """
    with _descriptor(path) as handle:
        size = os.fstat(handle).st_size
        if not size:
            _refuse("it is empty")
        try:
            container = av.open(
                _Descriptor(handle),
                # Held by the probing decoders too: a huge frame must not be decoded to learn of its size.
                options={"max_pixels": str(MAX_PIXELS)},
                metadata_errors="replace",
                buffer_size=READ_BYTES,
                io_open=_open_nothing_else,
            )
            assert isinstance(container, InputContainer)
        except (av.error.FFmpegError, OSError, ValueError, MemoryError) as error:
            _refuse(*_why_not(handle, error))
        with container:
            yield container


def _why_not(handle: int, error: Exception) -> tuple[str, Literal["rejected", "error"]]:
    """Why a file that FFmpeg does not open is no film, as far as its first bytes tell."""
    if isinstance(error, MemoryError):
        return "there is not enough memory to open it", "error"
    if isinstance(error, OSError) and error.errno == errno.EIO:
        return f"reading failed: {error.strerror}", "error"
    try:
        head = os.pread(handle, 4096, 0)
        boxes = _boxes(handle)
    except OSError as problem:
        return f"reading failed: {problem.strerror}", "error"
    if "ftyp" in boxes and "moov" not in boxes:
        return "its index (the moov atom) is missing: the recording or download was not finished", "rejected"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "it is a web page, not a film", "rejected"
    if text.startswith((b"#extm3u", b"ffconcat")):
        return "it is a playlist, not a film", "rejected"
    return "it is no film that FFmpeg knows", "rejected"


def _boxes(handle: int) -> list[str]:
    """Names of the outermost boxes of an MP4 file, none for anything else."""
    names: list[str] = []
    end, place = os.fstat(handle).st_size, 0
    while place + 8 <= end and len(names) < 1000:
        head = os.pread(handle, 16, place)
        length = int.from_bytes(head[:4], "big")
        name = head[4:8]
        if not name.isalnum():
            break
        names.append(name.decode("ascii"))
        if length == 1:
            length = int.from_bytes(head[8:16], "big")
        if length < 8:
            break
        place += length
    return names


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
        aspect = sample_aspect(stream)
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
            fps=mean_rate(stream),
            seconds=header_seconds(container, stream)[0],
            bit_depth=depth,
            interlaced=frame is not None and frame.interlaced_frame,
            hdr=hdr_kind(frame.color_trc if frame is not None else context.color_trc),
            stream=stream.index,
        )


def _check_size(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        _refuse(
            f"its frames of {width} x {height} are too large: at most {MAX_PIXELS // 10**6} million pixels"
        )


def picture_stream(container: InputContainer) -> VideoStream:
    """The stream that holds the film: never cover art; of several the longest, the first if they are alike.

    Raises:
        MediaError: there is none, or none that can be decoded.
    """
    if container.format.name.endswith("_pipe"):
        _refuse("it is a still picture, not a film")
    videos = list(container.streams.video)
    films = [stream for stream in videos if not stream.disposition & NOT_FILM]
    if not films:
        if videos:
            _refuse("it has a cover picture but no film")
        _refuse("it has sound but no picture" if container.streams.audio else "it has no picture")
    known = [stream for stream in films if stream.codec_context is not None]
    if not known:
        _refuse("its picture is in a format that cannot be decoded here")
    lengths = [header_seconds(container, stream)[0] or 0.0 for stream in known]
    longest = max(lengths)
    return next(stream for stream, length in zip(known, lengths, strict=True) if length >= 0.9 * longest)


def header_seconds(container: InputContainer, stream: VideoStream) -> tuple[float | None, bool]:
    """How long the film is by its header, and whether that is said of the picture itself.

    Without the latter it is said of the whole file, whose sound may be longer than its picture.
    """
    if container.format.name in RAW_FORMATS:
        return None, False
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base), True
    if (tag := stream.metadata.get("DURATION")) and (seconds := _clock_seconds(tag)):
        return seconds, True
    if container.duration and container.duration > 0:
        return container.duration / av.time_base, False
    return None, False


RAW_FORMATS = frozenset(
    {"h264", "hevc", "vvc", "m4v", "mpegvideo", "obu", "vc1", "h263", "h261", "dirac", "cavsvideo"}
)
"""Bare streams: FFmpeg guesses their length from the bit rate."""


def _clock_seconds(text: str) -> float | None:
    """Seconds of Matroska's "hh:mm:ss.fraction"."""
    try:
        hours, minutes, seconds = text.strip().split(":")
        value = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def mean_rate(stream: VideoStream) -> float:
    """Mean frames a second; 0.0 if the header has none or one that cannot be."""
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate and 0.01 <= float(rate) <= 1000:
            return float(rate)
    return 0.0


def sample_aspect(stream: VideoStream) -> Fraction:
    """Width of a coded pixel over its height; nearly square is square, nonsense is square."""
    aspect = stream.sample_aspect_ratio
    if not aspect or not Fraction(1, 8) <= aspect <= 8:
        return Fraction(1)
    aspect = Fraction(aspect.numerator, aspect.denominator)
    return Fraction(1) if abs(aspect - 1) <= NEARLY_SQUARE else aspect


def upright_size(width: int, height: int, aspect: Fraction, rotation: int) -> tuple[int, int]:
    """Width and height of a coded frame once its pixels are square and it is turned."""
    square = (max(1, round(width * aspect)), height)
    return (square[1], square[0]) if rotation % 180 else square


def turn_of(frame: VideoFrame) -> tuple[int, bool]:
    """How a coded frame must be turned (clockwise, after mirroring left to right) to be upright."""
    side_data: Any = frame.side_data
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return 0, False
    a, b, _, c, d = struct.unpack_from("=5i", bytes(matrix))
    mirrored = a * d - b * c < 0
    angle = math.degrees(math.atan2(b, -a if mirrored else a))
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
                _refuse("it is encrypted")
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                frames = []
            if frames:
                return frames[0]
            if count >= PROBE_PACKETS:
                break
    except (av.error.FFmpegError, OSError):
        return None
    return None
