"""What the shot model learns of a clip: motion, what is new, and along what its errors weigh."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from captain_cinema.playhouse import render, story
from captain_cinema.shots.motion_field import CELLS, KINDS, carry, compose
from captain_cinema.train.shots import clip_frames, counterfactual, motion_field, newness

HEIGHT, ROWS, COLS = 128, 8, 16


def a_walk() -> story.PlayhouseShot:
    """The first held-out shot in which one walks, under a clear sky, before a camera that stands still."""
    for seed in range(100):
        for shot in story.film(seed, shots=12, split="held-out").shots:
            walks = [pose.action.startswith("walk") for pose in shot.state.poses]
            if walks == [True] and shot.state.camera == "static" and shot.state.weather == "clear":
                return shot
    raise AssertionError("nobody walks in a hundred films")


def the_field(shot: story.PlayhouseShot, frames: int) -> tuple[torch.Tensor, torch.Tensor]:
    states = [story.frame_state(shot, index / 12) for index in range(frames)]
    return motion_field(states[0], states[1:], height=HEIGHT)


def test_what_walks_moves_and_the_rest_stays() -> None:
    shot = a_walk()
    field, figures = the_field(shot, 13)
    assert field.shape == (12, KINDS, ROWS * CELLS, COLS * CELLS)
    steps = field[-1, 0][figures]
    assert float(steps.median().abs()) == pytest.approx(12 * 4 / 16, abs=0.2)
    assert (field[-1, :2][:, ~figures] == 0).all()
    mask = torch.from_numpy(render.figure_mask(shot.state, 0, height=HEIGHT, held=True))[2::4, 2::4]
    assert figures[mask].all()


def test_what_the_keyframe_does_not_show_is_new() -> None:
    shot = a_walk()
    frames = clip_frames(shot, 13, height=HEIGHT, fps=12)
    field, figures = the_field(shot, 13)
    new = newness(frames, field)
    assert new.min() >= 0
    assert new.max() <= 1
    # The walker leaves three latents to one side, and what was behind it comes to light.
    assert 0.05 < float(new[-1].mean()) < 0.5
    assert new[-1][figures].mean() > 5 * new[-1][~figures].mean()
    assert newness(np.repeat(frames[:1], 3, axis=0), torch.zeros(2, KINDS, 32, 64)).max() < 0.05


def test_true_motion_gives_the_clip_back() -> None:
    shot = a_walk()
    frames = clip_frames(shot, 13, height=HEIGHT, fps=12)
    field, _ = the_field(shot, 13)
    carried, landed = carry(torch.from_numpy(frames[0]).permute(2, 0, 1).float(), field)
    truth = torch.from_numpy(frames[1:]).permute(0, 3, 1, 2).float()
    made = compose(carried, landed, truth, newness(frames, field), truth)
    assert (made - truth).abs().mean() < 0.3 * (truth - truth[:1]).abs().mean()


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
