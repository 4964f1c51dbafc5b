"""Every part of the embedded preset trains, resumes to the identical next step, and exports what loads."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from resuming import train_twice

from captain_cinema.backbone.latents import FrameCodec, embedded_vae, load_vae
from captain_cinema.backbone.mmdit import load_mmdit
from captain_cinema.errors import CinemaError
from captain_cinema.keyframes.retrieval import load_retriever
from captain_cinema.shots.model import load_shot_model
from captain_cinema.train.run import main_train

LOADERS = {
    "vae": lambda folder: load_vae(folder / "vae"),
    "keyframes": lambda folder: load_mmdit(folder / "keyframes" / "transformer"),
    "shots": lambda folder: load_shot_model(folder / "shots" / "transformer"),
    "retrieval": lambda folder: load_retriever(folder / "retrieval"),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a random VAE, which keyframes and shots build on."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    embedded_vae().save_pretrained(folder / "vae")
    return folder


@pytest.mark.parametrize("part", LOADERS)
def test_part_trains_resumes_identically_and_exports(part: str, weights: Path, tmp_path: Path) -> None:
    whole = train_twice(part, tmp_path, weights=weights)
    loaded = LOADERS[part](whole / "export").state_dict()
    assert sum(value.numel() for value in loaded.values()) > 1000


def test_unknown_part_and_preset_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CinemaError, match="no part 'sound' to train; use one of vae"):
        main_train("sound", out=tmp_path)
    with pytest.raises(CinemaError, match="no training preset 'huge'"):
        main_train("vae", out=tmp_path, preset="huge")


def test_tokens_and_frames_fit(weights: Path) -> None:
    codec = FrameCodec(load_vae(weights / "vae"))
    frames = torch.randint(0, 256, (2, 64, 128, 3), dtype=torch.uint8)
    tokens = codec.encode(frames)
    assert tokens.shape == (2, 2 * 4, 64)
    assert codec.decode(tokens, rows=2, cols=4).shape == frames.shape
    assert torch.equal(
        codec.decode(tokens, rows=2, cols=4), codec.decode_latents(codec.encode_latents(frames))
    )
    with pytest.raises(ValueError, match="not a multiple of 32"):
        codec.encode(frames[:, :40])
