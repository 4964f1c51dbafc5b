"""Sequence parallelism: a film's pairs on two processes draw and learn what one process does."""

import os
import subprocess
import sys
from pathlib import Path

import pairs_apart
import pytest
import torch

from captain_cinema.backbone.parallel import PairsApart


@pytest.fixture(scope="module")
def apart(tmp_path_factory) -> list:
    """What two processes found for every case."""
    folder = tmp_path_factory.mktemp("apart")
    script = Path(pairs_apart.__file__)
    processes = [
        subprocess.Popen([sys.executable, str(script), str(rank), "2", str(folder)], env=dict(os.environ))
        for rank in range(2)
    ]
    assert [process.wait(timeout=240) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("number", range(len(pairs_apart.CASES)), ids=map(str, pairs_apart.CASES))
def test_two_processes_equal_one(apart, number):
    """Local blocks, global blocks, causal or not, frames of one size or two, with and without recomputing."""
    layout, causal, mixed = pairs_apart.CASES[number]
    outputs, gradients = pairs_apart.run(layout, causal, mixed, None)
    held = [found[number][0] for found in apart]
    assert [sorted(part) for part in held] == [[0, 2, 4], [1, 3]]
    for place, wanted in outputs.items():
        torch.testing.assert_close((held[0] | held[1])[place], wanted, rtol=1e-10, atol=1e-12)
    for found in apart:
        for got, wanted in zip(found[number][1], gradients, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)


def test_pairs_are_dealt_out_by_turns():
    assert [PairsApart(rank=rank, size=3).own(7) for rank in range(3)] == [[0, 3, 6], [1, 4], [2, 5]]
    with pytest.raises(ValueError, match="2 pairs cannot be dealt out to 3 processes"):
        PairsApart(rank=0, size=3).own(2)
