"""The measure against planners and shooters that are known: the truth, and what shows something else."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from captain_cinema.evaluate import motion, recognition
from captain_cinema.evaluate.identity import CONTEXT, SEEDS_A_RUN, TRUTH
from captain_cinema.keyframes.planner import HistoryFrame
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot
from captain_cinema.playhouse.world import ANIMALS, HOURS, INDOORS, PROPS, FrameState, Place

SEED, SHOTS, FPS = 5, 6, 6


def played() -> PlayhouseFilm:
    return story.film(SEED * SEEDS_A_RUN, shots=SHOTS, split="held-out")


def changed(state: FrameState) -> FrameState:
    """A clear desert, other animals, other things in their hands."""
    poses = []
    for pose in state.poses:
        look = pose.character.look
        kind = _next(ANIMALS, look.kind) if look.kind in ANIMALS else look.kind
        holds = _next(PROPS, pose.holds) if pose.holds != "none" else "none"
        poses.append(
            replace(pose, character=replace(pose.character, look=replace(look, kind=kind)), holds=holds)
        )
    place = Place(setting="desert", variant=1)
    return replace(state, place=place, weather="clear", poses=tuple(poses))


def _next(things: Sequence[str], thing: str) -> str:
    return things[(things.index(thing) + 1) % len(things)]


class Planner:
    """Draws the true frame of a caption, or a changed one; figures look the other way."""

    codec = None
    retriever = None

    def __init__(self, film: PlayhouseFilm, *, wrong: bool = False) -> None:
        self.shots = {shot.caption: shot for shot in film.shots}
        self.wrong = wrong

    def draw(self, caption: str, history: Sequence[HistoryFrame], *, seed: int) -> Any:
        state = self.shots[caption].state
        poses = tuple(
            pose if motion.direction(pose.action) else replace(pose, facing=-pose.facing)
            for pose in state.poses
        )
        state = replace(state, poses=poses)
        if self.wrong:
            state = changed(state)
        return SimpleNamespace(frame=render.draw(state, height=128), embedding=None)


@dataclass(frozen=True, kw_only=True)
class Abilities:
    fps: int = FPS
    min_seconds: float = 1.0
    max_seconds: float = 2.0
    max_context: int = 2


class Shooter:
    """Shoots the truth, or everybody jumping."""

    abilities = Abilities()

    def __init__(self, film: PlayhouseFilm, action: str | None = None) -> None:
        self.shots: dict[str, PlayhouseShot] = {shot.caption: shot for shot in film.shots}
        self.action = action

    def generate(self, requests: Sequence[motion.ShotRequest]) -> Iterator[np.ndarray]:
        for request in requests:
            shot = self.shots[request.caption]
            if self.action is not None:
                poses = tuple(replace(pose, action=self.action) for pose in shot.state.poses)
                shot = replace(shot, state=replace(shot.state, poses=poses))
            yield motion.draw_clip(shot, seconds=request.seconds, fps=FPS, height=128)


@dataclass(frozen=True, kw_only=True)
class Backend:
    planner: Planner
    shots: Shooter


@pytest.fixture(scope="module")
def truth() -> recognition.RecognitionResult:
    film = played()
    return recognition.run(Backend(planner=Planner(film), shots=Shooter(film)), 1, SEED, SHOTS)


@pytest.fixture(scope="module")
def wrong() -> recognition.RecognitionResult:
    film = played()
    planner = Planner(film, wrong=True)
    return recognition.run(Backend(planner=planner, shots=Shooter(film, "jump")), 1, SEED, SHOTS)


def test_true_frames_and_clips_are_recognised(truth: recognition.RecognitionResult) -> None:
    asked = {answer.question for answer in truth.answers}
    assert asked >= {recognition.SETTING, recognition.HOUR, recognition.ACTION}
    assert asked & {recognition.ANIMAL, recognition.PERSON}
    for question in asked:
        conditions = {a.condition for a in truth.answers if a.question == question} - {motion.STILL}
        for condition in conditions:
            share = truth.share(question, condition)
            assert share.correct == share.total, (question, condition)
            assert share.total >= (1 if question == recognition.PROP else 3)


def test_other_places_animals_and_things_are_seen_as_what_they_are(
    wrong: recognition.RecognitionResult,
) -> None:
    film = played()
    for answer in wrong.answers:
        state = film.shots[answer.shot - 1].state
        if answer.condition == TRUTH:
            assert answer.seen == answer.true
        elif answer.condition != CONTEXT:
            continue
        elif answer.question == recognition.SETTING:
            assert answer.seen == "desert"
            assert answer.true == state.place.setting
        elif answer.question == recognition.ANIMAL:
            assert answer.seen == _next(ANIMALS, answer.true)
        elif answer.question == recognition.PROP:
            assert answer.seen == _next(PROPS, answer.true)


def test_another_hour_is_seen() -> None:
    outdoors = [shot.state for shot in played().shots if shot.state.place.setting not in INDOORS]
    assert outdoors
    state = replace(outdoors[0], hour="day")
    (asked,) = (q for q in recognition.questions(state, 0, height=128) if q.name == recognition.HOUR)
    assert [asked.ask(render.draw(replace(state, hour=hour), height=128)) for hour in HOURS] == list(HOURS)


def test_everybody_jumps(wrong: recognition.RecognitionResult) -> None:
    told = [a for a in wrong.answers if a.condition == motion.GENERATED]
    assert told
    alone = [a for a in told if len(played().shots[a.shot - 1].state.poses) == 1]
    assert alone
    assert {answer.seen for answer in alone} == {"jump"}


def test_a_clip_that_stands_still_shows_no_action(truth: recognition.RecognitionResult) -> None:
    still = truth.share(recognition.ACTION, motion.STILL)
    assert still.total == truth.share(recognition.ACTION, motion.TRUTH).total
    assert still.rate < 0.6


def test_chance_and_the_report(truth: recognition.RecognitionResult) -> None:
    assert truth.share(recognition.SETTING, CONTEXT).chance == pytest.approx(1 / 16)
    assert truth.share(recognition.HOUR, CONTEXT).chance == pytest.approx(1 / 4)
    assert truth.share(recognition.ACTION, motion.GENERATED).chance == pytest.approx(1 / 14)
    told = json.loads(json.dumps(truth.as_dict()))
    assert told["measure"] == "recognition"
    assert len(told["answers"]) == len(truth.answers)
    assert "setting, context" in truth.table()
    assert "blind choice: setting 0.062" in truth.table()


def test_nobody_knows_counts_as_wrong() -> None:
    """Where all answers fit alike, the true one does not win."""
    grey = np.full((64, 128, 3), 50.0, np.float32)
    pictures = {"fox": (grey,), "bear": (grey,)}
    question = recognition.Question(
        name="animal", true="fox", pictures=pictures, where=np.ones((64, 128), bool), movable=False
    )
    assert question.ask(np.zeros((128, 256, 3), np.uint8)) == "bear"
