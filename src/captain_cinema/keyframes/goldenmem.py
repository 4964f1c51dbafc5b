"""GoldenMem: older frames are held at golden-ratio smaller scales, at a bounded cost (paper, section 3.2).

Scales are counted in token rows. A frame twice as wide as high with s rows has 2 s^2 tokens, so each scale
costs about 1/phi^2 of the one before and a memory of any depth less than phi times one frame.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

PHI = (1 + 5**0.5) / 2
"""The golden ratio."""
COST_BOUND = PHI**2 / (PHI**2 - 1)
"""Tokens of a memory with one frame a scale are fewer than this many full frames, however deep it is."""


def golden_rows(rows: int, depth: int) -> tuple[int, ...]:
    """Token rows of the scales: s_0 = rows, s_i = floor(s_{i-1} / phi), up to s_depth.

    25 rows (a frame of 400 x 800) give (25, 15, 9, 5, 3) at depth 4; 4 rows give (4, 2, 1) at depth 2.

    Raises:
        ValueError: The depth is past the last scale that has a row.
    """
    if rows < 1 or depth < 0:
        raise ValueError(f"GoldenMem needs at least one row and a depth of 0 or more, got {rows} and {depth}")
    scales = [rows]
    while len(scales) <= depth:
        smaller = int(scales[-1] / PHI)
        if smaller < 1:
            raise ValueError(f"{rows} rows can be shrunk {len(scales) - 1} times, not {depth}")
        scales.append(smaller)
    return tuple(scales)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The shape of a memory: "groups x images" of table 3.

    `groups` scales below the full size serve `images` frames each. The full size serves `images` frames too,
    of which the frame to be drawn is one: table 3 counts 16 pairs as 3x4, and 1 image a scale is the paper's
    formula.
    """

    groups: int
    images: int

    def __post_init__(self) -> None:
        if self.groups < 0 or self.images < 1:
            raise ValueError(f"a memory needs groups >= 0 and images >= 1, got {self.groups}x{self.images}")

    @property
    def pairs(self) -> int:
        """How many pairs there can be, with the frame to be drawn."""
        return (self.groups + 1) * self.images

    @property
    def context_frames(self) -> int:
        """How many earlier frames it can hold."""
        return self.pairs - 1


def assign_scales(num_context: int, memory: Memory | None, rows: int) -> list[int]:
    """Token rows of each context frame, in the order of their rank: the newest (or most relevant) first.

    Args:
        num_context: How many frames there are.
        memory: Its shape; None holds every frame at full size.
        rows: Token rows of a full frame.

    Raises:
        ValueError: The memory holds fewer frames, or has a scale without rows.
    """
    if memory is None:
        return [rows] * num_context
    if num_context > memory.context_frames:
        raise ValueError(
            f"a {memory.groups}x{memory.images} memory holds {memory.context_frames} frames,"
            f" not {num_context}"
        )
    scales = golden_rows(rows, memory.groups)
    return [scales[(rank + 1) // memory.images] for rank in range(num_context)]


def frame_tokens(rows: int) -> int:
    """Image tokens of a 2:1 frame with so many token rows."""
    return 2 * rows * rows


def memory_tokens(memory: Memory, rows: int) -> int:
    """Image tokens of a full memory and the frame that is drawn: what T stands for in the paper."""
    return memory.images * sum(frame_tokens(scale) for scale in golden_rows(rows, memory.groups))


def relative_cost(memory: Memory, rows: int) -> float:
    """Image tokens of a full memory, in full-size groups: T / t_0, below COST_BOUND."""
    return memory_tokens(memory, rows) / (memory.images * frame_tokens(rows))


def shrink(
    frame: UInt8[np.ndarray, "h w 3"], rows: int, *, token_size: int = 32
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """Shrink a frame to so many token rows, in pixels, by area averages; it keeps its shape.

    Args:
        frame: RGB, a whole number of tokens a side.
        rows: Token rows that it shall have.
        token_size: Pixels a side of a token.

    Raises:
        ValueError: The frame would have to grow, or is no whole number of tokens.
    """
    height, width = frame.shape[:2]
    if height % token_size or width % token_size:
        raise ValueError(f"a frame of {height}x{width} is not a multiple of {token_size} pixels a side")
    if not 1 <= rows <= height // token_size:
        raise ValueError(f"a frame of {height // token_size} token rows cannot be shrunk to {rows}")
    if rows * token_size == height:
        return frame
    cols = max(1, round(width * rows / height))
    size = (cols * token_size, rows * token_size)
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)
