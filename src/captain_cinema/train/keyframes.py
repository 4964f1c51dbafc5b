"""Training the keyframe model: rectified flow with an independent noise level for every frame (design
section 3).
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.mmdit import MMDiT, save_mmdit
from captain_cinema.backbone.text import NAME_DIM, PhraseEncoder
from captain_cinema.flow.path import interpolate, velocity_to
from captain_cinema.flow.schedule import sample_t
from captain_cinema.keyframes.pairs import build_groups, ungroup
from captain_cinema.train.binding import UNKNOWN, LookReader, Taps
from captain_cinema.train.film_pool import DrawnFilm, EncodedFilm, draw_film, encode_film, film_seed
from captain_cinema.train.frame_source import FilmSource, PlayhouseSource
from captain_cinema.train.seeds import step_generator, step_rng
from captain_cinema.train.sequences import Layout, sequence_indices


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
    """Extra weight of the loss where characters stand: 1 + this times their cover."""
    shift: float = 2.0
    prediction: Literal["clean", "velocity"] = "clean"
    """What the model says; the loss is that of the velocity in either case."""
    context_noise: float = 0.25
    """Top of the band from which given frames' noise is drawn."""
    look_weight: float = 0.2
    """Weight of the auxiliary losses that ask the text tokens for looks (`train.binding`); 0 for none."""
    drop_text: float = 0.1
    """Share of drawn frames whose caption is left out, for classifier-free guidance."""


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One step's sequences: tensors per pair position, [b, ...]."""

    tokens: list[Float[Tensor, "b img_len dim"]]
    txt: Float[Tensor, "b pairs txt_len txt_dim"]
    rows: tuple[int, ...]
    given: int
    figures: Float[Tensor, "b targets img_len"]
    looks: Int[Tensor, "b pairs txt_len traits"]


def _draw_numbered(
    number: int, *, seed: int, casts: tuple[int, ...], shots: int, height: int, scales: tuple[int, ...]
) -> DrawnFilm:
    """Film `number` of a pool; on the module's level so that worker processes find it."""
    cast = casts[number % len(casts)]
    return draw_film(film_seed(seed, number), shots=shots, cast=cast, height=height, scales=scales)


def _draw_held_out(number: int, *, height: int, scales: tuple[int, ...]) -> DrawnFilm:
    """Film `number` for sample sheets."""
    cast = 1 + number % 3
    return draw_film(number, shots=12, cast=cast, height=height, scales=scales, split="held-out")


def rename(
    txt: Float[Tensor, "b pairs txt_len txt_dim"], generator: torch.Generator
) -> Float[Tensor, "b pairs txt_len txt_dim"]:
    """Give every character another name, the same in all pairs of a sequence, another one in every sequence.

    A name's code is made of +1 and -1, so turning the signs of some places keeps equal names equal. Without
    it the model learns by heart who looks how in the films of the pool, and looks up nothing.
    """
    signs = torch.randint(0, 2, (txt.shape[0], 1, 1, NAME_DIM), generator=generator) * 2.0 - 1.0
    return torch.cat([txt[..., :-NAME_DIM], txt[..., -NAME_DIM:] * signs], dim=-1)


