"""`cinema plan`: what a film's keyframes, or their training, will cost, before any money is spent on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from captain_cinema.errors import CinemaError
from captain_cinema.evaluate.cost import (
    PETA,
    Flops,
    Frame,
    Scale,
    check_pairs,
    forward_flops,
    frame_flops,
    frame_of,
    parse_memory,
    scales_of,
    tokens_of,
    training_flops,
    unit_of,
)
from captain_cinema.evaluate.cost_memory import (
    GIB,
    GPUS,
    DrawingMemory,
    Gpu,
    Method,
    TrainingMemory,
    drawing_memory,
    fewest_gpus,
    training_memory,
)
from captain_cinema.evaluate.cost_sizes import Sizes, sizes_of
from captain_cinema.keyframes.goldenmem import Memory


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked about."""

    preset: str
    pairs: int
    goldenmem: str = "default"
    train: bool = False
    txt_len: int | None = None
    old_txt_len: int | None = None
    height: int | None = None
    width: int | None = None
    steps: int | None = None
    batch: int = 1


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The answer."""

    request: Request
    sizes: Sizes
    frame: Frame
    memory: Memory | None
    scales: tuple[Scale, ...]
    steps: int
    forward: Flops
    full_context: Flops
    sampled: Flops
    reused: Flops
    training: dict[str, Flops]
    drawing: DrawingMemory
    drawing_reused: DrawingMemory
    training_memory: dict[str, TrainingMemory]

    @property
    def named_memory(self) -> str:
        """The memory as it is written: 3x8."""
        return "none" if self.memory is None else f"{self.memory.groups}x{self.memory.images}"


def make_plan(request: Request) -> Plan:
    """Count everything.

    Raises:
        CinemaError: something that is asked about cannot be.
    """
    sizes = sizes_of(request.preset)
    frame = frame_of(sizes, height=request.height, width=request.width, txt_len=request.txt_len)
    pairs = check_pairs(request.pairs)
    memory = parse_memory(request.goldenmem, pairs, frame.rows)
    steps = _counted("--steps", request.steps, sizes.steps, 1000)
    batch = _counted("--batch", request.batch, 1, 1024)
    old = request.old_txt_len
    if old is not None and not 0 <= old <= frame.txt_len:
        raise CinemaError(f"--old-txt-len {old} is not between 0 and the {frame.txt_len} of a new caption")
    scales = scales_of(frame, pairs, memory, old_txt_len=old)
    model = sizes.transformer
    height, width = frame.rows * sizes.token_size, frame.cols * sizes.token_size
    methods: tuple[Method, ...] = ("full", "lora") if request.train else ()
    return Plan(
        request=request,
        sizes=sizes,
        frame=frame,
        memory=memory,
        scales=scales,
        steps=steps,
        forward=forward_flops(model, scales),
        full_context=forward_flops(model, scales_of(frame, pairs, None)),
        sampled=frame_flops(model, scales, steps=steps, passes=sizes.passes),
        reused=frame_flops(model, scales, steps=steps, passes=sizes.passes, reuse=True),
        training={name: training_flops(model, scales, lora=name == "lora").times(batch) for name in methods},
        drawing=drawing_memory(sizes, scales, height=height, width=width),
        drawing_reused=drawing_memory(sizes, scales, height=height, width=width, reuse=True),
        training_memory={name: training_memory(sizes, scales, method=name, batch=batch) for name in methods},
    )


def _counted(option: str, value: int | None, default: int, most: int) -> int:
    number = default if value is None else value
    if not 1 <= number <= most:
        raise CinemaError(f"{option} {number} cannot be counted; give 1 to {most}")
    return number


# --- for scripts ---


def as_dict(plan: Plan) -> dict[str, Any]:
    """Everything, with units in the names."""
    model, sizes = plan.sizes.transformer, plan.sizes
    disk = disk_bytes(sizes)
    return {
        "preset": sizes.preset,
        "transformer": model.name,
        "source": model.source,
        "pairs": plan.request.pairs,
        "height": plan.frame.rows * sizes.token_size,
        "width": plan.frame.cols * sizes.token_size,
        "goldenmem": plan.named_memory,
        "steps": plan.steps,
        "passes": sizes.passes,
        "parameters": {
            "transformer": model.parameters,
            **{part.name: part.parameters for part in (*sizes.encoders, sizes.vae, sizes.retrieval)},
            **{part.name: part.parameters for part in sizes.shots},
        },
        "disk_bytes": disk,
        "tokens": {
            "image": sum(scale.img_tokens for scale in plan.scales),
            "text": sum(scale.txt_tokens for scale in plan.scales),
            "scales": [
                {
                    "rows": s.rows,
                    "cols": s.cols,
                    "pairs": s.pairs,
                    "image": s.img_tokens,
                    "text": s.txt_tokens,
                }
                for s in plan.scales
            ],
        },
        "pflops": {
            "forward": plan.forward.total / PETA,
            "forward_full_context": plan.full_context.total / PETA,
            "of_full_context": plan.forward.total / plan.full_context.total,
            "frame": plan.sampled.total / PETA,
            "frame_reusing_context": plan.reused.total / PETA,
            **{f"training_step_{name}": flops.total / PETA for name, flops in plan.training.items()},
        },
        "memory_bytes": {
            "drawing": _memory_dict(plan.drawing),
            "drawing_reusing_context": _memory_dict(plan.drawing_reused),
            **{
                f"training_{name}": {
                    **{part.name: round(part.bytes) for part in need.parts},
                    "one_gpu": round(need.on(1)),
                    "sharded": round(need.sharded),
                    "on_each": round(need.on_each),
                }
                for name, need in plan.training_memory.items()
            },
        },
        "gpus": [_gpu_dict(plan, gpu) for gpu in GPUS],
    }


def _memory_dict(need: DrawingMemory) -> dict[str, int]:
    parts = {part.name: round(part.bytes) for part in need.parts}
    return {**parts, "together": round(need.together), "apart": round(need.apart)}


def _gpu_dict(plan: Plan, gpu: Gpu) -> dict[str, Any]:
    return {
        "name": gpu.name,
        "usable_bytes": round(gpu.usable),
        "drawing": fits(plan.drawing, gpu),
        "drawing_reusing_context": fits(plan.drawing_reused, gpu),
        **{f"training_{name}_gpus": fewest_gpus(need, gpu) for name, need in plan.training_memory.items()},
    }


def fits(need: DrawingMemory, gpu: Gpu) -> str:
    """ "yes", "offload" (each model there only while it works), or "no"."""
    return "yes" if need.together <= gpu.usable else "offload" if need.apart <= gpu.usable else "no"


def disk_bytes(sizes: Sizes) -> dict[str, int]:
    """Bytes of the weights' files."""
    keyframes = (*sizes.encoders, sizes.vae, sizes.retrieval)
    return {
        "keyframes": sizes.disk_bytes
        * (sizes.transformer.parameters + sum(part.parameters for part in keyframes)),
        "shots": sizes.disk_bytes * sum(part.parameters for part in sizes.shots),
    }


