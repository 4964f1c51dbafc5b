"""`cinema train`: one part, one folder, from a named preset; the same command goes on where it stopped."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from captain_cinema import presets
from captain_cinema.errors import CinemaError
from captain_cinema.train.film_pool import drawing_workers
from captain_cinema.train.loop import Optimisation, RunOptions, SharedTask, Task, Trainer
from captain_cinema.train.precision import fast_bfloat16
from captain_cinema.train.presets import PARTS, TRAINING, TrainingPreset
from captain_cinema.train.seeds import seed_after
from captain_cinema.train.world import choose_device, open_world

if TYPE_CHECKING:
    from captain_cinema.backbone.latents import FrameCodec
    from captain_cinema.backbone.mmdit import MMDiT
    from captain_cinema.backbone.text import PhraseEncoder
    from captain_cinema.train.keyframes import KeyframeTask
    from captain_cinema.train.shots import ShotTask
    from captain_cinema.train.vae import VAETask

logger = logging.getLogger(__name__)


def new_task(
    part: str,
    preset: TrainingPreset,
    optimisation: Optimisation,
    *,
    weights: Path,
    device: str,
    start: Path | None,
    decoder_only: bool = False,
    workers: Executor | None = None,
    dataset: Path | None = None,
) -> Task:
    """Build a part's task with fresh weights, or with the weights in `start`.

    Args:
        part: one of PARTS.
        preset: the training preset.
        optimisation: the part's, as it will run.
        weights: folder that holds the finished parts this one builds on (the VAE).
        device: where the models go.
        start: a weights folder to begin from instead of random weights.
        decoder_only: of the VAE, train the decoder alone, which leaves the latents as they are.
        workers: processes that draw ahead.
        dataset: take films from there instead of the playhouse.
    """
    from captain_cinema.backbone.latents import FrameCodec, load_vae
    from captain_cinema.backbone.text import PhraseEncoder

    if part == "vae":
        return _vae_task(preset, optimisation, start=start, decoder_only=decoder_only, workers=workers)
    text = PhraseEncoder()
    if part == "retrieval":
        from captain_cinema.train.retrieval import RetrievalTask

        return RetrievalTask(text, seed=optimisation.seed, batch=preset.retrieval_batch, workers=workers)
    codec = FrameCodec(load_vae(weights / "vae", device=device))
    if part == "keyframes":
        return _keyframe_task(
            preset, optimisation, codec, text, start=start, workers=workers, dataset=dataset
        )
    return _shot_task(preset, optimisation, codec, text, start=start, workers=workers)


def _vae_task(
    preset: TrainingPreset,
    optimisation: Optimisation,
    *,
    start: Path | None,
    decoder_only: bool,
    workers: Executor | None,
) -> VAETask:
    from captain_cinema.backbone.latents import load_vae
    from captain_cinema.train.vae import VAETask

    return VAETask(
        seed=optimisation.seed,
        batch=preset.vae_batch,
        vae=None if start is None else load_vae(start / "vae").train(),
        decoder_only=decoder_only,
        workers=workers,
    )


def _keyframe_task(
    preset: TrainingPreset,
    optimisation: Optimisation,
    codec: FrameCodec,
    text: PhraseEncoder,
    *,
    start: Path | None,
    workers: Executor | None,
    dataset: Path | None,
) -> KeyframeTask:
    from captain_cinema.train.dataset_source import open_source
    from captain_cinema.train.keyframes import KeyframeTask

    model = _keyframe_model(preset, optimisation.seed, start)
    training = preset.keyframe_training
    source = None
    if dataset is not None:
        source = open_source(dataset, codec, text, height=training.height, txt_len=training.txt_len)
    return KeyframeTask(
        model,
        codec,
        text,
        training,
        steps=optimisation.steps,
        seed=optimisation.seed,
        workers=workers,
        source=source,
    )


def _keyframe_model(preset: TrainingPreset, seed: int, start: Path | None) -> MMDiT:
    """Random weights, or those in `start`, grown where the preset's model is twice as wide or deeper."""
    from captain_cinema.backbone.mmdit import MMDiT, init_weights, load_mmdit
    from captain_cinema.train.grow import deepen, widen

    generator = torch.Generator().manual_seed(seed)
    if start is None:
        return init_weights(MMDiT(preset.mmdit), generator, match_heads=True)
    model = load_mmdit(start / "keyframes" / "transformer", dtype=torch.float32)
    if 2 * model.config.dim == preset.mmdit.dim:
        logger.info("widening the model from %d to %d", model.config.dim, preset.mmdit.dim)
        model = widen(model, generator)
    blocks, wanted = model.config.num_single_layers, preset.mmdit.num_single_layers
    if blocks < wanted:
        logger.info("deepening the model from %d single-stream blocks to %d", blocks, wanted)
        model = deepen(model, wanted)
    return model.train()


