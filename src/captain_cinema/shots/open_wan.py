"""Filming with Wan's published weights: any folder in the layout of Wan2.2-TI2V-5B, on one 24 GB card.

Untuned, each shot is filmed from its own keyframe: the weights have never seen other shots' tokens. Tuned
ones (`cinema train shots`) lie beside a `shots.json` that says what they have learnt, and join the shots.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor, nn

from captain_cinema.backbone.folders import first_line, read_json
from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.flow.sampler import Velocity
from captain_cinema.shots.abilities import Abilities
from captain_cinema.shots.generator import Progress, ShotGenerator, ShotSettings
from captain_cinema.shots.request import ShotRequest
from captain_cinema.shots.table import WAN_TI2V_5B
from captain_cinema.shots.wan_folder import WanParts, load_wan
from captain_cinema.shots.wan_latents import WanCodec

Quantised = Literal["none", "int8", "fp8"]

MARK = "shots.json"
"""Beside tuned weights: what they have learnt."""

TOGETHER = 8
"""Shots that tuned weights film in one denoising at most."""

LARGE_TILE, TILE_STRIDE = (512, 832), (448, 768)
"""Tiles of the VAE, height and width: the paper's 230,400 pixels are one tile and have no seams."""


@dataclass(frozen=True, kw_only=True)
class Learnt:
    """What weights can do beyond the published ones, from `shots.json`."""

    cross_shot: bool = False
    """Shots may be joined."""
    context: int = 0
    """Other shots' keyframes that one shot may bring in."""


class SchedulerSolver:
    """The folder's own scheduler as a `Solver`.

    Args:
        scheduler: diffusers', as published with the weights.
        steps: denoising steps.
    """

    def __init__(self, scheduler: Any, steps: int) -> None:
        self.scheduler, self.steps = scheduler, steps

    def __call__(self, flow: Velocity, noise: Tensor, progress: Progress | None) -> Tensor:
        """Denoise; every call starts with a fresh scheduler, as multistep ones remember."""
        scheduler = copy.deepcopy(self.scheduler)
        scheduler.set_timesteps(self.steps, device=noise.device)
        x, scale = noise, scheduler.config.num_train_timesteps
        for done, t in enumerate(scheduler.timesteps, start=1):
            x = scheduler.step(flow(x, float(t) / scale), t, x, return_dict=False)[0]
            if progress is not None:
                progress(done, len(scheduler.timesteps))
        return x


class WanShotGenerator(ShotGenerator):
    """Films shots with a whole Wan folder.

    Args:
        parts: what the folder holds.
        settings: how to sample; the prediction is always the velocity.
        abilities: what this backend declares.
        device: where the parts compute, which with offloading is not where they lie.
    """

    def __init__(
        self,
        parts: WanParts,
        settings: ShotSettings,
        *,
        abilities: Abilities,
        device: torch.device | str = "cpu",
    ) -> None:
        device = torch.device(device)
        self.parts = parts
        self.wan = WanCodec(parts.vae, parts.tokenizer, parts.text_encoder, device=device)
        self._set_up(
            parts.transformer,
            self.wan,
            replace(settings, prediction="velocity"),
            abilities,
            device=device,
            solve=SchedulerSolver(parts.scheduler, settings.steps),
        )

    def _check(self, requests: Sequence[ShotRequest]) -> None:
        super()._check(requests)
        for place, request in enumerate(requests, start=1):
            what = f"shot {request.number or place}"
            self.wan.check_text(request.caption, request.film_caption, what=what)


def load_open_shots(
    folder: Path,
    *,
    device: str = "cuda",
    dtype: torch.dtype = torch.bfloat16,
    offload: bool = True,
    quantised: Quantised = "none",
    tuned: Path | None = None,
    steps: int = 50,
    guidance: float = 5.0,
) -> WanShotGenerator:
    """Load a Wan folder in diffusers' layout, ready to film.

    Args:
        folder: holds model_index.json and the parts' folders.
        device: where to compute.
        dtype: of transformer and text encoder; the VAE stays in float32, as it was published.
        offload: what a 24 GB card needs: parts take turns on the GPU, large frames are decoded in tiles. On
            a CPU all parts are where they compute, and nothing changes.
        quantised: store the weights of the blocks in eight bits; computing stays in `dtype`.
        tuned: what a tuning run exported: a LoRA (its file or folder), or a folder with a whole transformer.
        steps: denoising steps; 50 and guidance 5 are the published ones.
        guidance: how far to go from the negative prompt's velocity to the caption's.

    Raises:
        WeightsError: the folder is missing, damaged, incomplete, or no Wan that starts from a clean frame.
        AbilityError: an extra is not installed.
    """
    where = torch.device(device)
    learnt = read_learnt(folder if tuned is None else tuned)
    whole = tuned is not None and (tuned / "transformer").is_dir()
    parts = load_wan(folder, dtype=dtype, transformer=tuned / "transformer" if tuned and whole else None)
    if tuned is not None and not whole:
        add_trained_lora(parts.transformer, tuned)
    if quantised != "none":
        quantise_blocks(parts.transformer, quantised)
        quantise_blocks(parts.text_encoder, quantised)
    if offload and where.type != "cpu":
        offload_parts(parts, where)
    else:
        for part in (parts.transformer, parts.vae, parts.text_encoder):
            cast(nn.Module, part).to(where)
    settings = ShotSettings(steps=steps, guidance=guidance, cross_shot=learnt.cross_shot)
    return WanShotGenerator(parts, settings, abilities=open_abilities(learnt), device=where)


