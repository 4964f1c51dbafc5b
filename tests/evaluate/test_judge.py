"""The judge must know the true frames, and know nothing of frames that do not show the character."""

from dataclasses import replace

import numpy as np
import pytest

from captain_cinema.evaluate.judge import Judgement, judge, line_up, with_look
from captain_cinema.playhouse import looks, render, story
from captain_cinema.playhouse.world import FrameState, Look

FILM = story.film(41, shots=8, split="held-out")


def single(number: int) -> FrameState:
    """A shot of one character."""
    states = [shot.state for shot in FILM.shots if len(shot.state.poses) == 1]
    return states[number % len(states)]


def verdict(drawn: np.ndarray, state: FrameState, choice: list[Look]) -> Judgement:
    return judge(drawn, line_up(state, 0, choice))


def candidates(state: FrameState, count: int = 8) -> list[Look]:
    rng = np.random.default_rng(5)
    own = state.poses[0].character.look
    return [own, *(looks.random_look(rng, split="held-out") for _ in range(count))]


@pytest.mark.parametrize("number", range(3))
def test_true_frames_are_nearest_their_own_look(number: int) -> None:
    state = single(number)
    judgement = verdict(render.draw(state), state, candidates(state))
    assert judgement.nearest == 0
    assert judgement.distances[0] == 0 < judgement.margin


@pytest.mark.parametrize("shift", [(8, 0), (-10, 4), (12, -6)])
def test_a_figure_drawn_a_little_off_is_still_known(shift: tuple[int, int]) -> None:
    state = single(0)
    moved = np.roll(render.draw(state), shift, axis=(1, 0))
    assert verdict(moved, state, candidates(state)).nearest == 0


def test_another_look_in_the_place_is_seen() -> None:
    state = single(0)
    choice = candidates(state)
    drawn = render.draw(with_look(state, 0, choice[3]))
    assert verdict(drawn, state, choice).nearest == 3


def test_an_empty_stage_shows_nobody() -> None:
    """Without the figure the verdict is not for the own look merely because it comes first."""
    state = single(0)
    blank = np.full((128, 256, 3), 128, np.uint8)
    same = [state.poses[0].character.look] * 3
    assert verdict(blank, state, same).nearest == 2


def test_with_look_changes_one_character_only() -> None:
    state = next(shot.state for shot in FILM.shots if len(shot.state.poses) > 1)
    look = candidates(state)[1]
    changed = with_look(state, 1, look)
    assert changed.poses[1].character.look == look
    assert changed.poses[0] == state.poses[0]
    assert replace(changed, poses=state.poses) == state


def test_a_choice_of_one_is_refused() -> None:
    state = single(0)
    with pytest.raises(ValueError, match="at least 2 candidates, got 1"):
        line_up(state, 0, candidates(state, 0))
