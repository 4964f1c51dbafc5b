"""Parameters counted from published sizes, against the published classes on the meta device."""

from __future__ import annotations

import pytest
import torch
from cost_models import build, random_sizes, without_initial_values
from torch import nn

from captain_cinema.errors import CinemaError
from captain_cinema.evaluate.cost_sizes import (
    FLUX1_DEV,
    FLUX1_VAE,
    FLUX2_DEV,
    FLUX2_VAE,
    KLEIN_4B,
    KLEIN_9B,
    WAN_5B,
    Layout,
    Transformer,
    sizes_of,
)


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("sizes", [FLUX1_DEV, FLUX2_DEV, KLEIN_4B, KLEIN_9B], ids=lambda sizes: sizes.name)
def test_published_transformers(sizes: Transformer) -> None:
    model = build(sizes, device="meta")
    assert parameters(model) == sizes.parameters
    assert round(sizes.parameters / 1e9, 1) in (11.9, 32.2, 3.9, 9.1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("layout", ["flux1", "flux2"])
def test_other_sizes(layout: Layout, seed: int) -> None:
    sizes = random_sizes(layout, seed)
    assert parameters(build(sizes, device="meta")) == sizes.parameters


def test_diffusers_has_the_same_defaults() -> None:
    from diffusers import AutoencoderKLFlux2, Flux2Transformer2DModel, FluxTransformer2DModel

    with torch.device("meta"), without_initial_values():
        assert parameters(FluxTransformer2DModel(guidance_embeds=True)) == FLUX1_DEV.parameters
        assert parameters(Flux2Transformer2DModel()) == FLUX2_DEV.parameters
        assert parameters(AutoencoderKLFlux2()) == FLUX2_VAE.parameters


def test_what_stands_beside_the_transformers() -> None:
    from diffusers import AutoencoderKL, WanTransformer3DModel

    with torch.device("meta"), without_initial_values():
        vae = AutoencoderKL(
            block_out_channels=(128, 256, 512, 512),
            layers_per_block=2,
            latent_channels=16,
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            use_quant_conv=False,
            use_post_quant_conv=False,
        )
        wan = WanTransformer3DModel(
            num_attention_heads=24,
            attention_head_dim=128,
            in_channels=48,
            out_channels=48,
            ffn_dim=14336,
            num_layers=30,
        )
    assert parameters(vae) == FLUX1_VAE.parameters
    assert parameters(wan) == WAN_5B[0].parameters


def test_the_embedded_sizes_are_those_that_ship() -> None:
    from captain_cinema import presets
    from captain_cinema.evaluate.cost_sizes import stored_parameters

    sizes = sizes_of("embedded")
    folder = presets.weights_folder("embedded")
    assert sizes.transformer.parameters == stored_parameters(folder / "keyframes" / "transformer")
    assert sizes.vae.parameters > 1e6


def test_a_preset_that_does_not_exist() -> None:
    with pytest.raises(CinemaError, match=r"no preset 'huge'.*paper"):
        sizes_of("huge")
