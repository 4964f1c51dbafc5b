"""Frames as detectors of cuts see them."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import UInt8

from captain_cinema.films.decode import Frame

SIDE = 256
"""Longer side of the pictures that detectors see, as PySceneDetect reduces them."""


def reduced(frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
    """The frame in RGB with a longer side of at most `SIDE`."""
    longer = max(frame.width, frame.height)
    return frame.small(max(1, round(frame.width * min(1.0, SIDE / longer))))


class Looker:
    """Frames as detectors see them: of one size, whatever the film does, and without damaged ones."""

    def __init__(self) -> None:
        self._last: UInt8[np.ndarray, "h w 3"] | None = None

    def look(self, frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
        """The frame, reduced; in the place of a damaged one the last sound one, which hides the damage."""
        if frame.flagged and self._last is not None:
            return self._last
        image = reduced(frame)
        if self._last is not None and image.shape != self._last.shape:
            height, width = self._last.shape[:2]
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        self._last = image
        return image
