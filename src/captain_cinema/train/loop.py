"""The loop that trains every part: AdamW, warm-up and cosine, clipping, a moving average, checkpoints that
resume.

A part is a `Task`: it owns its model and says what the loss of a step is. The loop owns everything else.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from captain_cinema.errors import CinemaError
from captain_cinema.train.average import Average, tracked
from captain_cinema.train.precision import mixed_precision
from captain_cinema.train.sharing import WHOLE, Share
from captain_cinema.train.state import (
    append_metrics,
    gathered,
    load_checkpoint,
    read_metrics,
    restore,
    restore_optimiser,
    save_checkpoint,
    tidy_metrics,
)
from captain_cinema.train.world import ALONE, World

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
    """Decay of the moving average that is exported; shorter at the start. 0 keeps none."""
    seed: int = 0
    cycles: int = 1
    """Equal parts of the run, each with warm-up and cosine of its own."""


class Task(Protocol):
    """A part that can be trained."""

    @property
    def model(self) -> nn.Module:
        """What is trained."""
        ...

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The loss of one step, a function of the seed and `step` alone, and figures to log.

        A `SharedTask` takes a share of the step's sequences besides.
        """
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


@runtime_checkable
class SharedTask(Protocol):
    """A task whose steps can be divided: among processes, and into parts that fit into memory."""

    replicas: int
    """How many processes divide a step's sequences among them."""

    def parts(self, step: int) -> int:
        """Into how many parts each process divides its share of a step's sequences."""
        ...

    def loss(self, step: int, share: Share = WHOLE) -> tuple[Tensor, dict[str, float]]:
        """The loss of a share, such that the mean over all shares is the loss of the step."""
        ...

    def export_state(self, folder: Path, state: dict[str, Tensor]) -> None:
        """Write weights that were gathered from all processes."""
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
    """Steps between two sample sheets, besides the last; 0 draws none."""
    device: str = "cpu"
    autocast: bool = False
    """bfloat16 where it is the faster: see `train.precision`."""
    nan_limit: int = 10
    """Losses that are not finite are skipped and counted; past this many the run stops."""
    save_limit: int = 3
    """Checkpoints in a row that could not be written; after so many the run stops."""


def learning_rate(step: int, optimisation: Optimisation) -> float:
    """Linear warm-up, then a cosine from `lr` to `lr * final_lr` at the last step, of each cycle."""
    length = max(1, optimisation.steps // optimisation.cycles)
    step -= min(step // length, optimisation.cycles - 1) * length
    if step < optimisation.warmup:
        return optimisation.lr * (step + 1) / optimisation.warmup
    span = max(1, length - optimisation.warmup)
    progress = min(1.0, (step - optimisation.warmup) / span)
    low = optimisation.final_lr
    return optimisation.lr * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * progress)))


