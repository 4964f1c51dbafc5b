"""The outdoor settings of the playhouse, each a few layers of cut paper. Rooms are in `rooms`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from captain_cinema.playhouse.backdrop import Sheet
from captain_cinema.playhouse.palette import Colour, mix, shade
from captain_cinema.playhouse.rooms import ROOMS
from captain_cinema.playhouse.world import Place


@lru_cache(maxsize=48)
def backdrop(place: Place, hour: str, weather: str, height: int) -> np.ndarray:
    """The painted sheet of a place, uint8 RGB, `backdrop.OVERSIZE` times the frame's scale. Do not write to it."""
    sheet = Sheet(place, hour, weather, height)
    _PAINTERS[place.setting](sheet)
    sheet.veil()
    sheet.image.setflags(write=False)
    return sheet.image


def _spots(sheet: Sheet, count: int, *, jitter: float = 0.6) -> list[float]:
    """`count` places along the stage, evenly strewn."""
    step = 2.3 / count
    return [-0.15 + step * (i + 0.5 + jitter * float(sheet.rng.uniform(-0.5, 0.5))) for i in range(count)]


def _pine(sheet: Sheet, x: float, y: float, size: float, colour: Colour, trunk: Colour) -> None:
    sheet.rect(x - 0.03 * size, y - 0.2 * size, 0.06 * size, 0.2 * size, trunk)
    for step in range(3):
        base = y - size * (0.15 + 0.24 * step)
        half = size * (0.24 - 0.055 * step)
        sheet.poly(
            [(x - half, base), (x + half, base), (x, base - size * 0.4)], shade(colour, 1 - 0.07 * (2 - step))
        )


def _tree(sheet: Sheet, x: float, y: float, size: float, colour: Colour, trunk: Colour) -> None:
    sheet.poly(
        [
            (x - 0.05 * size, y),
            (x + 0.05 * size, y),
            (x + 0.03 * size, y - 0.55 * size),
            (x - 0.03 * size, y - 0.55 * size),
        ],
        trunk,
    )
    for dx, dy, r in ((-0.17, 0.55, 0.18), (0.17, 0.56, 0.18), (0.0, 0.72, 0.24)):
        sheet.disc(x + dx * size, y - dy * size, r * size, colour)
    sheet.disc(x - 0.06 * size, y - 0.78 * size, 0.1 * size, shade(colour, 1.1), detail=True)


def _house(sheet: Sheet, x: float, y: float, w: float, h: float, wall: Colour, roof: Colour) -> None:
    sheet.rect(x, y - h, w, h, wall)
    sheet.poly(
        [(x - 0.03, y - h), (x + w + 0.03, y - h), (x + w * 0.8, y - h - 0.1), (x + w * 0.2, y - h - 0.1)],
        roof,
    )
    pane = sheet.lit((176, 208, 220), (255, 214, 116))
    rows = max(1, int(h / 0.2))
    for row in range(rows):
        for side in (0.2, 0.6):
            sheet.rect(x + w * side, y - h + 0.06 + row * 0.19, w * 0.2, 0.1, pane, detail=True)


def _forest(sheet: Sheet) -> None:
    sheet.sky()
    sheet.hills(0.6, 0.22, sheet.ink((120, 176, 128)))
    sheet.layer()
    style = _pine if sheet.rng.integers(2) else _tree
    far, near = sheet.ink((70, 138, 88), 1), sheet.ink((44, 112, 70), 1)
    for x in _spots(sheet, 8):
        style(sheet, x, 0.72, float(sheet.rng.uniform(0.45, 0.6)), far, sheet.plain((112, 82, 58)))
    sheet.layer()
    sheet.ground(0.72, sheet.ink((112, 158, 76)))
    sheet.layer()
    other = _tree if style is _pine else _pine
    for x in _spots(sheet, int(sheet.rng.integers(3, 6))):
        tall = float(sheet.rng.uniform(0.66, 0.92))
        (style if sheet.rng.uniform() < 0.8 else other)(sheet, x, 0.8, tall, near, sheet.plain((92, 62, 44)))
    sheet.layer()
    for x in _spots(sheet, 9):
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
    for x in _spots(sheet, 2)[: int(sheet.rng.integers(1, 3))]:
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
    for x in _spots(sheet, 6):
        sheet.oval(x, float(sheet.rng.uniform(0.82, 0.98)), 0.03, 0.012, sheet.ink((252, 232, 190)))
    sheet.layer(0)


def _street(sheet: Sheet) -> None:
    sheet.sky()
    walls = ((226, 158, 120), (240, 206, 140), (176, 196, 186), (214, 130, 120), (190, 170, 200))
    x = -0.3
    while x < 2.3:
        w = float(sheet.rng.uniform(0.32, 0.5))
        h = float(sheet.rng.uniform(0.4, 0.66))
        wall = sheet.ink(walls[int(sheet.rng.integers(len(walls)))])
        _house(sheet, x, 0.78, w, h, wall, sheet.ink((150, 76, 66), 1))
        sheet.rect(x + w * 0.4, 0.62, w * 0.2, 0.16, sheet.ink((112, 74, 58), 1), detail=True)
        x += w + float(sheet.rng.choice((0.0, 0.03)))
    sheet.layer()
    sheet.ground(0.77, sheet.plain((196, 190, 184)), wave=0)
    sheet.layer()
    sheet.ground(0.84, sheet.ink((128, 126, 136)), wave=0)
    for stripe in np.arange(-0.2, 2.3, 0.3):
        sheet.rect(float(stripe), 0.915, 0.16, 0.016, sheet.plain((236, 228, 204)), detail=True)
    sheet.layer(0.1)
    for x in _spots(sheet, 2):
        sheet.rect(x - 0.012, 0.32, 0.024, 0.5, sheet.plain((58, 58, 70)))
        sheet.disc(x, 0.31, 0.045, sheet.lit((236, 232, 214), (255, 228, 140)))
        sheet.layer()
        sheet.lamp_glow(x, 0.31, 0.22)


