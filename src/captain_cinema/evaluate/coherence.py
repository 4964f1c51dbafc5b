"""Coherence of whole films by length and method: the paper's Table 1 and figure 9 at small size.

Every film is made from its captions alone, as the command line would make it: keyframes, then clips, by one
of four methods (`project.methods`). Clips are judged at the middle: whether each character that the caption
only names is nearest to its own look (`identity`), whether a scene that comes back keeps its place (`scene`),
and whether figures go where the caption says (`motion`). Frames drawn without any memory show what chance
gives, the true clips what no method can better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from captain_cinema.evaluate.identity import (
    SEEDS_A_RUN,
    Subject,
    find_subjects,
    noise_seed,
    share_of,
    verdict,
)
from captain_cinema.evaluate.identity import Verdict as IdentityVerdict
from captain_cinema.evaluate.judge import line_up
from captain_cinema.evaluate.motion import LEAST_TRAVEL, direction, draw_clip, walkers
from captain_cinema.evaluate.scene import VARIANTS, first_shots, nearest_place, variants
from captain_cinema.evaluate.shares import Share
from captain_cinema.evaluate.track import travel
from captain_cinema.keyframes.planner import HistoryFrame
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.story import PlayhouseFilm
from captain_cinema.shots.ic_lora import cut_panel, draw_composite
from captain_cinema.shots.lct import Wording, film_block
from captain_cinema.shots.request import ShotRequest

OURS, ALONE, LCT, IC_LORA = "ours", "ours, no cross-shot attention", "lct", "ic-lora-i2v"
METHODS = (OURS, ALONE, LCT, IC_LORA)
NO_MEMORY, TRUTH = "no memory (stills)", "true clips"
LENGTHS = (8, 16, 32, 48)
MEASURES = ("identity", "scene", "motion")

BLOCK = 8
"""Shots that `lct` makes at once."""

CONTEXT = 3
"""Keyframes that a shot is shown beside its own."""

Progress = Callable[[str], None]
"""Told what is being made."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One judgement."""

    shots: int
    """Of the film."""
    method: str
    measure: str
    """One of MEASURES."""
    film: int
    """The film's seed."""
    shot: int
    """From 1."""
    right: bool
    chance: float
    """Of blind choice; 0 where there is no choice."""


@dataclass(frozen=True, kw_only=True)
class CoherenceResult:
    """All judgements of a run."""

    films: int
    seed: int
    judged: int
    marks: tuple[Mark, ...] = field(repr=False)

    def share(self, shots: int, method: str, measure: str) -> Share:
        """The rate of one cell of the table."""
        part = [m for m in self.marks if (m.shots, m.method, m.measure) == (shots, method, measure)]
        chance = float(np.mean([mark.chance for mark in part])) if part else 0.0
        return Share(correct=sum(mark.right for mark in part), total=len(part), chance=chance)

    def table(self) -> str:
        """For people: a row a method and length, the three measures with interval and sample count."""
        lengths = sorted({mark.shots for mark in self.marks})
        limit = f"at most {self.judged} shots judged a film" if self.judged else "all shots judged"
        lines = [f"coherence: {self.films} held-out films of each length, seed {self.seed}, {limit}"]
        lines.append(f"{'shots':>5}  {'method':<30}" + "".join(f"{name:<40}" for name in MEASURES).rstrip())
        for shots in lengths:
            for method in (*METHODS, NO_MEMORY, TRUTH):
                if any(mark.shots == shots and mark.method == method for mark in self.marks):
                    cells = "".join(f"{self.share(shots, method, m)!s:<40}" for m in MEASURES)
                    lines.append(f"{shots:>5}  {method:<30}{cells.rstrip()}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "measure": "coherence",
            "films": self.films,
            "seed": self.seed,
            "judged": self.judged,
            "marks": [asdict(mark) for mark in self.marks],
        }


