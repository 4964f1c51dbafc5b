"""A run that is stopped and goes on, beside one that is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from captain_cinema.train.run import main_train
from captain_cinema.train.state import load_checkpoint


def train_twice(part: str, home: Path, **options: Any) -> Path:
    """Train whole and in two parts, which must come to the same weights; returns the whole run's folder."""

    def run(name: str, minutes: float | None = None) -> dict[str, Any]:
        return main_train(part, out=home / name, preset="debug", device="cpu", minutes=minutes, **options)

    assert run("whole")["step"] == 4
    assert run("parts", minutes=0.0)["step"] == 1
    run("parts")
    whole, parts = load_checkpoint(home / "whole"), load_checkpoint(home / "parts")
    assert whole is not None
    assert parts is not None
    for name, value in whole["model"].items():
        assert torch.equal(value, parts["model"][name]), name
    assert (home / "whole" / "samples" / "000004.png").stat().st_size > 1000
    return home / "whole"
