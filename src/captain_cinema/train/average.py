"""A moving average of the weights under training: what is exported and drawn with."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from captain_cinema.train.state import restore


def tracked(model: nn.Module) -> dict[str, Tensor]:
    """What a run changes, by name: weights that are trained, and buffers. Frozen weights are left out."""
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


class Average:
    """A moving average of what a run changes; with a decay of 0 there is none."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = (
            {name: value.detach().clone() for name, value in tracked(model).items()} if decay else {}
        )

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Move towards the model; the first steps forget faster, so that the random start does not linger."""
        decay = min(self.decay, (1 + step) / (10 + step))
        source = model.state_dict()
        for name, value in self.values.items():
            if value.is_floating_point():
                value.lerp_(source[name], 1 - decay)

    def swapped(self, model: nn.Module) -> _Swap:
        """A context in which the model holds the average."""
        return _Swap(model, self.values)


class _Swap:
    def __init__(self, model: nn.Module, values: dict[str, Tensor]) -> None:
        self.model, self.values = model, values

    def __enter__(self) -> None:
        state = self.model.state_dict()
        self.kept = {name: state[name].detach().clone() for name in self.values}
        restore(self.model, self.values)
        self.model.eval()

    def __exit__(self, *_: object) -> None:
        restore(self.model, self.kept)
        self.model.train()