def run(
    backend: Any,
    *,
    films: int,
    seed: int,
    lengths: Sequence[int] = LENGTHS,
    judged: int = 0,
    methods: Sequence[str] = METHODS,
    progress: Progress | None = None,
) -> CoherenceResult:
    """Make held-out films by every method and judge them.

    Args:
        backend: the models, with `planner` and `shots`.
        films: how many of each length.
        seed: of the run: the films and the noise follow from it.
        lengths: shots a film.
        judged: judge so many shots a film, the last ones, which need memory most; 0 for all.
        methods: some of METHODS.
        progress: told what is being made.
    """
    marks: list[Mark] = []
    for shots in lengths:
        for number in range(films):
            film = story.film(seed * SEEDS_A_RUN + number, shots=shots, split="held-out")
            case = Case.of(film, judged=judged, height=backend.shots.abilities.height)
            marks += case.marks(TRUTH, case.true_clips(backend.shots.abilities.fps))
            marks += case.still_marks(backend.planner)
            for method in methods:
                if progress is not None:
                    progress(f"{shots} shots, film {number + 1} of {films}: {method}")
                marks += case.marks(method, case.clips(backend, method))
    return CoherenceResult(films=films, seed=seed, judged=judged, marks=tuple(marks))


@dataclass(kw_only=True)
class Case:
    """One film and what of it is judged."""

    film: PlayhouseFilm
    height: int
    subjects: list[Subject]
    returns: dict[int, int]
    """Judged shots whose scene was there before -> the scene's first shot."""
    walks: list[int]
    keyframes: list[HistoryFrame] = field(default_factory=list)
    """Drawn once, for both methods that start from them."""
    shown: list[tuple[int, ...]] = field(default_factory=list)
    """For every shot, the earlier ones whose keyframes its clip is shown, from 0."""

    @staticmethod
    def of(film: PlayhouseFilm, *, judged: int, height: int) -> Case:
        """What there is to judge in a film, of its last shots."""
        subjects, returns = find_subjects(film, height=height), first_shots(film)
        walks = [n for n, shot in enumerate(film.shots) if walkers(shot, height=height)]
        numbers = sorted({subject.shot for subject in subjects} | set(returns) | set(walks))
        kept = set(numbers[-judged:] if judged else numbers)
        return Case(
            film=film,
            height=height,
            subjects=[subject for subject in subjects if subject.shot in kept],
            returns={number: first for number, first in returns.items() if number in kept},
            walks=[number for number in walks if number in kept],
        )

    @property
    def wanted(self) -> list[int]:
        """Shots that are filmed: those judged, and the first ones of the scenes they are compared with."""
        judged = {subject.shot for subject in self.subjects} | set(self.walks)
        return sorted(judged | set(self.returns) | set(self.returns.values()))

    def true_clips(self, fps: int) -> dict[int, np.ndarray]:
        """The clips as the playhouse draws them."""
        shots = self.film.shots
        return {
            n: draw_clip(shots[n], seconds=shots[n].seconds, fps=fps, height=self.height) for n in self.wanted
        }

    def clips(self, backend: Any, method: str) -> dict[int, np.ndarray]:
        """Film the wanted shots by a method."""
        if method == LCT:
            return dict(self._lct(backend))
        if method == IC_LORA:
            captions = [shot.caption for shot in self.film.shots]
            picture = draw_composite(backend.planner, captions, seed=noise_seed(self.film, 0))
            size = (self.height, 2 * self.height)
            frames = {n: cut_panel(picture, n, *size) for n in self.wanted}
            return {n: self._film(backend.shots, n, frames[n], ()) for n in self.wanted}
        if not self.keyframes:
            self._draw(backend.planner)
        found = {}
        for n in self.wanted:
            others = self.shown[n] if method == OURS else ()
            context = tuple(self.keyframes[other].frame for other in others)
            found[n] = self._film(backend.shots, n, self.keyframes[n].frame, context)
        return found

    def _draw(self, planner: Any) -> None:
        """All keyframes, each seeing those before it, as a storyboard is drawn."""
        for n, shot in enumerate(self.film.shots):
            drawn = planner.draw(shot.caption, self.keyframes, seed=noise_seed(self.film, n))
            best = sorted(drawn.memory, key=lambda use: (use.score, use.number), reverse=True)[:CONTEXT]
            self.shown.append(tuple(sorted(use.number - 1 for use in best)))
            self.keyframes.append(
                HistoryFrame(number=n + 1, caption=shot.caption, frame=drawn.frame, embedding=drawn.embedding)
            )

    def _film(
        self, shooter: Any, n: int, keyframe: np.ndarray, context: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        shot = self.film.shots[n]
        request = ShotRequest(
            keyframe=keyframe,
            caption=shot.caption,
            film_caption=self.film.caption,
            seconds=shot.seconds,
            seed=noise_seed(self.film, n),
            context=context,
            number=n + 1,
        )
        return next(iter(shooter.generate([request])))

    def _lct(self, backend: Any) -> Iterator[tuple[int, np.ndarray]]:
        wanted = set(self.wanted)
        for start in range(0, len(self.film.shots), BLOCK):
            numbers = range(start, min(start + BLOCK, len(self.film.shots)))
            if wanted.isdisjoint(numbers):
                continue
            block = [
                Wording(
                    caption=self.film.shots[n].caption,
                    film_caption=self.film.caption,
                    seconds=self.film.shots[n].seconds,
                    seed=noise_seed(self.film, n),
                    number=n + 1,
                )
                for n in numbers
            ]
            for n, clip in zip(numbers, film_block(backend.planner, backend.shots, block), strict=True):
                if n in wanted:
                    yield n, clip

    def still_marks(self, planner: Any) -> list[Mark]:
        """Identity and scene of frames that are drawn from their captions alone: what chance gives."""
        judged = sorted({s.shot for s in self.subjects} | set(self.returns) | set(self.returns.values()))
        stills = {
            n: planner.draw(self.film.shots[n].caption, [], seed=noise_seed(self.film, n)).frame[None]
            for n in judged
        }
        return [mark for mark in self.marks(NO_MEMORY, stills) if mark.measure != "motion"]

    def marks(self, method: str, clips: dict[int, np.ndarray]) -> list[Mark]:
        """Judge the clips of one method."""
        found = [*self._identity(method, clips), *self._scene(method, clips)]
        if method != NO_MEMORY:
            found += self._motion(method, clips)
        return found

    def _mark(self, method: str, measure: str, n: int, right: bool, chance: float = 0.0) -> Mark:
        return Mark(
            shots=len(self.film.shots),
            method=method,
            measure=measure,
            film=self.film.seed,
            shot=n + 1,
            right=right,
            chance=chance,
        )

    def _middle(self, n: int, clip: np.ndarray) -> tuple[np.ndarray, Any]:
        """The frame in the middle of a clip, and the truth of that moment."""
        shot, place = self.film.shots[n], len(clip) // 2
        seconds = 0.0 if len(clip) == 1 else shot.seconds * place / len(clip)
        return clip[place], story.frame_state(shot, seconds)

    def _identity(self, method: str, clips: dict[int, np.ndarray]) -> list[Mark]:
        marks = []
        for subject in self.subjects:
            frame, state = self._middle(subject.shot, clips[subject.shot])
            if not render.figure_mask(state, subject.index, height=self.height).any():
                continue  # it has walked out of the picture
            lineup = line_up(state, subject.index, subject.candidates, height=self.height)
            said: IdentityVerdict = verdict(method, self.film, subject, lineup, frame)
            chance = share_of([said]).chance
            marks.append(self._mark(method, "identity", subject.shot, said.correct, chance))
        return marks

    def _scene(self, method: str, clips: dict[int, np.ndarray]) -> list[Mark]:
        marks = []
        for n, first in self.returns.items():
            scene = self.film.shots[n].scene
            places = variants(self.film, scene, self.film.shots[n].state.place)
            chosen = {
                nearest_place(*self._middle(k, clips[k]), places, height=self.height) for k in (first, n)
            }
            marks.append(self._mark(method, "scene", n, len(chosen) == 1, 1 / VARIANTS))
        return marks

    def _motion(self, method: str, clips: dict[int, np.ndarray]) -> list[Mark]:
        marks = []
        for n in self.walks:
            state = self.film.shots[n].state
            masks = [
                render.figure_mask(state, index, height=self.height) for index in range(len(state.poses))
            ]
            for index in walkers(self.film.shots[n], height=self.height):
                far = travel(clips[n], masks[index], np.logical_or.reduce(masks))
                right = far * direction(state.poses[index].action) >= LEAST_TRAVEL
                marks.append(self._mark(method, "motion", n, bool(right)))
        return marks
