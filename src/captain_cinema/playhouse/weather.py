"""Weather in front of the cast: rain and snow that fall, fog that drifts."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from captain_cinema.playhouse.cutout import SHIFT, blend
from captain_cinema.playhouse.palette import figure_tint
from captain_cinema.playhouse.world import INDOORS, FrameState

_FLAKE = np.stack([np.cos(np.arange(8) * np.pi / 4), np.sin(np.arange(8) * np.pi / 4)], axis=1)


def fall(image: np.ndarray, state: FrameState) -> None:
    """Paint the weather of `state` over `image` in place; indoors there is none."""
    if state.place.setting in INDOORS:
        return
    if state.weather == "rain":
        _rain(image, state)
    elif state.weather == "snow":
        _snow(image, state)
    elif state.weather == "fog":
        _fog(image, state)


@lru_cache(maxsize=1)
def _drops() -> np.ndarray:
    """Start places (x, y) and paces of the falling things, the same in every frame: 90 rows of 3."""
    return np.random.default_rng(7).uniform(0, 1, (90, 3))


def _paint(image: np.ndarray, shapes: np.ndarray, alpha: float, state: FrameState) -> None:
    height = image.shape[0]
    fixed = np.round((shapes * height - 0.5) * (1 << SHIFT)).astype(np.int32)
    mask = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(mask, list(fixed), 255, cv2.LINE_AA, SHIFT)
    blend(image, cv2.convertScaleAbs(mask, alpha=alpha), figure_tint((236, 242, 250), state.hour))


def _rain(image: np.ndarray, state: FrameState) -> None:
    drops = _drops()
    pace = 1.5 + 0.5 * drops[:, 2]
    y = (drops[:, 1] * 1.3 + pace * state.seconds) % 1.3 - 0.15
    x = drops[:, 0] * 2.3 - 0.12 * y
    length = 0.06 + 0.05 * drops[:, 2]
    across = np.array([-0.004, 0.004, 0.004, -0.004])
    along = np.array([0, 0, 1, 1])
    xs = x[:, None] + across + along * (-0.12 * length)[:, None]
    ys = y[:, None] + along * length[:, None]
    _paint(image, np.stack([xs, ys], axis=2), 0.5, state)


def _snow(image: np.ndarray, state: FrameState) -> None:
    drops = _drops()[:64]
    pace = 0.18 + 0.16 * drops[:, 2]
    y = (drops[:, 1] * 1.1 + pace * state.seconds) % 1.1 - 0.05
    x = drops[:, 0] * 2.1 - 0.05 + 0.03 * np.sin(2 * state.seconds + 40 * drops[:, 2])
    size = 0.008 + 0.009 * drops[:, 2]
    _paint(image, np.stack([x, y], axis=1)[:, None] + _FLAKE * size[:, None, None], 0.92, state)


@lru_cache(maxsize=4)
def _bank(height: int) -> np.ndarray:
    """A bank of fog three frames high wide, thicker below: uint8 [height, 3 * height]."""
    coarse = np.random.default_rng(11).uniform(0.05, 0.24, (4, 9)).astype(np.float32)
    coarse *= np.linspace(0.55, 1.25, 4, dtype=np.float32)[:, None]
    bank = cv2.resize(coarse, (3 * height, height), interpolation=cv2.INTER_CUBIC)
    bank = np.clip(np.round(bank * 255), 0, 255).astype(np.uint8)
    bank.setflags(write=False)
    return bank


def _fog(image: np.ndarray, state: FrameState) -> None:
    height, width = image.shape[:2]
    drift = 0.5 + 0.4 * np.sin(0.25 * state.seconds)
    shift = np.array([[1, 0, -drift * height], [0, 1, 0]])
    alpha = cv2.warpAffine(_bank(height), shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
    blend(
        image, alpha, figure_tint((222, 226, 228), state.hour) if state.hour != "night" else (104, 112, 136)
    )
