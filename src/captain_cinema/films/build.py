"""Films into a dataset: who decodes what, in which order it is published, what an earlier run left.

Films are decoded by whoever is free, in any order. They are published in the order of their names, since a
film's duplicates depend on the films before it. So the dataset is a function of films and settings.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate import Annotator, Usage, unused_keys
from captain_cinema.films.filming import STOPPING, Film, file_record, fold, is_there
from captain_cinema.films.finishing import versions
from captain_cinema.films.ledger import WORK, Ledger, draft_key, path_text, sweep_parts
from captain_cinema.films.ordering import Publisher, note_file
from captain_cinema.films.publishing import AnnotatorChoice, fingerprint, kept_draft
from captain_cinema.films.records import FilmRecord
from captain_cinema.films.report import BuildReport, Event, Tell, summary
from captain_cinema.films.schedule import Job, Schedule
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.paths import MANIFEST, ROOMS
from captain_cinema.films.store.writer import clean, create_dataset
from captain_cinema.films.survey import Survey, SurveyTask, file_state, survey
from captain_cinema.films.workers import Crew

RANK_SURVEY = 0


@dataclass(frozen=True, kw_only=True)
class BuildTask:
    """What is to be built."""

    films: Sequence[Path]
    """In the order in which they are reported."""
    dataset: Path
    settings: FilmSettings
    choice: AnnotatorChoice = field(default_factory=AnnotatorChoice)
    threads: int = 1
    """Of every decoder; the result does not depend on it."""


def build(task: BuildTask, crew: Crew, tell: Tell = lambda event: None) -> BuildReport:
    """Make the dataset hold these films, and do only what is not done yet.

    Raises:
        CinemaError: nothing could start: no film, a folder that holds something else, another build at work.
        OSError: the disk is full or cannot be written; what is finished is kept.
    """
    try:
        if not task.films:
            raise CinemaError("there is no film to build from; name films, folders of films, or patterns")
        # Workers may be elsewhere: what they are told of does not depend on where this process is.
        task = replace(
            task,
            dataset=Path(os.path.abspath(task.dataset)),
            films=[Path(os.path.abspath(path)) for path in task.films],
        )
        _forget_beginnings(task.dataset)
        create_dataset(task.dataset, task.settings)
        with _alone_in(task.dataset), closing(_reader(task, tell)) as reader:
            reader.check()
            clean(task.dataset)
            sweep_parts(task.dataset)
            return _Build(task, crew, tell, reader, Ledger.load(task.dataset)).run()
    finally:
        crew.close()


def _reader(task: BuildTask, tell: Tell) -> Annotator:
    def told(usage: Usage) -> None:
        text = f"annotation: {usage}"
        tell(Event(done=usage.done, total=usage.frames, text=text, quiet=True, kind="annotation"))

    return task.choice.make(task.dataset, told)


def _forget_beginnings(dataset: Path) -> None:
    """A kill in the first moments leaves rooms with nothing in them: the folder is as good as new."""
    if not dataset.is_dir() or (dataset / MANIFEST).exists():
        return
    inside = list(dataset.iterdir())
    if all(path.name in ROOMS or path.name.endswith(".part") for path in inside):
        for path in inside:
            with suppress(OSError):  # a folder that holds something stays, and is told of
                path.rmdir() if path.is_dir() else path.unlink()


@contextmanager
def _alone_in(dataset: Path) -> Iterator[None]:
    """Two builds at once would undo each other's work."""
    import filelock

    (dataset / WORK).mkdir(exist_ok=True)
    try:
        lock = filelock.FileLock(dataset / WORK / "lock").acquire(timeout=0)
    except filelock.Timeout:
        raise CinemaError(
            f"another build is at work in {dataset}; wait for its end, or build another dataset"
        ) from None
    with lock:
        yield


