"""The one place that knows diffusers' FLUX.2 checkpoints: names, files, and what can be wrong with them."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from captain_cinema.errors import WeightsError

WEIGHTS = "diffusion_pytorch_model.safetensors"
INDEX = "diffusion_pytorch_model.safetensors.index.json"
CLASS_NAME = "Flux2Transformer2DModel"

# Our name -> diffusers' names, whose weights are stacked into one of ours. "*" is the number of a block.
KEY_MAP: dict[str, tuple[str, ...]] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "time_in.lin_in": ("time_guidance_embed.timestep_embedder.linear_1",),
    "time_in.lin_out": ("time_guidance_embed.timestep_embedder.linear_2",),
    "guidance_in.lin_in": ("time_guidance_embed.guidance_embedder.linear_1",),
    "guidance_in.lin_out": ("time_guidance_embed.guidance_embedder.linear_2",),
    "img_mod.lin": ("double_stream_modulation_img.linear",),
    "txt_mod.lin": ("double_stream_modulation_txt.linear",),
    "single_mod.lin": ("single_stream_modulation.linear",),
    "double_blocks.*.img.qkv": tuple(f"transformer_blocks.*.attn.to_{x}" for x in "qkv"),
    "double_blocks.*.img.norm.q": ("transformer_blocks.*.attn.norm_q",),
    "double_blocks.*.img.norm.k": ("transformer_blocks.*.attn.norm_k",),
    "double_blocks.*.img.proj": ("transformer_blocks.*.attn.to_out.0",),
    "double_blocks.*.img.mlp.lin_in": ("transformer_blocks.*.ff.linear_in",),
    "double_blocks.*.img.mlp.lin_out": ("transformer_blocks.*.ff.linear_out",),
    "double_blocks.*.txt.qkv": tuple(f"transformer_blocks.*.attn.add_{x}_proj" for x in "qkv"),
    "double_blocks.*.txt.norm.q": ("transformer_blocks.*.attn.norm_added_q",),
    "double_blocks.*.txt.norm.k": ("transformer_blocks.*.attn.norm_added_k",),
    "double_blocks.*.txt.proj": ("transformer_blocks.*.attn.to_add_out",),
    "double_blocks.*.txt.mlp.lin_in": ("transformer_blocks.*.ff_context.linear_in",),
    "double_blocks.*.txt.mlp.lin_out": ("transformer_blocks.*.ff_context.linear_out",),
    "single_blocks.*.lin_in": ("single_transformer_blocks.*.attn.to_qkv_mlp_proj",),
    "single_blocks.*.norm.q": ("single_transformer_blocks.*.attn.norm_q",),
    "single_blocks.*.norm.k": ("single_transformer_blocks.*.attn.norm_k",),
    "single_blocks.*.lin_out": ("single_transformer_blocks.*.attn.to_out",),
    "final.mod": ("norm_out.linear",),
    "final.lin": ("proj_out",),
}


def foreign_names(name: str) -> tuple[str, ...]:
    """Give diffusers' names for a parameter of ours."""
    stem = name.removesuffix(".weight")
    number = re.search(r"\.(\d+)\.", stem)
    pattern = stem.replace(number[0], ".*.", 1) if number else stem
    block = number[0] if number else ""
    return tuple(theirs.replace(".*.", block) + ".weight" for theirs in KEY_MAP[pattern])


def to_diffusers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename our weights for diffusers, splitting stacked ones."""
    renamed = {}
    for name, weight in state.items():
        names = foreign_names(name)
        renamed.update(zip(names, (part.contiguous() for part in weight.chunk(len(names))), strict=True))
    return renamed


def from_diffusers(weights: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename diffusers' weights to ours and check that they fit.

    Args:
        weights: diffusers' weights; emptied on the way, so that a large model is not held twice.
        wanted: our state dict (shapes matter, values do not).

    Raises:
        WeightsError: a weight is missing, has another shape, or has no place in our model.
    """
    state = {}
    for name, like in wanted.items():
        try:
            parts = [weights.pop(theirs) for theirs in foreign_names(name)]
        except KeyError as missing:
            raise WeightsError(
                f"the weights lack {missing.args[0]}; config.json and weights do not match"
            ) from None
        weight = parts[0] if len(parts) == 1 else torch.cat(parts)
        if weight.shape != like.shape:
            raise WeightsError(
                f"{foreign_names(name)[0]} gives {tuple(weight.shape)},"
                f" config.json asks for {tuple(like.shape)}"
            )
        state[name] = weight
    if weights:
        raise WeightsError(
            f"{len(weights)} unknown weights, such as {min(weights)}; config.json asks for fewer"
        )
    return state


def read_config(folder: Path) -> dict[str, Any]:
    """Read config.json without diffusers' own underscore fields."""
    path = folder / "config.json"
    config = _read_json(path)
    name = config.get("_class_name", CLASS_NAME)
    if name != CLASS_NAME:
        raise WeightsError(f"{path} describes a {name}; this model reads a {CLASS_NAME}")
    return {key: value for key, value in config.items() if not key.startswith("_")}


def read_weights(folder: Path) -> dict[str, Tensor]:
    """Read all weights of a diffusers folder, in one file or in shards; never a pickle."""
    if (folder / WEIGHTS).is_file():
        return _read_file(folder / WEIGHTS, None)
    if not (folder / INDEX).is_file():
        pickled = any(folder.glob("*.bin")) or any(folder.glob("*.pt*"))
        hint = "; pickled weights are refused, convert them to safetensors" if pickled else ""
        raise WeightsError(f"no {WEIGHTS} in {folder}{hint}")
    weight_map = _read_json(folder / INDEX).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(file, str) for file in weight_map.values()):
        raise WeightsError(f"{folder / INDEX} has no weight_map; download the folder again")
    weights: dict[str, Tensor] = {}
    for file in sorted(set(weight_map.values())):
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise WeightsError(
                f"{folder / INDEX} names {file!r}; a safetensors file in the same folder was expected"
            )
        weights |= _read_file(folder / file, {key for key, value in weight_map.items() if value == file})
    return weights


def write_folder(folder: Path, config: Mapping[str, Any], weights: dict[str, Tensor]) -> None:
    """Write config.json and the weights, each complete before it takes its name."""
    import diffusers

    folder.mkdir(parents=True, exist_ok=True)
    about = {"_class_name": CLASS_NAME, "_diffusers_version": diffusers.__version__}
    text = json.dumps(about | dict(sorted(config.items())), indent=2)
    try:
        save_file(weights, folder / f"{WEIGHTS}.part", metadata={"format": "pt"})
        os.replace(folder / f"{WEIGHTS}.part", folder / WEIGHTS)
        (folder / "config.json.part").write_text(text + "\n", encoding="utf-8")
        os.replace(folder / "config.json.part", folder / "config.json")
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write weights to {folder}: {error}") from error


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"no {path.name} in {path.parent}; a diffusers transformer folder was expected"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"cannot read {path}: {error}") from None
    if not isinstance(value, dict):
        raise WeightsError(f"{path} is not a JSON object; download the folder again")
    return value


def _read_file(path: Path, keys: set[str] | None) -> dict[str, Tensor]:
    """Read the given weights of one file, or all."""
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if keys is not None and not keys <= names:
                raise WeightsError(f"{path} lacks {min(keys - names)}; download the folder again")
            return {name: file.get_tensor(name) for name in sorted(names if keys is None else keys)}
    except FileNotFoundError:
        raise WeightsError(f"{path} is missing; download the folder again") from None
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is damaged ({error}); download the folder again") from None
