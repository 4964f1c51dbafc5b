"""How fast is the keyframe transformer: beside diffusers, with a kept context, with many pairs?

    python -m benchmarks.keyframes [--layout FLUX.2] [--device cpu] [--repeats 5] [--output FILE]

diffusers: one pair through our forward and through diffusers' own, same weights, by turns.
reuse: a causal frame after 16 pairs, with their keys and values computed once, and all recomputed every step.
steps: a training step (forward, backward, blocks recomputed) with full context and with the default memory.

On an NVIDIA GPU the models are as large as FLUX.1-dev or FLUX.2-klein-base-4B, with random weights in
bfloat16, and peak memory is set against what `cinema plan` counts. Elsewhere they are small, which the result
says; there it is processor time of one thread, so that the figures hold on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.hardware import hardware
from captain_cinema.backbone.checkpoint import from_diffusers
from captain_cinema.backbone.config import Flux1Config, MMDiTConfig, to_json
from captain_cinema.backbone.mmdit import MMDiT, PairGroup, pair_ids
from captain_cinema.evaluate.cost import Frame, Scale, parse_memory, scales_of, tokens_of, training_flops
from captain_cinema.evaluate.cost_memory import GIB, training_memory
from captain_cinema.evaluate.cost_sizes import FLUX1_DEV, KLEIN_4B, PUBLISHED, Transformer

TRUE = {"FLUX.1": FLUX1_DEV, "FLUX.2": KLEIN_4B}
SAMPLING_STEPS = 8
CONTEXT = 16


@dataclass(frozen=True, kw_only=True)
class Size:
    """What is measured."""

    transformer: Transformer
    frame: Frame
    dtype: torch.dtype
    pairs: tuple[int, ...]
    true_size: bool


def size_of(layout: str, device: str) -> Size:
    """The true size on a GPU, a small one elsewhere."""
    true = TRUE[layout]
    if device.startswith("cuda"):
        frame, pairs = Frame(rows=25, cols=50, txt_len=512), (1, 4, 8, 16, 32, 48, 96)
        return Size(transformer=true, frame=frame, dtype=torch.bfloat16, pairs=pairs, true_size=True)
    small = replace(
        true,
        in_channels=16,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=64,
        num_attention_heads=4,
        joint_attention_dim=64,
        pooled_projection_dim=32 if layout == "FLUX.1" else 0,
    )
    # Proportions of the true size: the text's share of the tokens, and the default memory's share (0.36) of
    # the operations that full context takes at 32 pairs.
    frame = Frame(rows=7, cols=14, txt_len=40)
    return Size(transformer=small, frame=frame, dtype=torch.float32, pairs=(1, 8, 32), true_size=False)


def config_of(sizes: Transformer) -> MMDiTConfig:
    """The sizes as our transformer and diffusers' take them."""
    same: dict[str, Any] = {
        "in_channels": sizes.in_channels,
        "num_layers": sizes.num_layers,
        "num_single_layers": sizes.num_single_layers,
        "attention_head_dim": sizes.attention_head_dim,
        "num_attention_heads": sizes.num_attention_heads,
        "joint_attention_dim": sizes.joint_attention_dim,
        "guidance_embeds": sizes.guidance_embeds,
    }
    head = sizes.attention_head_dim
    if sizes.layout == "flux1":
        axes = (head // 8, head * 7 // 16, head * 7 // 16)
        return Flux1Config(**same, pooled_projection_dim=sizes.pooled_projection_dim, axes_dims_rope=axes)
    return MMDiTConfig(
        **same,
        axes_dims_rope=(head // 4,) * 4,
        timestep_guidance_channels=sizes.timestep_channels,
        mlp_ratio=sizes.mlp_ratio,
    )


def new_models(size: Size, device: str, *, reference: bool) -> tuple[MMDiT, Any]:
    """Our transformer with random weights, and diffusers' with the same ones."""
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel

    config = config_of(size.transformer)
    kind: Any = FluxTransformer2DModel if size.transformer.layout == "flux1" else Flux2Transformer2DModel
    torch.manual_seed(0)
    with torch.device(device):
        theirs = kind(**to_json(config)).to(size.dtype).eval()
    with torch.device("meta"):
        ours = MMDiT(config)
    state = from_diffusers(dict(theirs.state_dict()), ours.state_dict(), config)
    ours.load_state_dict(state, assign=True)
    return ours.eval(), theirs if reference else None


def pairs_of(size: Size, scales: Sequence[Scale], device: str, *, first: int = 0) -> list[PairGroup]:
    """Random pairs of these scales, the smallest frames first in the story."""
    model, groups, index = size.transformer, [], first
    for scale in sorted(scales, key=lambda scale: scale.rows):
        img_ids, txt_ids = pair_ids(range(index, index + scale.pairs), scale.rows, scale.cols, scale.txt_len)
        index += scale.pairs

        def noise(*shape: int) -> Tensor:
            return torch.randn(shape, device=device, dtype=size.dtype)

        pooled = model.pooled_projection_dim
        groups.append(
            PairGroup(
                img=noise(1, scale.pairs, scale.rows * scale.cols, model.in_channels),
                txt=noise(1, scale.pairs, scale.txt_len, model.joint_attention_dim),
                timestep=torch.rand((1, scale.pairs), device=device),
                img_ids=img_ids.to(device),
                txt_ids=txt_ids.to(device),
                pooled=noise(1, scale.pairs, pooled) if pooled else None,
            )
        )
    return groups


def milliseconds(*variants: Callable[[], Any], device: str, repeats: int) -> list[float]:
    """Time variants by turns; the median milliseconds of each."""
    gpu = device.startswith("cuda")
    clock = time.perf_counter if gpu else time.process_time
    times: list[list[float]] = [[] for _ in variants]
    for variant in variants:
        variant()
    for _ in range(repeats):
        for variant, mine in zip(variants, times, strict=True):
            if gpu:
                torch.cuda.synchronize(device)
            start = clock()
            variant()
            if gpu:
                torch.cuda.synchronize(device)
            mine.append((clock() - start) * 1e3)
    return [statistics.median(mine) for mine in times]


@torch.inference_mode()
def against_diffusers(size: Size, device: str, repeats: int) -> dict[str, float]:
    """One pair: our forward, diffusers' forward, the ratio, the relative difference of what they say."""
    ours, theirs = new_models(size, device, reference=True)
    (pair,) = pairs_of(size, scales_of(size.frame, 1, None), device)
    guidance = 3.5 if size.transformer.guidance_embeds else None
    axes = len(ours.config.axes_dims_rope)
    given: dict[str, Any] = {
        "hidden_states": pair.img[:, 0],
        "encoder_hidden_states": pair.txt[:, 0],
        "timestep": pair.timestep[:, 0].to(size.dtype),
        "img_ids": pair.img_ids[0, :, :axes],
        "txt_ids": pair.txt_ids[0, :, :axes],
        "guidance": None if guidance is None else torch.tensor([guidance], device=device, dtype=size.dtype),
        "return_dict": False,
    }
    if pair.pooled is not None:
        given["pooled_projections"] = pair.pooled[:, 0]
    wanted, got = theirs(**given)[0], ours([pair], guidance=guidance)[0][:, 0]
    own, other = milliseconds(
        lambda: ours([pair], guidance=guidance), lambda: theirs(**given), device=device, repeats=repeats
    )
    return {
        "ours_ms": round(own, 3),
        "diffusers_ms": round(other, 3),
        "ratio": round(own / other, 3),
        "difference": float((got - wanted).norm() / wanted.norm()),
    }


@torch.inference_mode()
def reuse(size: Size, device: str, repeats: int) -> dict[str, float]:
    """A causal frame after CONTEXT pairs at full size, in SAMPLING_STEPS steps."""
    model, _ = new_models(size, device, reference=False)
    guidance = 3.5 if size.transformer.guidance_embeds else None
    before = pairs_of(size, scales_of(size.frame, CONTEXT, None), device)
    new = pairs_of(size, scales_of(size.frame, 1, None), device, first=CONTEXT)
    (given,), (target,) = before, new
    joined = replace(
        given,
        **{
            name: torch.cat([getattr(given, name), getattr(target, name)], dim=axis)
            for name, axis in (("img", 1), ("txt", 1), ("timestep", 1), ("img_ids", 0), ("txt_ids", 0))
        },
        pooled=None if given.pooled is None else torch.cat([given.pooled, target.pooled], dim=1),  # pyright: ignore
    )

    def kept() -> Tensor:
        context = model.encode_context(before, guidance=guidance)
        for _ in range(SAMPLING_STEPS - 1):
            model(new, causal=True, context=context, guidance=guidance)
        return model(new, causal=True, context=context, guidance=guidance)[0]

    def recomputed() -> Tensor:
        for _ in range(SAMPLING_STEPS - 1):
            model([joined], causal=True, guidance=guidance)
        return model([joined], causal=True, guidance=guidance)[0][:, -1:]

    difference = float((kept() - recomputed()).norm() / recomputed().norm())
    fast, slow = milliseconds(kept, recomputed, device=device, repeats=max(1, repeats // 2))
    return {
        "context_pairs": CONTEXT,
        "steps": SAMPLING_STEPS,
        "kept_ms": round(fast, 2),
        "recomputed_ms": round(slow, 2),
        "times_faster": round(slow / fast, 2),
        "difference": difference,
    }


def training_steps(size: Size, device: str, repeats: int) -> list[dict[str, Any]]:
    """Forward and backward of one sequence, adapters' way (weights frozen), blocks recomputed."""
    model, _ = new_models(size, device, reference=False)
    model.requires_grad_(False)
    model.gradient_checkpointing = True
    guidance = 3.5 if size.transformer.guidance_embeds else None
    rows = []
    for pairs in size.pairs:
        for name in ("none", "default") if pairs > 1 else ("none",):
            memory = parse_memory(name, pairs, size.frame.rows)
            scales = scales_of(size.frame, pairs, memory)
            rows.append(one_step(size, model, scales, device, repeats, guidance) | {"memory": name})
    return rows


def one_step(
    size: Size, model: MMDiT, scales: tuple[Scale, ...], device: str, repeats: int, guidance: float | None
) -> dict[str, Any]:
    """Time, operations a second and peak memory of a step."""
    groups = pairs_of(size, scales, device)
    for group in groups:
        group.img.requires_grad_()
        group.txt.requires_grad_()

    def step() -> None:
        drawn = model(groups, guidance=guidance)
        torch.stack([velocity.float().square().mean() for velocity in drawn]).sum().backward()

    row: dict[str, Any] = {
        "pairs": sum(scale.pairs for scale in scales),
        "tokens": tokens_of(scales),
        "tflop": training_flops(size.transformer, scales, lora=True).total / 1e12,
    }
    gpu = device.startswith("cuda")
    try:
        if gpu:
            torch.cuda.empty_cache()
            before = torch.cuda.memory_allocated(device)
            torch.cuda.reset_peak_memory_stats(device)
        (taken,) = milliseconds(step, device=device, repeats=max(1, repeats // 2))
    except torch.cuda.OutOfMemoryError:
        return row | {"ms": None, "out_of_memory": True}
    row |= {"ms": round(taken, 2), "tflops_a_second": round(row["tflop"] / taken * 1e3, 3)}
    if gpu:
        sizes = PUBLISHED["paper" if size.transformer.layout == "flux1" else "open"]
        counted = training_memory(sizes, scales, method="lora").on_each
        row["activations_gib"] = round((torch.cuda.max_memory_allocated(device) - before) / GIB, 2)
        row["counted_gib"] = round(counted / GIB, 2)
    return row


@torch.inference_mode()
def matrix_rate(size: Size, device: str) -> float:
    """TFLOP/s of one large matrix product."""
    n = 8192 if device.startswith("cuda") else 768
    a, b = (torch.randn(n, n, device=device, dtype=size.dtype) for _ in range(2))
    (taken,) = milliseconds(lambda: a @ b, device=device, repeats=10)
    return round(2 * n**3 / taken / 1e9, 2)


def measure(layout: str, device: str, repeats: int) -> dict[str, Any]:
    """All tables of one layout."""
    size = size_of(layout, device)
    return {
        "layout": layout,
        "true_size": size.true_size,
        "parameters": size.transformer.parameters,
        "matrix_tflops_a_second": matrix_rate(size, device),
        "diffusers": against_diffusers(size, device, repeats),
        "reuse": reuse(size, device, repeats),
        "steps": training_steps(size, device, repeats),
    }


def told(result: dict[str, Any]) -> str:
    """The tables as text."""
    one, kept = result["diffusers"], result["reuse"]
    at = "true size" if result["true_size"] else "REDUCED SIZE: no GPU here"
    lines = [
        f"{result['layout']}, {result['parameters']:,} parameters ({at}),"
        f" matrix products at {result['matrix_tflops_a_second']} TFLOP/s",
        f"one pair: ours {one['ours_ms']} ms, diffusers {one['diffusers_ms']} ms, ratio {one['ratio']}",
        f"causal frame after {kept['context_pairs']} pairs, {kept['steps']} steps: kept context"
        f" {kept['kept_ms']} ms, recomputed {kept['recomputed_ms']} ms, {kept['times_faster']} times faster",
        f"{'pairs':>6} {'memory':>8} {'tokens':>8} {'ms':>10} {'TFLOP/s':>8} {'GiB':>7} {'counted':>8}",
    ]
    for row in result["steps"]:
        cells = (row.get(name, "-") for name in ("ms", "tflops_a_second", "activations_gib", "counted_gib"))
        taken, rate, gib, counted = cells
        lines.append(
            f"{row['pairs']:6} {row['memory']:>8} {row['tokens']:8} {taken or 'OOM':>10} {rate:>8} {gib:>7}"
            f" {counted:>8}"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--layout", choices=list(TRUE), action="append")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    results = []
    for layout in options.layout or list(TRUE):
        results.append(measure(layout, options.device, options.repeats))
        print(told(results[-1]), flush=True)
    output = options.output or Path(__file__).parent / "results" / f"keyframes-{options.device}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps({"hardware": hardware(), "results": results}, indent=2) + "\n", "utf-8")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
