"""What is asked of a shot backend: one shot, its keyframe and what goes with it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class ShotRequest:
    """One shot to film."""

    keyframe: np.ndarray
    """The shot's first frame, uint8 [h, w, 3]; it appears in the film exactly as given."""
    caption: str
    film_caption: str
    """The film's global caption, the same for every shot."""
    seconds: float
    seed: int
    context: tuple[np.ndarray, ...] = ()
    """Keyframes of other shots of the film, in film order, that this one should agree with."""
    number: int | None = None
    """The shot's number in the script, for messages; None counts the requests."""
    last_keyframe: np.ndarray | None = None
    """The frame that the shot ends on, for backends that can."""
    last_at: float | None = None
    """When the last keyframe is shown, seconds from the start; None is the very end."""
    sound: str = ""
    """What is heard, in words, for backends that make sound."""


@dataclass(frozen=True, kw_only=True)
class Footage:
    """A shot with its sound, from a backend that makes sound; others hand over the frames alone."""

    frames: np.ndarray
    """uint8 [frames, h, w, 3]."""
    sound: np.ndarray
    """float32 [channels, samples], -1 to 1; one or two channels."""
    rate: int
    """Samples a second."""


def frame_count(seconds: float, fps: int) -> int:
    """Frames of a shot, its keyframe included."""
    return max(1, round(seconds * fps))
