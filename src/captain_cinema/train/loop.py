"""The loop that trains every part: AdamW, warm-up and cosine, clipping, a moving average, checkpoints that
resume.

A part is a `Task`: it owns its model and says what the loss of a step is. The loop owns everything else.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from captain_cinema.errors import CinemaError
from captain_cinema.train.precision import mixed_precision
from captain_cinema.train.state import append_metrics, load_checkpoint, read_metrics, save_checkpoint

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How a part is optimised (paper, table 4)."""

    steps: int
    """Optimiser steps of the whole run; the cosine ends there."""
    lr: float
    """Peak learning rate."""
    warmup: int = 200
    """Steps of linear warm-up."""
    final_lr: float = 0.02
    """The cosine ends at this share of the peak."""
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    clip: float = 1.0
    """Largest norm of the gradient."""
    ema: float = 0.999
    """Decay of the moving average that is exported; shorter at the start."""
    seed: int = 0


class Task(Protocol):
    """A part that can be trained."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of one step, a function of the seed and `step` alone, and figures to log."""
        ...

    def compile(self) -> None:
        """Let torch.compile fuse what it can, in place."""
        ...

    def sample_sheet(self, path: Path) -> None:
        """Draw with the model as it is now (the average is loaded) into a PNG."""
        ...

    def export(self, folder: Path) -> None:
        """Write the model as it is now in the layout of the open weights."""
        ...


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run does besides optimising."""

    out: Path
    minutes: float | None = None
    """Stop after this long with a checkpoint; the same command goes on later."""
    log_every: int = 20
    save_every: int = 200
    sheet_every: int = 1000
    device: str = "cpu"
    autocast: bool = False
    """bfloat16 where it is the faster: see `train.precision`."""
    nan_limit: int = 10
    """Losses that are not finite are skipped and counted; past this many the run stops."""


def learning_rate(step: int, optimisation: Optimisation) -> float:
    """Linear warm-up, then a cosine from `lr` to `lr * final_lr` at the last step."""
    if step < optimisation.warmup:
        return optimisation.lr * (step + 1) / optimisation.warmup
    span = max(1, optimisation.steps - optimisation.warmup)
    progress = min(1.0, (step - optimisation.warmup) / span)
    low = optimisation.final_lr
    return optimisation.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


class Average:
    """A moving average of a model's parameters and buffers."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.values = {name: value.detach().clone() for name, value in model.state_dict().items()}

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
        self.kept = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.values)
        self.model.eval()

    def __exit__(self, *_: object) -> None:
        self.model.load_state_dict(self.kept)
        self.model.train()


class Trainer:
    """One part's run in one folder."""

    def __init__(self, task: Task, optimisation: Optimisation, options: RunOptions) -> None:
        self.task, self.optimisation, self.options = task, optimisation, options
        self.model = task.model.to(options.device).train()
        parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            parameters,
            lr=optimisation.lr,
            betas=optimisation.betas,
            weight_decay=optimisation.weight_decay,
            fused=True,
        )
        self.parameters = parameters
        self.average = Average(self.model, optimisation.ema)
        self.step = 0
        self.skipped = 0
        self.seconds = 0.0

    def resume(self) -> bool:
        """Load the folder's checkpoint if there is one; the next step is the one that would have come."""
        state = load_checkpoint(self.options.out, device=self.options.device)
        if state is None:
            return False
        self.model.load_state_dict(state["model"])
        self.average.values = {k: v.to(self.options.device) for k, v in state["average"].items()}
        self.optimiser.load_state_dict(state["optimiser"])
        self.step, self.skipped, self.seconds = state["step"], state["skipped"], state["seconds"]
        return True

    def save(self) -> None:
        """Write the checkpoint and the curve."""
        save_checkpoint(
            self.options.out,
            {
                "model": self.model.state_dict(),
                "average": self.average.values,
                "optimiser": self.optimiser.state_dict(),
                "step": self.step,
                "skipped": self.skipped,
                "seconds": self.seconds,
                "optimisation": asdict(self.optimisation),
            },
        )

    def take_step(self) -> dict[str, float]:
        """One optimiser step."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.optimisation)
        with mixed_precision(self.options.device, enabled=self.options.autocast):
            loss, figures = self.task.loss(self.step)
        self.optimiser.zero_grad(set_to_none=True)
        if torch.isfinite(loss):
            loss.backward()
            norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.optimisation.clip)
            self.optimiser.step()
            self.average.update(self.model, self.step)
            figures["grad_norm"] = float(norm)
        else:
            self.skipped += 1
            logger.warning("step %d: the loss is not finite, skipped (%d so far)", self.step, self.skipped)
            if self.skipped > self.options.nan_limit:
                raise CinemaError(
                    f"{self.skipped} losses were not finite; lower the learning rate, checkpoint kept"
                )
        self.step += 1
        return {"loss": float(loss.detach()), **figures}

    def run(self, progress: Callable[[int, int, dict[str, float]], None] | None = None) -> dict[str, Any]:
        """Train to the last step or until the time is up; always ends with a checkpoint and an export."""
        options = self.options
        options.out.mkdir(parents=True, exist_ok=True)
        self.resume()
        started, sums, count = time.monotonic(), {}, 0
        before = self.seconds
        while self.step < self.optimisation.steps:
            figures = self.take_step()
            self.seconds = before + time.monotonic() - started
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            if self.step % options.log_every == 0 or self.step == self.optimisation.steps:
                means = {name: value / count for name, value in sums.items()}
                row = {"step": self.step, "seconds": round(self.seconds, 1), **means}
                append_metrics(options.out, row)
                if progress is not None:
                    progress(self.step, self.optimisation.steps, means)
                sums, count = {}, 0
            if self.step % options.save_every == 0:
                self.save()
            if self.step % options.sheet_every == 0 and self.step < self.optimisation.steps:
                self.show()
            if options.minutes is not None and time.monotonic() - started > options.minutes * 60:
                break
        self.save()
        self.show(sheet=self.step >= self.optimisation.steps)
        with self.average.swapped(self.model):
            self.task.export(options.out / "export")
        return {"step": self.step, "steps": self.optimisation.steps, "seconds": round(self.seconds, 1)}

    def show(self, *, sheet: bool = True) -> None:
        """Draw the loss curve, and a sheet of samples made with the average."""
        from captain_cinema.train.curve import draw_curve

        draw_curve(read_metrics(self.options.out), self.options.out / "curve.png")
        if not sheet:
            return
        with self.average.swapped(self.model):
            path = self.options.out / "samples" / f"{self.step:06d}.png"
            path.parent.mkdir(exist_ok=True)
            self.task.sample_sheet(path)
