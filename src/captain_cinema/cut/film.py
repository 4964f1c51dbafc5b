"""The film: all shots in a row with their transitions and sound, a frame in memory at a time.

The film is written in one pass over the clips, so that it needs as much memory for an hour as for a minute;
and from the clips alone, so that it can be cut again at any time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from captain_cinema.project.clips import FILM_QUALITY, read_clip, write_clip
from captain_cinema.project.sound import BLOCK, SAMPLE_RATE, SoundReader, has_sound, read_sound

if TYPE_CHECKING:
    import numpy as np

FILM_HEIGHT = 384
"""Small frames are enlarged to this height, as players enlarge them less well; larger ones stay as they are.
"""

ENCODING = f"libx264 crf {FILM_QUALITY} medium lanczos 1"
"""What decides the film's bytes besides its shots."""


@dataclass(frozen=True, kw_only=True)
class FilmShot:
    """A clip's place in the film. Lengths are frames of the film."""

    clip: Path
    frames: int
    """As long it is in the film; what the clip has beyond are its handles."""
    cross_fade: int = 0
    """Its first frames are blended over from the handles of the shot before."""
    fade_in: int = 0
    """It comes out of black in so many frames."""
    fade_out: int = 0
    """It goes into black in so many."""


def film_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of a film whose frames are `height` by `width`: a whole multiple, so that pixels stay
    even.
    """
    factor = max(1, round(FILM_HEIGHT / height))
    return height * factor, width * factor


def write_film(
    path: Path, shots: Sequence[FilmShot], *, fps: int, height: int, width: int, title: str = ""
) -> int:
    """Write the film of `shots` at `height` by `width` and `fps` frames a second; returns the number of
    frames. It has a sound track if any clip has one.

    Raises:
        ProjectError: when a clip is damaged; the message names it.
    """
    sound = film_sound(shots, fps=fps) if any(has_sound(shot.clip) for shot in shots) else None
    frames = film_frames(shots, fps=fps, height=height, width=width)
    return write_clip(path, frames, fps=fps, quality=FILM_QUALITY, title=title, sound=sound)


def film_frames(shots: Sequence[FilmShot], *, fps: int, height: int, width: int) -> Iterator[np.ndarray]:
    """The frames of the film, one after the other."""
    before: Iterator[np.ndarray] | None = None
    for shot in shots:
        frames = held(resampled(read_clip(shot.clip), fps=fps, height=height, width=width))
        for number in range(shot.frames):
            frame = next(frames)
            if before is not None and number < shot.cross_fade:
                frame = blended(next(before), frame, (number + 1) / (shot.cross_fade + 1))
            yield dimmed(frame, light(shot, number))
        before = frames


def held(frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Frames, and the last one for ever: a clip that is a little short stands still."""
    last: np.ndarray | None = None
    for frame in frames:
        last = frame
        yield frame
    while last is not None:
        yield last


def light(shot: FilmShot, number: int) -> float:
    """How bright frame `number` of a shot is: 1 but while it fades; no frame is quite black."""
    comes = (number + 1) / (shot.fade_in + 1) if number < shot.fade_in else 1.0
    left = shot.frames - number
    goes = left / (shot.fade_out + 1) if left <= shot.fade_out else 1.0
    return min(comes, goes)


def blended(old: np.ndarray, new: np.ndarray, share: float) -> np.ndarray:
    """Two frames over one another."""
    import cv2

    return cv2.addWeighted(old, 1 - share, new, share, 0.0)


def dimmed(frame: np.ndarray, share: float) -> np.ndarray:
    """A frame on its way to black."""
    import cv2

    return frame if share >= 1 else cv2.convertScaleAbs(frame, alpha=share)


def film_sound(shots: Sequence[FilmShot], *, fps: int) -> Iterator[np.ndarray]:
    """The sound of the film in blocks, as long as its pictures; shots without sound are silent."""
    import numpy as np

    before: SoundReader | None = None
    total = 0
    for shot in shots:
        reader = SoundReader(read_sound(shot.clip))
        start, total = total, total + shot.frames
        count = samples_at(total, fps) - samples_at(start, fps)
        over = samples_at(shot.cross_fade, fps) if before is not None else 0
        comes, goes = samples_at(shot.fade_in, fps), samples_at(shot.fade_out, fps)
        for first in range(0, count, BLOCK):
            size = min(BLOCK, count - first)
            block, places = reader.take(size), np.arange(first, first + size, dtype=np.float32)
            if before is not None and first < over:
                share = np.minimum(1, (places + 1) / (over + 1))
                block = block * share + before.take(size) * (1 - share)
            if comes:
                block = block * np.minimum(1, places / comes)
            if goes:
                block = block * np.minimum(1, (count - 1 - places) / goes)
            yield block.astype(np.float32)
        before = reader


def samples_at(frames: int, fps: int) -> int:
    """Samples of sound that belong to so many frames; of the film's whole length, so that nothing drifts."""
    return round(frames * SAMPLE_RATE / fps)


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
