"""Transformers of both layouts and pairs for them, as the counts describe them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.keyframes import config_of
from captain_cinema.backbone.mmdit import MMDiT, PairGroup, pair_ids
from captain_cinema.evaluate.cost import Scale
from captain_cinema.evaluate.cost_sizes import Layout, Transformer


def random_sizes(layout: Layout, seed: int, *, blocks: tuple[int, int] | None = None) -> Transformer:
    rng = np.random.default_rng(seed)
    double, single = blocks or (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    return Transformer(
        name="random",
        source="a test",
        layout=layout,
        in_channels=int(rng.choice([16, 32])),
        num_layers=double,
        num_single_layers=single,
        attention_head_dim=32,
        num_attention_heads=int(rng.integers(2, 5)),
        joint_attention_dim=int(rng.choice([24, 48])),
        guidance_embeds=bool(rng.integers(2)),
        pooled_projection_dim=20 if layout == "flux1" else 0,
        timestep_channels=256 if layout == "flux1" else 64,
        mlp_ratio=4.0 if layout == "flux1" else 3.0,
    )


def build(sizes: Transformer, dtype: torch.dtype = torch.float32, *, device: str = "cpu") -> MMDiT:
    config = config_of(sizes)
    with torch.device(device), without_initial_values():
        return MMDiT(config).to(dtype)


@contextlib.contextmanager
def without_initial_values() -> Iterator[None]:
    """Random numbers take long on the meta device, and nobody reads them."""
    with mock.patch.multiple(nn.init, kaiming_uniform_=lambda x, **_: x, uniform_=lambda x, *_: x):
        yield


def pairs_of(
    sizes: Transformer,
    scales: Sequence[Scale],
    *,
    first: int = 0,
    dtype: torch.dtype = torch.float32,
    device: str = "cpu",
) -> list[PairGroup]:
    """Pairs of these scales, the smallest frames first in the story."""
    groups, index = [], first
    for scale in sorted(scales, key=lambda scale: scale.rows):
        numbers = list(range(index, index + scale.pairs))
        index += scale.pairs
        img_ids, txt_ids = pair_ids(numbers, scale.rows, scale.cols, scale.txt_len)

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=dtype, device=device)

        pooled = sizes.pooled_projection_dim
        groups.append(
            PairGroup(
                img=zeros(1, scale.pairs, scale.rows * scale.cols, sizes.in_channels),
                txt=zeros(1, scale.pairs, scale.txt_len, sizes.joint_attention_dim),
                timestep=torch.zeros((1, scale.pairs), device=device),
                img_ids=img_ids,
                txt_ids=txt_ids,
                pooled=zeros(1, scale.pairs, pooled) if pooled else None,
            )
        )
    return groups


def guidance_of(sizes: Transformer) -> float | None:
    return 3.5 if sizes.guidance_embeds else None
