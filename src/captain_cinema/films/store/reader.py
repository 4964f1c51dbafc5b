"""The dataset as it is read: any keyframe of any film at once, and films one after another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Int64, UInt8

from captain_cinema.films.records import FilmRecord, KeyframeRecord, Role
from captain_cinema.films.store.index import dataset_state, join
from captain_cinema.films.store.paths import DatasetError, read_json
from captain_cinema.films.store.pictures import decode_jpeg, jpeg_digest, resize
from captain_cinema.films.store.records import Place, film_of, keyframe_key, keyframe_of
from captain_cinema.films.store.shards import ShardFiles


class KeyframeFilm(Protocol):
    """A film as training takes it: one keyframe and one caption a shot, in story order."""

    @property
    def id(self) -> str:
        """The same film has the same id for ever."""
        ...

    @property
    def caption(self) -> str:
        """Of the whole film; empty if there is none."""
        ...

    @property
    def captions(self) -> Sequence[str]:
        """One a shot, with `<Name>` tags; empty where missing."""
        ...

    @property
    def names(self) -> Sequence[tuple[str, ...]]:
        """Characters of each shot."""
        ...

    def __len__(self) -> int:
        """How many shots."""
        ...

    def digest(self, index: int) -> str:
        """Of the content of a shot's keyframe."""
        ...

    def frame(self, index: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
        """A shot's keyframe, RGB, so high and twice as wide."""
        ...


@dataclass(frozen=True, kw_only=True)
class _Span:
    """Rows of one film in the joined index."""

    number: int
    start: int
    end: int


class Dataset:
    """A dataset that `cinema dataset build` made, open for reading.

    It can be pickled and forked: file handles are opened again in every process.

    Args:
        path: the dataset's folder.

    Raises:
        DatasetError: no dataset, of a later version, or damaged so that it cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.shards = ShardFiles(self.path)
        self._open()

    def _open(self) -> None:
        joined = join(self.path)
        self.state, self.table, self._films = joined.state, joined.rows, joined.films
        ends = np.cumsum(joined.films["rows"].to_numpy())
        starts = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        ids = joined.films["id"].to_pylist()
        self.spans = {
            film: _Span(number=number, start=int(start), end=int(end))
            for number, (film, start, end) in enumerate(zip(ids, starts, ends, strict=True))
        }
        if len(ends) and ends[-1] != len(self.table):
            raise DatasetError(f"the joined index of {self.path} is damaged; delete its folder cache")
        # What random reads need, as plain arrays; everything else stays in the mapped file.
        self._file_numbers, self._file_names = self._codes("file")
        self._offsets = self.table["offset"].to_numpy()
        self._sizes = self.table["size"].to_numpy()
        self._shots = self.table["shot"].to_numpy()
        verdicts, words = self._codes("verdict")
        kept = words.index("kept") if "kept" in words else -1
        self.kept: Int64[np.ndarray, " keyframes"] = np.flatnonzero(verdicts == kept)

    def _codes(self, column: str) -> tuple[np.ndarray, list[str]]:
        """A column of few words as numbers into a list of them."""
        words = self.table[column].combine_chunks().dictionary_encode()
        return words.indices.to_numpy(zero_copy_only=False), words.dictionary.to_pylist()

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "shards": self.shards, "state": self.state}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path, self.shards = state["path"], state["shards"]
        self._open()
        if self.state != state["state"]:
            raise DatasetError(f"the dataset in {self.path} has changed since it was opened; start again")

    def __len__(self) -> int:
        """Kept keyframes of all films."""
        return len(self.kept)

    def changed(self) -> bool:
        """Whether films came, went or were redone since it was opened."""
        return dataset_state(self.path) != self.state

    def film_ids(self) -> list[str]:
        """Ids of all films, in the order of their names."""
        return list(self.spans)

    def film(self, film: str) -> FilmRecord:
        """A film's record.

        Raises:
            DatasetError: there is no such film.
        """
        return film_of(json.loads(self._films["record"][self._span(film).number].as_py()))

    def films(self) -> list[FilmRecord]:
        """Records of all films, in the order of their names."""
        return list(self.iter_films())

    def iter_films(self) -> Iterator[FilmRecord]:
        """Records of all films, one after another."""
        return (self.film(film) for film in self.spans)

    def files(self) -> list[FilmRecord]:
        """Records of files that gave no film: duplicates, rejected ones, errors."""
        found = [read_json(path) for path in sorted((self.path / "files").glob("*.json"))]
        records = [film_of(value["record"]) for value in found if value and "record" in value]
        return sorted(records, key=lambda record: (record.name, record.path))

    def length(self, film: str) -> int:
        """Keyframes of a film, kept and dropped."""
        span = self._span(film)
        return span.end - span.start

    def shot_counts(self) -> Int64[np.ndarray, " films"]:
        """Shots with a kept keyframe, of every film, in the order of `film_ids`."""
        ends = np.array([span.end for span in self.spans.values()], np.int64)
        films = np.searchsorted(ends, self.kept, side="right")
        shots = self._shots[self.kept]
        first = np.ones(len(self.kept), bool)
        first[1:] = (films[1:] != films[:-1]) | (shots[1:] != shots[:-1])
        return np.bincount(films[first], minlength=len(ends)).astype(np.int64)

    def without_caption(self) -> int:
        """Kept keyframes whose caption is missing."""
        lengths = pc.call_function("binary_length", [self.table["caption"]]).to_numpy()
        return int((lengths[self.kept] == 0).sum())

    def keyframes(self, film: str, *, kept: bool = True) -> list[KeyframeRecord]:
        """A film's keyframes in story order: those kept, or dropped ones as well."""
        span = self._span(film)
        rows = self.table.slice(span.start, span.end - span.start).to_pylist()
        return [keyframe_of(row) for row in rows if not kept or row["verdict"] == "kept"]

    def keyframe(self, index: int) -> KeyframeRecord:
        """Kept keyframe number `index` of the whole dataset."""
        return self.record_at(int(self.kept[index]))

    def record_at(self, row: int) -> KeyframeRecord:
        """The keyframe in a row of the index."""
        return keyframe_of(self.table.slice(row, 1).to_pylist()[0])

    def image(self, record: KeyframeRecord) -> UInt8[np.ndarray, "h w 3"]:
        """A kept keyframe, RGB."""
        return self.image_at(self.row(record))

    def row(self, record: KeyframeRecord) -> int:
        """Where a keyframe stands in the index.

        Raises:
            DatasetError: it is not there.
        """
        span = self._span(record.film)
        first = span.start + int(np.searchsorted(self._shots[span.start : span.end], record.shot))
        for row in range(first, min(first + 2, span.end)):
            if self._shots[row] == record.shot and self.table["role"][row].as_py() == record.role:
                return row
        key = keyframe_key(record.film, record.shot, record.role)
        raise DatasetError(f"the dataset in {self.path} has no keyframe {key}")

    def place(self, row: int) -> Place:
        """Where the bytes of a row's picture lie."""
        return Place(
            file=self._file_names[self._file_numbers[row]],
            offset=int(self._offsets[row]),
            size=int(self._sizes[row]),
            digest=self.digest_at(row),
        )

    def digest_at(self, row: int) -> str:
        """Digest of a row's picture."""
        return self.table["digest"][row].as_py()

    def jpeg_at(self, row: int) -> bytes:
        """A kept picture as it is stored.

        Raises:
            DatasetError: it was dropped, or its shard is missing or damaged.
        """
        place = self.place(row)
        if not place.file:
            key = self.table["key"][row].as_py()
            raise DatasetError(f"keyframe {key} was dropped; only its preview is kept")
        return read_jpeg(self.shards, place)

    def kept_rows(self, role: Role | None = None) -> Int64[np.ndarray, " keyframes"]:
        """Rows of the kept keyframes, or of those of one role."""
        if role is None:
            return self.kept
        roles, words = self._codes("role")
        wanted = words.index(role) if role in words else -1
        return self.kept[roles[self.kept] == wanted]

    def image_at(self, row: int) -> UInt8[np.ndarray, "h w 3"]:
        """The picture of a row of the index, RGB."""
        return decode_jpeg(self.jpeg_at(row))

    def shots(self, film: str, *, role: Role = "middle") -> StoredKeyframes:
        """A film as training takes it: of every shot the keyframe of this role, or the other if need be."""
        span = self._span(film)
        part = self.table.select(["shot", "role", "verdict"]).slice(span.start, span.end - span.start)
        chosen: dict[int, int] = {}
        for offset, row in enumerate(part.to_pylist()):
            if row["verdict"] == "kept" and (row["role"] == role or row["shot"] not in chosen):
                chosen[row["shot"]] = span.start + offset
        return StoredKeyframes(self, film, np.array(list(chosen.values()), np.int64))

    def stream(self, *, seed: int | None = None, role: Role = "middle") -> Iterator[StoredKeyframes]:
        """All films that kept a keyframe: in the order of their names, or shuffled by a seed."""
        ids = self.film_ids()
        if seed is not None:
            ids = [ids[i] for i in np.random.default_rng(seed).permutation(len(ids))]
        for film in ids:
            found = self.shots(film, role=role)
            if len(found):
                yield found

    def close(self) -> None:
        """Close the shards."""
        self.shards.close()

    def _span(self, film: str) -> _Span:
        span = self.spans.get(film)
        if span is None:
            raise DatasetError(f"the dataset in {self.path} has no film {film}")
        return span


def read_jpeg(shards: ShardFiles, place: Place) -> bytes:
    """A picture as it is stored.

    Raises:
        DatasetError: its shard is missing or damaged.
    """
    mend = f"`cinema dataset verify {shards.folder}` says what would mend it"
    try:
        data = shards.read(place.file, place.offset, place.size)
    except OSError as error:
        raise DatasetError(f"the shard {place.file} cannot be read ({error.strerror}); {mend}") from error
    if jpeg_digest(data) != place.digest:
        raise DatasetError(f"the shard {place.file} is damaged at byte {place.offset}; {mend}")
    return data


class StoredKeyframes:
    """A film of the dataset, one keyframe a shot; see `KeyframeFilm`."""

    def __init__(self, dataset: Dataset, film: str, rows: Int64[np.ndarray, " shots"]) -> None:
        self.dataset, self._id, self.rows = dataset, film, rows
        table = dataset.table.select(["caption", "characters"]).take(rows)
        self._captions: tuple[str, ...] = tuple(table["caption"].to_pylist())
        self._names = tuple(tuple(names or ()) for names in table["characters"].to_pylist())

    @property
    def id(self) -> str:
        """The film's id."""
        return self._id

    @property
    def caption(self) -> str:
        """Of the whole film."""
        return self.dataset.film(self._id).caption

    @property
    def captions(self) -> tuple[str, ...]:
        """One a shot."""
        return self._captions

    @property
    def names(self) -> tuple[tuple[str, ...], ...]:
        """Characters of each shot."""
        return self._names

    def __len__(self) -> int:
        """How many shots."""
        return len(self.rows)

    def digest(self, index: int) -> str:
        """Of the stored picture."""
        return self.dataset.digest_at(int(self.rows[index]))

    def record(self, index: int) -> KeyframeRecord:
        """All that the index says of a shot's keyframe."""
        return self.dataset.record_at(int(self.rows[index]))

    def frame(self, index: int, height: int) -> UInt8[np.ndarray, "h w 3"]:
        """A shot's keyframe, RGB, so high and twice as wide."""
        return resize(self.dataset.image_at(int(self.rows[index])), 2 * height, height)
