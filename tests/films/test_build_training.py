"""A dataset made of a playhouse film and one made of other films are trained on by the same loader."""

from functools import partial
from pathlib import Path

import pytest
import torch
from building import run
from drawn import write_film
from real_films import FOLDER

from captain_cinema import cli
from captain_cinema.backbone.latents import embedded_vae
from captain_cinema.films.publishing import AnnotatorChoice
from captain_cinema.films.store.reader import Dataset
from captain_cinema.playhouse.export import write_film as write_playhouse
from captain_cinema.train import previews
from captain_cinema.train.state import load_checkpoint

SIDECAR = AnnotatorChoice(spec="sidecar")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    embedded_vae().save_pretrained(folder / "vae")
    return folder


def of_the_playhouse(folder: Path) -> Path:
    write_playhouse(folder, seed=4, shots=12, height=96)
    return folder / "film.mp4"


def of_a_camera(folder: Path) -> Path:
    """A real film where there is one, a drawn one elsewhere, with captions beside it."""
    folder.mkdir()
    film = folder / "bikes.mp4"
    if not (FOLDER / "bikes.mp4").is_file():
        write_film(film, 8, lengths=(30, 46, 31, 50, 24, 36), size=(320, 136), rate=25)
    else:
        film.write_bytes((FOLDER / "bikes.mp4").read_bytes())
    (folder / "bikes.mp4.captions.jsonl").write_text(
        '{"start": 0, "caption": "<Ada> rides through the town."}\n'
    )
    return film


@pytest.mark.parametrize("made", [of_the_playhouse, of_a_camera])
def test_a_built_dataset_is_trained_on(made, weights, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(previews, "next_keyframes", partial(previews.next_keyframes, steps=1))
    film = made(tmp_path / "films")
    assert run([film], tmp_path / "dataset", choice=SIDECAR).code == 0
    opened = Dataset(tmp_path / "dataset")
    shots = opened.shots(opened.film_ids()[0])
    assert len(shots) >= 6
    assert all(shots.captions)
    given = ["--preset", "debug", "--device", "cpu", "--weights", str(weights)]
    out = tmp_path / "run"
    code = cli.main(
        ["train", "keyframes", "--dataset", str(tmp_path / "dataset"), "--out", str(out), *given, "--json"]
    )
    assert code == 0, capsys.readouterr().err
    found = load_checkpoint(out)
    assert found is not None
    assert all(bool(torch.isfinite(value).all()) for value in found["model"].values())
    assert found["step"] >= 2
