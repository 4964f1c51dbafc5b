"""Colours of the playhouse, and what an hour of the day does to them.

Colours are RGB triples of floats in 0..255. Backgrounds are tinted strongly by the hour, figures lightly, so
that a coat keeps the name of its colour at night.
"""

from __future__ import annotations

import math

Colour = tuple[float, float, float]

FUR: dict[str, Colour] = {
    "orange": (236, 122, 40),
    "grey": (142, 148, 158),
    "brown": (128, 82, 50),
    "white": (246, 242, 234),
    "black": (56, 52, 60),
    "golden": (236, 190, 84),
    "pink": (242, 164, 178),
    "blue": (104, 152, 218),
}
SKIN: dict[str, Colour] = {
    "pale": (253, 228, 210),
    "light": (246, 202, 168),
    "tan": (220, 164, 116),
    "brown": (172, 114, 76),
    "dark": (100, 60, 44),
}
HAIR: dict[str, Colour] = {
    "black": (42, 36, 42),
    "brown": (138, 80, 36),
    "red": (190, 70, 32),
    "blond": (244, 206, 96),
    "white": (240, 238, 236),
    "blue": (62, 116, 206),
}
COAT: dict[str, Colour] = {
    "red": (206, 44, 44),
    "orange": (240, 134, 28),
    "yellow": (252, 208, 52),
    "green": (62, 150, 70),
    "teal": (24, 156, 154),
    "blue": (44, 86, 194),
    "purple": (126, 62, 168),
    "pink": (246, 132, 172),
    "white": (248, 246, 240),
    "black": (44, 44, 52),
    "brown": (122, 76, 46),
}
HAT: dict[str, Colour] = {
    "red": (214, 40, 48),
    "yellow": (254, 210, 44),
    "green": (48, 146, 68),
    "blue": (40, 86, 204),
    "purple": (130, 58, 176),
    "white": (250, 248, 244),
    "black": (38, 38, 46),
}

PAPER: Colour = (250, 244, 230)
"""The cream rim of cut paper around figures and props."""
INK: Colour = (44, 36, 44)
CREAM: Colour = (252, 240, 220)

SKY: dict[str, tuple[Colour, Colour]] = {
    "morning": ((186, 208, 232), (255, 226, 196)),
    "day": ((104, 184, 236), (206, 234, 242)),
    "sunset": ((122, 78, 142), (255, 160, 86)),
    "night": ((18, 24, 60), (52, 66, 122)),
}
"""Top and horizon of the sky by hour."""

_SCENE_TINT: dict[str, tuple[Colour, Colour]] = {
    "morning": ((0.98, 0.93, 0.88), (10, 8, 10)),
    "day": ((1.0, 1.0, 1.0), (0, 0, 0)),
    "sunset": ((0.88, 0.66, 0.58), (28, 8, 10)),
    "night": ((0.34, 0.40, 0.60), (4, 8, 24)),
}
_ROOM_TINT: dict[str, tuple[Colour, Colour]] = {
    "morning": ((0.98, 0.94, 0.88), (8, 6, 4)),
    "day": ((1.0, 1.0, 1.0), (0, 0, 0)),
    "sunset": ((0.92, 0.74, 0.62), (22, 6, 4)),
    "night": ((0.50, 0.46, 0.56), (12, 8, 18)),
}
_FIGURE_TINT: dict[str, Colour] = {
    "morning": (1.0, 0.975, 0.95),
    "day": (1.0, 1.0, 1.0),
    "sunset": (1.0, 0.92, 0.85),
    "night": (0.80, 0.83, 0.97),
}


def mix(a: Colour, b: Colour, share: float) -> Colour:
    """`a` with `share` (0..1) of `b` mixed in."""
    return (
        a[0] + (b[0] - a[0]) * share,
        a[1] + (b[1] - a[1]) * share,
        a[2] + (b[2] - a[2]) * share,
    )


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (factor < 1) or lighter (factor > 1, towards white)."""
    if factor <= 1:
        return (colour[0] * factor, colour[1] * factor, colour[2] * factor)
    return mix(colour, (255.0, 255.0, 255.0), factor - 1)


def trim(colour: Colour) -> Colour:
    """A colour for seams and hems that shows on `colour`: darker on light cloth, lighter on dark cloth."""
    return shade(colour, 0.72) if luma(colour) > 80 else shade(colour, 1.28)


def luma(colour: Colour) -> float:
    """Perceived brightness in 0..255."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def turn_hue(colour: Colour, angle: float, saturation: float = 1.0) -> Colour:
    """Rotate the hue by `angle` radians at constant brightness (the YIQ plane)."""
    red, green, blue = colour
    y = luma(colour)
    i = 0.596 * red - 0.274 * green - 0.322 * blue
    q = 0.211 * red - 0.523 * green + 0.312 * blue
    cos, sin = math.cos(angle) * saturation, math.sin(angle) * saturation
    i, q = i * cos - q * sin, i * sin + q * cos
    return clamp((y + 0.956 * i + 0.621 * q, y - 0.272 * i - 0.647 * q, y - 1.106 * i + 1.703 * q))


def clamp(colour: Colour) -> Colour:
    """The colour with every channel within 0..255."""
    return (
        min(255.0, max(0.0, colour[0])),
        min(255.0, max(0.0, colour[1])),
        min(255.0, max(0.0, colour[2])),
    )


def scene_tint(colour: Colour, hour: str, *, indoors: bool) -> Colour:
    """What the hour makes of a background colour."""
    gain, lift = (_ROOM_TINT if indoors else _SCENE_TINT)[hour]
    return clamp(
        (colour[0] * gain[0] + lift[0], colour[1] * gain[1] + lift[1], colour[2] * gain[2] + lift[2])
    )


def figure_tint(colour: Colour, hour: str) -> Colour:
    """What the hour makes of a figure's colour: much less than of the scenery."""
    gain = _FIGURE_TINT[hour]
    return (colour[0] * gain[0], colour[1] * gain[1], colour[2] * gain[2])
