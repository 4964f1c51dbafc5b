"""Reading a Wan folder in diffusers' layout: safetensors only; what is wrong with it is said in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from captain_cinema.backbone.folders import first_line, read_json, refusing
from captain_cinema.errors import WeightsError
from captain_cinema.shots.model import load_shot_model


@dataclass(frozen=True, kw_only=True)
class WanParts:
    """What a Wan folder holds."""

    transformer: WanTransformer3DModel
    vae: AutoencoderKLWan
    text_encoder: Any
    tokenizer: Any
    scheduler: Any


def load_wan(folder: Path, *, dtype: torch.dtype, transformer: Path | None = None) -> WanParts:
    """Read all parts of a Wan folder into main memory; safetensors only.

    Args:
        folder: of the pipeline.
        dtype: of transformer and text encoder.
        transformer: a tuned one to take in the place of the folder's own.

    Raises:
        WeightsError: the folder is missing, damaged, incomplete, or no Wan that starts from a clean frame.
    """
    check_wan(folder)
    model = load_shot_model(transformer or folder / "transformer", dtype=dtype)
    vae = load_wan_vae(folder / "vae")
    channels = (model.config["in_channels"], model.config["out_channels"], vae.config["z_dim"])
    if len(set(channels)) > 1:
        raise WeightsError(
            f"{folder}: the transformer reads {channels[0]} channels and writes {channels[1]}, "
            f"the VAE has {channels[2]}; they are not of one model"
        )
    return WanParts(
        transformer=model,
        vae=vae,
        text_encoder=load_text_encoder(folder / "text_encoder", dtype),
        tokenizer=load_tokenizer(folder / "tokenizer"),
        scheduler=_load_scheduler(folder / "scheduler"),
    )


def check_wan(folder: Path) -> None:
    """See that a folder is of a Wan that starts from a clean frame, by its index alone.

    Raises:
        WeightsError: it is not.
    """
    index = read_json(folder / "model_index.json", "Wan weights")
    if not str(index.get("_class_name")).startswith("Wan"):
        raise WeightsError(f"{folder} holds a {index.get('_class_name')}, not Wan; use Wan2.2-TI2V-5B")
    if index.get("expand_timesteps") is not True:
        raise WeightsError(
            f"the Wan weights in {folder} have one noise level for all frames, so no keyframe stays clean; "
            "use Wan2.2-TI2V-5B"
        )


def load_wan_vae(folder: Path) -> AutoencoderKLWan:
    """Read Wan's video VAE, in float32.

    Raises:
        WeightsError: it cannot be read.
    """
    with refusing(folder, "VAE"):
        return _whole(AutoencoderKLWan, folder, torch_dtype=torch.float32)


def load_text_encoder(folder: Path, dtype: torch.dtype) -> Any:
    """Read UMT5.

    Raises:
        WeightsError: it cannot be read.
    """
    from transformers import UMT5EncoderModel

    with refusing(folder, "text encoder"):
        return _whole(UMT5EncoderModel, folder, dtype=dtype)


def _whole(kind: Any, folder: Path, **precision: torch.dtype) -> Any:
    """A frozen model with nothing missing from its weights."""
    model, info = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, output_loading_info=True, **precision
    )
    _complete(info, folder)
    return model.eval().requires_grad_(False)


def _complete(info: dict[str, Any], folder: Path) -> None:
    wrong = [*info["missing_keys"], *info["mismatched_keys"]]
    if wrong:
        raise WeightsError(
            f"the weights in {folder} do not fit their config.json: {len(wrong)} tensors, first {wrong[0]}"
        )


def load_tokenizer(folder: Path) -> Any:
    """Read UMT5's tokenizer.

    Raises:
        WeightsError: it cannot be read.
    """
    from transformers import AutoTokenizer

    if not folder.is_dir():
        raise WeightsError(f"no tokenizer in {folder}; is the folder complete?")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise WeightsError(f"the tokenizer in {folder} cannot be read ({first_line(error)})") from error


def _load_scheduler(folder: Path) -> Any:
    import diffusers

    config = read_json(folder / "scheduler_config.json", "scheduler")
    name = str(config.get("_class_name"))
    found = getattr(diffusers, name, None) if "Scheduler" in name else None
    if found is None:
        raise WeightsError(f"{folder} names a scheduler {name} that diffusers does not have")
    return found.from_config(config)
