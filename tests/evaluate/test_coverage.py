"""Whether the chosen context shows what the next shot needs (figure 5)."""

from __future__ import annotations

import numpy as np

from captain_cinema import presets
from captain_cinema.evaluate import coverage
from captain_cinema.keyframes.memory import HistoryFrame
from captain_cinema.playhouse import story


def test_needs_are_what_was_seen_before() -> None:
    film = story.film(3, shots=12, split="held-out")
    assert coverage.needs_of(film, 0) == []
    for number in range(1, 12):
        needs = coverage.needs_of(film, number)
        assert set().union(*needs) == set(film.shots[number].matters)


def test_the_latest_frames_are_the_latest() -> None:
    planner = presets.load_backend("embedded").planner
    frame = np.zeros((128, 256, 3), dtype=np.uint8)
    history = [HistoryFrame(number=i, caption="a forest", frame=frame) for i in range(1, 6)]
    assert coverage.chosen_by(planner, coverage.LATEST, "a forest", history, 2) == {3, 4}
    assert coverage.chosen_by(planner, coverage.LATEST, "a forest", history[:1], 2) == {0}
    assert len(coverage.chosen_by(planner, "clip", "a forest", history, 3)) == 3


def test_more_frames_cover_more_and_names_help() -> None:
    planner = presets.load_backend("embedded").planner
    result = coverage.run(planner, films=1, seed=4, shots=10, depths=(1, 3, 9))
    for way in coverage.WAYS:
        rates = [result.shares[way, depth].rate for depth in (1, 3, 9)]
        assert rates == sorted(rates)
        assert rates[-1] == 1.0
    assert result.shares["clip+names", 3].rate >= result.shares[coverage.LATEST, 3].rate
    assert "clip+names" in result.table()
    assert len(result.as_dict()["shares"]) == 3 * len(coverage.WAYS)
