"""The headline measure: is a character still itself where the caption gives only its name?

On held-out playhouse films (looks and names never trained on), each shot is drawn with the frames before it
as history. For every character that the shot's caption names without describing, the judge says which look
the drawn figure is nearest to: its own, another's of the cast, or one of eight strangers'. The same captions
are drawn again with no history and with another film's, which is what a model reaches that knows nothing of
the character; the true frames, once through the codec, are judged too, which is the most that any model could
reach.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch

from captain_cinema.evaluate.judge import LineUp, judge, line_up
from captain_cinema.evaluate.shares import Share, group_by, table
from captain_cinema.keyframes.planner import HistoryFrame
from captain_cinema.playhouse import looks, render, story
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot
from captain_cinema.playhouse.world import FrameState, Look

STRANGERS = 8
VISIBLE = 0.01
"""A figure is judged if it covers at least this share of the frame."""

SEEDS_A_RUN = 100_000
"""Films of run seed s have seeds from s times this on, so that runs never share a film."""

CONTEXT, ROLLOUT, NO_CONTEXT, OTHER_FILM, TRUTH = (
    "context",
    "rollout",
    "no context",
    "other film",
    "true frames",
)
CONDITIONS = (CONTEXT, ROLLOUT, NO_CONTEXT, OTHER_FILM, TRUTH)

Progress = Callable[[int, int], None]
"""Called with (films done, films in all)."""


class Planner(Protocol):
    """What is measured: draws one keyframe from a caption and the frames before it."""

    @property
    def codec(self) -> Any:
        """Frames to tokens and back; None when the frames are drawn without one."""
        ...

    @property
    def retriever(self) -> Any:
        """Embeds frames for the choice of the context; None when nothing is chosen."""
        ...

    def draw(self, caption: str, history: Sequence[HistoryFrame], *, seed: int) -> Any:
        """The keyframe, with the attribute `frame` (uint8 RGB, [h, w, 3]) and its `embedding`."""
        ...


class Backend(Protocol):
    """A preset's models."""

    @property
    def planner(self) -> Planner:
        """The keyframe model."""
        ...


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One judged figure."""

    condition: str
    """One of CONDITIONS."""
    film: int
    """The film's seed."""
    shot: int
    """From 1."""
    name: str
    chosen: str
    """"own", "cast" or "stranger": whose look was nearest."""
    candidates: int
    figures: int
    """Characters in the shot."""
    framing: str
    unseen: int
    """Shots since the character was last in the frame, 1 for the shot before."""
    margin: float
    """Distance to the nearest wrong look less that to the own look, in CIELAB units: positive is right."""

    @property
    def correct(self) -> bool:
        """Is the own look nearest?"""
        return self.chosen == "own"


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A figure to be judged: `state.poses[index]` of a shot, and the looks to choose from, its own first."""

    shot: int
    index: int
    name: str
    candidates: tuple[Look, ...]
    cast: int
    """How many of the candidates after the first are of the same cast; the rest are strangers."""
    unseen: int


@dataclass(frozen=True, kw_only=True)
class IdentityResult:
    """All verdicts of a run, and how it was made."""

    films: int
    seed: int
    shots: int
    rollout: bool
    verdicts: tuple[Verdict, ...]

    def share(self, condition: str) -> Share:
        """The rate of one condition, with the rate of blind choice among the candidates."""
        return share_of([verdict for verdict in self.verdicts if verdict.condition == condition])

    @property
    def headline(self) -> Share:
        """The rate with the film's own context."""
        return self.share(ROLLOUT if self.rollout else CONTEXT)

    def rows(self) -> list[tuple[str, Share]]:
        """All that is reported, label and share."""
        done = {verdict.condition for verdict in self.verdicts}
        main = [
            verdict
            for verdict in self.verdicts
            if verdict.condition == (ROLLOUT if self.rollout else CONTEXT)
        ]
        rows = [(condition, self.share(condition)) for condition in CONDITIONS if condition in done]
        for label, key in BREAKDOWNS.items():
            rows += [(f"{label} {name}", share_of(part)) for name, part in group_by(main, key).items()]
        return rows

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "measure": "identity",
            "films": self.films,
            "seed": self.seed,
            "shots": self.shots,
            "rollout": self.rollout,
            "shares": {label: share.as_dict() for label, share in self.rows()},
            "verdicts": [asdict(verdict) for verdict in self.verdicts],
        }

    def table(self) -> str:
        """For people."""
        title = f"identity: {self.films} held-out films of {self.shots} shots, seed {self.seed}"
        chance = f"blind choice among the candidates: {self.headline.chance:.3f}"
        return f"{title}\n{table(self.rows())}\n{chance}"


