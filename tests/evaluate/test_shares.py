import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain_cinema.evaluate.shares import Share, group_by, table, wilson


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (9, 10, 0.5958, 0.9821), (81, 263, 0.2553, 0.3662)],
)
def test_wilson_gives_the_published_intervals(correct: int, total: int, low: float, high: float) -> None:
    assert wilson(correct, total) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 500), st.data())
def test_interval_holds_the_rate_and_is_symmetric(total: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, total))
    low, high = wilson(correct, total)
    assert 0 <= low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= high <= 1
    mirrored = wilson(total - correct, total)
    assert (1 - mirrored[1], 1 - mirrored[0]) == pytest.approx((low, high), abs=1e-9)


def test_wilson_refuses_what_is_no_share() -> None:
    with pytest.raises(ValueError, match="5 correct of 4"):
        wilson(5, 4)


def test_share_of_nothing_is_said_so() -> None:
    nothing = Share(correct=0, total=0)
    assert math.isnan(nothing.rate)
    assert json.loads(json.dumps(nothing.as_dict(), allow_nan=False))["rate"] is None
    assert str(nothing) == "no samples"


def test_table_has_a_line_a_share_and_aligned_labels() -> None:
    lines = table([("a", Share(correct=1, total=2)), ("longer", Share(correct=2, total=2))]).splitlines()
    assert [line.index(number) for line, number in zip(lines, ("0.500", "1.000"), strict=True)] == [8, 8]


def test_group_by_sorts_labels() -> None:
    assert group_by(["bb", "a", "cc"], lambda word: str(len(word))) == {"1": ["a"], "2": ["bb", "cc"]}