# --- for people ---


def as_text(plan: Plan) -> str:
    """The plan as lines."""
    sizes, frame = plan.sizes, plan.frame
    size = sizes.token_size
    memory = "full context" if plan.memory is None else f"GoldenMem {plan.named_memory}"
    head = (
        f"{sizes.preset}: {sizes.transformer.name}, {plan.request.pairs} pairs of"
        f" {frame.rows * size}x{frame.cols * size}, {memory}\n"
        f"counted from {sizes.transformer.source}; no weights were loaded"
    )
    return "\n\n".join([head, _parameters(plan), _tokens(plan), _flops(plan), _memory(plan), _gpus(plan)])


def table(rows: Sequence[Sequence[str]], *, left: int = 1, indent: str = "  ") -> str:
    """Columns as wide as they need, the first `left` of them to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place < left else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        lines.append((indent + "  ".join(cells)).rstrip())
    return "\n".join(lines)


def billions(number: float) -> str:
    """ "11.90 B", "2.30 M"."""
    return f"{number / 1e9:.2f} B" if number >= 1e8 else f"{number / 1e6:.2f} M"


def digits(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def gib(number: float) -> str:
    """ "22.2", "0.03"."""
    value = number / GIB
    return f"{value:.1f}" if value >= 1 else f"{value:.2g}"


def _parameters(plan: Plan) -> str:
    sizes, disk = plan.sizes, disk_bytes(plan.sizes)
    rows = [[f"transformer: {sizes.transformer.name}", billions(sizes.transformer.parameters)]]
    for part in (*sizes.encoders, sizes.vae, sizes.retrieval, *sizes.shots):
        rows.append([part.name, billions(part.parameters)])
    told = ", ".join(f"{name} {count / 1e9:.3g} GB" for name, count in disk.items())
    return f"parameters\n{table(rows)}\n  disk for the weights: {told}"


def _tokens(plan: Plan) -> str:
    rows = [["scale", "pairs", "image", "text", "together"]]
    for s in plan.scales:
        numbers = (s.pairs, s.img_tokens, s.txt_tokens, s.tokens)
        rows.append([f"{s.rows}x{s.cols}", *(f"{number:,}" for number in numbers)])
    sums = [sum(s.pairs for s in plan.scales), sum(s.img_tokens for s in plan.scales)]
    sums += [sum(s.txt_tokens for s in plan.scales), tokens_of(plan.scales)]
    rows.append(["all", *(f"{number:,}" for number in sums)])
    return f"tokens\n{table(rows)}"


def _flops(plan: Plan) -> str:
    factor, prefix = unit_of(plan.forward.total * plan.steps / PETA)

    def told(flops: Flops) -> str:
        return digits(factor * flops.total / PETA)

    share = plan.forward.total / plan.full_context.total
    guided = "" if plan.sizes.passes == 1 else f" x {plan.sizes.passes} for guidance"
    forward = f"{share:.2f} of full context's {told(plan.full_context)}" if plan.memory else "full context"
    rows = [
        ("a forward", plan.forward, forward),
        ("a sampled frame", plan.sampled, f"{plan.steps} steps{guided}, all pairs in each"),
        ("  reusing context", plan.reused, "causal: the context's keys and values computed once"),
    ]
    for name, flops in plan.training.items():
        batch = f"{plan.request.batch} sequence{'s' if plan.request.batch > 1 else ''} a GPU"
        rows.append((f"a training step, {name}", flops, f"{batch}, blocks checkpointed"))
    width = max(len(name) for name, _, _ in rows)
    lines = [f"  {name:{width}}  {told(flops):>8}  {said}" for name, flops, said in rows]
    return f"{prefix}FLOPs\n" + "\n".join(lines)


def _memory(plan: Plan) -> str:
    rows = [["drawing", "", "reusing context"]]
    for part, other in zip(plan.drawing.parts, plan.drawing_reused.parts, strict=True):
        rows.append([f"  {part.name}", gib(part.bytes), gib(other.bytes)])
    rows.append(["  all at once", gib(plan.drawing.together), gib(plan.drawing_reused.together)])
    rows.append(["  one model at a time", gib(plan.drawing.apart), gib(plan.drawing_reused.apart)])
    needs = list(plan.training_memory.values())
    if needs:
        rows.append(["training", *(need.method for need in needs)])
        for parts in zip(*(need.parts for need in needs), strict=True):
            rows.append([f"  {parts[0].name}", *(gib(part.bytes) for part in parts)])
        rows.append(["  on one GPU", *(gib(need.on(1)) for need in needs)])
        rows.append(["  on each of 8 (FSDP)", *(gib(need.on(8)) for need in needs)])
    return f"memory (GiB)\n{table(rows)}"


def _gpus(plan: Plan) -> str:
    head = ["", "draws", "reusing context"]
    needs = list(plan.training_memory.values())
    rows = [head + [f"trains ({need.method})" for need in needs]]
    for gpu in GPUS:
        row = [gpu.name, fits(plan.drawing, gpu), fits(plan.drawing_reused, gpu)]
        for need in needs:
            count = fewest_gpus(need, gpu)
            row.append("no" if count is None else f"{count} GPU{'s' if count > 1 else ''}")
        rows.append(row)
    note = "offload: fits if each model is on the GPU only while it works"
    return f"fits\n{table(rows)}\n  {note}"
