"""The indoor settings: kitchen, castle hall, library, cave, bedroom. Windows and lamps tell the hour."""

from __future__ import annotations

import math

import numpy as np

from captain_cinema.playhouse.backdrop import Sheet
from captain_cinema.playhouse.palette import Colour, shade


def _wall(sheet: Sheet, wall: Colour, floor: Colour) -> None:
    sheet.rect(-0.3, -0.1, 2.6, 1.2, sheet.ink(wall))
    pattern = int(sheet.rng.integers(3))
    pale = sheet.ink(shade(wall, 1.22))
    for x in np.arange(-0.2, 2.3, 0.14):
        if pattern == 0:
            sheet.rect(float(x), -0.1, 0.05, 0.9, pale)
        elif pattern == 1:
            for y in np.arange(0.05, 0.75, 0.14):
                sheet.disc(float(x) + 0.07 * (round(y / 0.14) % 2), float(y), 0.016, pale)
    sheet.layer(0)
    sheet.ground(0.76, sheet.ink(floor, 1), wave=0)
    dark = sheet.ink(shade(floor, 0.86), 1)
    for y in (0.82, 0.89, 0.97):
        sheet.rect(-0.3, y, 2.6, 0.008, dark, detail=True)
    sheet.layer()
    sheet.rect(-0.3, 0.74, 2.6, 0.03, sheet.ink(shade(wall, 0.8)))
    sheet.layer(0.1)


def _kitchen(sheet: Sheet) -> None:
    _wall(sheet, (244, 216, 160), (206, 150, 104))
    x = float(sheet.rng.uniform(0.15, 0.8))
    sheet.window(x, 0.12, 0.38, 0.3, sheet.plain((250, 246, 236)))
    wood = sheet.ink((116, 162, 150), 1)
    side = x + 0.62
    for step in range(3):
        sheet.rect(side + 0.3 * step, 0.1, 0.28, 0.2, wood)
        sheet.disc(side + 0.3 * step + 0.24, 0.26, 0.012, sheet.plain((240, 220, 170)), detail=True)
    sheet.layer()
    sheet.rect(-0.3, 0.54, 2.6, 0.035, sheet.plain((236, 226, 208)))
    sheet.rect(-0.3, 0.575, 2.6, 0.2, wood)
    for left in np.arange(-0.2, 2.3, 0.34):
        sheet.rect(float(left), 0.6, 0.3, 0.15, shade(wood, 0.88), detail=True)
        sheet.disc(float(left) + 0.15, 0.63, 0.012, sheet.plain((240, 220, 170)), detail=True)
    sheet.layer()
    stove = float(sheet.rng.uniform(0.9, 1.6))
    sheet.rect(stove, 0.54, 0.36, 0.24, sheet.plain((92, 92, 104)))
    sheet.rect(stove + 0.05, 0.62, 0.26, 0.11, sheet.lit((52, 50, 60), (250, 150, 70)), detail=True)
    sheet.rect(stove + 0.08, 0.45, 0.2, 0.09, sheet.plain((206, 72, 62)))
    sheet.limb((stove + 0.05, 0.47), (stove + 0.31, 0.47), 0.012, 0.012, sheet.plain((206, 72, 62)))
    for jar in range(3):
        jx = 0.05 + 0.13 * jar
        sheet.rect(jx, 0.44, 0.09, 0.1, sheet.ink((224, 120, 90), 1))
        sheet.rect(jx, 0.425, 0.09, 0.025, sheet.plain((250, 240, 220)))
    sheet.layer()
    lamp = x + 0.95
    sheet.limb((lamp, -0.05), (lamp, 0.08), 0.006, 0.006, sheet.plain((60, 56, 64)))
    sheet.poly(
        [(lamp - 0.1, 0.14), (lamp + 0.1, 0.14), (lamp + 0.03, 0.06), (lamp - 0.03, 0.06)],
        sheet.lit((216, 90, 70), (255, 190, 90)),
    )
    sheet.layer()
    sheet.lamp_glow(lamp, 0.18, 0.35)


