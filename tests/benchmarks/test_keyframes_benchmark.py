"""The keyframe benchmark compares ways that give the same result, and says at which size."""

from dataclasses import replace

import pytest

from benchmarks import keyframes
from captain_cinema.evaluate.cost import Frame


@pytest.mark.parametrize("layout", ["FLUX.1", "FLUX.2"])
def test_both_ways_agree_at_a_size_that_is_told(layout, monkeypatch):
    size = keyframes.size_of(layout, "cpu")
    assert not size.true_size
    small = replace(size, frame=Frame(rows=2, cols=4, txt_len=3), pairs=(1, 4))
    monkeypatch.setattr(keyframes, "size_of", lambda *_: small)
    monkeypatch.setattr(keyframes, "CONTEXT", 2)
    monkeypatch.setattr(keyframes, "SAMPLING_STEPS", 2)
    result = keyframes.measure(layout, "cpu", 1)
    assert result["diffusers"]["difference"] < 1e-4
    assert result["reuse"]["difference"] < 1e-4
    assert [(row["pairs"], row["memory"]) for row in result["steps"]] == [
        (1, "none"),
        (4, "none"),
        (4, "default"),
    ]
    assert "REDUCED SIZE" in keyframes.told(result)
