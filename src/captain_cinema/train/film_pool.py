"""Playhouse films drawn on the fly and encoded once, each used for several steps.

Encoding a frame costs more than training on it once, so a pool of films is kept and one film is replaced
every few steps. What the pool holds at a step is a function of (seed, step) alone, so a resumed run sees
the very same films.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import cv2
import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.keyframes.goldenmem import shrink
from captain_cinema.playhouse import render, story, world
from captain_cinema.playhouse.staging import ON_SPOT
from captain_cinema.playhouse.world import FrameState
from captain_cinema.train.binding import film_labels, shown_labels

Drawn = TypeVar("Drawn")
Item = TypeVar("Item")

DETAIL_WEIGHT, DETAIL_GAIN = 2.0, 3.0
"""Of what tells kinds and things apart: as much as twice a figure, from a third of a token on."""
VISIBLY = 24
"""Difference of two colours, of 255, that counts."""

AHEAD = 32
"""Items that are being drawn at most before they are asked for."""


class Pool(Generic[Drawn, Item]):
    """`size` items, of which one is replaced every `period` steps by the next.

    Drawing needs a processor and can be done ahead by worker processes; encoding needs the models and is done
    here. What comes out is the same with any number of workers.

    Args:
        draw: item number -> what is drawn, deterministic; with workers, a function that pickles.
        encode: what is drawn -> item, deterministic.
        size: items held.
        period: steps between two replacements.
        workers: draws ahead; None draws when an item is asked for.
    """

    def __init__(
        self,
        draw: Callable[[int], Drawn],
        encode: Callable[[Drawn], Item],
        *,
        size: int,
        period: int,
        workers: Executor | None = None,
    ) -> None:
        self.draw, self.encode, self.size, self.period, self.workers = draw, encode, size, period, workers
        self.held: dict[int, tuple[int, Item]] = {}
        self.coming: dict[int, Future[Drawn]] = {}

    def item_number(self, slot: int, step: int) -> int:
        """Which item a slot holds at a step."""
        replaced = step // self.period
        rounds = (replaced - slot + self.size - 1) // self.size if replaced > slot else 0
        return slot + rounds * self.size

    def get(self, slot: int, step: int) -> Item:
        """The item in a slot at a step, made when it is first asked for."""
        if self.workers is not None and not self.held:
            self._fill(step)
        number = self.item_number(slot, step)
        held = self.held.get(slot)
        if held is None or held[0] != number:
            held = (number, self.encode(self._drawn(number, step)))
            self.held[slot] = held
        return held[1]

    def _fill(self, step: int) -> None:
        numbers = [self.item_number(slot, step) for slot in range(self.size)]
        for slot, number in enumerate(numbers):
            for later in numbers[slot : slot + AHEAD]:
                self._send(later)
            self.held[slot] = (number, self.encode(self.coming.pop(number).result()))

    def _drawn(self, number: int, step: int) -> Drawn:
        if self.workers is None:
            return self.draw(number)
        newest = self.size + step // self.period
        for later in range(newest, newest + AHEAD):
            self._send(later)
        self._send(number)
        return self.coming.pop(number).result()

    def _send(self, number: int) -> None:
        if self.workers is not None and number not in self.coming:
            self.coming[number] = self.workers.submit(self.draw, number)


def drawing_workers(count: int) -> Executor | None:
    """Processes that draw films beside the training; None for a count of 0.

    They are started afresh rather than forked, which a process with CUDA and OpenMP threads does not survive.
    """
    if count < 1:
        return None
    return ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))


@dataclass(frozen=True, kw_only=True)
class EncodedFilm:
    """A film's keyframes as the keyframe model reads them."""

    film: story.PlayhouseFilm
    tokens: dict[int, Float[Tensor, "shots img_len dim"]]
    """For every GoldenMem scale (token rows), each keyframe shrunk in pixel space and encoded again."""
    txt: Float[Tensor, "shots txt_len txt_dim"]
    figures: Float[Tensor, "shots img_len"]
    """How much each full-size token matters for the characters (`figure_cover`)."""
    looks: Int[Tensor, "shots txt_len traits"]
    """Whose look each text token is about, for `train.binding`."""
    shown: Int[Tensor, "shots img_len shown"]
    """Whom each full-size token shows, for `train.binding`."""
    contrast: Float[Tensor, "shots img_len channels"]
    """From each full-size keyframe to the same one with characters of another kind (`counterfactual`)."""


def film_seed(seed: int, number: int) -> int:
    """The playhouse seed of the pool's film `number`; the evaluation's seeds lie below 2**32, these above."""
    return (seed << 33) + (1 << 32) + number


