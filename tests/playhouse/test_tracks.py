"""The truth about motion: where every part of a frame goes."""

from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.tracks import track

HEIGHT = 128
ROWS, COLS = np.arange(2, HEIGHT, 4), np.arange(2, 2 * HEIGHT, 4)


def shots(**wanted: object) -> Iterator[story.PlayhouseShot]:
    """Held-out shots under a clear sky whose state has these values."""
    for seed in range(40):
        for shot in story.film(seed, shots=12, split="held-out").shots:
            if shot.state.weather == "clear" and all(getattr(shot.state, k) == v for k, v in wanted.items()):
                yield shot


def arrivals(shot: story.PlayhouseShot, seconds: float, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours of chosen cells of a shot's first frame, and the colours where they are said to be later."""
    first, later = story.frame_state(shot, 0.0), story.frame_state(shot, seconds)
    to = track(first, [later], height=HEIGHT).displacement(ROWS, COLS)[0]
    before, after = (render.draw(state, height=HEIGHT).astype(np.float32) for state in (first, later))
    x, y = (COLS[None] + to[0]).astype(np.float32), (ROWS[:, None] + to[1]).astype(np.float32)
    inside = (x >= 1) & (x < 2 * HEIGHT - 1) & (y >= 1) & (y < HEIGHT - 1) & chosen
    there = cv2.remap(after, x, y, cv2.INTER_LINEAR)
    return before[np.ix_(ROWS, COLS)][inside], there[inside]


@pytest.mark.parametrize("action", ["walk left", "run right", "jump", "bow", "dance", "look around", "nod"])
def test_what_a_figure_shows_is_found_where_it_is_said_to_go(action: str) -> None:
    alike, still = [], []
    for shot in shots(camera="static"):
        if [pose.action for pose in shot.state.poses] != [action]:
            continue
        mask = render.figure_mask(story.frame_state(shot, 0.0), 0, height=HEIGHT)[np.ix_(ROWS, COLS)]
        before, there = arrivals(shot, 0.5, mask)
        alike.append(np.abs(before - there).mean(1) < 20)
        after = render.draw(story.frame_state(shot, 0.5), height=HEIGHT).astype(np.float32)
        drawn = render.draw(story.frame_state(shot, 0.0), height=HEIGHT).astype(np.float32)
        still.append((np.abs(drawn - after).mean(2) < 20)[np.ix_(ROWS, COLS)][mask])
        if len(alike) == 5:
            break
    right, stands = (float(np.concatenate(each).mean()) for each in (alike, still))
    assert right > 0.8
    assert right > stands  # and not because nothing moves


@pytest.mark.parametrize("camera", ["pan left", "pan right", "push in"])
def test_the_backdrop_goes_against_the_camera(camera: str) -> None:
    shot = next(s for s in shots(camera=camera) if not s.state.poses or s.state.framing == "wide")
    first = story.frame_state(shot, 0.0)
    owner = track(first, [first], height=HEIGHT).owner[np.ix_(ROWS, COLS)]
    before, there = arrivals(shot, 1.0, owner == 0)
    assert (np.abs(before - there).mean(1) < 20).mean() > 0.85
    to = track(first, [story.frame_state(shot, 1.0)], height=HEIGHT).displacement(ROWS, COLS)[0]
    if camera == "push in":
        assert to[0, 16, -1] > 1
        assert to[0, 16, 0] < -1
    else:
        assert (np.sign(to[0][owner == 0]) == (1 if camera == "pan left" else -1)).all()


def test_a_frame_does_not_leave_itself() -> None:
    for shot in list(zip(range(12), shots(), strict=False)):
        first = story.frame_state(shot[1], 0.25)
        followed = track(first, [first, first], height=64)
        rows, cols = np.arange(64), np.arange(128)
        assert np.abs(followed.displacement(rows, cols)).max() < 1e-6
        depth = followed.depth()
        assert depth.min() == 0
        assert depth.max() <= 1
        covered = np.zeros((64, 128), bool)
        for index in range(len(first.poses)):
            covered |= render.figure_mask(first, index, height=64)
        assert (depth[covered] > 0).mean() > 0.99


def test_who_stands_in_front_is_nearer() -> None:
    shot = next(s for s in shots() if len(s.state.poses) == 2)
    first = story.frame_state(shot, 0.0)
    depth = track(first, [first], height=HEIGHT).depth()
    behind, before = (render.figure_mask(first, index, height=HEIGHT) for index in (0, 1))
    assert depth[behind].max() < depth[before].min() or np.median(depth[behind]) < np.median(depth[before])
