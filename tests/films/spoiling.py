"""What makes a film odd: covers, sound, display matrices, combed fields, damage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from drawn import FPS, SIZE, add_stream, picture, shots


def woven(seed: int, size: tuple[int, int] = SIZE) -> Iterator[np.ndarray]:
    """Frames of two fields each, the upper one half a step later than the lower one: fast motion combs."""
    for number in range(24):
        shot, step = divmod(number, 12)
        frame = picture(1000 * seed + shot, 8 * step, size)
        frame[::2] = picture(1000 * seed + shot, 8 * step + 4, size)[::2]
        yield frame


def hdr_options(transfer: str) -> dict[str, str]:
    """Options of libx264 that call a film high dynamic range."""
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    return {"preset": "ultrafast", "crf": "12", "x264-params": tags}


def letterboxed(seed: int) -> Iterator[np.ndarray]:
    for number, image in enumerate(shots(seed)):
        if number >= 12:
            image[:11] = image[-11:] = 0
        yield image


def add_sound(container: OutputContainer, seconds: float, before: Callable[[], None] | None = None) -> None:
    stream = container.add_stream("mp2", rate=32000)
    if before:
        before()
    frame_size = 1152
    for number in range(int(seconds * 32000 / frame_size)):
        tone = (np.sin(np.arange(frame_size) / 20) * 8000).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.stack([tone, tone], 1).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.rate, frame.pts = 32000, number * frame_size
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def add_cover(container: OutputContainer) -> None:
    cover = add_stream(container, "mjpeg", size=(64, 64), pixels="yuvj420p", options={})
    cover.disposition = Disposition.attached_pic
    frame = VideoFrame.from_ndarray(picture(5, size=(64, 64)), format="rgb24")
    frame.pts, frame.time_base = 0, Fraction(1, FPS)
    container.mux(cover.encode(frame))
    container.mux(cover.encode(None))


def overwrite_media(path: Path, start: float, end: float) -> None:
    """Overwrite a share of an MP4 film's coded pictures with noise."""
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat") + 4
    length = int.from_bytes(data[place - 8 : place - 4], "big") - 8
    a, b = place + int(start * length), place + int(end * length)
    data[a:b] = b"\xff" * (b - a) if (start, end) == (0.0, 1.0) else np.random.default_rng(3).bytes(b - a)
    path.write_bytes(data)


def turn_header(path: Path, matrix: tuple[int, int, int, int]) -> None:
    """Write a display matrix (a, b, c, d) into the track header of an MP4 film."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    a, b, c, d = (value << 16 for value in matrix)
    for index, value in enumerate((a, b, 0, c, d, 0)):
        data[place + 4 * index : place + 4 * index + 4] = value.to_bytes(4, "big", signed=True)
    path.write_bytes(data)


def cover_first(data: bytes) -> bytes:
    """An MP4 film whose cover art is listed before its tracks."""
    start = data.rindex(b"moov") - 4
    moov = data[start : start + int.from_bytes(data[start : start + 4], "big")]
    boxes, place = [], 8
    while place < len(moov):
        length = int.from_bytes(moov[place : place + 4], "big")
        boxes.append(moov[place : place + length])
        place += length
    boxes.sort(key=lambda box: {b"mvhd": 0, b"udta": 1}.get(box[4:8], 2))
    return data[:start] + moov[:8] + b"".join(boxes) + data[start + len(moov) :]
