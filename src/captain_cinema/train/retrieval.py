"""Training the picture-text pair of semantic retrieval on playhouse frames and their captions."""

from __future__ import annotations

from dataclasses import dataclass
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


class RetrievalTask:
    """Every keyframe should find its caption among those of other films and of its own, and the reverse."""

    def __init__(self, text: PhraseEncoder, *, seed: int = 0, batch: int = 128, height: int = 64) -> None:
        torch.manual_seed(seed)
        self.model = new_retriever(text=text)
        self.text, self.seed, self.batch, self.height = text, seed, batch, height
        self.pool: Pool[CaptionedFilm] = Pool(self.make_film, size=min(POOL, batch * 4), period=2)

    def captioned(self, seed: int, *, split: str) -> CaptionedFilm:
        """Draw a film and read its captions."""
        film = story.film(seed, shots=SHOTS, split=split)
        frames = np.stack([render.draw(shot.state, height=self.height) for shot in film.shots])
        return CaptionedFilm(
            film=film, frames=frames, sentences=self.text.sentence([s.caption for s in film.shots])
        )

    def make_film(self, number: int) -> CaptionedFilm:
        """Film `number` of the pool."""
        return self.captioned(film_seed(self.seed + 2, number), split="train")

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
            item = self.captioned(seed, split="held-out")
            image = self.model.image_features(self.model.to_pixels(list(item.frames)))
            text = self.model.text_features(item.sentences.to(image.device))
            nearest = (text @ image.T).topk(3, dim=1).indices
            found.append(
                (nearest == torch.arange(SHOTS, device=image.device)[:, None]).any(dim=1).float().mean()
            )
        return float(torch.stack(found).mean())

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> None:
        """Held-out captions' own frame, then the four nearest frames of the film."""
        rows = []
        for seed in range(6):
            item = self.captioned(seed, split="held-out")
            image = self.model.image_features(self.model.to_pixels(list(item.frames)))
            text = self.model.text_features(item.sentences[6:7].to(image.device))
            nearest = (text @ image.T)[0].topk(4).indices.tolist()
            rows.append([item.frames[6], *(item.frames[i] for i in nearest)])
        write_sheet(path, rows)

    def export(self, folder: Path) -> None:
        """A folder that `load_retriever` reads."""
        save_retriever(self.model, folder / "retrieval")
