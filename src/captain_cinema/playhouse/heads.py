"""Heads and hats, in head coordinates: the origin is the middle of the head, x to where it faces, y up."""

from __future__ import annotations

import numpy as np

from captain_cinema.playhouse.cutout import Cutout
from captain_cinema.playhouse.motion import Stance
from captain_cinema.playhouse.palette import CREAM, INK, PAPER, Colour, luma, mix, shade, trim
from captain_cinema.playhouse.world import ANIMALS, Look

HEAD_Y = 0.83
"""Height of the middle of the head in a figure."""
RX, RY = 0.19, 0.17
PINK: Colour = (240, 150, 150)
BLUSH: Colour = (240, 128, 118)


def back_of_head(body: Cutout, look: Look, skin: Colour, hair: Colour) -> None:
    """What lies behind the head and the coat: ears of animals, long hair of people."""
    inner = mix(skin, PINK, 0.65)
    if look.kind in ("fox", "cat"):
        tall = 0.3 if look.kind == "fox" else 0.25
        for side in (-1, 1):
            x = side * 0.125
            body.blob(
                [(x - 0.09, 0.06), (x + side * 0.05, tall), (x + side * 0.05, tall), (x + 0.09, 0.06)], skin
            )
            body.poly(
                [(x - 0.04, 0.11), (x + side * 0.035, tall - 0.06), (x + 0.04, 0.11)], inner, detail=True
            )
    elif look.kind == "bear":
        for x in (-0.145, 0.145):
            body.disc(x, 0.125, 0.075, skin)
            body.disc(x, 0.125, 0.042, inner, detail=True)
    elif look.kind == "mouse":
        for x in (-0.185, 0.185):
            body.disc(x, 0.12, 0.12, skin)
            body.disc(x, 0.12, 0.08, inner, detail=True)
    elif look.kind == "rabbit":
        for x in (-0.1, 0.09):
            body.limb((x, 0.08), (x * 1.6, 0.37), 0.055, 0.052, skin)
            body.limb((x * 1.1, 0.12), (x * 1.58, 0.36), 0.026, 0.026, inner, detail=True)
    elif look.kind not in ANIMALS:
        _back_hair(body, look, hair)


def _back_hair(body: Cutout, look: Look, hair: Colour) -> None:
    if look.hair_style == "long":
        body.blob(
            [
                (-0.24, 0.1),
                (-0.1, 0.24),
                (0.1, 0.24),
                (0.24, 0.1),
                (0.27, -0.32),
                (0.1, -0.36),
                (-0.1, -0.36),
                (-0.28, -0.32),
            ],
            hair,
        )
    elif look.hair_style == "curly":
        for x, y, r in (
            (-0.2, -0.06, 0.09),
            (-0.23, 0.06, 0.1),
            (-0.15, 0.16, 0.1),
            (0.0, 0.2, 0.1),
            (0.15, 0.16, 0.1),
            (0.23, 0.06, 0.1),
            (0.2, -0.06, 0.09),
        ):
            body.disc(x, y, r, hair)
    elif look.hair_style == "bun":
        body.disc(-0.19, 0.14, 0.095, hair)
        body.disc(-0.19, 0.14, 0.05, trim(hair), detail=True)


def draw_head(
    body: Cutout, look: Look, skin: Colour, hair: Colour, hat: Colour, accessory: Colour, stance: Stance
) -> None:
    """The head itself, face, front hair, glasses and hat."""
    # The face looks a little to the side it faces, and further as the head turns.
    face = 0.04 + 0.055 * abs(stance.head_turn)
    if look.kind in ANIMALS:
        _ANIMAL_FACES[look.kind](body, skin, face)
    else:
        _person(body, look, skin, hair, face)
    eye_y = 0.16 if look.kind == "frog" else 0.015
    gap = 0.105 if look.kind == "frog" else 0.075
    _eyes(body, skin, face, eye_y, gap, stance.eyes, look.accessory == "glasses", accessory)
    if look.hat != "none":
        _HATS[look.hat](body, hat, 0.1 if look.kind == "frog" else 0.0)