class _Build:
    """One run."""

    def __init__(self, task: BuildTask, crew: Crew, tell: Tell, reader: Annotator, ledger: Ledger) -> None:
        self.task, self.crew, self.tell, self.reader, self.ledger = task, crew, tell, reader, ledger
        self.key = draft_key(task.settings)
        self.done = self.total = 0.0
        self.found = 0

    def run(self) -> BuildReport:
        """Survey, decode, publish."""
        surveys = self._survey_all(list(dict.fromkeys(self.task.films)))
        self.ledger.note(surveys)
        films, copies = self._group(surveys)
        for key in unused_keys(self.task.choice.cast, [film.record() for film in films]):
            self.tell(Event(done=0, total=0, text=f"the cast file's '{key}' is the name of no film here"))
        publisher = Publisher(
            dataset=self.task.dataset,
            settings=self.task.settings,
            choice=self.task.choice,
            reader=self.reader,
            ledger=self.ledger,
            key=self.key,
            films=films,
            told=self._told,
        )
        desk = ThreadPoolExecutor(1) if self.task.choice.is_remote else None
        try:
            schedule = Schedule(self.crew, desk)
            for film in films:
                schedule.add(self._start(film))
            self.total = sum(job.seconds for queue in schedule.waiting for job in queue)
            schedule.add(publisher.advance())
            schedule.run(partial(self._after, publisher))
        except BaseException:
            # Closed first, or whoever is at the desk would caption a whole film before this ends.
            self.reader.close()
            raise
        finally:
            if desk is not None:
                desk.shutdown(wait=True, cancel_futures=True)
        for path, original in copies:
            self._copy(path, publisher.results[original.record().path], publisher.results)
        spent = fold(films) | {"publish": publisher.seconds}
        return BuildReport(
            dataset=self.task.dataset,
            records=tuple(publisher.results[path_text(path)] for path in dict.fromkeys(self.task.films)),
            decoded=sum(film.turn > 0 for film in films),
            written=publisher.published,
            spent=spent,
            usage=getattr(self.reader, "usage", None),
        )

    def _survey_all(self, paths: Sequence[Path]) -> list[Survey]:
        """What every file is; what is done and has not changed is not read."""
        surveys: dict[Path, Survey] = {}

        def keep(path: Path, found: Survey) -> Iterable[Job]:
            surveys[path] = found
            text = f"{len(surveys)} of {len(paths)} files looked at"
            self.tell(Event(done=0, total=0, text=text, quiet=True))
            return ()

        def failed(path: Path, error: Exception) -> Iterable[Job]:
            if isinstance(error, OSError) and error.errno in STOPPING:
                raise error
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            return keep(path, Survey(path=path, state=None, digest="", verdict="error", reason=reason))

        schedule = Schedule(self.crew)
        for path in paths:
            digest = self.ledger.known_digest(path)
            if digest and self._is_done(path, digest):
                surveys[path] = Survey(path=path, state=file_state(path), digest=digest, verdict="")
                continue
            task = SurveyTask(path=path, settings=self.task.settings, digest=digest)
            schedule.add(
                [
                    Job(
                        work=survey,
                        task=task,
                        over=partial(keep, path),
                        failed=partial(failed, path),
                        rank=RANK_SURVEY,
                    )
                ]
            )
        schedule.run(lambda job: ())
        return [surveys[path] for path in paths]

    def _is_done(self, path: Path, digest: str) -> bool:
        """Whether a file of this content needs no look inside: its film is there, or it is a copy of one."""
        stored = self.ledger.films.get(digest[:16])
        if stored is not None and stored.settings == self.task.settings.digest:
            return True
        return self._was_rejected(path, digest) is not None

    def _was_rejected(self, path: Path, digest: str) -> FilmRecord | None:
        """The record of a file that these very settings and libraries found nothing in."""
        known = self.ledger.files.get(path_text(path))
        if known is None or known.verdict != "rejected" or known.digest != digest:
            return None
        same = known.settings == self.task.settings.digest and known.versions == versions(self.task.settings)
        return known if same else None

    def _group(self, surveys: Sequence[Survey]) -> tuple[list[Film], list[tuple[Path, Film]]]:
        """Films, one a content: that which the dataset has already, or else the first; and their copies."""
        by_content: dict[str, list[Survey]] = {}
        for number, found in enumerate(surveys):
            # A file that gives no film is no copy of another such one: each has its own reason.
            name = found.digest if found.digest and not found.verdict else f"file {number}"
            by_content.setdefault(name, []).append(found)
        films: list[Film] = []
        copies: list[tuple[Path, Film]] = []
        for group in by_content.values():
            stored = self.ledger.films.get(group[0].digest[:16])
            known = [one for one in group if stored is not None and path_text(one.path) == stored.path]
            chosen = known[0] if known else group[0]
            film = Film(
                path=chosen.path,
                survey=chosen,
                dataset=self.task.dataset,
                settings=self.task.settings,
                key=self.key,
                threads=self.task.threads,
            )
            films.append(film)
            copies += [(one.path, film) for one in group if one is not chosen]
        return films, copies

    def _start(self, film: Film) -> list[Job]:
        """The first jobs of a film; none if it is done, or was given up already."""
        if film.survey.verdict:
            film.failure = (film.survey.verdict, film.survey.reason)
            return []
        rejected = self._was_rejected(film.path, film.survey.digest)
        if rejected is not None:
            film.failure = ("rejected", rejected.reason)
            return []
        stored = self.ledger.films.get(film.id)
        if stored is not None:
            same = stored.settings == self.task.settings.digest
            words = fingerprint(self.reader, replace(stored, path=path_text(film.path)))
            if same and stored.annotation == words:
                film.stored = stored
                return []
            film.draft = kept_draft(self.task.dataset, film.id, self.key)
            if film.draft is not None:
                return []
        if is_there(film.folder / "draft"):
            film.draft = film.folder / "draft"
            return []
        return film.begin()

    def _after(self, publisher: Publisher, job: Job) -> list[Job]:
        self.done += job.seconds
        jobs = publisher.advance()
        if job.seconds:
            self.tell(Event(done=self.done, total=self.total, text="", quiet=True))
        return jobs

    def _told(self, record: FilmRecord) -> None:
        text = f"{record.name}: {summary(record)}"
        self.tell(Event(done=self.done, total=self.total, text=text))

    def _copy(self, path: Path, original: FilmRecord, results: dict[str, FilmRecord]) -> None:
        """A file with the content of another one shares its fate, or is its duplicate."""
        record = file_record(path, None)
        if original.verdict in ("rejected", "error"):
            verdict, reason = original.verdict, original.reason
        else:
            verdict, reason = "duplicate", f"the same content as {original.name}"
        state = file_state(path)
        record = replace(
            record,
            id=original.id,
            digest=original.digest,
            size=state.size if state is not None else original.size,
            verdict=verdict,
            reason=reason,
        )
        note_file(self.task.dataset, self.ledger, record)
        results[record.path] = record
        self._told(record)
