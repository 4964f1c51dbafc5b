"""A training run's folder: the newest checkpoint, the metrics, the sample sheets.

    OUT/
      checkpoint.pt      everything to take the identical next step (model, average, optimiser, step,
      settings) metrics.jsonl      one line every few steps curve.png  samples/000500.png export/
      the averaged weights in the layout of the open weights

A step's data and noise are functions of (seed, step) alone, so no generator's state is kept. The checkpoint
is written beside, flushed and renamed: a kill leaves the one before. It is read with `weights_only=True`,
which refuses code.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from captain_cinema.errors import WeightsError

CHECKPOINT = "checkpoint.pt"


def save_checkpoint(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` as the folder's newest checkpoint, whole or not at all."""
    beside = folder / (CHECKPOINT + ".part")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(folder / CHECKPOINT)


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
    """Add one line to metrics.jsonl."""
    with (folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")


def read_metrics(folder: Path) -> list[dict[str, Any]]:
    """All lines of metrics.jsonl, the last one for each step (a resumed run repeats some)."""
    path = folder / "metrics.jsonl"
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
    return sorted({row["step"]: row for row in rows}.values(), key=lambda row: row["step"])
