"""Cuts against known ones and against PySceneDetect itself; fades and dissolves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from drawn import mixed, picture, write_film
from real_films import BATTLE, BUNNY, DRAWN, at_hand, known_film, manifest

from captain_cinema.films.cuts import cut_finder, find_cuts
from captain_cinema.films.decode import Decoding, Frame, decode, frame_of
from captain_cinema.films.looking import SIDE
from captain_cinema.films.media import probe
from captain_cinema.films.records import Cut
from captain_cinema.films.scene_detect import SceneDetectFinder, scene_detector, shortest_shot
from captain_cinema.films.score import score_cuts
from captain_cinema.films.settings import Detector, FilmSettings

FPS = 24
DETECTORS: tuple[Detector, ...] = ("adaptive", "content", "threshold", "hash", "histogram")
LEAST_F1 = {DRAWN: 1.0, "bikes.mp4": 1.0, BUNNY: 1.0, BATTLE: 0.93}
"""That the default settings must reach."""
GRADUAL = {DRAWN: [(130, 145)], BUNNY: [(0, 50)], "nasa_13013.mp4": [(127, 151)]}
"""Fades and dissolves, as seen by eye: first frame that is not clean, first that is again."""


@cache
def found(name: str) -> tuple[list[Cut], Decoding]:
    return find_cuts(known_film(name), FilmSettings())


def cuts_of_scenedetect(path: Path, settings: FilmSettings) -> list[int]:
    """What PySceneDetect finds on its own."""
    from scenedetect import SceneManager, open_video

    manager = SceneManager()
    manager.add_detector(scene_detector(settings))
    manager.detect_scenes(open_video(str(path), backend="pyav"))
    return [scene[0].frame_num for scene in manager.get_scene_list()[1:]]


def cuts_fed(path: Path, settings: FilmSettings) -> list[int]:
    facts = probe(path)
    finder = SceneDetectFinder(scene_detector(settings), facts.fps, shortest=shortest_shot(settings))
    frames, _ = decode(path, facts)
    cuts = [cut for frame in frames for cut in finder.feed(frame)]
    return [cut.frame for cut in (*cuts, *finder.finish())]


@pytest.mark.parametrize("name", at_hand(*LEAST_F1))
def test_known_cuts_are_found_by_default_settings(name: str) -> None:
    cuts, decoding = found(name)
    known = manifest()[name]["cuts"]
    assert decoding.frames == manifest()[name]["decoded_frames"]
    score = score_cuts([cut.frame for cut in cuts], known["hard"], known["gradual"])
    assert score.f1 >= LEAST_F1[name], (score.false, score.missed)


@pytest.mark.parametrize("name", at_hand(*GRADUAL))
def test_known_fades_and_dissolves_are_found(name: str) -> None:
    assert [(cut.blend_frame, cut.frame) for cut in found(name)[0] if cut.gradual] == GRADUAL[name]


@pytest.mark.parametrize("name", at_hand("bikes.mp4", BATTLE))
def test_bars_over_a_quarter_of_the_frame_change_nothing(name: str) -> None:
    path = known_film(name)
    finder = cut_finder(FilmSettings(), probe(path).fps)
    cuts: list[Cut] = []
    for frame in decode(path, probe(path))[0]:
        image = frame.small(SIDE)
        barred = np.pad(image, ((len(image) // 6, len(image) // 6), (0, 0), (0, 0)))
        cuts += finder.feed(frame_of(barred, number=frame.number, seconds=frame.seconds))
    without = [(cut.frame, cut.blend_frame) for cut in found(name)[0]]
    assert [(cut.frame, cut.blend_frame) for cut in (*cuts, *finder.finish())] == without


@pytest.mark.parametrize("name", at_hand("bikes.mp4", BATTLE))
def test_the_hard_cuts_are_those_of_scenedetect_on_its_own(name: str) -> None:
    alone = cuts_of_scenedetect(known_film(name), FilmSettings())
    cuts = found(name)[0]
    blends = [(cut.blend_frame, cut.frame) for cut in cuts if cut.blend_frame is not None]
    assert len(alone) >= 3
    assert [cut.frame for cut in cuts if not cut.gradual] == [
        frame for frame in alone if not any(begin <= frame <= end for begin, end in blends)
    ]


@pytest.mark.parametrize("detector", DETECTORS)
def test_every_detector_fed_frames_finds_what_it_finds_alone(tmp_path: Path, detector: Detector) -> None:
    black = [np.zeros((90, 160, 3), np.uint8)] * 8
    frames = [*shot(1, 20), *shot(2, 15), *black, *shot(3, 20), *shot(4, 4), *shot(5, 20)]
    path = write_film(tmp_path / "film.mp4", 0, frames=frames, rate=FPS)
    settings = FilmSettings(detector=detector)
    alone = cuts_of_scenedetect(path, settings)
    assert alone
    assert cuts_fed(path, settings) == alone


def shot(seed: int, length: int, step: float = 0.34) -> list[np.ndarray]:
    return [picture(seed, int(step * number)) for number in range(length)]


def cuts_in(
    images: Sequence[np.ndarray], settings: FilmSettings | None = None, fps: float = FPS
) -> list[Cut]:
    finder = cut_finder(settings or FilmSettings(), fps)
    cuts = [cut for frame in frames_of(images, fps) for cut in finder.feed(frame)]
    return [*cuts, *finder.finish()]


def frames_of(images: Sequence[np.ndarray], fps: float = FPS) -> Iterator[Frame]:
    for number, image in enumerate(images):
        yield frame_of(image, number=number, seconds=number / fps)


def plain(level: int, length: int) -> list[np.ndarray]:
    return [np.full((90, 160, 3), level, np.uint8)] * length


@pytest.mark.parametrize("length", [6, 12, 24, 40])
def test_a_dissolve_is_one_gradual_cut_at_its_first_clean_frame(length: int) -> None:
    one, other = shot(1, 60 + length), shot(2, 60 + length)
    shown = [*one[:60], *mixed(one[60:], other[:length]), *other[length:]]
    (cut,) = cuts_in(shown)
    assert cut.gradual
    assert cut.frame == pytest.approx(60 + length, abs=2)
    assert cut.blend_frame == pytest.approx(60, abs=2)
    assert cut.seconds == pytest.approx(cut.frame / FPS)


@pytest.mark.parametrize("length", [6, 12, 24])
@pytest.mark.parametrize(("level", "hold"), [(0, 0), (0, 6), (0, 60), (255, 4)])
def test_a_fade_out_and_in_is_one_transition(length: int, level: int, hold: int) -> None:
    one, other = shot(1, 50 + length), shot(2, 50 + length)
    shown = [
        *one[:50],
        *mixed(one[50:], plain(level, length)),
        *plain(level, hold + 1),
        *mixed(plain(level, length), other[:length]),
        *other[length:],
    ]
    cuts = cuts_in(shown)
    clean = 50 + 2 * length + hold + 1
    assert cuts[-1].frame == pytest.approx(clean, abs=2)
    assert all(cut.gradual for cut in cuts)
    if hold < FPS / 2:
        assert len(cuts) == 1
    else:  # long enough to be a shot of its own, which is black
        assert len(cuts) == 2
        assert cuts[0].frame == pytest.approx(50 + length, abs=2)
        assert cuts[1].blend_frame == pytest.approx(50 + length + hold + 1, abs=2)
    assert cuts[0].blend_frame == pytest.approx(50, abs=2)


def test_a_film_that_fades_in_has_its_first_clean_frame_there() -> None:
    shown = [*plain(0, 10), *mixed(plain(0, 20), shot(1, 20)), *shot(1, 80)[20:]]
    (cut,) = cuts_in(shown)
    assert cut.gradual
    assert cut.blend_frame == 0
    assert cut.frame == pytest.approx(30, abs=1)


def test_a_fade_out_at_the_end_leaves_the_last_shot_clean() -> None:
    shown = [*shot(1, 40), *mixed(shot(1, 60)[40:], plain(0, 20)), *plain(0, 20)]
    (cut,) = cuts_in(shown)
    assert cut.gradual
    assert cut.blend_frame == pytest.approx(40, abs=1)


def test_a_cut_after_a_fade_out_belongs_to_it() -> None:
    shown = [*shot(1, 40), *mixed(shot(1, 55)[40:], plain(0, 15)), *plain(0, 8), *shot(2, 40)]
    (cut,) = cuts_in(shown)
    assert (cut.gradual, cut.frame) == (True, 63)
    assert cut.blend_frame == pytest.approx(40, abs=1)


def test_motion_titles_and_flashes_are_no_fades() -> None:
    moving = shot(1, 90, step=3)
    title = np.zeros((90, 160, 1))
    title[35:50, 50:110] = 1
    titled = [
        np.round(image * (1 - share * title) + 255 * share * title).astype(np.uint8)
        for image, share in zip(
            shot(1, 60, step=0), [*np.zeros(20), *np.linspace(0, 1, 20), *np.ones(20)], strict=True
        )
    ]
    still = shot(1, 60, step=0)
    flash = [*still[:20], *mixed(plain(255, 12), still[20:32]), *still[32:]]
    for shown in (moving, titled, flash):
        assert not [cut for cut in cuts_in(shown) if cut.gradual]


def test_hard_cuts_beside_a_dissolve_stay_hard() -> None:
    one, two, three, four = (shot(seed, 40) for seed in (1, 2, 3, 4))
    shown = [*one[:30], *two[:20], *mixed(two[20:32], three[:12]), *three[12:30], *four]
    cuts = cuts_in(shown)
    assert [(cut.frame, cut.gradual) for cut in cuts] == [(30, False), (62, True), (80, False)]


def test_cuts_come_in_order_and_no_later_than_promised() -> None:
    one, other = shot(1, 80), shot(2, 80)
    shown = [*shot(3, 40), *one[:40], *mixed(one[40:64], other[:24]), *other[24:], *shot(4, 150)]
    finder = cut_finder(FilmSettings(), FPS)
    told = [(frame.number, cut) for frame in frames_of(shown) for cut in finder.feed(frame)]
    assert [cut.frame for _, cut in told] == sorted(cut.frame for _, cut in told)
    assert len(told) == 3
    assert all(when - cut.frame <= finder.lag for when, cut in told)


def test_sixty_frames_a_second_make_no_difference_to_what_is_found() -> None:
    one, other = shot(1, 120), shot(2, 120)
    shown = [*one[:60], *mixed(one[60:100], other[:40]), *other[40:100], *shot(3, 60)]
    cuts = cuts_in(shown, fps=60.0)
    assert [cut.gradual for cut in cuts] == [True, False]
    assert cuts[0].frame == pytest.approx(100, abs=3)
    assert cuts[1].frame == 160


def test_the_shortest_shot_is_in_seconds() -> None:
    shown = [*shot(1, 40), *shot(2, 8), *shot(3, 40)]
    assert [cut.frame for cut in cuts_in(shown)] == [40, 48]
    assert len(cuts_in(shown, FilmSettings(detector="content"))) == 1
    assert len(cuts_in(shown, FilmSettings(detector="content", shortest_shot=0.2))) == 2
    assert [cut.frame for cut in cuts_in(shown, FilmSettings(shortest_shot=0.5))] == [40]


def test_a_threshold_of_ones_own_is_used() -> None:
    shown = [*shot(1, 40), *shot(2, 40)]
    assert [cut.frame for cut in cuts_in(shown, FilmSettings(detector="content", threshold=255.0))] == []
    assert [cut.frame for cut in cuts_in(shown, FilmSettings(detector="content"))] == [40]


def test_damage_and_stamps_that_go_back_make_no_cuts() -> None:
    shown = shot(1, 60)
    noise = np.random.default_rng(0).integers(0, 255, (90, 160, 3), np.uint8)
    finder = cut_finder(FilmSettings(), FPS)
    cuts = []
    for number, image in enumerate(shown):
        damaged = 30 <= number < 34
        seconds = (number if number < 40 else number - 40) / FPS
        cuts += finder.feed(
            frame_of(noise if damaged else image, number=number, seconds=seconds, flagged=damaged)
        )
    assert [*cuts, *finder.finish()] == []


def test_a_size_that_changes_is_a_cut_only_if_the_picture_does() -> None:
    small, large = picture(1), picture(1, size=(320, 180))
    other = picture(2, size=(320, 180))
    cuts = cuts_in([*[small] * 20, *[large] * 20, *[other] * 20])
    assert [cut.frame for cut in cuts] == [40]


def test_a_tall_film_is_reduced_by_its_longer_side() -> None:
    from captain_cinema.films.looking import reduced

    assert reduced(frame_of(np.zeros((1024, 512, 3), np.uint8))).shape == (SIDE, SIDE // 2, 3)


def test_one_frame_and_none() -> None:
    assert cuts_in(shot(1, 1)) == []
    assert cuts_in([]) == []


def test_score_counts_each_cut_once() -> None:
    score = score_cuts([10, 11, 50, 90], [10, 30, 91], [(45, 55)])
    assert (score.hits, score.false, score.missed) == (2, (11,), (30,))
    assert (score.precision, score.recall) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    total = score + score_cuts([], [])
    assert total.f1 == pytest.approx(2 / 3)
    assert score_cuts([], []).f1 == 1.0
    assert score_cuts([5], []).f1 == 0.0
