"""How the shot model's loss weighs clips and their parts, and along what."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from captain_cinema.playhouse import render, story
from captain_cinema.train.shots import clip_frames, clip_weight, counterfactual, moving_weight

HEIGHT, ROWS, COLS = 128, 8, 16


def a_walk() -> story.PlayhouseShot:
    """The first held-out shot in which one walks, under a clear sky, before a camera that stands still."""
    for seed in range(100):
        for shot in story.film(seed, shots=12, split="held-out").shots:
            walks = [pose.action.startswith("walk") for pose in shot.state.poses]
            if walks == [True] and shot.state.camera == "static" and shot.state.weather == "clear":
                return shot
    raise AssertionError("nobody walks in a hundred films")


def test_what_moves_weighs_more() -> None:
    shot = a_walk()
    frames = clip_frames(shot, 9, height=HEIGHT, fps=12)
    weight = moving_weight(frames, 8.0, rows=ROWS, cols=COLS).numpy()
    assert (weight[0] == 1).all()
    mask = render.figure_mask(shot.state, 0, height=HEIGHT)
    figure = mask.reshape(ROWS, HEIGHT // ROWS, COLS, 2 * HEIGHT // COLS).mean((1, 3)) > 0.5
    assert weight[-1][figure].mean() > 2 * weight[-1][~figure].mean()


def test_a_clip_weighs_less_the_more_of_it_changes() -> None:
    still = torch.zeros(5, 2, 4, 8)
    nod, pan = still.clone(), still.clone()
    nod[2, :, 1, 2] = 1.0
    pan[1:] = 1.5
    weights = [float(clip_weight(latents, 0.2)) for latents in (still, nod, pan)]
    assert weights == pytest.approx([1 / 0.2, 1 / (0.2 + 1 / 128), 1 / (0.2 + 1.5**2)])


def test_a_counterfactual_has_everybody_do_something_else() -> None:
    rng = np.random.default_rng(0)
    for shot in story.film(0, shots=12).shots:
        other = counterfactual(shot, rng)
        same = []
        for pose, changed in zip(shot.state.poses, other.state.poses, strict=True):
            assert pose.action != changed.action
            same.append(replace(changed, action=pose.action))
        assert replace(other.state, poses=tuple(same)) == shot.state
        assert replace(other, state=shot.state) == shot
