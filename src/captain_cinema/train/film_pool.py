"""Playhouse films drawn on the fly and encoded once, each used for several steps.

Encoding a frame costs more than training on it once, so a pool of films is kept and one film is replaced
every few steps. What the pool holds at a step is a function of (seed, step) alone, so a resumed run sees
the very same films.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.keyframes.goldenmem import shrink
from captain_cinema.playhouse import render, story

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """`size` items, of which one is replaced every `period` steps by the next.

    Args:
        make: item number -> item, deterministic.
    """

    def __init__(self, make: Callable[[int], Item], *, size: int, period: int) -> None:
        self.make, self.size, self.period = make, size, period
        self.held: dict[int, tuple[int, Item]] = {}

    def item_number(self, slot: int, step: int) -> int:
        """Which item a slot holds at a step."""
        replaced = step // self.period
        rounds = (replaced - slot + self.size - 1) // self.size if replaced > slot else 0
        return slot + rounds * self.size

    def get(self, slot: int, step: int) -> Item:
        """The item in a slot at a step, made when it is first asked for."""
        number = self.item_number(slot, step)
        held = self.held.get(slot)
        if held is None or held[0] != number:
            held = (number, self.make(number))
            self.held[slot] = held
        return held[1]


@dataclass(frozen=True, kw_only=True)
class EncodedFilm:
    """A film's keyframes as the keyframe model reads them."""

    film: story.PlayhouseFilm
    tokens: dict[int, Float[Tensor, "shots img_len dim"]]
    """For every GoldenMem scale (token rows), each keyframe shrunk in pixel space and encoded again."""
    txt: Float[Tensor, "shots txt_len txt_dim"]
    figures: Float[Tensor, "shots img_len"]
    """Share of each full-size token that a character covers."""


def film_seed(seed: int, number: int) -> int:
    """The playhouse seed of the pool's film `number`; the evaluation's seeds lie below 2**32, these above."""
    return (seed << 33) + (1 << 32) + number


def figure_cover(shot: story.PlayhouseShot, *, height: int, rows: int) -> Float[Tensor, " img_len"]:
    """Share of each token of the shot's keyframe that a character covers."""
    cover = np.zeros((height, 2 * height), np.float32)
    for index in range(len(shot.state.poses)):
        cover = np.maximum(cover, render.figure_mask(shot.state, index, height=height).astype(np.float32))
    small = cv2.resize(cover, (2 * rows, rows), interpolation=cv2.INTER_AREA)
    return torch.from_numpy(small.reshape(-1))


def encode_film(
    film: story.PlayhouseFilm,
    codec: FrameCodec,
    text: PhraseEncoder,
    *,
    height: int,
    scales: tuple[int, ...],
    txt_len: int,
) -> EncodedFilm:
    """Draw a film's keyframes and encode them at every GoldenMem scale."""
    frames = [render.draw(shot.state, height=height) for shot in film.shots]
    rows = height // codec.token_size
    tokens = {}
    for scale in scales:
        shrunk = frames if scale == rows else [shrink(frame, scale) for frame in frames]
        tokens[scale] = codec.encode(torch.from_numpy(np.stack(shrunk))).clone()
    return EncodedFilm(
        film=film,
        tokens=tokens,
        txt=text.encode([shot.caption for shot in film.shots], length=txt_len),
        figures=torch.stack([figure_cover(shot, height=height, rows=rows) for shot in film.shots]),
    )
