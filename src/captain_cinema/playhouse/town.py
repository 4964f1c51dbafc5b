"""The built settings: street, harbour, market, train station and rooftop."""

from __future__ import annotations

import numpy as np

from captain_cinema.playhouse.backdrop import Sheet
from captain_cinema.playhouse.palette import mix
from captain_cinema.playhouse.scenery import house, spots


def _street(sheet: Sheet) -> None:
    sheet.sky()
    walls = ((226, 158, 120), (240, 206, 140), (176, 196, 186), (214, 130, 120), (190, 170, 200))
    x = -0.3
    while x < 2.3:
        w = float(sheet.rng.uniform(0.32, 0.5))
        h = float(sheet.rng.uniform(0.4, 0.66))
        wall = sheet.ink(walls[int(sheet.rng.integers(len(walls)))])
        house(sheet, x, 0.78, w, h, wall, sheet.ink((150, 76, 66), 1))
        sheet.rect(x + w * 0.4, 0.62, w * 0.2, 0.16, sheet.ink((112, 74, 58), 1), detail=True)
        x += w + float(sheet.rng.choice((0.0, 0.03)))
    sheet.layer()
    sheet.ground(0.77, sheet.plain((196, 190, 184)), wave=0)
    sheet.layer()
    sheet.ground(0.84, sheet.ink((128, 126, 136)), wave=0)
    for stripe in np.arange(-0.2, 2.3, 0.3):
        sheet.rect(float(stripe), 0.915, 0.16, 0.016, sheet.plain((236, 228, 204)), detail=True)
    sheet.layer(0.1)
    for x in spots(sheet, 2):
        sheet.rect(x - 0.012, 0.32, 0.024, 0.5, sheet.plain((58, 58, 70)))
        sheet.disc(x, 0.31, 0.045, sheet.lit((236, 232, 214), (255, 228, 140)))
        sheet.layer()
        sheet.lamp_glow(x, 0.31, 0.22)


def _harbour(sheet: Sheet) -> None:
    sheet.sky()
    sheet.hills(0.5, 0.1, sheet.ink((120, 150, 160)), bumps=4)
    sheet.layer()
    for step, colour in enumerate(((60, 124, 158), (76, 146, 176), (92, 164, 190))):
        sheet.ground(0.5 + 0.09 * step, sheet.ink(colour), wave=0.008)
        sheet.layer(0.08)
        if step == 2:
            continue
        for x in spots(sheet, 2):
            y, size = 0.58 + 0.08 * step, 1.0 + 0.4 * step
            hull = sheet.ink(((196, 66, 60), (60, 96, 140))[step], 1)
            sheet.rect(x - 0.006, y - 0.34 * size, 0.012, 0.34 * size, sheet.plain((112, 84, 60)))
            sheet.poly(
                [(x + 0.015, y - 0.32 * size), (x + 0.015, y - 0.05), (x + 0.17 * size, y - 0.05)],
                sheet.plain((250, 244, 230)),
            )
            sheet.poly(
                [(x - 0.015, y - 0.26 * size), (x - 0.015, y - 0.05), (x - 0.12 * size, y - 0.05)],
                sheet.plain((236, 226, 206)),
            )
            sheet.poly(
                [
                    (x - 0.18 * size, y - 0.03),
                    (x + 0.2 * size, y - 0.03),
                    (x + 0.13 * size, y + 0.06),
                    (x - 0.12 * size, y + 0.06),
                ],
                hull,
            )
        sheet.layer()
    sheet.ground(0.78, sheet.ink((168, 124, 86), 1), wave=0)
    for x in np.arange(-0.2, 2.3, 0.17):
        sheet.rect(float(x), 0.78, 0.008, 0.3, sheet.ink((128, 90, 62), 1), detail=True)
    for x in spots(sheet, 5):
        sheet.rect(x - 0.03, 0.7, 0.06, 0.13, sheet.ink((112, 78, 56), 1))
        sheet.oval(x, 0.7, 0.03, 0.012, sheet.ink((190, 150, 110), 1))
    sheet.layer()