BREAKDOWNS: dict[str, Callable[[Verdict], str]] = {
    "figures in the shot:": lambda verdict: str(verdict.figures),
    "framing:": lambda verdict: verdict.framing,
    "last seen, shots ago:": lambda verdict: str(verdict.unseen) if verdict.unseen < 4 else "4 or more",
}


def share_of(verdicts: Sequence[Verdict]) -> Share:
    """The rate of correct verdicts."""
    chance = float(np.mean([1 / verdict.candidates for verdict in verdicts])) if verdicts else 0.0
    return Share(correct=sum(verdict.correct for verdict in verdicts), total=len(verdicts), chance=chance)


def run(
    backend: Backend,
    films: int,
    seed: int,
    shots: int = 12,
    rollout: bool = False,
    progress: Progress | None = None,
    *,
    height: int = 128,
    controls: bool = True,
) -> IdentityResult:
    """Draw held-out films and judge every figure whose caption gives only its name.

    Args:
        backend: the models.
        films: how many films.
        seed: of the run: the films, the strangers and the noise follow from it.
        shots: shots a film.
        rollout: give the model its own frames as history, not the true ones.
        progress: called after each film.
        height: of the frames, pixels.
        controls: also draw without history and with another film's, and judge the true frames.
    """
    verdicts: list[Verdict] = []
    for number in range(films):
        film = story.film(seed * SEEDS_A_RUN + number, shots=shots, split="held-out")
        other = story.film(seed * SEEDS_A_RUN + SEEDS_A_RUN // 2 + number, shots=shots, split="held-out")
        verdicts += film_verdicts(
            backend.planner, film, other, rollout=rollout, height=height, controls=controls
        )
        if progress is not None:
            progress(number + 1, films)
    return IdentityResult(films=films, seed=seed, shots=shots, rollout=rollout, verdicts=tuple(verdicts))


def film_verdicts(
    planner: Planner, film: PlayhouseFilm, other: PlayhouseFilm, *, rollout: bool, height: int, controls: bool
) -> list[Verdict]:
    """Draw one film under every condition and judge it."""
    subjects = find_subjects(film, height=height)
    wanted = sorted({subject.shot for subject in subjects})
    true_frames = [render.draw(shot.state, height=height) for shot in film.shots]
    if rollout:
        drawn = {ROLLOUT: roll_out(planner, film)}
    else:
        drawn = {
            CONTEXT: teacher_forced(planner, film, true_history(planner, film.shots, true_frames), wanted)
        }
    if controls:
        other_frames = [render.draw(shot.state, height=height) for shot in other.shots]
        foreign = true_history(planner, other.shots, other_frames)
        drawn[NO_CONTEXT] = teacher_forced(planner, film, [], wanted)
        drawn[OTHER_FILM] = teacher_forced(planner, film, foreign, wanted)
        drawn[TRUTH] = round_trip(planner.codec, true_frames)
    verdicts: list[Verdict] = []
    for subject in subjects:
        lineup = line_up(film.shots[subject.shot].state, subject.index, subject.candidates, height=height)
        verdicts += [
            verdict(condition, film, subject, lineup, frames[subject.shot])
            for condition, frames in drawn.items()
        ]
    return verdicts


def find_subjects(film: PlayhouseFilm, *, height: int) -> list[Subject]:
    """Figures that the caption names without describing and that are seen well enough to be judged."""
    rng = np.random.default_rng([film.seed, STRANGERS])
    found: list[Subject] = []
    last_seen: dict[str, int] = {}
    for number, shot in enumerate(film.shots):
        for index, pose in enumerate(shot.state.poses):
            name = pose.character.name
            by_name_only = name in shot.names and name not in shot.introduces and name in last_seen
            if by_name_only and render.figure_mask(shot.state, index, height=height).mean() >= VISIBLE:
                others = [member.look for member in film.cast if member.look != pose.character.look]
                taken = [pose.character.look, *others]
                candidates = (*taken, *strangers(rng, taken))
                unseen = number - last_seen[name]
                found.append(
                    Subject(
                        shot=number,
                        index=index,
                        name=name,
                        candidates=candidates,
                        cast=len(others),
                        unseen=unseen,
                    )
                )
        last_seen |= {pose.character.name: number for pose in shot.state.poses}
    return found


def strangers(rng: np.random.Generator, taken: Sequence[Look]) -> Iterator[Look]:
    """Held-out looks that nobody in the cast has."""
    seen = list(taken)
    while len(seen) < len(taken) + STRANGERS:
        look = looks.random_look(rng, split="held-out")
        if look not in seen:
            seen.append(look)
            yield look


def true_history(
    planner: Planner, shots: Sequence[PlayhouseShot], frames: Sequence[np.ndarray]
) -> list[HistoryFrame]:
    """Pairs of a film as the planner reads them; frames are embedded once, not again for every shot."""
    embed = planner.retriever.embed_frame if planner.retriever else lambda frame: None
    return [
        HistoryFrame(number=number, caption=shot.caption, frame=frame, embedding=embed(frame))
        for number, (shot, frame) in enumerate(zip(shots, frames, strict=True), start=1)
    ]


def teacher_forced(
    planner: Planner, film: PlayhouseFilm, history: Sequence[HistoryFrame], wanted: Sequence[int]
) -> dict[int, np.ndarray]:
    """Draw the wanted shots, each after as many frames of the given history as came before it."""
    return {
        number: planner.draw(
            film.shots[number].caption, history[:number], seed=noise_seed(film, number)
        ).frame
        for number in wanted
    }


def roll_out(planner: Planner, film: PlayhouseFilm) -> dict[int, np.ndarray]:
    """Draw all shots in order, each after the frames that were drawn before it."""
    history: list[HistoryFrame] = []
    for number, shot in enumerate(film.shots):
        drawn = planner.draw(shot.caption, history, seed=noise_seed(film, number))
        history.append(
            HistoryFrame(
                number=number + 1, caption=shot.caption, frame=drawn.frame, embedding=drawn.embedding
            )
        )
    return {pair.number - 1: pair.frame for pair in history}


def round_trip(codec: Any, frames: Sequence[np.ndarray]) -> dict[int, np.ndarray]:
    """The true frames as the codec passes them on: no model can draw better."""
    if codec is None:
        return dict(enumerate(frames))
    decoded = codec.decode_latents(codec.encode_latents(torch.from_numpy(np.stack(frames))))
    return dict(enumerate(decoded.cpu().numpy()))


def noise_seed(film: PlayhouseFilm, number: int) -> int:
    """The same noise for a shot under every condition."""
    return (film.seed * 1009 + number) % 2**31


def verdict(
    condition: str, film: PlayhouseFilm, subject: Subject, lineup: LineUp, frame: np.ndarray
) -> Verdict:
    """Judge one figure of one drawn frame."""
    state: FrameState = film.shots[subject.shot].state
    judgement = judge(frame, lineup)
    nearest = judgement.nearest
    chosen = "own" if nearest == 0 else "cast" if nearest <= subject.cast else "stranger"
    return Verdict(
        condition=condition,
        film=film.seed,
        shot=subject.shot + 1,
        name=subject.name,
        chosen=chosen,
        candidates=len(subject.candidates),
        figures=len(state.poses),
        framing=state.framing,
        unseen=subject.unseen,
        margin=judgement.margin,
    )
