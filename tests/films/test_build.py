"""Films become a dataset: the right frames, once, and the same ones whoever did the work."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from building import (
    LENGTHS,
    SETTINGS,
    SIZE,
    content,
    difference,
    drawn_frame,
    leftovers,
    make_films,
    run,
    the_film,
    verdicts,
)
from drawn import picture, shots, write_film

from captain_cinema.errors import CinemaError
from captain_cinema.films import filming, stretches
from captain_cinema.films.publishing import AnnotatorChoice
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.workers import Processes


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[Path]:
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def built(films, tmp_path_factory) -> Path:
    dataset = tmp_path_factory.mktemp("built") / "dataset"
    report = run(films, dataset)
    assert report.code == 0
    assert verdicts(report) == dict.fromkeys(LENGTHS, "ok")
    return dataset


@pytest.fixture
def forbid_decoding(monkeypatch) -> Callable[[], None]:
    def watch(task):
        raise AssertionError(f"{task.path} is decoded")

    return lambda: monkeypatch.setattr(filming, "watch", watch)


@pytest.mark.parametrize("name", LENGTHS)
def test_every_shot_gives_its_middle_and_its_first_frame(built: Path, name: str) -> None:
    dataset, record, keyframes = the_film(built, name)
    starts = np.cumsum([0, *LENGTHS[name]])
    assert [cut.frame for cut in record.cuts] == starts[1:-1].tolist()
    assert record.shots == len(LENGTHS[name])
    assert record.frames == sum(LENGTHS[name])
    wanted = {}
    for shot, (start, end) in enumerate(pairwise(starts), start=1):
        wanted[shot, "first"], wanted[shot, "middle"] = start, start + (end - start) // 2
    assert {(one.shot, one.role): one.frame for one in keyframes} == wanted
    for one in keyframes:
        assert (one.verdict, one.replaced, one.width, one.height) == ("kept", "", 160, 80)
        assert one.seconds == pytest.approx(one.frame / 12, abs=0.002)
        assert one.start <= one.seconds < one.end
        assert difference(dataset.image(one), drawn_frame(name, one.frame)) < 6


def test_a_second_run_does_nothing(films, built, forbid_decoding) -> None:
    before = content(built)
    forbid_decoding()
    report = run(films, built)
    assert (report.code, report.decoded, report.written) == (0, 0, 0)
    assert "nothing to do" in report.text()
    assert content(built) == before
    assert leftovers(built) == []


def test_two_workers_make_the_same_dataset(films, built, tmp_path) -> None:
    report = run(list(reversed(films)), tmp_path / "dataset", crew=Processes(2))
    assert report.code == 0
    assert content(tmp_path / "dataset") == content(built)
    assert leftovers(tmp_path / "dataset") == []


def test_more_decoder_threads_make_the_same_dataset(films, built, tmp_path) -> None:
    run(films, tmp_path / "dataset", threads=2)
    assert content(tmp_path / "dataset") == content(built)


def test_a_film_that_changed_is_redone_and_no_other(films, tmp_path) -> None:
    here = make_films(tmp_path / "films")
    dataset = tmp_path / "dataset"
    run(here, dataset)
    before = content(dataset)
    old = next(film for film in Dataset(dataset).films() if film.name == "b.mkv")
    write_film(here[1], seed=7, lengths=(9, 30), size=SIZE)
    report = run(here, dataset)
    assert (report.code, report.decoded, report.written) == (0, 1, 1)
    after = content(dataset)
    assert [name for name in after if old.id in name] == []
    assert [name for name in before if old.id not in name and after.get(name) != before[name]] == []


def test_a_film_that_was_touched_is_not_redone(tmp_path, forbid_decoding) -> None:
    here = make_films(tmp_path / "films")
    run(here, tmp_path / "dataset")
    here[0].touch()
    forbid_decoding()
    report = run(here, tmp_path / "dataset")
    assert (report.code, report.decoded, report.written) == (0, 0, 0)


def test_other_thresholds_and_other_captions_need_no_decoding(films, tmp_path, forbid_decoding) -> None:
    dataset, fresh = tmp_path / "dataset", tmp_path / "fresh"
    stricter = replace(SETTINGS, flat_deviation=60.0)
    cast = AnnotatorChoice(cast={"*": []})
    run(films, dataset)
    run(films, fresh, stricter)
    plain = content(dataset)
    forbid_decoding()
    report = run(films, dataset, stricter)
    assert report.written == 3
    assert sum(record.dropped for record in report.records) > 0
    assert content(dataset) == content(fresh)
    assert run(films, dataset, SETTINGS, choice=cast).written == 3  # what was dropped has come back
    assert content(dataset) == plain


def test_another_detector_needs_it(films, tmp_path) -> None:
    run(films[:1], tmp_path / "dataset")
    report = run(films[:1], tmp_path / "dataset", replace(SETTINGS, shortest_shot=1.4))
    assert (report.decoded, report.written) == (1, 1)


def test_copies_are_duplicates_and_the_same_picture_is_kept_once(tmp_path) -> None:
    folder = tmp_path / "films"
    here = make_films(folder)
    (folder / "copy of b.mkv").write_bytes((folder / "b.mkv").read_bytes())
    frames = [*shots(100, LENGTHS["a.mp4"][:2], SIZE), *shots(55, (10,), SIZE)]
    write_film(folder / "trailer.mp4", 0, size=SIZE, frames=frames, options={"crf": "30"})
    write_film(folder / "z again.mkv", 102, lengths=LENGTHS["c.mp4"], size=SIZE, options={"crf": "30"})
    everything = sorted(folder.iterdir())
    report = run(everything, tmp_path / "dataset")
    assert report.code == 0
    found = {record.name: record for record in report.records}
    assert found["copy of b.mkv"].verdict == "duplicate"
    assert found["copy of b.mkv"].reason == "the same content as b.mkv"
    assert found["z again.mkv"].verdict == "duplicate"
    assert found["z again.mkv"].reason == "every keyframe of it is in c.mp4"
    _, trailer, keyframes = the_film(tmp_path / "dataset", "trailer.mp4")
    assert (trailer.verdict, trailer.kept, trailer.dropped) == ("ok", 2, 4)
    reasons = {(one.shot, one.role): one.reason for one in keyframes if one.verdict == "dropped"}
    assert reasons[1, "middle"] == "duplicate of shot 1 of a.mp4"

    # The same films in three runs, the first of them last.
    later = tmp_path / "later"
    run(everything[4:], later)
    run(everything[1:], later, crew=Processes(2))
    run(everything, later)
    assert content(later) == content(tmp_path / "dataset")
    assert here


def test_a_black_frame_gives_way_to_a_lighter_one_of_its_shot(tmp_path) -> None:
    light = list(shots(3, (30,), SIZE))
    black = [np.zeros_like(light[0])]
    frames = [*light[:12], *(black * 8), *light[20:]]  # black in the middle, no cut the detector would see
    film = write_film(tmp_path / "dark.mp4", 0, size=SIZE, frames=frames)
    run([film], tmp_path / "dataset", replace(SETTINGS, threshold=1e9))
    _, record, keyframes = the_film(tmp_path / "dataset", "dark.mp4")
    assert record.shots == 1
    middle = next(one for one in keyframes if one.role == "middle")
    assert (middle.verdict, middle.replaced) == ("kept", "black")
    assert middle.frame in (11, 20)


def test_a_film_of_nothing_is_rejected_with_the_reason(tmp_path) -> None:
    film = write_film(tmp_path / "black.mp4", 0, size=SIZE, frames=[np.zeros((80, 160, 3), np.uint8)] * 24)
    report = run([film], tmp_path / "dataset")
    assert report.code == 1
    assert report.records[0].verdict == "rejected"
    assert "2 black" in report.records[0].reason
    assert run([film], tmp_path / "dataset").decoded == 0


@pytest.fixture
def short_lead(monkeypatch) -> None:
    monkeypatch.setattr(stretches, "LEAD_SECONDS", 2.0)
    monkeypatch.setattr(stretches, "LEAD_FRAMES", 30)
    monkeypatch.setattr(stretches, "ALIGN", 10)


@pytest.mark.parametrize("length", [5.0, 7.3])
def test_a_film_in_stretches_is_the_film_in_one_piece(tmp_path, short_lead, monkeypatch, length) -> None:
    lengths = (31, 8, 55, 4, 4, 29, 80, 12, 60, 21, 5, 5, 5, 44)
    film = write_film(tmp_path / "long.mkv", 12, lengths=lengths, size=SIZE, gop=24)
    settings = replace(SETTINGS, stretch_seconds=length)
    watched = []
    watch = filming.watch
    monkeypatch.setattr(filming, "watch", lambda task: watched.append(task.stretch) or watch(task))
    run([film], tmp_path / "parts", settings)
    assert len(watched) == round(sum(lengths) / 12 / length) > 3
    assert watched[-1].feed > 200
    run([film], tmp_path / "whole")
    _, parts, in_parts = the_film(tmp_path / "parts", "long.mkv")
    _, whole, in_one = the_film(tmp_path / "whole", "long.mkv")
    assert parts.cuts == whole.cuts
    assert len(whole.cuts) > 8
    assert in_parts == in_one
    assert replace(parts, settings="") == replace(whole, settings="")
    assert {name: digest for name, digest in content(tmp_path / "parts").items() if "films" not in name} == {
        name: digest for name, digest in content(tmp_path / "whole").items() if "films" not in name
    }


def test_stretches_that_do_not_fit_are_done_in_one_piece(tmp_path, short_lead, monkeypatch) -> None:
    film = write_film(tmp_path / "long.mkv", 12, lengths=(31, 50, 40, 70), size=SIZE, gop=24)
    real = stretches.read_stamps

    def wrong(path, probe):
        found = real(path, probe)
        return replace(found, frames=found.frames + 1)  # no frame is where its stamp says

    monkeypatch.setattr(stretches, "read_stamps", wrong)
    report = run([film], tmp_path / "parts", replace(SETTINGS, stretch_seconds=4.0))
    assert report.code == 0
    run([film], tmp_path / "whole")
    assert the_film(tmp_path / "parts", "long.mkv")[2] == the_film(tmp_path / "whole", "long.mkv")[2]


def test_nothing_to_build_is_an_error_of_the_user(tmp_path) -> None:
    with pytest.raises(CinemaError, match="no film"):
        run([], tmp_path / "dataset")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("dear")
    film = write_film(tmp_path / "x.mp4", 1)
    with pytest.raises(CinemaError):
        run([film], tmp_path / "other")


def test_a_picture_is_never_enlarged(tmp_path) -> None:
    film = write_film(tmp_path / "small.mp4", 1, size=(96, 64))
    large = write_film(tmp_path / "wide.mp4", 2, size=(320, 120))
    run([film, large], tmp_path / "dataset", replace(SETTINGS, short_side=50))
    sizes = {one.width for one in the_film(tmp_path / "dataset", "small.mp4")[2]}
    assert sizes == {96}
    assert {one.width for one in the_film(tmp_path / "dataset", "wide.mp4")[2]} == {100}
    assert picture(1).shape == (90, 160, 3)
