"""The attention benchmark compares two ways that give the same result."""

import json

import pytest

from benchmarks import attention


@pytest.mark.parametrize("mask", ["local", "causal"])
def test_both_ways_agree(mask):
    row = attention.measure(mask, 3, device="cpu", repeats=1, tokens=5)
    assert row.tokens == 15
    assert row.greatest_difference < 1e-5
    assert row.mask_mib == pytest.approx(15 * 15 / 2**20, abs=1e-3)
    assert min(row.without_ms, row.dense_ms, row.times_faster) > 0


def test_the_result_says_where_it_was_made(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(attention, "PAIRS", (1, 2))
    output = tmp_path / "results" / "attention-cpu.json"
    monkeypatch.setattr("sys.argv", ["attention", "--repeats", "1", "--output", str(output)])
    attention.main()
    result = json.loads(output.read_text())
    assert result["hardware"]["processor"]
    assert [(row["mask"], row["pairs"]) for row in result["rows"]] == [
        ("local", 1),
        ("local", 2),
        ("causal", 1),
        ("causal", 2),
    ]
    assert capsys.readouterr().out.count("local") == 2
