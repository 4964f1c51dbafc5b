"""Whether a tuning run fits into memory, before weights are loaded; and what would fit if it does not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import torch

from captain_cinema.backbone.config import MMDiTConfig
from captain_cinema.errors import CinemaError
from captain_cinema.evaluate.cost import Scale
from captain_cinema.evaluate.cost_memory import GIB, training_memory
from captain_cinema.evaluate.cost_sizes import PUBLISHED, Sizes, Transformer
from captain_cinema.train.tuning.presets import Resolved, layouts
from captain_cinema.train.tuning.start import EMBEDDED_HEIGHT, OPEN_HEIGHT, Weights

TXT_LEN = {True: 512, False: 16}
TOKEN_SIZE = {True: 16, False: 32}


def check_memory(
    weights: Weights,
    run: Resolved,
    *,
    device: str,
    processes: int,
    fsdp: bool,
    sequence: int,
    free: float | None = None,
) -> None:
    """Compare what a step takes with what there is.

    Args:
        weights: what is tuned.
        run: how.
        device: where.
        processes: how many, one a GPU.
        fsdp: whether weights are sharded over them.
        sequence: processes that share a sequence.
        free: bytes that there are; asked of the device if not given.

    Raises:
        CinemaError: it cannot fit; the message names settings that would.
    """
    free = free_bytes(device) if free is None else free
    needed = step_bytes(weights, run, processes=processes, fsdp=fsdp, sequence=sequence, device=device)
    if needed <= free:
        return
    fitting = [
        f"{said} ({size / GIB:.1f})"
        for said, size in _others(weights, run, device, processes, fsdp, sequence)
        if size <= free
    ]
    mend = f"what fits: {'; '.join(fitting[:3])}" if fitting else "no setting of this preset fits there"
    raise CinemaError(
        f"a context of {run.most_pairs} pairs is over the budget: a step takes {needed / GIB:.1f} GiB on each"
        f" {'GPU' if device.startswith('cuda') else 'process'} and {free / GIB:.1f} are free; {mend}"
    )


def free_bytes(device: str) -> float:
    """Memory that a training may use."""
    if device.startswith("cuda"):
        return float(torch.cuda.mem_get_info()[0]) * 0.95
    names = os.sysconf_names
    if "SC_PHYS_PAGES" not in names:
        return float("inf")
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def step_bytes(
    weights: Weights, run: Resolved, *, processes: int, fsdp: bool, sequence: int, device: str
) -> float:
    """Bytes that a step takes on each GPU, for the longest sequences; on a CPU of all processes together."""
    sizes = _sizes(weights.config, weights.published, half=device.startswith("cuda"))
    size = TOKEN_SIZE[weights.published]
    height = run.choices.height or (OPEN_HEIGHT if weights.published else EMBEDDED_HEIGHT)
    rows = max(1, height // size)
    most = 0.0
    for shape in layouts(run.most_pairs, rows, run.choices.contexts):
        scales = [*shape.scales, *(rows,) * shape.targets]
        held = tuple(
            Scale(rows=r, cols=2 * r, pairs=scales.count(r), txt_len=TXT_LEN[weights.published])
            for r in dict.fromkeys(scales)
        )
        need = training_memory(
            sizes,
            held,
            method="lora" if run.lora else "full",
            batch=run.choices.micro,
            rank=run.lora or 32,
            checkpointing=run.choices.checkpointing,
        )
        work = need.on_each / sequence
        most = max(most, need.sharded / (processes if fsdp else 1) + work)
    return most if device.startswith("cuda") else most * processes


def _others(
    weights: Weights, run: Resolved, device: str, processes: int, fsdp: bool, sequence: int
) -> Iterator[tuple[str, float]]:
    """Other settings, in the order in which one would try them, and what they take."""
    given = {"processes": processes, "fsdp": fsdp, "sequence": sequence}

    def cost(changed: Resolved, **other: int | bool) -> float:
        return step_bytes(weights, changed, device=device, **{**given, **other})  # pyright: ignore[reportArgumentType]

    if not run.choices.checkpointing:
        changed = replace(run, choices=replace(run.choices, checkpointing=True))
        yield "without --no-checkpointing", cost(changed)
    if run.choices.micro > 1:
        yield "--micro 1", cost(replace(run, choices=replace(run.choices, micro=1)))
    if not run.lora:
        yield "--lora 32", cost(replace(run, lora=32))
    if device.startswith("cuda"):
        for count in (2, 4, 8, 16, 32):
            if count > processes or not fsdp:
                yield f"{count} GPUs with --fsdp", cost(run, processes=count, fsdp=True)
    if run.choices.contexts != "golden":
        yield "--contexts golden", cost(replace(run, choices=replace(run.choices, contexts="golden")))
    for pairs in (16, 8, 4, 2, 1):
        if pairs < run.most_pairs:
            yield f"--pairs {pairs}", cost(replace(run, stages=((pairs,),)))


def _sizes(config: MMDiTConfig, published: bool, *, half: bool) -> Sizes:
    """The model as the count of costs knows it."""
    flux1 = config.layout.name == "FLUX.1"
    return replace(
        PUBLISHED["paper" if flux1 else "open"],
        number_bytes=2 if half else 4,
        token_size=TOKEN_SIZE[published],
        transformer=Transformer(
            name="the model",
            source="its config.json",
            layout="flux1" if flux1 else "flux2",
            in_channels=config.in_channels,
            num_layers=config.num_layers,
            num_single_layers=config.num_single_layers,
            attention_head_dim=config.attention_head_dim,
            num_attention_heads=config.num_attention_heads,
            joint_attention_dim=config.joint_attention_dim,
            guidance_embeds=config.guidance_embeds,
            pooled_projection_dim=config.pooled_dim,
            timestep_channels=config.timestep_guidance_channels,
            mlp_ratio=config.mlp_ratio,
        ),
    )
