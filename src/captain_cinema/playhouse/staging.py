"""Staging of a shot: where its characters stand, what they do and hold, how the camera sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from captain_cinema.playhouse.names import pick, weighted
from captain_cinema.playhouse.world import ACTIONS, PROPS, TRAVELLING, Character, Pose, PropPose

FRAMING_SHARES: dict[int, dict[str, float]] = {
    0: {"wide": 0.9, "medium": 0.1},
    1: {"wide": 0.48, "medium": 0.37, "close-up": 0.15},
    2: {"wide": 0.65, "medium": 0.35},
    3: {"wide": 1.0},
}
"""How near the camera is, by the number of characters."""
INTRODUCTION = {"wide": 0.5, "medium": 0.5}
"""A first appearance shows the whole look."""
CAMERA_SHARES = {"static": 0.68, "pan left": 0.1, "pan right": 0.1, "push in": 0.12}

PLACED: dict[int, dict[tuple[str, ...], float]] = {
    0: {(): 1.0},
    1: {("left",): 0.35, ("centre",): 0.3, ("right",): 0.35},
    2: {("left", "right"): 0.76, ("left", "centre"): 0.12, ("centre", "right"): 0.12},
    3: {("left", "centre", "right"): 1.0},
}
X = {"left": 0.5, "centre": 1.0, "right": 1.5}
SPREAD_X = {"left": 0.375, "centre": 1.0, "right": 1.625}
"""Three need more room."""
TRAVEL_X = SPREAD_X
HEAD_START = 0.125
"""Travellers need the whole stage: they begin at its edges or, in the centre, a little on their way."""

HELD_SHARE = 0.38
PROP_SHARE = 0.6
"""Of the wide shots of a scene with a prop, how many show it."""
ON_SPOT = tuple(action for action in ACTIONS if action not in TRAVELLING)
NEAR_ACTIONS = ("stand", "wave", "nod", "clap", "look around", "bow")
"""What a close-up can show."""
EMPTY_HANDED = ("clap",)


@dataclass(frozen=True, kw_only=True)
class Staged:
    """What `stage` decides."""

    framing: str
    camera: str
    placements: tuple[str, ...]
    poses: tuple[Pose, ...]
    props: tuple[PropPose, ...]
    prop_placements: tuple[str, ...]


def stage(
    rng: np.random.Generator,
    characters: Sequence[Character],
    *,
    introduces: bool,
    seconds: float,
    prop: PropPose | None,
) -> Staged:
    """Stage a shot.

    Args:
        rng: Where the choices come from.
        characters: None to three, from left to right.
        introduces: Whether one of them appears for the first time.
        seconds: Length of the shot; who travels must have room for it.
        prop: What stands in this scene.
    """
    count = len(characters)
    framing = weighted(rng, INTRODUCTION if introduces and count < 3 else FRAMING_SHARES[count])
    placements = ("left", "right") if count == 2 and framing != "wide" else weighted(rng, PLACED[count])
    actions = _actions(rng, placements, framing, seconds)
    travels = any(action in TRAVELLING for action in actions)
    poses = tuple(
        _pose(rng, character, action, placement, placements)
        for character, action, placement in zip(characters, actions, placements, strict=True)
    )
    props = (prop,) if prop and framing == "wide" and not travels and _free(prop, poses, rng) else ()
    return Staged(
        framing=framing,
        camera="static" if travels and rng.random() < 0.9 else weighted(rng, CAMERA_SHARES),
        placements=placements,
        poses=poses,
        props=props,
        prop_placements=tuple(_placement(thing.x) for thing in props),
    )


def _actions(
    rng: np.random.Generator, placements: tuple[str, ...], framing: str, seconds: float
) -> tuple[str, ...]:
    """One action each. Who travels goes towards free space: nobody leaves the frame or runs into another."""
    if framing == "close-up":
        return tuple(pick(rng, NEAR_ACTIONS) for _ in placements)
    spot = [pick(rng, ON_SPOT) for _ in placements]
    if len(placements) == 1 and seconds <= 2.0 and rng.random() < 0.45:
        return (_travel(rng, placements[0], framing),)
    if len(placements) == 2 and seconds <= 2.0 and framing == "wide" and rng.random() < 0.3:
        if placements == ("left", "right"):  # one comes towards the other
            return ("walk right", spot[1]) if rng.random() < 0.5 else (spot[0], "walk left")
        way = "walk right" if placements == ("left", "centre") else "walk left"
        return way, way
    return tuple(spot)


def _travel(rng: np.random.Generator, placement: str, framing: str) -> str:
    """A travelling action with room for two seconds of it: running takes the whole stage."""
    if placement == "centre":
        return pick(rng, ("walk left", "walk right"))
    way = "right" if placement == "left" else "left"
    return f"run {way}" if framing == "wide" and rng.random() < 0.65 else f"walk {way}"


def _pose(
    rng: np.random.Generator, character: Character, action: str, placement: str, placements: tuple[str, ...]
) -> Pose:
    x = (SPREAD_X if len(placements) == 3 else X)[placement]
    if action in TRAVELLING:
        facing = 1 if action.endswith("right") else -1
        x = TRAVEL_X[placement] + (HEAD_START * facing if placement == "centre" else 0.0)
    elif placement == "centre":
        facing = 1 if rng.random() < 0.5 else -1
    else:
        facing = 1 if placement == "left" else -1
    holds = pick(rng, PROPS) if action not in EMPTY_HANDED and rng.random() < HELD_SHARE else "none"
    return Pose(character=character, action=action, phase=0.0, x=x, facing=facing, holds=holds)


def _free(prop: PropPose, poses: Sequence[Pose], rng: np.random.Generator) -> bool:
    return rng.random() < PROP_SHARE and all(abs(pose.x - prop.x) > 0.4 for pose in poses)


def _placement(x: float) -> str:
    return "left" if x < 2 / 3 else "right" if x > 4 / 3 else "centre"
