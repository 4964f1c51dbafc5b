"""Where the keyframe model's loss weighs more."""

from dataclasses import replace

import numpy as np

from captain_cinema.playhouse import render, story
from captain_cinema.train.film_pool import DETAIL_WEIGHT, figure_cover

HEIGHT, ROWS = 128, 4


def cover(shot: story.PlayhouseShot) -> np.ndarray:
    frame = render.draw(shot.state, height=HEIGHT)
    return figure_cover(shot.state, frame, rows=ROWS).reshape(ROWS, 2 * ROWS)


def shots() -> list[story.PlayhouseShot]:
    return [shot for seed in range(3) for shot in story.film(seed, shots=8).shots]


def test_places_without_characters_weigh_nothing() -> None:
    (shot, *_) = (shot for shot in shots() if shot.names)
    empty = replace(shot, state=replace(shot.state, poses=()))
    assert not cover(empty).any()
    side = HEIGHT // ROWS
    for shot in shots():
        masks = [render.figure_mask(shot.state, i, height=HEIGHT) for i in range(len(shot.state.poses))]
        covered = np.logical_or.reduce([np.zeros((HEIGHT, 2 * HEIGHT), bool), *masks])
        share = covered.reshape(ROWS, side, 2 * ROWS, side).mean(axis=(1, 3))
        assert (cover(shot) >= share - 1e-3).all()
        assert (cover(shot) <= share + DETAIL_WEIGHT + 1e-3).all()


def test_heads_and_things_in_hand_weigh_more_than_coats() -> None:
    """Of a close figure, what tells a kind lies in the upper half; with something in hand, there too."""
    found = [s for s in shots() if len(s.state.poses) == 1 and s.state.framing == "medium"]
    assert found
    for shot in found:
        weights = cover(shot)
        assert weights.max() > 1  # which cover alone never is
        holder = replace(shot.state.poses[0], holds="umbrella")
        bare = replace(shot.state.poses[0], holds="none")
        held, empty = (replace(shot, state=replace(shot.state, poses=(p,))) for p in (holder, bare))
        assert cover(held).sum() > cover(empty).sum()
