"""Every setting of the data pipeline that changes its result. How the defaults were tuned: docs/films.md."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

Detector = Literal["adaptive", "content", "threshold", "hash", "histogram", "transnetv2"]


@dataclass(frozen=True, kw_only=True)
class FilmSettings:
    """How films become keyframes."""

    detector: Detector = "adaptive"
    threshold: float | None = None
    """The detector's own; None for its tuned default."""
    shortest_shot: float | None = None
    """Seconds; None for what suits the detector."""
    short_side: int = 400
    """Of a keyframe; it is 2:1, so twice as wide."""
    quality: int = 92
    """Of the stored JPEG."""
    black_luma: float = 16.0
    """Mean brightness below which a frame is black, unless something in it stands out."""
    flat_deviation: float = 6.0
    """Standard deviation of brightness below which a frame is flat."""
    blur_sharpness: float = 2.8
    """Sharpness below which a frame is blurred."""
    text_share: float = 0.6
    """Share of the sharp edges that is lettering past which it is a text card or credits."""
    duplicate_distance: int = 6
    """Bits of 64 by which perceptual hashes of two keyframes differ at most to be the same picture."""
    stretch_seconds: float = 600.0
    """Films longer than this are worked on in stretches of this length."""

    @property
    def digest(self) -> str:
        """First 16 digits of the sha256 over all settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]
