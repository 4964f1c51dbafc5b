"""Figure 8 put to the test in the playhouse: growing contexts against the longest one from the start.

    .venv/bin/python -m runs.progressive                          base, both arms of two seeds, the table
    .venv/bin/python -m runs.progressive --base-steps 20000 --steps 20000 --seeds 1 2 3      the same, longer

A narrow keyframe model learns single frames alone, from their descriptions, as text-to-image models do. Two
arms go on from it for equally many steps of equally many frames, with the same films, learning rate and
schedule: one through contexts of 4, 8 and 12 frames, a third of its steps each, the other with 12 from the
start. Both are then measured on the same held-out films: identity with the true earlier frames as context,
and the loss on sequences of 10 and 12 frames. VAE, retrieval and words are those of the shipped weights.

The same command goes on where it was stopped. Several seeds can be trained side by side (--seeds 1 in one
process, --seeds 2 in another, the base first with --seeds and nothing); the last run prints what all have
measured and writes benchmarks/results/claim-progressive.json.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks.hardware import hardware
from captain_cinema import presets
from captain_cinema.evaluate import identity
from captain_cinema.evaluate.shares import Share
from captain_cinema.train.film_pool import DrawnFilm, draw_film
from captain_cinema.train.frame_source import PlayhouseSource
from captain_cinema.train.keyframe_options import KeyframeTraining, Stage
from captain_cinema.train.keyframes import KeyframeTask
from captain_cinema.train.loop import Optimisation, RunOptions, Trainer
from captain_cinema.train.precision import fast_bfloat16, mixed_precision
from captain_cinema.train.presets import EIGHT, FOUR, SINGLE, TRAINING, TWELVE
from captain_cinema.train.run import new_task
from captain_cinema.train.sequences import Layout

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
CASTS = (1, 2, 2, 3)
ARMS: dict[str, tuple[tuple[Layout, ...], ...]] = {
    "progressive": ((FOUR,), EIGHT, TWELVE),
    "full context": (TWELVE,),
}
"""Layouts by stage, of equal length each."""
BASE = "base"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One training of this comparison."""

    name: str
    seed: int
    steps: int
    training: KeyframeTraining
    optimisation: Optimisation


def training_of(
    stages: Sequence[tuple[Layout, ...]], *, frames: int, shots: int, pool: int
) -> KeyframeTraining:
    """The embedded preset's training, the look-naming losses among it, with other stages."""
    return replace(
        TRAINING["embedded"].keyframe_training,
        stages=tuple(
            Stage(until=(number + 1) / len(stages), layouts=layouts, batch=1, casts=CASTS, frames=frames)
            for number, layouts in enumerate(stages)
        ),
        shots=shots,
        pool=pool,
        period=4,
    )


