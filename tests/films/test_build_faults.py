"""A full disk, a kill, a film that changes: what is finished stays, and the next run goes on."""

import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from building import content, leftovers, make_films, run, verdicts
from drawn import write_film

from captain_cinema.errors import CinemaError
from captain_cinema.films import filming, spool
from captain_cinema.films.store import writer
from captain_cinema.films.workers import Processes


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[Path]:
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def wanted(films, tmp_path_factory) -> dict[str, str]:
    dataset = tmp_path_factory.mktemp("whole") / "dataset"
    run(films, dataset)
    return content(dataset)


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_any_moment_leave_the_same_dataset(tmp_path, seed) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("build_kills.py")), str(tmp_path), "20", str(seed)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["kills"] == 20
    assert found["unequal"] == []
    assert found["left"] == []


@pytest.mark.parametrize("room", ["spool", "shard"])
def test_a_full_disk_ends_the_build_and_the_next_one_goes_on(
    films, wanted, tmp_path, monkeypatch, room
) -> None:
    calls = 0
    owner, name = {"spool": (spool.SpoolWriter, "put"), "shard": (writer.FilmWriter, "add_encoded")}[room]
    real = getattr(owner, name)

    def full(self, *arguments):
        nonlocal calls
        calls += 1
        if calls > (24 if room == "spool" else 7):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "somewhere")
        return real(self, *arguments)

    monkeypatch.setattr(owner, name, full)
    with pytest.raises(OSError, match="No space left"):
        run(films, tmp_path / "dataset")
    monkeypatch.undo()
    report = run(films, tmp_path / "dataset")
    assert report.code == 0
    assert report.decoded < len(films)
    assert content(tmp_path / "dataset") == wanted
    assert leftovers(tmp_path / "dataset") == []


def test_a_limit_on_files_ends_the_build_too(films, wanted, tmp_path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            run(films, tmp_path / "dataset", crew=Processes(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run(films, tmp_path / "dataset")
    assert content(tmp_path / "dataset") == wanted
    assert leftovers(tmp_path / "dataset") == []


def test_a_film_that_changes_once_is_begun_anew(tmp_path, monkeypatch) -> None:
    films = make_films(tmp_path / "films")
    watch = filming.watch
    watched = []

    def change(task):
        watched.append(task.path.name)
        done = watch(task)
        if watched == ["a.mp4"]:
            (task.out).rename(task.out.with_name("before"))
            write_film(task.path, 77, lengths=(10, 12, 14))
            return type(done)(outcome="changed")
        return done

    monkeypatch.setattr(filming, "watch", change)
    report = run(films, tmp_path / "dataset")
    monkeypatch.undo()
    assert report.code == 0
    assert watched == ["a.mp4", "b.mkv", "c.mp4", "a.mp4"] or watched[:2] == ["a.mp4", "a.mp4"]
    run(films, tmp_path / "fresh")
    assert content(tmp_path / "dataset") == content(tmp_path / "fresh")
    assert leftovers(tmp_path / "dataset") == []


def test_a_film_that_never_stops_changing_is_an_error(tmp_path, monkeypatch) -> None:
    films = make_films(tmp_path / "films")
    real = filming.watch

    def grow(task):
        if task.path.name == "b.mkv":
            with task.path.open("ab") as file:
                file.write(b"more")
        return real(task)

    monkeypatch.setattr(filming, "watch", grow)
    report = run(films, tmp_path / "dataset")
    assert verdicts(report) == {"a.mp4": "ok", "b.mkv": "error", "c.mp4": "ok"}
    assert "changes while it is read" in report.records[1].reason
    monkeypatch.undo()
    report = run(films, tmp_path / "dataset")
    assert (verdicts(report)["b.mkv"], report.decoded) == ("ok", 1)


def test_what_is_damaged_is_made_again(films, wanted, tmp_path) -> None:
    dataset = tmp_path / "dataset"
    run(films, dataset)
    shard = next((dataset / "shards").glob("*"))
    shard.write_bytes(shard.read_bytes()[:-1])
    report = run(films, dataset)
    assert (report.code, report.decoded) == (0, 1)
    assert content(dataset) == wanted


def test_a_bug_is_one_films_and_no_others(films, tmp_path, monkeypatch, caplog) -> None:
    real = filming.watch

    def stumble(task):
        if task.path.name == "b.mkv":
            raise ZeroDivisionError("of all things")
        return real(task)

    monkeypatch.setattr(filming, "watch", stumble)
    report = run(films, tmp_path / "dataset")
    assert verdicts(report) == {"a.mp4": "ok", "b.mkv": "error", "c.mp4": "ok"}
    assert report.records[1].reason == "ZeroDivisionError: of all things"
    assert report.code == 1


def test_two_builds_at_once_do_not_meet(films, tmp_path, monkeypatch) -> None:
    real = filming.watch
    met = []

    def intrude(task):
        with pytest.raises(CinemaError, match="another build is at work"):
            run(films, tmp_path / "dataset")
        met.append(task)
        return real(task)

    monkeypatch.setattr(filming, "watch", intrude)
    assert run(films, tmp_path / "dataset").code == 0
    assert met
