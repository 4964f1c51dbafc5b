"""Training the keyframe model: rectified flow with an independent noise level for every frame (design
section 3).
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.mmdit import MMDiT, save_mmdit
from captain_cinema.backbone.text import NAME_DIM, PhraseEncoder
from captain_cinema.errors import CinemaError
from captain_cinema.flow.path import PathSample, interpolate, velocity_to
from captain_cinema.flow.schedule import sample_t
from captain_cinema.keyframes.pairs import build_groups, ungroup
from captain_cinema.train.binding import UNKNOWN, LookReader, Taps
from captain_cinema.train.contrast import contrast_loss
from captain_cinema.train.film_pool import DrawnFilm, EncodedFilm, draw_film, encode_film, film_seed
from captain_cinema.train.frame_source import FilmSequence, FilmSource, PlayhouseSource, SourceFilm
from captain_cinema.train.keyframe_options import KeyframeTraining, Stage
from captain_cinema.train.seeds import step_generator, step_rng
from captain_cinema.train.sequences import Layout, sequence_indices
from captain_cinema.train.sharing import WHOLE, Share, Unreadable, by_length


@dataclass(frozen=True, kw_only=True)
class Batch:
    """A share of one step's sequences: tensors per pair position, [b, ...], of the pairs held here."""

    numbers: list[int]
    """Of the step's sequences."""
    share: float
    """Of all of them."""
    places: list[int]
    """Of the pairs, in their sequences of `pairs`."""
    pairs: int
    tokens: list[Float[Tensor, "b img_len dim"]]
    txt: Float[Tensor, "b held txt_len txt_dim"]
    pooled: Float[Tensor, "b held pooled_dim"] | None
    rows: tuple[int, ...]
    given: int
    """Pairs held here that are given; the others are to be drawn."""
    targets: int
    """Pairs to draw, of all pairs."""
    figures: Float[Tensor, "b targets img_len"]
    looks: Int[Tensor, "b held txt_len traits"]
    shown: Int[Tensor, "b targets img_len shown"]
    contrast: Float[Tensor, "b targets img_len channels"] | None


@dataclass(frozen=True, kw_only=True)
class Noise:
    """What chance adds to a batch."""

    t: Float[Tensor, "b held"]
    dropped: Bool[Tensor, "b held"]
    eps: list[Float[Tensor, "b img_len dim"]]


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


