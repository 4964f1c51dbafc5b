"""Whole films: of the playhouse with its captions, and real ones where there are any."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from building import content, run
from drawn import shots, write_film

from captain_cinema.films.annotate import load_cast
from captain_cinema.films.media import find_films
from captain_cinema.films.publishing import AnnotatorChoice
from captain_cinema.films.score import score_cuts
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.workers import Processes
from captain_cinema.playhouse.export import write_film as write_playhouse

SIDECAR = AnnotatorChoice(spec="sidecar")


@pytest.fixture(scope="module")
def playhouse(tmp_path_factory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp("playhouse")
    write_playhouse(folder, seed=4, shots=6, height=96)
    return folder, json.loads((folder / "truth.json").read_text("utf-8"))


def test_a_playhouse_film_has_its_captions(playhouse, tmp_path) -> None:
    folder, truth = playhouse
    report = run([folder / "film.mp4"], tmp_path / "dataset", choice=SIDECAR)
    assert report.code == 0
    dataset = Dataset(tmp_path / "dataset")
    film = dataset.films()[0]
    assert film.caption
    assert {name for name, _ in film.cast} == {member["name"] for member in truth["cast"]}
    shots_of_it = dataset.shots(film.id)
    assert len(shots_of_it) >= 4
    named = {name for names in shots_of_it.names for name in names}
    assert named <= {member["name"] for member in truth["cast"]}
    assert named
    for caption, names in zip(shots_of_it.captions, shots_of_it.names, strict=True):
        assert caption
        assert all(f"<{name}>" in caption for name in names)
    picture = shots_of_it.frame(0, 96)
    assert picture.shape == (96, 192, 3)


def test_captions_that_come_later_need_no_decoding(playhouse, tmp_path) -> None:
    folder, _ = playhouse
    dataset = tmp_path / "dataset"
    run([folder / "film.mp4"], dataset)
    assert set(Dataset(dataset).shots(Dataset(dataset).film_ids()[0]).captions) == {""}
    report = run([folder / "film.mp4"], dataset, choice=SIDECAR)
    assert (report.decoded, report.written) == (0, 1)
    run([folder / "film.mp4"], tmp_path / "fresh", choice=SIDECAR)
    assert content(dataset) == content(tmp_path / "fresh")
    script = folder / "script.yaml"
    before = script.read_text("utf-8")
    script.write_text(before.replace("caption: ", "caption: Now ", 1), "utf-8")
    try:
        assert run([folder / "film.mp4"], dataset, choice=SIDECAR).decoded == 0
    finally:
        script.write_text(before, "utf-8")


def test_captions_that_are_missing_make_a_film_partial(tmp_path) -> None:
    film = write_film(tmp_path / "alone.mp4", 3)
    report = run([film], tmp_path / "dataset", choice=SIDECAR)
    assert report.code == 1
    assert report.records[0].verdict == "partial"
    assert "captions are missing" in report.records[0].reason
    (tmp_path / "alone.mp4.captions.yaml").write_text(
        "- {start: 0, end: 1, caption: blobs}\n- {start: 1, end: 2, caption: other blobs}\n", "utf-8"
    )
    report = run([film], tmp_path / "dataset", choice=SIDECAR)
    assert (report.code, report.decoded) == (0, 0)
    dataset = Dataset(tmp_path / "dataset")
    assert list(dataset.shots(dataset.film_ids()[0]).captions) == ["blobs", "other blobs"]


def test_a_cast_file_is_in_the_record(tmp_path) -> None:
    film = write_film(tmp_path / "some.mp4", 3)
    (tmp_path / "cast.yaml").write_text("some.mp4: [{name: Mara, description: a tall fox}]\n", "utf-8")
    choice = AnnotatorChoice(cast=load_cast(tmp_path / "cast.yaml"))
    run([film], tmp_path / "dataset", choice=choice)
    assert Dataset(tmp_path / "dataset").films()[0].cast == (("Mara", "a tall fox"),)


def real_films() -> Path | None:
    """A folder of real films with a manifest, if this machine has one."""
    named = os.environ.get("CAPTAIN_CINEMA_FILMS")
    folder = Path(named) if named else Path(__file__).parents[3] / "shared" / "films"
    return folder if (folder / "manifest.json").is_file() else None


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> tuple[Path, list[dict]]:
    """Real films with known cuts, or else drawn ones."""
    folder = real_films()
    if folder is not None:
        listed = json.loads((folder / "manifest.json").read_text("utf-8"))
        short = ("bikes.mp4", "h264_10bits.mp4", "h265_10bits.mp4", "video_90.mov", "corrupted.mp4")
        return folder, [film for film in listed if film["file"] in short]
    folder = tmp_path_factory.mktemp("drawn")
    write_film(folder / "bikes.mp4", 8, lengths=(30, 46, 61, 50), size=(320, 136), rate=25)
    write_film(folder / "h264.mp4", 9, frames=list(shots(9, (40,), (320, 180))), size=(320, 180))
    known = {"hard": [30, 76, 137], "gradual": []}
    return folder, [{"file": "bikes.mp4", "cuts": known}, {"file": "h264.mp4"}]


def test_real_films(films, tmp_path) -> None:
    folder, listed = films
    paths = find_films([folder / film["file"] for film in listed])
    report = run(paths, tmp_path / "dataset")
    assert all(record.verdict in ("ok", "partial", "duplicate") for record in report.records)
    dataset = Dataset(tmp_path / "dataset")
    by_name = {film.name: film for film in dataset.films()}
    for film in listed:
        if "cuts" not in film:
            continue
        found = by_name[film["file"]].cuts
        score = score_cuts([cut.frame for cut in found], film["cuts"]["hard"], film["cuts"]["gradual"])
        assert score.f1 == 1.0
    for film in dataset.films():
        for one in dataset.keyframes(film.id):
            image = dataset.image(one)
            assert image.shape[1] == 2 * image.shape[0] <= 800
            assert float(np.mean(image)) > 16
    run(paths, tmp_path / "two", crew=Processes(2))
    assert content(tmp_path / "two") == content(tmp_path / "dataset")
