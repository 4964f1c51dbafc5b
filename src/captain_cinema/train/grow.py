"""Grow a trained model: wider or deeper, or with more to say; the same function, and then train on.

Twice the width is four times the weights, and from random ones all that the narrow model has learnt would
have to be learnt again. Every number of the hidden state is held twice, and every layer reads half from
either copy, as in Net2Net (Chen et al. 2016, https://arxiv.org/abs/1511.05641). Layer norms, the norms of
queries and keys, and attention within a head do not notice. The halves are then told apart by a random part
that cancels out, so that gradients make different numbers of them.

A new single-stream block is a copy of the last one that adds nothing yet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from jaxtyping import Float
from torch import Tensor

from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.shots.conditioning import FRAMES_PER_SLOT
from captain_cinema.shots.motion_field import MOTION_CHANNELS

_OUTSIDE_IN = ("img_in", "txt_in", "time_in.lin_in")
"""Layers that read what the model does not make, as it is."""
_OUTSIDE_OUT = ("final.lin",)
"""Layers whose output leaves the model."""


@torch.no_grad()
def widen(model: MMDiT, generator: torch.Generator, *, spread: float = 0.5) -> MMDiT:
    """A model of twice the width and twice the heads that computes the same.

    Args:
        model: a FLUX.2 layout; left as it is.
        generator: of the random part, on the CPU.
        spread: size of the random part that cancels out, as a share of each weight matrix's own.

    Raises:
        ValueError: the model has parts that this does not know (FLUX.1's biases and pooled text).
    """
    config = replace(model.config, num_attention_heads=2 * model.config.num_attention_heads)
    wide = MMDiT(config)
    state = model.state_dict()
    if any(name.endswith(".bias") for name in state):
        raise ValueError("only models without biases can be widened")
    grown = {
        name: value.clone() if value.ndim == 1 else _grow(name, value, model, generator, spread)
        for name, value in state.items()
    }
    wide.load_state_dict(grown)
    return wide


@torch.no_grad()
def deepen(model: MMDiT, blocks: int) -> MMDiT:
    """A model of `blocks` single-stream blocks, not fewer than it has, that computes the same."""
    layers, old = model.state_dict(), model.config.num_single_layers
    deep = MMDiT(replace(model.config, num_single_layers=blocks))
    for new in range(old, blocks):
        for name, value in list(layers.items()):
            prefix = f"single_blocks.{old - 1}."
            if name.startswith(prefix):
                part = name.removeprefix(prefix)
                adds = part.startswith("lin_out.")
                layers[f"single_blocks.{new}.{part}"] = torch.zeros_like(value) if adds else value.clone()
    deep.load_state_dict(layers)
    return deep


@torch.no_grad()
def with_motion(model: WanTransformer3DModel, appearance: int) -> WanTransformer3DModel:
    """A shot model that reads and says a `shots.motion_field` too: at first that nothing moves.

    Args:
        model: one that says `appearance` channels a frame; one that says more comes back as it is.
        appearance: channels of a frame's latents.
    """
    old = FRAMES_PER_SLOT * appearance
    if model.config["out_channels"] > old:
        return model
    frame = appearance + MOTION_CHANNELS
    said, patch = FRAMES_PER_SLOT * frame, tuple(model.config["patch_size"])
    read = said + frame * (model.config["in_channels"] > old)
    grown = WanTransformer3DModel(
        **{**model.config, "in_channels": read, "out_channels": said}  # pyright: ignore[reportArgumentType]
    )
    state = model.state_dict()
    kept = torch.arange(read).view(-1, frame)[:, :appearance].flatten()
    into = torch.zeros_like(grown.patch_embedding.weight)
    into[:, kept] = state["patch_embedding.weight"]
    state["patch_embedding.weight"] = into
    for name in ("proj_out.weight", "proj_out.bias"):
        # A token's numbers are its patch's places one after the other, each with all channels.
        narrow = state[name].unflatten(0, (math.prod(patch), old))
        wide = narrow.new_zeros(narrow.shape[0], said, *narrow.shape[2:])
        wide[:, kept[:old]] = narrow
        state[name] = wide.flatten(0, 1)
    grown.load_state_dict(state)
    return grown


def _grow(
    name: str, weight: Float[Tensor, "out dim"], model: MMDiT, generator: torch.Generator, spread: float
) -> Float[Tensor, "wide_out wide_dim"]:
    layer = name.removesuffix(".weight")
    columns, rows = _parts(layer, weight.shape, model)
    if layer not in _OUTSIDE_IN:
        halves = []
        for part in weight.split(columns, dim=1):
            noise = torch.randn(2, *part.shape, generator=generator) * (spread * part.std() / 2)
            halves.append((part / 2 + noise, part / 2 - noise))
        # [rows' copy, out, in]: either copy of the rows has a random part of its own.
        weight = torch.stack(
            [torch.cat([half[copy] for pair in halves for half in pair], 1) for copy in (0, 1)]
        )
    else:
        weight = torch.stack([weight, weight])
    if layer in _OUTSIDE_OUT:
        return weight[0]
    first, second = (copy.split(rows) for copy in weight)
    return torch.cat([half for pair in zip(first, second, strict=True) for half in pair])


def _parts(layer: str, shape: Sequence[int], model: MMDiT) -> tuple[list[int], list[int]]:
    """Sizes of the input's and of the output's parts: what is stored as one layer is several."""
    dim, hidden = model.config.dim, model.config.hidden
    columns, rows = [shape[1]], [dim] * (shape[0] // dim)
    if "single_blocks" in layer and layer.endswith("lin_in"):
        rows = [dim] * 3 + [hidden] * 2
    elif layer.endswith("mlp.lin_in"):
        rows = [hidden] * 2
    elif "single_blocks" in layer and layer.endswith("lin_out"):
        columns = [dim, hidden]
    return columns, rows
