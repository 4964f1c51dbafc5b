"""Every bad, odd or hostile file ends with its verdict, and stops no other."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
from building import SETTINGS, leftovers, run
from corpus import Expected, write_corpus
from drawn import write_film

from captain_cinema.films.media import find_films
from captain_cinema.films.report import BuildReport
from captain_cinema.films.store.reader import Dataset

NOTHING_TO_SEE = {"black.mp4", "one-pixel.mkv"}
"""They decode, but no keyframe of them is of any use."""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> tuple[dict[str, Expected], Path, BuildReport]:
    home = tmp_path_factory.mktemp("corpus")
    expected = write_corpus(home / "films")
    report = run(find_films([home / "films"]), home / "dataset")
    return expected, home / "dataset", report


def test_every_file_has_its_verdict_and_reason(corpus) -> None:
    expected, _, report = corpus
    found = {os.path.basename(record.path): record for record in report.records}
    assert found.keys() == expected.keys()
    wrong = {}
    for name, wanted in expected.items():
        record = found[name]
        verdict = "rejected" if name in NOTHING_TO_SEE else wanted.verdict
        if record.verdict != verdict or wanted.says not in record.reason:
            wrong[name] = (record.verdict, record.reason)
        if (record.verdict not in ("ok",)) != bool(record.reason):
            wrong[name] = (record.verdict, record.reason)
        if wanted.corrupt and not record.corrupt:
            wrong[name] = "damage was not counted"
    assert wrong == {}
    assert report.code == 1


def test_what_is_ok_gave_keyframes(corpus) -> None:
    expected, dataset, _ = corpus
    opened = Dataset(dataset)
    for film in opened.films():
        if film.verdict in ("ok", "partial"):
            assert film.kept > 0, film.name
            assert film.shots >= 1
            low, high = expected[os.path.basename(film.path)].frames
            assert low <= film.frames <= high, film.name
            first = opened.keyframes(film.id)[0]
            assert opened.image(first).shape[1] == 2 * opened.image(first).shape[0]


def test_it_is_all_remembered(corpus) -> None:
    expected, dataset, report = corpus
    opened = Dataset(dataset)
    known = {record.path: record.verdict for record in (*opened.films(), *opened.files())}
    assert known == {record.path: record.verdict for record in report.records}
    assert leftovers(dataset) == []
    assert len(expected) == len(known)


def test_a_second_run_decodes_nothing_that_is_done(corpus) -> None:
    _, dataset, report = corpus
    again = run([Path(record.path) for record in report.records], dataset)
    assert [record.verdict for record in again.records] == [record.verdict for record in report.records]
    assert again.written == 0


def test_a_thousand_files(tmp_path) -> None:
    film = write_film(tmp_path / "film.mp4", 9)
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(100):
        os.link(film, folder / f"{number:05d}.mp4")
    for number in range(900):
        (folder / f"empty {number:05d}.mp4").touch()
    report = run(find_films([folder]), tmp_path / "dataset", replace(SETTINGS, short_side=48))
    assert report.counts == {"ok": 1, "partial": 0, "duplicate": 99, "rejected": 900, "error": 0}
