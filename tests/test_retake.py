"""One shot again: other seeds, other words, pictures of one's own, and what depends on it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from filmmaking import Studio, changed, frames_of, record, states
from PIL import Image


def test_a_retake_is_another_picture_and_redoes_what_saw_it(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    run = studio.run("retake", folder, "--shot", 3, "--json")
    assert run.data["keyframes"]["made"] == run.data["clips"]["made"] == [3, 6]
    after = frames_of(folder)
    assert after["storyboard/003.png"] != before["storyboard/003.png"]
    assert after["film.mp4"] != before["film.mp4"]
    assert studio.run("make", folder).backends == []
    assert studio.run("retake", folder, "--shot", 3, "--take", 1).code == 0
    assert frames_of(folder) == before, "the first take is back"


def test_a_retake_with_words_and_seed_stands_in_the_script(studio: Studio) -> None:
    folder = studio.made_film()
    run = studio.run("retake", folder, "--shot", 5, "--caption", "A harbour.", "--seed", 77, "--json")
    assert run.data["keyframes"]["made"] == [5]
    assert record(folder, "storyboard/005.json")["inputs"]["seed"] == 77
    text = (folder / "script.yaml").read_text("utf-8")
    assert "A harbour." in text
    assert "seed: 77" in text
    assert frames_of(folder) == frames_of(copied(studio, folder))


def copied(studio: Studio, folder: Path) -> Path:
    """A film made at once from the same script."""
    fresh = studio.home / "fresh"
    fresh.mkdir()
    shutil.copy(folder / "script.yaml", fresh)
    assert studio.run("make", fresh).code == 0
    return fresh


def test_a_retake_of_the_motion_keeps_the_keyframe(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    run = studio.run("retake", folder, "--shot", 3, "--motion", "--json")
    assert (run.data["keyframes"]["made"], run.data["clips"]["made"]) == ([], [3])
    assert set(changed(before, frames_of(folder))) == {"shots/003.mp4", "film.mp4", "film.otio"}


def test_a_retake_of_one_shot_only_leaves_the_rest_for_later(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    run = studio.run("retake", folder, "--shot", 1, "--only", "--json")
    assert run.data["keyframes"]["made"] == [1]
    assert "storyboard/003.png" not in changed(before, frames_of(folder))
    assert states(studio, folder)[2] == "stale/stale"


def test_a_retake_goes_no_further_than_the_film_was(studio: Studio) -> None:
    folder = studio.film()
    studio.run("storyboard", folder, "--limit", 3)
    run = studio.run("retake", folder, "--shot", 1, "--json")
    assert run.data["keyframes"]["made"] == [1, 3]
    assert run.data["clips"]["made"] == []
    assert not (folder / "film.mp4").exists()


def test_a_retake_of_a_keyframe_made_by_hand_keeps_it_among_the_takes(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    Image.new("RGB", (32, 16), (9, 9, 9)).save(folder / "storyboard" / "005.png")
    studio.run("make", folder)
    mine = (folder / "storyboard" / "005.png").read_bytes()
    studio.run("retake", folder, "--shot", 5, "--take", 1)
    assert frames_of(folder) == before
    assert mine in [path.read_bytes() for path in (folder / "takes").glob("*.png")]


def test_a_picture_of_ones_own_becomes_the_keyframe(studio: Studio) -> None:
    from captain_cinema.project.pictures import SOURCE_TYPE

    folder = studio.made_film()
    before = frames_of(folder)
    Image.new("RGB", (300, 200), (10, 120, 200)).save(studio.home / "mine.jpg")
    run = studio.run("retake", folder, "--shot", 3, "--keyframe", "mine.jpg", "--json")
    assert run.data["keyframes"] == {
        "made": [6],
        "kept": [1, 2, 4, 5],
        "by_hand": [3],
        "without_keyframe": [],
    }
    assert run.data["clips"]["made"] == [3, 6]
    with Image.open(folder / "storyboard" / "003.png") as mine:
        assert mine.size == (300, 200)
    assert SOURCE_TYPE.encode() not in (folder / "storyboard" / "003.png").read_bytes()
    assert f"003-{before['storyboard/003.png'][:8]}.png" in {
        path.name for path in (folder / "takes").iterdir()
    }
    (studio.home / "bad.png").write_text("x")
    assert "bad.png" in studio.run("retake", folder, "--shot", 3, "--keyframe", "bad.png").fault
    assert "no such file" in studio.run("retake", folder, "--shot", 3, "--keyframe", "gone.png").fault


def test_a_damaged_file_of_the_users_own_is_kept_among_the_takes(studio: Studio) -> None:
    folder = studio.made_film()
    (folder / "storyboard" / "005.png").write_text("a format of tomorrow")
    run = studio.run("make", folder, "--json")
    assert run.data["keyframes"]["made"] == [5]
    assert "keyframe 5 is made again: 005.png cannot be read" in run.err
    assert "a format of tomorrow" in [
        path.read_text("latin-1") for path in (folder / "takes").glob("005-*.png")
    ]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (["--shot", 7], "shots 1 to 6"),
        (["--shot", 0], "shots 1 to 6"),
        (["--shot", -3], "shots 1 to 6"),
        (["--shot", 1, "--caption", "  "], "empty"),
        (["--shot", 1, "--seed", -1], "whole number from 0"),
        (["--shot", 1, "--take", 0], "takes count from 1"),
        (["--shot", 1, "--take", 2, "--seed", 1], "without --caption and --seed"),
        (["--shot", 1, "--motion", "--seed", 1], "without --caption and --seed"),
        (["--shot", 1, "--motion", "--keyframe", "x.png"], "give it alone"),
        (["--shot", 1, "--caption", "x" * 5000], "at most 4,000"),
        (["--shot", 1, "--caption", "a bell \x07"], "control character"),
    ],
)
def test_a_retake_that_cannot_be(studio: Studio, wish: list[object], words: str) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    assert words in studio.run("retake", folder, *wish).fault
    assert frames_of(folder) == before
    assert states(studio, folder) == ["done/done"] * 6
