"""All films' indices joined into one file that is mapped, not read: opening takes no longer for more films.

It is kept in the dataset's cache and belongs to one state of `films/`: names, sizes and times of all records.
When these change it is made again, out of the films' own Parquet files.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from captain_cinema.films.store.paths import CACHE, DatasetError, check_dataset, written_aside
from captain_cinema.films.store.records import SCHEMA
from captain_cinema.films.store.writer import index_of, raw_film

logger = logging.getLogger(__name__)

ROWS = "index.arrow"
FILMS = "index-films.arrow"
FILM_SCHEMA = pa.schema([("id", pa.string()), ("record", pa.string()), ("rows", pa.int64())])
BATCH_ROWS = 1 << 15
KEY = b"state"


@dataclass(frozen=True, kw_only=True)
class Joined:
    """The joined index: films in the order of their names, the keyframes of each in story order."""

    state: str
    """Digest of what `films/` held when it was made."""
    rows: pa.Table
    films: pa.Table


def dataset_state(dataset: Path) -> str:
    """A digest of names, sizes and times of all films' records."""
    digest = hashlib.sha256()
    try:
        entries = sorted(
            (entry.name, entry.stat())
            for entry in os.scandir(dataset / "films")
            if entry.name.endswith(".json")
        )
    except OSError:
        entries = []
    for name, status in entries:
        digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def join(dataset: Path) -> Joined:
    """The joined index of a dataset, from its cache if that is of today.

    Raises:
        DatasetError: no dataset, or a film's record or index is missing or damaged.
    """
    check_dataset(dataset)
    state = dataset_state(dataset)
    folder = dataset / CACHE
    found = _mapped(folder, state)
    if found is not None:
        return found
    try:
        _write(dataset, folder, state)
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise _changed(dataset) from error
        # A dataset that may only be read is joined for this process alone.
        logger.info(
            "%s cannot be written (%s); its index is joined in a temporary folder", folder, error.strerror
        )
        with tempfile.TemporaryDirectory() as aside:
            _write(dataset, Path(aside), state)
            found = _mapped(Path(aside), state)
    else:
        found = _mapped(folder, state)
    if found is None:
        raise _changed(dataset)
    return found


def _changed(dataset: Path) -> DatasetError:
    return DatasetError(f"the dataset in {dataset} changes while it is read; wait for its build to end")


def _mapped(folder: Path, state: str) -> Joined | None:
    tables: list[pa.Table] = []
    for name in (ROWS, FILMS):
        try:
            with pa.memory_map(str(folder / name)) as file:
                table = pa.ipc.open_stream(file).read_all()
        except (OSError, pa.ArrowInvalid):
            return None
        if (table.schema.metadata or {}).get(KEY) != state.encode():
            return None
        tables.append(table)
    return Joined(state=state, rows=tables[0], films=tables[1])


def _write(dataset: Path, folder: Path, state: str) -> None:
    order: list[tuple[str, str, str, str]] = []
    for path in (dataset / "films").glob("*.json"):
        record, files = raw_film(path)
        order.append((record["name"], record["id"], index_of(files), json.dumps(record)))
    order.sort()
    with _stream(folder / FILMS, FILM_SCHEMA, state) as films, _stream(folder / ROWS, SCHEMA, state) as rows:
        waiting: list[pa.Table] = []
        counts: list[int] = []
        for _, _, index, _ in order:
            table = read_index(dataset / index)
            counts.append(len(table))
            waiting.append(table)
            if sum(map(len, waiting)) >= BATCH_ROWS:
                rows.write_table(pa.concat_tables(waiting).combine_chunks())
                waiting = []
        if waiting:
            rows.write_table(pa.concat_tables(waiting).combine_chunks())
        columns = {"id": [film for _, film, _, _ in order], "record": [record for *_, record in order]}
        films.write_table(pa.table(columns | {"rows": counts}, schema=FILM_SCHEMA))


@contextmanager
def _stream(path: Path, schema: pa.Schema, state: str) -> Iterator[pa.RecordBatchStreamWriter]:
    marked = schema.with_metadata({KEY: state.encode()})
    with (
        written_aside(path) as part,
        pa.OSFile(str(part), "wb") as file,
        pa.ipc.new_stream(file, marked) as writer,
    ):
        yield writer


def read_index(path: Path) -> pa.Table:
    """A film's own index.

    Raises:
        DatasetError: it is missing, damaged or of another layout.
    """
    try:
        with pq.ParquetFile(path) as file:
            table = file.read(use_threads=False)
    except (OSError, pa.ArrowInvalid) as error:
        raise DatasetError(
            f"the index {path} is missing or damaged; delete films/{path.name.partition('-')[0]}.json"
            " and build again: that film alone is redone"
        ) from error
    if not table.schema.equals(SCHEMA):
        raise DatasetError(f"the index {path} has another layout; build the dataset again with this version")
    return table
