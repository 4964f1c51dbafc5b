"""What a shot backend can do, and the clear refusal of what it cannot (no torch here: asking is cheap)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captain_cinema.errors import AbilityError
from captain_cinema.shots.request import ShotRequest


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a backend declares; whatever lies outside is refused, never ignored or quietly changed."""

    name: str
    licence: str
    height: int
    """Height of a frame in pixels, the only one the backend films in."""
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
    _check_frame(request.keyframe, abilities, f"shot {number}: its keyframe")
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
    if frame.shape != wanted:
        size = f"{frame.shape[0]}x{frame.shape[1]}" if frame.ndim >= 2 else "no picture"
        raise AbilityError(
            f"{what} is {size}{'' if frame.shape[2:] == (3,) else ' and not RGB'}, {abilities.name} films "
            f"{wanted[0]}x{wanted[1]} (height x width) RGB; scale it to that"
        )
    if str(frame.dtype) != "uint8":
        raise AbilityError(f"{what} holds {frame.dtype} numbers; give it as uint8, 0 to 255")
