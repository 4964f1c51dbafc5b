"""The training loop: schedule, average, faults, and resuming to the identical next step."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from captain_cinema.errors import CinemaError, WeightsError
from captain_cinema.train.loop import Optimisation, RunOptions, Trainer, learning_rate
from captain_cinema.train.seeds import step_generator
from captain_cinema.train.sheets import write_sheet
from captain_cinema.train.state import CHECKPOINT, read_metrics

OPTIMISATION = Optimisation(steps=12, lr=0.2, warmup=3)


class LineTask:
    """Fit y = 2x; `nan_at` makes some losses useless."""

    def __init__(self, nan_at: tuple[int, ...] = ()) -> None:
        torch.manual_seed(0)
        self.model = nn.Linear(1, 1)
        self.nan_at = nan_at

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        x = torch.randn(8, 1, generator=step_generator(0, step))
        loss = (self.model(x) - 2 * x).square().mean()
        return (loss * float("nan") if step in self.nan_at else loss), {"x": float(x.mean())}

    def sample_sheet(self, path: Path) -> None:
        write_sheet(path, [[np.zeros((4, 8, 3), np.uint8)]])

    def export(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(self.model.state_dict(), folder / "line.pt")


def train(folder: Path, *, steps: int = 12, nan_at: tuple[int, ...] = (), **changes: int) -> Trainer:
    options = RunOptions(out=folder, log_every=1, save_every=5, sheet_every=100, **changes)
    trainer = Trainer(LineTask(nan_at), OPTIMISATION, options)
    trainer.options.out.mkdir(exist_ok=True)
    trainer.resume()
    while trainer.step < steps:
        trainer.take_step()
    trainer.save()
    return trainer


def test_learning_rate_warms_up_then_falls_to_its_floor() -> None:
    rates = [learning_rate(step, OPTIMISATION) for step in range(13)]
    assert rates[0] == pytest.approx(0.2 / 3)
    assert max(rates) == pytest.approx(0.2)
    assert rates[2:4] == pytest.approx([0.2, 0.2])
    assert rates[12] == pytest.approx(0.2 * OPTIMISATION.final_lr)
    assert all(a > b for a, b in pairwise(rates[3:]))


def test_resumed_run_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    train(tmp_path / "parts", steps=7)
    parts = train(tmp_path / "parts")
    for a, b in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(a, b)
    for name, value in whole.average.values.items():
        assert torch.equal(value, parts.average.values[name])


def test_run_leaves_metrics_curve_sheet_and_export(tmp_path: Path) -> None:
    options = RunOptions(out=tmp_path, log_every=2, save_every=5, sheet_every=100)
    result = Trainer(LineTask(), OPTIMISATION, options).run()
    assert result["step"] == 12
    losses = [row["loss"] for row in read_metrics(tmp_path)]
    assert len(losses) == 6
    assert losses[-1] < losses[0]
    for made in ("curve.png", "samples/000012.png", "export/line.pt", CHECKPOINT):
        assert (tmp_path / made).stat().st_size > 0


def test_time_limit_stops_with_a_checkpoint_that_goes_on(tmp_path: Path) -> None:
    options = RunOptions(out=tmp_path, log_every=1, minutes=0.0)
    assert Trainer(LineTask(), OPTIMISATION, options).run()["step"] == 1
    assert Trainer(LineTask(), OPTIMISATION, replace(options, minutes=None)).run()["step"] == 12


def test_useless_losses_are_skipped_then_stop_the_run(tmp_path: Path) -> None:
    assert train(tmp_path / "few", nan_at=(2, 5)).skipped == 2
    assert all(torch.isfinite(p).all() for p in train(tmp_path / "few").model.parameters())
    with pytest.raises(CinemaError, match="not finite"):
        train(tmp_path / "many", nan_at=tuple(range(12)), nan_limit=3)


def test_average_is_between_start_and_end(tmp_path: Path) -> None:
    trainer = train(tmp_path / "run")
    start = LineTask().model.weight.item()
    now, mean = trainer.model.weight.item(), trainer.average.values["weight"].item()
    assert min(start, now) < mean < max(start, now)
    with trainer.average.swapped(trainer.model):
        assert trainer.model.weight.item() == mean
    assert trainer.model.weight.item() == now


def test_damaged_checkpoint_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / CHECKPOINT).write_bytes(b"not a checkpoint")
    with pytest.raises(WeightsError, match="damaged; remove it"):
        Trainer(LineTask(), OPTIMISATION, RunOptions(out=tmp_path)).run()


def test_half_written_checkpoint_does_not_count(tmp_path: Path) -> None:
    train(tmp_path / "run", steps=4)
    (tmp_path / "run" / (CHECKPOINT + ".part")).write_bytes(b"killed while saving")
    assert train(tmp_path / "run", steps=4).step == 4
