"""Activations as counted, against the life of every storage in a run on the meta device."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
from cost_models import build, guidance_of, pairs_of, random_sizes
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from captain_cinema.evaluate import cost_memory
from captain_cinema.evaluate.cost import Frame, Scale, parse_memory, scales_of, tokens_of, without_target
from captain_cinema.evaluate.cost_memory import (
    GPUS,
    activation_bytes,
    drawing_memory,
    fewest_gpus,
    key_value_bytes,
    lora_parameters,
    training_memory,
)
from captain_cinema.evaluate.cost_sizes import Layout, Transformer, sizes_of
from captain_cinema.keyframes.goldenmem import Memory

FRAME = Frame(rows=16, cols=32, txt_len=16)
FULL = scales_of(FRAME, 4, None)
GOLDEN = scales_of(FRAME, 8, Memory(groups=1, images=4))


class Alive(TorchDispatchMode):
    """Adds up the storages that are alive."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = {x.untyped_storage()._cdata for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if not isinstance(tensor, Tensor):
                continue
            storage = tensor.untyped_storage()
            key, size = storage._cdata, storage.nbytes()
            if key not in self.known | given:
                self.known.add(key)
                self.now += size
                weakref.finalize(storage, self._died, key, size)
        self.peak = max(self.peak, self.now)
        return out

    def _died(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.now -= size


class _Attention(torch.autograd.Function):
    """Keeps for the backward pass what a fused kernel keeps."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = torch.empty_like(q)
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, ...]:
        q, k, v, *_ = ctx.saved_tensors
        return torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight, x.new_empty((*x.shape[:-1], 1), dtype=torch.float32))
        return torch.empty_like(x)

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, ...]:
        x, weight, _ = ctx.saved_tensors
        return torch.empty_like(x), torch.empty_like(weight)


@contextlib.contextmanager
def fused_kernels() -> Iterator[None]:
    """On the meta device attention and norms fall into parts; a GPU has one kernel for each."""
    with (
        mock.patch.object(F, "scaled_dot_product_attention", lambda q, k, v: _Attention.apply(q, k, v)),
        mock.patch.object(F, "rms_norm", lambda x, shape, weight, eps: _Norm.apply(x, weight)),
    ):
        yield


def peak(sizes: Transformer, scales: tuple[Scale, ...], *, training: bool) -> int:
    """Bytes at the peak in bfloat16, weights and their inputs aside."""
    model = build(sizes, torch.bfloat16, device="meta")
    groups = pairs_of(sizes, scales, dtype=torch.bfloat16, device="meta")
    with torch.set_grad_enabled(training), fused_kernels(), Alive() as alive:
        drawn = model(groups, guidance=guidance_of(sizes))
        if training:
            torch.stack([velocity.sum() for velocity in drawn]).sum().backward()
    return alive.peak


def sizes_with(layout: Layout, double: int, single: int) -> Transformer:
    return random_sizes(layout, 1, blocks=(double, single))


@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", ["flux1", "flux2"])
def test_drawing(layout: Layout, scales: tuple[Scale, ...]) -> None:
    sizes = sizes_with(layout, 2, 4)
    kept = key_value_bytes(sizes, tokens_of(scales), 2)
    kept /= 1 if cost_memory.KEEPS_KEYS else sizes.num_single_layers
    said = activation_bytes(sizes, scales, number_bytes=2) + kept
    assert said == pytest.approx(peak(sizes, scales, training=False), rel=0.1)


@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", ["flux1", "flux2"])
def test_drawing_with_a_reused_context(layout: Layout, scales: tuple[Scale, ...]) -> None:
    sizes = sizes_with(layout, 2, 5)
    model, guidance = build(sizes, torch.bfloat16, device="meta"), guidance_of(sizes)
    before, target = without_target(scales), (replace(scales[0], pairs=1),)
    places = {"dtype": torch.bfloat16, "device": "meta"}
    given = pairs_of(sizes, before, **places)
    new = pairs_of(sizes, target, first=sum(scale.pairs for scale in before), **places)
    with torch.no_grad(), fused_kernels(), Alive() as alive:
        context = model.encode_context(given, guidance=guidance)
        model(new, causal=True, context=context, guidance=guidance)
    said = sum(cost_memory.working_set(sizes, scales, 2, reuse=True))
    assert said == pytest.approx(alive.peak, rel=0.1)


@pytest.mark.parametrize("layout", ["flux1", "flux2"])
def test_whether_a_forward_keeps_keys_and_values_that_nobody_asked_for(layout: Layout) -> None:
    """If this fails, `KEEPS_KEYS` says what is no longer so."""
    few, many = (peak(sizes_with(layout, 1, single), FULL, training=False) for single in (3, 5))
    two_blocks = key_value_bytes(sizes_with(layout, 1, 2), tokens_of(FULL), 2)
    assert (many - few) / two_blocks == pytest.approx(1 if cost_memory.KEEPS_KEYS else 0, abs=0.1)


@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", ["flux1", "flux2"])
def test_training_without_checkpointing(layout: Layout, scales: tuple[Scale, ...]) -> None:
    sizes = sizes_with(layout, 2, 3)
    said = activation_bytes(sizes, scales, number_bytes=2, training=True, checkpointing=False)
    assert said == pytest.approx(peak(sizes, scales, training=True), rel=0.1)


@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", ["flux1", "flux2"])
def test_training_with_every_block_checkpointed(layout: Layout, scales: tuple[Scale, ...]) -> None:
    """Weights frozen, as their gradients are no activations."""
    sizes = sizes_with(layout, 3, 4)
    model = build(sizes, torch.bfloat16, device="meta").requires_grad_(False)
    model.gradient_checkpointing = True
    groups = pairs_of(sizes, scales, dtype=torch.bfloat16, device="meta")
    for group in groups:
        group.img.requires_grad_()
        group.txt.requires_grad_()
    with fused_kernels(), Alive() as alive:
        drawn = model(groups, guidance=guidance_of(sizes))
        torch.stack([velocity.sum() for velocity in drawn]).sum().backward()
    said = activation_bytes(sizes, scales, number_bytes=2, training=True)
    assert said == pytest.approx(alive.peak, rel=0.1)


# --- what follows from it ---


def test_adamw_in_full_takes_sixteen_bytes_a_parameter_and_is_sharded() -> None:
    sizes = sizes_of("paper")
    scales = scales_of(Frame(rows=25, cols=50, txt_len=512), 8, None)
    need = training_memory(sizes, scales, method="full")
    assert need.sharded == 16 * sizes.transformer.parameters
    assert need.on(32) < need.on(8) < need.on(1)
    assert need.on(1) == sum(part.bytes for part in need.parts)


def test_lora_learns_little() -> None:
    sizes = sizes_of("paper")
    need = training_memory(sizes, scales_of(Frame(rows=25, cols=50, txt_len=512), 8, None), method="lora")
    learnt = lora_parameters(sizes.transformer, 32)
    assert 0.005 < learnt / sizes.transformer.parameters < 0.02
    assert need.sharded == 2 * sizes.transformer.parameters + 16 * learnt


def test_more_pairs_and_no_memory_take_more() -> None:
    sizes, frame = sizes_of("open"), Frame(rows=25, cols=50, txt_len=512)

    def drawing(pairs: int, memory: Memory | None, *, reuse: bool = False) -> float:
        scales = scales_of(frame, pairs, memory)
        return drawing_memory(sizes, scales, height=400, width=800, reuse=reuse).together

    assert drawing(16, None) < drawing(32, None)
    assert drawing(32, Memory(groups=3, images=8)) < drawing(32, None)
    assert drawing(1, None, reuse=True) == pytest.approx(drawing(1, None), rel=0.01)


def test_no_number_of_gpus_helps_if_one_sequence_is_too_long() -> None:
    sizes = sizes_of("paper")
    need = training_memory(sizes, scales_of(Frame(rows=25, cols=50, txt_len=512), 96, None), method="full")
    assert fewest_gpus(need, GPUS[0]) is None
    short = training_memory(sizes, scales_of(Frame(rows=25, cols=50, txt_len=512), 1, None), method="lora")
    assert fewest_gpus(short, GPUS[-1]) == 1


def test_96_pairs_fit_where_full_context_at_48_does_not_fit_in_80_gb() -> None:
    """Drawing with a kept context and all models on one GPU; old captions cut to a quarter."""
    sizes, frame = sizes_of("paper"), Frame(rows=25, cols=50, txt_len=512)
    gpu = next(gpu for gpu in GPUS if "80 GB" in gpu.name)

    def needed(pairs: int, memory: Memory | None, old_txt_len: int | None = None) -> float:
        scales = scales_of(frame, pairs, memory, old_txt_len=old_txt_len)
        return drawing_memory(sizes, scales, height=400, width=800, reuse=True).together

    assert needed(96, parse_memory("default", 96, 25), 128) < gpu.usable < needed(48, None)
