"""Tiny random models in the published layouts, diffusers' own classes to compare with."""

import warnings
from typing import Any

import torch

from captain_cinema.backbone.config import to_json
from captain_cinema.backbone.mmdit import Flux1Config, MMDiTConfig, PairGroup, pair_ids

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers' own imports warn on some versions
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

LAYOUTS = ["FLUX.1", "FLUX.2"]
CLASSES: dict[str, Any] = {"FLUX.1": FluxTransformer2DModel, "FLUX.2": Flux2Transformer2DModel}


def tiny_config(layout: str, *, guidance: bool) -> MMDiTConfig:
    sizes: dict[str, Any] = {
        "in_channels": 8,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 12,
        "guidance_embeds": guidance,
    }
    if layout == "FLUX.1":
        return Flux1Config(**sizes, axes_dims_rope=(4, 6, 6), pooled_projection_dim=10)
    return MMDiTConfig(**sizes, axes_dims_rope=(4, 4, 4, 4), timestep_guidance_channels=32)


def randomise(model: torch.nn.Module, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(0.3 * noise if weight.ndim > 1 or "bias" in name else 1 + 0.2 * noise)


def new_reference(layout: str, *, guidance: bool) -> Any:
    reference = CLASSES[layout](**to_json(tiny_config(layout, guidance=guidance))).eval()
    randomise(reference)
    return reference


def one_pair(layout: str, dtype: torch.dtype) -> PairGroup:
    generator = torch.Generator().manual_seed(1)
    img_ids, txt_ids = pair_ids([3], 2, 4, 5)
    return PairGroup(
        img=torch.randn(2, 1, 8, 8, generator=generator).to(dtype),
        txt=torch.randn(2, 1, 5, 12, generator=generator).to(dtype),
        timestep=torch.tensor([[0.3], [0.85]], dtype=dtype),
        img_ids=img_ids,
        txt_ids=txt_ids,
        pooled=torch.randn(2, 1, 10, generator=generator).to(dtype) if layout == "FLUX.1" else None,
    )


def run_reference(reference: Any, pair: PairGroup, guidance: torch.Tensor | None) -> torch.Tensor:
    axes = len(reference.config.axes_dims_rope)
    pooled = {} if pair.pooled is None else {"pooled_projections": pair.pooled[:, 0]}
    return reference(
        hidden_states=pair.img[:, 0],
        encoder_hidden_states=pair.txt[:, 0],
        timestep=pair.timestep[:, 0],
        img_ids=pair.img_ids[0, :, :axes],
        txt_ids=pair.txt_ids[0, :, :axes],
        guidance=guidance,
        **pooled,
    ).sample


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())