def _padded(x: Tensor, length: int, value: float = 0) -> Tensor:
    """Lengthen the captions of [pairs, txt_len, ...]."""
    return torch.nn.functional.pad(x, (0, 0, 0, length - x.shape[1]), value=value)


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
        self.looks = LookReader(model.config.dim) if training.look_weight > 0 else None
        parts = {"mmdit": self.mmdit, "looks": self.looks}
        self.model: nn.Module = model if self.looks is None else nn.ModuleDict(parts)
        self.unreadable = Unreadable(training.unreadable_limit)
        self.replicas = 1
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

    def size(self, step: int) -> int:
        """How many sequences a step has."""
        stage = self.stage(step)
        return max(stage.batch, stage.frames // self.layout(step).pairs)

    def layout(self, step: int) -> Layout:
        """The shape of a step's sequences."""
        layouts = self.stage(step).layouts
        return layouts[step % len(layouts)]

    def parts(self, step: int) -> int:
        """See `SharedTask`."""
        return (
            max(1, -(-self.size(step) // (self.replicas * self.training.micro))) if self.training.micro else 1
        )

    def batch(self, step: int, share: Share = WHOLE) -> Batch:
        """The sequences of a step, or a share of them."""
        stage, layout, size = self.stage(step), self.layout(step), self.size(step)
        rng = step_rng(self.seed, 1, step)
        films = self.source.films(step, size, pairs=layout.pairs, casts=stage.casts, rng=rng)
        rows, given = (*layout.scales, *(self.rows,) * layout.targets), len(layout.scales)
        chosen = [self._choose(film, layout, rng) for film in films]
        order = by_length(films, chosen) if self.training.micro else list(range(size))
        numbers = share.of(order)
        apart = self.mmdit.apart
        places = list(range(layout.pairs)) if apart is None else apart.own(layout.pairs)
        rows, given = tuple(rows[i] for i in places), sum(i < given for i in places)
        sequences = [self._read(step, n, films[n], chosen[n], places, rows) for n in numbers]
        txt_len = max(sequence.txt.shape[1] for sequence in sequences)
        if apart is not None:  # padding is seen, so it must not depend on who holds which pair
            txt_len = apart.most(txt_len)
        return Batch(
            numbers=numbers,
            share=len(numbers) / size,
            places=places,
            pairs=layout.pairs,
            tokens=[torch.stack([s.tokens[i] for s in sequences]) for i in range(len(rows))],
            txt=torch.stack([_padded(s.txt, txt_len) for s in sequences]),
            pooled=torch.stack([s.pooled for s in sequences if s.pooled is not None])
            if sequences[0].pooled is not None
            else None,
            rows=rows,
            given=given,
            targets=layout.targets,
            figures=torch.stack([s.figures[given:] for s in sequences]),
            looks=torch.stack([_padded(s.looks, txt_len, UNKNOWN) for s in sequences]),
            shown=torch.stack([s.shown[given:] for s in sequences]),
            contrast=torch.stack([s.contrast[given:] for s in sequences if s.contrast is not None])
            if self.training.contrast_weight and sequences[0].contrast is not None
            else None,
        )

    def _choose(self, film: SourceFilm, layout: Layout, rng: np.random.Generator) -> tuple[int, ...]:
        shares = {"recall": self.training.recall, "introduce": self.training.introduce}
        return sequence_indices(film.film, layout, rng, **shares)

    def _read(
        self,
        step: int,
        number: int,
        film: SourceFilm,
        chosen: tuple[int, ...],
        places: list[int],
        rows: tuple[int, ...],
    ) -> FilmSequence:
        """A sequence, or another one in the place of one that cannot be read."""
        while True:
            try:
                return film.sequence([chosen[i] for i in places], rows)
            except (CinemaError, OSError) as error:
                self.unreadable.count(error)
            layout = self.layout(step)
            rng = step_rng(self.seed, 7, step, number, self.unreadable.found)
            casts = self.stage(step).casts
            film = self.source.films(step, 1, pairs=layout.pairs, casts=casts, rng=rng)[0]
            chosen = self._choose(film, layout, rng)

    def noise(self, step: int, batch: Batch) -> Noise:
        """Levels, dropped captions and noise: for each sequence its own, whoever computes it.

        An independent level for every frame: a light band for the given ones, the whole range for the others.
        """
        training, held = self.training, batch.places
        given = batch.pairs - batch.targets
        t, dropped, eps = [], [], []
        for number in batch.numbers:
            generator = step_generator(self.seed, 2, step, number)
            low, high = training.context_floor, training.context_noise
            levels = torch.rand(given, generator=generator) * (high - low) + low
            drawn = sample_t((batch.pairs - given,), shift=training.shift, generator=generator, device="cpu")
            silent = torch.rand(batch.pairs, generator=generator) < training.drop_text
            silent[:given] = False
            t.append(torch.cat([levels, drawn])[held])
            dropped.append(silent[held])
            own = [step_generator(self.seed, 3, step, number, place) for place in held]
            eps.append(
                [torch.randn(x.shape[1:], generator=g) for x, g in zip(batch.tokens, own, strict=True)]
            )
        return Noise(
            t=torch.stack(t),
            dropped=torch.stack(dropped),
            eps=[torch.stack(at_place) for at_place in zip(*eps, strict=True)],
        )

    def loss(self, step: int, share: Share = WHOLE) -> tuple[Tensor, dict[str, float]]:
        """Mean squared error of the velocity on the frames to draw, heavier where characters stand."""
        device = next(self.model.parameters()).device
        batch = self.batch(step, share)
        noise = self.noise(step, batch)
        t, dropped = noise.t, noise.dropped
        txt, pooled = self.source.silenced(batch.txt, batch.pooled, dropped)
        if self.training.rename:
            own = [step_generator(self.seed, 4, step, number) for number in batch.numbers]
            txt = torch.cat([rename(words[None], g) for words, g in zip(txt, own, strict=True)])
        samples = [
            interpolate(x_0.to(device), e.to(device), t[:, i].to(device))
            for i, (x_0, e) in enumerate(zip(batch.tokens, noise.eps, strict=True))
        ]
        groups = build_groups(
            [sample.x_t for sample in samples],
            txt.to(device),
            t.to(device),
            batch.rows,
            index=batch.places,
            full=(self.rows, 2 * self.rows),
            pooled=None if pooled is None else pooled.to(device),
        )
        taps = None
        settings = {"causal": self.training.causal, "guidance": self.training.guidance}
        if self.looks is None:
            said = self.mmdit(groups, **settings)
        else:
            with Taps(self.mmdit, batch.rows, txt.shape[2]) as taps:
                said = self.mmdit(groups, **settings)
        loss, figures = self._velocity_loss(said, samples, batch, t.to(device))
        if self.looks is not None and taps is not None:
            labels = batch.looks.to(device).masked_fill(dropped.to(device)[..., None, None], UNKNOWN)
            read, figures["read"] = self._look_loss(self.looks.local, taps.local(), labels)
            given = batch.given
            fetched = taps.fetched()[:, given:], labels[:, given:]
            fetch, figures["fetched"] = self._look_loss(self.looks.fetched, *fetched)
            silent = dropped.to(device)[:, given:, None, None]
            shown = batch.shown.to(device).masked_fill(silent, UNKNOWN)
            pictures = taps.shown(range(given, len(batch.rows)))
            show, figures["shown"] = self._look_loss(self.looks.shown, pictures, shown)
            loss = loss + self.training.look_weight * (read + fetch + show)
        # The mean over all shares is the loss of the step, also where shares differ in size.
        return (loss if share == WHOLE else loss * (batch.share * share.count)), figures

    def _velocity_loss(
        self, said: list[Tensor], samples: list[PathSample], batch: Batch, t: Tensor
    ) -> tuple[Tensor, dict[str, float]]:
        given, apart = batch.given, self.mmdit.apart
        if given == len(batch.places):  # of this sequence, other processes draw all
            nothing = torch.stack([velocity.sum() for velocity in said]).sum() * 0
            return nothing, {"plain": 0.0}
        drawn = torch.stack(ungroup(said, batch.rows)[given:], dim=1)
        if self.training.prediction == "clean":
            noisy = torch.stack([sample.x_t for sample in samples[given:]], dim=1)
            drawn = velocity_to(noisy, drawn, t[:, given:])
        goal = torch.stack([sample.target for sample in samples[given:]], dim=1)
        error = (drawn.float() - goal).square().mean(dim=-1)
        weight = 1 + self.training.figure_weight * batch.figures.to(error.device)
        loss = (error * weight).sum() / weight.sum()
        figures = {"plain": float(error.detach().mean())}
        if batch.contrast is not None:
            off = (goal - drawn.float()) * t[:, given:, None, None]
            along, figures["told"] = contrast_loss(off, batch.contrast.to(off.device))
            loss = loss + self.training.contrast_weight * along
        if apart is not None:  # every frame counts alike, whoever holds how many
            loss = (error.mean(dim=-1).sum() / (error.shape[0] * batch.targets)) * apart.size
            return loss, {"plain": float(loss.detach())}
        late = t[:, given:] > 0.7
        if late.any() and self.replicas == 1 and not self.training.micro:
            figures["noisy"] = float(error.detach().mean(dim=-1)[late].mean())
        return loss, figures

    def _look_loss(self, layer: nn.Linear, hidden: Tensor, labels: Tensor) -> tuple[Tensor, float]:
        assert self.looks is not None
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

    def export_state(self, folder: Path, state: dict[str, Tensor]) -> None:
        """See `SharedTask`."""
        with torch.device("meta"):
            twin = MMDiT(self.mmdit.config)
        twin.load_state_dict(state, assign=True)
        save_mmdit(twin, folder / "keyframes" / "transformer")
