"""Every kind of damage is found, named, and the advice given mends it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from stored import film_record, make_dataset, write_film

from captain_cinema.films.store.index import read_index
from captain_cinema.films.store.paths import file_digest, read_json, write_json
from captain_cinema.films.store.tar import TarWriter
from captain_cinema.films.store.verify import Problem, verify
from captain_cinema.films.store.writer import clean, film_path, finished_film, stored_film

FILM = film_record(0).id


def file_of(path: Path, room: str) -> Path:
    return next((path / room).glob(f"{FILM}-*"))


def flip(file: Path, offset: int) -> None:
    with file.open("r+b") as handle:
        handle.seek(offset)
        byte = handle.read(1)
        handle.seek(offset)
        handle.write(bytes([byte[0] ^ 0xFF]))


def lose_shard(path: Path) -> None:
    file_of(path, "shards").unlink()


def cut_shard(path: Path) -> None:
    os.truncate(file_of(path, "shards"), 3000)


def damage_shard(path: Path) -> None:
    flip(file_of(path, "shards"), 700)


def damage_preview(path: Path) -> None:
    flip(file_of(path, "previews"), 700)


def lose_index(path: Path) -> None:
    file_of(path, "index").unlink()


def damage_record(path: Path) -> None:
    film_path(path, FILM).write_text('{"record": ')


def reseal(path: Path, changed: Path) -> None:
    """Make the film's record believe in a changed file, as a wrong writer would."""
    value = read_json(film_path(path, FILM))
    assert value is not None
    for item in value["files"]:
        if item["path"] == str(changed.relative_to(path)):
            item.update(bytes=changed.stat().st_size, sha256=file_digest(changed))
    write_json(film_path(path, FILM), value)


def change_index(path: Path, change: Callable[[list[dict[str, object]]], object]) -> None:
    index = file_of(path, "index")
    table = read_index(index)
    rows = table.to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), index)
    reseal(path, index)


def shift_offsets(path: Path) -> None:
    change_index(path, lambda rows: [row.update(offset=int(str(row["offset"])) + 512) for row in rows])


def drop_a_row(path: Path) -> None:
    change_index(path, lambda rows: rows.pop(0))


def repeat_a_row(path: Path) -> None:
    change_index(path, lambda rows: rows.append(rows[0]))


def foreign_rows(path: Path) -> None:
    change_index(path, lambda rows: [row.update(film="f" * 16) for row in rows])


def other_verdicts(path: Path) -> None:
    change_index(path, lambda rows: [row.update(verdict="kept") for row in rows])


def repeat_a_member(path: Path) -> None:
    shard = file_of(path, "shards")
    name = next(row["key"] for row in read_index(file_of(path, "index")).to_pylist() if row["file"])
    shard.unlink()
    tar = TarWriter(shard)
    tar.add(f"{name}.jpg", b"one")
    tar.add(f"{name}.jpg", b"two")
    tar.close()
    reseal(path, shard)


def no_tar(path: Path) -> None:
    shard = file_of(path, "shards")
    shard.write_bytes(b"<html>" * 1000)
    reseal(path, shard)


def unknown_shard(path: Path) -> None:
    (path / "shards" / "fedcba9876543210-00000000-00000.tar").write_bytes(b"")


def unknown_index(path: Path) -> None:
    pq.write_table(read_index(file_of(path, "index")), path / "index" / "fedcba9876543210-00000000.parquet")


def damaged_note(path: Path) -> None:
    (path / "files" / "0123456789abcdef.json").write_text("[]")


CASES: dict[Callable[[Path], None], tuple[str, str]] = {
    lose_shard: ("missing", "is missing"),
    cut_shard: ("damaged", "has 3000 bytes instead of"),
    damage_shard: ("damaged", "1 of its 8 pictures are spoilt, 0000000000000abc-00001-middle is the first"),
    damage_preview: ("damaged", "is damaged: its bytes are not those that were written"),
    lose_index: ("missing", "is missing"),
    damage_record: ("record", "is damaged"),
    shift_offsets: ("index", "lies elsewhere than the index says"),
    drop_a_row: ("index", "holds 7 kept and 4 dropped keyframes, the film's record says 8 and 4"),
    repeat_a_row: ("index", "holds 1 keyframes twice"),
    foreign_rows: ("index", "holds keyframes of another film (ffffffffffffffff)"),
    other_verdicts: ("index", "has no right place for 4 keyframes"),
    repeat_a_member: ("name", "holds 1 names twice"),
    no_tar: ("damaged", "is no sound tar"),
    unknown_shard: ("unknown", "belongs to no film"),
    unknown_index: ("unknown", "belongs to no film"),
    damaged_note: ("record", "is damaged"),
}


def take_advice(path: Path, problem: Problem) -> None:
    """Do what a problem says would mend it."""
    if problem.mend.startswith("delete films/"):
        film_path(path, problem.film).unlink(missing_ok=True)
    elif problem.mend.startswith("delete it"):
        (path / problem.path).unlink()
    clean(path)  # as every build begins
    if finished_film(path, FILM) is None:
        write_film(path, 0)


@pytest.mark.parametrize("spoil", CASES, ids=lambda spoil: spoil.__name__)
def test_damage_is_found_and_the_advice_mends_it(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data")
    assert verify(path) == []
    spoil(path)
    kind, message = CASES[spoil]
    found = verify(path)
    hits = [problem for problem in found if problem.kind == kind and message in problem.message]
    assert hits, found
    assert all(problem.mend for problem in found)
    assert {problem.film for problem in found} <= {FILM, "fedcba9876543210", ""}
    take_advice(path, hits[0])
    assert verify(path) == []
    assert stored_film(film_path(path, FILM)).record.kept == 8


def test_a_joined_index_that_lies_is_found(tmp_path: Path) -> None:
    from captain_cinema.films.store import index

    path = make_dataset(tmp_path / "data")
    found = index.join(path)
    short = found.rows.slice(0, 5)
    films = found.films.set_column(2, "rows", pa.array([5, 0]))
    for name, table in ((index.ROWS, short), (index.FILMS, films)):
        (path / "cache" / name).unlink()  # it is mapped
        with (
            pa.OSFile(str(path / "cache" / name), "wb") as file,
            pa.ipc.new_stream(file, table.schema) as out,
        ):
            out.write_table(table)
    problems = verify(path)
    assert [(p.kind, p.path) for p in problems] == [("index", "cache/index.arrow")]
    (path / "cache" / "index.arrow").unlink()
    assert verify(path) == []
