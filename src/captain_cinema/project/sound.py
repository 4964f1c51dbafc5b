"""Sound of clips and films: stereo at one rate, read and written in blocks, never a whole film in memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import ProjectError

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 48_000
"""Of all sound that is written, samples a second."""

BIT_RATE = 192_000
"""Of the AAC, which browsers and editing programs play."""

BLOCK = SAMPLE_RATE // 4
"""Samples that are handled at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SoundTrack:
    """A clip's sound: float32 [2, samples] at SAMPLE_RATE."""

    samples: np.ndarray

    @staticmethod
    def of(sound: np.ndarray, rate: int) -> SoundTrack:
        """Bring float32 [1 or 2 channels, samples] at any rate to stereo at SAMPLE_RATE.

        Raises:
            ValueError: another shape, or a rate that is none.
        """
        import av
        import numpy as np

        if sound.ndim != 2 or sound.shape[0] not in (1, 2) or rate < 1:
            raise ValueError(f"sound of shape {sound.shape} at {rate} Hz is neither mono nor stereo")
        stereo = np.broadcast_to(sound, (2, sound.shape[1])).astype(np.float32).clip(-1.0, 1.0)
        if rate == SAMPLE_RATE or not stereo.shape[1]:
            return SoundTrack(samples=np.ascontiguousarray(stereo))
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
        frame = _audio_frame(np.ascontiguousarray(stereo), 0, rate)
        parts = [made.to_ndarray() for made in (*resampler.resample(frame), *resampler.resample(None))]
        return SoundTrack(samples=np.concatenate(parts, axis=1))

    def blocks(self) -> Iterator[np.ndarray]:
        """The samples in blocks."""
        for start in range(0, self.samples.shape[1], BLOCK):
            yield self.samples[:, start : start + BLOCK]


def _audio_frame(samples: np.ndarray, at: int, rate: int) -> Any:
    import av

    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
    return frame


class SoundWriter:
    """Writes blocks of sound into a container, never far ahead of or behind the pictures.

    Args:
        container: open for writing, nothing muxed yet.
        blocks: float32 [2, samples] at SAMPLE_RATE.
    """

    def __init__(self, container: Any, blocks: Iterator[np.ndarray]) -> None:
        self.container, self.blocks = container, blocks
        self.written = 0
        self.stream = container.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
        self.stream.codec_context.bit_rate = BIT_RATE
        self.stream.codec_context.thread_count = 1
        self.stream.codec_context.options = {"flags": "+bitexact"}

    def upto(self, seconds: float) -> None:
        """Write until the sound is as long as the pictures are."""
        while self.written < seconds * SAMPLE_RATE and self._next():
            pass

    def close(self) -> None:
        """Write the rest."""
        while self._next():
            pass
        self.container.mux(self.stream.encode())

    def _next(self) -> bool:
        import numpy as np

        block = next(self.blocks, None)
        if block is None:
            return False
        if block.shape[1]:
            frame = _audio_frame(np.ascontiguousarray(block, np.float32), self.written, SAMPLE_RATE)
            self.container.mux(self.stream.encode(frame))
            self.written += block.shape[1]
        return True


def has_sound(path: Path) -> bool:
    """Whether a clip has a sound track; a file that cannot be opened has none."""
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            return bool(container.streams.audio)
    except (FFmpegError, ValueError):
        return False


def read_sound(path: Path) -> Iterator[np.ndarray]:
    """A clip's sound from its first moment on: blocks of float32 [2, samples] at SAMPLE_RATE, none if silent.

    Raises:
        ProjectError: the sound is damaged.
    """
    import av
    from av.error import FFmpegError

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                return
            stream = container.streams.audio[0]
            resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
            at = None
            for frame in container.decode(stream):
                time = float(frame.time) if frame.time is not None else 0.0
                for made in resampler.resample(frame):
                    block = made.to_ndarray()
                    if at is None:
                        at, block = _from_zero(block, time)
                    yield block
            for made in resampler.resample(None):
                yield made.to_ndarray()
    except (FFmpegError, ValueError) as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise
        raise ProjectError(
            f"the sound of {path} is damaged; make the clip again or take its sound out"
        ) from error


def _from_zero(block: np.ndarray, time: float) -> tuple[int, np.ndarray]:
    """The first block, with silence before it or its head cut off where it comes before the pictures."""
    import numpy as np

    shift = round(time * SAMPLE_RATE)
    if shift > 0:
        return shift, np.concatenate([np.zeros((2, shift), np.float32), block], axis=1)
    return 0, block[:, -shift:]


class SoundReader:
    """Takes sound in any portions; after its end comes silence."""

    def __init__(self, blocks: Iterator[np.ndarray]) -> None:
        self.blocks = blocks
        self._left: np.ndarray | None = None

    def take(self, count: int) -> np.ndarray:
        """The next `count` samples, [2, count]."""
        import numpy as np

        parts, missing = [], count
        while missing:
            block = self._left if self._left is not None else next(self.blocks, None)
            self._left = None
            if block is None:
                parts.append(np.zeros((2, missing), np.float32))
                break
            parts.append(block[:, :missing])
            missing -= parts[-1].shape[1]
            if block.shape[1] > parts[-1].shape[1]:
                self._left = block[:, parts[-1].shape[1] :]
        return np.concatenate([np.zeros((2, 0), np.float32), *parts], axis=1)
