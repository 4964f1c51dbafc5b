"""Shot backends over diffusers' own pipelines, one a module; which is which is in `shots.table`."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def load_shot_backend(name: str, weights: Path, *, device: str | None = None) -> Any:
    """Load a backend that is not a preset's own.

    Args:
        name: one of `shots.table.BACKENDS`.
        weights: the folder of its weights, in the layout that diffusers publishes.
        device: where to put them; a GPU if there is one.

    Returns:
        An object whose `shots` films.

    Raises:
        AbilityError: there is no such backend.
        WeightsError: the weights are missing, damaged or another model's.
    """
    from captain_cinema.shots.backends.pipelines import load

    return load(name, weights, device=device)
