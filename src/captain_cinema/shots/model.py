"""The shot transformer: diffusers' `WanTransformer3DModel` in a small configuration; new, saved, loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors import SafetensorError

from captain_cinema.errors import WeightsError
from captain_cinema.shots.conditioning import FRAMES_PER_SLOT

TXT_DIM = 448
"""Numbers a text token."""


def embedded_shot_config(*, latent_channels: int = 16, txt_dim: int = TXT_DIM) -> dict[str, Any]:
    """Arguments of `WanTransformer3DModel` for the embedded preset: about six million parameters.

    It is as wide as a token has numbers: a narrower one cannot give a moving figure back and draws fog. It
    reads the keyframe's latents beside every slot, as Wan's image-to-video models do.
    """
    return {
        "patch_size": (1, 2, 2),
        "num_attention_heads": 8,
        "attention_head_dim": 32,
        "in_channels": (FRAMES_PER_SLOT + 1) * latent_channels,
        "out_channels": FRAMES_PER_SLOT * latent_channels,
        "text_dim": txt_dim,
        "freq_dim": 128,
        "ffn_dim": 640,
        "num_layers": 6,
        "cross_attn_norm": True,
        "qk_norm": "rms_norm_across_heads",
        "image_dim": None,
        # A table, not weights: long enough for the keyframes of a 60-shot film side by side.
        "rope_max_seq_len": 1024,
    }


def new_shot_model(config: dict[str, Any], *, seed: int) -> WanTransformer3DModel:
    """A model with fresh weights: the same for the same seed, and the global generator stays as it was.

    The last projection starts at zero, so that training starts from the mean velocity.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = WanTransformer3DModel(**config)
    torch.nn.init.zeros_(model.proj_out.weight)
    torch.nn.init.zeros_(model.proj_out.bias)
    return model


def save_shot_model(model: WanTransformer3DModel, folder: Path) -> None:
    """Write `config.json` and `diffusion_pytorch_model.safetensors`, the layout diffusers reads."""
    model.save_pretrained(folder, safe_serialization=True)


def load_shot_model(
    folder: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
) -> WanTransformer3DModel:
    """Read a shot model in diffusers' layout, safetensors only, ready to film (eval mode).

    Args:
        folder: of the transformer.
        device: where it goes.
        dtype: of its weights; those that diffusers keeps in float32 stay so.

    Raises:
        WeightsError: the folder is missing, damaged, incomplete, or of another model.
    """
    config_file = folder / "config.json"
    try:
        config = json.loads(config_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"no shot model in {folder}: config.json is missing") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise WeightsError(f"{config_file} cannot be read: {_line(error)}") from None
    named = config.get("_class_name") if isinstance(config, dict) else None
    if named != "WanTransformer3DModel":
        raise WeightsError(f"{config_file} describes {named or 'no model'}, not a WanTransformer3DModel")
    if not any(folder.glob("*.safetensors")):
        raise WeightsError(f"no safetensors file in {folder}; other weight formats are refused")
    try:
        loaded = WanTransformer3DModel.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            torch_dtype=dtype,
        )
    except (OSError, ValueError, TypeError, RuntimeError, KeyError, SafetensorError) as error:
        raise WeightsError(f"the shot model in {folder} cannot be loaded: {_line(error)}") from None
    model, info = cast(tuple[WanTransformer3DModel, dict[str, Any]], loaded)
    wrong = [*info["missing_keys"], *info["unexpected_keys"], *info["mismatched_keys"], *info["error_msgs"]]
    if wrong:
        raise WeightsError(
            f"the shot model in {folder} does not fit its config.json: {len(wrong)} tensors, first {wrong[0]}"
        )
    torch.nn.Module.to(model, device)
    return model.eval()


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
