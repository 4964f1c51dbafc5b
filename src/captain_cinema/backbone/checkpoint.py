"""The one place that knows diffusers' checkpoints: names, files, and what can be wrong with them."""

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

from captain_cinema.backbone.config import (
    CONFIGS,
    FLUX1,
    FLUX2,
    Layout,
    MMDiTConfig,
    from_json,
    to_json,
)
from captain_cinema.errors import WeightsError

WEIGHTS = "diffusion_pytorch_model.safetensors"
INDEX = "diffusion_pytorch_model.safetensors.index.json"

# Our name -> diffusers' names, whose weights are stacked into one of ours. "*" is the number of a block.
_BOTH: dict[str, tuple[str, ...]] = {
    "img_in": ("x_embedder",),
    "txt_in": ("context_embedder",),
    "double_blocks.*.img.qkv": tuple(f"transformer_blocks.*.attn.to_{x}" for x in "qkv"),
    "double_blocks.*.img.norm.q": ("transformer_blocks.*.attn.norm_q",),
    "double_blocks.*.img.norm.k": ("transformer_blocks.*.attn.norm_k",),
    "double_blocks.*.img.proj": ("transformer_blocks.*.attn.to_out.0",),
    "double_blocks.*.txt.qkv": tuple(f"transformer_blocks.*.attn.add_{x}_proj" for x in "qkv"),
    "double_blocks.*.txt.norm.q": ("transformer_blocks.*.attn.norm_added_q",),
    "double_blocks.*.txt.norm.k": ("transformer_blocks.*.attn.norm_added_k",),
    "double_blocks.*.txt.proj": ("transformer_blocks.*.attn.to_add_out",),
    "single_blocks.*.norm.q": ("single_transformer_blocks.*.attn.norm_q",),
    "single_blocks.*.norm.k": ("single_transformer_blocks.*.attn.norm_k",),
    "final.mod": ("norm_out.linear",),
    "final.lin": ("proj_out",),
}
_FLUX1 = _BOTH | {
    "time_in.lin_in": ("time_text_embed.timestep_embedder.linear_1",),
    "time_in.lin_out": ("time_text_embed.timestep_embedder.linear_2",),
    "guidance_in.lin_in": ("time_text_embed.guidance_embedder.linear_1",),
    "guidance_in.lin_out": ("time_text_embed.guidance_embedder.linear_2",),
    "pooled_in.lin_in": ("time_text_embed.text_embedder.linear_1",),
    "pooled_in.lin_out": ("time_text_embed.text_embedder.linear_2",),
    "double_blocks.*.img.mod.lin": ("transformer_blocks.*.norm1.linear",),
    "double_blocks.*.img.mlp.lin_in": ("transformer_blocks.*.ff.net.0.proj",),
    "double_blocks.*.img.mlp.lin_out": ("transformer_blocks.*.ff.net.2",),
    "double_blocks.*.txt.mod.lin": ("transformer_blocks.*.norm1_context.linear",),
    "double_blocks.*.txt.mlp.lin_in": ("transformer_blocks.*.ff_context.net.0.proj",),
    "double_blocks.*.txt.mlp.lin_out": ("transformer_blocks.*.ff_context.net.2",),
    "single_blocks.*.mod.lin": ("single_transformer_blocks.*.norm.linear",),
    "single_blocks.*.lin_in": (
        *(f"single_transformer_blocks.*.attn.to_{x}" for x in "qkv"),
        "single_transformer_blocks.*.proj_mlp",
    ),
    "single_blocks.*.lin_out": ("single_transformer_blocks.*.proj_out",),
}
_FLUX2 = _BOTH | {
    "time_in.lin_in": ("time_guidance_embed.timestep_embedder.linear_1",),
    "time_in.lin_out": ("time_guidance_embed.timestep_embedder.linear_2",),
    "guidance_in.lin_in": ("time_guidance_embed.guidance_embedder.linear_1",),
    "guidance_in.lin_out": ("time_guidance_embed.guidance_embedder.linear_2",),
    "img_mod.lin": ("double_stream_modulation_img.linear",),
    "txt_mod.lin": ("double_stream_modulation_txt.linear",),
    "single_mod.lin": ("single_stream_modulation.linear",),
    "double_blocks.*.img.mlp.lin_in": ("transformer_blocks.*.ff.linear_in",),
    "double_blocks.*.img.mlp.lin_out": ("transformer_blocks.*.ff.linear_out",),
    "double_blocks.*.txt.mlp.lin_in": ("transformer_blocks.*.ff_context.linear_in",),
    "double_blocks.*.txt.mlp.lin_out": ("transformer_blocks.*.ff_context.linear_out",),
    "single_blocks.*.lin_in": ("single_transformer_blocks.*.attn.to_qkv_mlp_proj",),
    "single_blocks.*.lin_out": ("single_transformer_blocks.*.attn.to_out",),
}
KEY_MAPS = {FLUX1.class_name: _FLUX1, FLUX2.class_name: _FLUX2}
_SIGNS = {  # weights that only one kind of checkpoint has
    "time_text_embed.": "FLUX.1",
    "time_guidance_embed.": "FLUX.2",
    "double_blocks.": "Black Forest Labs' own layout, not diffusers'",
    "model.diffusion_model.": "ComfyUI's layout, not diffusers'",
    "transformer.": "a LoRA, not a whole model",
}


