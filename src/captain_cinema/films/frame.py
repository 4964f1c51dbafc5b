"""A decoded frame that is turned into pixels only when they are asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8

from captain_cinema.films.deinterlace import deinterlace
from captain_cinema.films.tonemap import tone_map

UNSPECIFIED = 2
HD_LINES = 720
FAST = int(Interpolation.FAST_BILINEAR)
SAME_EVERYWHERE = Interpolation.ACCURATE_RND | Interpolation.BITEXACT | Interpolation.FULL_CHR_H_INT
"""The same pixels on every processor, and colours not taken from the nearest pixel alone."""
EXACT = int(Interpolation.BILINEAR | SAME_EVERYWHERE)
REDUCED = int(Interpolation.AREA | SAME_EVERYWHERE)


class Converters:
    """Scalers that the frames of one film share: making one costs more than scaling a small frame."""

    def __init__(self) -> None:
        self.small: dict[int, VideoReformatter] = {}
        self.full = VideoReformatter()
        self.grey = VideoReformatter()


@dataclass(eq=False, kw_only=True, slots=True)
class Frame:
    """A frame of a film, upright and with square pixels; holding one holds the decoder's own planes only."""

    number: int
    """Counted from 0 over all decoded frames."""
    seconds: float
    """After the film's first frame."""
    flagged: bool = False
    """Damaged, or built on a damaged one: nothing may be taken from it."""
    keyframe: bool = False
    """Coded on its own."""
    width: int
    """Upright, square pixels."""
    height: int
    rotation: int = 0
    """Degrees clockwise that make it upright, after mirroring left to right."""
    mirrored: bool = False
    hdr: Literal["", "pq", "hlg"] = ""
    raw: VideoFrame
    before: VideoFrame | None = None
    """Neighbours of an interlaced frame, out of which its missing lines are filled in."""
    after: VideoFrame | None = None
    converters: Converters = field(default_factory=Converters)
    _small: dict[int, np.ndarray] = field(default_factory=dict)

    def small(self, width: int) -> UInt8[np.ndarray, "h w 3"]:
        """The frame in RGB, reduced to `width` (never enlarged); kept, so that asking again is free."""
        if width not in self._small:
            self._small[width] = self._reduce(width)
        return self._small[width]

    def full(self, factor: int = 1) -> UInt8[np.ndarray, "h w 3"]:
        """The frame in 8-bit RGB: deinterlaced, high dynamic range mapped to ordinary.

        At its own size, or reduced by a whole factor, which is faster the larger the frame is, and for high
        dynamic range much faster.
        """
        raw = deinterlace(self.before, self.raw, self.after) if self.raw.interlaced_frame else self.raw
        size = (max(1, self.width // factor), max(1, self.height // factor))
        return self._pixels(raw, self.converters.full, size, EXACT if factor == 1 else REDUCED)

    def grey(self) -> UInt8[np.ndarray, "h w"]:
        """Brightness at the frame's own size, as coded: it tells where a frame is black, and where not.

        It is much cheaper than :meth:`full`: no lines are filled in, and no high dynamic range is mapped.
        """
        return self._scaled(self.raw, self.converters.grey, (self.width, self.height), "gray", EXACT)

    def _reduce(self, width: int) -> np.ndarray:
        width = min(width, self.width)
        scaler = self.converters.small.get(width)
        if scaler is None:
            scaler = self.converters.small[width] = VideoReformatter()
        size = (width, max(1, round(self.height * width / self.width)))
        return self._pixels(self.raw, scaler, size, FAST)

    def _pixels(
        self, raw: VideoFrame, scaler: VideoReformatter, upright: tuple[int, int], how: int
    ) -> np.ndarray:
        if not self.hdr:
            return self._scaled(raw, scaler, upright, "rgb24", how)
        return tone_map(self._scaled(raw, scaler, upright, "rgb48le", how), self.hdr)

    def _scaled(
        self, raw: VideoFrame, scaler: VideoReformatter, upright: tuple[int, int], form: str, how: int
    ) -> np.ndarray:
        """Upright pixels of a form."""
        width, height = upright[::-1] if self.rotation % 180 else upright
        matrix = _matrix(raw, self.hdr)
        scaled = scaler.reformat(
            raw, width, height, form, src_colorspace=matrix, interpolation=how, threads=1
        )
        image = scaled.to_ndarray()
        if self.mirrored or self.rotation:
            return np.ascontiguousarray(_turn(image, self.rotation, self.mirrored))
        return image


def _matrix(raw: VideoFrame, hdr: str) -> Colorspace | None:
    """The colour matrix of a frame that does not name one: BT.709 from 720 lines on, as players have it."""
    if raw.colorspace != UNSPECIFIED:
        return None
    return Colorspace.BT2020 if hdr else Colorspace.ITU709 if raw.height >= HD_LINES else None


def _turn(image: np.ndarray, rotation: int, mirrored: bool) -> np.ndarray:
    """An image mirrored left to right, then turned clockwise."""
    if mirrored:
        image = image[:, ::-1]
    return np.rot90(image, -rotation // 90)


def frame_of(
    image: UInt8[np.ndarray, "h w 3"], *, number: int = 0, seconds: float = 0.0, flagged: bool = False
) -> Frame:
    """A frame made of an RGB image, for tests and for films that are drawn rather than decoded."""
    raw = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    height, width = image.shape[:2]
    return Frame(
        number=number, seconds=seconds, flagged=flagged, keyframe=True, width=width, height=height, raw=raw
    )
