"""The measure against clips that are known: the truth, a standstill, everything mirrored in time."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pytest

from captain_cinema.evaluate import motion
from captain_cinema.evaluate.identity import SEEDS_A_RUN
from captain_cinema.playhouse import story
from captain_cinema.playhouse.story import PlayhouseFilm

SEED, FILMS, SHOTS, FPS = 5, 3, 6, 6


@dataclass(frozen=True, kw_only=True)
class Abilities:
    fps: int = FPS
    min_seconds: float = 1.0
    max_seconds: float = 2.0
    max_context: int = 2


class Shooter:
    """Shoots the truth, or the keyframe again and again."""

    abilities = Abilities()

    def __init__(self, films: Sequence[PlayhouseFilm], *, still: bool = False) -> None:
        self.shots = {shot.caption: shot for film in films for shot in film.shots}
        self.still = still

    def generate(self, requests: Sequence[motion.ShotRequest]) -> Iterator[np.ndarray]:
        for request in requests:
            shot = self.shots[request.caption]
            clip = motion.draw_clip(shot, seconds=request.seconds, fps=FPS, height=128)
            assert np.array_equal(clip[0], request.keyframe)
            assert len(request.context) <= 2
            yield np.stack([clip[0]] * len(clip)) if self.still else clip


@dataclass(frozen=True, kw_only=True)
class Backend:
    shots: Shooter


def played() -> list[PlayhouseFilm]:
    return [story.film(SEED * SEEDS_A_RUN + number, shots=SHOTS, split="held-out") for number in range(FILMS)]


@pytest.fixture(scope="module")
def truth() -> motion.MotionResult:
    return motion.run(Backend(shots=Shooter(played())), FILMS, SEED, SHOTS)


def test_true_walks_go_where_they_should_and_still_ones_do_not(truth: motion.MotionResult) -> None:
    assert truth.headline.total >= 3
    assert truth.headline.rate == 1
    assert truth.share(motion.TRUTH) == truth.headline
    assert truth.share(motion.STILL).correct == 0


def test_a_shooter_that_stands_still_is_found_out() -> None:
    result = motion.run(Backend(shots=Shooter(played(), still=True)), FILMS, SEED, SHOTS, controls=False)
    assert result.headline.correct == 0
    assert {walk.condition for walk in result.walks} == {motion.GENERATED}


def test_estimated_travel_is_the_true_speed(truth: motion.MotionResult) -> None:
    """Wide shots show the whole stage: a walk is 0.35 frame heights a second, a run twice as fast."""
    wide = [walk for walk in truth.walks if walk.framing == "wide" and walk.condition == motion.TRUTH]
    assert wide
    for walk in wide:
        assert abs(walk.travel) > (0.3 if "walk" in walk.action else 0.6)


def test_the_other_way_is_wrong() -> None:
    told = {
        "condition": motion.GENERATED,
        "film": 1,
        "shot": 1,
        "name": "Mira",
        "framing": "wide",
        "camera": "static",
    }
    assert motion.Walk(action="walk left", travel=-0.3, **told).correct
    assert not motion.Walk(action="walk left", travel=0.3, **told).correct
    assert not motion.Walk(action="walk right", travel=0.01, **told).correct


def test_result_is_plain_data_and_a_table(truth: motion.MotionResult) -> None:
    told = json.loads(json.dumps(truth.as_dict(), allow_nan=False))
    assert told["shares"][motion.GENERATED]["total"] == truth.headline.total
    assert any(line.startswith("action: walk") for line in truth.table().splitlines())
