"""Which keyframes are not worth keeping, told from their pixels alone, and which show the same picture."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from captain_cinema.films.lettering import text_share
from captain_cinema.films.settings import FilmSettings

DARK_DEVIATION = 10.0
"""Standard deviation of brightness from which on a dark frame shows something, as a lit figure at night."""
HASH_SIDE, HASH_KEPT = 32, 8


@dataclass(frozen=True, kw_only=True)
class Quality:
    """What is measured of a keyframe."""

    luma: float
    """Mean brightness, 0 to 255."""
    deviation: float
    """Standard deviation of brightness."""
    sharpness: float
    """Standard deviation of the Laplacian."""
    text_share: float
    """Share of all sharp edges that is lettering on an even ground."""


def measure(image: UInt8[np.ndarray, "h w 3"]) -> Quality:
    """Measure a keyframe, RGB, as it is stored."""
    grey = grey_of(image)
    mean, deviation = cv2.meanStdDev(grey)
    _, sharpness = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_32F))
    return Quality(
        luma=float(mean[0, 0]),
        deviation=float(deviation[0, 0]),
        sharpness=float(sharpness[0, 0]),
        text_share=text_share(grey),
    )


def judge(quality: Quality, settings: FilmSettings) -> str:
    """Why a keyframe is not worth keeping: "text", "black", "flat" or "blurred"; empty if it is.

    Text comes first: a card of white letters on black is dark all over, but no lighter frame would help.
    """
    if quality.text_share > settings.text_share:
        return "text"
    if quality.luma < settings.black_luma and quality.deviation < DARK_DEVIATION:
        return "black"
    if quality.deviation < settings.flat_deviation:
        return "flat"
    if quality.sharpness < settings.blur_sharpness:
        return "blurred"
    return ""


def perceptual_hash(image: UInt8[np.ndarray, "h w 3"]) -> str:
    """64 bits that change little when a picture is encoded again, resized or graded; 16 hexadecimal digits.

    They say which of the lowest frequencies are above their median, as in pHash (Zauner, 2010).
    """
    small = cv2.resize(grey_of(image), (HASH_SIDE, HASH_SIDE), interpolation=cv2.INTER_AREA)
    waves = np.asarray(cv2.dct(np.asarray(small, np.float32)))[:HASH_KEPT, :HASH_KEPT].ravel()
    bits: Bool[np.ndarray, " bits"] = waves > np.median(waves[1:])
    return np.packbits(bits).tobytes().hex()


def hamming(one: str, other: str) -> int:
    """Bits by which two hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def grey_of(image: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w"]:
    """Brightness of an RGB image."""
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)
