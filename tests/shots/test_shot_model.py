"""Saving and loading in diffusers' layout."""

import json

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from captain_cinema.errors import WeightsError
from captain_cinema.shots.model import embedded_shot_config, load_shot_model, new_shot_model, save_shot_model

TINY = embedded_shot_config(latent_channels=2, txt_dim=6) | {
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "ffn_dim": 32,
    "freq_dim": 16,
    "num_layers": 1,
}


@pytest.fixture
def folder(tmp_path):
    save_shot_model(new_shot_model(TINY, seed=3), tmp_path / "shots")
    return tmp_path / "shots"


def test_what_is_saved_is_what_is_loaded(folder):
    assert {path.name for path in folder.iterdir()} == {"config.json", "diffusion_pytorch_model.safetensors"}
    model, saved = load_shot_model(folder), new_shot_model(TINY, seed=3).state_dict()
    assert not model.training
    assert model.state_dict().keys() == saved.keys()
    assert all(torch.equal(value, saved[name]) for name, value in model.state_dict().items())


def test_diffusers_reads_it_too(folder):
    assert WanTransformer3DModel.from_pretrained(folder).config["text_dim"] == 6


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def refused(folder) -> str:
    with pytest.raises(WeightsError) as caught:
        load_shot_model(folder)
    message = str(caught.value)
    assert "\n" not in message
    assert str(folder) in message
    return message


def test_no_folder(tmp_path):
    assert "config.json is missing" in refused(tmp_path / "nowhere")


def test_config_that_is_no_json(folder):
    (folder / "config.json").write_text("{")
    assert "cannot be read" in refused(folder)


def test_config_of_another_model(folder):
    edit_config(folder, _class_name="UNet2DModel")
    assert "UNet2DModel, not a WanTransformer3DModel" in refused(folder)


def test_config_that_is_a_list(folder):
    (folder / "config.json").write_text("[]")
    assert "describes no model" in refused(folder)


def test_a_pickle_is_refused(folder):
    (folder / "diffusion_pytorch_model.safetensors").rename(folder / "diffusion_pytorch_model.bin")
    assert "no safetensors file" in refused(folder)


def test_a_damaged_file(folder):
    file = folder / "diffusion_pytorch_model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    assert "cannot be loaded" in refused(folder)


@pytest.mark.parametrize("changes", [{"num_layers": 2}, {"ffn_dim": 48}, {"num_attention_heads": "two"}])
def test_weights_that_do_not_fit_their_configuration(folder, changes):
    edit_config(folder, **changes)
    assert "the shot model in" in refused(folder)


def test_weights_with_more_than_the_configuration(folder):
    save_shot_model(new_shot_model(TINY | {"num_layers": 2}, seed=0), folder)
    edit_config(folder, num_layers=1)
    assert "does not fit its config.json" in refused(folder)
