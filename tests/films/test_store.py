"""What goes into a dataset comes out of it, at once or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from stored import SETTINGS, film_record, keyframe, make_dataset, picture, write_film

from captain_cinema.films.records import FilmRecord
from captain_cinema.films.store import paths
from captain_cinema.films.store.paths import DatasetError, write_json
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.revise import film_keyframes, revise_film
from captain_cinema.films.store.tar import END, ShardWriter, members
from captain_cinema.films.store.verify import verify
from captain_cinema.films.store.writer import (
    FilmWriter,
    clean,
    create_dataset,
    finished_film,
    put_file,
    remove_film,
    unnamed_files,
)


def content(dataset: Path) -> dict[str, str]:
    """Digests of all that is the dataset's own."""
    return {
        str(path.relative_to(dataset)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and path.relative_to(dataset).parts[0] not in (".parts", "cache")
    }


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films; for tests that only read."""
    return make_dataset(tmp_path_factory.mktemp("store") / "data", shard_bytes=24_000)


def test_records_come_back_as_they_were(dataset: Path) -> None:
    opened = Dataset(dataset)
    assert opened.films() == [replace(film_record(n), kept=8, dropped=4) for n in range(2)]
    film = film_record(1)
    made = [picture(1, shot, role) for shot in range(1, 7) for role in ("middle", "first")]
    wanted = [keyframe(film.id, one) for one in made]
    assert opened.keyframes(film.id, kept=False) == wanted
    assert opened.keyframes(film.id) == [record for record in wanted if record.verdict == "kept"]
    assert len(opened) == 16
    assert opened.keyframe(8) == wanted[0]


def test_any_picture_of_any_film_can_be_read(dataset: Path) -> None:
    opened = Dataset(dataset)
    for number in (1, 0):
        for record in reversed(opened.keyframes(film_record(number).id)):
            image = opened.image(record)
            true = picture(number, record.shot, record.role).image
            assert image.shape == true.shape
            assert np.abs(image.astype(int) - true).mean() < 20  # noise is hard on JPEG
            smooth = np.abs(image[45:, 85:].astype(int) - true[45:, 85:])
            assert smooth.max() < 8


def test_shards_are_bounded_and_what_tar_reads(dataset: Path) -> None:
    shards = sorted((dataset / "shards").glob("*.tar"))
    assert len(shards) >= 4
    names: list[str] = []
    for shard in shards:
        assert shard.stat().st_size <= 24_000
        with tarfile.open(shard) as tar:
            names += tar.getnames()
    assert len(names) == len(set(names)) == 2 * 16
    assert len({name.rpartition(".")[0] for name in names}) == 16


def test_a_sample_larger_than_the_limit_has_a_shard_to_itself(tmp_path: Path) -> None:
    writer = ShardWriter(tmp_path, limit=4096)
    for number, size in enumerate((100, 9000, 100, 100)):
        writer.add([(f"{number}.jpg", bytes(size))])
    writer.close()
    assert [[m.size for m in members(path)] for path in writer.paths] == [[100], [9000], [100, 100]]
    assert writer.paths[2].stat().st_size == 2 * (512 + 512) + END


def test_the_same_film_gives_the_same_bytes(dataset: Path, tmp_path: Path) -> None:
    again = make_dataset(tmp_path / "again", shard_bytes=24_000)
    assert content(again) == content(dataset)


def test_the_training_takes_one_keyframe_a_shot(dataset: Path) -> None:
    opened = Dataset(dataset)
    film = opened.shots(film_record(0).id)
    roles = [(film.record(i).shot, film.record(i).role) for i in range(len(film))]
    assert roles == [(1, "middle"), (2, "middle"), (4, "middle"), (5, "first"), (6, "middle")]
    first = opened.shots(film_record(0).id, role="first")
    assert [first.record(i).role for i in range(len(first))] == ["first", "middle", "first", "first", "first"]
    assert list(opened.shot_counts()) == [5, 5]
    assert film.frame(2, 32).shape == (32, 64, 3)
    assert film.names[0] == ("Mara",)
    assert film.captions[-1] == ""
    assert opened.without_caption() == 4


def test_films_stream_in_order_or_shuffled_by_a_seed(tmp_path: Path) -> None:
    opened = Dataset(make_dataset(tmp_path / "data", films=6, shots=1))
    ids = [film_record(number).id for number in range(6)]
    assert [film.id for film in opened.stream()] == ids
    shuffled = [film.id for film in opened.stream(seed=3)]
    assert shuffled == [film.id for film in opened.stream(seed=3)]
    assert sorted(shuffled) == ids
    assert len({tuple(film.id for film in opened.stream(seed=seed)) for seed in range(5)}) > 1


def test_a_dataset_travels_to_other_processes(dataset: Path) -> None:
    opened = Dataset(dataset)
    before = opened.image_at(0)
    other = pickle.loads(pickle.dumps(opened))
    assert np.array_equal(other.image_at(0), before)
    assert other.keyframe(9) == opened.keyframe(9)


def test_a_dataset_that_changed_is_not_taken_for_the_one_that_was_sent(tmp_path: Path) -> None:
    opened = Dataset(make_dataset(tmp_path / "data", films=1))
    sent = pickle.dumps(opened)
    assert not opened.changed()
    write_film(tmp_path / "data", 1)
    assert opened.changed()
    with pytest.raises(DatasetError, match="has changed since it was opened"):
        pickle.loads(sent)


def test_a_film_done_again_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data")
    old = Dataset(path)
    old_files = set(content(path))
    write_film(path, 0, verdict="kept", reason="", caption="new")
    new = Dataset(path)
    assert len(new) == 12 + 8
    assert new.keyframe(0).caption == "new"
    assert verify(path) == []
    assert not any((path / name).exists() for name in old_files - set(content(path)))
    with pytest.raises(DatasetError, match=r"cannot be read .*cinema dataset verify"):
        old.image(old.keyframe(0))


class Killed(BaseException):
    """Stands for a kill: nothing is tidied up after it."""


@pytest.mark.parametrize("moment", range(5))
def test_a_kill_between_any_two_renames_loses_nothing(
    moment: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_dataset(tmp_path / "data", films=1, shots=3)
    before, wanted = content(path), make_dataset(tmp_path / "wanted", films=1, shots=4)
    done = 0

    def rename(source: Path, target: Path) -> None:
        nonlocal done
        if done == moment:
            raise Killed
        done += 1
        os.rename(source, target)

    with monkeypatch.context() as patched:
        patched.setattr("captain_cinema.films.store.writer.os.replace", rename)
        patched.setattr(FilmWriter, "abandon", lambda self: None)
        patched.setattr(Path, "unlink", lambda self, missing_ok=False: None)
        try:
            write_film(path, 0, shots=4)
        except Killed:
            pass
        else:
            assert moment == 4
    finished = finished_film(path, film_record(0).id)
    assert finished is not None
    committed = finished.kept + finished.dropped == 8
    assert committed == (moment == 4)
    opened = Dataset(path)
    assert [opened.image(record).shape for record in opened.keyframes(finished.id)]
    assert {problem.kind for problem in verify(path)} <= {"unknown"}
    clean(path)
    assert verify(path) == []
    assert content(path) == (content(wanted) if committed else before)
    write_film(path, 0, shots=4)
    assert content(path) == content(wanted)


def test_an_error_leaves_nothing_behind(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1)
    before = content(path)

    def fail() -> None:
        with FilmWriter(path, film_record(5), SETTINGS) as writer:
            made = picture(5, 1, "middle")
            writer.add(made, keyframe(film_record(5).id, made))
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail()
    assert content(path) == before
    assert list((path / ".parts").iterdir()) == []


def test_leftovers_are_found_and_cleaned(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1)
    before = content(path)
    (path / ".parts" / "0123-x").mkdir(parents=True)
    (path / ".parts" / "0123-x" / "00000.tar").write_bytes(b"half")
    (path / "shards" / "0123456789abcdef-00000000-00000.tar").write_bytes(b"whole but unknown")
    (path / "films" / ".0123.json.77.part").write_bytes(b"{")
    assert len(unnamed_files(path)) == 2
    assert len(clean(path)) == 3
    assert content(path) == before
    assert clean(path) == []


def test_a_damaged_record_does_not_cost_the_film_its_files(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1)
    (path / "films" / f"{film_record(0).id}.json").write_text("{")
    shards = set((path / "shards").iterdir())
    clean(path)
    assert set((path / "shards").iterdir()) == shards
    assert finished_film(path, film_record(0).id) is None
    with pytest.raises(DatasetError, match="delete it and build again"):
        Dataset(path)


def test_a_keyframe_twice_or_of_another_film_is_refused(tmp_path: Path) -> None:
    create_dataset(tmp_path, SETTINGS)
    film, made = film_record(0), picture(0, 1, "middle")
    with FilmWriter(tmp_path, film, SETTINGS) as writer:
        writer.add(made, keyframe(film.id, made))
        with pytest.raises(ValueError, match="comes twice"):
            writer.add(made, keyframe(film.id, made))
        with pytest.raises(ValueError, match="another film's"):
            writer.add(made, keyframe(film_record(1).id, made))
        with pytest.raises(ValueError, match="cannot end as"):
            writer.finish(film_record(1))
        writer.abandon()


def test_a_film_without_any_keyframe_is_a_film(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1, shots=0)
    opened = Dataset(path)
    assert (len(opened), len(opened.films())) == (0, 1)
    assert list(opened.stream()) == []
    assert verify(path) == []


def test_an_empty_dataset_opens(tmp_path: Path) -> None:
    opened = Dataset(make_dataset(tmp_path / "data", films=0))
    assert (len(opened), opened.films(), list(opened.shot_counts())) == (0, [], [])
    assert verify(opened.path) == []


def test_hostile_names_and_words_come_back(tmp_path: Path) -> None:
    create_dataset(tmp_path, SETTINGS)
    name = "-%03d \n\"'\u202e" + os.fsdecode(b"\xff\xfe") + ".mp4"
    film = replace(film_record(0), name=name, path="/x/" + name)
    made = picture(0, 1, "middle")
    with FilmWriter(tmp_path, film, SETTINGS) as writer:
        writer.add(made, keyframe(film.id, made, caption="half a pair \ud83d, <名前> नमस्ते \x00"))
        writer.finish(film)
    opened = Dataset(tmp_path)
    assert opened.films()[0].name == name
    assert opened.keyframe(0).caption == "half a pair \\ud83d, <名前> नमस्ते \x00"
    assert verify(tmp_path) == []


def test_files_without_a_film_are_noted_until_they_give_one(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=0)
    film = film_record(0)
    rejected = FilmRecord(
        id="", name=film.name, path=film.path, digest="", size=0, verdict="rejected", reason="zero bytes"
    )
    put_file(path, rejected)
    assert Dataset(path).files() == [rejected]
    with pytest.raises(ValueError, match="goes through FilmWriter"):
        put_file(path, film)
    write_film(path, 0)
    assert Dataset(path).files() == []
    remove_film(path, film.id)
    assert Dataset(path).films() == []
    assert unnamed_files(path) == []


def test_missing_or_short_files_make_a_film_unfinished(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data")
    for number, spoil in enumerate((Path.unlink, lambda file: os.truncate(file, 100))):
        film = film_record(number).id
        assert finished_film(path, film) is not None
        spoil(next((path / "shards").glob(f"{film}-*")))
        assert finished_film(path, film) is None


def test_folders_that_are_no_datasets_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no dataset in"):
        Dataset(tmp_path / "nowhere")
    (tmp_path / "holiday.jpg").write_bytes(b"")
    with pytest.raises(DatasetError, match="is no dataset"):
        Dataset(tmp_path)
    with pytest.raises(DatasetError, match="is no dataset"):
        create_dataset(tmp_path, SETTINGS)
    with pytest.raises(DatasetError, match="is a file"):
        create_dataset(tmp_path / "holiday.jpg", SETTINGS)
    path = make_dataset(tmp_path / "data", films=0)
    write_json(path / "dataset.json", {"maker": paths.MAKER, "format": 99})
    with pytest.raises(DatasetError, match="format 99, this version reads 1"):
        Dataset(path)


def test_a_dataset_that_cannot_be_written_can_be_read(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1)
    (path / "cache").write_text("in the way")
    opened = Dataset(path)
    assert opened.image(opened.keyframe(3)).shape == (60, 120, 3)


def test_the_joined_index_is_used_and_made_again_when_films_change(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1)
    Dataset(path)
    joined = path / "cache" / "index.arrow"
    made = joined.stat().st_mtime_ns
    Dataset(path)
    assert joined.stat().st_mtime_ns == made
    write_film(path, 1)
    assert len(Dataset(path)) == 16
    joined.unlink()
    joined.write_bytes(b"spoilt")
    assert len(Dataset(path)) == 16


def test_damaged_bytes_never_reach_anybody(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=1)
    opened = Dataset(path)
    place = opened.place(int(opened.kept[2]))
    with (path / place.file).open("r+b") as file:
        file.seek(place.offset + place.size // 2)
        file.write(b"\x00\x01\x02\x03")
    with pytest.raises(DatasetError, match=r"is damaged at byte \d+; `cinema dataset verify"):
        opened.image(opened.keyframe(2))
    assert opened.image(opened.keyframe(1)).shape == (60, 120, 3)
    row = opened.row(keyframe(film_record(0).id, picture(0, 3, "middle")))
    with pytest.raises(DatasetError, match="was dropped"):
        opened.jpeg_at(row)


def test_the_index_is_plain_parquet(dataset: Path) -> None:
    index = next((dataset / "index").glob("*.parquet"))
    table = pq.read_table(index)
    assert table["verdict"].to_pylist().count("kept") == 8
    assert "".join(table["caption"].to_pylist()).count("<Mara>") == 6


def test_second_thoughts_are_as_if_written_so_in_the_first_place(tmp_path: Path) -> None:
    path, film = make_dataset(tmp_path / "data"), film_record(0).id
    changed = [
        replace(record, verdict="dropped", reason="duplicate of film 1.mp4", caption="", characters=())
        if record.verdict == "kept" and record.shot in (1, 4)
        else replace(record, annotator="again")
        for record in film_keyframes(path, film)
    ]
    assert revise_film(path, film, changed).kept == 4
    assert verify(path) == []
    opened = Dataset(path)
    assert opened.keyframes(film, kept=False) == changed
    assert opened.image(opened.keyframes(film)[0]).shape == (60, 120, 3)
    assert unnamed_files(path) == []
    wanted = tmp_path / "wanted"
    create_dataset(wanted, SETTINGS)
    with FilmWriter(wanted, film_record(0), SETTINGS) as writer:
        for record in changed:
            writer.add(picture(0, record.shot, record.role), record)
        writer.finish(film_record(0))
    write_film(wanted, 1)
    assert content(path) == content(wanted)


def test_revising_nothing_changes_nothing(tmp_path: Path) -> None:
    path, film = make_dataset(tmp_path / "data", films=1), film_record(0).id
    before = content(path)
    revise_film(path, film, film_keyframes(path, film))
    assert content(path) == before


def test_a_dropped_picture_cannot_come_back(tmp_path: Path) -> None:
    path, film = make_dataset(tmp_path / "data", films=1), film_record(0).id
    records = film_keyframes(path, film)
    before = content(path)
    with pytest.raises(DatasetError, match="was dropped and is not stored; build its film again"):
        revise_film(path, film, [replace(record, verdict="kept", reason="") for record in records])
    with pytest.raises(ValueError, match="has 12 keyframes; all of them are revised, or none"):
        revise_film(path, film, records[:3])
    assert content(path) == before
    assert list((path / ".parts").iterdir()) == []


def test_a_file_that_does_not_reach_the_disk_is_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "settings.json"
    write_json(path, {"good": True})

    def disk_is_full(_: int) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(os, "fsync", disk_is_full)
    with pytest.raises(OSError, match="no space"):
        write_json(path, {"good": False})
    paths.flush(tmp_path)  # a folder that cannot be flushed is no error
    assert json.loads(path.read_text()) == {"good": True}
    assert list(tmp_path.iterdir()) == [path]
