"""`cinema train shots` on a Wan folder: the paper's three contradicting sources by name, and `wan`.

The paper says three things about one training (design, section 3), so each is a preset. What a source leaves
open is table 4's, which alone is whole.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.checkpoint import checkpoint

from captain_cinema.errors import CinemaError
from captain_cinema.shots.model import load_shot_model
from captain_cinema.shots.wan_folder import check_wan, load_text_encoder, load_tokenizer, load_wan_vae
from captain_cinema.shots.wan_latents import WanCodec
from captain_cinema.train.loop import Optimisation, RunOptions, Trainer
from captain_cinema.train.precision import fast_bfloat16, mixed_precision
from captain_cinema.train.tensor_cache import TensorCache
from captain_cinema.train.tuning.readers import folder_digest
from captain_cinema.train.wan_clips import (
    AREA,
    LIMIT,
    CachedFilm,
    FilmedFilm,
    encode_clips,
    filled,
    open_clips,
    text_key,
)
from captain_cinema.train.wan_shots import WanShotTask, WanTraining, add_lora
from captain_cinema.train.world import ALONE, World

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class ShotTuning:
    """One way to tune the shot model."""

    optimisation: Optimisation
    training: WanTraining = field(default_factory=WanTraining)


_TABLE4 = Optimisation(
    steps=10_000, lr=1e-4, warmup=1_000, final_lr=0.0, betas=(0.9, 0.95), clip=1.0, ema=0.0
)

SHOT_TUNING = {
    "wan": ShotTuning(
        optimisation=replace(_TABLE4, steps=4_000, warmup=200, final_lr=0.1),
        training=WanTraining(batch=8, lora=32),
    ),
    "section4": ShotTuning(optimisation=replace(_TABLE4, steps=15_000), training=WanTraining(batch=64)),
    "appendix-a": ShotTuning(
        optimisation=replace(_TABLE4, steps=20_000, lr=1e-5, warmup=0, final_lr=1.0),
        training=WanTraining(batch=64),
    ),
    "table4": ShotTuning(optimisation=_TABLE4, training=WanTraining(batch=64)),
}
"""Tuning presets of the shot model by name."""


@dataclass(frozen=True, kw_only=True)
class ShotChoices:
    """What the user says about a run; what is left out is the preset's."""

    preset: str
    steps: int | None = None
    lr: float | None = None
    seed: int = 0
    batch: int | None = None
    lora: int | None = None
    together: tuple[int, ...] = ()
    """Joined shots of a sequence, in the place of the preset's."""
    checkpointing: bool = True
    area: int = AREA