def _eyes(
    body: Cutout, skin: Colour, x: float, y: float, gap: float, opened: float, glasses: bool, rim: Colour
) -> None:
    for eye_x in (x - gap, x + gap):
        if glasses:
            body.disc(eye_x, y, 0.068, rim, detail=True)
            body.disc(eye_x, y, 0.046, mix(CREAM, (200, 230, 250), 0.5), detail=True)
        elif luma(skin) < 120:
            body.oval(eye_x, y, 0.036, 0.042, CREAM, detail=True)
        if opened > 0.3:
            body.oval(eye_x + 0.006, y, 0.024, 0.03 * opened, INK, detail=True)
            body.disc(eye_x + 0.014, y + 0.012, 0.008, PAPER, detail=True)
        else:
            body.limb((eye_x - 0.03, y), (eye_x + 0.03, y), 0.009, 0.009, INK, detail=True)
    if glasses:
        body.limb((x - 0.02, y), (x + 0.02, y), 0.012, 0.012, rim, detail=True)


_BEND = np.linspace(-1, 1, 9)
_CRESCENT = np.stack(
    [np.concatenate([_BEND, _BEND[::-1]]), np.concatenate([_BEND**2 - 1, _BEND[::-1] ** 2 - 1])], axis=1
)
_THICK = np.concatenate([np.full(9, -1.0), np.full(9, 1.0)])


def _smile(body: Cutout, x: float, y: float, width: float, depth: float = 0.45) -> None:
    """A curved stroke whose lowest point is at (x, y)."""
    points = _CRESCENT * (width, width * depth) + (x, y + width * depth)
    points[:, 1] += 0.009 * _THICK
    body.poly(points, INK, detail=True)


def _fox(body: Cutout, skin: Colour, x: float) -> None:
    pale = mix(skin, CREAM, 0.85)
    body.blob([(-0.16, 0.16), (0.16, 0.16), (0.24, -0.02), (0.1, -0.17), (-0.1, -0.17), (-0.24, -0.02)], skin)
    body.blob([(-0.21, -0.03), (-0.04, -0.02), (0.0, -0.15), (-0.12, -0.15)], pale, detail=True)
    body.blob(
        [(x - 0.07, -0.01), (x + 0.13, -0.02), (x + 0.24, -0.1), (x + 0.06, -0.19), (x - 0.1, -0.13)], pale
    )
    body.oval(x + 0.19, -0.078, 0.036, 0.028, INK)
    _smile(body, x + 0.07, -0.135, 0.045)


def _cat(body: Cutout, skin: Colour, x: float) -> None:
    pale = mix(skin, CREAM, 0.75)
    body.oval(0, -0.005, 0.21, 0.165, skin)
    for stripe in (-0.05, 0.0, 0.05):
        body.limb((stripe, 0.15), (stripe * 0.8, 0.095), 0.013, 0.006, trim(skin), detail=True)
    body.oval(x, -0.085, 0.085, 0.06, pale, detail=True)
    body.poly([(x - 0.025, -0.05), (x + 0.03, -0.05), (x, -0.08)], PINK, detail=True)
    _smile(body, x, -0.12, 0.04)
    whisker = INK if luma(skin) > 100 else CREAM
    for side in (-1, 1):
        for rise in (0.01, -0.03):
            body.limb(
                (x + side * 0.09, -0.08), (x + side * 0.23, -0.08 + rise), 0.006, 0.004, whisker, detail=True
            )


def _bear(body: Cutout, skin: Colour, x: float) -> None:
    body.oval(0, -0.005, 0.2, 0.17, skin)
    body.oval(x + 0.02, -0.08, 0.105, 0.078, mix(skin, CREAM, 0.6), detail=True)
    body.oval(x + 0.03, -0.045, 0.045, 0.032, INK, detail=True)
    _smile(body, x + 0.03, -0.12, 0.045)


