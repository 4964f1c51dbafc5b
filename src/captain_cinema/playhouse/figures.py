"""The cast as cut paper: body, coat and accessories of one figure. Heads and hats are in `heads`.

A figure's own coordinates: x to where it faces, y up from the ground, 1 is the top of a medium figure's head.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from captain_cinema.playhouse.cutout import Cutout, affine, compose
from captain_cinema.playhouse.heads import HEAD_Y, back_of_head, draw_head
from captain_cinema.playhouse.motion import Stance
from captain_cinema.playhouse.palette import (
    COAT,
    CREAM,
    FUR,
    HAIR,
    HAT,
    INK,
    SKIN,
    Colour,
    mix,
    shade,
    trim,
)
from captain_cinema.playhouse.props import HELD, held_transform
from captain_cinema.playhouse.world import ANIMALS, Look

HIP_Y = 0.24
SHOULDER_Y = 0.585
SHOULDER_X = 0.15
ARM = 0.155
"""Length of the upper arm and of the forearm."""


@dataclass(frozen=True, kw_only=True)
class Dress:
    """A look's colours, resolved."""

    skin: Colour
    hair: Colour
    coat: Colour
    coat_dark: Colour
    coat_trim: Colour
    legs: Colour
    shoes: Colour
    hat: Colour
    accessory: Colour


def dress(look: Look) -> Dress:
    """The colours of a look."""
    animal = look.kind in ANIMALS
    skin = FUR[look.skin] if animal else SKIN[look.skin]
    coat = COAT[look.coat_colour]
    return Dress(
        skin=skin,
        hair=HAIR.get(look.hair, skin),
        coat=coat,
        coat_dark=shade(coat, 0.82) if sum(coat) > 200 else shade(coat, 1.16),
        coat_trim=trim(coat),
        # Children wear shorts: bare legs tell them from the grown-ups.
        legs=shade(skin, 0.88) if animal or look.kind in ("girl", "boy") else (70.0, 74.0, 98.0),
        shoes=(84.0, 58.0, 48.0),
        hat=HAT.get(look.hat_colour, INK),
        accessory=HAT.get(look.accessory_colour, INK),
    )


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A figure's paper: the body (with its hat) and, apart, what it holds."""

    body: Cutout
    held: Cutout


def build(look: Look, stance: Stance, holds: str) -> Figure:
    """Cut a figure out: looks from `look`, joints from `stance`."""
    body, held = Cutout(), Cutout()
    colours = dress(look)
    root = affine(stance.sway, stance.lift - 0.185 * stance.sink)
    trunk = compose(root, _about(HIP_Y, -stance.lean, 1 + 0.012 * stance.breath))
    neck = affine(
        0.035 * stance.head_turn, HEAD_Y - stance.head_drop + 0.004 * stance.breath, angle=stance.head_tilt
    )
    # A head of paper does not turn: it is taken off and put on the other way round.
    head = compose(trunk, compose(neck, _MIRROR) if stance.head_turn < 0 else neck)

    body.place(trunk)
    _tail(body, look, colours, stance)
    if look.accessory == "backpack":
        body.blob([(-0.33, 0.26), (-0.1, 0.24), (-0.1, 0.66), (-0.31, 0.64)], colours.accessory)
        body.blob(
            [(-0.31, 0.3), (-0.2, 0.3), (-0.2, 0.46), (-0.31, 0.46)], trim(colours.accessory), detail=True
        )
    body.place(head)
    back_of_head(body, look, colours.skin, colours.hair)
    body.place(trunk)
    lead_hand = (0.0, 0.0)
    if not stance.hands_front:
        lead_hand = _arm(body, colours, look, SHOULDER_X, stance.lead_arm, stance.lead_bend)
    body.place(root)
    _leg(body, colours, -0.075, stance.near_leg, stance)
    _leg(body, colours, 0.085, stance.lead_leg, stance)
    body.place(trunk)
    _coat(body, look, colours, stance)
    _neckwear(body, look, colours)
    body.place(head)
    draw_head(body, look, colours.skin, colours.hair, colours.hat, colours.accessory, stance)
    body.place(trunk)
    if look.accessory == "scarf":
        _scarf(body, colours)
    if stance.hands_front:
        lead_hand = _arm(body, colours, look, SHOULDER_X, stance.lead_arm, stance.lead_bend)
    _arm(body, colours, look, -SHOULDER_X, stance.near_arm, stance.near_bend)
    if holds != "none":
        held.place(compose(trunk, held_transform(holds, lead_hand, stance)))
        HELD[holds](held)
    if stance.asleep > 0:
        _snore(body, root, stance)
    return Figure(body=body, held=held)


_MIRROR = np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def _about(y: float, angle: float, stretch: float) -> np.ndarray:
    """Turn about the point (0, y), and stretch upwards a little (breath)."""
    turn = affine(0, y, angle=angle)
    stretch_matrix = affine(0, -y * stretch)
    stretch_matrix[1, 1] = stretch
    return compose(turn, stretch_matrix)


