"""The film: all shots in a row, one frame in memory at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from captain_cinema.project.clips import FILM_QUALITY, read_clip, write_clip

if TYPE_CHECKING:
    import numpy as np

FILM_HEIGHT = 384
"""Small frames are enlarged to this height, as players enlarge them less well; larger ones stay as they are.
"""

ENCODING = f"libx264 crf {FILM_QUALITY} medium lanczos 1"
"""What decides the film's bytes besides its shots."""


def film_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a film whose frames are `height` by `width`: a whole multiple, so that pixels stay
    even.
    """
    factor = max(1, round(FILM_HEIGHT / height))
    return height * factor, width * factor


def write_film(
    path: Path, clips: Sequence[Path], *, fps: int, height: int, width: int, title: str = ""
) -> int:
    """Write the film of `clips` at `height` by `width` and `fps` frames a second; returns the number of
    frames.

    Raises:
        ProjectError: when a clip is damaged; the message names it.
    """
    frames = (
        frame for clip in clips for frame in resampled(read_clip(clip), fps=fps, height=height, width=width)
    )
    return write_clip(path, frames, fps=fps, quality=FILM_QUALITY, title=title)


def resampled(
    frames: Iterator[tuple[float, np.ndarray]], *, fps: int, height: int, width: int
) -> Iterator[np.ndarray]:
    """Frames with times brought to a constant rate and size: the one on show at each tick.

    Clips of this project pass one for one; a clip that the user put in may have any rate, size and shape.
    """
    tick = 0
    for _, end, frame in with_ends(frames, fps):
        if tick >= ticks(end, fps):
            continue
        shown = fitted(frame, height, width)
        while tick < ticks(end, fps):
            yield shown
            tick += 1


def with_ends(
    frames: Iterator[tuple[float, np.ndarray]], fps: int
) -> Iterator[tuple[float, float, np.ndarray]]:
    """Frames with the times at which they come and go; the last stays as long as the one before it did."""
    last: tuple[float, np.ndarray] | None = None
    lasted = 1 / fps
    for time, frame in frames:
        if last is not None:
            yield last[0], time, last[1]
            lasted = time - last[0]
        last = time, frame
    if last is not None:
        yield last[0], last[0] + lasted, last[1]


def ticks(seconds: float, fps: int) -> int:
    """Whole frames in a time, one at least, to the nearest: times are rounded to the container's clock."""
    return max(1, int(seconds * fps + 0.5))


def clip_ticks(clip: Path, fps: int) -> int:
    """Frames that a clip takes in the film."""
    return max((ticks(end, fps) for _, end, _ in with_ends(read_clip(clip), fps)), default=0)


def fitted(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut a frame to the film's shape around its centre and scale it."""
    import cv2

    h, w = frame.shape[:2]
    if w * height > h * width:
        keep = max(1, h * width // height)
        frame = frame[:, (w - keep) // 2 : (w - keep) // 2 + keep]
    elif w * height < h * width:
        keep = max(1, w * height // width)
        frame = frame[(h - keep) // 2 : (h - keep) // 2 + keep]
    if frame.shape[:2] == (height, width):
        return frame
    way = cv2.INTER_LANCZOS4 if frame.shape[0] < height else cv2.INTER_AREA
    return cv2.resize(frame, (width, height), interpolation=way)
