"""Keyframes from published weights as they are: FLUX.2-klein looks at the context as reference pictures.

The same memory as the interleaved planner's: frames chosen by meaning, pins, GoldenMem's scales. But klein
was never tuned on films. So a prompt says everything again (the cast's looks, the film's style:
`script.shot_prompt` with `complete`), names are written as plain words, and a last sentence tells which
reference shows whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from captain_cinema.backbone.flux_latents import FluxCodec
from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.backbone.open_text import KleinText
from captain_cinema.backbone.references import Reference
from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.keyframes.clip import ClipRetriever
from captain_cinema.keyframes.goldenmem import Memory
from captain_cinema.keyframes.klein import KleinSampling, sample_tokens
from captain_cinema.keyframes.memory import (
    DrawnKeyframe,
    HistoryFrame,
    MemoryUse,
    Progress,
    Rank,
    Sentences,
    choose,
    scales_of,
    uses_of,
)
from captain_cinema.keyframes.selection import Mode, Selection
from captain_cinema.script import name_key, names_in

REFERENCES = 4
"""As many reference pictures as FLUX.2-klein is meant for."""


@dataclass(frozen=True, kw_only=True)
class OpenSettings:
    """How keyframes are drawn from published weights."""

    height: int
    width: int
    sampling: KleinSampling = field(default_factory=KleinSampling)
    context_frames: int = REFERENCES
    """Earlier frames that a new one sees, at most."""
    memory: Memory | None = field(default_factory=lambda: Memory(groups=2, images=2))
    """Which of them are shrunk (GoldenMem); None shows all at full size."""
    rank: Rank = "age"
    retrieval: Mode = "clip+names"
    say_who: bool = True
    """Whether the prompt says which reference shows whom."""


class OpenPlanner:
    """Draws keyframes one after another with an untuned FLUX.2-klein.

    Args:
        model: The network, in FLUX.2's layout.
        codec: Frames to tokens and back.
        text: Captions to tokens.
        retriever: A CLIP; None where captions are compared with captions.
        settings: How to draw.
        sentences: Sentence embeddings, for the modes that compare captions.
        device: Where to compute; where the parts are if not given.
        offload: Keep every part in main memory and bring it to the device while it works.
    """

    def __init__(
        self,
        model: MMDiT,
        codec: FluxCodec,
        text: KleinText,
        retriever: ClipRetriever | None,
        settings: OpenSettings,
        *,
        sentences: Sentences | None = None,
        device: str | torch.device | None = None,
        offload: bool = False,
    ) -> None:
        self.model, self.codec, self.text, self.retriever = model.eval(), codec, text, retriever
        self.settings, self.sentences = settings, sentences
        self.device = torch.device(device) if device else next(model.parameters()).device
        self.offload = offload
        size = codec.token_size
        self.rows, self.cols = settings.height // size, settings.width // size
        if (self.rows * size, self.cols * size) != (settings.height, settings.width):
            raise ValueError(f"{settings.height}x{settings.width} is no multiple of {size} pixels")
        if codec.token_dim != model.config.in_channels:
            raise WeightsError(
                f"the VAE makes tokens of {codec.token_dim} numbers, the transformer reads"
                f" {model.config.in_channels}; the folder mixes two models"
            )
        if text.dim != model.config.joint_attention_dim:
            raise WeightsError(
                f"the text encoder makes tokens of {text.dim} numbers, the transformer reads"
                f" {model.config.joint_attention_dim}; the folder mixes two models"
            )
        self._empty: Tensor | None = None

    @torch.inference_mode()
    def draw(
        self,
        caption: str,
        history: Sequence[HistoryFrame],
        *,
        seed: int,
        pins: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> DrawnKeyframe:
        """Draw the next keyframe; arguments and errors are those of `KeyframePlanner.draw`."""
        chosen = self._choose(caption, history, pins)
        frames, scales = [history[index] for index in chosen.indices], self._scales(chosen)
        prompt = say_who(caption, frames) if self.settings.say_who else caption
        txt, empty = self._encode(prompt)
        references = self._references(frames, scales)
        noise = torch.randn(
            (1, self.rows * self.cols, self.codec.token_dim),
            generator=torch.Generator().manual_seed(seed % 2**63),
        )
        with self._at_work(self.model):
            tokens = sample_tokens(
                self.model,
                noise.to(self.device),
                txt,
                empty,
                rows=self.rows,
                cols=self.cols,
                settings=self.settings.sampling,
                references=references,
                progress=progress,
            )
        if not bool(torch.isfinite(tokens).all()):
            raise WeightsError(
                "the keyframe model gives numbers that are not finite; its weights are damaged, download "
                "them again"
            )
        with self._at_work(self.codec.vae):
            frame = self.codec.decode(tokens, rows=self.rows, cols=self.cols)[0].cpu().numpy()
        return DrawnKeyframe(
            frame=frame, memory=self._uses(chosen, history, pins), embedding=self._embed(frame)
        )

    @torch.inference_mode()
    def select(
        self, caption: str, history: Sequence[HistoryFrame], *, pins: Sequence[int] = ()
    ) -> tuple[MemoryUse, ...]:
        """The memory that `draw` would give to the next keyframe, in story order; nothing is drawn.

        Raises:
            AbilityError: A pin is no earlier shot, or there are too many pins.
        """
        return self._uses(self._choose(caption, history, pins), history, pins)

    def _choose(self, caption: str, history: Sequence[HistoryFrame], pins: Sequence[int]) -> Selection:
        retriever = self.retriever
        with self._at_work(retriever.model if retriever else None):
            return choose(
                caption,
                history,
                pins,
                mode=self.settings.retrieval,
                count=self.settings.context_frames,
                embedder=retriever,
                sentences=self.sentences,
            )

    def _scales(self, chosen: Selection) -> list[int]:
        settings = self.settings
        return scales_of(chosen, memory=settings.memory, rows=self.rows, rank=settings.rank)

    def _cols(self, rows: int) -> int:
        return max(1, round(self.cols * rows / self.rows))

    def _uses(
        self, chosen: Selection, history: Sequence[HistoryFrame], pins: Sequence[int]
    ) -> tuple[MemoryUse, ...]:
        scales = self._scales(chosen)
        return uses_of(chosen, history, pins, scales, lambda rows: rows * self._cols(rows))

    def _encode(self, prompt: str) -> tuple[Tensor, Tensor | None]:
        """The prompt, and the empty one that guidance goes away from."""
        guided = self.settings.sampling.guidance != 1
        with self._at_work(self.text.encoder):
            txt = self.text.encode([prompt]).to(self.device)
            if guided and self._empty is None:
                self._empty = self.text.encode([""]).to(self.device)
        return txt, self._empty

    def _references(self, frames: Sequence[HistoryFrame], scales: Sequence[int]) -> list[Reference]:
        """The context as clean tokens, older frames shrunk in pixels."""
        size, found = self.codec.token_size, []
        wanted = (self.settings.height, self.settings.width, 3)
        with self._at_work(self.codec.vae if frames else None):
            for frame, rows in zip(frames, scales, strict=True):
                if frame.frame.shape != wanted:
                    height, width = frame.frame.shape[:2]
                    raise AbilityError(
                        f"keyframe {frame.number} is {height}x{width} pixels, but this film is drawn at"
                        f" {wanted[0]}x{wanted[1]}; resize it"
                    )
                small, cols = frame.frame, self._cols(rows)
                if rows != self.rows:
                    shape = (cols * size, rows * size)
                    small = np.asarray(cv2.resize(small, shape, interpolation=cv2.INTER_AREA), np.uint8)
                tokens = self.codec.encode(torch.from_numpy(np.ascontiguousarray(small))[None])
                found.append(Reference(tokens=tokens.to(self.device), rows=rows, cols=cols))
        return found

    def _embed(self, frame: np.ndarray) -> np.ndarray | None:
        if self.retriever is None:
            return None
        with self._at_work(self.retriever.model):
            return self.retriever.embed_frame(frame)

    @contextmanager
    def _at_work(self, part: Any) -> Iterator[None]:
        """Have a part on the device while it works; with offloading it goes back to main memory.

        Raises:
            AbilityError: the device's memory does not hold it.
        """
        mover = part if self.offload else None
        with enough_memory(offload=self.offload):
            if mover is not None:
                mover.to(self.device)
            try:
                yield
            finally:
                if mover is not None:
                    mover.to("cpu")


@contextmanager
def enough_memory(*, offload: bool) -> Iterator[None]:
    """Say in one line what would fit when the device's memory is used up.

    Raises:
        AbilityError: it is.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        first = "" if offload else "give --offload, or "
        raise AbilityError(
            f"the GPU's memory is used up: {first}a smaller 'size' in script.yaml, or choose another GPU "
            "with --device; `cinema plan --preset open` counts what fits"
        ) from error


def say_who(caption: str, frames: Sequence[HistoryFrame]) -> str:
    """A caption and who of its cast is to be seen in which reference, as klein counts them: from 1.

    Examples:
        "<Mara> waits." with frames of <Bo> and of <Mara> becomes "<Mara> waits. <Mara> looks as in image 2."
    """
    sentences = []
    for name in names_in(caption):
        images = [
            f"image {place}"
            for place, frame in enumerate(frames, start=1)
            if name_key(name) in map(name_key, names_in(frame.caption))
        ]
        if images:
            sentences.append(f"<{name}> looks as in {' and '.join(images)}.")
    return " ".join([caption, *sentences])
