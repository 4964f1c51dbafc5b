"""`cinema train`: train a part of the embedded preset, or tune a pretrained keyframe model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from captain_cinema.commands.outcome import Outcome
from captain_cinema.errors import CinemaError

if TYPE_CHECKING:
    from captain_cinema.train.tuning.presets import Choices

Positional = tyro.conf.Positional
Number = Annotated[int | None, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]
TUNED = ("klein", "section4", "appendix-a", "table4")
"""Presets that tune; the others train the embedded parts. The same names as in train.tuning.presets."""
SHOTS_TUNED = ("wan", "section4", "appendix-a", "table4")
"""Presets that tune the shot model. The same names as in train.wan_start."""


def train(
    part: Positional[Literal["keyframes", "shots", "vae", "retrieval"]],
    /,
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")],
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "embedded",
    steps: Number = None,
    minutes: Annotated[float | None, tyro.conf.arg(metavar="N")] = None,
    device: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0,
    lr: Annotated[float | None, tyro.conf.arg(metavar="RATE")] = None,
    weights: Folder = None,
    start: Folder = None,
    decoder_only: bool = False,
    workers: Number = None,
    dataset: Folder = None,
    stage: Number = None,
    pairs: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N")] = (),
    lora: Annotated[int | None, tyro.conf.arg(metavar="RANK")] = None,
    batch: Number = None,
    micro: Annotated[int, tyro.conf.arg(metavar="N")] = 1,
    contexts: Literal["joint", "golden", "both"] = "both",
    noise: Annotated[str, tyro.conf.arg(metavar="BAND")] = "light",
    causal: bool = False,
    height: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None,
    no_checkpointing: bool = False,
    fsdp: bool = False,
    sequence_parallel: Annotated[int, tyro.conf.arg(metavar="N")] = 1,
    log_to: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TRACKER")] = (),
    log_every: Annotated[int, tyro.conf.arg(metavar="N")] = 20,
    save_every: Annotated[int, tyro.conf.arg(metavar="N")] = 200,
    sheet_every: Annotated[int, tyro.conf.arg(metavar="N")] = 1000,
    compile: bool = False,
    resume: bool = False,
    install: bool = False,
    json: bool = False,
) -> Outcome:
    """Train a part on the playhouse or a dataset; the same command goes on where it was stopped.

    The presets klein, section4, appendix-a and table4 tune the keyframe model in --weights, which may be a
    published FLUX pipeline; `accelerate launch -m captain_cinema.cli train ...` does so with several
    processes. The options from --stage to --sheet-every are for them. With `train shots`, wan, section4,
    appendix-a and table4 tune the Wan folder in --weights on a dataset's clips; --pairs is then how many
    shots are joined.

    Args:
        part: what to train.
        out: folder for checkpoints, loss curve and sample sheets.
        preset: the training preset.
        steps: how many; the preset's if left out.
        minutes: stop after so long.
        device: cpu or cuda; the GPU if there is one.
        seed: of the run.
        lr: peak learning rate; the preset's if left out.
        weights: finished parts that this one builds on, or what is tuned; the shipped ones if left out.
        start: weights to begin from instead of random ones; when tuning, what another stage exported.
        decoder_only: with `train vae --start`: leave the latents as they are.
        workers: processes that draw films ahead; with a GPU two fewer than cores, on a CPU none.
        dataset: take films from a dataset that `cinema dataset build` made, not from the playhouse.
        stage: run this stage of growing contexts alone, from 1.
        pairs: pairs of each stage, such as 1 8 16; the preset's if left out.
        lora: rank of the adapters, 0 to tune all weights; the preset's if left out.
        batch: sequences a step, of all processes together.
        micro: sequences that a process computes at once.
        contexts: all frames drawn together, or the earlier ones given by GoldenMem, or both by turns.
        noise: of given frames: clean, light, moderate, strong or heavy.
        causal: a pair sees itself and the pairs before it alone.
        height: of a frame; 400 for published weights if left out.
        no_checkpointing: keep what blocks make for the backward pass, where there is memory for it.
        fsdp: shard weights, gradients and optimiser states over the processes (FSDP2).
        sequence_parallel: processes that share one sequence, for long contexts.
        log_to: trackio, wandb or tensorboard, besides metrics.jsonl.
        log_every: steps between two lines of figures.
        save_every: steps between two checkpoints.
        sheet_every: steps between two sample sheets; 0 draws none.
        compile: let torch.compile fuse what it can; takes a minute at the start, and a C++ compiler.
        resume: refuse to start anew when there is no checkpoint in the folder.
        install: put the trained weights into the package at the end.
        json: print one JSON object at the end.
    """
    if resume and not out.is_dir():
        raise CinemaError(f"there is nothing to resume in {out}; leave --resume out to start there")
    if part == "shots" and preset in SHOTS_TUNED:
        refused = {"--stage": stage, "--causal": causal, "--height": height, "--start": start}
        for option, given in (refused | {"--install": install, "--fsdp": fsdp}).items():
            if given:
                raise CinemaError(f"{option} is not for tuning shots; leave it out")
        options = {"preset": preset, "steps": steps, "lr": lr, "seed": seed, "batch": batch, "lora": lora}
        options |= {"together": pairs, "checkpointing": not no_checkpointing}
        machine = {"minutes": minutes, "log_every": log_every, "save_every": save_every}
        machine |= {"sheet_every": sheet_every}
        return _tune_shots(options, out, device, weights, dataset, machine, compile, log_to)
    if preset in TUNED:
        refused = {"--decoder-only": decoder_only, "--install": install}
        for option, given in refused.items():
            if given:
                raise CinemaError(f"{option} is not for the tuning preset {preset}; leave it out")
        if part != "keyframes":
            raise CinemaError(f"the preset {preset} tunes the keyframe model; train {part} with another one")
        from captain_cinema.train.tuning.presets import Choices

        choices = Choices(
            preset=preset,
            stage=stage,
            steps=steps,
            lr=lr,
            seed=seed,
            batch=batch,
            pairs=pairs,
            lora=lora,
            contexts=contexts,
            noise=noise,
            causal=causal,
            height=height,
            micro=micro,
            checkpointing=not no_checkpointing,
            start=start,
        )
        machine = {"minutes": minutes, "compiled": compile, "log_every": log_every}
        machine |= {"save_every": save_every, "sheet_every": sheet_every}
        shared = {"fsdp": fsdp, "sequence": sequence_parallel, "trackers": log_to}
        return _tune(choices, out, device, weights, dataset, machine, shared)
    for option, given in (("--stage", stage), ("--pairs", pairs), ("--lora", lora), ("--log-to", log_to)):
        if given:
            raise CinemaError(f"{option} is for the tuning presets {', '.join(TUNED)}, not for {preset}")
    return _train(
        part,
        out=out,
        install=install,
        preset=preset,
        steps=steps,
        minutes=minutes,
        device=device,
        seed=seed,
        lr=lr,
        weights=weights,
        start=start,
        decoder_only=decoder_only,
        workers=workers,
        compiled=compile,
        dataset=dataset,
    )


def _train(part: str, *, out: Path, install: bool, **options: Any) -> Outcome:
    from captain_cinema import presets
    from captain_cinema.progress import Reporter
    from captain_cinema.train.run import main_train, optimisation_of

    total = optimisation_of(part, options["preset"], steps=options["steps"]).steps
    with Reporter().stage(part, total, unit="step") as stage:
        data = main_train(part, out=out, **options, progress=_to(stage))
    if install:
        data["installed"] = presets.install_weights(out / "export")
    return Outcome(data=data, text=f"trained {part}: {out}")


def _to(stage: Any) -> Callable[[int, int, dict[str, float]], None]:
    def progress(step: int, _: int, means: dict[str, float]) -> None:
        stage.at(step, ", ".join(f"{name} {value:.4g}" for name, value in means.items()))

    return progress


def _tune(
    choices: Choices,
    out: Path,
    device: str | None,
    weights: Path | None,
    dataset: Path | None,
    machine: dict[str, Any],
    shared: dict[str, Any],
) -> Outcome:
    import torch

    from captain_cinema import presets
    from captain_cinema.commands.training_memory import check_memory
    from captain_cinema.progress import Reporter
    from captain_cinema.train.tuning.presets import resolve
    from captain_cinema.train.tuning.start import Machine, find_weights, tune
    from captain_cinema.train.world import open_world

    main = os.environ.get("RANK", "0") == "0"
    if not main:  # one process speaks for all
        logging.getLogger().setLevel(logging.WARNING)
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise CinemaError(f"no device {device!r} here; leave --device out to train on the CPU")
    run = resolve(choices)
    found = find_weights(weights if weights is not None else presets.weights_folder("embedded"))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    check_memory(found, run, device=device, processes=processes, **_of(shared, "fsdp", "sequence"))
    world = open_world(device, out=out, settings={"preset": choices.preset}, **shared)
    options = {"dataset": dataset, "device": world.device, "world": world}
    try:
        if not main:
            return Outcome(data=tune(run, found, Machine(out=out, **machine), **options), text="")
        with Reporter().stage("keyframes", run.optimisation.steps, unit="step") as stage:
            data = tune(run, found, Machine(out=out, **machine), **options, progress=_to(stage))
    finally:
        world.close()
    return Outcome(data=data, text=f"tuned keyframes: {out / 'export'}")


def _tune_shots(
    options: dict[str, Any],
    out: Path,
    device: str | None,
    weights: Path | None,
    dataset: Path | None,
    machine: dict[str, Any],
    compiled: bool,
    log_to: tuple[str, ...],
) -> Outcome:
    if weights is None:
        raise CinemaError("name the Wan folder to tune: --weights FOLDER, such as Wan2.2-TI2V-5B-Diffusers")
    import torch

    from captain_cinema.progress import Reporter
    from captain_cinema.train.loop import RunOptions
    from captain_cinema.train.wan_start import ShotChoices, resolve_shots, tune_shots
    from captain_cinema.train.world import open_world

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise CinemaError(f"no device {device!r} here; leave --device out to train on the CPU")
    choices = ShotChoices(**options)
    steps = resolve_shots(choices).optimisation.steps
    world = open_world(device, out=out, settings={"preset": choices.preset}, trackers=log_to)
    run = RunOptions(out=out, device=world.device, **machine)
    more: dict[str, Any] = {"world": world, "compiled": compiled}
    try:
        if not world.main:  # one process speaks for all
            return Outcome(data=tune_shots(choices, weights, dataset, run, **more), text="")
        with Reporter().stage("shots", steps, unit="step") as stage:
            data = tune_shots(choices, weights, dataset, run, **more, progress=_to(stage))
    finally:
        world.close()
    return Outcome(data=data, text=f"tuned shots: {out / 'export'}")


def _of(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options[name] for name in names}