def _tail(body: Cutout, look: Look, colours: Dress, stance: Stance) -> None:
    swish = 0.05 * math.sin(6.28 * 0.5 * stance.breath) + 0.4 * stance.sway
    fur = colours.skin
    if look.kind == "fox":
        body.blob(
            [
                (-0.1, 0.2),
                (-0.34, 0.1),
                (-0.5, 0.26 + swish),
                (-0.46, 0.5 + swish),
                (-0.34, 0.36),
                (-0.12, 0.32),
            ],
            fur,
        )
        body.blob(
            [(-0.5, 0.34 + swish), (-0.36, 0.34), (-0.42, 0.45), (-0.455, 0.5 + swish)], mix(fur, CREAM, 0.85)
        )
    elif look.kind == "cat":
        body.curve(
            [(-0.08, 0.22), (-0.3, 0.16), (-0.39, 0.3 + swish), (-0.34, 0.46 + swish)], 0.04, 0.035, fur
        )
    elif look.kind == "mouse":
        body.curve(
            [(-0.08, 0.16), (-0.28, 0.1), (-0.42, 0.16 + swish), (-0.5, 0.28)], 0.022, 0.012, (238, 160, 160)
        )
    elif look.kind == "rabbit":
        body.disc(-0.22, 0.25, 0.075, mix(fur, CREAM, 0.7))
    elif look.kind == "bear":
        body.disc(-0.22, 0.24, 0.05, fur)


def _leg(body: Cutout, colours: Dress, x: float, angle: float, stance: Stance) -> None:
    if stance.sink > 0:
        # Sitting down: the legs swing to the front while the hips come down onto them.
        angle = angle + (1.32 - 0.25 * x) * stance.sink
    length = HIP_Y - 0.05
    hip = (x, HIP_Y)
    foot = (x + length * math.sin(angle), HIP_Y - length * math.cos(angle))
    body.limb(hip, foot, 0.06, 0.052, colours.legs)
    lift = 0.5 * max(0.0, -angle) - 1.1 * stance.sink
    toe = (foot[0] + 0.06 * math.cos(lift), foot[1] - 0.015 - 0.06 * math.sin(lift))
    body.limb((foot[0] - 0.01, foot[1] - 0.012), toe, 0.042, 0.036, colours.shoes)


def _arm(
    body: Cutout, colours: Dress, look: Look, x: float, angle: float, bend: float
) -> tuple[float, float]:
    """One arm from the shoulder at `x`; returns where the hand is."""
    sleeve = 0.078 if look.coat == "robe" else 0.062
    shoulder = (x, SHOULDER_Y)
    elbow = (x + ARM * math.sin(angle), SHOULDER_Y - ARM * math.cos(angle))
    fore = angle + bend
    wrist = (elbow[0] + ARM * 0.8 * math.sin(fore), elbow[1] - ARM * 0.8 * math.cos(fore))
    hand = (elbow[0] + ARM * 1.24 * math.sin(fore), elbow[1] - ARM * 1.24 * math.cos(fore))
    body.disc(*hand, 0.052, colours.skin)
    rim = 0.012
    for start, end, r in (
        (shoulder, elbow, sleeve),
        (elbow, wrist, sleeve * (1.25 if look.coat == "robe" else 0.9)),
    ):
        body.limb(start, end, sleeve + rim, r + rim, colours.coat_trim)
    body.limb(shoulder, elbow, sleeve, sleeve, colours.coat_dark, detail=True)
    body.limb(
        elbow, wrist, sleeve, sleeve * (1.25 if look.coat == "robe" else 0.9), colours.coat_dark, detail=True
    )
    return hand


_OUTLINES = {
    # Right half from collar to hem; mirrored. Shoulders are the same for all, hems tell the styles apart.
    "coat": [(0.1, 0.68), (0.19, 0.64), (0.205, 0.45), (0.235, 0.2), (0.24, 0.09), (0.12, 0.085)],
    "dress": [(0.1, 0.68), (0.17, 0.63), (0.13, 0.44), (0.2, 0.3), (0.32, 0.07), (0.16, 0.05)],
    "jacket": [(0.1, 0.68), (0.205, 0.65), (0.2, 0.45), (0.195, 0.3), (0.19, 0.22), (0.1, 0.21)],
    "robe": [(0.1, 0.68), (0.2, 0.64), (0.21, 0.4), (0.25, 0.16), (0.275, 0.0), (0.14, 0.0)],
    "sweater": [(0.1, 0.69), (0.2, 0.66), (0.235, 0.48), (0.24, 0.34), (0.2, 0.19), (0.1, 0.19)],
}


