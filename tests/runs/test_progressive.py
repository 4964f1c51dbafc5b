"""The comparison of growing contexts with full ones: fair in what both arms compute, and resumable."""

import json
from functools import partial

import pytest

from captain_cinema.evaluate import identity
from runs import progressive


def test_base_sees_single_frames_alone_and_both_arms_compute_alike():
    base = progressive.plan_of("base", 0, 12, lr=1e-3, frames=96)
    assert {layout.pairs for stage in base.training.stages for layout in stage.layouts} == {1}
    counted = {}
    for arm in progressive.ARMS:
        plan = progressive.plan_of(arm, 1, 12, lr=1e-3, frames=96)
        task = progressive.new(plan, None)
        counted[arm] = progressive.frames_of(task, plan.steps)["frames"]
        assert task.layout(11).pairs == 12, "both end with the longest context"
    assert counted["progressive"] == pytest.approx(counted["full context"], rel=0.03)


def test_runs_once_and_then_only_reads(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(identity, "run", partial(identity.run, shots=4))
    options = ["--out", str(tmp_path / "out"), "--output", str(tmp_path / "claim.json"), "--seeds", "1"]
    options += ["--base-steps", "1", "--steps", "3", "--frames", "6", "--films", "1", "--batches", "1"]
    progressive.main(options)
    first = (tmp_path / "claim.json").read_text()
    rows = json.loads(first)["rows"]
    assert [row["condition"] for row in rows] == ["base", "progressive", "full context"]
    assert len({row["loss"] for row in rows}) == 3, "the arms have learnt different things"
    assert [row["frames"] for row in rows] == [6, 4 + 8 + 10, 10 + 12 + 10]
    assert "n = " in capsys.readouterr().out

    monkeypatch.delattr(progressive, "new_task")
    progressive.main(options)
    assert (tmp_path / "claim.json").read_text() == first
