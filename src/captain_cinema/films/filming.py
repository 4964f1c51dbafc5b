"""One film on its way from a file to a draft: which stage comes next, and what to do when one fails."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from captain_cinema.films.finishing import FinishedDraft, FinishTask, finish
from captain_cinema.films.ledger import path_text, work_folder
from captain_cinema.films.media import MediaError, Probe
from captain_cinema.films.records import FilmRecord
from captain_cinema.films.report import printable
from captain_cinema.films.schedule import Job
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.spool import Spool, SpoolError
from captain_cinema.films.stretches import UNBROKEN, Plan, Stretch
from captain_cinema.films.survey import CHANGING, Survey, SurveyTask, survey
from captain_cinema.films.watching import Watched, WatchTask, watch
from captain_cinema.films.workers import WorkerDied

logger = logging.getLogger(__name__)

TURNS = 5
"""How often a film is begun at most: its file may change, what is kept of it may be damaged."""
GUESSED_BYTES = 250_000
"""Of a second of film whose header does not say how long it is."""
STOPPING = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))
"""What goes wrong with the disk goes wrong for every film."""
RANK_FINISH, RANK_WATCH = 1, 2


@dataclass(kw_only=True)
class Film:
    """A film, and how far it is."""

    path: Path
    survey: Survey
    dataset: Path
    settings: FilmSettings
    key: str
    """Digest of the settings that its draft depends on."""
    threads: int = 1
    stored: FilmRecord | None = None
    """As the dataset has it; nothing of it is decoded."""
    draft: Path | None = None
    failure: tuple[Literal["rejected", "error"], str] | None = None
    left: int = 0
    """Stretches that are still to be watched."""
    turn: int = 0
    """How often it was begun; jobs of an earlier turn count no more."""
    unbroken: bool = False
    spent: dict[str, float] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """First digits of the file's digest."""
        return self.survey.digest[:16]

    @property
    def folder(self) -> Path:
        """Where it is worked on."""
        return work_folder(self.dataset, self.id, self.key)

    @property
    def plan(self) -> Plan:
        """How it is divided."""
        plan = self.survey.plan
        return Plan(stretches=(UNBROKEN,)) if plan is None or self.unbroken else plan

    @property
    def seconds(self) -> float:
        """How long it is, as far as is known."""
        probe = self.survey.probe
        if probe is not None and probe.seconds:
            return probe.seconds
        return probe.size / GUESSED_BYTES if probe is not None else 0.0

    @property
    def is_ready(self) -> bool:
        """Whether it can be published, or never will be."""
        return self.stored is not None or self.draft is not None or self.failure is not None

    def record(self) -> FilmRecord:
        """What is known of it before it is decoded."""
        record = file_record(self.path, self.survey)
        record = replace(record, settings=self.settings.digest, detector=self.settings.detector)
        probe = self.survey.probe
        return record if probe is None else with_probe(record, probe)

    def begin(self) -> list[Job]:
        """The first jobs; none if its draft is there."""
        self.turn += 1
        self.stored = None
        if is_there(self.folder / "draft"):
            self.draft = self.folder / "draft"
            return []
        if self.survey.probe is None:
            return [self._job(survey, self._survey_task(), self._surveyed, RANK_WATCH)]
        self.left = len(self.plan.stretches)
        share = self.seconds / self.left
        return [
            self._job(watch, self._watch_task(self.survey.probe, stretch), self._watched, RANK_WATCH, share)
            for stretch in self.plan.stretches
        ]

    def failed(self, error: Exception) -> list[Job]:
        """A stage raised something: a verdict, another try, or the end of the build."""
        if isinstance(error, OSError) and error.errno in STOPPING:
            raise error
        if isinstance(error, MediaError):
            self.failure = (error.verdict, str(error))
        elif isinstance(error, SpoolError | FileNotFoundError) and self.turn < TURNS:
            shutil.rmtree(self.folder, ignore_errors=True)
            return self.begin()
        elif isinstance(error, MemoryError):
            self.failure = ("error", "there is not enough memory for it; try fewer --workers")
        elif isinstance(error, WorkerDied):
            self.failure = ("error", str(error))
        else:
            logger.warning("%s: a bug, please report it", self.path, exc_info=error)
            said = " ".join(str(error).split())
            self.failure = ("error", f"{type(error).__name__}: {said}")
        return []

    def _job(self, work, task, over, rank: int, seconds: float = 0.0) -> Job:
        turn = self.turn
        return Job(
            work=work,
            task=task,
            over=over,
            failed=self.failed,
            rank=rank,
            seconds=seconds,
            is_stale=lambda: self.turn != turn or self.failure is not None,
        )

    def _survey_task(self) -> SurveyTask:
        return SurveyTask(path=self.path, settings=self.settings, digest=self.survey.digest)

    def _watch_task(self, probe: Probe, stretch: Stretch) -> WatchTask:
        return WatchTask(
            path=self.path,
            digest=self.survey.digest,
            state=self.survey.state,
            probe=probe,
            settings=self.settings,
            stretch=stretch,
            stamps=self._stamps(),
            out=self._stretch_folder(stretch),
            threads=self.threads,
        )

    def _stamps(self) -> Path | None:
        plan = self.plan
        if plan.stamps is None:
            return None
        path = self.folder / f"stamps-{self.turn}.npy"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            np.save(path, plan.stamps)
        return path

    def _stretch_folder(self, stretch: Stretch) -> Path:
        name = "whole" if self.plan.stamps is None else f"stretch-{stretch.number:03d}"
        return self.folder / name

    def _watched(self, done: Watched) -> list[Job]:
        self._spend(done.spent)
        if done.outcome == "changed":
            return self._changed()
        if done.outcome == "broken":
            return self._in_one_piece()
        self.left -= 1
        if self.left:
            return []
        task = FinishTask(
            film=self.record(),
            settings=self.settings,
            stretches=tuple(self._stretch_folder(stretch) for stretch in self.plan.stretches),
            out=self.folder / "draft",
            key=self.key,
            threads=self.threads,
        )
        return [self._job(finish, task, self._finished, RANK_FINISH)]

    def _finished(self, done: FinishedDraft) -> list[Job]:
        self._spend(done.spent)
        if done.outcome == "broken":
            return self._in_one_piece()
        for stretch in self.plan.stretches:
            shutil.rmtree(self._stretch_folder(stretch), ignore_errors=True)
        self.draft = self.folder / "draft"
        return []

    def _in_one_piece(self) -> list[Job]:
        """Its stretches do not fit together."""
        self.unbroken = True
        return self.begin()

    def _changed(self) -> list[Job]:
        """Its file is another one now."""
        shutil.rmtree(self.folder, ignore_errors=True)
        if self.turn >= TURNS:
            self.failure = ("error", CHANGING)
            return []
        self.turn += 1
        task = replace(self._survey_task(), digest="")
        return [self._job(survey, task, self._surveyed, RANK_WATCH)]

    def _surveyed(self, found: Survey) -> list[Job]:
        self.survey, self.unbroken = found, False
        if found.verdict:
            self.failure = (found.verdict, found.reason)
            return []
        return self.begin()

    def _spend(self, spent: dict[str, float]) -> None:
        for kind, seconds in spent.items():
            self.spent[kind] = self.spent.get(kind, 0.0) + seconds


def file_record(path: Path, survey: Survey | None) -> FilmRecord:
    """The record of a file that nothing is known of but its name and content."""
    digest = survey.digest if survey is not None else ""
    state = survey.state if survey is not None else None
    return FilmRecord(
        id=digest[:16],
        name=printable(os.fsdecode(path.name)),
        path=path_text(path),
        digest=digest,
        size=state.size if state is not None else 0,
        verdict="ok",
    )


def with_probe(record: FilmRecord, probe: Probe) -> FilmRecord:
    """A record with what the film says of itself."""
    return replace(
        record,
        seconds=probe.seconds or 0.0,
        fps=probe.fps,
        width=probe.width,
        height=probe.height,
        codec=probe.codec,
    )


def is_there(folder: Path) -> bool:
    """Whether a spool is finished."""
    try:
        Spool(folder)
    except SpoolError:
        return False
    return True


def fold(films: Iterable[Film]) -> dict[str, float]:
    """Seconds by kind of work, of all films together."""
    total: dict[str, float] = {}
    for film in films:
        for kind, seconds in film.spent.items():
            total[kind] = total.get(kind, 0.0) + seconds
    return total
