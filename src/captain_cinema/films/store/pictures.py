"""Keyframes as JPEG, and back."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

from captain_cinema.films.records import Picture

PREVIEW_WIDTH, PREVIEW_QUALITY = 240, 75


@dataclass(frozen=True, kw_only=True)
class EncodedPicture:
    """A picture as the dataset stores it."""

    jpeg: bytes
    width: int
    height: int
    small: bytes
    """The same, a few kilobytes: all that is kept of a dropped picture."""
    whole: bytes = b""
    """The whole frame before the crop, as small; empty if it was not given."""


def jpeg_digest(jpeg: bytes) -> str:
    """First 16 digits of the sha256 of a stored picture."""
    return hashlib.sha256(jpeg).hexdigest()[:16]


def encode_jpeg(image: UInt8[np.ndarray, "h w 3"], quality: int) -> bytes:
    """RGB to JPEG."""
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality]
    )
    if not done:
        raise ValueError(f"a picture of shape {image.shape} cannot be stored as JPEG")
    return data.tobytes()


def decode_jpeg(jpeg: bytes) -> UInt8[np.ndarray, "h w 3"]:
    """JPEG to RGB.

    Raises:
        ValueError: the bytes are no picture.
    """
    image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if image is None:
        raise ValueError("the bytes are no JPEG")
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)


def resize(image: UInt8[np.ndarray, "h w 3"], width: int, height: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    """To exactly this size: by area averages when it shrinks, by a cubic when it grows."""
    if image.shape[:2] == (height, width):
        return image
    shrinks = width <= image.shape[1] and height <= image.shape[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)


def preview(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """A few kilobytes for the page of `show`."""
    height, width = image.shape[:2]
    small = min(1.0, PREVIEW_WIDTH / width)
    sized = resize(image, max(1, round(width * small)), max(1, round(height * small)))
    return encode_jpeg(sized, PREVIEW_QUALITY)


def encode_picture(picture: Picture, *, quality: int) -> EncodedPicture:
    """A picture as the dataset stores it; the same picture always gives the same bytes."""
    height, width = picture.image.shape[:2]
    jpeg = encode_jpeg(picture.image, quality)
    return EncodedPicture(
        jpeg=jpeg,
        width=width,
        height=height,
        small=preview(decode_jpeg(jpeg)),  # as if it were dropped later, when only the JPEG is there
        whole=b"" if picture.whole is None else preview(picture.whole),
    )
