"""Reference pictures for FLUX.2-klein, as its published pipelines show them to the network.

A reference stands in the same pair as the new picture, at a time of its own on the first rotary axis (10, 20,
30 ...), on its own grid of rows and columns. Two ways to compute it:

- exact: references are tokens of every step. They are modulated by the step's noise level and see the noisy
  picture and the caption, so nothing of them can be kept from step to step.
- cached: references see one another alone, at noise level 0, so that their keys and values in every block are
  computed once and read in all steps. That is how FLUX.2-klein-9b-kv was trained; for other weights it is an
  approximation (docs/open.md gives its error).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from captain_cinema.backbone.layers import DoubleBlock, Modulation, Shift, SingleBlock, attend
from captain_cinema.backbone.mmdit import MMDiT, PairGroup, pair_ids
from captain_cinema.backbone.rotary import rotary, rotate

FIRST_TIME, TIME_STEP = 10.0, 10.0
"""Where references stand on the first rotary axis: the i-th, from 0, at 10 + 10 i; the new one at 0."""

KeysValues = tuple[Float[Tensor, "b ref_len heads head_dim"], Float[Tensor, "b ref_len heads head_dim"]]


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A clean picture as tokens, row by row."""

    tokens: Float[Tensor, "1 img_len channels"]
    rows: int
    cols: int

    def __post_init__(self) -> None:
        if self.tokens.shape[1] != self.rows * self.cols:
            raise ValueError(f"a reference of {self.tokens.shape[1]} tokens is not {self.rows} x {self.cols}")


@dataclass(frozen=True, kw_only=True)
class ReferenceCache:
    """Keys and values of all references in every block, rotated."""

    double: tuple[KeysValues, ...]
    single: tuple[KeysValues, ...]


def reference_tokens(
    references: Sequence[Reference],
) -> tuple[Float[Tensor, "1 ref_len channels"], Float[Tensor, "1 ref_len 4"]]:
    """All references in one row, and their places."""
    ids = [
        pair_ids([FIRST_TIME + TIME_STEP * number], reference.rows, reference.cols, 0)[0]
        for number, reference in enumerate(references)
    ]
    return torch.cat([reference.tokens for reference in references], dim=1), torch.cat(ids, dim=1)


def exact_velocity(
    model: MMDiT,
    x: Float[Tensor, "b img_len channels"],
    txt: Float[Tensor, "b txt_len txt_dim"],
    t: float,
    *,
    rows: int,
    cols: int,
    references: Sequence[Reference] = (),
    guidance: float | None = None,
) -> Float[Tensor, "b img_len channels"]:
    """Velocity of a picture that is denoised beside its references, as the published pipeline computes it.

    Args:
        model: the network.
        x: the noisy picture.
        txt: its caption.
        t: noise level.
        rows: token rows of the picture.
        cols: token columns.
        references: clean pictures.
        guidance: strength that a guidance-distilled model reads.
    """
    img_ids, txt_ids = pair_ids([0], rows, cols, txt.shape[1])
    img = x
    if references:
        tokens, ids = reference_tokens(references)
        img = torch.cat([x, tokens.to(x).expand(len(x), -1, -1)], dim=1)
        img_ids = torch.cat([img_ids, ids], dim=1)
    dtype = model.img_in.weight.dtype
    pair = PairGroup(
        img=img[:, None].to(dtype),
        txt=txt[:, None].to(dtype),
        timestep=torch.full((len(x), 1), t, device=x.device),
        img_ids=img_ids.to(x.device),
        txt_ids=txt_ids.to(x.device),
    )
    return model([pair], guidance=guidance)[0][:, 0, : x.shape[1]].float()


