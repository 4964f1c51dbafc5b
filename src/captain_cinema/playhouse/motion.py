"""How a figure holds itself: every action as a function of the seconds since the shot began.

Actions are made for small models and for people who see one picture of a shot. They keep time: what repeats
does so every eight, twelve or twenty-four frames of a film at 12 frames a second, and who travels goes 4 or 8
pixels of 128 a frame, so a clip's slots of four frames repeat too. And a shot begins in the middle of its
action, as film makers cut: its first frame, the keyframe, tells a bow from a nod.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from captain_cinema.playhouse.world import TRAVELLING, Pose

TURN = 2 * math.pi


@dataclass(frozen=True, kw_only=True)
class Stance:
    """Joint angles in radians (0 hangs down, positive swings where the figure faces), lengths in its heights.

    `near` is the arm (leg) on the viewer's side, `lead` the one on the side the figure faces.
    """

    facing: int = 1
    near_arm: float = -0.18
    near_bend: float = 0.15
    lead_arm: float = 0.18
    lead_bend: float = 0.2
    near_leg: float = -0.05
    lead_leg: float = 0.05
    lean: float = 0.0
    lift: float = 0.0
    sink: float = 0.0
    """How far the hips have come down: 0 stands, 1 sits on the ground."""
    sway: float = 0.0
    breath: float = 0.0
    head_turn: float = 0.0
    """1 looks where the figure faces, below 0 the head is turned the other way."""
    head_tilt: float = 0.0
    head_drop: float = 0.0
    eyes: float = 1.0
    """1 open, 0 closed."""
    asleep: float = 0.0
    hands_front: bool = False
    """Both arms in front of the coat."""


def speed(action: str) -> float:
    """Signed speed of a travelling action in frame heights a second, 0 for the others."""
    if action not in TRAVELLING:
        return 0.0
    pace = 0.375 if action.startswith("walk") else 0.75
    return pace if action.endswith("right") else -pace


def ease(seconds: float, start: float, end: float) -> float:
    """0 before `start`, 1 after `end`, smooth between."""
    t = min(1.0, max(0.0, (seconds - start) / (end - start)))
    return t * t * (3 - 2 * t)


def stance(pose: Pose) -> Stance:
    """The stance of a pose at its phase."""
    t = pose.phase
    facing = 1 if pose.facing >= 0 else -1
    if pose.action in TRAVELLING:
        facing = 1 if speed(pose.action) > 0 else -1
    base = Stance(facing=facing, breath=0.5 - 0.5 * math.cos(TURN * 0.5 * t), eyes=_blink(t))
    moved = _MOVES[pose.action](t, base)
    if pose.holds != "none":
        moved = _hold(pose.holds, pose.action, moved)
    return moved


def _blink(t: float) -> float:
    """Eyes close briefly every two seconds."""
    return 0.0 if 1.3 < t % 2.0 < 1.42 else 1.0


def beat(t: float, *, hertz: float, start: float) -> float:
    """A sine that is at `start` (-1 to 1) and rising when the shot begins."""
    return math.sin(TURN * hertz * t + math.asin(start))


def _stand(t: float, base: Stance) -> Stance:
    return replace(base, sway=0.006 * math.sin(TURN * 0.5 * t))


def _walk(t: float, base: Stance) -> Stance:
    swing = beat(t, hertz=1.5, start=0.7)
    return replace(
        base,
        near_leg=0.55 * swing,
        lead_leg=-0.55 * swing,
        near_arm=-0.6 * swing,
        lead_arm=0.6 * swing,
        lean=0.05,
        lift=0.025 * (1 - abs(swing)),
    )


def _run(t: float, base: Stance) -> Stance:
    swing = beat(t, hertz=1.5, start=0.7)
    return replace(
        base,
        near_leg=0.95 * swing,
        lead_leg=-0.95 * swing,
        near_arm=-1.0 * swing,
        near_bend=1.1,
        lead_arm=1.0 * swing,
        lead_bend=1.1,
        lean=0.22,
        lift=0.06 * (1 - abs(swing)),
    )


def _wave(t: float, base: Stance) -> Stance:
    swing = beat(t, hertz=1.5, start=-0.7)
    return replace(
        base,
        near_arm=-2.25 + 0.15 * swing,
        near_bend=-0.35 + 0.65 * swing,
        head_tilt=0.05 * swing,
        sway=-0.01,
    )


def _jump(t: float, base: Stance) -> Stance:
    hop = abs(beat(t, hertz=0.75, start=0.8))
    return replace(
        base,
        lift=0.18 * hop,
        near_arm=-0.3 - 1.9 * hop,
        near_bend=-0.1,
        lead_arm=0.3 + 1.9 * hop,
        lead_bend=0.1,
        near_leg=-0.35 * hop,
        lead_leg=0.35 * hop,
    )


def _sit(t: float, base: Stance) -> Stance:
    down = ease(t, -0.4, 0.6)
    return replace(base, sink=down, near_arm=-0.18 + 0.5 * down, lead_arm=0.18 + 0.5 * down, lead_bend=0.5)


def _dance(t: float, base: Stance) -> Stance:
    swing = beat(t, hertz=1.0, start=0.9)
    return replace(
        base,
        sway=0.05 * swing,
        lean=0.14 * swing,
        lift=0.035 * (1 - abs(swing)),
        near_arm=-1.5 - 0.9 * swing,
        near_bend=-0.5,
        lead_arm=1.5 - 0.9 * swing,
        lead_bend=0.5,
        near_leg=-0.2 + 0.3 * swing,
        lead_leg=0.2 + 0.3 * swing,
        head_tilt=-0.12 * swing,
    )


def _bow(t: float, base: Stance) -> Stance:
    # Half way down when the shot begins, down for a second, up, and down again two seconds later.
    t = t % 2.0
    down = ease(t, -0.33, 0.33) - ease(t, 1.17, 1.67) + ease(t, 1.67, 2.33)
    return replace(
        base,
        lean=0.6 * down,
        head_tilt=-0.35 * down,
        head_drop=0.02 * down,
        near_arm=-0.2 - 0.7 * down,
        lead_arm=0.2 + 0.7 * down,
        lead_bend=0.9 * down,
        eyes=0.0 if down > 0.7 else base.eyes,
    )


def _nod(t: float, base: Stance) -> Stance:
    dip = 0.5 + 0.5 * math.cos(TURN * 1.5 * t)
    return replace(base, head_drop=0.085 * dip, head_tilt=-0.3 * dip)


def _clap(t: float, base: Stance) -> Stance:
    apart = 0.5 - 0.5 * math.cos(TURN * 1.5 * t)
    return replace(
        base,
        near_arm=0.1 - 1.2 * apart,
        near_bend=2.0 - 1.3 * apart,
        lead_arm=-0.1 + 1.2 * apart,
        lead_bend=-2.0 + 1.3 * apart,
        hands_front=True,
        head_tilt=0.04 * math.sin(TURN * 1.5 * t),
    )


def _look(t: float, base: Stance) -> Stance:
    # Over the shoulder when the shot begins, ahead after half a second, back again after a second more.
    t = t % 2.0
    ahead = ease(t, 0.33, 0.67) - ease(t, 1.33, 1.67)
    turn = 2 * ahead - 1
    return replace(base, head_turn=turn, head_tilt=-0.07 * turn, lean=0.04 * turn, lead_bend=0.3)


def _sleep(t: float, base: Stance) -> Stance:
    down = ease(t, -0.4, 0.8)
    nodded = ease(t, -0.6, 0.4)
    return replace(
        base,
        sink=down,
        head_tilt=-0.42 * nodded + 0.03 * math.sin(TURN * 0.5 * t) * down,
        head_drop=0.03 * nodded,
        lean=0.1 * down,
        eyes=0.0,
        asleep=ease(t, -0.3, 0.75),
        near_arm=-0.18 + 0.5 * down,
        lead_arm=0.18 + 0.3 * down,
    )


_MOVES = {
    "stand": _stand,
    "walk left": _walk,
    "walk right": _walk,
    "run left": _run,
    "run right": _run,
    "wave": _wave,
    "jump": _jump,
    "sit down": _sit,
    "dance": _dance,
    "bow": _bow,
    "nod": _nod,
    "clap": _clap,
    "look around": _look,
    "fall asleep": _sleep,
}

_CARRY = {
    "umbrella": (0.75, 1.75),
    "balloon": (0.8, 1.5),
    "kite": (0.9, 1.4),
    "book": (0.35, 1.2),
    "flower": (0.5, 1.7),
    "lantern": (0.85, 0.55),
    "ball": (0.4, 1.1),
    "suitcase": (0.25, 0.1),
}
"""Shoulder and elbow angles of the arm that carries a prop."""


def _hold(prop: str, action: str, moved: Stance) -> Stance:
    """The leading arm carries the prop, with only a share of the action's swing."""
    arm, bend = _CARRY[prop]
    loose = 0.25 if action not in ("clap", "fall asleep", "sit down") else 0.0
    return replace(moved, lead_arm=arm + loose * (moved.lead_arm - 0.18), lead_bend=bend)
