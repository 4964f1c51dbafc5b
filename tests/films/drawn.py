"""Small films drawn and encoded on the spot: every shot has a picture, a motion and colours of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

FPS = 12
SIZE = (160, 90)


@lru_cache(maxsize=8)
def _still(seed: int, size: tuple[int, int]) -> np.ndarray:
    width, height = size
    rng = np.random.default_rng(seed)
    rows, cols = np.arange(height)[:, None] / height * 6.28, np.arange(width) / width * 6.28
    image = np.empty((height, width, 3))
    for channel in range(3):
        base, reach, phase = rng.uniform(70, 190), rng.uniform(40, 65), rng.uniform(0, 6.28)
        wave = np.sin(rng.integers(1, 4) * cols + phase) * np.cos(rng.uniform(1, 3) * rows + phase / 2)
        image[..., channel] = base + reach * wave
    # Something sharp, so that no frame of it counts as blurred.
    left, top = rng.integers(0, max(1, width // 2)), rng.integers(0, max(1, height // 2))
    patch = image[top : top + max(1, height // 3), left : left + max(1, width // 3)]
    checks = (np.arange(patch.shape[1]) // 4 + np.arange(patch.shape[0])[:, None] // 4) % 2 == 0
    patch[checks] = rng.uniform(0, 255, 3)
    return image.clip(0, 255).astype(np.uint8)


def picture(seed: int, step: int = 0, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture of soft blobs that drifts to the left by a pixel a step; those of two seeds differ wholly."""
    return np.roll(_still(seed, size), -step, axis=1)


@lru_cache(maxsize=16)
def scenery(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A picture that detectors take for one of the real world, with texture at every scale and solid things.

    As in photographs, the finer a wave, the weaker it is. Its ground has no seam if it is rolled sideways.
    """
    width, height = size
    rng = np.random.default_rng(seed)
    across, down = np.fft.fftfreq(width), np.fft.fftfreq(height)[:, None]
    falloff = np.maximum(np.hypot(across, down), 1 / width)[..., None] ** -1.3
    waves = np.fft.fft2(rng.normal(size=(height, width, 4)), axes=(0, 1)) * falloff
    fields = np.fft.ifft2(waves, axes=(0, 1)).real
    fields = (fields - fields.mean((0, 1))) / fields.std((0, 1))
    image = rng.uniform(90, 150, 3) + 35 * fields[..., 3:] + 12 * fields[..., :3]
    image = np.ascontiguousarray(image.clip(20, 235).astype(np.uint8))
    for _ in range(7):
        place = (
            int(rng.integers(width // 8, 7 * width // 8)),
            int(rng.integers(height // 6, 5 * height // 6)),
        )
        axes = (int(rng.integers(width // 30, width // 9)), int(rng.integers(height // 16, height // 4)))
        colour = rng.integers(25, 230, 3).tolist()
        cv2.ellipse(image, place, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image


def scene(seed: int, length: int, size: tuple[int, int] = SIZE, speed: float = 1.0) -> list[np.ndarray]:
    """The frames of a shot: scenery that a camera pans over, by so many pixels a frame."""
    return [np.roll(scenery(seed, size), -round(speed * step), axis=1) for step in range(length)]


def mixed(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Frame by frame from one to the other."""
    shares = (np.arange(len(one)) + 1) / (len(one) + 1)
    return [
        np.round((1 - share) * before + share * after).astype(np.uint8)
        for share, before, after in zip(shares, one, other, strict=True)
    ]


def shots(seed: int, lengths: Sequence[int] = (12, 12), size: tuple[int, int] = SIZE) -> Iterator[np.ndarray]:
    """The frames of a film of so many shots of so many frames."""
    for shot, length in enumerate(lengths):
        for step in range(length):
            yield picture(1000 * seed + shot, step, size)


def add_stream(
    container: OutputContainer,
    codec: str = "libx264",
    *,
    size: tuple[int, int] = SIZE,
    rate: Fraction | int = FPS,
    pixels: str = "yuv420p",
    options: dict[str, str] | None = None,
    gop: int = 12,
) -> VideoStream:
    """A picture stream of one thread, so that its bytes are the same every time."""
    stream = container.add_stream(codec, rate=rate)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = pixels
    stream.codec_context.thread_count = 1
    stream.codec_context.gop_size = gop
    if options is None and codec == "libx264":
        options = {"preset": "ultrafast", "crf": "18"}
    stream.codec_context.options = options or {}
    return stream


def feed(
    container: OutputContainer,
    stream: VideoStream,
    frames: Iterator[np.ndarray] | Sequence[np.ndarray],
    *,
    stamps: Sequence[int] | None = None,
    dress: Callable[[VideoFrame], VideoFrame] | None = None,
) -> None:
    """Encode frames; `stamps` are in units of the frame rate, `dress` changes a frame beforehand."""
    for number, image in enumerate(frames):
        frame = VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts = stamps[number] if stamps is not None else number
        frame.time_base = Fraction(1, stream.codec_context.rate)
        container.mux(stream.encode(dress(frame) if dress else frame))
    container.mux(stream.encode(None))


def write_film(
    path: Path,
    seed: int,
    *,
    lengths: Sequence[int] = (12, 12),
    size: tuple[int, int] = SIZE,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    rate: Fraction | int = FPS,
    form: str | None = None,
    muxing: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    gop: int = 12,
    stamps: Sequence[int] | None = None,
    frames: Iterator[np.ndarray] | Sequence[np.ndarray] | None = None,
    dress: Callable[[VideoFrame], VideoFrame] | None = None,
) -> Path:
    """A film of shots, by default 24 frames of H.264; its name is never interpreted."""
    form = form or {".mkv": "matroska", ".ts": "mpegts", ".h264": "h264"}.get(path.suffix, path.suffix[1:])
    with path.open("wb") as file, av.open(file, "w", format=form, options=muxing or {}) as container:
        assert isinstance(container, OutputContainer)
        stream = add_stream(container, codec, size=size, rate=rate, pixels=pixels, options=options, gop=gop)
        feed(container, stream, frames or shots(seed, lengths, size), stamps=stamps, dress=dress)
    return path