@torch.no_grad()
def cache_references(
    model: MMDiT, references: Sequence[Reference], *, guidance: float | None = None
) -> ReferenceCache:
    """Compute the keys and values of references once: they see one another and nothing else, at level 0.

    Args:
        model: a network in FLUX.2's layout, whose blocks share their modulation.
        references: at least one clean picture.
        guidance: strength that a guidance-distilled model reads.

    Raises:
        ValueError: the network is in FLUX.1's layout.
    """
    tokens, ids = reference_tokens(references)
    mods = _modulations(model, torch.zeros(1, 1, device=tokens.device), guidance)
    pe = _positions(model, ids.to(tokens.device))
    x = model.img_in(tokens[:, None].to(model.img_in.weight.dtype))
    double, single = [], []
    for block in cast(Iterable[DoubleBlock], model.double_blocks):
        q, k, v = block.img.project(x, mods.img[0])
        q, k = rotate(q, pe), rotate(k, pe)
        double.append((k[:, 0], v[:, 0]))
        x = block.img.update(x, attend(q[:, 0], k[:, 0], v[:, 0])[:, None], *mods.img)
    for block in cast(Iterable[SingleBlock], model.single_blocks):
        x, keys_values = block(x, mods.single, pe)
        single.append(keys_values)
    return ReferenceCache(double=tuple(double), single=tuple(single))


@torch.no_grad()
def cached_velocity(
    model: MMDiT,
    x: Float[Tensor, "b img_len channels"],
    txt: Float[Tensor, "b txt_len txt_dim"],
    t: float,
    *,
    rows: int,
    cols: int,
    cache: ReferenceCache,
    guidance: float | None = None,
) -> Float[Tensor, "b img_len channels"]:
    """Velocity of a picture that reads its references' keys and values from a cache.

    The arguments are those of `exact_velocity`, with what `cache_references` gave in the references' place.
    """
    img_ids, txt_ids = pair_ids([0], rows, cols, txt.shape[1])
    pe = _positions(model, torch.cat([txt_ids, img_ids], dim=1).to(x.device))
    mods = _modulations(model, torch.full((len(x), 1), t, device=x.device), guidance)
    dtype = model.img_in.weight.dtype
    img, caption = model.img_in(x[:, None].to(dtype)), model.txt_in(txt[:, None].to(dtype))
    txt_len = caption.shape[2]
    for block, kept in zip(cast(Iterable[DoubleBlock], model.double_blocks), cache.double, strict=True):
        parts = zip(block.txt.project(caption, mods.txt[0]), block.img.project(img, mods.img[0]), strict=True)
        q, k, v = (torch.cat(streams, dim=2) for streams in parts)
        q, k = rotate(q, pe), rotate(k, pe)
        keys, values = (
            torch.cat([old.expand(len(x), -1, -1, -1), new[:, 0]], dim=1)
            for old, new in zip(kept, (k, v), strict=True)
        )
        seen = attend(q[:, 0], keys, values)[:, None]
        img = block.img.update(img, seen[:, :, txt_len:], *mods.img)
        caption = block.txt.update(caption, seen[:, :, :txt_len], *mods.txt)
    both = torch.cat([caption, img], dim=2)
    for block, kept in zip(cast(Iterable[SingleBlock], model.single_blocks), cache.single, strict=True):
        context = (kept[0].expand(len(x), -1, -1, -1), kept[1].expand(len(x), -1, -1, -1))
        both, _ = block(both, mods.single, pe, context=context)
    return model.final(both[:, :, txt_len:], mods.vec)[:, 0].float()


@dataclass(frozen=True, kw_only=True)
class _Modulations:
    """What one noise level does to all blocks."""

    vec: Float[Tensor, "b 1 dim"]
    img: list[Shift]
    txt: list[Shift]
    single: list[Shift]


def _modulations(model: MMDiT, level: Float[Tensor, "b 1"], guidance: float | None) -> _Modulations:
    if model.img_mod is None or model.txt_mod is None or model.single_mod is None:
        raise ValueError("references need a FLUX.2 network; FLUX.1 knows none")
    vec = model.time_in(level)
    if model.guidance_in is not None:
        vec = vec + model.guidance_in(torch.full_like(level[:1], 1.0 if guidance is None else guidance))
    return _Modulations(
        vec=vec,
        img=_shifts(model.img_mod, vec),
        txt=_shifts(model.txt_mod, vec),
        single=_shifts(model.single_mod, vec),
    )


def _shifts(modulation: Modulation, vec: Float[Tensor, "b 1 dim"]) -> list[Shift]:
    return modulation.split(modulation(vec).unsqueeze(2))


def _positions(model: MMDiT, ids: Float[Tensor, "1 len 4"]) -> Complex[Tensor, "1 len 1 half_dim"]:
    config = model.config
    dtype = model.img_in.weight.dtype
    return rotary(ids, config.axes_dims_rope, config.rope_theta, dtype=dtype).unsqueeze(2)