def foreign_names(name: str, layout: Layout) -> tuple[str, ...]:
    """Give diffusers' names for a parameter of ours."""
    stem, suffix = name, ".weight"
    for ending in (".weight", ".bias"):
        if name.endswith(ending):
            stem, suffix = name.removesuffix(ending), ending
    number = re.search(r"\.(\d+)\.", stem)
    pattern = stem.replace(number[0], ".*.", 1) if number else stem
    block = number[0] if number else ""
    names = KEY_MAPS[layout.class_name][pattern]
    return tuple(theirs.replace(".*.", block) + suffix for theirs in names)


def stacked_sizes(rows: int, parts: int, dim: int) -> list[int]:
    """Rows of each part of a stacked layer: queries, keys and values have `dim`, the last part the rest."""
    return [dim] * (parts - 1) + [rows - dim * (parts - 1)]


def to_diffusers(state: Mapping[str, Tensor], config: MMDiTConfig) -> dict[str, Tensor]:
    """Rename our weights for diffusers, splitting stacked ones."""
    renamed = {}
    for name, weight in state.items():
        names = foreign_names(name, config.layout)
        parts = weight.split(stacked_sizes(weight.shape[0], len(names), config.dim))
        renamed.update(zip(names, (part.contiguous() for part in parts), strict=True))
    return renamed


def from_diffusers(
    weights: dict[str, Tensor], wanted: Mapping[str, Tensor], config: MMDiTConfig
) -> dict[str, Tensor]:
    """Rename diffusers' weights to ours and check that they fit.

    Args:
        weights: diffusers' weights; emptied on the way, so that a large model is not held twice.
        wanted: our state dict (shapes matter, values do not).
        config: the model's.

    Raises:
        WeightsError: a weight is missing, has another shape, or has no place in our model.
    """
    state = {}
    found = {kind for sign, kind in _SIGNS.items() if any(name.startswith(sign) for name in weights)}
    if found and config.layout.name not in found:
        raise WeightsError(f"config.json describes {config.layout.name}, the weights are {min(found)}")
    for name, like in wanted.items():
        names = foreign_names(name, config.layout)
        try:
            parts = [weights.pop(theirs) for theirs in names]
        except KeyError as missing:
            raise WeightsError(
                f"the weights lack {missing.args[0]}; config.json and weights do not match"
            ) from None
        sizes = stacked_sizes(like.shape[0], len(names), config.dim)
        for theirs, part, rows in zip(names, parts, sizes, strict=True):
            if part.shape != (rows, *like.shape[1:]):
                raise WeightsError(
                    f"{theirs} gives {tuple(part.shape)}, config.json asks for {(rows, *like.shape[1:])}"
                )
        state[name] = parts[0] if len(parts) == 1 else torch.cat(parts)
    if weights:
        raise WeightsError(
            f"{len(weights)} unknown weights, such as {min(weights)}; config.json asks for fewer"
        )
    return state


def read_config(folder: Path) -> MMDiTConfig:
    """Read config.json: which layout, which sizes.

    Raises:
        WeightsError: there is none, or it describes no model of ours.
    """
    path = folder / "config.json"
    if not path.is_file() and (folder / "model_index.json").is_file():
        raise WeightsError(f"{folder} holds a whole pipeline; the transformer is in {folder / 'transformer'}")
    given = _read_json(path)
    name = given.get("_class_name", FLUX2.class_name)
    if name not in CONFIGS:
        raise WeightsError(f"{path} describes a {name}; a {' or a '.join(CONFIGS)} was expected")
    try:
        return from_json(CONFIGS[name], {key: value for key, value in given.items() if key[:1] != "_"})
    except ValueError as error:
        raise WeightsError(f"{path} {error}") from None


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


def write_folder(
    folder: Path, config: MMDiTConfig, weights: dict[str, Tensor], *, max_shard_size: int = 10**10
) -> None:
    """Write config.json and the weights, each file complete before it takes its name.

    A folder that held a model before may hold a mixture if the machine stops in between; write into a new
    folder and rename it where that matters. `max_shard_size` is in bytes.
    """
    import diffusers

    about = {"_class_name": config.layout.class_name, "_diffusers_version": diffusers.__version__}
    shards = _shards(weights, max_shard_size)
    texts = {"config.json": about | dict(sorted(to_json(config).items()))}
    if len(shards) > 1:
        weight_map = {name: file for file, names in shards.items() for name in names}
        size = sum(weight.nbytes for weight in weights.values())
        texts[INDEX] = {"metadata": {"total_size": size}, "weight_map": weight_map}
    files = [*shards, *texts]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, names in shards.items():
            save_file({name: weights[name] for name in names}, folder / f"{file}.part", {"format": "pt"})
        for file, content in texts.items():
            (folder / f"{file}.part").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        for old in [*folder.glob("diffusion_pytorch_model*.safetensors"), folder / INDEX]:
            if old.name not in files:
                old.unlink(missing_ok=True)
        for file in files:
            os.replace(folder / f"{file}.part", folder / file)
    except (OSError, SafetensorError) as error:
        for file in files:
            (folder / f"{file}.part").unlink(missing_ok=True)
        raise WeightsError(f"cannot write weights to {folder}: {error}") from error


def _shards(weights: Mapping[str, Tensor], limit: int) -> dict[str, list[str]]:
    """Share the weights out to files of at most `limit` bytes, named as diffusers does; no weight is cut."""
    shards, room = [[]], limit
    for name, weight in weights.items():
        if shards[-1] and weight.nbytes > room:
            shards.append([])
            room = limit
        shards[-1].append(name)
        room -= weight.nbytes
    if len(shards) == 1:
        return {WEIGHTS: shards[0]}
    stem, ending = WEIGHTS.rsplit(".", 1)
    return {f"{stem}-{i:05}-of-{len(shards):05}.{ending}": names for i, names in enumerate(shards, start=1)}


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
