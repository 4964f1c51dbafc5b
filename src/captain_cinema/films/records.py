"""What passes between the stages of the data pipeline, and what the dataset keeps of it.

Times are seconds from the first presentation stamp of the film's picture; frame numbers count decoded frames
from 0. Crops are in pixels of the upright frame with square pixels, after rotation and sample aspect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

FilmVerdict = Literal["ok", "partial", "rejected", "duplicate", "error"]
FrameVerdict = Literal["kept", "dropped"]
Role = Literal["middle", "first"]
"""Section 3.1 takes the mid-shot frame, section 3.3 the first clean frame; both are kept."""


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The first frame of a new shot."""

    frame: int
    seconds: float
    gradual: bool = False
    """A fade or dissolve rather than a hard cut; the frame is the first one that is clean again."""
    blend_frame: int | None = None
    """Where the fade or dissolve begins: the first frame that no longer shows the shot before alone. 0 for a
    film that fades in. None for a hard cut. No keyframe comes from `blend_frame` up to `frame`."""


@dataclass(frozen=True, kw_only=True)
class ShotSpan:
    """A shot between two cuts."""

    number: int
    """From 1."""
    start_frame: int
    end_frame: int
    """Exclusive."""
    start: float
    end: float


@dataclass(frozen=True, kw_only=True)
class Crop:
    """A rectangle of the upright frame."""

    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A keyframe cut out of a film, ready to be judged, captioned and stored."""

    shot: int
    role: Role
    frame: int
    seconds: float
    border: Crop
    """The picture inside black borders."""
    crop: Crop
    """The 2:1 part of it that `image` shows."""
    image: UInt8[np.ndarray, "h w 3"]
    """RGB, 2:1, short side as the settings say (400), never enlarged past the film's own pixels."""
    replaced: str = ""
    """Why it is not the frame the rule asks for ("black", "transition", "corrupt"); empty if it is."""
    whole: UInt8[np.ndarray, "h w 3"] | None = None
    """The upright frame before any crop, small (some 240 pixels wide), for crops on the page of `show`."""


@dataclass(frozen=True, kw_only=True)
class KeyframeRecord:
    """A keyframe as the dataset's index holds it."""

    film: str
    """The film's id: the first 16 digits of the sha256 of the file."""
    shot: int
    role: Role
    frame: int
    seconds: float
    start: float
    """Of its shot."""
    end: float
    border: Crop
    crop: Crop
    width: int
    height: int
    verdict: FrameVerdict
    reason: str = ""
    """Why it was dropped: black, flat, blurred, text, duplicate of ..., or the annotator's own words. Of one
    that is kept: the names outside the cast that its annotator used and that were left out."""
    replaced: str = ""
    caption: str = ""
    """With `<Character Name>` tags; empty if missing."""
    characters: tuple[str, ...] = ()
    annotator: str = "none"
    hash: str = ""
    """Perceptual hash, 16 hexadecimal digits."""
    luma: float = 0.0
    """Mean brightness, 0 to 255."""
    sharpness: float = 0.0
    """Standard deviation of the Laplacian at the stored size."""


@dataclass(frozen=True, kw_only=True)
class FilmRecord:
    """A film as the dataset's manifest holds it; written for every file, whatever became of it."""

    id: str
    """First 16 digits of `digest`; empty if the file could not be read."""
    name: str
    """File name as given, with bytes that are not UTF-8 escaped."""
    path: str
    digest: str
    size: int
    verdict: FilmVerdict
    reason: str = ""
    seconds: float = 0.0
    frames: int = 0
    fps: float = 0.0
    """Mean frames a second."""
    width: int = 0
    """Upright, square pixels."""
    height: int = 0
    codec: str = ""
    corrupt: int = 0
    """Packets or frames that decoded with errors."""
    detector: str = ""
    settings: str = ""
    """Digest of the settings that the film was processed with."""
    annotation: str = ""
    """What the captions depend on: digest of annotator, cast and sidecar; empty if some are to be asked for
    again."""
    shots: int = 0
    kept: int = 0
    dropped: int = 0
    caption: str = ""
    """The global caption (playhouse, sidecar); empty if there is none."""
    cast: tuple[tuple[str, str], ...] = ()
    """Name and description of every character allowed in captions."""
    cuts: tuple[Cut, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    """Libraries that decided the result."""
