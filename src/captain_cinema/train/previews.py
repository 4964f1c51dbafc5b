"""What a model under training draws, for its sample sheets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from captain_cinema.flow.path import interpolate, velocity_to
from captain_cinema.flow.sampler import euler
from captain_cinema.flow.schedule import timesteps
from captain_cinema.keyframes.pairs import build_groups
from captain_cinema.playhouse import story
from captain_cinema.train.seeds import step_generator
from captain_cinema.train.sheets import write_sheet

if TYPE_CHECKING:
    from captain_cinema.train.keyframes import KeyframeTask
    from captain_cinema.train.shots import ShotTask

CONTEXT_LEVEL = 0.05
"""Noise level of the given frames in a preview."""


@torch.inference_mode()
def next_keyframes(
    task: KeyframeTask,
    tokens: Tensor,
    txt: Tensor,
    pooled: Tensor | None = None,
    *,
    steps: int = 20,
    guidance: float = 3.0,
) -> Tensor:
    """Draw one frame after the given ones: tokens [b, pairs, img_len, dim], txt [b, pairs + 1, txt_len,
    txt_dim], pooled [b, pairs + 1, pooled_dim].
    """
    device = next(task.model.parameters()).device
    size, given = tokens.shape[:2]
    generator = step_generator(task.seed, 6)
    shape = (size, 1, task.rows * 2 * task.rows, task.codec.token_dim)
    noise = torch.randn(shape, generator=generator).to(device)
    eps = torch.randn(tokens.shape, generator=generator).to(device)
    context = interpolate(tokens.to(device), eps, torch.full((size, given), CONTEXT_LEVEL, device=device)).x_t
    last = torch.zeros((size, given + 1), dtype=torch.bool)
    last[:, -1] = True
    captions = [(txt, pooled), task.source.silenced(txt, pooled, last)]
    if task.training.drop_text == 0:  # the model was never without words
        captions = captions[:1]

    def velocity(x: Tensor, t: float) -> Tensor:
        levels = torch.full((size, given + 1), CONTEXT_LEVEL, device=device)
        levels[:, -1] = t
        drawn = []
        for words, pools in captions:
            pairs = [*context.unbind(1), x[:, 0]]
            pools = None if pools is None else pools.to(device)
            rows = [task.rows] * (given + 1)
            groups = build_groups(pairs, words.to(device), levels, rows, pooled=pools)
            said = task.mmdit(groups, causal=task.training.causal, guidance=task.training.guidance)
            drawn.append(said[0][:, -1:].float())
        guided = len(drawn) > 1
        said = drawn[1] + guidance * (drawn[0] - drawn[1]) if guided else drawn[0]
        clean = task.training.prediction == "clean"
        return velocity_to(x, said, torch.full((size, 1), t, device=device)) if clean else said

    return euler(velocity, noise, timesteps(steps, task.training.shift))[:, 0]


def keyframe_sheet(task: KeyframeTask, path: Path) -> None:
    """Four films: given frames and, of later ones, the true one above the drawn one."""
    rows: list[list[np.ndarray]] = []
    for film in task.source.samples(4):
        length = len(film.film.shots)
        targets = [index for index in (3, 5, 7, 9) if index < length] or [length - 1]
        targets += [targets[-1]] * (4 - len(targets))
        drawn: list[np.ndarray] = []
        for index in targets:
            given = range(max(0, index - 4), index)
            seen = film.sequence([*given, index], [task.rows] * (len(given) + 1))
            pooled = None if seen.pooled is None else seen.pooled[None]
            frame = next_keyframes(task, torch.stack(seen.tokens[:-1])[None], seen.txt[None], pooled)
            drawn.append(task.codec.decode(frame, rows=task.rows, cols=2 * task.rows)[0].cpu().numpy())
        first = [film.frame(min(index, length - 1)) for index in range(3)]
        rows += [[*first, *map(film.frame, targets)], [*first, *drawn]]
    if rows:
        write_sheet(path, rows)


@torch.inference_mode()
def shot_sheet(task: ShotTask, path: Path) -> None:
    """Held-out shots, six moments each: the true clip above the drawn one."""
    from captain_cinema.shots.generator import ShotGenerator, ShotRequest, ShotSettings
    from captain_cinema.train.shots import clip_frames

    generator = ShotGenerator(task.model, task.codec, task.text, ShotSettings(steps=1))
    rows: list[list[np.ndarray]] = []
    moments = np.linspace(0, 23, 6).round().astype(int)
    for seed in range(5):
        film = story.film(seed, shots=8, split="held-out")
        shot = next(s for s in film.shots[seed:] if s.names)
        true = clip_frames(shot, 24, height=task.training.height, fps=task.training.fps)
        request = ShotRequest(
            keyframe=true[0], caption=shot.caption, film_caption=film.caption, seconds=2.0, seed=seed
        )
        drawn = next(iter(generator.generate([request])))
        rows += [[true[i] for i in moments], [drawn[i] for i in moments]]
    write_sheet(path, rows)
