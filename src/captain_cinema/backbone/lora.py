"""LoRA (low-rank updates) of the MM-DiT through peft, in files that diffusers and ComfyUI load.

A layer of ours that stacks several of diffusers' (queries, keys and values, say) has one update; in a file
each of those layers has its own, with the same `lora_A` and its rows of `lora_B`. That changes no number.
Readers disagree about `alpha` (diffusers takes `.alpha` keys in one pipeline, refuses them in another), so
`lora_B` is stored times alpha / rank: then alpha equals the rank, as all assume where none is given.
"""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from captain_cinema.backbone.checkpoint import foreign_names, stacked_sizes
from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.errors import AbilityError, WeightsError

LORA_FILE = "pytorch_lora_weights.safetensors"
TARGETS = r"(double|single)_blocks\.\d+\.(.*\.)?(qkv|proj|lin_in|lin_out)"
"""The layers tuned by default: all of attention and feed-forward in all blocks."""
_ADAPTER = "default"


def add_lora(
    model: MMDiT,
    generator: torch.Generator,
    *,
    rank: int,
    alpha: float | None = None,
    targets: str | Sequence[str] = TARGETS,
) -> MMDiT:
    """Give a model trainable low-rank updates that change nothing yet, and freeze the rest.

    Args:
        model: changed in place, and returned.
        generator: source of the random numbers, on the CPU.
        rank: rank of each update.
        alpha: the update counts alpha / rank times; the rank if not given.
        targets: names of our layers, or a regular expression that they match from end to end.

    Raises:
        AbilityError: peft is not installed.
    """
    targets = targets if isinstance(targets, str) else list(targets)
    _inject(model, targets, {}, rank, float(rank if alpha is None else alpha))
    with torch.no_grad():
        for layer in _updates(model).values():
            weight = _weight(layer.lora_A)
            bound = weight.shape[1] ** -0.5
            weight.copy_((2 * torch.rand(weight.shape, generator=generator) - 1) * bound)
    return model


def save_lora(model: MMDiT, path: Path) -> None:
    """Write a model's updates as one safetensors file, complete before it takes its name.

    Raises:
        ValueError: the model has none.
        WeightsError: the file cannot be written.
    """
    weights: dict[str, Tensor] = {}
    for name, layer in _updates(model).items():
        down, up = _weight(layer.lora_A), _weight(layer.lora_B) * layer.scaling[_ADAPTER]
        names = foreign_names(f"{name}.weight", model.config.layout)
        parts = up.split(stacked_sizes(up.shape[0], len(names), model.config.dim))
        for theirs, part in zip(names, parts, strict=True):
            stem = f"transformer.{theirs.removesuffix('.weight')}"
            weights[f"{stem}.lora_A.weight"] = down.detach().clone()
            weights[f"{stem}.lora_B.weight"] = part.detach().contiguous()
    if not weights:
        raise ValueError("the model has no LoRA to save; add_lora gives it one")
    part_file = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(weights, part_file, {"format": "pt"})
        os.replace(part_file, path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"cannot write a LoRA to {path}: {error}") from error


