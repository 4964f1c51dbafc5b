"""How a figure holds itself: every action as a smooth function of the seconds since the shot began."""

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
    pace = 0.35 if action.startswith("walk") else 0.7
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
    base = Stance(facing=facing, breath=0.5 - 0.5 * math.cos(TURN * 0.4 * t), eyes=_blink(t))
    moved = _MOVES[pose.action](t, base)
    if pose.holds != "none":
        moved = _hold(pose.holds, pose.action, moved)
    return moved


def _blink(t: float) -> float:
    """Eyes close briefly every 2.6 seconds."""
    return 0.0 if 1.3 < t % 2.6 < 1.42 else 1.0


def _stand(t: float, base: Stance) -> Stance:
    return replace(base, sway=0.006 * math.sin(TURN * 0.3 * t))


def _walk(t: float, base: Stance) -> Stance:
    swing = math.sin(TURN * 1.3 * t + 0.8)
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
    swing = math.sin(TURN * 2.1 * t + 0.8)
    return replace(
        base,
        near_leg=0.95 * swing,
        lead_leg=-0.95 * swing,
        near_arm=-1.0 * swing,
        near_bend=1.1,
        lead_arm=1.0 * swing,
        lead_bend=1.1,
        lean=0.17,
        lift=0.05 * (1 - abs(swing)),
    )


def _wave(t: float, base: Stance) -> Stance:
    swing = math.sin(TURN * 1.5 * t)
    return replace(
        base,
        near_arm=-2.25 + 0.12 * swing,
        near_bend=-0.35 + 0.55 * swing,
        head_tilt=0.05 * swing,
        sway=-0.01,
    )


def _jump(t: float, base: Stance) -> Stance:
    hop = math.sin(math.pi * ((t + 0.12) % 0.8) / 0.8)
    return replace(
        base,
        lift=0.17 * hop,
        near_arm=-0.3 - 1.9 * hop,
        near_bend=-0.1,
        lead_arm=0.3 + 1.9 * hop,
        lead_bend=0.1,
        near_leg=-0.35 * hop,
        lead_leg=0.35 * hop,
    )


def _sit(t: float, base: Stance) -> Stance:
    down = ease(t, 0.15, 1.1)
    return replace(base, sink=down, near_arm=-0.18 + 0.5 * down, lead_arm=0.18 + 0.5 * down, lead_bend=0.5)


def _dance(t: float, base: Stance) -> Stance:
    beat = math.sin(TURN * 0.9 * t + 0.6)
    return replace(
        base,
        sway=0.05 * beat,
        lean=0.14 * beat,
        lift=0.035 * abs(math.sin(TURN * 0.9 * t)),
        near_arm=-1.5 - 0.9 * beat,
        near_bend=-0.5,
        lead_arm=1.5 - 0.9 * beat,
        lead_bend=0.5,
        near_leg=-0.2 + 0.3 * beat,
        lead_leg=0.2 + 0.3 * beat,
        head_tilt=-0.12 * beat,
    )


def _bow(t: float, base: Stance) -> Stance:
    down = 0.5 - 0.5 * math.cos(TURN * (t % 2.0) / 2.0)
    return replace(
        base,
        lean=0.75 * down,
        head_tilt=-0.2 * down,
        head_drop=0.02 * down,
        near_arm=-0.2 - 0.7 * down,
        lead_arm=0.2 + 0.7 * down,
        lead_bend=0.9 * down,
        eyes=1.0 - down if down > 0.5 else base.eyes,
    )


def _nod(t: float, base: Stance) -> Stance:
    dip = 0.5 - 0.5 * math.cos(TURN * 1.2 * t)
    return replace(base, head_drop=0.045 * dip, head_tilt=-0.22 * dip)


def _clap(t: float, base: Stance) -> Stance:
    apart = 0.5 + 0.5 * math.sin(TURN * 1.8 * t)
    return replace(
        base,
        near_arm=0.1 - 0.75 * apart,
        near_bend=2.0 - 0.15 * apart,
        lead_arm=-0.1 + 0.75 * apart,
        lead_bend=-2.0 + 0.15 * apart,
        hands_front=True,
        head_tilt=0.04 * math.sin(TURN * 0.9 * t),
    )


def _look(t: float, base: Stance) -> Stance:
    turn = math.sin(TURN * 0.5 * t + 0.5)
    return replace(base, head_turn=turn, head_tilt=-0.07 * turn, lean=0.04 * turn, lead_bend=0.3)


def _sleep(t: float, base: Stance) -> Stance:
    down = ease(t, 0.1, 1.3)
    return replace(
        base,
        sink=down,
        head_tilt=-0.38 * down + 0.03 * math.sin(TURN * 0.35 * t) * down,
        head_drop=0.03 * down,
        lean=0.1 * down,
        eyes=1 - ease(t, 0.2, 0.8),
        asleep=ease(t, 0.7, 1.2),
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
