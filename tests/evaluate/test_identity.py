"""The measure against planners that are known: one that remembers all, one that remembers nobody."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from captain_cinema.evaluate import identity
from captain_cinema.evaluate.judge import with_look
from captain_cinema.playhouse import looks, render, story
from captain_cinema.playhouse.story import PlayhouseFilm

FILMS, SEED, SHOTS = 2, 3, 5


@dataclass(frozen=True, kw_only=True)
class Drawn:
    frame: np.ndarray
    embedding: np.ndarray = field(default_factory=lambda: np.zeros(64, np.float32))


class Remembers:
    """Draws a character's true look if the history names it, and somebody else's if not."""

    codec = None
    retriever = None

    def __init__(self, films: Sequence[PlayhouseFilm], *, forgets: bool = False) -> None:
        self.shots = {shot.caption: shot for film in films for shot in film.shots}
        self.forgets = forgets
        self.histories: list[list[int]] = []

    def draw(self, caption: str, history: Sequence[identity.HistoryFrame], *, seed: int) -> Drawn:
        self.histories.append([pair.number for pair in history])
        shot = self.shots[caption]
        state = shot.state
        rng = np.random.default_rng(seed)
        for index, name in enumerate(shot.names):
            seen = any(f"<{name}>" in pair.caption for pair in history)
            if self.forgets or not (seen or name in shot.introduces):
                state = with_look(state, index, looks.random_look(rng, split="held-out"))
        return Drawn(frame=render.draw(state))


@dataclass(frozen=True, kw_only=True)
class Backend:
    planner: Remembers


def played(seed: int = SEED) -> list[PlayhouseFilm]:
    first = seed * identity.SEEDS_A_RUN
    return [story.film(first + number, shots=SHOTS, split="held-out") for number in range(FILMS)]


@pytest.fixture(scope="module")
def remembered() -> identity.IdentityResult:
    return identity.run(Backend(planner=Remembers(played())), FILMS, SEED, SHOTS)


def test_a_perfect_memory_scores_one_and_none_scores_near_chance(remembered: identity.IdentityResult) -> None:
    assert remembered.headline.total >= 5
    assert remembered.headline.rate == 1
    assert remembered.share(identity.TRUTH).rate == 1
    assert remembered.share(identity.NO_CONTEXT).rate < 0.5
    assert remembered.share(identity.OTHER_FILM).rate < 0.5
    assert 1 / 12 <= remembered.headline.chance <= 1 / 10


def test_a_planner_that_forgets_is_found_out() -> None:
    backend = Backend(planner=Remembers(played(), forgets=True))
    result = identity.run(backend, FILMS, SEED, SHOTS, controls=False)
    assert result.headline.rate < 0.5
    assert {verdict.condition for verdict in result.verdicts} == {identity.CONTEXT}


def test_rollout_gives_the_model_its_own_frames() -> None:
    planner = Remembers(played())
    result = identity.run(Backend(planner=planner), FILMS, SEED, SHOTS, rollout=True, controls=False)
    assert planner.histories == [list(range(1, number + 1)) for number in range(SHOTS)] * FILMS
    assert result.headline.rate == 1


def test_teacher_forcing_never_shows_the_shot_itself() -> None:
    planner = Remembers(played())
    result = identity.run(Backend(planner=planner), FILMS, SEED, SHOTS, controls=False)
    drawn = sorted({(verdict.film, verdict.shot) for verdict in result.verdicts})
    assert planner.histories == [list(range(1, shot)) for _, shot in drawn]


def test_subjects_are_named_but_not_described() -> None:
    for film in played():
        for subject in identity.find_subjects(film, height=128):
            shot = film.shots[subject.shot]
            assert f"<{subject.name}>" in shot.caption
            assert subject.name not in shot.introduces
            assert any(subject.name in earlier.introduces for earlier in film.shots[: subject.shot])
            assert subject.candidates[0] == shot.state.poses[subject.index].character.look
            assert len(set(subject.candidates)) == len(film.cast) + identity.STRANGERS


def test_a_run_repeats_and_tells_how_far_it_is(remembered: identity.IdentityResult) -> None:
    seen: list[tuple[int, int]] = []
    planner = Remembers(played())
    again = identity.run(
        Backend(planner=planner),
        FILMS,
        SEED,
        SHOTS,
        progress=lambda done, total: seen.append((done, total)),
        controls=False,
    )
    assert list(again.verdicts) == [v for v in remembered.verdicts if v.condition == identity.CONTEXT]
    assert seen == [(1, 2), (2, 2)]


def test_the_result_is_plain_data(remembered: identity.IdentityResult) -> None:
    told = json.loads(json.dumps(remembered.as_dict(), allow_nan=False))
    assert told["shares"]["context"]["total"] == len(told["verdicts"]) // 4


def test_the_table_names_every_condition_and_framing(remembered: identity.IdentityResult) -> None:
    lines = remembered.table().splitlines()
    assert [line for line in lines if line.startswith("no context")]
    assert [line for line in lines if line.startswith("framing: wide")]
    assert lines[-1].startswith("blind choice")


@pytest.mark.parametrize("seed", [0, 1])
def test_runs_of_other_seeds_have_other_films(seed: int) -> None:
    ours = {film.shots[0].caption for film in played(seed)}
    assert ours.isdisjoint({film.shots[0].caption for film in played(seed + 1)})
