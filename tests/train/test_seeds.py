"""Runs that go on from weights see other films."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from captain_cinema.presets import weights_folder
from captain_cinema.train import run
from captain_cinema.train.film_pool import film_seed
from captain_cinema.train.keyframes import KeyframeTask
from captain_cinema.train.loop import Task
from captain_cinema.train.seeds import SEEDS_AFTER, seed_after


def write(folder: Path, value: float) -> Path:
    folder.mkdir()
    save_file({"weight": torch.full((2,), value)}, folder / "model.safetensors")
    return folder


def test_other_weights_other_seed(tmp_path: Path) -> None:
    first, second = write(tmp_path / "a", 1.0), write(tmp_path / "b", 2.0)
    assert seed_after(0, first) == seed_after(0, first)
    assert len({seed_after(0, first), seed_after(0, second), seed_after(1, first)}) == 3
    for folder in (first, second):
        assert SEEDS_AFTER <= seed_after(0, folder) < 2 * SEEDS_AFTER
    assert film_seed(seed_after(0, first), 0) - film_seed(seed_after(0, second), 0) not in range(1 << 32)


@pytest.mark.parametrize("started", [False, True])
def test_a_run_that_goes_on_draws_films_of_its_own(
    started: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The films of a run from the start are those of its seed; of one that goes on, those of the weights."""
    tasks: list[Task] = []
    new_task = run.new_task

    def kept(*given, **named) -> Task:
        tasks.append(new_task(*given, **named))
        return tasks[-1]

    monkeypatch.setattr(run, "new_task", kept)
    start = weights_folder("embedded") if started else None
    run.main_train("keyframes", out=tmp_path, preset="debug", steps=1, device="cpu", start=start)
    (task,) = tasks
    assert isinstance(task, KeyframeTask)
    assert task.seed == (seed_after(0, weights_folder("embedded") / "keyframes") if started else 0)
    drawn = task.source.films(0, 1, pairs=1, casts=(1,), rng=np.random.default_rng(0))[0]
    assert drawn.film.seed >= film_seed(task.seed, 0)
    assert drawn.film.seed < film_seed(task.seed + 1, 0)
