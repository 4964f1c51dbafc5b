"""Films are published in the order of their names, each once its draft and all drafts before it are there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from captain_cinema.films.annotate import Annotator
from captain_cinema.films.drafts import Draft, decide
from captain_cinema.films.duplicates import Key, Original, Seen, copied_from, film_order
from captain_cinema.films.filming import Film
from captain_cinema.films.finishing import versions
from captain_cinema.films.ledger import Ledger, sweep
from captain_cinema.films.publishing import (
    AnnotatorChoice,
    DamagedStock,
    Published,
    PublishTask,
    drop_kept_draft,
    fingerprint,
    kept_draft,
    publish,
    publish_with,
)
from captain_cinema.films.records import FilmRecord, KeyframeRecord
from captain_cinema.films.schedule import Job
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.spool import SpoolError
from captain_cinema.films.store.paths import DatasetError
from captain_cinema.films.store.revise import film_keyframes, revise_film
from captain_cinema.films.store.writer import put_file, remove_film

RANK_PUBLISH = 0
DUPLICATE = "duplicate of "


@dataclass(kw_only=True)
class _Entry:
    """A film in its place."""

    record: FilmRecord
    film: Film | None
    """None for one that the dataset has and this run does not name."""
    duplicates: dict[Key, Original] | None = None
    """Known once it was its turn."""


class Publisher:
    """Decides what becomes of every film, one after another.

    Args:
        films: of this run, one a content.
        told: called with the record of every film whose verdict is known.
    """

    def __init__(
        self,
        *,
        dataset: Path,
        settings: FilmSettings,
        choice: AnnotatorChoice,
        reader: Annotator,
        ledger: Ledger,
        key: str,
        films: Iterable[Film],
        told: Callable[[FilmRecord], None],
    ) -> None:
        self.dataset, self.settings, self.choice, self.reader = dataset, settings, choice, reader
        self.ledger, self.key, self.told = ledger, key, told
        self.seen = Seen(settings.duplicate_distance)
        self.results: dict[str, FilmRecord] = {}
        """Records by path."""
        self.published = 0
        self.seconds = 0.0
        """Of work on publishing."""
        entries = [_Entry(record=film.record(), film=film) for film in films]
        named = {entry.record.path for entry in entries} | {entry.record.id for entry in entries}
        entries += [
            _Entry(record=record, film=None)
            for record in ledger.films.values()
            if record.id not in named and record.path not in named
        ]
        self.entries = sorted(entries, key=lambda entry: film_order(entry.record))
        self.next = 0
        self.late: list[_Entry] = []
        """Films that are decoded again after it was their turn."""

    def advance(self) -> list[Job]:
        """Decide as far as it can be decided; returns what is to be written."""
        jobs: list[Job] = []
        for entry in [entry for entry in self.late if entry.film is not None and entry.film.is_ready]:
            self.late.remove(entry)
            jobs += self._turn(entry)
        while self.next < len(self.entries):
            entry = self.entries[self.next]
            if entry.film is not None and not entry.film.is_ready:
                break
            jobs += self._turn(entry)
            if entry.film is not None and not entry.film.is_ready and entry.duplicates is None:
                break  # what is kept of it is damaged: those after it have to wait
            self.next += 1
        return jobs

    def _turn(self, entry: _Entry) -> list[Job]:
        film = entry.film
        if film is None:
            self._bystander(entry.record)
            return []
        if film.failure is not None:
            self._failed_film(film)
            return []
        if film.draft is not None:
            return self._from_draft(entry, film, film.draft)
        assert film.stored is not None
        stored = film_keyframes(self.dataset, film.id)
        entry.duplicates = self.seen.pick_out(film.stored, self._fit(film.stored, stored))
        if _reasons(entry.duplicates, film.id) == _duplicates_in(stored):
            self._done(film.stored)
            return []
        film.draft = kept_draft(self.dataset, film.id, self.key)
        return self._again(entry, film) if film.draft is None else self._from_draft(entry, film, film.draft)

    def _bystander(self, film: FilmRecord) -> None:
        """A film that this run does not name: what a film before it has as well is dropped from it."""
        stored = film_keyframes(self.dataset, film.id)
        reasons = _reasons(self.seen.pick_out(film, self._fit(film, stored)), film.id)
        revised = []
        for record in stored:
            reason = reasons.get((record.shot, record.role), "")
            if reason and record.verdict == "kept":
                record = replace(record, verdict="dropped", reason=reason, caption="", characters=())
            revised.append(record)
        if revised != stored:
            revise_film(self.dataset, film.id, revised)
            self.published += 1

    def _fit(self, film: FilmRecord, stored: list[KeyframeRecord]) -> list[KeyframeRecord]:
        """The keyframes of a finished film that are not poor, whatever its annotator thought of them."""
        draft = kept_draft(self.dataset, film.id, self.key)
        if draft is not None:
            try:
                return Draft(draft, self.settings).fit()
            except SpoolError:
                drop_kept_draft(self.dataset, film.id)
        return [record for record in stored if record.verdict == "kept" or _is_duplicate(record)]

    def _from_draft(self, entry: _Entry, film: Film, folder: Path) -> list[Job]:
        try:
            draft = Draft(folder, self.settings)
        except SpoolError:
            return self._again(entry, film)
        fit = draft.fit()
        if entry.duplicates is None:
            entry.duplicates = self.seen.pick_out(film.record(), fit)
        dropped = _reasons(entry.duplicates, film.id)
        here = film.record()
        record = replace(draft.record, name=here.name, path=here.path, settings=here.settings)
        copy = copied_from(len(fit), entry.duplicates, film.id)
        keyframes = [one.record for one in draft.entries]
        return [self._job(entry, film, decide(record, keyframes, dropped, copy), folder, dropped)]

    def _job(
        self, entry: _Entry, film: Film, record: FilmRecord, draft: Path, dropped: Mapping[Key, str]
    ) -> Job:
        choice = self.choice
        task = PublishTask(
            dataset=self.dataset,
            draft=draft,
            film=record,
            dropped=dropped,
            settings=self.settings,
            choice=choice,
            fingerprint=fingerprint(self.reader, record),
        )
        work = partial(publish_with, reader=self.reader) if choice.is_remote else publish
        return Job(
            work=work,
            task=task,
            over=self._published,
            failed=partial(self._not_published, entry, film),
            rank=RANK_PUBLISH,
            at_desk=choice.is_remote,
        )

    def _published(self, done: Published) -> list[Job]:
        self.published += 1
        self.seconds += done.seconds
        self._done(done.record)
        return []

    def _not_published(self, entry: _Entry, film: Film, error: Exception) -> list[Job]:
        if isinstance(error, SpoolError | DamagedStock | DatasetError | FileNotFoundError):
            return self._again(entry, film)
        film.failed(error)
        self._failed_film(film)
        return []

    def _again(self, entry: _Entry, film: Film) -> list[Job]:
        """What was kept of a film is not enough: decode it once more."""
        drop_kept_draft(self.dataset, film.id)
        film.draft = None
        jobs = film.failed(SpoolError("what was kept of it is damaged"))
        if film.failure is not None:
            self._failed_film(film)
        else:
            self.late.append(entry)
        return jobs

    def _failed_film(self, film: Film) -> None:
        assert film.failure is not None
        verdict, reason = film.failure
        record = replace(film.record(), verdict=verdict, reason=reason, versions=versions(self.settings))
        if record.id in self.ledger.films:
            remove_film(self.dataset, record.id)
        note_file(self.dataset, self.ledger, record)
        self._done(record)

    def _done(self, record: FilmRecord) -> None:
        """A verdict is known; what the same path gave before goes."""
        self.results[record.path] = record
        if record.id:
            sweep(self.dataset, record.id)
        for old in [film for film in self.ledger.films.values() if film.path == record.path]:
            if old.id != record.id:
                remove_film(self.dataset, old.id)
                drop_kept_draft(self.dataset, old.id)
                del self.ledger.films[old.id]
        self.told(record)


def note_file(dataset: Path, ledger: Ledger, record: FilmRecord) -> None:
    """Keep the verdict on a file that gave no film, if it is news."""
    if ledger.files.get(record.path) != record:
        put_file(dataset, record)
        ledger.files[record.path] = record


def _reasons(duplicates: Mapping[Key, Original], film: str) -> dict[Key, str]:
    return {key: original.reason(film) for key, original in duplicates.items()}


def _is_duplicate(record: KeyframeRecord) -> bool:
    return record.verdict == "dropped" and record.reason.startswith(DUPLICATE)


def _duplicates_in(stored: Iterable[KeyframeRecord]) -> dict[Key, str]:
    return {(record.shot, record.role): record.reason for record in stored if _is_duplicate(record)}
