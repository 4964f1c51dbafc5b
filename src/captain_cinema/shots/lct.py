"""The baseline after Long Context Tuning: no keyframes, full attention over the shots (section 4).

LCT trains a video model to make a scene's shots in one denoising, from words alone. What stands for it here,
and what does not: a block of shots is made from nothing but its captions, every token seeing every other; a
block sees nothing of the blocks before it, as no keyframe carries the film. But the embedded shot model has
never learnt to film without a first frame. So the first frames of a block come out of one joint denoising of
the keyframe model, from noise, without memory; then the shots are filmed in one denoising with their
self-attention joined. No weights are tuned for it: read its figures as those of a method without keyframes at
this size, not as a reproduction of LCT.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from captain_cinema.shots.request import ShotRequest

Progress = Callable[[int, int], None]


@runtime_checkable
class JointPlanner(Protocol):
    """Draws several frames in one denoising."""

    def draw_joint(self, captions: Sequence[str], *, seed: int) -> Sequence[UInt8[np.ndarray, "h w 3"]]:
        """One frame a caption."""
        ...


@runtime_checkable
class JointShooter(Protocol):
    """Films several shots in one denoising."""

    def generate_together(
        self, requests: Sequence[ShotRequest], *, progress: Progress | None = None
    ) -> Iterator[Any]:
        """The frames of every shot."""
        ...


@dataclass(frozen=True, kw_only=True)
class Wording:
    """A shot in words, which is all that the method is given."""

    caption: str
    film_caption: str
    seconds: float
    seed: int
    number: int


def film_block(
    planner: JointPlanner,
    shooter: JointShooter,
    block: Sequence[Wording],
    *,
    progress: Progress | None = None,
) -> Iterator[UInt8[np.ndarray, "frames h w 3"]]:
    """Film a block of shots from their words.

    Args:
        planner: draws the first frames together.
        shooter: films them together.
        block: consecutive shots, no more than the shooter can join.
        progress: told of the steps of the filming.
    """
    first = planner.draw_joint([shot.caption for shot in block], seed=block_seed([s.seed for s in block]))
    requests = [
        ShotRequest(
            keyframe=frame,
            caption=shot.caption,
            film_caption=shot.film_caption,
            seconds=shot.seconds,
            seed=shot.seed,
            number=shot.number,
        )
        for shot, frame in zip(block, first, strict=True)
    ]
    yield from shooter.generate_together(requests, progress=progress)


def block_seed(seeds: Sequence[int]) -> int:
    """One seed of several: another as soon as one of them is."""
    digest = hashlib.sha256("/".join(map(str, seeds)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
