"""`cinema train`: train a part of the embedded preset, or tune a pretrained keyframe model."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from captain_cinema.commands.outcome import Outcome
from captain_cinema.commands.train_options import TrainOptions
from captain_cinema.errors import CinemaError

if TYPE_CHECKING:
    from captain_cinema.train.tuning.presets import Choices

TUNED = ("klein", "section4", "appendix-a", "table4")
"""Presets that tune; the others train the embedded parts. The same names as in train.tuning.presets."""
SHOTS_TUNED = ("wan", "section4", "appendix-a", "table4")
"""Presets that tune the shot model. The same names as in train.wan_start."""


def train(options: Annotated[TrainOptions, tyro.conf.arg(name="")]) -> Outcome:
    """Train a part on the playhouse or a dataset; the same command goes on where it was stopped.

    The presets klein, section4, appendix-a and table4 tune the keyframe model in --weights, which may be a
    published FLUX pipeline; `accelerate launch -m captain_cinema.cli train ...` does so with several
    processes. The options from --stage to --sheet-every are for them. With `train shots`, wan, section4,
    appendix-a and table4 tune the Wan folder in --weights on a dataset's clips; --pairs is then how many
    shots are joined.
    """
    if options.resume and not options.out.is_dir():
        raise CinemaError(f"there is nothing to resume in {options.out}; leave --resume out to start there")
    if options.part == "shots" and options.preset in SHOTS_TUNED:
        return _tune_shots(options)
    if options.preset in TUNED:
        return _tune_keyframes(options)
    return _train(options)


def _refuse(options: TrainOptions, names: Sequence[str], why: str) -> None:
    """Refuse options that are given and would do nothing.

    Raises:
        CinemaError: the first of them.
    """
    for name in names:
        if getattr(options, name):
            raise CinemaError(f"--{name.replace('_', '-')} is {why}")


def _train(options: TrainOptions) -> Outcome:
    """Train a part of the embedded preset."""
    why = f"for the tuning presets {', '.join(TUNED)}, not for {options.preset}"
    _refuse(options, ("stage", "pairs", "lora", "log_to", "look_weight"), why)
    from captain_cinema import presets
    from captain_cinema.progress import Reporter
    from captain_cinema.train.run import main_train, optimisation_of

    total = optimisation_of(options.part, options.preset, steps=options.steps).steps
    with Reporter().stage(options.part, total, unit="step") as stage:
        data = main_train(
            options.part,
            out=options.out,
            preset=options.preset,
            steps=options.steps,
            minutes=options.minutes,
            device=options.device,
            seed=options.seed,
            lr=options.lr,
            weights=options.weights,
            start=options.start,
            decoder_only=options.decoder_only,
            workers=options.workers,
            compiled=options.compile,
            dataset=options.dataset,
            progress=_to(stage),
        )
    if options.install:
        data["installed"] = presets.install_weights(options.out / "export")
    return Outcome(data=data, text=f"trained {options.part}: {options.out}")


def _to(stage: Any) -> Callable[[int, int, dict[str, float]], None]:
    def progress(step: int, _: int, means: dict[str, float]) -> None:
        stage.at(step, ", ".join(f"{name} {value:.4g}" for name, value in means.items()))

    return progress


def _choices(options: TrainOptions) -> Choices:
    """What a tuning run of the keyframe model is told."""
    from captain_cinema.train.tuning.presets import Choices

    same = {field.name for field in fields(Choices)} - {"checkpointing"}
    return Choices(
        **{name: getattr(options, name) for name in same}, checkpointing=not options.no_checkpointing
    )


def _tune_keyframes(options: TrainOptions) -> Outcome:
    """Tune a pretrained keyframe model."""
    why = f"not for the tuning preset {options.preset}; leave it out"
    _refuse(options, ("decoder_only", "install"), why)
    if options.part != "keyframes":
        raise CinemaError(
            f"the preset {options.preset} tunes the keyframe model; train {options.part} with another one"
        )
    from captain_cinema import presets
    from captain_cinema.commands.training_memory import check_memory
    from captain_cinema.progress import Reporter
    from captain_cinema.train.tuning.presets import resolve
    from captain_cinema.train.tuning.start import Machine, find_weights, tune
    from captain_cinema.train.world import choose_device, open_world

    main = os.environ.get("RANK", "0") == "0"
    if not main:  # one process speaks for all
        logging.getLogger().setLevel(logging.WARNING)
    device = choose_device(options.device)
    run = resolve(_choices(options))
    found = find_weights(options.weights or presets.weights_folder("embedded"))
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    shared: dict[str, Any] = {"fsdp": options.fsdp, "sequence": options.sequence_parallel}
    check_memory(found, run, device=device, processes=processes, **shared)
    told = {"preset": options.preset}
    world = open_world(device, out=options.out, settings=told, trackers=options.log_to, **shared)
    machine = Machine(
        out=options.out,
        minutes=options.minutes,
        compiled=options.compile,
        log_every=options.log_every,
        save_every=options.save_every,
        sheet_every=options.sheet_every,
    )
    more: dict[str, Any] = {"dataset": options.dataset, "device": world.device, "world": world}
    try:
        if not main:
            return Outcome(data=tune(run, found, machine, **more), text="")
        with Reporter().stage("keyframes", run.optimisation.steps, unit="step") as stage:
            data = tune(run, found, machine, **more, progress=_to(stage))
    finally:
        world.close()
    return Outcome(data=data, text=f"tuned keyframes: {options.out / 'export'}")


def _tune_shots(options: TrainOptions) -> Outcome:
    """Tune a Wan folder."""
    refused = ("stage", "causal", "height", "start", "install", "fsdp", "look_weight")
    _refuse(options, refused, "not for tuning shots; leave it out")
    weights, dataset = options.weights, options.dataset
    if weights is None:
        raise CinemaError("name the Wan folder to tune: --weights FOLDER, such as Wan2.2-TI2V-5B-Diffusers")
    from captain_cinema.progress import Reporter
    from captain_cinema.train.loop import RunOptions
    from captain_cinema.train.wan_start import ShotChoices, resolve_shots, tune_shots
    from captain_cinema.train.world import choose_device, open_world

    device = choose_device(options.device)
    choices = ShotChoices(
        preset=options.preset,
        steps=options.steps,
        lr=options.lr,
        seed=options.seed,
        batch=options.batch,
        lora=options.lora,
        together=options.pairs,
        checkpointing=not options.no_checkpointing,
    )
    steps = resolve_shots(choices).optimisation.steps
    told = {"preset": options.preset}
    world = open_world(device, out=options.out, settings=told, trackers=options.log_to)
    run = RunOptions(
        out=options.out,
        device=world.device,
        minutes=options.minutes,
        log_every=options.log_every,
        save_every=options.save_every,
        sheet_every=options.sheet_every,
    )
    more: dict[str, Any] = {"world": world, "compiled": options.compile}
    try:
        if not world.main:  # one process speaks for all
            return Outcome(data=tune_shots(choices, weights, dataset, run, **more), text="")
        with Reporter().stage("shots", steps, unit="step") as stage:
            data = tune_shots(choices, weights, dataset, run, **more, progress=_to(stage))
    finally:
        world.close()
    return Outcome(data=data, text=f"tuned shots: {options.out / 'export'}")
