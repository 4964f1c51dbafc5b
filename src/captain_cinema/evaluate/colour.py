"""Frames as they are compared: small, a little blurred, in a space where distance is what an eye sees."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

BLUR = 1.2
"""Standard deviation, in pixels of a frame 128 high: edges drawn a pixel off do not decide."""

SATURATION = 45.0
"""Colour differences (CIELAB) beyond this count alike: black for white is no worse than red for green."""

WORKING_HEIGHT = 64
"""Frames are compared at this height: half the embedded preset's, as fine as a look's smallest part."""


def working_lab(frame: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "rows cols 3"]:
    """A frame as it is compared: CIELAB, slightly blurred, WORKING_HEIGHT pixels high."""
    height, width = frame.shape[:2]
    lab = cv2.cvtColor(frame.astype(np.float32) / 255.0, cv2.COLOR_RGB2LAB)
    lab = cv2.GaussianBlur(lab, (0, 0), BLUR * height / 128)
    size = (round(width * WORKING_HEIGHT / height), WORKING_HEIGHT)
    return cv2.resize(lab, size, interpolation=cv2.INTER_AREA)


def working_mask(mask: Bool[np.ndarray, "h w"]) -> Bool[np.ndarray, "rows cols"]:
    """A mask at the size of `working_lab`: pixels at least half covered."""
    height, width = mask.shape
    size = (round(width * WORKING_HEIGHT / height), WORKING_HEIGHT)
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_AREA) >= 0.5