def open_abilities(learnt: Learnt) -> Abilities:
    """What the backend declares: untuned weights film each shot by itself, and see no other's keyframe."""
    conditioning = ("first frame", "caption", "film caption")
    if not learnt.cross_shot:
        return replace(WAN_TI2V_5B, max_shots_together=1, max_context=0, conditioning=conditioning)
    return replace(
        WAN_TI2V_5B,
        max_shots_together=TOGETHER,
        max_context=learnt.context,
        conditioning=(*conditioning, "context keyframes"),
    )


def read_learnt(place: Path) -> Learnt:
    """What the weights in a folder (or beside a LoRA file) have learnt; published ones have no `shots.json`.

    Raises:
        WeightsError: the file is damaged.
    """
    folder = place if place.is_dir() else place.parent
    if not (folder / MARK).is_file():
        return Learnt()
    said = read_json(folder / MARK, "tuned weights")
    try:
        return Learnt(cross_shot=bool(said["cross_shot"]), context=int(said["context"]))
    except (KeyError, TypeError, ValueError):
        raise WeightsError(f"{folder / MARK} needs 'cross_shot' and 'context'; tune again") from None


def add_trained_lora(model: WanTransformer3DModel, place: Path) -> None:
    """Merge a LoRA into the transformer, so that filming is as fast as without.

    Args:
        model: changed in place.
        place: a safetensors file, or a folder that holds `pytorch_lora_weights.safetensors`.

    Raises:
        WeightsError: there is none, or it is another model's.
        AbilityError: peft is not installed.
    """
    file = place / "pytorch_lora_weights.safetensors" if place.is_dir() else place
    if not file.is_file() or file.suffix != ".safetensors":
        raise WeightsError(f"no LoRA at {file}; it is a safetensors file")
    _need("peft", "LoRA", "tuning")
    from safetensors.torch import load_file

    try:
        weights = load_file(file)
        if not weights or not all(name.startswith("transformer.") for name in weights):
            raise ValueError("it holds no weights of a transformer")  # peft would only warn
        model.load_lora_adapter(weights, prefix="transformer")
        model.fuse_lora()
        model.unload_lora()
    except Exception as error:
        raise WeightsError(f"the LoRA {file} does not fit the model: {first_line(error)}") from error


def quantise_blocks(model: nn.Module, kind: Quantised) -> None:
    """Store the linear layers of a model's blocks in eight bits; embeddings and outputs stay as they are.

    Args:
        model: changed in place.
        kind: "int8", or "fp8", which needs a GPU of 2022 or later to be fast.

    Raises:
        AbilityError: torchao is not installed.
    """
    _need("torchao", f"{kind} weights", "quantised")
    from torchao.quantization import (  # pyright: ignore[reportMissingImports]
        Float8WeightOnlyConfig,
        Int8WeightOnlyConfig,
        quantize_,
    )

    config = Int8WeightOnlyConfig() if kind == "int8" else Float8WeightOnlyConfig()
    quantize_(model, config, filter_fn=in_a_block)


def in_a_block(module: nn.Module, name: str) -> bool:
    """Whether a module is a linear layer of a block: `blocks.3...` in Wan, `encoder.block.3...` in UMT5."""
    return isinstance(module, nn.Linear) and ("blocks." in name or ".block." in name)


def offload_parts(parts: WanParts, device: torch.device) -> None:
    """Let the parts take turns on a GPU (accelerate's hooks), and decode large frames in tiles.

    Raises:
        AbilityError: accelerate is not installed.
    """
    _need("accelerate", "offloading", "")
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

    parts.vae.enable_tiling(
        tile_sample_min_height=LARGE_TILE[0],
        tile_sample_min_width=LARGE_TILE[1],
        tile_sample_stride_height=TILE_STRIDE[0],
        tile_sample_stride_width=TILE_STRIDE[1],
    )
    pipeline: Any = WanImageToVideoPipeline(
        tokenizer=parts.tokenizer,
        text_encoder=parts.text_encoder,
        vae=parts.vae,
        scheduler=parts.scheduler,
        transformer=parts.transformer,
        expand_timesteps=True,
    )
    pipeline.enable_model_cpu_offload(device=device)


def _need(module: str, what: str, extra: str) -> None:
    from importlib.util import find_spec

    if find_spec(module) is None:
        package = f'"captain-cinema[{extra}]"' if extra else module
        raise AbilityError(f"{what}: {module} is missing; pip install {package}")