def _market(sheet: Sheet) -> None:
    sheet.sky()
    for x in spots(sheet, 5):
        house(
            sheet,
            x - 0.24,
            0.7,
            0.46,
            float(sheet.rng.uniform(0.25, 0.42)),
            sheet.ink((222, 196, 164)),
            sheet.ink((170, 110, 90)),
        )
    sheet.layer()
    sheet.ground(0.74, sheet.ink((206, 180, 146)))
    for x in spots(sheet, 14):
        sheet.oval(
            x, float(sheet.rng.uniform(0.86, 0.98)), 0.06, 0.014, sheet.ink((190, 162, 130)), detail=True
        )
    sheet.layer()
    stripes = ((214, 72, 62), (60, 140, 150), (232, 160, 50), (110, 90, 170))
    first = int(sheet.rng.integers(4))
    for index, x in enumerate(spots(sheet, 3, jitter=0.35)):
        y = float(sheet.rng.uniform(0.36, 0.42))
        for post in (x - 0.26, x + 0.24):
            sheet.rect(post, y, 0.02, 0.44, sheet.plain((128, 92, 64)))
        sheet.rect(x - 0.28, 0.64, 0.56, 0.17, sheet.ink((168, 118, 76), 1))
        for fruit in range(8):
            colour = ((222, 66, 56), (246, 170, 50), (126, 176, 66))[(fruit // 3 + index + first) % 3]
            sheet.disc(x - 0.23 + 0.065 * fruit, 0.63, 0.036, sheet.plain(colour))
        cloth = stripes[(first + index) % 4]
        for strip in range(6):
            left = x - 0.32 + strip * 0.64 / 6
            paint = sheet.ink(cloth, 1) if strip % 2 else sheet.plain((250, 242, 224))
            top = x - 0.26 + strip * 0.52 / 6
            sheet.poly(
                [(top, y - 0.06), (top + 0.52 / 6, y - 0.06), (left + 0.64 / 6, y + 0.07), (left, y + 0.07)],
                paint,
            )
            sheet.disc(left + 0.32 / 6, y + 0.07, 0.32 / 6, paint)
    sheet.layer()


def _train_station(sheet: Sheet) -> None:
    sheet.sky()
    sheet.rect(-0.3, 0.12, 2.6, 0.07, sheet.ink((96, 108, 120)))
    for x in np.arange(-0.2, 2.3, 0.16):
        sheet.poly(
            [(float(x), 0.19), (float(x) + 0.16, 0.19), (float(x) + 0.08, 0.24)], sheet.ink((128, 142, 150))
        )
    sheet.layer()
    body = sheet.ink(((176, 58, 56), (54, 110, 96), (58, 84, 140))[int(sheet.rng.integers(3))], 1)
    start = float(sheet.rng.uniform(-0.6, 0.5))
    sheet.rect(start, 0.34, 3.0, 0.38, body)
    sheet.rect(start, 0.32, 3.0, 0.03, sheet.plain((70, 70, 84)))
    sheet.rect(start, 0.58, 3.0, 0.035, sheet.plain((246, 220, 150)), detail=True)
    pane = sheet.lit((190, 216, 226), (255, 220, 130))
    for index, x in enumerate(np.arange(start + 0.1, 2.4, 0.3)):
        if index % 4 == 3:
            sheet.rect(float(x), 0.4, 0.17, 0.3, mix(body, (20.0, 20.0, 30.0), 0.3), detail=True)
        else:
            sheet.rect(float(x), 0.41, 0.2, 0.14, pane, detail=True)
    sheet.rect(-0.3, 0.72, 2.6, 0.06, sheet.plain((56, 54, 64)))
    sheet.layer()
    for x in spots(sheet, int(sheet.rng.integers(2, 4)), jitter=0.3):
        sheet.rect(x - 0.022, 0.12, 0.044, 0.7, sheet.ink((84, 96, 108)))
        sheet.poly([(x - 0.09, 0.19), (x + 0.09, 0.19), (x, 0.3)], sheet.ink((84, 96, 108)))
    x = float(sheet.rng.uniform(0.4, 1.6))
    sheet.disc(x, 0.3, 0.075, sheet.plain((66, 62, 72)))
    sheet.disc(x, 0.3, 0.06, sheet.lit((250, 246, 232), (255, 240, 200)), detail=True)
    sheet.limb((x, 0.3), (x, 0.255), 0.006, 0.006, (50, 46, 56), detail=True)
    sheet.limb((x, 0.3), (x + 0.03, 0.31), 0.006, 0.006, (50, 46, 56), detail=True)
    sheet.layer()
    sheet.ground(0.78, sheet.ink((188, 178, 170)), wave=0)
    sheet.rect(-0.3, 0.8, 2.6, 0.022, sheet.plain((246, 206, 80)), detail=True)
    sheet.layer()


def _skyline(sheet: Sheet) -> None:
    for base, colour, count in ((0.8, (150, 158, 186), 9), (0.82, (108, 114, 150), 7)):
        for x in spots(sheet, count):
            h, w = float(sheet.rng.uniform(0.2, 0.52)), float(sheet.rng.uniform(0.16, 0.26))
            sheet.rect(x - w / 2, base - h, w, h, sheet.ink(colour))
            pane = sheet.lit(mix(colour, (255, 255, 255), 0.3), (250, 206, 110))
            for row in range(int(h / 0.1)):
                for column in range(2):
                    if sheet.rng.uniform() < 0.6:
                        sheet.rect(
                            x - w * 0.3 + column * w * 0.36,
                            base - h + 0.03 + 0.1 * row,
                            w * 0.2,
                            0.05,
                            pane,
                            detail=True,
                        )
        sheet.layer()


def _rooftop(sheet: Sheet) -> None:
    sheet.sky()
    _skyline(sheet)
    sheet.ground(0.76, sheet.ink((196, 104, 84), 1), wave=0)
    for row in range(4):
        for x in np.arange(-0.2 + 0.07 * (row % 2), 2.3, 0.14):
            sheet.oval(float(x), 0.83 + 0.06 * row, 0.065, 0.03, sheet.ink((178, 88, 72), 1), detail=True)
    sheet.rect(-0.3, 0.75, 2.6, 0.035, sheet.ink((226, 140, 112), 1))
    sheet.layer()
    for x in spots(sheet, int(sheet.rng.integers(2, 4))):
        sheet.rect(x - 0.06, 0.54, 0.12, 0.24, sheet.ink((168, 96, 82)))
        sheet.rect(x - 0.075, 0.52, 0.15, 0.035, sheet.ink((130, 76, 70)))
    sheet.layer()


TOWN = {
    "street": _street,
    "harbour": _harbour,
    "market": _market,
    "train station": _train_station,
    "rooftop": _rooftop,
}
