"""Training the picture-text pair of semantic retrieval on playhouse frames and their captions."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.keyframes.retrieval import contrastive_loss, new_retriever, save_retriever
from captain_cinema.playhouse import render, story
from captain_cinema.train.film_pool import Pool, film_seed
from captain_cinema.train.seeds import step_rng
from captain_cinema.train.sheets import write_sheet

SHOTS = 12
POOL = 512
"""Films held; a caption costs more to read than a step on it, so each film serves several steps."""


@dataclass(frozen=True, kw_only=True)
class CaptionedFilm:
    """A film's keyframes, and its captions as sentence embeddings."""

    film: story.PlayhouseFilm
    frames: UInt8[np.ndarray, "shots h w 3"]
    sentences: Float[Tensor, "shots meaning_dim"]


def draw_small_film(
    seed: int, *, height: int, split: str
) -> tuple[story.PlayhouseFilm, UInt8[np.ndarray, "shots h w 3"]]:
    """A film and its keyframes."""
    film = story.film(seed, shots=SHOTS, split=split)
    return film, np.stack([render.draw(shot.state, height=height) for shot in film.shots])


def _draw_numbered(
    number: int, *, seed: int, height: int
) -> tuple[story.PlayhouseFilm, UInt8[np.ndarray, "shots h w 3"]]:
    """The pool's film `number`; on the module's level so that worker processes find it."""
    return draw_small_film(film_seed(seed + 2, number), height=height, split="train")


class RetrievalTask:
    """Every keyframe should find its caption among those of other films and of its own, and the reverse."""

    def __init__(
        self,
        text: PhraseEncoder,
        *,
        seed: int = 0,
        batch: int = 128,
        height: int = 64,
        workers: Executor | None = None,
    ) -> None:
        torch.manual_seed(seed)
        self.model = new_retriever(text=text)
        self.text, self.seed, self.batch, self.height = text, seed, batch, height
        draw = partial(_draw_numbered, seed=seed, height=height)
        self.pool: Pool[tuple[story.PlayhouseFilm, np.ndarray], CaptionedFilm] = Pool(
            draw, self.encode, size=min(POOL, batch * 4), period=2, workers=workers
        )

    def encode(self, drawn: tuple[story.PlayhouseFilm, np.ndarray]) -> CaptionedFilm:
        """Read the captions of a drawn film."""
        film, frames = drawn
        sentences = self.text.sentence([shot.caption for shot in film.shots])
        return CaptionedFilm(film=film, frames=frames, sentences=sentences)

    def held_out(self, seed: int) -> CaptionedFilm:
        """A film that is never trained on."""
        return self.encode(draw_small_film(seed, height=self.height, split="held-out"))

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """CLIP's loss over pairs, two of each film, so that shots of a film are told apart too."""
        rng = step_rng(self.seed, 7, step)
        frames: list[np.ndarray] = []
        sentences: list[Tensor] = []
        for slot in rng.choice(self.pool.size, size=self.batch // 2, replace=False):
            item = self.pool.get(int(slot), step)
            for index in rng.choice(SHOTS, size=2, replace=False):
                frames.append(item.frames[index])
                sentences.append(item.sentences[index])
        device = self.model.logit_scale.device
        image = self.model.image_features(self.model.to_pixels(frames))
        text = self.model.text_features(torch.stack(sentences).to(device))
        hits = (image @ text.T).argmax(dim=1) == torch.arange(len(image), device=device)
        return contrastive_loss(image, text, self.model.logit_scale), {"top1": float(hits.float().mean())}

    @torch.no_grad()
    def recall(self, *, films: int = 20) -> float:
        """Share of held-out captions whose own frame is among the three nearest of its film."""
        found = []
        for seed in range(films):
            item = self.held_out(seed)
            image = self.model.image_features(self.model.to_pixels(list(item.frames)))
            text = self.model.text_features(item.sentences.to(image.device))
            nearest = (text @ image.T).topk(3, dim=1).indices
            found.append(
                (nearest == torch.arange(SHOTS, device=image.device)[:, None]).any(dim=1).float().mean()
            )
        return float(torch.stack(found).mean())

    @torch.no_grad()
    def compile(self) -> None:
        """See `Task`."""
        self.model.compile()

    def sample_sheet(self, path: Path) -> None:
        """Held-out captions' own frame, then the four nearest frames of the film."""
        rows = []
        for seed in range(6):
            item = self.held_out(seed)
            image = self.model.image_features(self.model.to_pixels(list(item.frames)))
            text = self.model.text_features(item.sentences[6:7].to(image.device))
            nearest = (text @ image.T)[0].topk(4).indices.tolist()
            rows.append([item.frames[6], *(item.frames[i] for i in nearest)])
        write_sheet(path, rows)

    def export(self, folder: Path) -> None:
        """A folder that `load_retriever` reads."""
        save_retriever(self.model, folder / "retrieval")
