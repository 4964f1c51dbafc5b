"""Frames not worth keeping, told on real pictures and made cards; pictures known again after travels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
import pytest
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont
from real_films import BATTLE, BUNNY, DRAWN, at_hand, known_film, manifest

from captain_cinema.films.borders import crop_two_to_one
from captain_cinema.films.decode import decode
from captain_cinema.films.media import probe
from captain_cinema.films.quality import hamming, judge, measure, perceptual_hash
from captain_cinema.films.records import Crop
from captain_cinema.films.settings import FilmSettings

SETTINGS = FilmSettings()
FILMS = at_hand("bikes.mp4", "nasa_13013.mp4", "test.avi", BATTLE)
NAMES = ("Anna Berg", "Clara Dahl", "Emil Frank", "Greta Holm", "Ivan Quist", "Rosa Stein", "Tom Vogel")


def keyframe(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    crop = crop_two_to_one(Crop(left=0, top=0, width=width, height=height))
    part = image[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    if crop.height <= 400:
        return part
    return np.asarray(cv2.resize(part, (800, 400), interpolation=cv2.INTER_AREA), np.uint8)


@cache
def pictures(name: str) -> tuple[np.ndarray, ...]:
    """Some keyframes of a film: at most 48, and of the battle only its first half minute."""
    path = known_film(name)
    frames, _ = decode(path, probe(path), end=30.0)
    held = [frame for frame in frames if frame.number % 12 == 6]
    return tuple(keyframe(frame.full()) for frame in held[:48])


def card(
    lines: list[str],
    *,
    size: int = 30,
    ground: tuple[int, int, int] = (0, 0, 0),
    ink: tuple[int, int, int] = (230, 230, 220),
    font: str = "DejaVu Sans",
    left: int | None = None,
) -> np.ndarray:
    """A text card as a film encoder leaves it."""
    image = Image.new("RGB", (800, 400), ground)
    draw = ImageDraw.Draw(image)
    face = ImageFont.truetype(font_manager.findfont(font), size)
    top = (400 - 1.5 * size * len(lines)) / 2
    for number, line in enumerate(lines):
        width = draw.textlength(line, font=face)
        x = (800 - width) / 2 if left is None else left
        draw.text((x, top + 1.5 * size * number), line, font=face, fill=ink)
    return encoded(np.asarray(image), 60)


def encoded(image: np.ndarray, quality: int) -> np.ndarray:
    data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


@pytest.mark.parametrize("name", FILMS)
def test_good_frames_are_kept(name: str) -> None:
    reasons = [judge(measure(image), SETTINGS) for image in pictures(name)]
    assert len(reasons) >= 4
    assert reasons.count("") >= 0.97 * len(reasons)
    assert set(reasons) <= {"", "blurred"}


@pytest.mark.parametrize("name", at_hand("nasa_13013.mp4"))
def test_a_dark_picture_with_something_in_it_is_not_black(name: str) -> None:
    dark = pictures(name)[0]
    if name == DRAWN:
        lit = np.zeros_like(dark)
        lit[60:120, 140:180] = dark[60:120, 140:180]
        dark = lit
    assert measure(dark).luma < SETTINGS.black_luma
    assert judge(measure(dark), SETTINGS) == ""


@pytest.mark.parametrize("name", FILMS[:2])
def test_black_and_nearly_black(name: str) -> None:
    noise = np.random.default_rng(0).integers(0, 12, (400, 800, 3)).astype(np.uint8)
    faint = (pictures(name)[0] * 0.06).astype(np.uint8)
    for image in (np.zeros((400, 800, 3), np.uint8), noise, faint):
        assert judge(measure(image), SETTINGS) == "black"


def test_flat() -> None:
    sky = np.full((400, 800, 3), (150, 180, 220), np.uint8)
    sky[200:] += 6
    assert judge(measure(sky), SETTINGS) == "flat"


@pytest.mark.parametrize("name", FILMS)
def test_blurred_ones_of_the_good_frames_are_told(name: str) -> None:
    reasons = [judge(measure(cv2.GaussianBlur(image, (0, 0), 3)), SETTINGS) for image in pictures(name)[::4]]
    assert set(reasons) == {"blurred"}


def cards() -> Iterator[np.ndarray]:
    yield card(["THE LANTERN"], size=90)
    yield card(["The End"], size=60, font="DejaVu Serif", ground=(40, 10, 10))
    yield card(["Director", "Anna Berg"], size=26)
    yield card([f"{NAMES[n % 7]}    {NAMES[(n + 3) % 7]}" for n in range(15)], size=17)
    yield card([" ".join(NAMES)] * 18, size=11, ground=(20, 40, 30))
    yield card(["Twenty years later"], size=24, left=60)
    yield card(["Глава первая", "Ночь"], size=40, ground=(235, 230, 220), ink=(30, 30, 30))


def test_text_cards_and_credits() -> None:
    for number, image in enumerate(cards()):
        quality = measure(image)
        assert judge(quality, SETTINGS) == "text", (number, quality)
        assert quality.text_share > 0.9


def test_cards_in_poor_copies_are_still_cards() -> None:
    for number, image in enumerate(cards()):
        grainy = image + np.random.default_rng(number).normal(0, 5, image.shape)
        lit_from_a_side = image * np.linspace(0.55, 1, 800)[:, None]
        for copy in (grainy, lit_from_a_side):
            copy = encoded(copy.clip(0, 255).astype(np.uint8), 25)
            assert judge(measure(copy), SETTINGS) == "text", number


def bushes_below_a_bright_sky(seed: int, grain: float) -> np.ndarray:
    """All that is sharp in it is a strip of leaves in a corner."""
    rng = np.random.default_rng(seed)
    leaves = cv2.GaussianBlur(rng.normal(size=(60, 290)), (0, 0), grain)
    top = cv2.GaussianBlur(rng.normal(size=(1, 290)), (0, 0), 12)
    shown = np.arange(60)[:, None] >= 12 + 6 * top / top.std()
    image = np.full((400, 800, 3), (225, 215, 220), np.uint8)
    image[340:, 510:][shown] = (90 + 60 * leaves / leaves.std()).clip(20, 225)[shown][:, None]
    return image


@pytest.mark.parametrize("grain", [1.0, 1.5, 2.5])
def test_leaves_are_no_lettering(grain: float) -> None:
    for seed in range(4):
        assert measure(bushes_below_a_bright_sky(seed, grain)).text_share < 0.2


@pytest.mark.parametrize("name", at_hand(BUNNY))
def test_the_first_clean_frame_after_a_fade_is_kept(name: str) -> None:
    """In one of the films it is clouds with some bushes in a corner."""
    first = {DRAWN: 145, BUNNY: 50}[name]
    path = known_film(name)
    image = next(frame for frame in decode(path, probe(path))[0] if frame.number == first).full()
    assert judge(measure(keyframe(image)), SETTINGS) == ""


@pytest.mark.parametrize("name", FILMS[:2])
def test_a_picture_with_a_subtitle_is_a_picture(name: str) -> None:
    image = Image.fromarray(pictures(name)[5])
    width, height = image.size
    face = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), height // 14)
    line = "What are you talking about?"
    draw = ImageDraw.Draw(image)
    draw.text(((width - draw.textlength(line, font=face)) / 2, 0.88 * height), line, font=face, fill="white")
    quality = measure(np.asarray(image))
    assert judge(quality, SETTINGS) == ""


def travels(image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    height, width = image.shape[:2]
    yield "half size", encoded(cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), 30)
    yield "graded", (255 * (image / 255) ** 0.85).astype(np.uint8)
    yield "narrow range", (image * 0.86 + 16).astype(np.uint8)
    yield "bars off to 2 pixels", image[2:-2, 4:-4]


@pytest.mark.parametrize("name", FILMS[:3])
def test_the_same_picture_is_known_again_and_others_are_not(name: str) -> None:
    shown = pictures(name)[::6]
    hashes = [perceptual_hash(image) for image in shown]
    for image, known in zip(shown, hashes, strict=True):
        assert len(known) == 16
        for how, copy in travels(image):
            assert hamming(known, perceptual_hash(copy)) <= SETTINGS.duplicate_distance, how


@pytest.mark.parametrize("name", FILMS[:2])
def test_pictures_of_different_shots_are_far_apart(name: str) -> None:
    known = manifest()[name]["cuts"]["hard"]
    shots: dict[int, str] = {}
    for place, image in enumerate(pictures(name)):
        shots.setdefault(sum(12 * place + 6 >= cut for cut in known), perceptual_hash(image))
    hashes = list(shots.values())
    assert len(hashes) >= 4
    apart = [hamming(one, other) for place, one in enumerate(hashes) for other in hashes[:place]]
    assert min(apart) > 2 * SETTINGS.duplicate_distance


def test_hamming_counts_bits() -> None:
    assert hamming("0" * 16, "f" * 16) == 64
    assert hamming("00000000000000ff", "000000000000000f") == 4


def test_any_size_can_be_measured() -> None:
    for height, width in ((1, 2), (3, 5), (40, 80), (400, 800)):
        image = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
        assert 0 <= measure(image).text_share <= 1
        assert len(perceptual_hash(image)) == 16