def _mountains(sheet: Sheet) -> None:
    sheet.sky()
    for base, rise, colour, count in ((0.62, 0.5, (150, 160, 196), 4), (0.7, 0.44, (112, 124, 164), 5)):
        for x in _spots(sheet, count):
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
    for x in _spots(sheet, 5):
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
        _tree(
            sheet,
            float(sheet.rng.uniform(0.2, 1.8)),
            0.74,
            0.55,
            sheet.ink((84, 152, 78)),
            sheet.plain((120, 86, 58)),
        )
    else:
        x = float(sheet.rng.uniform(0.2, 1.6))
        _house(sheet, x, 0.72, 0.26, 0.17, sheet.plain((244, 232, 210)), sheet.ink((198, 84, 66), 1))
    sheet.layer()
    sheet.ground(0.76, sheet.ink((110, 176, 84)), wave=0.02)
    sheet.layer()
    petals = ((250, 236, 240), (252, 206, 90), (238, 110, 120))
    first = int(sheet.rng.integers(3))
    for index, x in enumerate(_spots(sheet, 26)):
        y = float(sheet.rng.uniform(0.8, 0.98))
        sheet.disc(x, y, 0.016, sheet.ink(petals[(first + (index % 4 == 0)) % 3], 1))
        sheet.disc(x, y, 0.006, sheet.plain((220, 160, 50)), detail=True)
    sheet.layer(0)


def _harbour(sheet: Sheet) -> None:
    sheet.sky()
    sheet.hills(0.5, 0.1, sheet.ink((120, 150, 160)), bumps=4)
    sheet.layer()
    for step, colour in enumerate(((60, 124, 158), (76, 146, 176), (92, 164, 190))):
        sheet.ground(0.5 + 0.09 * step, sheet.ink(colour), wave=0.008)
        sheet.layer(0.08)
        if step == 2:
            continue
        for x in _spots(sheet, 2):
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
    for x in _spots(sheet, 5):
        sheet.rect(x - 0.03, 0.7, 0.06, 0.13, sheet.ink((112, 78, 56), 1))
        sheet.oval(x, 0.7, 0.03, 0.012, sheet.ink((190, 150, 110), 1))
    sheet.layer()


def _desert(sheet: Sheet) -> None:
    sheet.sky()
    if sheet.rng.integers(2):
        for x in _spots(sheet, 2):
            sheet.poly([(x - 0.28, 0.66), (x, 0.36), (x + 0.28, 0.66)], sheet.ink((214, 164, 104), 1))
            sheet.poly(
                [(x, 0.36), (x + 0.28, 0.66), (x + 0.06, 0.66)], sheet.ink((184, 134, 84), 1), detail=True
            )
    else:
        for x in _spots(sheet, 3):
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
    for x in _spots(sheet, int(sheet.rng.integers(2, 4))):
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
    for x in _spots(sheet, int(sheet.rng.integers(4, 8))):
        size = float(sheet.rng.uniform(0.3, 0.5))
        _pine(sheet, x, 0.76, size, sheet.ink((86, 138, 132), 1), sheet.plain((110, 84, 66)))
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


def _market(sheet: Sheet) -> None:
    sheet.sky()
    for x in _spots(sheet, 5):
        _house(
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
    for x in _spots(sheet, 14):
        sheet.oval(
            x, float(sheet.rng.uniform(0.86, 0.98)), 0.06, 0.014, sheet.ink((190, 162, 130)), detail=True
        )
    sheet.layer()
    stripes = ((214, 72, 62), (60, 140, 150), (232, 160, 50), (110, 90, 170))
    first = int(sheet.rng.integers(4))
    for index, x in enumerate(_spots(sheet, 3, jitter=0.35)):
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
    for x in _spots(sheet, int(sheet.rng.integers(2, 4)), jitter=0.3):
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


def _rooftop(sheet: Sheet) -> None:
    sheet.sky()
    for base, colour, count in ((0.8, (150, 158, 186), 9), (0.82, (108, 114, 150), 7)):
        for x in _spots(sheet, count):
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
    sheet.ground(0.76, sheet.ink((196, 104, 84), 1), wave=0)
    for row in range(4):
        for x in np.arange(-0.2 + 0.07 * (row % 2), 2.3, 0.14):
            sheet.oval(float(x), 0.83 + 0.06 * row, 0.065, 0.03, sheet.ink((178, 88, 72), 1), detail=True)
    sheet.rect(-0.3, 0.75, 2.6, 0.035, sheet.ink((226, 140, 112), 1))
    sheet.layer()
    for x in _spots(sheet, int(sheet.rng.integers(2, 4))):
        sheet.rect(x - 0.06, 0.54, 0.12, 0.24, sheet.ink((168, 96, 82)))
        sheet.rect(x - 0.075, 0.52, 0.15, 0.035, sheet.ink((130, 76, 70)))
    sheet.layer()


_PAINTERS = {
    "forest": _forest,
    "beach": _beach,
    "street": _street,
    "mountains": _mountains,
    "meadow": _meadow,
    "harbour": _harbour,
    "desert": _desert,
    "snowfield": _snowfield,
    "market": _market,
    "train station": _train_station,
    "rooftop": _rooftop,
    **ROOMS,
}