def load_lora(model: MMDiT, path: Path) -> MMDiT:
    """Add the updates in a file of `save_lora` or of diffusers to a model that has none.

    Args:
        model: changed in place, and returned; the updates are trainable, the rest is frozen.
        path: the file.

    Raises:
        WeightsError: the file is missing, damaged, or holds updates of another model.
        AbilityError: peft is not installed.
    """
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path} is not a safetensors file; pickled weights are refused")
    try:
        stored = load_file(path)
    except FileNotFoundError:
        raise WeightsError(f"no LoRA at {path}") from None
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is damaged ({error}); download it again") from None
    stored = {name.removeprefix("transformer."): weight for name, weight in stored.items()}
    updates = {}
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear)}
    for name, layer in layers.items():
        names = foreign_names(f"{name}.weight", model.config.layout)
        sizes = stacked_sizes(layer.out_features, len(names), model.config.dim)
        stems = [theirs.removesuffix(".weight") for theirs in names]
        parts = [
            _take_part(stored, stem, layer.in_features, size) for stem, size in zip(stems, sizes, strict=True)
        ]
        if any(part is not None for part in parts):
            updates[name] = _stack(parts, sizes)
    if stored or not updates:
        unknown = (
            f"{min(stored)} has no place in a {model.config.layout.name} model" if stored else "it is empty"
        )
        raise WeightsError(f"{path} is no LoRA in diffusers' format for this model: {unknown}")
    ranks = {name: down.shape[0] for name, (down, _) in updates.items()}
    _inject(model, list(updates), ranks, max(ranks.values()), float(max(ranks.values())))
    with torch.no_grad():
        for name, layer in _updates(model).items():
            for target, weight in zip((layer.lora_A, layer.lora_B), updates[name], strict=True):
                _weight(target).copy_(weight)
    return model


@torch.no_grad()
def merge_lora(model: MMDiT) -> MMDiT:
    """Add the updates to the weights for good: as fast as without, and `save_mmdit` writes the result."""
    for name, layer in _updates(model).items():
        layer.merge()
        model.set_submodule(name, layer.get_base_layer())
    return model.requires_grad_(True)


def _take_part(stored: dict[str, Tensor], stem: str, columns: int, rows: int) -> tuple[Tensor, Tensor] | None:
    """Take one of diffusers' layers out of a file: (A, B), with B times alpha / rank."""
    down, up = (stored.pop(f"{stem}.lora_{half}.weight", None) for half in "AB")
    alpha = stored.pop(f"{stem}.alpha", None)
    if down is None and up is None:
        return None
    shapes = [None if x is None else tuple(x.shape) for x in (down, up)]
    if down is None or up is None or shapes != [(up.shape[-1], columns), (rows, down.shape[0])]:
        raise WeightsError(
            f"the LoRA's {stem} has A and B of {shapes[0]} and {shapes[1]}, the model's layer is"
            f" {rows} x {columns}; was it tuned on another model?"
        )
    return down, up if alpha is None else up * (float(alpha) / down.shape[0])


def _stack(parts: Sequence[tuple[Tensor, Tensor] | None], sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Make one update of several: one A where they share it, else all of them, and B block by block."""
    given = [part for part in parts if part is not None]
    if len(given) == len(parts) and all(torch.equal(down, given[0][0]) for down, _ in given):
        return given[0][0], torch.cat([up for _, up in given])
    rank = sum(down.shape[0] for down, _ in given)
    rows, start = [], 0
    for part, size in zip(parts, sizes, strict=True):
        row = given[0][1].new_zeros(size, rank)
        if part is not None:
            row[:, start : start + part[1].shape[1]] = part[1]
            start += part[1].shape[1]
        rows.append(row)
    return torch.cat([down for down, _ in given]), torch.cat(rows)


def _inject(
    model: MMDiT, targets: str | list[str], ranks: Mapping[str, int], rank: int, alpha: float
) -> None:
    """Put peft's layers in the place of ours."""
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError:
        raise AbilityError('LoRA needs an extra: pip install "captain-cinema[tuning]"') from None
    if _updates(model):
        raise ValueError("the model has a LoRA already; merge_lora it first")
    patterns = {f"^{re.escape(name)}": own for name, own in ranks.items()}
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # pyright: ignore[reportArgumentType]  # peft divides it, nothing more
        target_modules=targets,
        rank_pattern=patterns,
        alpha_pattern=dict(patterns),
    )
    inject_adapter_in_model(config, model, adapter_name=_ADAPTER)


def _updates(model: MMDiT) -> dict[str, Any]:
    """The layers that have an update, by our names."""
    return {name: layer for name, layer in model.named_modules() if hasattr(layer, "lora_A")}


def _weight(half: nn.ModuleDict) -> Tensor:
    weight = half[_ADAPTER].weight
    assert isinstance(weight, Tensor)
    return weight