def plan_of(name: str, seed: int, steps: int, *, lr: float, frames: int) -> Plan:
    """The base, or an arm."""
    if name == BASE:
        training = training_of(((SINGLE,),), frames=frames, shots=6, pool=256)
    else:
        training = training_of(ARMS[name], frames=frames, shots=16, pool=96)
    optimisation = Optimisation(
        steps=steps, lr=lr, warmup=min(50, steps // 10), final_lr=0.05, ema=0.99, seed=seed
    )
    return Plan(name=name, seed=seed, steps=steps, training=training, optimisation=optimisation)


def new(plan: Plan, start: Path | None) -> KeyframeTask:
    """The plan's task, from random weights or from a folder of weights."""
    preset = replace(TRAINING["embedded"], keyframe_training=plan.training)
    shipped = presets.weights_folder("embedded")
    task = new_task("keyframes", preset, plan.optimisation, weights=shipped, device="cpu", start=start)
    assert isinstance(task, KeyframeTask)
    return task


def train(plan: Plan, folder: Path, *, start: Path | None) -> dict[str, Any]:
    """Train to the end, or go on; the export becomes a whole folder of weights."""
    done, asked = folder / "trained.json", {"steps": plan.steps, "lr": plan.optimisation.lr}
    asked["frames"] = plan.training.stages[0].frames
    if done.is_file() and (told := json.loads(done.read_text()))["asked"] == asked:
        return told
    task = new(plan, start)
    options = RunOptions(out=folder, sheet_every=0, save_every=100, autocast=fast_bfloat16("cpu"))
    label = f"{plan.name} {plan.seed}"

    def show(step: int, steps: int, figures: dict[str, float]) -> None:
        said = "  ".join(f"{name} {value:.3f}" for name, value in figures.items())
        print(f"{label:<15} {step:>6} of {steps}  {said}", flush=True)

    result = Trainer(task, plan.optimisation, options).run(show)
    shipped = presets.weights_folder("embedded")
    for part in ("vae", "retrieval", "shots"):
        shutil.copytree(shipped / part, folder / "export" / part, dirs_exist_ok=True)
    presets.write_manifest(folder / "export")
    told = {"asked": asked, "seconds": result["seconds"], **frames_of(task, plan.steps)}
    done.write_text(json.dumps(told, indent=1) + "\n")
    return told


def frames_of(task: KeyframeTask, steps: int) -> dict[str, int]:
    """How many frames a training computes, and how many of them it draws."""
    sizes = [(task.size(step), task.layout(step)) for step in range(steps)]
    return {
        "frames": sum(size * layout.pairs for size, layout in sizes),
        "drawn_frames": sum(size * layout.targets for size, layout in sizes),
    }


def draw_held_out(number: int, *, casts: tuple[int, ...], seed: int, scales: tuple[int, ...]) -> DrawnFilm:
    """Film `number` that nobody trains on, and identity is not measured on."""
    drawn = (seed << 20) + (1 << 30) + number
    cast = casts[number % len(casts)]
    return draw_film(drawn, shots=16, cast=cast, height=128, scales=scales, split="held-out")


def held_out_loss(weights: Path, seed: int, *, batches: int, frames: int) -> float:
    """The velocity loss on sequences of 10 and 12 frames of held-out films, same noise for all weights."""
    plan = plan_of("full context", seed, batches, lr=1.0, frames=frames)
    task = new(replace(plan, training=replace(plan.training, look_weight=0.0, drop_text=0.0)), weights)
    draw = partial(draw_held_out, seed=seed, scales=task.scales)
    task.source = PlayhouseSource(draw, partial(draw, casts=CASTS), task.encode, size=16, period=batches)
    task.model.eval()
    with torch.inference_mode(), mixed_precision("cpu", enabled=fast_bfloat16("cpu")):
        return sum(float(task.loss(step)[0]) for step in range(batches)) / batches


def measure(weights: Path, seed: int, given: argparse.Namespace, *, kept: Path) -> dict[str, Any]:
    """Identity and loss of a folder of weights, kept beside it."""
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    asked = {"films": given.films, "batches": given.batches, "frames": given.frames, "seed": seed}
    if known.get("asked") == asked:
        return known
    backend = presets.load_backend("embedded", weights=weights)
    found = identity.run(backend, given.films, seed, controls=False)
    loss = held_out_loss(weights, seed, batches=given.batches, frames=given.frames)
    known = {"asked": asked, "loss": loss, "identity": found.headline.as_dict()}
    kept.write_text(json.dumps(known, indent=1) + "\n")
    return known


def compare(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Train what is not trained, measure what is not measured: a row for each of (base, arms) x seeds."""
    base = given.out / BASE
    plan = plan_of(BASE, 0, given.base_steps, lr=given.base_lr, frames=given.frames)
    told = train(plan, base, start=None)
    for seed in given.seeds:
        found = measure(base / "export", seed, given, kept=base / f"measured-{seed}.json")
        yield {"condition": BASE, "seed": seed, **told, **found}
        for arm in given.arms:
            folder = given.out / f"{arm.replace(' ', '-')}-{seed}"
            plan = plan_of(arm, seed, given.steps, lr=given.lr, frames=given.frames)
            told_arm = train(plan, folder, start=base / "export")
            found = measure(folder / "export", seed, given, kept=folder / "measured.json")
            yield {"condition": arm, "seed": seed, **told_arm, **found}


def table(rows: Sequence[dict[str, Any]]) -> str:
    """One line a condition: identity of all seeds together and of each, and the loss."""
    lines = []
    for name in dict.fromkeys(row["condition"] for row in rows):
        own = [row for row in rows if row["condition"] == name]
        shares = [Share(correct=r["identity"]["correct"], total=r["identity"]["total"]) for r in own]
        whole = Share(correct=sum(s.correct for s in shares), total=sum(s.total for s in shares))
        rates, losses = [s.rate for s in shares], [row["loss"] for row in own]
        lines.append(
            f"{name:<13} identity {whole}  spread {max(rates) - min(rates):.3f}"
            f"  seeds: {' '.join(f'{rate:.3f}' for rate in rates)}"
            f"  loss {sum(losses) / len(losses):.4f}  seeds: {' '.join(f'{loss:.4f}' for loss in losses)}"
            f"  frames {own[0]['frames']:,}"
        )
    return "\n".join(lines)


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/out/progressive"))
    parser.add_argument("--base-steps", type=int, default=750, help="of single frames")
    parser.add_argument("--base-lr", type=float, default=2e-3)
    parser.add_argument("--steps", type=int, default=360, help="of each arm")
    parser.add_argument("--lr", type=float, default=1.5e-3, help="of each arm")
    parser.add_argument("--frames", type=int, default=96, help="a step, given and drawn ones together")
    parser.add_argument("--seeds", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--films", type=int, default=8, help="held-out films a seed, for identity")
    parser.add_argument("--batches", type=int, default=24, help="of held-out sequences, for the loss")
    parser.add_argument("--output", type=Path, default=RESULTS / "claim-progressive.json")
    return parser.parse_args(given)


def main(words: Sequence[str] | None = None) -> None:
    """See the module."""
    given, rows = arguments(words), []
    for row in compare(given):
        rows.append(row)
        print(f"seed {row['seed']}  {row['condition']:<13} {row['identity']['rate']}", flush=True)
    if not rows:
        return
    print(f"\nprogressive: {len(given.seeds)} seeds of {given.films} films\n{table(rows)}")
    data = {
        "claim": "progressive",
        "hardware": hardware(),
        "revision": presets.describe("embedded").revision,
        "films": given.films,
        "rows": rows,
    }
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
