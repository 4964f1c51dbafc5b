"""The last stage of a film: its draft is captioned and becomes part of the dataset.

Afterwards the draft keeps the pictures that the dataset does not hold, which are those that were dropped. So
with another annotator, other thresholds or other films beside it, a film is not decoded again.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import overload

from captain_cinema.films.annotate import Annotation, Annotator, EndpointSettings, Usage, annotator
from captain_cinema.films.annotate.address import key_from
from captain_cinema.films.drafts import Draft, DraftEntry
from captain_cinema.films.duplicates import Key
from captain_cinema.films.records import FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.spool import Spool, SpoolError, SpoolWriter
from captain_cinema.films.store.index import read_index
from captain_cinema.films.store.pictures import EncodedPicture, decode_jpeg, jpeg_digest, preview
from captain_cinema.films.store.records import NOWHERE, keyframe_key, place_of
from captain_cinema.films.store.revise import read_previews
from captain_cinema.films.store.shards import ShardFiles
from captain_cinema.films.store.writer import FilmWriter, film_path, stored_film
from captain_cinema.script import CastMember


@dataclass(frozen=True, kw_only=True)
class AnnotatorChoice:
    """Which annotator is wanted; keys are read where it is made, and never travel."""

    spec: str = "none"
    model: str | None = None
    cast: dict[str, list[CastMember]] = field(default_factory=dict)
    settings: EndpointSettings = field(default_factory=EndpointSettings)
    """Pace, batches, patience and prices, for an endpoint."""
    key_variable: str | None = None
    """Of the environment, that holds the key; None for the usual ones (annotate/address.py)."""

    @property
    def is_remote(self) -> bool:
        """Whether frames go over a network, paced and paid for, so that one at a time asks."""
        return self.spec not in ("none", "sidecar")

    def make(self, dataset: Path, report: Callable[[Usage], None] | None = None) -> Annotator:
        """The annotator itself.

        Args:
            dataset: whose cache holds the answers.
            report: told what it did and cost, after every batch.

        Raises:
            CinemaError: it cannot begin.
        """
        return annotator(
            self.spec,
            cast=self.cast,
            cache=dataset / "cache" / "annotations",
            api_key=key_from(self.key_variable) if self.key_variable and self.is_remote else None,
            model=self.model,
            settings=self.settings,
            report=report,
        )


@dataclass(frozen=True, kw_only=True)
class PublishTask:
    """A film to be published."""

    dataset: Path
    draft: Path
    film: FilmRecord
    """Its record as it will be, but for captions and counts."""
    dropped: Mapping[Key, str]
    """Duplicates, with the reason."""
    settings: FilmSettings
    choice: AnnotatorChoice
    fingerprint: str
    """Of the annotator's answers for this film."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """What became of it."""

    record: FilmRecord
    usage: Usage | None = None
    seconds: float = 0.0


def publish(task: PublishTask) -> Published:
    """Caption a film and write it."""
    with closing(task.choice.make(task.dataset)) as reader:
        return publish_with(task, reader)


def publish_with(task: PublishTask, reader: Annotator) -> Published:
    """Caption a film with an annotator that is there already, and write it."""
    start = time.perf_counter()
    draft = Draft(task.draft, task.settings)
    about = reader.about(task.film)
    film = replace(task.film, caption=about.caption, cast=about.cast, annotation=task.fingerprint)
    shards = ShardFiles(task.dataset)
    try:
        stock = _Stock(task.dataset, draft, shards)
        fit = [entry for entry in draft.entries if _is_fit(entry.record, task.dropped)]
        pictures = LazyPictures(stock, fit)
        annotations = reader.annotate(film, pictures) if fit else []
        by_key = {_key(e.record): note for e, note in zip(fit, annotations, strict=True)}
        film = _with_errors(film, [note.error for note in annotations if note.error], reader)
        with (
            FilmWriter(task.dataset, film, task.settings) as writer,
            SpoolWriter(_kept_draft(task.dataset, film.id)) as rest,
        ):
            entries = []
            for entry in draft.entries:
                record = _final(entry.record, task.dropped, by_key, reader.name)
                jpeg = stock.jpeg(entry)
                whole = stock.whole(entry)
                writer.add_encoded(
                    EncodedPicture(
                        jpeg=jpeg,
                        width=record.width,
                        height=record.height,
                        # Only of a dropped picture is the small one kept.
                        small=b"" if record.verdict == "kept" else preview(decode_jpeg(jpeg)),
                        whole=whole,
                    ),
                    record,
                )
                place = (0, 0) if record.verdict == "kept" else rest.put(jpeg)
                entries.append((entry, place))
            record = writer.finish(film)
            rest.finish(_kept_index(draft, entries))
    finally:
        shards.close()
    if task.draft != _kept_draft(task.dataset, film.id):
        shutil.rmtree(task.draft, ignore_errors=True)
    usage = getattr(reader, "usage", None)
    return Published(record=record, usage=usage, seconds=time.perf_counter() - start)


def kept_draft(dataset: Path, film: str, key: str) -> Path | None:
    """What is left of a finished film's draft, if it is there and of these settings; None otherwise."""
    try:
        spool = Spool(_kept_draft(dataset, film))
    except SpoolError:
        return None
    return spool.folder if spool.index.get("key") == key else None


