"""Can one tell what a drawn frame shows, without its caption? Settings, hours, kinds, things, actions.

The truth of a playhouse frame is known, so it can be drawn again with one thing changed: in another setting,
at another hour, with another animal in the character's place, another thing in its hand. A drawn keyframe is
recognised if it is nearest to the picture with what its caption says. What the caption leaves open (the
layout of a place, which way a figure looks) is open for all answers alike: each has several pictures, and its
nearest counts. True frames, once through the codec, are what any model could reach.

A keyframe is asked for the pose too, which tells what its figure is about to do. Actions are measured on
clips that are shot from the true first frame, against the true clips of all actions; a clip that stands still
is what the first frame alone gives away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from jaxtyping import Bool, Float, UInt8

from captain_cinema.evaluate import motion
from captain_cinema.evaluate.colour import SATURATION, working_lab, working_mask
from captain_cinema.evaluate.identity import (
    CONTEXT,
    ROLLOUT,
    SEEDS_A_RUN,
    TRUTH,
    VISIBLE,
    Planner,
    roll_out,
    round_trip,
    teacher_forced,
    true_history,
)
from captain_cinema.evaluate.judge import best_fit, with_look
from captain_cinema.evaluate.shares import Share, table
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot
from captain_cinema.playhouse.world import (
    ACTIONS,
    ANIMALS,
    HOURS,
    INDOORS,
    PEOPLE,
    PROPS,
    SETTINGS,
    FrameState,
    Place,
    Pose,
)

SETTING, HOUR, ANIMAL, PERSON, PROP = "setting", "hour", "animal", "person", "thing in hand"
POSE, ACTION = "pose", "action"
"""What a figure does, as its keyframe tells and as its clip tells."""
QUESTIONS = (SETTING, HOUR, ANIMAL, PERSON, PROP, POSE, ACTION)

LAYOUTS = 4
"""Pictures of each setting, with other layouts; one of the true setting's is the film's own."""

LEAST_DIFFERENCE = 4.0
"""Pixels count where two answers differ by at least so much (CIELAB)."""

MOMENTS = (0.25, 0.5, 0.75, 1.0)
"""Of a clip's length: when an action is looked at."""

Progress = Callable[[int, int], None]
Picture = Float[np.ndarray, "rows cols 3"]


class Backend(motion.Backend, Protocol):
    """A preset's models."""

    @property
    def planner(self) -> Planner:
        """The keyframe model."""
        ...


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One answer to one question about one drawn frame or clip."""

    question: str
    """One of QUESTIONS."""
    condition: str
    film: int
    """The film's seed."""
    shot: int
    """From 1."""
    true: str
    seen: str
    """What the picture is nearest to."""
    candidates: int


