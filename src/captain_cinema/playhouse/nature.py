"""The wild settings: forest, beach, mountains, meadow, desert and snowfield."""

from __future__ import annotations

from captain_cinema.playhouse.backdrop import Sheet
from captain_cinema.playhouse.scenery import house, pine, spots, tree


def _forest(sheet: Sheet) -> None:
    sheet.sky()
    sheet.hills(0.6, 0.22, sheet.ink((120, 176, 128)))
    sheet.layer()
    style = pine if sheet.rng.integers(2) else tree
    far, near = sheet.ink((70, 138, 88), 1), sheet.ink((44, 112, 70), 1)
    for x in spots(sheet, 8):
        style(sheet, x, 0.72, float(sheet.rng.uniform(0.45, 0.6)), far, sheet.plain((112, 82, 58)))
    sheet.layer()
    sheet.ground(0.72, sheet.ink((112, 158, 76)))
    sheet.layer()
    other = tree if style is pine else pine
    for x in spots(sheet, int(sheet.rng.integers(3, 6))):
        tall = float(sheet.rng.uniform(0.66, 0.92))
        (style if sheet.rng.uniform() < 0.8 else other)(sheet, x, 0.8, tall, near, sheet.plain((92, 62, 44)))
    sheet.layer()
    for x in spots(sheet, 9):
        sheet.oval(x, 0.97, 0.1, 0.05, sheet.ink((78, 132, 62)))
    sheet.layer(0.12)


def _beach(sheet: Sheet) -> None:
    sheet.sky()
    level = float(sheet.rng.uniform(0.46, 0.54))
    for step, colour in enumerate(((54, 142, 188), (72, 168, 202), (120, 202, 214))):
        sheet.ground(level + 0.07 * step, sheet.ink(colour, 1))
        sheet.layer(0.1)
    if sheet.rng.integers(2):
        x = float(sheet.rng.uniform(0.3, 1.7))
        sheet.poly([(x, level - 0.2), (x, level), (x + 0.16, level)], sheet.plain((250, 246, 236)))
        sheet.poly(
            [
                (x - 0.1, level + 0.02),
                (x + 0.18, level + 0.02),
                (x + 0.12, level + 0.07),
                (x - 0.05, level + 0.07),
            ],
            sheet.plain((180, 70, 60)),
        )
        sheet.layer()
    sheet.ground(0.7, sheet.ink((244, 236, 214)), wave=0.02)
    sheet.ground(0.72, sheet.ink((238, 208, 150)), wave=0.02)
    sheet.layer(0.12)
    for x in spots(sheet, 2)[: int(sheet.rng.integers(1, 3))]:
        sheet.curve([(x, 0.85), (x + 0.03, 0.6), (x + 0.1, 0.34)], 0.03, 0.02, sheet.plain((140, 100, 66)))
        green = sheet.ink((66, 150, 88), 1)
        for dx, dy in ((-0.24, 0.06), (-0.17, -0.1), (0.17, -0.1), (0.24, 0.06), (0.0, -0.17)):
            sheet.blob(
                [
                    (x + 0.1, 0.34),
                    (x + 0.1 + dx * 0.5, 0.28 + dy),
                    (x + 0.1 + dx, 0.34 + dy),
                    (x + 0.1 + dx * 0.5, 0.34 + dy),
                ],
                green,
            )
    sheet.layer()
    for x in spots(sheet, 6):
        sheet.oval(x, float(sheet.rng.uniform(0.82, 0.98)), 0.03, 0.012, sheet.ink((252, 232, 190)))
    sheet.layer(0)


def _mountains(sheet: Sheet) -> None:
    sheet.sky()
    for base, rise, colour, count in ((0.62, 0.5, (150, 160, 196), 4), (0.7, 0.44, (112, 124, 164), 5)):
        for x in spots(sheet, count):
            top = base - rise * float(sheet.rng.uniform(0.55, 1))
            half = (base - top) * float(sheet.rng.uniform(0.7, 0.95))
            sheet.poly([(x - half, base + 0.05), (x, top), (x + half, base + 0.05)], sheet.ink(colour))
            k = 0.3
            sheet.poly(
                [
                    (x, top),
                    (x - half * k, top + (base - top) * k),
                    (x - half * 0.1, top + (base - top) * 0.22),
                    (x + half * 0.12, top + (base - top) * 0.36),
                    (x + half * k, top + (base - top) * k),
                ],
                sheet.plain((248, 250, 255)),
                detail=True,
            )
        sheet.layer()
    sheet.ground(0.7, sheet.ink((120, 158, 110), 1), wave=0.03)
    sheet.layer()
    sheet.ground(0.82, sheet.ink((150, 146, 120), 1), wave=0.02)
    for x in spots(sheet, 5):
        sheet.blob(
            [(x - 0.08, 0.86), (x - 0.05, 0.79), (x + 0.04, 0.78), (x + 0.09, 0.86)],
            sheet.ink((140, 140, 150)),
        )
    sheet.layer()