def _coat(body: Cutout, look: Look, colours: Dress, stance: Stance) -> None:
    right = _OUTLINES[look.coat]
    hem = 0.185 * stance.sink + (0.01 if stance.sink else 0.0)
    right = [(x * (1 + 0.12 * stance.sink), max(y, hem)) for x, y in right]
    left = [(-x, y) for x, y in reversed(right)]
    body.blob(right + left, colours.coat)
    low = max(right[-1][1], hem) + 0.012
    seam = colours.coat_trim
    if look.coat == "coat":
        body.limb((0.045, 0.64), (0.05, low), 0.007, 0.007, seam, detail=True)
        for y in (0.54, 0.42, 0.3):
            body.disc(0.085, y, 0.018, seam, detail=True)
        body.poly([(-0.16, 0.3), (-0.06, 0.3), (-0.06, 0.265), (-0.16, 0.265)], seam, detail=True)
        body.poly([(0.05, 0.6), (-0.08, 0.67), (-0.1, 0.57)], seam, detail=True)
        body.poly([(0.05, 0.6), (0.13, 0.66), (0.14, 0.57)], seam, detail=True)
    elif look.coat == "dress":
        body.poly([(-0.135, 0.45), (0.135, 0.45), (0.145, 0.405), (-0.145, 0.405)], seam, detail=True)
        for x in (-0.18, -0.09, 0.0, 0.09, 0.18):
            body.disc(x, low + 0.035, 0.022, mix(colours.coat, CREAM, 0.7), detail=True)
    elif look.coat == "jacket":
        body.poly([(-0.02, 0.67), (0.13, 0.67), (0.085, 0.22), (0.04, 0.22)], CREAM, detail=True)
        body.poly([(-0.02, 0.67), (0.06, 0.43), (-0.06, 0.55)], seam, detail=True)
        body.poly([(0.13, 0.67), (0.075, 0.43), (0.165, 0.56)], seam, detail=True)
    elif look.coat == "robe":
        body.poly([(-0.07, 0.69), (0.12, 0.69), (0.035, 0.44)], CREAM, detail=True)
        body.poly([(-0.205, 0.43), (0.205, 0.43), (0.215, 0.36), (-0.215, 0.36)], seam, detail=True)
        body.poly([(0.06, 0.37), (0.11, 0.37), (0.13, 0.18), (0.07, 0.18)], seam, detail=True)
    else:
        stripe = mix(colours.coat, CREAM, 0.6) if sum(colours.coat) < 620 else seam
        for y in (0.5, 0.4, 0.3):
            body.poly([(-0.205, y), (0.205, y), (0.205, y - 0.035), (-0.205, y - 0.035)], stripe, detail=True)
        body.limb((-0.15, low + 0.02), (0.15, low + 0.02), 0.02, 0.02, seam, detail=True)


def _neckwear(body: Cutout, look: Look, colours: Dress) -> None:
    colour = colours.accessory
    if look.accessory == "backpack":
        for x in (-0.11, 0.12):
            body.limb((x, 0.66), (x * 1.1, 0.4), 0.022, 0.022, colour, detail=True)
    elif look.accessory == "necklace":
        for x, y in ((-0.1, 0.61), (-0.055, 0.565), (0.0, 0.545), (0.06, 0.55), (0.115, 0.58), (0.145, 0.62)):
            body.disc(x, y, 0.034, trim(colour), detail=True)
            body.disc(x, y, 0.026, colour, detail=True)
    elif look.accessory == "bow tie":
        for rim, paint in ((0.014, trim(colour)), (0.0, colour)):
            for side in (-1, 1):
                x = 0.03 + side * 0.115
                body.poly(
                    [(0.03, 0.585), (x + side * rim, 0.645 + rim), (x + side * rim, 0.525 - rim)],
                    paint,
                    detail=True,
                )
            body.disc(0.03, 0.585, 0.028 + rim / 2, trim(colour), detail=True)


def _scarf(body: Cutout, colours: Dress) -> None:
    colour, dark = colours.accessory, trim(colours.accessory)
    body.poly([(0.0, 0.6), (0.1, 0.6), (0.12, 0.38), (0.02, 0.38)], dark, detail=True)
    body.poly([(0.01, 0.6), (0.09, 0.6), (0.108, 0.4), (0.032, 0.4)], colour, detail=True)
    body.limb((-0.13, 0.62), (0.15, 0.62), 0.062, 0.062, dark)
    body.limb((-0.13, 0.62), (0.15, 0.62), 0.05, 0.05, colour, detail=True)


def _snore(body: Cutout, root: object, stance: Stance) -> None:
    body.place(None)
    for step, size in ((0, 0.035), (1, 0.05), (2, 0.065)):
        if stance.asleep * 3 <= step:
            continue
        x, y, s = 0.22 + 0.1 * step, 0.86 + 0.1 * step, size
        t = s * 0.3
        body.poly(
            [(x - s, y + s), (x + s, y + s), (x + s, y + s - t), (x - s, y + s - t)], CREAM, detail=True
        )
        body.poly(
            [(x + s - 2 * t, y + s), (x + s, y + s), (x - s + 2 * t, y - s), (x - s, y - s)],
            CREAM,
            detail=True,
        )
        body.poly(
            [(x - s, y - s + t), (x + s, y - s + t), (x + s, y - s), (x - s, y - s)], CREAM, detail=True
        )
