"""What several outdoor settings share: trees, houses, and where to strew things."""

from __future__ import annotations

from captain_cinema.playhouse.backdrop import Sheet
from captain_cinema.playhouse.palette import Colour, shade


def spots(sheet: Sheet, count: int, *, jitter: float = 0.6) -> list[float]:
    """`count` places along the stage, evenly strewn."""
    step = 2.3 / count
    return [-0.15 + step * (i + 0.5 + jitter * float(sheet.rng.uniform(-0.5, 0.5))) for i in range(count)]


def pine(sheet: Sheet, x: float, y: float, size: float, colour: Colour, trunk: Colour) -> None:
    """A fir of three triangles whose foot is at (x, y)."""
    sheet.rect(x - 0.03 * size, y - 0.2 * size, 0.06 * size, 0.2 * size, trunk)
    for step in range(3):
        base = y - size * (0.15 + 0.24 * step)
        half = size * (0.24 - 0.055 * step)
        sheet.poly(
            [(x - half, base), (x + half, base), (x, base - size * 0.4)], shade(colour, 1 - 0.07 * (2 - step))
        )


def tree(sheet: Sheet, x: float, y: float, size: float, colour: Colour, trunk: Colour) -> None:
    """A leafy tree whose foot is at (x, y)."""
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


def house(sheet: Sheet, x: float, y: float, w: float, h: float, wall: Colour, roof: Colour) -> None:
    """A house whose bottom left corner is at (x, y)."""
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