def _shot_task(
    preset: TrainingPreset,
    optimisation: Optimisation,
    codec: FrameCodec,
    text: PhraseEncoder,
    *,
    start: Path | None,
    workers: Executor | None,
) -> ShotTask:
    from captain_cinema.shots.model import embedded_shot_config, load_shot_model, new_shot_model
    from captain_cinema.shots.motion_field import MOTION_CHANNELS
    from captain_cinema.train.grow import with_motion
    from captain_cinema.train.shots import ShotTask

    said = codec.channels + MOTION_CHANNELS
    shots = (
        with_motion(load_shot_model(start / "shots" / "transformer"), codec.channels).train()
        if start is not None
        else new_shot_model(embedded_shot_config(latent_channels=said), seed=optimisation.seed)
    )
    return ShotTask(shots, codec, text, preset.shot_training, seed=optimisation.seed, workers=workers)


def optimisation_of(
    part: str, preset: str, *, seed: int = 0, steps: int | None = None, lr: float | None = None
) -> Optimisation:
    """How a part is optimised under a preset, with what the user changed.

    Raises:
        CinemaError: an unknown part or preset.
    """
    if part not in PARTS:
        raise CinemaError(f"there is no part {part!r} to train; use one of {', '.join(PARTS)}")
    if preset not in TRAINING:
        raise CinemaError(f"there is no training preset {preset!r}; use one of {', '.join(TRAINING)}")
    found: Optimisation = replace(getattr(TRAINING[preset], part), seed=seed)
    return replace(found, steps=steps or found.steps, lr=lr or found.lr)


def _check_part(part: str, *, start: Path | None, decoder_only: bool, dataset: Path | None) -> None:
    """Refuse what is not for this part.

    Raises:
        CinemaError: one line.
    """
    if decoder_only and (part != "vae" or start is None):
        raise CinemaError(
            "--decoder-only goes on with a trained VAE: train vae --start FOLDER --decoder-only"
        )
    if dataset is not None and part != "keyframes":
        raise CinemaError(f"--dataset feeds the keyframe model, not {part}: train keyframes --dataset FOLDER")


def main_train(
    part: str,
    *,
    out: Path,
    preset: str = "embedded",
    steps: int | None = None,
    minutes: float | None = None,
    device: str | None = None,
    seed: int = 0,
    lr: float | None = None,
    weights: Path | None = None,
    start: Path | None = None,
    decoder_only: bool = False,
    workers: int | None = None,
    compiled: bool = False,
    dataset: Path | None = None,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Train one part; see `TrainingPreset` for what the names mean.

    Raises:
        CinemaError: an unknown part, preset or device, or weights that are missing.
    """
    optimisation = optimisation_of(part, preset, seed=seed, steps=steps, lr=lr)
    device = choose_device(device)
    folder = weights if weights is not None else presets.weights_folder("embedded")
    _check_part(part, start=start, decoder_only=decoder_only, dataset=dataset)
    if start is not None:
        optimisation = replace(optimisation, seed=seed_after(seed, start / part))
    # A CPU trains on all its cores, and is better off drawing in between; a GPU waits for drawings.
    count = workers if workers is not None else max(0, (os.cpu_count() or 1) - 2) * device.startswith("cuda")
    world = open_world(device, out=out)
    device = world.device
    executor = drawing_workers(count)
    task = new_task(
        part,
        TRAINING[preset],
        optimisation,
        weights=folder,
        device=device,
        start=start,
        decoder_only=decoder_only,
        workers=executor,
        dataset=dataset,
    )
    if isinstance(task, SharedTask):
        task.replicas = world.replicas
    if compiled:
        task.compile()
    options = RunOptions(out=out, minutes=minutes, device=device, autocast=fast_bfloat16(device))
    if preset == "debug":
        options = replace(options, log_every=1, save_every=2, sheet_every=4)
    try:
        return {"part": part, "preset": preset, **Trainer(task, optimisation, options, world).run(progress)}
    finally:
        world.close()
        if executor is not None:
            executor.shutdown(cancel_futures=True)