def drop_kept_draft(dataset: Path, film: str) -> None:
    """Forget what is left of a film's draft."""
    shutil.rmtree(_kept_draft(dataset, film), ignore_errors=True)


def fingerprint(reader: Annotator, film: FilmRecord) -> str:
    """Digest of all that a film's captions depend on."""
    return hashlib.sha256(f"{reader.name}\n{reader.fingerprint(film)}".encode()).hexdigest()[:16]


def _kept_draft(dataset: Path, film: str) -> Path:
    return dataset / "cache" / "drafts" / film


def _kept_index(draft: Draft, entries: Sequence[tuple[DraftEntry, tuple[int, int]]]) -> dict[str, object]:
    places = {_key(entry.record): place for entry, place in entries}
    listed = []
    for old in draft.spool.index["keyframes"]:
        place = places[old["row"]["shot"], old["row"]["role"]]
        listed.append({**old, "jpeg": place, "whole": (0, 0)})
    return {**draft.spool.index, "keyframes": listed}


def _key(record: KeyframeRecord) -> Key:
    return record.shot, record.role


def _is_fit(record: KeyframeRecord, dropped: Mapping[Key, str]) -> bool:
    return record.verdict == "kept" and _key(record) not in dropped


def _final(
    record: KeyframeRecord, dropped: Mapping[Key, str], notes: Mapping[Key, Annotation], name: str
) -> KeyframeRecord:
    """A keyframe as the index will hold it."""
    key = _key(record)
    if record.verdict == "dropped":
        return replace(record, annotator=name)
    if key in dropped:
        return replace(record, verdict="dropped", reason=dropped[key], annotator=name)
    note = notes[key]
    if not note.keep:
        return replace(record, verdict="dropped", reason=note.reason or "poor", annotator=name)
    return replace(
        record, reason=note.reason, caption=note.caption, characters=note.characters, annotator=name
    )


def _with_errors(film: FilmRecord, errors: Sequence[str], reader: Annotator) -> FilmRecord:
    """A film some of whose captions are missing is partial; they are asked for again if that may help."""
    if not errors:
        return film
    most = max(set(errors), key=lambda error: (errors.count(error), error))
    said = f"{len(errors)} captions are missing: {most}"
    reason = f"{film.reason}; {said}" if film.reason else said
    verdict = "partial" if film.verdict == "ok" else film.verdict
    annotation = film.annotation if reader.is_settled else ""
    return replace(film, verdict=verdict, reason=reason, annotation=annotation)


class _Stock:
    """The pictures of a draft: its own, and those that the dataset has already."""

    def __init__(self, dataset: Path, draft: Draft, shards: ShardFiles) -> None:
        self.draft, self.shards = draft, shards
        self.rows: dict[str, dict[str, object]] = {}
        self.previews: dict[str, bytes] = {}
        if (
            any(entry.jpeg == (0, 0) or entry.whole == (0, 0) for entry in draft.entries)
            and film_path(dataset, draft.record.id).exists()
        ):
            stored = stored_film(film_path(dataset, draft.record.id))
            self.rows = {row["key"]: row for row in read_index(dataset / stored.index).to_pylist()}
            self.previews = read_previews(dataset, stored.files)

    def jpeg(self, entry: DraftEntry) -> bytes:
        """A picture as it is stored."""
        if entry.jpeg != (0, 0):
            return self.draft.spool.get(entry.jpeg)
        row = self.rows.get(self._name(entry))
        place = NOWHERE if row is None else place_of(row)
        if not place.file:
            raise DamagedStock("a picture is neither in the draft nor in the dataset")
        jpeg = self.shards.read(place.file, place.offset, place.size)
        if jpeg_digest(jpeg) != place.digest:
            raise DamagedStock(f"the shard {place.file} is damaged")
        return jpeg

    def whole(self, entry: DraftEntry) -> bytes:
        """The whole frame, small."""
        if entry.whole != (0, 0):
            return self.draft.spool.get(entry.whole)
        return self.previews.get(f"{self._name(entry)}.whole.jpg", b"")

    def _name(self, entry: DraftEntry) -> str:
        return keyframe_key(entry.record.film, entry.record.shot, entry.record.role)


class DamagedStock(Exception):
    """Pictures that a draft leaves to the dataset are not there; the film is decoded again."""


class LazyPictures(Sequence[Picture]):
    """Pictures that are read when they are asked for: those of a long film do not fit into memory."""

    def __init__(self, stock: _Stock, entries: Sequence[DraftEntry]) -> None:
        self.stock, self.entries = stock, entries

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, index: int) -> Picture: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Picture]: ...
    def __getitem__(self, index: int | slice) -> Picture | Sequence[Picture]:
        if isinstance(index, slice):
            return LazyPictures(self.stock, self.entries[index])
        entry = self.entries[index]
        record = entry.record
        return Picture(
            shot=record.shot,
            role=record.role,
            frame=record.frame,
            seconds=record.seconds,
            border=record.border,
            crop=record.crop,
            image=decode_jpeg(self.stock.jpeg(entry)),
            replaced=record.replaced,
        )

    def __iter__(self) -> Iterator[Picture]:
        return (self[index] for index in range(len(self)))
