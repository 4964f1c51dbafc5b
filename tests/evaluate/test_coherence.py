"""Coherence over whole films: right of a model that knows the truth, at chance for one that forgets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from captain_cinema.evaluate import coherence
from captain_cinema.evaluate.identity import SEEDS_A_RUN
from captain_cinema.evaluate.motion import draw_clip
from captain_cinema.evaluate.scene import first_shots, nearest_place, variants
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot
from captain_cinema.playhouse.world import Place

SHOTS, SEED = 8, 3
FILM = story.film(SEED * SEEDS_A_RUN, shots=SHOTS, split="held-out")


@dataclass(kw_only=True)
class Knowing:
    """Draws the truth, or with `forgets` every shot in a place of its own and everybody in another look."""

    forgets: bool = False
    abilities: Any = None

    def _shot(self, caption: str) -> PlayhouseShot:
        shot = next(shot for shot in FILM.shots if shot.caption == caption)
        if not self.forgets:
            return shot
        place = Place(setting=shot.state.place.setting, variant=sum(map(ord, caption)))
        strangers = [FILM.cast[number % len(FILM.cast)] for number in range(len(shot.state.poses))]
        poses = tuple(
            replace(pose, character=other)
            for pose, other in zip(shot.state.poses, reversed(strangers), strict=True)
        )
        return replace(shot, state=replace(shot.state, place=place, poses=poses))

    def draw(self, caption: str, history: Sequence[Any], *, seed: int) -> Any:
        memory = [SimpleNamespace(number=seen.number, score=1.0) for seen in history]
        frame = render.draw(self._shot(caption).state)
        return SimpleNamespace(frame=frame, memory=memory, embedding=None)

    def draw_joint(self, captions: Sequence[str], *, seed: int) -> list[np.ndarray]:
        return [render.draw(self._shot(caption).state) for caption in captions]

    def generate(self, requests: Sequence[Any]) -> Iterator[np.ndarray]:
        for request in requests:
            assert len(request.context) <= coherence.CONTEXT
            yield draw_clip(self._shot(request.caption), seconds=request.seconds, fps=12, height=128)

    def generate_together(self, requests: Sequence[Any], *, progress: Any = None) -> Iterator[np.ndarray]:
        assert len(requests) <= coherence.BLOCK
        return self.generate(requests)


def measure(backend: Knowing, **changes: Any) -> coherence.CoherenceResult:
    models = replace(backend, abilities=SimpleNamespace(height=128, fps=12))
    wanted: dict[str, Any] = {"films": 1, "seed": SEED, "lengths": [SHOTS], "judged": 1}
    return coherence.run(SimpleNamespace(planner=models, shots=models), **(wanted | changes))


@pytest.fixture(scope="module")
def knowing() -> coherence.CoherenceResult:
    return measure(Knowing())


@pytest.mark.parametrize("method", coherence.METHODS)
def test_a_model_that_knows_the_truth_is_right(knowing: coherence.CoherenceResult, method: str) -> None:
    made = [mark for mark in knowing.marks if mark.method == method and mark.measure != "motion"]
    assert made
    assert all(mark.right for mark in made)
    assert knowing.share(SHOTS, method, "motion") == knowing.share(SHOTS, coherence.TRUTH, "motion")


def test_a_model_that_forgets_is_not() -> None:
    forgetful = measure(Knowing(forgets=True), methods=[coherence.OURS], judged=2)
    wrong = [mark for mark in forgetful.marks if mark.method == coherence.OURS and not mark.right]
    assert {mark.measure for mark in wrong} >= {"scene"}
    assert forgetful.share(SHOTS, coherence.TRUTH, "scene").rate == 1.0


def test_the_table_has_a_row_a_method_with_counts_and_intervals(knowing: coherence.CoherenceResult) -> None:
    text = knowing.table()
    for method in (*coherence.METHODS, coherence.NO_MEMORY, coherence.TRUTH):
        (line,) = (line for line in text.splitlines() if f"  {method} " in line)
        assert "n = " in line
        assert "95 %" in line
    assert len(knowing.as_dict()["marks"]) == len(knowing.marks)


def returning(film: PlayhouseFilm) -> tuple[int, int]:
    return next(iter(first_shots(film).items()))


def test_the_true_place_is_found_among_the_variants_whatever_stands_before_it() -> None:
    later, first = returning(FILM)
    assert FILM.shots[later].scene == FILM.shots[first].scene
    for number in (later, first):
        state = FILM.shots[number].state
        places = variants(FILM, FILM.shots[number].scene, state.place)
        assert len(set(places)) == len(places) == 9
        for wanted in (0, 4):
            frame = render.draw(replace(state, place=places[wanted]))
            assert nearest_place(frame, state, places, height=128) == wanted
    with pytest.raises(ValueError, match="two or more"):
        nearest_place(render.draw(FILM.shots[0].state), FILM.shots[0].state, places[:1], height=128)
