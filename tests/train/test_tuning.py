"""Tuning runs as real processes: killed anywhere, divided among several, on a full disk."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "backbone"))  # published.py

import published
from tuning_process import STEPS, Case, launch, write_films

from captain_cinema.backbone.lora import load_lora
from captain_cinema.backbone.mmdit import load_mmdit
from captain_cinema.train.state import CHECKPOINT, load_checkpoint, read_metrics


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    """A tiny klein and two films."""
    folder = tmp_path_factory.mktemp("tuning")
    published.write_pipeline(folder / "klein", "FLUX.2", distilled=False)
    write_films(folder / "films", (6, 5))
    return Case(out=folder / "run", weights=folder / "klein", dataset=folder / "films")


@pytest.fixture(scope="module")
def whole(case: Case) -> Case:
    """A run of one process that nobody disturbs."""
    done = replace(case, out=case.out / "whole")
    assert steps_of(done) == [STEPS]
    return done


@pytest.fixture(scope="module")
def whole_of_two(whole: Case) -> Case:
    """The same with two processes."""
    done = replace(whole, out=whole.out.parent / "two", size=2)
    assert steps_of(done) == [STEPS, STEPS]
    return done


def steps_of(case: Case) -> list[int | None]:
    """Run a case; the last step of each process, None for one that died."""
    return [None if found is None else found["step"] for found in launch(case)]


def losses(case: Case) -> list[float]:
    rows = read_metrics(case.out)
    assert [row["step"] for row in rows] == list(range(1, STEPS + 1))
    return [row["loss"] for row in rows]


def weights_of(case: Case) -> dict[str, Any]:
    state = load_checkpoint(case.out)
    assert state is not None
    return state["model"]


def assert_equal(a: Case, b: Case) -> None:
    assert losses(a) == losses(b)
    ours, theirs = weights_of(a), weights_of(b)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize(
    "accident", [{"die_at": 1}, {"die_at": 3}, {"die_saving": 1}, {"die_saving": 2}], ids=str
)
def test_a_killed_run_goes_on_bit_for_bit(whole: Case, tmp_path: Path, accident: dict[str, int]) -> None:
    killed = replace(whole, out=tmp_path)
    assert launch(replace(killed, **accident)) == [None]
    assert steps_of(killed) == [STEPS]
    assert_equal(killed, whole)


@pytest.mark.parametrize("accident", [{"die_at": 3}, {"die_saving": 2}], ids=str)
def test_two_processes_of_which_one_is_killed_go_on_bit_for_bit(
    whole_of_two: Case, tmp_path: Path, accident: dict[str, int]
) -> None:
    killed = replace(whole_of_two, out=tmp_path)
    assert None in launch(replace(killed, **accident))
    assert steps_of(killed) == [STEPS, STEPS]
    assert_equal(killed, whole_of_two)


def test_two_processes_learn_what_one_learns(whole: Case, whole_of_two: Case) -> None:
    """The same sequences and the same noise: only the order of sums differs."""
    assert losses(whole_of_two) == pytest.approx(losses(whole), rel=1e-4)
    for name, wanted in weights_of(whole).items():
        torch.testing.assert_close(weights_of(whole_of_two)[name], wanted, rtol=1e-3, atol=1e-5)


def test_a_checkpoint_of_two_processes_goes_on_in_one(whole_of_two: Case, tmp_path: Path) -> None:
    moved = replace(whole_of_two, out=tmp_path)
    assert None in launch(replace(moved, die_at=3))
    assert steps_of(replace(moved, size=1)) == [STEPS]
    assert losses(moved) == pytest.approx(losses(whole_of_two), rel=1e-4)


def test_processes_that_share_a_sequence_learn_what_one_learns(whole: Case, tmp_path: Path) -> None:
    long = {"pairs": (4,), "contexts": "both"}
    alone = replace(whole, out=tmp_path / "one", changes=long)
    shared = replace(alone, out=tmp_path / "two", size=2, sequence=2)
    assert steps_of(alone) == [STEPS]
    assert steps_of(shared) == [STEPS, STEPS]
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)


def test_sharded_weights_learn_what_whole_ones_learn_and_go_on_in_one_process(
    whole: Case, tmp_path: Path
) -> None:
    full = {"lora": 0, "lr": 1e-3}
    alone = replace(whole, out=tmp_path / "one", changes=full)
    sharded = replace(alone, out=tmp_path / "two", size=2, fsdp=True)
    assert steps_of(alone) == [STEPS]
    assert None in launch(replace(sharded, die_at=3))
    assert launch(replace(sharded, size=1, fsdp=False, die_at=4)) == [None]
    assert steps_of(sharded) == [STEPS, STEPS]
    assert losses(sharded) == pytest.approx(losses(alone), rel=1e-4)
    for folder in (alone.out, sharded.out):
        load_mmdit(folder / "export" / "transformer")


def test_a_full_disk_is_named_and_loses_nothing(whole: Case, tmp_path: Path) -> None:
    full = replace(whole, out=tmp_path, changes={"steps": 12})
    found = launch(replace(full, full_after=3))[0]
    assert found is not None
    assert "CinemaError: step 8 cannot be saved (File too large, 3 in a row)" in found["error"]
    state = load_checkpoint(tmp_path)
    assert state is not None
    assert state["step"] == 2
    assert not (tmp_path / f"{CHECKPOINT}.part").exists()
    assert steps_of(full) == [12]


def test_the_exported_adapters_are_those_that_were_trained(whole: Case) -> None:
    model = load_lora(
        load_mmdit(whole.weights / "transformer"), whole.out / "export" / "pytorch_lora_weights.safetensors"
    )
    trained = weights_of(whole)
    for name, value in model.named_parameters():
        if "lora_A" in name and "single_blocks" in name:
            torch.testing.assert_close(value, trained[name])