class KeyframeTask:
    """Draw later frames of a film from captions and earlier frames."""

    def __init__(
        self,
        model: MMDiT,
        codec: FrameCodec,
        text: PhraseEncoder,
        training: KeyframeTraining,
        *,
        steps: int,
        seed: int = 0,
        workers: Executor | None = None,
        source: FilmSource | None = None,
    ) -> None:
        self.mmdit, self.codec, self.text, self.training = model, codec, text, training
        torch.manual_seed(seed)
        self.looks = LookReader(model.config.dim)
        self.model = nn.ModuleDict({"mmdit": self.mmdit, "looks": self.looks})
        self.steps, self.seed, self.workers = steps, seed, workers
        self.rows = training.height // codec.token_size
        scales = {self.rows}.union(*(layout.scales for stage in training.stages for layout in stage.layouts))
        self.scales = tuple(sorted(scales, reverse=True))
        self.source = source if source is not None else self.playhouse()

    def stage(self, step: int) -> Stage:
        """The stage that a step belongs to."""
        for stage in self.training.stages:
            if step < stage.until * self.steps:
                return stage
        return self.training.stages[-1]

    def encode(self, drawn: DrawnFilm) -> EncodedFilm:
        """A drawn film as the model reads it."""
        return encode_film(drawn, self.codec, self.text, txt_len=self.training.txt_len)

    def playhouse(self) -> FilmSource:
        """The playhouse's films, as the training wants them."""
        training = self.training
        size = {"height": training.height, "scales": self.scales}
        return PlayhouseSource(
            partial(_draw_numbered, seed=self.seed, shots=training.shots, **size),
            partial(_draw_held_out, height=training.height, scales=(self.rows,)),
            self.encode,
            size=training.pool,
            period=training.period,
            workers=self.workers,
        )

    def batch(self, step: int) -> Batch:
        """The sequences of a step."""
        stage = self.stage(step)
        layout = stage.layouts[step % len(stage.layouts)]
        rng = step_rng(self.seed, 1, step)
        size = max(stage.batch, stage.frames // layout.pairs)
        films = self.source.films(step, size, pairs=layout.pairs, casts=stage.casts, rng=rng)
        rows, given = (*layout.scales, *(self.rows,) * layout.targets), len(layout.scales)
        shares = {"recall": self.training.recall, "introduce": self.training.introduce}
        chosen = [sequence_indices(f.film, layout, rng, **shares) for f in films]
        sequences = [film.sequence(indices, rows) for film, indices in zip(films, chosen, strict=True)]
        return Batch(
            tokens=[torch.stack([s.tokens[i] for s in sequences]) for i in range(len(rows))],
            txt=torch.stack([s.txt for s in sequences]),
            rows=rows,
            given=given,
            figures=torch.stack([s.figures[given:] for s in sequences]),
            looks=torch.stack([s.looks for s in sequences]),
        )

    def noise_levels(self, batch: Batch, generator: torch.Generator) -> Float[Tensor, "b pairs"]:
        """An independent level for every frame: a light band for the given ones, the whole range for the
        others.
        """
        size, pairs = batch.txt.shape[:2]
        given = torch.rand((size, batch.given), generator=generator) * self.training.context_noise
        drawn = sample_t(
            (size, pairs - batch.given), shift=self.training.shift, generator=generator, device="cpu"
        )
        return torch.cat([given, drawn], dim=1)

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the velocity on the frames to draw, heavier where characters stand."""
        device = next(self.model.parameters()).device
        batch, generator = self.batch(step), step_generator(self.seed, 2, step)
        t = self.noise_levels(batch, generator)
        txt = batch.txt.clone()
        dropped = torch.rand(txt.shape[:2], generator=generator) < self.training.drop_text
        dropped[:, : batch.given] = False
        txt[dropped] = 0
        txt = rename(txt, generator)
        eps = [torch.randn(x_0.shape, generator=generator) for x_0 in batch.tokens]
        samples = [
            interpolate(x_0.to(device), e.to(device), t[:, i].to(device))
            for i, (x_0, e) in enumerate(zip(batch.tokens, eps, strict=True))
        ]
        groups = build_groups(
            [sample.x_t for sample in samples],
            txt.to(device),
            t.to(device),
            batch.rows,
            full=(self.rows, 2 * self.rows),
        )
        with Taps(self.mmdit, batch.rows, txt.shape[2]) as taps:
            said = self.mmdit(groups)
        drawn = torch.stack(ungroup(said, batch.rows)[batch.given :], dim=1)
        if self.training.prediction == "clean":
            noisy = torch.stack([sample.x_t for sample in samples[batch.given :]], dim=1)
            drawn = velocity_to(noisy, drawn, t[:, batch.given :].to(device))
        goal = torch.stack([sample.target for sample in samples[batch.given :]], dim=1)
        error = (drawn.float() - goal).square().mean(dim=-1)
        weight = 1 + self.training.figure_weight * batch.figures.to(device)
        loss = (error * weight).sum() / weight.sum()
        figures = {"plain": float(error.detach().mean())}
        if self.training.look_weight > 0:
            labels = batch.looks.to(device).masked_fill(dropped.to(device)[..., None, None], UNKNOWN)
            read, figures["read"] = self._look_loss(self.looks.local, taps.local(), labels)
            given = batch.given
            fetched = taps.fetched()[:, given:], labels[:, given:]
            fetch, figures["fetched"] = self._look_loss(self.looks.fetched, *fetched)
            loss = loss + self.training.look_weight * (read + fetch)
        late = t[:, batch.given :].to(device) > 0.7
        if late.any():
            figures["noisy"] = float(error.detach().mean(dim=-1)[late].mean())
        return loss, figures

    def _look_loss(self, layer: nn.Linear, hidden: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        loss, right = self.looks.loss(layer, hidden.flatten(0, 2), labels.flatten(0, 2))
        return loss, float(right)

    def compile(self) -> None:
        """See `Task`."""
        self.mmdit.compile()

    def sample_sheet(self, path: Path) -> None:
        """Held-out films: the true frames above frames drawn from captions and the true earlier ones."""
        from captain_cinema.train.previews import keyframe_sheet

        keyframe_sheet(self, path)

    def export(self, folder: Path) -> None:
        """A diffusers folder."""
        save_mmdit(self.mmdit, folder / "keyframes" / "transformer")
