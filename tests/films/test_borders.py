"""Borders of films as they are, and of films made from them with bars: right to two pixels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import write_film
from hypothesis import given
from hypothesis import strategies as st
from real_films import BATTLE, at_hand, known_film

from captain_cinema.films.borders import BorderFinder, crop_two_to_one
from captain_cinema.films.decode import decode, frame_of
from captain_cinema.films.media import probe
from captain_cinema.films.records import Crop

FPS = 24
WIDE, TALL = 360, 200
"""Of the films made here."""
SCOPE = 150
"""Height of a wide picture in them."""
Pictures = tuple[np.ndarray, ...]
POOR = {"preset": "ultrafast", "crf": "34"}


@cache
def frames_of(name: str) -> Pictures:
    """The first frames of a film, all picture, 2.4:1."""
    path = known_film(name)
    frames, _ = decode(path, probe(path))
    return tuple(
        np.asarray(cv2.resize(frame.full(), (WIDE, SCOPE), interpolation=cv2.INTER_AREA))
        for frame in islice(frames, 96)
    )


@pytest.fixture(params=at_hand("bikes.mp4"))
def pictures(request: pytest.FixtureRequest) -> Pictures:
    """Pictures to put bars around."""
    return frames_of(request.param)


def barred(
    image: np.ndarray, bars: tuple[int, int, int, int], *, level: float = 0, noise: float = 0, seed: int = 0
) -> np.ndarray:
    """An image with bars at its top, bottom, left and right."""
    top, bottom, left, right = bars
    height, width = image.shape[:2]
    shape = (height + top + bottom, width + left + right)
    grain = np.random.default_rng(seed).normal(level, noise, shape)[..., None] if noise else level
    whole = np.broadcast_to(np.asarray(grain), (*shape, 3)).clip(0, 255).astype(np.uint8).copy()
    whole[top : top + height, left : left + width] = image
    return whole


def crops(frames: Sequence[np.ndarray], path: Path | None = None) -> list[Crop]:
    """The crop of every frame; through an encoder if there is a path."""
    finder = BorderFinder()
    if path is None:
        for number, image in enumerate(frames):
            finder.feed(frame_of(image, number=number, seconds=number / FPS))
    else:
        height, width = frames[0].shape[:2]
        write_film(path, 0, frames=frames, size=(width, height), rate=FPS, options=POOR)
        for frame in decode(path, probe(path))[0]:
            finder.feed(frame)
    return [finder.crop_at(number) for number in range(len(frames))]


def is_close(crop: Crop, left: int, top: int, width: int, height: int, *, by: int = 2) -> bool:
    found = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
    wanted = (left, top, left + width, top + height)
    return all(abs(one - other) <= by for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize("name", at_hand(BATTLE, "nasa_13013.mp4", "no_duration.webm", "test.avi"))
def test_films_without_borders_are_untouched(name: str) -> None:
    path = known_film(name)
    facts = probe(path)
    finder, count = BorderFinder(), 0
    for frame in decode(path, facts, end=30.0)[0]:
        finder.feed(frame)
        count += 1
    whole = Crop(left=0, top=0, width=facts.width, height=facts.height)
    assert count > 40
    assert {finder.crop_at(number) for number in range(count)} == {whole}


BARS = {
    "letterboxed": (26, 24, 0, 0),
    "pillarboxed": (0, 0, 41, 39),
    "windowboxed": (20, 20, 30, 30),
    "a bar at the top only": (26, 0, 0, 0),
    "a dark line all round": (2, 2, 2, 2),
}


@pytest.mark.parametrize("kind", BARS)
@pytest.mark.parametrize(("level", "noise"), [(0, 0), (6, 3), (20, 4)])
def test_bars_are_found_to_two_pixels(
    tmp_path: Path, kind: str, level: float, noise: float, pictures: Pictures
) -> None:
    bars = BARS[kind]
    shown = [
        barred(image, bars, level=level, noise=noise, seed=number) for number, image in enumerate(pictures)
    ]
    found = crops(shown, tmp_path / "film.mp4")
    if min(bars) == 2 and noise:  # lines as thin as that may be lost in noise, but nothing of the picture is
        assert all(is_close(crop, 1, 1, WIDE + 2, SCOPE + 2, by=3) for crop in found)
    else:
        assert all(is_close(crop, bars[2], bars[0], WIDE, SCOPE) for crop in found)


@pytest.mark.parametrize("kind", ["letterboxed", "pillarboxed"])
def test_bars_of_a_dark_film(tmp_path: Path, kind: str, pictures: Pictures) -> None:
    bars = BARS[kind]
    dark = [(image * 0.2).astype(np.uint8) for image in pictures]
    found = crops([barred(image, bars) for image in dark], tmp_path / "film.mp4")
    assert all(is_close(crop, bars[2], bars[0], WIDE, SCOPE) for crop in found)


@pytest.mark.parametrize("name", at_hand(BATTLE))
def test_a_dark_film_without_bars_is_untouched(tmp_path: Path, name: str) -> None:
    dark = [(image * 0.1).astype(np.uint8) for image in frames_of(name)]
    found = crops(dark, tmp_path / "film.mp4")
    assert set(found) == {Crop(left=0, top=0, width=WIDE, height=SCOPE)}


def scope(image: np.ndarray) -> np.ndarray:
    """The picture between bars."""
    return barred(image, (25, 25, 0, 0))


def full(image: np.ndarray) -> np.ndarray:
    """The same frame all picture."""
    return np.asarray(cv2.resize(image, (WIDE, TALL), interpolation=cv2.INTER_AREA))


BLACK = [np.zeros((TALL, WIDE, 3), np.uint8)]


def text_card(line: str = "THE END", size: float = 1.6) -> np.ndarray:
    image = BLACK[0].copy()
    (width, height), _ = cv2.getTextSize(line, cv2.FONT_HERSHEY_SIMPLEX, size, 4)
    place = ((WIDE - width) // 2, (TALL + height) // 2)
    cv2.putText(image, line, place, cv2.FONT_HERSHEY_SIMPLEX, size, (255, 255, 255), 4, cv2.LINE_AA)
    return image


def test_the_aspect_may_change_and_change_back(tmp_path: Path, pictures: Pictures) -> None:
    """As films do that were shot for large screens in part."""
    lengths = (60, 40, 30, 25, 60)
    frames: list[np.ndarray] = []
    kinds: list[bool] = []
    for part, length in enumerate(lengths):
        images = [pictures[(17 * part + number) % 96] for number in range(length)]
        frames += [full(image) if part % 2 else scope(image) for image in images]
        kinds += [bool(part % 2)] * length
    found = crops(frames, tmp_path / "film.mp4")
    wrong = [
        number
        for number, (crop, whole) in enumerate(zip(found, kinds, strict=True))
        if not (is_close(crop, 0, 0, WIDE, TALL) if whole else is_close(crop, 0, 25, WIDE, SCOPE))
    ]
    assert wrong == []


@pytest.mark.parametrize("kind", ["full", "scope"])
def test_titles_and_black_frames_change_nothing(tmp_path: Path, kind: str, pictures: Pictures) -> None:
    logo = BLACK[0].copy()
    logo[60:140, 130:230] = (40, 180, 200)
    shown = [(full if kind == "full" else scope)(image) for image in pictures]
    frames = [*BLACK * 30, *[text_card()] * 40, *[logo] * 40, *shown, *BLACK * 40, *[text_card("FIN")] * 30]
    found = crops(frames, tmp_path / "film.mp4")
    top, height = (0, TALL) if kind == "full" else (25, SCOPE)
    assert all(is_close(crop, 0, top, WIDE, height) for crop in found)


def test_a_window_in_a_dark_room_is_no_border(tmp_path: Path, pictures: Pictures) -> None:
    dark = []
    for image in pictures[:60]:
        room = BLACK[0].copy()
        room[50:150, 90:270] = full(image)[50:150, 90:270]
        dark.append(room)
    light = [full(image) for image in pictures]
    found = crops([*light, *dark, *light], tmp_path / "film.mp4")
    assert set(found) == {Crop(left=0, top=0, width=WIDE, height=TALL)}


def test_subtitles_in_a_bar_are_no_picture(tmp_path: Path, pictures: Pictures) -> None:
    frames = []
    for number, image in enumerate((*pictures, *pictures)):
        shown = scope(image)
        if number % 48 < 24:
            cv2.putText(shown, "What is that?", (90, 192), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1)
        frames.append(shown)
    found = crops(frames, tmp_path / "film.mp4")
    assert all(is_close(crop, 0, 25, WIDE, SCOPE) for crop in found)


def test_a_size_that_changes_has_borders_of_its_own(pictures: Pictures) -> None:
    small = [scope(image) for image in pictures[:30]]
    large = [cv2.resize(image, (2 * WIDE, 2 * TALL), interpolation=cv2.INTER_CUBIC) for image in small]
    found = crops([*small, *large])
    assert all(is_close(crop, 0, 25, WIDE, SCOPE) for crop in found[:30])
    assert all(is_close(crop, 0, 50, 2 * WIDE, 2 * SCOPE) for crop in found[30:])


def test_stamps_that_are_reset_do_not_end_the_search(pictures: Pictures) -> None:
    finder = BorderFinder()
    images = [*[full(image) for image in pictures[:48]], *[scope(image) for image in pictures]]
    for number, image in enumerate(images):
        finder.feed(frame_of(image, number=number, seconds=100 + number if number < 48 else number / FPS))
    assert is_close(finder.crop_at(20), 0, 0, WIDE, TALL)
    assert is_close(finder.crop_at(100), 0, 25, WIDE, SCOPE)


def test_all_black_one_frame_and_damage(pictures: Pictures) -> None:
    whole = Crop(left=0, top=0, width=WIDE, height=TALL)
    assert set(crops(BLACK * 50)) == {whole}
    assert is_close(crops([scope(pictures[0])])[0], 0, 25, WIDE, SCOPE)
    finder = BorderFinder()
    finder.feed(frame_of(full(pictures[0]), flagged=True))
    with pytest.raises(ValueError, match="no frame"):
        finder.crop_at(0)


def test_what_stretches_saw_adds_up(pictures: Pictures) -> None:
    frames = [scope(image) for image in pictures]
    parts = []
    for begin in (0, 48):
        finder = BorderFinder()
        for number in range(begin, begin + 48):
            finder.feed(frame_of(frames[number], number=number, seconds=number / FPS))
        parts.append(finder.evidence())
    joined = BorderFinder.of(reversed(parts))
    assert all(is_close(joined.crop_at(number), 0, 25, WIDE, SCOPE) for number in (0, 47, 48, 95))
    assert joined.evidence() == sorted(row for part in parts for row in part)


def test_what_is_kept_of_a_film_is_little(pictures: Pictures) -> None:
    finder = BorderFinder()
    image = scope(pictures[0])
    for number in range(1000):
        finder.feed(frame_of(image, number=number, seconds=number / FPS))
    assert len(finder.evidence()) == 1


@given(
    left=st.integers(0, 40),
    top=st.integers(0, 40),
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
)
def test_two_to_one_in_the_middle(left: int, top: int, width: int, height: int) -> None:
    crop = crop_two_to_one(Crop(left=left, top=top, width=width, height=height))
    assert left <= crop.left
    assert crop.left + crop.width <= left + width
    assert top <= crop.top
    assert crop.top + crop.height <= top + height
    assert crop.width == min(width, 2 * crop.height)
    assert crop.width in (width, width - 1) or crop.height == height
    assert abs((crop.left - left) - (left + width - crop.left - crop.width)) <= 1
    assert abs((crop.top - top) - (top + height - crop.top - crop.height)) <= 1