def _rabbit(body: Cutout, skin: Colour, x: float) -> None:
    body.oval(0, -0.01, 0.185, 0.165, skin)
    body.oval(x - 0.04, -0.09, 0.06, 0.05, mix(skin, CREAM, 0.8), detail=True)
    body.oval(x + 0.05, -0.09, 0.06, 0.05, mix(skin, CREAM, 0.8), detail=True)
    body.poly([(x - 0.022, -0.045), (x + 0.032, -0.045), (x + 0.005, -0.075)], PINK, detail=True)
    body.poly(
        [(x - 0.02, -0.1), (x + 0.03, -0.1), (x + 0.026, -0.155), (x - 0.016, -0.155)], PAPER, detail=True
    )
    for cheek in (x - 0.13, x + 0.12):
        body.disc(cheek, -0.06, 0.026, BLUSH, detail=True)


def _mouse(body: Cutout, skin: Colour, x: float) -> None:
    body.blob([(-0.18, 0.16), (0.16, 0.17), (0.24, -0.02), (0.14, -0.19), (-0.1, -0.2), (-0.24, -0.04)], skin)
    body.blob(
        [(x - 0.02, -0.02), (x + 0.16, -0.04), (x + 0.22, -0.09), (x + 0.12, -0.15), (x - 0.04, -0.14)],
        mix(skin, CREAM, 0.6),
    )
    body.disc(x + 0.185, -0.075, 0.034, (236, 110, 120))
    _smile(body, x + 0.06, -0.13, 0.035)


def _frog(body: Cutout, skin: Colour, x: float) -> None:
    for eye in (x - 0.105, x + 0.105):
        body.disc(eye, 0.145, 0.085, skin)
        body.disc(eye, 0.16, 0.055, CREAM, detail=True)
    body.oval(0, -0.025, 0.235, 0.155, skin)
    body.oval(x * 0.5, -0.11, 0.17, 0.06, mix(skin, CREAM, 0.5), detail=True)
    _smile(body, x, -0.095, 0.16, 0.4)
    for cheek in (x - 0.17, x + 0.16):
        body.disc(cheek, -0.06, 0.026, BLUSH, detail=True)


_ANIMAL_FACES = {"fox": _fox, "cat": _cat, "bear": _bear, "rabbit": _rabbit, "mouse": _mouse, "frog": _frog}


def _person(body: Cutout, look: Look, skin: Colour, hair: Colour, x: float) -> None:
    grown = look.kind in ("man", "woman")
    body.disc(-0.175, -0.02, 0.042, shade(skin, 0.9))
    if grown:
        body.blob([(-0.2, 0.2), (0.2, 0.2), (0.2, -0.06), (0.1, -0.19), (-0.1, -0.19), (-0.2, -0.06)], skin)
    else:
        body.oval(0, -0.005, 0.185, 0.165, skin)
    body.disc(x + 0.03, -0.035, 0.022, shade(skin, 0.84), detail=True)
    if look.kind == "man":
        body.blob(
            [(x - 0.1, -0.05), (x, -0.06), (x + 0.11, -0.05), (x + 0.08, -0.1), (x, -0.08), (x - 0.08, -0.1)],
            hair,
            detail=True,
        )
        _smile(body, x, -0.125, 0.04)
    else:
        for cheek in (x - 0.11, x + 0.11):
            body.disc(cheek, -0.06, 0.03, mix(skin, BLUSH, 0.6), detail=True)
        if look.kind in ("girl", "woman"):
            body.oval(x + 0.005, -0.1, 0.038, 0.02, (206, 60, 76), detail=True)
        else:
            _smile(body, x, -0.11, 0.05)
    _front_hair(body, look, hair, x)


