"""What a shot backend can do, and the clear refusal of what it cannot (no torch here: asking is cheap)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from captain_cinema.errors import AbilityError
from captain_cinema.shots.request import ShotRequest

ConditioningFrames = Literal["first", "first and last", "any"]
"""Which frames of a shot may be given as pictures."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a backend declares; whatever lies outside is refused, never ignored or quietly changed."""

    name: str
    licence: str
    height: int
    """Height of a frame in pixels: the only one, or with `size_step` the one used unless another is asked."""
    width: int
    fps: int
    """Frames a second."""
    min_seconds: float
    """Shortest shot."""
    max_seconds: float
    """Longest shot."""
    max_shots_together: int
    """Shots that may share one denoising, their self-attention joined."""
    max_context: int
    """Keyframes of other shots that may inform one shot."""
    conditioning: tuple[str, ...] = ("first frame", "context keyframes", "caption", "film caption")
    """What a shot can be conditioned on; a last frame, a reference or a camera path only if named here."""
    audio: bool = False
    """Makes sound with the pictures."""
    keyframes: ConditioningFrames = "first"
    size_step: int = 0
    """Sides may be any multiple of this; 0 holds the backend to `height` x `width`."""
    max_pixels: int = 0
    """With `size_step`: the most pixels a frame may have."""
    frame_step: int = 1
    """It makes 1 + so many frames times a whole number; what a shot does not need is cut off."""
    gpu_gib: int = 0
    """Smallest class of GPU memory it is meant for, offload and quantisation included; 0 needs no GPU."""
    weights: str = ""
    """Whose weights: name of the published checkpoint, empty for those in the package."""
    limits: str = ""
    """What the licence forbids or asks for, in a few words; such a backend asks before its first use."""

    def takes(self, height: int, width: int) -> bool:
        """Whether it films frames of that size."""
        if not self.size_step:
            return (height, width) == (self.height, self.width)
        return not (height % self.size_step or width % self.size_step) and height * width <= self.max_pixels

    @property
    def sizes(self) -> str:
        """Its sizes in words."""
        if not self.size_step:
            return f"{self.width}x{self.height} alone"
        return f"multiples of {self.size_step} up to {self.max_pixels:,} pixels"


EMBEDDED_ABILITIES = Abilities(
    name="embedded",
    licence="Apache-2.0",
    height=128,
    width=256,
    fps=12,
    min_seconds=1.0,
    max_seconds=4.0,
    max_shots_together=8,
    max_context=3,
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a script asks of a backend for one shot."""

    number: int
    seconds: float
    """As filmed, handles included."""
    last_keyframe: bool = False
    sound: bool = False
    size: tuple[int, int] | None = None
    """Height and width; None asks for none."""


def refusal(wish: Wish, able: Abilities) -> str:
    """What a backend cannot do of a wish, and what it can; empty when it can do it all."""
    low, high = able.min_seconds, able.max_seconds
    if not math.isfinite(wish.seconds) or not low <= wish.seconds <= high:
        return f"lasts {wish.seconds:g} s, but {{}} makes shots of {low:g} to {high:g} s"
    if wish.last_keyframe and able.keyframes == "first":
        return "ends on a picture of its own, but {} starts from a keyframe and ends where it likes"
    if wish.sound and not able.audio:
        return "is to be heard, but {} makes no sound"
    if wish.size is not None and not able.takes(*wish.size):
        return f"is asked for at {wish.size[1]}x{wish.size[0]} pixels, but {{}} films {able.sizes}"
    return ""


def check_wish(
    wish: Wish, able: Abilities, *, others: Iterable[Abilities], who: str = "", mend: str = ""
) -> None:
    """Hold what a script asks for against a backend, before any work.

    Args:
        wish: one shot's.
        able: the backend that is to film it.
        others: backends that may be named as able.
        who: what to call the backend; its name if left out.
        mend: what the user may change instead, for the message.

    Raises:
        AbilityError: the backend cannot; the message names the shot, and a backend that can.
    """
    why = refusal(wish, able)
    if not why:
        return
    found = [other.name for other in others if other.name != able.name and not refusal(wish, other)]
    can = f"{found[0]} can" if found else "no backend can"
    raise AbilityError(
        f"shot {wish.number} {why.format(who or able.name)}: {can}{'; ' + mend if mend else ''}"
    )


def check_request(request: ShotRequest, abilities: Abilities, *, number: int) -> None:
    """Hold one request against what the backend declares.

    Args:
        request: the shot to film.
        abilities: what the backend can do.
        number: the shot's number in the script, for the message.

    Raises:
        AbilityError: the backend cannot film this; the message names the shot and what would work.
    """
    low, high = abilities.min_seconds, abilities.max_seconds
    if not math.isfinite(request.seconds) or not low <= request.seconds <= high:
        raise AbilityError(
            f"shot {number}: {request.seconds:g} seconds asked, {abilities.name} films {low:g} to {high:g}; "
            f"give it a length in between or split it into shots"
        )
    if request.last_keyframe is not None and abilities.keyframes == "first":
        raise AbilityError(
            f"shot {number}: a last keyframe is given, {abilities.name} starts from a keyframe and ends "
            "where it likes; leave it out or film the shot with another backend"
        )
    if request.sound and not abilities.audio:
        raise AbilityError(
            f"shot {number}: sound is asked for, {abilities.name} makes none; leave it out or film the "
            "shot with another backend"
        )
    _check_frame(request.keyframe, abilities, f"shot {number}: its keyframe")
    if request.last_keyframe is not None:
        _check_frame(request.last_keyframe, abilities, f"shot {number}: its last keyframe")
    if len(request.context) > abilities.max_context:
        raise AbilityError(
            f"shot {number}: {len(request.context)} context keyframes given, {abilities.name} reads at most "
            f"{abilities.max_context}; name fewer"
        )
    for place, frame in enumerate(request.context, start=1):
        _check_frame(frame, abilities, f"shot {number}: context keyframe {place}")


def check_together(requests: Sequence[ShotRequest], abilities: Abilities) -> None:
    """Refuse more shots in one denoising than the backend declares.

    Raises:
        AbilityError: there are too many; the message says how many would do.
    """
    if len(requests) > abilities.max_shots_together:
        raise AbilityError(
            f"{len(requests)} shots asked for together, {abilities.name} joins at most "
            f"{abilities.max_shots_together}; film them in windows"
        )


def _check_frame(frame: np.ndarray, abilities: Abilities, what: str) -> None:
    wanted = (abilities.height, abilities.width, 3)
    fits = frame.ndim == 3 and frame.shape[2] == 3 and abilities.takes(*frame.shape[:2])
    if not fits and abilities.size_step:
        raise AbilityError(
            f"{what} is {'x'.join(map(str, frame.shape[:2]))} (height x width), {abilities.name} films "
            f"{abilities.sizes}; scale it to that"
        )
    if not fits:
        size = f"{frame.shape[0]}x{frame.shape[1]}" if frame.ndim >= 2 else "no picture"
        raise AbilityError(
            f"{what} is {size}{'' if frame.shape[2:] == (3,) else ' and not RGB'}, {abilities.name} films "
            f"{wanted[0]}x{wanted[1]} (height x width) RGB; scale it to that"
        )
    if str(frame.dtype) != "uint8":
        raise AbilityError(f"{what} holds {frame.dtype} numbers; give it as uint8, 0 to 255")