def resolve_shots(choices: ShotChoices) -> ShotTuning:
    """Put a preset and what the user changed together.

    Raises:
        CinemaError: something that is asked for does not exist.
    """
    if choices.preset not in SHOT_TUNING:
        names = ", ".join(SHOT_TUNING)
        raise CinemaError(f"there is no preset {choices.preset!r} to tune shots; use one of {names}")
    preset = SHOT_TUNING[choices.preset]
    for name, value in (("--batch", choices.batch), ("--steps", choices.steps)):
        if value is not None and value < 1:
            raise CinemaError(f"{name} {value} trains nothing; give 1 or more")
    if choices.lora is not None and choices.lora < 0:
        raise CinemaError(f"--lora {choices.lora} is no rank; give 1 or more, or 0 to tune all weights")
    if choices.together and not 1 <= min(choices.together) <= max(choices.together) <= 8:
        raise CinemaError(f"--pairs {' '.join(map(str, choices.together))}: 1 to 8 shots can be joined")
    steps = choices.steps or preset.optimisation.steps
    return ShotTuning(
        optimisation=replace(
            preset.optimisation,
            steps=steps,
            lr=choices.lr or preset.optimisation.lr,
            seed=choices.seed,
            warmup=min(preset.optimisation.warmup, max(1, steps // 4)),
        ),
        training=replace(
            preset.training,
            batch=choices.batch or preset.training.batch,
            lora=preset.training.lora if choices.lora is None else choices.lora,
            together=choices.together or preset.training.together,
        ),
    )


def new_shot_tuning(
    run: ShotTuning,
    choices: ShotChoices,
    weights: Path,
    films: Sequence[FilmedFilm],
    cache_folder: Path,
    *,
    device: str,
    world: World = ALONE,
) -> WanShotTask:
    """The task of a run; encodes the films first, where that is not done.

    Args:
        run: what to do.
        choices: what the user said.
        weights: a Wan folder.
        films: shots in motion.
        cache_folder: where encodings are kept.
        device: where to compute.
        world: the processes; the first one encodes.

    Raises:
        CinemaError: weights and films do not fit the run.
    """
    check_wan(weights)

    def open_codec() -> WanCodec:
        dtype = torch.bfloat16 if device.startswith("cuda") else torch.float32
        encoder = load_text_encoder(weights / "text_encoder", dtype).to(device)
        tokenizer = load_tokenizer(weights / "tokenizer")
        vae: Any = load_wan_vae(weights / "vae")
        vae.to(torch.device(device))
        return WanCodec(vae, tokenizer, encoder, device=device)

    folder = cache_folder / f"wan-{folder_digest(weights / 'vae', weights / 'text_encoder')}"
    if world.main:
        encode_clips(films, TensorCache(folder, limit=LIMIT), open_codec, area=choices.area)
    world.wait()
    cache = TensorCache(folder, limit=LIMIT)
    empty = cache.get(text_key(""))
    assert empty is not None
    frozen = torch.bfloat16 if run.training.lora and device.startswith("cuda") else torch.float32
    model = load_shot_model(weights / "transformer", dtype=frozen)
    if run.training.lora:
        add_lora(model, rank=run.training.lora, seed=run.optimisation.seed)
    else:
        model.requires_grad_(True)
    if choices.checkpointing:
        model.enable_gradient_checkpointing(recomputing(device))
    task = WanShotTask(
        model.train(),  # pyright: ignore[reportArgumentType]
        [CachedFilm(film, cache, area=choices.area) for film in films],
        filled([empty], 512),
        run.training,
        seed=run.optimisation.seed,
        draw=_drawer(weights, device),
    )
    task.replicas = world.replicas
    return task


def recomputing(device: str) -> Callable[..., Any]:
    """Gradient checkpointing that runs a block again in the precision it first ran in, the loop's."""

    def checkpointed(block: torch.nn.Module, *inputs: Any) -> Any:
        again = mixed_precision(device, enabled=fast_bfloat16(device))
        return checkpoint(block, *inputs, use_reentrant=False, context_fn=lambda: (nullcontext(), again))

    return checkpointed


def _drawer(weights: Path, device: str) -> Callable[[torch.Tensor], Any]:
    """Decode with a VAE that is in memory only meanwhile."""

    def draw(slots: torch.Tensor) -> Any:
        vae: Any = load_wan_vae(weights / "vae")
        vae.to(torch.device(device))
        codec, frames = WanCodec(vae, None, None, device=device), 4 * (slots.shape[1] - 1) + 1
        with torch.inference_mode():
            return codec.pictures(np.zeros((1, 1, 3), np.uint8), slots, frames)

    return draw


def tune_shots(
    choices: ShotChoices,
    weights: Path,
    dataset: Path | None,
    options: RunOptions,
    *,
    world: World = ALONE,
    compiled: bool = False,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Tune Wan on a dataset's clips, from the beginning or from the checkpoint in the run's folder.

    Raises:
        CinemaError: something that the user can mend.
    """
    run = resolve_shots(choices)
    if dataset is None:
        raise CinemaError(
            "Wan is tuned on shots in motion: give --dataset FOLDER, made by `cinema dataset build` and "
            "`cinema dataset clips`"
        )
    from captain_cinema.films.store.paths import CACHE

    films = open_clips(dataset)
    task = new_shot_tuning(run, choices, weights, films, dataset / CACHE, device=options.device, world=world)
    if compiled:
        task.compile()
    options.out.mkdir(parents=True, exist_ok=True)
    if world.main:
        told = {**asdict(choices), **asdict(run), "weights": str(weights), "dataset": str(dataset)}
        (options.out / "tuning.json").write_text(json.dumps(told, indent=1, default=str) + "\n")
    options = replace(options, autocast=fast_bfloat16(options.device))
    result = Trainer(task, run.optimisation, options, world).run(progress)
    trained = sum(p.numel() for p in task.model.parameters() if p.requires_grad)
    return {"part": "shots", "preset": choices.preset, "trained_parameters": trained, **result}
