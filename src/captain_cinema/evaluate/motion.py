"""Does a character go where the caption says? Measured on held-out walking shots of the playhouse.

Each shot starts from its true first frame, with the true keyframes before it as context, so that only the
shot model is measured. The travel of every walking or running figure is estimated by template matching; the
true clips must come out near 1, clips that stand still at 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from captain_cinema.evaluate.identity import SEEDS_A_RUN, VISIBLE, noise_seed
from captain_cinema.evaluate.shares import Share, group_by, table
from captain_cinema.evaluate.track import travel
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot
from captain_cinema.playhouse.world import TRAVELLING
from captain_cinema.shots.request import ShotRequest

LEAST_TRAVEL = 0.05
"""A figure has moved if it went at least this far in the whole shot, in frame heights."""

GENERATED, TRUTH, STILL = "generated", "true clips", "still clips"
CONDITIONS = (GENERATED, TRUTH, STILL)

Progress = Callable[[int, int], None]
"""Called with (films done, films in all)."""


class Shooter(Protocol):
    """What is measured: turns keyframes into clips."""

    @property
    def abilities(self) -> Any:
        """At least `fps`, `min_seconds`, `max_seconds` and `max_context`."""
        ...

    def generate(self, requests: Sequence[ShotRequest]) -> Iterator[np.ndarray]:
        """A clip for each request: uint8 RGB, [frames, h, w, 3]."""
        ...


class Backend(Protocol):
    """A preset's models."""

    @property
    def shots(self) -> Shooter:
        """The shot model."""
        ...


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The travel of one figure in one clip."""

    condition: str
    """One of CONDITIONS."""
    film: int
    """The film's seed."""
    shot: int
    """From 1."""
    name: str
    action: str
    framing: str
    camera: str
    travel: float
    """In frame heights over the whole clip; negative is left."""

    @property
    def correct(self) -> bool:
        """Did it go where the caption says?"""
        return self.travel * direction(self.action) >= LEAST_TRAVEL


@dataclass(frozen=True, kw_only=True)
class MotionResult:
    """All walks of a run, and how it was made."""

    films: int
    seed: int
    shots: int
    walks: tuple[Walk, ...]

    def share(self, condition: str) -> Share:
        """The rate of one condition."""
        return share_of([walk for walk in self.walks if walk.condition == condition])

    @property
    def headline(self) -> Share:
        """The rate of the generated clips."""
        return self.share(GENERATED)

    def rows(self) -> list[tuple[str, Share]]:
        """All that is reported, label and share."""
        made = [walk for walk in self.walks if walk.condition == GENERATED]
        rows = [(condition, self.share(condition)) for condition in CONDITIONS]
        for label, key in BREAKDOWNS.items():
            rows += [(f"{label} {name}", share_of(part)) for name, part in group_by(made, key).items()]
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "measure": "motion",
            "films": self.films,
            "seed": self.seed,
            "shots": self.shots,
            "shares": {label: share.as_dict() for label, share in self.rows()},
            "walks": [asdict(walk) for walk in self.walks],
        }

    def table(self) -> str:
        """For people."""
        title = f"motion: {self.films} held-out films of {self.shots} shots, seed {self.seed}"
        return f"{title}\n{table(self.rows())}"


BREAKDOWNS: dict[str, Callable[[Walk], str]] = {
    "action:": lambda walk: walk.action,
    "framing:": lambda walk: walk.framing,
    "camera:": lambda walk: walk.camera,
}


def direction(action: str) -> int:
    """-1 left, +1 right, 0 for actions that stay in place."""
    if action not in TRAVELLING:
        return 0
    return 1 if action.endswith("right") else -1


def share_of(walks: Sequence[Walk]) -> Share:
    """The rate of walks in the caption's direction."""
    return Share(correct=sum(walk.correct for walk in walks), total=len(walks))


def run(
    backend: Backend,
    films: int,
    seed: int,
    shots: int = 12,
    progress: Progress | None = None,
    *,
    height: int = 128,
    controls: bool = True,
) -> MotionResult:
    """Shoot the walking shots of held-out films and measure which way the figures go.

    Args:
        backend: the models.
        films: how many films.
        seed: of the run: the films and the noise follow from it.
        shots: shots a film.
        progress: called after each film.
        height: of the frames, pixels.
        controls: also measure the true clips and still ones.
    """
    walks: list[Walk] = []
    for number in range(films):
        film = story.film(seed * SEEDS_A_RUN + number, shots=shots, split="held-out")
        for index in walking_shots(film, height=height):
            walks += shot_walks(backend.shots, film, index, height=height, controls=controls)
        if progress is not None:
            progress(number + 1, films)
    return MotionResult(films=films, seed=seed, shots=shots, walks=tuple(walks))


def walking_shots(film: PlayhouseFilm, *, height: int) -> list[int]:
    """Numbers, from 0, of the shots in which a well visible figure walks or runs."""
    return [number for number, shot in enumerate(film.shots) if walkers(shot, height=height)]


def walkers(shot: PlayhouseShot, *, height: int) -> list[int]:
    """Which of the shot's poses walk or run and are seen well enough to be followed."""
    return [
        index
        for index, pose in enumerate(shot.state.poses)
        if direction(pose.action) and render.figure_mask(shot.state, index, height=height).mean() >= VISIBLE
    ]


def shot_walks(
    shooter: Shooter, film: PlayhouseFilm, number: int, *, height: int, controls: bool
) -> list[Walk]:
    """Shoot one shot and follow its walkers; the true clip and a still one with it."""
    shot = film.shots[number]
    clips = shoot(shooter, film, number, height=height, controls=controls)
    masks = [render.figure_mask(shot.state, index, height=height) for index in range(len(shot.state.poses))]
    return [
        Walk(
            condition=condition,
            film=film.seed,
            shot=number + 1,
            name=shot.state.poses[index].character.name,
            action=shot.state.poses[index].action,
            framing=shot.state.framing,
            camera=shot.state.camera,
            travel=travel(clip, masks[index], np.logical_or.reduce(masks)),
        )
        for condition, clip in clips.items()
        for index in walkers(shot, height=height)
    ]


def shoot(
    shooter: Shooter, film: PlayhouseFilm, number: int, *, height: int, controls: bool
) -> dict[str, np.ndarray]:
    """A shot's clip from its true keyframe, by condition; the true clip and a still one with it."""
    shot = film.shots[number]
    able = shooter.abilities
    seconds = min(max(shot.seconds, able.min_seconds), able.max_seconds)
    true_clip = draw_clip(shot, seconds=seconds, fps=able.fps, height=height)
    before = film.shots[max(0, number - able.max_context) : number]
    request = ShotRequest(
        keyframe=true_clip[0],
        caption=shot.caption,
        film_caption=film.caption,
        seconds=seconds,
        seed=noise_seed(film, number),
        context=tuple(render.draw(earlier.state, height=height) for earlier in before),
    )
    clips = {GENERATED: np.asarray(next(iter(shooter.generate([request]))))}
    if controls:
        clips |= {TRUTH: true_clip, STILL: np.stack([true_clip[0]] * len(true_clip))}
    return clips


def draw_clip(shot: PlayhouseShot, *, seconds: float, fps: float, height: int) -> np.ndarray:
    """The true clip: uint8 RGB, [frames, h, w, 3]."""
    times = [number / fps for number in range(round(seconds * fps))]
    return np.stack([render.draw(story.frame_state(shot, time), height=height) for time in times])