class Trainer:
    """One part's run in one folder."""

    def __init__(
        self, task: Task, optimisation: Optimisation, options: RunOptions, world: World = ALONE
    ) -> None:
        self.task, self.optimisation, self.options, self.world = task, optimisation, options, world
        if world.size > 1 and not isinstance(task, SharedTask):
            raise CinemaError("this part trains in one process; only keyframes are trained by several")
        self.model = task.model.to(options.device).train()
        world.shard(self.model)
        self.parameters = [p for p in self.model.parameters() if p.requires_grad]
        self.optimiser = torch.optim.AdamW(
            self.parameters,
            lr=optimisation.lr,
            betas=optimisation.betas,
            weight_decay=optimisation.weight_decay,
            fused=True,
        )
        self.average = Average(self.model, optimisation.ema)
        self.step = 0
        self.skipped = 0
        self.unsaved = 0
        self.seconds = 0.0

    def resume(self) -> bool:
        """Load the folder's checkpoint if there is one; the next step is the one that would have come."""
        device = self.options.device if self.world.sharding is None else "cpu"
        state = load_checkpoint(self.options.out, device=device)
        if state is None:
            return False
        if state["model"].keys() != tracked(self.model).keys():
            raise CinemaError(
                f"{self.options.out} holds the checkpoint of another model; use the options that it was begun"
                " with, or name another --out"
            )
        restore(self.model, state["model"])
        restore_optimiser(self.optimiser, state["optimiser"])
        if self.average.decay:
            now = self.model.state_dict()
            self.average.values = {name: now[name].detach().clone() for name in state["average"]}
            restore(self.average.values, state["average"])
        self.step, self.skipped, self.seconds = state["step"], state["skipped"], state["seconds"]
        if self.world.main:
            tidy_metrics(self.options.out, self.step)
        return True

    def save(self, *, last: bool = False) -> None:
        """Write the checkpoint. One that cannot be written leaves the one before, and is counted.

        Raises:
            CinemaError: it was the last, or one too many.
        """
        whole = self.world.sharding is not None
        state = {
            "model": gathered(tracked(self.model), whole=whole),
            "average": gathered(self.average.values, whole=whole),
            "optimiser": gathered(self.optimiser.state_dict(), whole=whole),
            "step": self.step,
            "skipped": self.skipped,
            "seconds": self.seconds,
            "optimisation": asdict(self.optimisation),
        }
        failure = save_checkpoint(self.options.out, state) if self.world.main else None
        if self.world.all_true(failure is None):
            self.unsaved = 0
            return
        self.unsaved += 1
        said = failure or "the first process could not write"
        if last or self.unsaved >= self.options.save_limit:
            raise CinemaError(
                f"step {self.step} cannot be saved ({said}, {self.unsaved} in a row); the checkpoint before"
                " it is kept: free some space, and the same command goes on from there"
            )
        logger.warning(
            "step %d: not saved (%s), %d in a row; the checkpoint before it is kept",
            self.step,
            said,
            self.unsaved,
        )

    def take_step(self) -> dict[str, float]:
        """One optimiser step."""
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.step, self.optimisation)
        self.optimiser.zero_grad(set_to_none=True)
        figures, finite = self._gradients()
        figures = self.world.mean(figures)
        if finite:
            self.world.average_gradients(self.parameters)
            norm = gathered(
                torch.nn.utils.clip_grad_norm_(self.parameters, self.optimisation.clip), whole=True
            )
            figures["grad_norm"] = float(norm)
            finite = math.isfinite(figures["grad_norm"])
        if finite:
            self.optimiser.step()
            self.average.update(self.model, self.step)
        else:
            self._skip()
        self.step += 1
        return figures

    def _gradients(self) -> tuple[dict[str, float], bool]:
        """Run all parts of this process's share, forward and backward; whether every loss was finite."""
        shares = [WHOLE]
        if isinstance(self.task, SharedTask):
            world, parts = self.world, self.task.parts(self.step)
            shares = [
                Share(index=part * world.replicas + world.replica, count=parts * world.replicas)
                for part in range(parts)
            ]
        sums: dict[str, float] = {}
        for share in shares:
            with mixed_precision(self.options.device, enabled=self.options.autocast):
                if isinstance(self.task, SharedTask):
                    loss, figures = cast(SharedTask, self.task).loss(self.step, share)
                else:
                    loss, figures = self.task.loss(self.step)
            for name, value in {"loss": float(loss.detach()), **figures}.items():
                sums[name] = sums.get(name, 0.0) + value / len(shares)
            if not self.world.all_true(bool(torch.isfinite(loss))):
                return sums, False
            (loss if len(shares) == 1 else loss / len(shares)).backward()
        return sums, True

    def _skip(self) -> None:
        self.skipped += 1
        logger.warning("step %d: the loss is not finite, skipped (%d so far)", self.step, self.skipped)
        if self.skipped > self.options.nan_limit:
            raise CinemaError(
                f"{self.skipped} losses were not finite; lower the learning rate, checkpoint kept"
            )

    def run(self, progress: Callable[[int, int, dict[str, float]], None] | None = None) -> dict[str, Any]:
        """Train to the last step or until the time is up; always ends with a checkpoint and an export."""
        options, optimisation = self.options, self.optimisation
        options.out.mkdir(parents=True, exist_ok=True)
        self.resume()
        started, sums, count = time.monotonic(), {}, 0
        before, first = self.seconds, self.step
        while self.step < optimisation.steps:
            figures = self.take_step()
            self.seconds = before + time.monotonic() - started
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value
            count += 1
            if self.step % options.log_every == 0 or self.step == optimisation.steps:
                means = {name: value / count for name, value in sums.items()}
                self._report(means, (self.seconds - before) / (self.step - first), progress)
                sums, count = {}, 0
            if self.step % options.save_every == 0 and self.step < optimisation.steps:
                self.save()
            if options.sheet_every and not self.step % options.sheet_every and self.step < optimisation.steps:
                self.show()
            late = options.minutes is not None and time.monotonic() - started > options.minutes * 60
            if not self.world.all_true(not late):
                break
        self.save(last=True)
        self.show(sheet=self.step >= optimisation.steps and options.sheet_every > 0)
        self.export()
        return {
            "step": self.step,
            "steps": optimisation.steps,
            "seconds": round(self.seconds, 1),
            "skipped": self.skipped,
        }

    def _report(
        self,
        means: dict[str, float],
        pace: float,
        progress: Callable[[int, int, dict[str, float]], None] | None,
    ) -> None:
        if not self.world.main:
            return
        left = round(pace * (self.optimisation.steps - self.step), 1)
        row = {"step": self.step, "seconds": round(self.seconds, 1), "left": left, **means}
        append_metrics(self.options.out, row)
        self.world.log(row, self.step)
        if progress is not None:
            progress(self.step, self.optimisation.steps, means)

    def export(self) -> None:
        """Write the average in the layout of the open weights."""
        folder = self.options.out / "export"
        with self.average.swapped(self.model):
            if self.world.sharding is None:
                if self.world.main:
                    self.task.export(folder)
            else:
                state = gathered(self.model.state_dict(), whole=True)
                if self.world.main and isinstance(self.task, SharedTask):
                    self.task.export_state(folder, state)
        self.world.wait()

    def show(self, *, sheet: bool = True) -> None:
        """Draw the loss curve, and a sheet of samples made with the average."""
        from captain_cinema.train.curve import draw_curve

        if self.world.main:
            draw_curve(read_metrics(self.options.out), self.options.out / "curve.png")
        # Sharded weights come together only if every process draws.
        if sheet and (self.world.main or self.world.sharding is not None):
            with self.average.swapped(self.model), tempfile.TemporaryDirectory() as aside:
                folder = self.options.out / "samples" if self.world.main else Path(aside)
                folder.mkdir(exist_ok=True)
                self.task.sample_sheet(folder / f"{self.step:06d}.png")
        self.world.wait()