def _meadow(sheet: Sheet) -> None:
    sheet.sky()
    sheet.hills(0.62, 0.2, sheet.ink((160, 206, 130)))
    sheet.layer()
    sheet.hills(0.7, 0.12, sheet.ink((134, 192, 104)), bumps=4)
    sheet.layer()
    if sheet.rng.integers(2):
        tree(
            sheet,
            float(sheet.rng.uniform(0.2, 1.8)),
            0.74,
            0.55,
            sheet.ink((84, 152, 78)),
            sheet.plain((120, 86, 58)),
        )
    else:
        x = float(sheet.rng.uniform(0.2, 1.6))
        house(sheet, x, 0.72, 0.26, 0.17, sheet.plain((244, 232, 210)), sheet.ink((198, 84, 66), 1))
    sheet.layer()
    sheet.ground(0.76, sheet.ink((110, 176, 84)), wave=0.02)
    sheet.layer()
    petals = ((250, 236, 240), (252, 206, 90), (238, 110, 120))
    first = int(sheet.rng.integers(3))
    for index, x in enumerate(spots(sheet, 26)):
        y = float(sheet.rng.uniform(0.8, 0.98))
        sheet.disc(x, y, 0.016, sheet.ink(petals[(first + (index % 4 == 0)) % 3], 1))
        sheet.disc(x, y, 0.006, sheet.plain((220, 160, 50)), detail=True)
    sheet.layer(0)


def _desert(sheet: Sheet) -> None:
    sheet.sky()
    if sheet.rng.integers(2):
        for x in spots(sheet, 2):
            sheet.poly([(x - 0.28, 0.66), (x, 0.36), (x + 0.28, 0.66)], sheet.ink((214, 164, 104), 1))
            sheet.poly(
                [(x, 0.36), (x + 0.28, 0.66), (x + 0.06, 0.66)], sheet.ink((184, 134, 84), 1), detail=True
            )
    else:
        for x in spots(sheet, 3):
            w = float(sheet.rng.uniform(0.14, 0.26))
            y = float(sheet.rng.uniform(0.38, 0.5))
            sheet.poly(
                [(x - w, 0.68), (x - w * 0.8, y), (x + w * 0.8, y), (x + w, 0.68)],
                sheet.ink((206, 116, 78), 1),
            )
            sheet.rect(x - w * 0.84, y + 0.06, w * 1.7, 0.03, sheet.ink((232, 150, 104), 1), detail=True)
    sheet.layer()
    sheet.hills(0.68, 0.14, sheet.ink((240, 200, 130)), bumps=4)
    sheet.layer()
    sheet.ground(0.76, sheet.ink((232, 184, 112)), wave=0.03)
    sheet.layer()
    green = sheet.ink((84, 146, 92), 1)
    for x in spots(sheet, int(sheet.rng.integers(2, 4))):
        size = float(sheet.rng.uniform(0.7, 1.15))
        sheet.limb((x, 0.86), (x, 0.86 - 0.42 * size), 0.045 * size, 0.04 * size, green)
        sheet.curve(
            [
                (x, 0.86 - 0.16 * size),
                (x + 0.13 * size, 0.86 - 0.17 * size),
                (x + 0.13 * size, 0.86 - 0.3 * size),
            ],
            0.03 * size,
            0.028 * size,
            green,
        )
        sheet.curve(
            [
                (x, 0.86 - 0.22 * size),
                (x - 0.12 * size, 0.86 - 0.23 * size),
                (x - 0.12 * size, 0.86 - 0.34 * size),
            ],
            0.028 * size,
            0.026 * size,
            green,
        )
    sheet.layer()


def _snowfield(sheet: Sheet) -> None:
    sheet.sky()
    sheet.hills(0.62, 0.3, sheet.ink((196, 214, 236)), bumps=5, sharp=True)
    sheet.layer()
    sheet.hills(0.68, 0.12, sheet.ink((222, 234, 246)))
    sheet.layer()
    for x in spots(sheet, int(sheet.rng.integers(4, 8))):
        size = float(sheet.rng.uniform(0.3, 0.5))
        pine(sheet, x, 0.76, size, sheet.ink((86, 138, 132), 1), sheet.plain((110, 84, 66)))
        sheet.poly(
            [
                (x - 0.07 * size, 0.76 - 0.9 * size),
                (x + 0.07 * size, 0.76 - 0.9 * size),
                (x, 0.76 - 1.03 * size),
            ],
            sheet.plain((250, 252, 255)),
        )
    sheet.layer()
    sheet.ground(0.76, sheet.ink((240, 246, 252)), wave=0.03)
    sheet.layer(0.14)
    if sheet.rng.integers(2):
        x = float(sheet.rng.uniform(0.2, 1.8))
        white = sheet.plain((252, 252, 255))
        sheet.disc(x, 0.78, 0.1, white)
        sheet.disc(x, 0.63, 0.07, white)
        sheet.poly([(x, 0.635), (x + 0.07, 0.645), (x, 0.655)], sheet.plain((240, 130, 50)), detail=True)
        sheet.rect(x - 0.05, 0.55, 0.1, 0.02, sheet.plain((60, 60, 76)))
    sheet.ground(0.88, sheet.ink((226, 236, 248)), wave=0.02)
    sheet.layer(0.14)


NATURE = {
    "forest": _forest,
    "beach": _beach,
    "mountains": _mountains,
    "meadow": _meadow,
    "desert": _desert,
    "snowfield": _snowfield,
}
