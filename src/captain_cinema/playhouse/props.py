"""Things to hold or to find on the ground, as cut paper. Units are figure heights; y is up.

Every maker draws its prop with the grip at the origin.
"""

from __future__ import annotations

import numpy as np

from captain_cinema.playhouse.cutout import Cutout, affine
from captain_cinema.playhouse.motion import Stance
from captain_cinema.playhouse.palette import Colour

RED: Colour = (222, 62, 56)
GOLD: Colour = (250, 196, 70)
WOOD: Colour = (128, 84, 52)
IRON: Colour = (66, 62, 74)
WHITE: Colour = (252, 246, 234)
BLUE: Colour = (70, 130, 206)
GREEN: Colour = (76, 156, 84)


def _lantern(sheet: Cutout) -> None:
    sheet.limb((0, 0), (0, -0.05), 0.008, 0.008, IRON)
    sheet.poly([(-0.07, -0.08), (-0.03, -0.04), (0.03, -0.04), (0.07, -0.08)], IRON)
    sheet.poly([(-0.065, -0.08), (0.065, -0.08), (0.065, -0.22), (-0.065, -0.22)], GOLD)
    sheet.oval(0, -0.155, 0.03, 0.05, (255, 244, 190), detail=True)
    for x in (-0.06, 0.06):
        sheet.limb((x, -0.08), (x, -0.22), 0.009, 0.009, IRON)
    sheet.limb((-0.07, -0.225), (0.07, -0.225), 0.016, 0.016, IRON)


def _umbrella(sheet: Cutout) -> None:
    sheet.limb((0, -0.1), (0, 0.5), 0.011, 0.011, WOOD)
    sheet.blob(
        [
            (-0.36, 0.33),
            (-0.28, 0.5),
            (0, 0.64),
            (0.28, 0.5),
            (0.36, 0.33),
            (0.18, 0.4),
            (0, 0.37),
            (-0.18, 0.4),
        ],
        RED,
    )
    sheet.blob(
        [(-0.11, 0.39), (-0.08, 0.55), (0.0, 0.61), (0.08, 0.55), (0.11, 0.39), (0, 0.4)], WHITE, detail=True
    )


def _book(sheet: Cutout) -> None:
    sheet.poly([(-0.13, -0.05), (0.13, -0.05), (0.14, 0.12), (-0.14, 0.12)], (176, 60, 50))
    sheet.poly([(-0.115, -0.03), (-0.005, -0.045), (-0.005, 0.1), (-0.12, 0.115)], WHITE, detail=True)
    sheet.poly([(0.115, -0.03), (0.005, -0.045), (0.005, 0.1), (0.12, 0.115)], WHITE, detail=True)
    for y in (0.0, 0.03, 0.06):
        sheet.limb((-0.095, y), (-0.03, y), 0.005, 0.005, IRON, detail=True)
        sheet.limb((0.095, y), (0.03, y), 0.005, 0.005, IRON, detail=True)


def _ball(sheet: Cutout) -> None:
    sheet.disc(0.03, 0.05, 0.105, RED)
    sheet.limb((-0.06, 0.03), (0.12, 0.08), 0.026, 0.026, WHITE, detail=True)
    sheet.disc(0.035, 0.055, 0.036, BLUE, detail=True)


def _balloon(sheet: Cutout) -> None:
    sheet.limb((0, -0.06), (0.04, 0.3), 0.006, 0.006, WHITE)
    sheet.poly([(0.01, 0.27), (0.07, 0.27), (0.04, 0.33)], (190, 40, 60))
    sheet.oval(0.04, 0.45, 0.125, 0.15, (232, 62, 84))
    sheet.oval(0.0, 0.5, 0.03, 0.045, (252, 170, 176), angle=0.4, detail=True)


def _flower(sheet: Cutout) -> None:
    sheet.limb((0, -0.1), (0, 0.13), 0.012, 0.012, GREEN)
    sheet.blob([(0, 0.0), (0.08, 0.08), (0.1, 0.02), (0.04, -0.03)], GREEN)
    for x, y in ((0, 0.255), (0.075, 0.2), (0.046, 0.11), (-0.046, 0.11), (-0.075, 0.2)):
        sheet.disc(x, y, 0.05, (250, 120, 160))
    sheet.disc(0, 0.175, 0.042, GOLD, detail=True)


def _suitcase(sheet: Cutout) -> None:
    sheet.curve([(-0.05, -0.04), (-0.04, 0.01), (0.04, 0.01), (0.05, -0.04)], 0.013, 0.013, IRON)
    sheet.blob(
        [
            (-0.17, -0.03),
            (-0.17, -0.03),
            (0.17, -0.03),
            (0.17, -0.03),
            (0.17, -0.25),
            (0.17, -0.25),
            (-0.17, -0.25),
            (-0.17, -0.25),
        ],
        (172, 110, 58),
    )
    for x in (-0.09, 0.09):
        sheet.poly(
            [(x - 0.018, -0.03), (x + 0.018, -0.03), (x + 0.018, -0.25), (x - 0.018, -0.25)],
            (106, 62, 36),
            detail=True,
        )
    sheet.poly([(-0.025, -0.07), (0.025, -0.07), (0.025, -0.1), (-0.025, -0.1)], GOLD, detail=True)


def _kite(sheet: Cutout) -> None:
    sheet.limb((0, 0), (0.1, 0.2), 0.006, 0.006, WHITE)
    sheet.poly([(0.1, 0.16), (0.24, 0.37), (0.12, 0.52), (-0.03, 0.33)], BLUE)
    sheet.poly([(0.1, 0.16), (0.24, 0.37), (0.11, 0.35)], GOLD, detail=True)
    sheet.poly([(0.12, 0.52), (-0.03, 0.33), (0.11, 0.35)], GOLD, detail=True)
    sheet.curve([(0.1, 0.16), (0.16, 0.1), (0.13, 0.03), (0.19, -0.02)], 0.007, 0.007, RED)
    for x, y in ((0.16, 0.1), (0.13, 0.03), (0.19, -0.02)):
        sheet.disc(x, y, 0.022, RED)


HELD = {
    "lantern": _lantern,
    "umbrella": _umbrella,
    "book": _book,
    "ball": _ball,
    "balloon": _balloon,
    "flower": _flower,
    "suitcase": _suitcase,
    "kite": _kite,
}

GRIP_HEIGHT = {
    "lantern": 0.24,
    "umbrella": 0.12,
    "book": 0.05,
    "ball": 0.06,
    "balloon": 0.06,
    "flower": 0.1,
    "suitcase": 0.25,
    "kite": 0.03,
}
"""How high the grip is when the prop stands on the ground."""


def held_transform(prop: str, hand: tuple[float, float], stance: Stance) -> np.ndarray:
    """Where a held prop goes: at the hand, upright although the body leans, swinging with the steps."""
    swing = 0.25 * (stance.near_arm + 0.18) if prop in ("lantern", "suitcase") else 0.0
    tilt = {"umbrella": -0.24, "balloon": -0.2, "kite": -0.1}.get(prop, 0.0)
    return affine(*hand, angle=stance.lean + tilt + max(-0.3, min(0.3, swing)))
