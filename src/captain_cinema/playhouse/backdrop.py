"""The sheet a setting is painted on: layers of cut paper with soft shadows, tints of a place, the sky."""

from __future__ import annotations

import math
import zlib

import cv2
import numpy as np

from captain_cinema.playhouse.cutout import Cutout, affine, blend, fill, pixel_sigma
from captain_cinema.playhouse.palette import SKY, Colour, clamp, mix, scene_tint, shade, turn_hue
from captain_cinema.playhouse.world import INDOORS, Place

MARGIN = 0.2
"""How far the sheet reaches beyond the left and right edges of the stage, for camera moves."""
OVERSIZE = 1.25
"""Pixels of the sheet per pixel of the frame: the closer framings enlarge it softly, like a shallow focus."""


class Sheet(Cutout):
    """A backdrop being painted. Coordinates are the stage's: x 0..2 (and a margin), y 0 (top) to 1, down."""

    def __init__(self, place: Place, hour: str, weather: str, height: int) -> None:
        super().__init__()
        self.hour = hour
        self.indoors = place.setting in INDOORS
        self.weather = weather
        self.rng = np.random.default_rng([place.variant, zlib.crc32(place.setting.encode())])
        # Two tints make a variant's palette: one for the land or walls, one for what stands there.
        self.hues = [float(self.rng.choice((-1, 1)) * self.rng.uniform(0.04, 0.5)) for _ in range(2)]
        self.value = float(self.rng.uniform(0.86, 1.12))
        self.flip = bool(self.rng.integers(2))
        self.height = height
        scale = height * OVERSIZE
        self.to_pixels = affine(MARGIN * scale, 0, scale=scale)
        if self.flip:
            self.to_pixels = np.array([[-scale, 0, (2 + MARGIN) * scale], [0, scale, 0]])
        self.image = np.zeros((round(scale), round((2 + 2 * MARGIN) * scale), 3), np.uint8)

    def ink(self, colour: Colour, tint: int = 0) -> Colour:
        """A colour of this place at this hour; `tint` 0 is the land's or the walls' hue, 1 that of things."""
        turned = turn_hue(colour, self.hues[tint])
        value = self.value if tint == 0 else 2 - self.value
        turned = clamp((turned[0] * value, turned[1] * value, turned[2] * value))
        return scene_tint(turned, self.hour, indoors=self.indoors)

    def plain(self, colour: Colour) -> Colour:
        """A colour that keeps its hue in every variant, tinted by the hour only."""
        return scene_tint(colour, self.hour, indoors=self.indoors)

    def lit(self, day: Colour, night: Colour) -> Colour:
        """A pane or lamp: `day` by day, shining in `night` in the evening and at night."""
        return night if self.hour in ("sunset", "night") else self.plain(day)

    def rect(self, x: float, y: float, w: float, h: float, colour: Colour, *, detail: bool = False) -> None:
        """A rectangle from its top left corner."""
        self.poly([(x, y), (x + w, y), (x + w, y + h), (x, y + h)], colour, detail=detail)

    def layer(self, shadow: float = 0.22) -> None:
        """Lay down what was drawn since the last layer, with a soft paper shadow above it."""
        polygons = self.fixed_point(self.to_pixels)
        if shadow > 0 and polygons:
            mask = np.zeros(self.image.shape[:2], np.uint8)
            for piece, points in zip(self.pieces, polygons, strict=True):
                if piece.silhouette:
                    fill(mask, points, 255)
            scale = self.height * OVERSIZE
            offset = affine(0.006 * scale, 0.008 * scale)
            mask = cv2.warpAffine(mask, offset, mask.shape[::-1])
            mask = cv2.GaussianBlur(mask, (0, 0), pixel_sigma(0.014, self.height))
            blend(self.image, cv2.convertScaleAbs(mask, alpha=shadow), (24, 20, 40))
        for piece, points in zip(self.pieces, polygons, strict=True):
            fill(self.image, points, tuple(round(value) for value in piece.colour))
        self.pieces.clear()

    def hills(self, y: float, rise: float, colour: Colour, *, bumps: int = 5, sharp: bool = False) -> None:
        """A ridge across the whole sheet, filled to the bottom."""
        xs = np.linspace(-0.3, 2.3, bumps + 2)
        tops = [
            (float(x + self.rng.uniform(-0.1, 0.1)), y - rise * float(self.rng.uniform(0.1, 1)))
            for x in xs[1:-1]
        ]
        corners = [(-0.4, 1.3), (-0.4, y), *tops, (2.4, y), (2.4, 1.3)]
        if sharp:
            self.poly(corners, colour)
        else:
            self.blob([(-0.6, 1.6), (-0.6, y), *tops, (2.6, y), (2.6, 1.6)], colour)

    def ground(self, y: float, colour: Colour, *, wave: float = 0.012) -> None:
        """The floor or ground the cast stands on, from `y` down, with a gently cut edge."""
        xs = np.linspace(-0.4, 2.4, 9)
        edge = [(float(x), y + wave * float(self.rng.uniform(-1, 1))) for x in xs]
        self.poly([*edge, (2.4, 1.2), (-0.4, 1.2)], colour)

    def sky(self, *, sun: bool = True) -> None:
        """Bands of sky with the sun, the moon and stars, or clouds."""
        top, low = SKY[self.hour]
        grey = {"clear": 0.0, "rain": 0.55, "snow": 0.4, "fog": 0.5}[self.weather]
        dull = mix((172, 182, 194), (44, 50, 76), 1.0 if self.hour == "night" else 0.0)
        top, low = mix(top, dull, grey), mix(low, dull, grey)
        self.rect(-0.3, -0.1, 2.7, 1.2, top)
        for band in range(1, 5):
            y = 0.02 + 0.13 * band
            phase = float(self.rng.uniform(0, 6.28))
            edge = [(float(x), y + 0.02 * math.sin(3 * x + phase)) for x in np.linspace(-0.3, 2.3, 14)]
            self.poly([*edge, (2.4, 1.2), (-0.4, 1.2)], mix(top, low, band / 4))
        self.layer(0)
        x, y = float(self.rng.uniform(0.2, 1.8)), float(self.rng.uniform(0.12, 0.24))
        if sun and self.weather == "clear":
            self._light(x, y)
        clouds = int(self.rng.integers(2, 5))
        spots = [(float(self.rng.uniform(0, 2)), float(self.rng.uniform(0.06, 0.3))) for _ in range(clouds)]
        white = {"night": (66, 76, 124), "sunset": (240, 170, 150), "morning": (255, 240, 228)}.get(
            self.hour, (250, 252, 255)
        )
        for cx, cy in spots:
            for dx, r in ((-0.11, 0.035), (-0.04, 0.055), (0.05, 0.045), (0.12, 0.03)):
                self.oval(cx + dx, cy, r * 1.5, r * 0.9, mix(white, dull, grey * 0.8))
        self.layer(0.1)

    def _light(self, x: float, y: float) -> None:
        if self.hour == "night":
            for _ in range(26):
                self.disc(
                    float(self.rng.uniform(-0.1, 2.1)),
                    float(self.rng.uniform(0, 0.5)),
                    0.006,
                    (226, 226, 200),
                )
            self.disc(x, y, 0.085, (246, 240, 206))
            self.disc(x + 0.035, y - 0.02, 0.07, mix(SKY["night"][0], SKY["night"][1], 0.3))
        else:
            y = {"day": y, "morning": y + 0.16, "sunset": y + 0.24}[self.hour]
            glow, core = {
                "day": ((255, 244, 190), (255, 222, 92)),
                "morning": ((255, 236, 200), (255, 214, 120)),
                "sunset": ((255, 190, 104), (255, 108, 66)),
            }[self.hour]
            self.disc(x, y, 0.13, mix(glow, SKY[self.hour][0], 0.4))
            self.disc(x, y, 0.09, core)
        self.layer(0)

    def window(self, x: float, y: float, w: float, h: float, frame: Colour) -> None:
        """A window on the sky of the hour."""
        top, low = SKY[self.hour]
        self.rect(x - 0.025, y - 0.025, w + 0.05, h + 0.05, frame)
        self.layer()
        self.rect(x, y, w, h, top)
        self.rect(x, y + h * 0.5, w, h * 0.5, mix(top, low, 0.6))
        if self.hour == "night":
            self.disc(x + w * 0.7, y + h * 0.27, min(w, h) * 0.14, (246, 240, 206))
        elif self.hour == "sunset":
            self.disc(x + w * 0.4, y + h * 0.75, min(w, h) * 0.18, (255, 108, 66))
        self.rect(x + w / 2 - 0.008, y, 0.016, h, frame)
        self.rect(x, y + h / 2 - 0.008, w, 0.016, frame)
        self.layer(0)

    def lamp_glow(self, x: float, y: float, r: float) -> None:
        """Warm light around a lamp in the evening and at night."""
        if self.hour not in ("sunset", "night"):
            return
        mask = np.zeros(self.image.shape[:2], np.uint8)
        glow = Cutout()
        glow.disc(x, y, r * 0.6, (0, 0, 0))
        fill(mask, glow.fixed_point(self.to_pixels)[0], 255)
        mask = cv2.GaussianBlur(mask, (0, 0), pixel_sigma(r * 0.4, self.height))
        blend(self.image, cv2.convertScaleAbs(mask, alpha=0.45), (255, 200, 110))

    def veil(self) -> None:
        """What weather does to the whole backdrop: fog hides it, rain and snow grey it."""
        share = {"clear": 0.0, "rain": 0.16, "snow": 0.14, "fog": 0.55}[self.weather]
        if share == 0:
            return
        colour = {"rain": (120, 136, 160), "snow": (226, 232, 240), "fog": (218, 222, 224)}[self.weather]
        if self.hour == "night":
            colour = shade(colour, 0.42)
        alpha = np.full(self.image.shape[:2], round(255 * share), np.uint8)
        if self.weather == "fog":
            rows = np.linspace(0.95, 0.5, self.image.shape[0])
            alpha = np.repeat(np.round(rows * 255 * 0.72).astype(np.uint8)[:, None], alpha.shape[1], 1)
        blend(self.image, alpha, colour)
