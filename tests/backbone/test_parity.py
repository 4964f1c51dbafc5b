"""The MM-DiT equals diffusers' FLUX.2 transformer at one pair, and their folders are interchangeable."""

import warnings
from dataclasses import asdict
from typing import Any

import pytest
import torch

from captain_cinema.backbone.mmdit import MMDiT, MMDiTConfig, PairGroup, load_mmdit, pair_ids, save_mmdit

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers' own imports warn on some versions
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel


def tiny_config(guidance: bool) -> MMDiTConfig:
    return MMDiTConfig(
        in_channels=8,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=12,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance,
    )


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(0.3 * noise if weight.ndim > 1 else 1 + 0.2 * noise)


def one_pair(dtype: torch.dtype) -> PairGroup:
    generator = torch.Generator().manual_seed(1)
    img_ids, txt_ids = pair_ids([3], 2, 4, 5)
    return PairGroup(
        img=torch.randn(2, 1, 8, 8, generator=generator).to(dtype),
        txt=torch.randn(2, 1, 5, 12, generator=generator).to(dtype),
        timestep=torch.tensor([[0.3], [0.85]], dtype=dtype),
        img_ids=img_ids,
        txt_ids=txt_ids,
    )


def run_reference(reference: Flux2Transformer2DModel, pair: PairGroup, guidance: torch.Tensor | None):
    return reference(
        hidden_states=pair.img[:, 0],
        encoder_hidden_states=pair.txt[:, 0],
        timestep=pair.timestep[:, 0],
        img_ids=pair.img_ids[0],
        txt_ids=pair.txt_ids[0],
        guidance=guidance,
    ).sample


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


@pytest.mark.parametrize("guidance", [False, True])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-10)])
@torch.no_grad()
def test_one_pair_equals_diffusers_loaded_from_its_folder(tmp_path, monkeypatch, guidance, dtype, bound):
    reference = Flux2Transformer2DModel(**asdict(tiny_config(guidance))).eval()
    randomise(reference)
    reference.save_pretrained(tmp_path)
    model = load_mmdit(tmp_path, dtype=dtype)
    if dtype == torch.float64:
        # diffusers rounds positions, queries and keys to float32 whatever the model's precision.
        monkeypatch.setattr(torch.Tensor, "float", lambda self: self)
    strength = torch.tensor([3.5, 1.5], dtype=dtype) if guidance else None
    pair = one_pair(dtype)
    wanted = run_reference(reference.to(dtype), pair, strength)
    got = model([pair], guidance=strength)[0][:, 0]
    assert got.dtype == dtype
    assert relative_error(got, wanted) < bound


@torch.no_grad()
def test_diffusers_loads_what_we_save(tmp_path):
    config = tiny_config(guidance=True)
    model = MMDiT(config).eval()
    randomise(model)
    save_mmdit(model, tmp_path)
    loaded: Any = Flux2Transformer2DModel.from_pretrained(tmp_path, output_loading_info=True)
    reference, report = loaded
    assert not any(report.values())
    strength = torch.tensor([2.0, 4.0])
    pair = one_pair(torch.float32)
    got = model([pair], guidance=strength)[0][:, 0]
    assert relative_error(got, run_reference(reference, pair, strength)) < 1e-5


def test_saving_and_loading_changes_nothing(tmp_path):
    model = MMDiT(tiny_config(guidance=False))
    randomise(model)
    save_mmdit(model, tmp_path)
    again = load_mmdit(tmp_path)
    assert again.config == model.config
    weights = again.state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    assert all(weight.requires_grad for weight in again.parameters())


def test_sharded_folders_load(tmp_path):
    reference = Flux2Transformer2DModel(**asdict(tiny_config(guidance=False)))
    randomise(reference)
    reference.save_pretrained(tmp_path / "whole")
    reference.save_pretrained(tmp_path / "shards", max_shard_size="40KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 2
    whole, shards = load_mmdit(tmp_path / "whole").state_dict(), load_mmdit(tmp_path / "shards").state_dict()
    assert all(torch.equal(whole[name], shards[name]) for name in whole)