def _castle_floor(sheet: Sheet, carpet: Colour) -> None:
    sheet.ground(0.76, sheet.ink((128, 120, 134)), wave=0)
    for x in np.arange(-0.3, 2.3, 0.2):
        slant = (float(x) - 1) * 0.5
        sheet.poly(
            [
                (float(x), 0.76),
                (float(x) + 0.1, 0.76),
                (float(x) + 0.1 + slant, 1.1),
                (float(x) + slant, 1.1),
            ],
            sheet.ink((150, 142, 154)),
            detail=True,
        )
    sheet.poly([(0.72, 0.76), (1.28, 0.76), (1.6, 1.1), (0.4, 1.1)], carpet, detail=True)
    sheet.layer()


def _castle_hall(sheet: Sheet) -> None:
    sheet.rect(-0.3, -0.1, 2.6, 1.2, sheet.ink((168, 158, 168)))
    brick = sheet.ink((184, 174, 182))
    for row in range(7):
        for x in np.arange(-0.3 + 0.13 * (row % 2), 2.3, 0.26):
            if sheet.rng.uniform() < 0.5:
                sheet.rect(float(x), 0.02 + 0.1 * row, 0.24, 0.085, brick)
    sheet.layer(0)
    for x in (0.1, 1.0, 1.9):
        sheet.limb((x, 0.28), (x, 0.48), 0.13, 0.13, sheet.ink((120, 110, 124)))
        sheet.layer()
        sheet.limb(
            (x, 0.28),
            (x, 0.48),
            0.1,
            0.1,
            sheet.lit((176, 210, 236), (42, 50, 104) if sheet.hour == "night" else (255, 164, 96)),
        )
        sheet.rect(x - 0.008, 0.17, 0.016, 0.42, sheet.ink((120, 110, 124)))
        sheet.layer(0)
    banner = ((186, 48, 60), (52, 84, 160), (62, 130, 84), (128, 70, 150))[int(sheet.rng.integers(4))]
    for x in (0.55, 1.45):
        sheet.poly(
            [(x - 0.13, 0.06), (x + 0.13, 0.06), (x + 0.13, 0.5), (x, 0.42), (x - 0.13, 0.5)],
            sheet.ink(banner, 1),
        )
        sheet.disc(x, 0.23, 0.065, sheet.plain((246, 206, 92)), detail=True)
        sheet.rect(x - 0.15, 0.04, 0.3, 0.025, sheet.plain((140, 100, 60)))
    sheet.layer()
    _castle_floor(sheet, sheet.ink(banner, 1))
    pillars = (0.32, 1.68) if sheet.rng.integers(2) else (0.78, 1.22)
    for x in pillars:
        sheet.rect(x - 0.045, -0.1, 0.09, 0.88, sheet.ink((196, 188, 196)))
        sheet.rect(x - 0.065, 0.7, 0.13, 0.1, sheet.ink((150, 142, 152)))
        sheet.rect(x - 0.065, 0.0, 0.13, 0.05, sheet.ink((150, 142, 152)))
        sheet.blob([(x - 0.03, 0.36), (x + 0.03, 0.36), (x + 0.012, 0.26), (x - 0.012, 0.26)], (255, 186, 70))
        sheet.rect(x - 0.025, 0.36, 0.05, 0.08, sheet.plain((90, 64, 52)))
    sheet.layer()
    for x in pillars:
        sheet.lamp_glow(x, 0.32, 0.28)