@dataclass(frozen=True, kw_only=True)
class RecognitionResult:
    """All answers of a run, and how it was made."""

    films: int
    seed: int
    shots: int
    rollout: bool
    answers: tuple[Answer, ...]

    def share(self, question: str, condition: str) -> Share:
        """How often the answer is right, with the rate of blind choice."""
        found = [a for a in self.answers if a.question == question and a.condition == condition]
        chance = float(np.mean([1 / answer.candidates for answer in found])) if found else 0.0
        return Share(correct=sum(a.seen == a.true for a in found), total=len(found), chance=chance)

    def rows(self) -> list[tuple[str, Share]]:
        """All that is reported, label and share."""
        asked = dict.fromkeys((answer.question, answer.condition) for answer in self.answers)
        ordered = sorted(asked, key=lambda pair: QUESTIONS.index(pair[0]))
        return [
            (f"{question}, {condition}", self.share(question, condition)) for question, condition in ordered
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "measure": "recognition",
            "films": self.films,
            "seed": self.seed,
            "shots": self.shots,
            "rollout": self.rollout,
            "shares": {label: share.as_dict() for label, share in self.rows()},
            "answers": [asdict(answer) for answer in self.answers],
        }

    def table(self) -> str:
        """For people."""
        title = f"recognition: {self.films} held-out films of {self.shots} shots, seed {self.seed}"
        asked = dict.fromkeys(answer.question for answer in self.answers)
        chances = {
            q: self.share(q, next(a.condition for a in self.answers if a.question == q)) for q in asked
        }
        blind = ", ".join(f"{question} {share.chance:.3f}" for question, share in chances.items())
        return f"{title}\n{table(self.rows())}\nblind choice: {blind}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """What a drawn frame is compared with."""

    name: str
    true: str
    pictures: dict[str, tuple[Picture, ...]]
    """Of every answer, one or several."""
    where: Bool[np.ndarray, "rows cols"]
    movable: bool
    """Whether the pictures may be moved a little to where they fit best, as figures are."""

    def ask(self, frame: UInt8[np.ndarray, "h w 3"]) -> str:
        """The answer that the frame is nearest to; of equals the true one comes last."""
        picture = working_lab(frame)
        apart = best_fit if self.movable else difference
        order = [*(name for name in self.pictures if name != self.true), self.true]
        distances = [min(apart(picture, p, self.where) for p in self.pictures[name]) for name in order]
        return order[int(np.argmin(distances))]


def difference(picture: Picture, true: Picture, where: Bool[np.ndarray, "rows cols"]) -> float:
    """Mean CIELAB difference over `where`; large ones count alike."""
    apart = np.linalg.norm(picture[where] - true[where], axis=-1)
    return float(np.minimum(apart, SATURATION).mean())


def telling(pictures: Sequence[Picture]) -> Bool[np.ndarray, "rows cols"]:
    """Where answers differ: the pixels that can tell them apart."""
    stack = np.stack(pictures)
    return np.linalg.norm(stack.max(axis=0) - stack.min(axis=0), axis=-1) >= LEAST_DIFFERENCE


def run(
    backend: Backend,
    films: int,
    seed: int,
    shots: int = 12,
    rollout: bool = False,
    progress: Progress | None = None,
    *,
    height: int = 128,
) -> RecognitionResult:
    """Draw and shoot held-out films, and ask of every frame and clip what it shows.

    Args:
        backend: the models.
        films: how many films.
        seed: of the run: the films and the noise follow from it.
        shots: shots a film.
        rollout: give the keyframe model its own frames as history, not the true ones.
        progress: called after each film.
        height: of the frames, pixels.
    """
    answers: list[Answer] = []
    for number in range(films):
        film = story.film(seed * SEEDS_A_RUN + number, shots=shots, split="held-out")
        answers += keyframe_answers(backend.planner, film, rollout=rollout, height=height)
        for shot in range(len(film.shots)):
            answers += clip_answers(backend.shots, film, shot, height=height)
        if progress is not None:
            progress(number + 1, films)
    return RecognitionResult(films=films, seed=seed, shots=shots, rollout=rollout, answers=tuple(answers))


def keyframe_answers(
    planner: Planner, film: PlayhouseFilm, *, rollout: bool, height: int
) -> Iterator[Answer]:
    """Draw the keyframes of a film and ask what they show; the true ones too."""
    true = [render.draw(shot.state, height=height) for shot in film.shots]
    if rollout:
        drawn = {ROLLOUT: roll_out(planner, film)}
    else:
        history = true_history(planner, film.shots, true)
        drawn = {CONTEXT: teacher_forced(planner, film, history, range(len(film.shots)))}
    drawn[TRUTH] = round_trip(planner.codec, true)
    for number, shot in enumerate(film.shots):
        for question in questions(shot.state, film.seed, height=height):
            for condition, frames in drawn.items():
                seen = question.ask(frames[number])
                yield _answer(question.name, condition, film, number, question.true, seen, question.pictures)


def questions(state: FrameState, seed: int, *, height: int) -> Iterator[Question]:
    """What can be asked of a keyframe.

    Args:
        state: the true frame.
        seed: chooses the layouts of other settings.
        height: of a frame.
    """
    figures = [render.figure_mask(state, index, height=height) for index in range(len(state.poses))]
    free = ~working_mask(np.logical_or.reduce([np.zeros((height, 2 * height), bool), *figures]))
    if free.mean() >= VISIBLE:
        settings = {name: _layouts(state, name, seed, height=height) for name in SETTINGS}
        yield Question(name=SETTING, true=state.place.setting, pictures=settings, where=free, movable=False)
        hours = {hour: (_look(replace(state, hour=hour), height),) for hour in HOURS}
        yield Question(name=HOUR, true=state.hour, pictures=hours, where=free, movable=False)
    for index, pose in enumerate(state.poses):
        if figures[index].mean() < VISIBLE:
            continue
        kind, look = pose.character.look.kind, pose.character.look
        kinds = ANIMALS if kind in ANIMALS else PEOPLE
        changed = {k: with_look(state, index, replace(look, kind=k)) for k in kinds}
        yield _about(ANIMAL if kind in ANIMALS else PERSON, kind, changed, index, height=height)
        if pose.holds != "none":
            changed = {p: _with_pose(state, index, replace(pose, holds=p)) for p in PROPS}
            held = _about(PROP, pose.holds, changed, index, height=height)
            if held.where.mean() >= VISIBLE:
                yield held
        changed = {a: _with_pose(state, index, replace(pose, action=a)) for a in ACTIONS}
        yield _about(POSE, pose.action, changed, index, height=height)


def clip_answers(
    shooter: motion.Shooter, film: PlayhouseFilm, number: int, *, height: int
) -> Iterator[Answer]:
    """Shoot a shot from its true keyframe and ask what its figures do; the true clip and a still one too."""
    shot = film.shots[number]
    clips = motion.shoot(shooter, film, number, height=height, controls=True)
    for index in range(len(shot.state.poses)):
        if render.figure_mask(shot.state, index, height=height).mean() < VISIBLE:
            continue
        true = shot.state.poses[index].action
        frames = [round(moment * (len(clips[motion.TRUTH]) - 1)) for moment in MOMENTS]
        seconds = [frame / shooter.abilities.fps for frame in frames]
        told = {action: _acted(shot, index, action, seconds, height=height) for action in ACTIONS}
        where = [telling([told[action][n] for action in ACTIONS]) for n in range(len(frames))]
        for condition, clip in clips.items():
            seen = [working_lab(clip[frame]) for frame in frames]
            distances = {
                action: sum(difference(s, t, w) for s, t, w in zip(seen, told[action], where, strict=True))
                for action in (*(a for a in ACTIONS if a != true), true)
            }
            yield _answer(
                ACTION, condition, film, number, true, min(distances, key=distances.__getitem__), told
            )


def _answer(
    question: str,
    condition: str,
    film: PlayhouseFilm,
    number: int,
    true: str,
    seen: str,
    told: dict[str, Any],
) -> Answer:
    return Answer(
        question=question,
        condition=condition,
        film=film.seed,
        shot=number + 1,
        true=true,
        seen=seen,
        candidates=len(told),
    )


def _look(state: FrameState, height: int) -> Picture:
    return working_lab(render.draw(state, height=height))


def _layouts(state: FrameState, setting: str, seed: int, *, height: int) -> tuple[Picture, ...]:
    """A frame in a setting, with several layouts; in its own setting one of them is its own."""
    variants = [seed * LAYOUTS + number for number in range(LAYOUTS)]
    if setting == state.place.setting:
        variants[0] = state.place.variant
    weather = "clear" if setting in INDOORS else state.weather
    places = [Place(setting=setting, variant=variant % 2**31) for variant in variants]
    return tuple(_look(replace(state, place=place, weather=weather), height) for place in places)


def _about(name: str, true: str, changed: dict[str, FrameState], index: int, *, height: int) -> Question:
    """A question about a figure, which may look either way."""
    pictures = {
        answer: tuple(
            _look(_with_pose(state, index, replace(state.poses[index], facing=facing)), height)
            for facing in (-1, 1)
        )
        for answer, state in changed.items()
    }
    where = telling([picture for both in pictures.values() for picture in both])
    return Question(name=name, true=true, pictures=pictures, where=where, movable=True)


def _acted(
    shot: PlayhouseShot, index: int, action: str, seconds: Sequence[float], *, height: int
) -> tuple[Picture, ...]:
    """Some moments of a shot in which a figure does something else."""
    pose = shot.state.poses[index]
    facing = motion.direction(action) or pose.facing
    other = replace(shot, state=_with_pose(shot.state, index, replace(pose, action=action, facing=facing)))
    return tuple(_look(story.frame_state(other, time), height) for time in seconds)


def _with_pose(state: FrameState, index: int, pose: Pose) -> FrameState:
    return replace(state, poses=(*state.poses[:index], pose, *state.poses[index + 1 :]))
