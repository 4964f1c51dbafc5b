"""Ways to film a shot list: ours, and the baselines it is compared with (section 4); which shots need which.

`lct` and `ic-lora-i2v` make shots together, so a clip depends on the words of others: on those of its block,
and on those of the whole film.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from captain_cinema.errors import ProjectError
from captain_cinema.project.files import sha256_text

OURS, ALONE, LCT, IC_LORA = "ours", "alone", "lct", "ic-lora-i2v"

METHODS = (OURS, ALONE, LCT, IC_LORA)

FROM_KEYFRAMES = (OURS, ALONE)
"""Methods that start every shot from its keyframe in the storyboard."""

LCT_SHOTS = 8
"""Shots of a block that `lct` makes at once: its attention is full, so its length is bounded."""

COMPOSITE_SHOTS = 64
"""Panels that one composite image of `ic-lora-i2v` may have."""

Asked = tuple[str, int, float]
"""What a shot is made from by itself: prompt, seed, seconds as filmed."""


def check_method(method: str, shots: int) -> None:
    """Hold a method against the film.

    Raises:
        ProjectError: there is no such method, or the film has more shots than it can make at once.
    """
    if method not in METHODS:
        raise ProjectError(f"there is no method '{method}'; use {' or '.join(METHODS)}")
    if method == IC_LORA and shots > COMPOSITE_SHOTS:
        raise ProjectError(
            f"{method} draws all shots in one composite image, of {COMPOSITE_SHOTS} panels at most, and the "
            f"film has {shots} shots; film it with --method {OURS} or {LCT}"
        )


def block_of(number: int, method: str, shots: int) -> range:
    """Numbers (from 1) of the shots that are made together with shot `number`, itself included."""
    if method == LCT:
        first = (number - 1) // LCT_SHOTS * LCT_SHOTS + 1
        return range(first, min(first + LCT_SHOTS, shots + 1))
    return range(1, shots + 1) if method == IC_LORA else range(number, number + 1)


def together(method: str, asked: Sequence[Asked]) -> list[str]:
    """For every shot, the digest of what is made together with it; empty where each is made by itself."""
    if method in FROM_KEYFRAMES:
        return ["" for _ in asked]
    digests: dict[range, str] = {}
    for number in range(1, len(asked) + 1):
        block = block_of(number, method, len(asked))
        if block not in digests:
            # A composite is drawn from words and seeds alone; how long a shot lasts is its own matter.
            parts = [asked[n - 1] if method == LCT else asked[n - 1][:2] for n in block]
            digests[block] = sha256_text(json.dumps(parts))
    return [digests[block_of(number, method, len(asked))] for number in range(1, len(asked) + 1)]