def _library(sheet: Sheet) -> None:
    _wall(sheet, (196, 160, 124), (150, 96, 70))
    spines = ((186, 66, 56), (66, 104, 146), (226, 182, 92), (84, 134, 96), (136, 82, 130), (222, 206, 180))
    wood = sheet.ink((126, 84, 58), 1)
    gap = float(sheet.rng.uniform(0.6, 1.4))
    x = -0.25
    while x < 2.3:
        if abs(x + 0.2 - gap) < 0.2:
            sheet.window(x + 0.06, 0.14, 0.32, 0.42, wood)
            x += 0.46
            continue
        sheet.rect(x, 0.03, 0.42, 0.74, wood)
        sheet.layer()
        for shelf in range(4):
            y = 0.06 + 0.175 * shelf
            sheet.rect(x + 0.02, y, 0.38, 0.15, shade(wood, 0.62))
            at = x + 0.03
            while at < x + 0.36:
                w, h = float(sheet.rng.uniform(0.022, 0.05)), float(sheet.rng.uniform(0.09, 0.14))
                sheet.rect(at, y + 0.15 - h, w, h, sheet.ink(spines[int(sheet.rng.integers(6))], 1))
                at += w + 0.003
        sheet.layer(0)
        x += 0.45
    lamp = float(sheet.rng.uniform(0.2, 1.8))
    sheet.oval(1.0, 0.92, 0.8, 0.07, sheet.ink((176, 64, 66), 1))
    sheet.oval(1.0, 0.92, 0.68, 0.052, sheet.ink((214, 150, 104), 1), detail=True)
    sheet.layer(0.1)
    sheet.rect(lamp - 0.01, 0.4, 0.02, 0.42, sheet.plain((70, 56, 52)))
    sheet.poly(
        [(lamp - 0.1, 0.42), (lamp + 0.1, 0.42), (lamp + 0.06, 0.28), (lamp - 0.06, 0.28)],
        sheet.lit((74, 142, 112), (255, 214, 120)),
    )
    sheet.layer()
    sheet.lamp_glow(lamp, 0.38, 0.32)


def _cave(sheet: Sheet) -> None:
    sheet.rect(-0.3, -0.1, 2.6, 1.2, sheet.ink((66, 58, 80)))
    sheet.layer(0)
    x = float(sheet.rng.uniform(0.5, 1.5))
    glow = {
        "morning": (255, 226, 190),
        "day": (180, 222, 240),
        "sunset": (255, 152, 88),
        "night": (44, 56, 116),
    }[sheet.hour]
    for size, share in ((0.36, 0.35), (0.3, 0.65), (0.24, 1.0)):
        dark = sheet.ink((66, 58, 80))
        colour = tuple(d + (g - d) * share for d, g in zip(dark, glow, strict=True))
        corners = [
            (x + size * 1.2 * math.cos(a) * r, 0.46 + size * math.sin(a) * r)
            for a, r in zip(np.linspace(0, 5.7, 10), sheet.rng.uniform(0.85, 1.15, 10), strict=True)
        ]
        sheet.blob(corners, colour)  # type: ignore[arg-type]
    sheet.layer(0)
    for depth, colour in ((0.16, (88, 76, 100)), (0.09, (110, 94, 116))):
        rock = sheet.ink(colour)
        for at in np.arange(-0.25, 2.3, 0.2):
            w, h = float(sheet.rng.uniform(0.06, 0.13)), float(sheet.rng.uniform(0.6, 2.0)) * depth + 0.04
            if abs(at - x) > 0.25 or depth < 0.1:
                sheet.poly([(float(at) - w, -0.1), (float(at) + w, -0.1), (float(at), h + 0.05)], rock)
            if abs(at - x) > 0.3:
                sheet.poly([(float(at) - w, 0.85), (float(at) + w, 0.85), (float(at) + 0.02, 0.78 - h)], rock)
        sheet.rect(-0.3, -0.1, 2.6, 0.14, rock)
        sheet.layer()
    sheet.ground(0.76, sheet.ink((128, 108, 120)), wave=0.03)
    sheet.layer()
    sheet.oval(float(sheet.rng.uniform(0.3, 1.7)), 0.86, 0.28, 0.035, sheet.ink((92, 140, 168), 1))
    gem = sheet.ink(((110, 226, 220), (226, 120, 220), (250, 206, 96))[int(sheet.rng.integers(3))], 1)
    spots = [float(sheet.rng.uniform(-0.1, 2.1)) for _ in range(5)]
    for at in spots:
        y = 0.8
        sheet.poly([(at - 0.03, y), (at - 0.06, y - 0.09), (at - 0.02, y - 0.14), (at + 0.01, y)], gem)
        sheet.poly([(at, y), (at + 0.02, y - 0.18), (at + 0.06, y - 0.12), (at + 0.05, y)], shade(gem, 0.82))
    sheet.layer()
    for at in spots:
        sheet.lamp_glow(at, 0.74, 0.12)