def counterfactual(state: FrameState) -> FrameState:
    """The same frame in which one thing about every character is otherwise.

    Every other character is of another kind, with another thing in hand; of the rest, half do something else
    and half wear another hat and accessory. What it is follows from the place's number, so that all pairs
    come up.
    """
    poses = []
    for number, pose in enumerate(state.poses, start=state.place.variant):
        look, by = pose.character.look, number // 4
        if number % 4 < 2:
            kinds = world.ANIMALS if look.kind in world.ANIMALS else world.PEOPLE
            look = replace(look, kind=_another(kinds, look.kind, by))
            holds = pose.holds if pose.holds == "none" else _another(world.PROPS, pose.holds, by)
            pose = replace(pose, holds=holds)
        elif number % 4 == 2:
            kin = world.TRAVELLING if pose.action in world.TRAVELLING else ON_SPOT
            pose = replace(pose, action=_another(kin, pose.action, by))
        else:
            hat, accessory = (
                _another(world.HATS, look.hat, by),
                _another(world.ACCESSORIES, look.accessory, by),
            )
            look = replace(
                look,
                hat=hat,
                hat_colour=world.HAT_COLOURS[by % len(world.HAT_COLOURS)],
                accessory=accessory,
                accessory_colour=world.ACCESSORY_COLOURS[by % len(world.ACCESSORY_COLOURS)],
            )
        poses.append(replace(pose, character=replace(pose.character, look=look)))
    return replace(state, poses=tuple(poses))


def _another(things: Sequence[str], thing: str, by: int) -> str:
    return things[(things.index(thing) + 1 + by % (len(things) - 1)) % len(things)]


def figure_cover(
    state: FrameState,
    frame: UInt8[np.ndarray, "h w 3"],
    other: UInt8[np.ndarray, "h w 3"],
    *,
    rows: int,
) -> Float[np.ndarray, " img_len"]:
    """How much each token of a keyframe matters for its characters.

    That is the share of it that they cover, and more where it shows what they are and what they hold: with
    weight on all of a figure alike, coats were right and a rabbit had a bear's ears (docs/log.md).

    Args:
        state: what the keyframe shows.
        frame: the keyframe as drawn.
        other: its `counterfactual` as drawn.
        rows: token rows.
    """
    height = len(frame)
    cover = np.zeros((height, 2 * height), np.float32)
    for index in range(len(state.poses)):
        cover = np.maximum(cover, render.figure_mask(state, index, height=height).astype(np.float32))
    size = (2 * rows, rows)
    small = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    telling = (cv2.absdiff(frame, other).max(axis=-1) > VISIBLY).astype(np.float32)
    detail = cv2.resize(telling, size, interpolation=cv2.INTER_AREA)
    return (small + DETAIL_WEIGHT * np.minimum(1, DETAIL_GAIN * detail)).reshape(-1)


@dataclass(frozen=True, kw_only=True)
class DrawnFilm:
    """A film's keyframes as drawn, at every GoldenMem scale."""

    film: story.PlayhouseFilm
    frames: dict[int, UInt8[np.ndarray, "shots h w 3"]]
    figures: Float[np.ndarray, "shots img_len"]
    shown: Int[Tensor, "shots img_len shown"]
    others: UInt8[np.ndarray, "shots h w 3"]
    """The counterfactual of each keyframe."""


def draw_film(
    seed: int,
    *,
    shots: int,
    cast: int | None,
    height: int,
    scales: tuple[int, ...],
    split: str = "train",
) -> DrawnFilm:
    """Draw a film's keyframes; the first scale is the full size."""
    film = story.film(seed, shots=shots, split=split, cast=cast)
    full = [render.draw(shot.state, height=height) for shot in film.shots]
    frames = {
        rows: np.stack(full if rows == scales[0] else [shrink(frame, rows) for frame in full])
        for rows in scales
    }
    others = [render.draw(counterfactual(shot.state), height=height) for shot in film.shots]
    covers = [
        figure_cover(shot.state, frame, other, rows=scales[0])
        for shot, frame, other in zip(film.shots, full, others, strict=True)
    ]
    shown = torch.stack([shown_labels(shot.state, rows=scales[0], height=height) for shot in film.shots])
    return DrawnFilm(film=film, frames=frames, figures=np.stack(covers), shown=shown, others=np.stack(others))


def encode_film(drawn: DrawnFilm, codec: FrameCodec, text: PhraseEncoder, *, txt_len: int) -> EncodedFilm:
    """Encode a film's keyframes at every scale, and its captions."""
    tokens = {rows: codec.encode(torch.from_numpy(f)).clone() for rows, f in drawn.frames.items()}
    return EncodedFilm(
        film=drawn.film,
        tokens=tokens,
        txt=text.encode([shot.caption for shot in drawn.film.shots], length=txt_len),
        figures=torch.from_numpy(drawn.figures),
        looks=film_labels(drawn.film, [text.phrases(s.caption) for s in drawn.film.shots], txt_len=txt_len),
        shown=drawn.shown,
        contrast=codec.encode(torch.from_numpy(drawn.others)) - tokens[max(tokens)],
    )
