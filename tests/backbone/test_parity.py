"""The MM-DiT equals diffusers' FLUX.1 and FLUX.2 at one pair, and their folders are interchangeable."""

import json

import pytest
import torch
from published import (
    CLASSES,
    LAYOUTS,
    new_reference,
    one_pair,
    randomise,
    relative_error,
    run_reference,
    tiny_config,
)

from captain_cinema.backbone.config import to_json
from captain_cinema.backbone.mmdit import Flux1Config, MMDiT, MMDiTConfig, load_mmdit, save_mmdit


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("guidance", [False, True])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@torch.no_grad()
def test_one_pair_equals_diffusers_loaded_from_its_folder(
    tmp_path, monkeypatch, layout, guidance, dtype, bound
):
    reference = new_reference(layout, guidance=guidance)
    reference.save_pretrained(tmp_path)
    model = load_mmdit(tmp_path, dtype=dtype)
    if dtype == torch.float64:
        # diffusers rounds positions, queries and keys to float32 whatever the model's precision.
        monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    strength = torch.tensor([3.5, 1.5], dtype=dtype) if guidance else None
    pair = one_pair(layout, dtype)
    wanted = run_reference(reference.to(dtype), pair, strength)
    got = model([pair], guidance=strength)[0][:, 0]
    assert got.dtype == dtype
    error = relative_error(got, wanted)
    print(f"{layout} {'with' if guidance else 'without'} guidance, {dtype}: relative error {error:.1e}")
    assert error < bound


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("max_shard_size", [10**10, 40_000])
@torch.no_grad()
def test_diffusers_loads_what_we_save(tmp_path, layout, max_shard_size):
    model = MMDiT(tiny_config(layout, guidance=True)).eval()
    randomise(model)
    save_mmdit(model, tmp_path, max_shard_size=max_shard_size)
    assert (len(list(tmp_path.glob("*.safetensors"))) > 2) == (max_shard_size == 40_000)
    reference, report = CLASSES[layout].from_pretrained(tmp_path, output_loading_info=True)
    assert not any(report.values())
    strength = torch.tensor([2.0, 4.0])
    pair = one_pair(layout, torch.float32)
    got = model([pair], guidance=strength)[0][:, 0]
    assert relative_error(got, run_reference(reference, pair, strength)) < 1e-5


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("max_shard_size", [10**10, 40_000])
def test_saving_and_loading_changes_nothing(tmp_path, layout, max_shard_size):
    model = MMDiT(tiny_config(layout, guidance=False))
    randomise(model)
    save_mmdit(model, tmp_path, max_shard_size=max_shard_size)
    again = load_mmdit(tmp_path)
    assert again.config == model.config
    weights = again.state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    assert all(weight.requires_grad for weight in again.parameters())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_published_folder_survives_bit_for_bit(tmp_path, layout):
    """diffusers -> ours -> diffusers, whole or in shards, in bfloat16 as the open weights are."""
    reference = new_reference(layout, guidance=True).bfloat16()
    reference.save_pretrained(tmp_path / "whole")
    reference.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    for kind in ("whole", "shards"):
        save_mmdit(load_mmdit(tmp_path / kind), tmp_path / "ours", max_shard_size=30_000)
        again = CLASSES[layout].from_pretrained(tmp_path / "ours", torch_dtype=torch.bfloat16).state_dict()
        assert again.keys() == reference.state_dict().keys()
        assert all(torch.equal(again[name], weight) for name, weight in reference.state_dict().items())
        published, written = (json.loads((tmp_path / x / "config.json").read_text()) for x in (kind, "ours"))
        assert {k: v for k, v in published.items() if v is not None} == {
            k: v for k, v in written.items() if v is not None
        }


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_smaller_model_leaves_nothing_of_the_larger_one_before(tmp_path, layout):
    model = MMDiT(tiny_config(layout, guidance=False))
    randomise(model)
    for size in (40_000, 10**10, 90_000):
        save_mmdit(model, tmp_path, max_shard_size=size)
        weights = load_mmdit(tmp_path).state_dict()
        assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
        assert not list(tmp_path.glob("*.part"))
        if size == 10**10:
            assert sorted(file.name for file in tmp_path.iterdir()) == [
                "config.json",
                "diffusion_pytorch_model.safetensors",
            ]


def test_the_published_configurations_describe_the_published_sizes():
    """FLUX.1-dev has 11.9 billion parameters, FLUX.2-klein 3.9, FLUX.2-dev 32.2; without their memory."""
    klein = MMDiTConfig(
        num_layers=5,
        num_single_layers=20,
        num_attention_heads=24,
        joint_attention_dim=7680,
        guidance_embeds=False,
    )
    sizes = {}
    for config in (Flux1Config(guidance_embeds=True), klein, MMDiTConfig()):
        with torch.device("meta"):
            ours = MMDiT(config)
            theirs = CLASSES[config.layout.name](**to_json(config))
        sizes[id(config)] = sum(weight.numel() for weight in ours.parameters())
        assert sizes[id(config)] == sum(weight.numel() for weight in theirs.parameters())
    assert [round(size / 1e9, 1) for size in sizes.values()] == [11.9, 3.9, 32.2]