def _curtains(sheet: Sheet, x: float) -> None:
    curtain = sheet.ink((226, 122, 120), 1)
    for side in (x - 0.13, x + 0.37):
        sheet.poly([(side, 0.07), (side + 0.11, 0.07), (side + 0.14, 0.6), (side - 0.02, 0.6)], curtain)
        for fold in (0.02, 0.07):
            sheet.poly(
                [
                    (side + fold, 0.07),
                    (side + fold + 0.015, 0.07),
                    (side + fold + 0.02, 0.6),
                    (side + fold - 0.01, 0.6),
                ],
                shade(curtain, 0.86),
                detail=True,
            )
    sheet.rect(x - 0.17, 0.07, 0.7, 0.02, sheet.plain((128, 92, 66)))
    sheet.layer()


def _bed(sheet: Sheet, wood: Colour) -> None:
    bed = float(sheet.rng.uniform(-0.15, 0.05))
    sheet.limb((bed + 0.05, 0.42), (bed + 0.05, 0.9), 0.06, 0.06, wood)
    sheet.rect(bed + 0.62, 0.52, 0.06, 0.3, wood)
    sheet.rect(bed + 0.06, 0.62, 0.58, 0.17, sheet.plain((250, 244, 236)))
    sheet.layer()
    sheet.blob(
        [(bed + 0.08, 0.64), (bed + 0.1, 0.52), (bed + 0.26, 0.52), (bed + 0.28, 0.64)],
        sheet.plain((255, 252, 246)),
    )
    quilt = sheet.ink((98, 136, 196), 1)
    sheet.poly(
        [
            (bed + 0.24, 0.8),
            (bed + 0.21, 0.58),
            (bed + 0.26, 0.55),
            (bed + 0.58, 0.56),
            (bed + 0.65, 0.6),
            (bed + 0.65, 0.8),
        ],
        quilt,
    )
    for step in range(3):
        sheet.disc(bed + 0.33 + 0.12 * step, 0.69, 0.035, sheet.ink((246, 214, 120), 1), detail=True)
    sheet.layer()


def _bedroom(sheet: Sheet) -> None:
    _wall(sheet, (178, 200, 226), (196, 156, 120))
    x = float(sheet.rng.uniform(0.8, 1.1))
    sheet.window(x, 0.13, 0.36, 0.36, sheet.plain((250, 246, 236)))
    _curtains(sheet, x)
    wood = sheet.ink((150, 104, 72), 1)
    _bed(sheet, wood)
    shelf = x + 0.65
    sheet.rect(shelf, 0.42, 0.36, 0.36, wood)
    for row in range(2):
        sheet.rect(shelf + 0.03, 0.46 + 0.16 * row, 0.3, 0.12, shade(wood, 0.82), detail=True)
        sheet.disc(shelf + 0.18, 0.52 + 0.16 * row, 0.014, sheet.plain((246, 220, 160)), detail=True)
    sheet.rect(shelf + 0.15, 0.3, 0.02, 0.12, sheet.plain((110, 90, 80)))
    sheet.poly(
        [(shelf + 0.07, 0.32), (shelf + 0.25, 0.32), (shelf + 0.2, 0.2), (shelf + 0.12, 0.2)],
        sheet.lit((250, 236, 200), (255, 220, 130)),
    )
    sheet.oval(1.1, 0.92, 0.6, 0.06, sheet.ink((236, 190, 150), 1))
    sheet.layer()
    sheet.lamp_glow(shelf + 0.16, 0.3, 0.3)


ROOMS = {
    "kitchen": _kitchen,
    "castle hall": _castle_hall,
    "library": _library,
    "cave": _cave,
    "bedroom": _bedroom,
}
