"""A training run's folder: the newest checkpoint, the metrics, the sample sheets.

    OUT/
      checkpoint.pt      everything to take the identical next step (model, average, optimiser, step,
      settings) metrics.jsonl      one line every few steps curve.png  samples/000500.png export/
      the averaged weights in the layout of the open weights

A step's data and noise are functions of (seed, step) alone, so no generator's state is kept. The checkpoint
is written beside, flushed and renamed: a kill leaves the one before. It is read with `weights_only=True`,
which refuses code. Sharded weights are gathered into the same file, so that a checkpoint does not depend on
how many processes wrote it or will read it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from captain_cinema.errors import WeightsError

logger = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
METRICS = "metrics.jsonl"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> str | None:
    """Write `state` as the folder's newest checkpoint, whole or not at all; says why if it cannot."""
    beside = folder / (CHECKPOINT + ".part")
    try:
        with beside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(folder / CHECKPOINT)
    except (OSError, RuntimeError) as error:  # a full disk is either, by where it strikes
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else error.__context__
        return (cause.strerror if isinstance(cause, OSError) else None) or str(error).partition("\n")[0]
    return None


def gathered(value: Any, *, whole: bool) -> Any:
    """A tensor, or tensors in dictionaries and lists, with sharded ones put together on the CPU.

    Every process must take part. Without `whole` nothing is sharded, and all is left as it is.
    """
    if not whole:
        return value
    if isinstance(value, DTensor):
        return value.full_tensor().cpu()
    if isinstance(value, Mapping):
        return {key: gathered(item, whole=True) for key, item in value.items()}
    if isinstance(value, list):
        return [gathered(item, whole=True) for item in value]
    return value


@torch.no_grad()
def restore(model: nn.Module | Mapping[str, Tensor], values: Mapping[str, Tensor]) -> None:
    """Copy values into a model's tensors of the same names, each process its part of sharded ones."""
    targets = model.state_dict() if isinstance(model, nn.Module) else model
    for name, value in values.items():
        targets[name].copy_(_as(value, targets[name]))


def restore_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load an optimiser's state; moments of sharded weights are sharded likewise."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    moments = {
        number: {
            name: _as(value, parameters[number]) if torch.is_tensor(value) and value.ndim else value
            for name, value in own.items()
        }
        for number, own in state["state"].items()
    }
    optimiser.load_state_dict({**state, "state": moments})


def _as(value: Tensor, like: Tensor) -> Tensor:
    if isinstance(like, DTensor) and not isinstance(value, DTensor):
        return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)
    return value


def load_checkpoint(folder: Path, *, device: str = "cpu") -> dict[str, Any] | None:
    """Read the newest checkpoint, or None when there is none.

    Raises:
        WeightsError: the file is there but cannot be read.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # zip, pickle and runtime errors alike mean one thing here
        raise WeightsError(f"{path} is damaged; remove it to start again, or name another --out") from error


def append_metrics(folder: Path, row: dict[str, Any]) -> None:
    """Add one line to metrics.jsonl; a disk that refuses costs the line, not the run."""
    try:
        with (folder / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")
    except OSError as error:
        logger.warning("step %s: the figures are not written (%s)", row.get("step"), error.strerror)


def tidy_metrics(folder: Path, step: int) -> None:
    """Take out lines past a step, which will be written again, and one that a kill cut short."""
    rows = read_metrics(folder)
    kept = [row for row in rows if row["step"] <= step]
    text = "".join(json.dumps(row) + "\n" for row in kept)
    path = folder / METRICS
    if not path.exists() or path.read_text() == text:
        return
    beside = path.with_name(f"{METRICS}.part")
    try:
        beside.write_text(text)
        beside.replace(path)
    except OSError as error:
        logger.warning("%s cannot be tidied (%s)", path, error.strerror)


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All lines of metrics.jsonl, the last one for each step (a resumed run repeats some)."""
    path = folder / METRICS
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        with suppress(ValueError):  # a kill may cut the last line short
            rows.append(json.loads(line))
    return sorted({row["step"]: row for row in rows}.values(), key=lambda row: row["step"])
