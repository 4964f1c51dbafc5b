"""What the keyframe model is trained on, and how its contexts grow; presets are made of this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from captain_cinema.train.sequences import Layout


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage of progressive context (paper, section 3.2)."""

    until: float
    """Share of all steps at which the stage ends."""
    layouts: tuple[Layout, ...]
    """Shapes that take turns."""
    batch: int
    """Sequences a step."""
    casts: tuple[int, ...]
    """Cast sizes of the films, in turn: one character first, then several."""
    frames: int = 0
    """Short layouts get more sequences, up to so many frames a step."""


@dataclass(frozen=True, kw_only=True)
class KeyframeTraining:
    """What the keyframe model is trained on."""

    stages: tuple[Stage, ...]
    height: int = 128
    shots: int = 16
    """Keyframes of a film."""
    txt_len: int = 16
    pool: int = 256
    period: int = 2
    """Steps between two new films."""
    recall: float = 0.7
    """Share of sequences with given frames that are recall sequences."""
    introduce: float = 0.0
    """Share of the others that are introduction sequences."""
    figure_weight: float = 2.0
    """Extra weight of the loss where characters stand: 1 + this times `film_pool.figure_cover`."""
    shift: float = 2.0
    prediction: Literal["clean", "velocity"] = "clean"
    """What the model says; the loss is that of the velocity in either case."""
    context_noise: float = 0.25
    """Top of the band from which given frames' noise is drawn."""
    look_weight: float = 0.2
    """Weight of the auxiliary losses that ask tokens for looks (`train.binding`); 0 for none."""
    contrast_weight: float = 0.04
    """Weight of the loss along what tells kinds and things in hand apart (`KeyframeTask`); 0 for none."""
    drop_text: float = 0.1
    """Share of drawn frames whose caption is left out, for classifier-free guidance."""
    context_floor: float = 0.0
    """Bottom of that band."""
    causal: bool = False
    """A pair sees itself and the pairs before it alone; or else all see each other."""
    rename: bool = True
    """Whether names are codes that another sequence may have otherwise (`rename`)."""
    guidance: float | None = None
    """The guidance strength that a distilled model is told."""
    micro: int = 0
    """Sequences that a process computes at once, those of like length together; 0: its whole share."""
    unreadable_limit: int = 100
    """Samples that cannot be read are named and replaced by others; past this many the run stops."""