def _front_hair(body: Cutout, look: Look, hair: Colour, x: float) -> None:
    style = look.hair_style
    if style == "short":
        body.blob(
            [
                (-0.23, -0.02),
                (-0.22, 0.2),
                (0.0, 0.26),
                (0.22, 0.2),
                (0.23, 0.04),
                (0.12, 0.1),
                (-0.08, 0.09),
                (-0.14, -0.02),
            ],
            hair,
        )
    elif style == "long":
        body.blob(
            [
                (-0.25, -0.16),
                (-0.24, 0.2),
                (0.0, 0.27),
                (0.24, 0.2),
                (0.23, 0.0),
                (0.1, 0.14),
                (-0.06, 0.11),
                (-0.16, -0.1),
            ],
            hair,
        )
    elif style == "curly":
        for cx, cy, r in ((-0.15, 0.11, 0.075), (-0.05, 0.14, 0.08), (0.06, 0.14, 0.08), (0.15, 0.11, 0.07)):
            body.disc(cx, cy, r, hair)
    else:
        body.blob(
            [(-0.22, 0.0), (-0.22, 0.2), (0.0, 0.26), (0.22, 0.2), (0.22, 0.06), (0.0, 0.13), (-0.15, 0.06)],
            hair,
        )
    if look.kind == "girl" and look.hat == "none":
        for side in (-1, 1):
            body.poly([(0.1, 0.16), (0.1 + side * 0.07, 0.2), (0.1 + side * 0.07, 0.12)], (240, 90, 120))


def _cap(body: Cutout, colour: Colour, y: float) -> None:
    body.blob(
        [(-0.23, 0.06 + y), (-0.22, 0.24 + y), (0.0, 0.31 + y), (0.22, 0.24 + y), (0.23, 0.06 + y)], colour
    )
    body.limb((0.06, 0.085 + y), (0.3, 0.075 + y), 0.034, 0.026, trim(colour))
    body.disc(0.0, 0.255 + y, 0.022, trim(colour), detail=True)


def _top_hat(body: Cutout, colour: Colour, y: float) -> None:
    body.poly([(-0.15, 0.1 + y), (-0.165, 0.36 + y), (0.165, 0.36 + y), (0.15, 0.1 + y)], colour)
    body.poly(
        [(-0.152, 0.19 + y), (0.152, 0.19 + y), (0.15, 0.12 + y), (-0.15, 0.12 + y)],
        _band(colour),
        detail=True,
    )
    body.limb((-0.25, 0.105 + y), (0.25, 0.105 + y), 0.03, 0.03, colour)


def _beanie(body: Cutout, colour: Colour, y: float) -> None:
    body.disc(0.0, 0.3 + y, 0.062, mix(colour, CREAM, 0.55) if luma(colour) < 200 else trim(colour))
    body.blob(
        [(-0.22, 0.05 + y), (-0.22, 0.22 + y), (0.0, 0.32 + y), (0.22, 0.22 + y), (0.22, 0.05 + y)], colour
    )
    body.limb((-0.17, 0.095 + y), (0.17, 0.095 + y), 0.042, 0.042, trim(colour))


def _straw_hat(body: Cutout, colour: Colour, y: float) -> None:
    body.blob(
        [(-0.17, 0.07 + y), (-0.17, 0.26 + y), (0.0, 0.3 + y), (0.17, 0.26 + y), (0.17, 0.07 + y)], colour
    )
    body.poly(
        [(-0.145, 0.165 + y), (0.145, 0.165 + y), (0.15, 0.11 + y), (-0.15, 0.11 + y)],
        (216, 176, 104),
        detail=True,
    )
    body.oval(0.0, 0.095 + y, 0.34, 0.048, colour)
    body.oval(0.0, 0.085 + y, 0.3, 0.018, trim(colour), detail=True)


def _crown(body: Cutout, colour: Colour, y: float) -> None:
    body.poly(
        [
            (-0.18, 0.09 + y),
            (-0.21, 0.31 + y),
            (-0.1, 0.21 + y),
            (0.0, 0.34 + y),
            (0.1, 0.21 + y),
            (0.21, 0.31 + y),
            (0.18, 0.09 + y),
        ],
        colour,
    )
    body.limb((-0.17, 0.1 + y), (0.17, 0.1 + y), 0.026, 0.026, trim(colour))
    for x in (-0.2, 0.0, 0.2):
        body.disc(x, (0.34 if x == 0 else 0.31) + y, 0.026, (255, 224, 120))


def _band(colour: Colour) -> Colour:
    return mix(colour, CREAM, 0.7) if luma(colour) < 170 else (70.0, 60.0, 70.0)


_HATS = {"cap": _cap, "top hat": _top_hat, "beanie": _beanie, "straw hat": _straw_hat, "crown": _crown}
