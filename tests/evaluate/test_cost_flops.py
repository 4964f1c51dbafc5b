"""The counts of operations, against torch's own counter on models of ours, and the paper's sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from cost_models import build, guidance_of, pairs_of, random_sizes
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from captain_cinema.evaluate.cost import (
    Frame,
    Scale,
    default_memory,
    forward_flops,
    frame_flops,
    frame_of,
    scales_of,
    tokens_of,
    training_flops,
    without_target,
)
from captain_cinema.evaluate.cost_sizes import Layout, sizes_of
from captain_cinema.keyframes.goldenmem import Memory

LAYOUTS: tuple[Layout, ...] = ("flux1", "flux2")
FRAME = Frame(rows=4, cols=8, txt_len=6)
FULL = scales_of(FRAME, 5, None)
GOLDEN = scales_of(FRAME, 6, Memory(groups=2, images=2), old_txt_len=5)


def counted(work: Callable[[], object]) -> int:
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        work()
    return counter.get_total_flops()


@pytest.mark.parametrize("causal", [False, True], ids=["all", "causal"])
@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_forward_is_counted_exactly(layout: Layout, scales: tuple[Scale, ...], causal: bool) -> None:
    sizes = random_sizes(layout, 2 * len(scales) + causal)
    model, groups = build(sizes), pairs_of(sizes, scales)
    with torch.no_grad():
        seen = counted(lambda: model(groups, causal=causal, guidance=guidance_of(sizes)))
    assert forward_flops(sizes, scales, causal=causal).total == seen


@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_frame_that_reuses_its_context_is_counted_exactly(
    layout: Layout, scales: tuple[Scale, ...]
) -> None:
    sizes = random_sizes(layout, 7)
    model, guidance = build(sizes), guidance_of(sizes)
    before = without_target(scales)
    context_pairs = sum(scale.pairs for scale in before)
    target = (Scale(rows=FRAME.rows, cols=FRAME.cols, pairs=1, txt_len=FRAME.txt_len),)

    @torch.no_grad()
    def draw() -> None:
        context = model.encode_context(pairs_of(sizes, before), guidance=guidance)
        for _ in range(3):
            model(
                pairs_of(sizes, target, first=context_pairs), causal=True, context=context, guidance=guidance
            )

    assert frame_flops(sizes, scales, steps=3, reuse=True).total == counted(draw)


@pytest.mark.parametrize("scales", [FULL, GOLDEN], ids=["full", "goldenmem"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_training_step_is_counted_exactly(layout: Layout, scales: tuple[Scale, ...]) -> None:
    sizes = random_sizes(layout, 3)
    model, groups = build(sizes), pairs_of(sizes, scales)

    def step() -> None:
        drawn = model(groups, guidance=guidance_of(sizes))
        torch.stack([velocity.sum() for velocity in drawn]).sum().backward()

    said = training_flops(sizes, scales, checkpointing=False, flash=False)
    assert said.total == counted(step)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_with_frozen_weights_gradients_only_pass_through(layout: Layout) -> None:
    """What LoRA costs without its adapters: inputs that ask for gradients make these pass all blocks."""
    sizes = random_sizes(layout, 5)
    model, groups = build(sizes).requires_grad_(False), pairs_of(sizes, FULL)
    for group in groups:
        group.img.requires_grad_()
        group.txt.requires_grad_()

    def step() -> None:
        drawn = model(groups, guidance=guidance_of(sizes))
        torch.stack([velocity.sum() for velocity in drawn]).sum().backward()

    ends = 2 * sizes.dim * sum(s.img_tokens * 2 * sizes.in_channels for s in FULL)
    ends += 2 * sizes.dim * sum(s.txt_tokens * sizes.joint_attention_dim for s in FULL)
    said = training_flops(sizes, FULL, lora=True, checkpointing=False, flash=False)
    assert said.total + ends == counted(step)


def test_checkpointing_computes_the_blocks_twice() -> None:
    sizes = sizes_of("paper").transformer
    scales = scales_of(frame_of(sizes_of("paper")), 8, None)
    once = training_flops(sizes, scales, checkpointing=False).total
    twice = training_flops(sizes, scales).total
    assert twice - once == pytest.approx(forward_flops(sizes, scales).total, rel=1e-3)


def test_at_the_published_width_too() -> None:
    """One block of each kind; all blocks of a kind cost the same."""
    sizes = replace(sizes_of("paper").transformer, num_layers=1, num_single_layers=1)
    scales = scales_of(frame_of(sizes_of("paper")), 32, Memory(groups=3, images=8))
    model, groups = build(sizes, device="meta"), pairs_of(sizes, scales, device="meta")
    with torch.no_grad():
        seen = counted(lambda: model(groups, guidance=guidance_of(sizes)))
    assert forward_flops(sizes, scales).total == seen


# --- tokens, and what the memory saves ---


def test_the_paper_s_frame() -> None:
    frame = frame_of(sizes_of("paper"))
    assert (frame.rows, frame.cols, frame.txt_len) == (25, 50, 512)
    one_a_scale = scales_of(frame, 5, Memory(groups=4, images=1))
    assert [scale.rows for scale in one_a_scale] == [25, 15, 9, 5, 3]
    assert sum(s.img_tokens for s in one_a_scale) / 1250 == pytest.approx(1.544)


@pytest.mark.parametrize("pairs", [1, 2, 5, 16, 31, 32, 96])
@pytest.mark.parametrize("rows", [1, 4, 25])
def test_the_default_memory_holds_all_pairs(pairs: int, rows: int) -> None:
    memory = default_memory(pairs, rows)
    scales = scales_of(Frame(rows=rows, cols=2 * rows, txt_len=16), pairs, memory)
    assert sum(scale.pairs for scale in scales) == pairs
    assert scales[0].rows == rows


@pytest.mark.parametrize("preset", ["paper", "open", "klein-9b", "flux2-dev"])
def test_the_default_memory_at_32_pairs_costs_at_most_045_of_full_context(preset: str) -> None:
    sizes = sizes_of(preset)
    frame = frame_of(sizes)
    full = forward_flops(sizes.transformer, scales_of(frame, 32, None)).total
    held = forward_flops(sizes.transformer, scales_of(frame, 32, default_memory(32, frame.rows))).total
    assert held / full <= 0.45


def test_reusing_the_context_is_at_least_three_times_cheaper() -> None:
    sizes = sizes_of("paper")
    scales = scales_of(frame_of(sizes), 17, None)
    again = frame_flops(sizes.transformer, scales, steps=50)
    reused = frame_flops(sizes.transformer, scales, steps=50, reuse=True)
    assert again.total > 3 * reused.total
    assert tokens_of(without_target(scales)) == 16 * (1250 + 512)
