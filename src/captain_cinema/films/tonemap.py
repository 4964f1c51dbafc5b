"""High dynamic range to an ordinary 8-bit picture: BT.2100 in, BT.709 colours and BT.1886 brightness out.

Brightness goes through the roll-off of BT.2390 from a 1000-nit to a 203-nit screen (203 nits is the white of
graphics in BT.2408): dark and middle tones stay, highlights are bent. It works on the brightest of the three
colours, so that hues stay.
"""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from jaxtyping import Float32, UInt8, UInt16

Transfer = Literal["pq", "hlg"]

SOURCE_NITS, TARGET_NITS = 1000.0, 203.0
HLG_GAMMA = 1.2
SCREEN_GAMMA = 2.4
LEVELS = 4096
SCREEN_LEVELS = 65536
BAND_PIXELS = 1 << 18
LUMA_2020 = np.array([0.2627, 0.6780, 0.0593], np.float32)
BT2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)

M1, M2 = 2610 / 16384, 2523 / 4096 * 128
C1, C2, C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32


def pq_to_nits(value: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, signal 0 to 1 into nits."""
    power = np.maximum(value, 0.0) ** (1 / M2)
    return 10_000.0 * (np.maximum(power - C1, 0.0) / (C2 - C3 * power)) ** (1 / M1)


def nits_to_pq(nits: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084, nits into the signal 0 to 1."""
    power = (np.maximum(nits, 0.0) / 10_000.0) ** M1
    return ((C1 + C2 * power) / (1 + C3 * power)) ** M2


def hlg_to_scene(value: np.ndarray) -> np.ndarray:
    """ARIB STD-B67, signal 0 to 1 into scene light 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return np.where(value <= 0.5, value**2 / 3, (np.exp((value - c) / a) + b) / 12)


def roll_off(nits: np.ndarray) -> np.ndarray:
    """BT.2390: what a 203-nit screen shows of a 1000-nit picture, in nits."""
    top = nits_to_pq(np.array(SOURCE_NITS))
    signal = np.minimum(nits_to_pq(nits) / top, 1.0)
    most = nits_to_pq(np.array(TARGET_NITS)) / top
    knee = 1.5 * most - 0.5
    t = np.clip((signal - knee) / (1 - knee), 0, 1)
    bent = (
        (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    )
    return pq_to_nits(np.where(signal < knee, signal, bent) * top)


def tone_map(image: UInt16[np.ndarray, "h w 3"], transfer: Transfer) -> UInt8[np.ndarray, "h w 3"]:
    """A picture of coded BT.2020 red, green and blue (16 bits) as an ordinary one."""
    height, width = image.shape[:2]
    out = np.empty((height, width, 3), np.uint8)
    rows = max(1, BAND_PIXELS // width)  # in bands: it takes eight times the picture's memory
    for top in range(0, height, rows):
        out[top : top + rows] = _map_band(image[top : top + rows], transfer)
    return out


def _map_band(image: np.ndarray, transfer: Transfer) -> np.ndarray:
    linear = _linear_table(transfer)[image >> 4]
    if transfer == "hlg":
        # The screen's own curve works on brightness, not on each colour.
        luma = linear @ LUMA_2020
        linear *= (SOURCE_NITS * np.maximum(luma, 1e-6) ** (HLG_GAMMA - 1))[..., None]
    brightest = linear.max(axis=2)
    gain = _gain_table()[np.clip(brightest * (LEVELS / SOURCE_NITS), 0, LEVELS - 1).astype(np.int32)]
    linear *= gain[..., None]
    screen = np.clip(linear @ BT2020_TO_709.T, 0.0, 1.0)
    return _screen_table()[(screen * (SCREEN_LEVELS - 1) + 0.5).astype(np.int32)]


@cache
def _linear_table(transfer: Transfer) -> Float32[np.ndarray, " levels"]:
    """Light of a coded value of 12 bits: nits (PQ), scene light (HLG)."""
    signal = (np.arange(LEVELS) + 0.5) / LEVELS
    signal[0] = 0.0
    light = pq_to_nits(signal) if transfer == "pq" else hlg_to_scene(signal)
    return light.astype(np.float32)


@cache
def _gain_table() -> Float32[np.ndarray, " levels"]:
    """What light of a brightness (in steps up to 1000 nits) is multiplied by to be the screen's 0 to 1."""
    nits = (np.arange(LEVELS) + 0.5) * (SOURCE_NITS / LEVELS)
    return (roll_off(nits) / nits / TARGET_NITS).astype(np.float32)


@cache
def _screen_table() -> UInt8[np.ndarray, " levels"]:
    """The 8-bit value of light 0 to 1 on a BT.1886 screen."""
    light = np.arange(SCREEN_LEVELS) / (SCREEN_LEVELS - 1)
    return np.round(255 * light ** (1 / SCREEN_GAMMA)).astype(np.uint8)
