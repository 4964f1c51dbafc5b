"""Small pictures of a film's last seconds, in which blends are looked for."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

THUMB = (24, 14)
SHAPE = (THUMB[1], THUMB[0])
BAR = 24.0 - 128
"""Colours of a bar at most, as thumbs have them."""
Place = tuple[slice, slice]
VALUES = THUMB[0] * THUMB[1] * 3
NEAREST = cv2.INTER_NEAREST
HISTORY = 128
"""Samples that are remembered."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
PLAIN_DEVIATION = 5.0
"""Standard deviation of brightness below which a picture is of one colour."""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A frame that was looked at, small."""

    number: int
    seconds: float
    thumb: Float32[np.ndarray, " values"]
    luma: Float32[np.ndarray, " pixels"]
    """Without its mean."""
    mean: float
    deviation: float

    @property
    def plain(self) -> bool:
        """Whether it is of one colour."""
        return self.deviation < PLAIN_DEVIATION

    def part(self, place: Place | None) -> Float32[np.ndarray, " pixels"]:
        """Brightness in a part of the picture, without its mean; of all of it if that is None."""
        if place is None:
            return self.luma
        part = self.luma.reshape(SHAPE)[place].ravel()
        return part - part.mean()


class Samples:
    """The samples of the last seconds, and the products of all pairs of them."""

    def __init__(self) -> None:
        self._samples: dict[int, Sample] = {}
        self._thumbs = np.zeros((HISTORY, VALUES), np.float32)
        self.products = np.zeros((HISTORY, HISTORY))
        """Of samples `index % HISTORY`."""
        self.norms = np.zeros(HISTORY)
        """Its diagonal."""
        self.first_picture = -1
        """The first frame that was not of one colour, among those looked at; -1 before."""
        self.newest = -1
        self.oldest = 0

    def __contains__(self, index: int) -> bool:
        return index in self._samples

    def __getitem__(self, index: int) -> Sample:
        return self._samples[index]

    def get(self, index: int) -> Sample | None:
        """The sample, if it is remembered."""
        return self._samples.get(index)

    def add(self, index: int, number: int, seconds: float, image: UInt8[np.ndarray, "h w 3"]) -> None:
        """The next sample; one that does not follow the last one begins anew.

        Args:
            index: of the sample.
            number: of its frame.
            seconds: of its frame.
            image: the frame, RGB and reduced.
        """
        if index != self.newest + 1:
            self._samples.clear()
            self.oldest = index
        coarse = image
        if min(image.shape[:2]) > 2 * THUMB[0]:  # every second pixel of every second row
            size = (image.shape[1] // 2, (image.shape[0] + 1) // 2)
            even = image.shape[1] % 2 == 0
            coarse = cv2.resize(image[::2], size, interpolation=NEAREST) if even else image[::2, ::2]
        small = np.asarray(cv2.resize(coarse, THUMB, interpolation=cv2.INTER_AREA), np.float32) - 128
        luma = small.reshape(-1, 3) @ LUMA
        mean = float(luma.mean())
        luma -= mean
        thumb = small.ravel()
        deviation = math.sqrt(float(luma @ luma) / len(luma))
        self._samples[index] = Sample(
            number=number, seconds=seconds, thumb=thumb, luma=luma, mean=mean, deviation=deviation
        )
        self._samples.pop(index - HISTORY, None)
        if self.first_picture < 0 and not self._samples[index].plain:
            self.first_picture = number
        self.newest = index
        self.oldest = max(self.oldest, index - HISTORY + 1)
        row = index % HISTORY
        self._thumbs[row] = thumb
        self.products[row] = self.products[:, row] = self._thumbs @ thumb
        self.norms[row] = self.products[row, row]


def between_bars(one: Sample, other: Sample) -> Place | None:
    """Where two pictures have no bars in common, which would make them alike; None if there are none."""
    lit = np.maximum(one.thumb, other.thumb).reshape(*SHAPE, 3).max(2) > BAR
    place = lit_lines(lit.any(1)), lit_lines(lit.any(0))
    return None if place == (slice(0, SHAPE[0]), slice(0, SHAPE[1])) else place


def lit_lines(lit: Bool[np.ndarray, " lines"]) -> slice:
    """Lines from the first lit one to the last, without those next to a bar, which are part of it in part."""
    lines = np.flatnonzero(lit).tolist() or [0, len(lit) - 1]
    first, last = lines[0], lines[-1] + 1
    slim = slice(first + (first > 0), last - (last < len(lit)))
    return slim if slim.stop - slim.start > 2 else slice(0, len(lit))


def same_picture(one: Sample, other: Sample) -> bool:
    """Whether two samples show the same, brighter or darker as it may be."""
    place = between_bars(one, other)
    here, there = one.part(place), other.part(place)
    return float(here @ there) > 0.8 * float(here.std() * there.std()) * len(here)
