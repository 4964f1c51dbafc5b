"""Bad input: one line that says what is wrong and what would help, exit code 2, and nothing made is lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from filmmaking import Studio, frames_of, script_text


@pytest.mark.parametrize(
    "text",
    [b"", b"  \n\n ", b"\x00\x01\x02\x89PNG", "Zoë läuft".encode("latin-1"), "A fox.".encode("utf-16")[:7]],
    ids=["empty", "blank", "binary", "latin-1", "half utf-16"],
)
def test_stories_that_cannot_be_read(studio: Studio, text: bytes) -> None:
    (studio.home / "s.txt").write_bytes(text)
    assert "s.txt" in studio.run("make", "s.txt").fault
    assert [path.name for path in studio.home.iterdir()] == ["s.txt"], "and no empty folder is left"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shots: []",
        "shots: [",
        "shots:\n- caption: !!python/object/apply:os.system ['echo']",
        "a: &a [x,x]\nb: &b [*a,*a]\nshots: *b",
        "shots:\n- caption: a\n  seconds: .nan",
        "shots:\n- caption: a\n  seconds: -4",
        "shots:\n- caption: a\n  seconds: 1e99",
        "shots:\n- caption: a\n  file: ../../etc/passwd",
        "shots:\n- caption: a\n  seed: 99999999999999999999999999",
        "shots:\n- caption: a\n  pins: [7]",
        "shots:\n- number: 1\n  caption: a\n- number: 1\n  caption: b",
        "- just\n- a list",
        "\x00",
    ],
)
def test_scripts_that_are_broken_or_hostile_cost_nothing_that_is_made(studio: Studio, text: str) -> None:
    folder = studio.made_film(captions=["<Mara> stands.", "<Mara> waves."])
    before = frames_of(folder)
    (folder / "script.yaml").write_text(text, "utf-8")
    for command in ("make", "storyboard", "shoot", "cut", "status"):
        assert "script.yaml" in studio.run(command, folder).fault
    assert frames_of(folder) == before


def test_a_script_that_is_a_broken_story_file_of_its_own(studio: Studio) -> None:
    (studio.home / "mine.yaml").write_text("title: x\nshots: [{caption: !evil x}]", "utf-8")
    assert "mine.yaml" in studio.run("make", "mine.yaml").fault


def test_a_shot_longer_than_the_preset_makes_is_told_before_any_work(studio: Studio) -> None:
    folder = studio.film()
    path = folder / "script.yaml"
    path.write_text(script_text("a", "b", seconds=30), "utf-8")
    fault = studio.run("make", folder).fault
    assert "shot 1 lasts 30 s" in fault
    assert "1 to 4 s" in fault
    assert not (folder / "storyboard").exists()


# --- places ---


def test_places_that_do_not_work(studio: Studio, story: Path) -> None:
    (studio.home / "photos").mkdir()
    (studio.home / "photos" / "cat.jpg").write_text("x")
    (studio.home / "holiday.mp4").write_text("mine")
    faults = {
        ("make", "gone.md"): "gone.md",
        ("make", "photos"): "not a film",
        ("make", story, "--project", "photos"): "cat.jpg",
        ("make", story, "--project", "story.md"): "is a file",
        ("make", story, "--output", "photos"): "is a folder",
        ("make", story, "--output", "holiday.mp4"): "was not written by the film",
        ("make", story, "--output", "story.md/film.mp4"): "is a file",
        ("make", story, "--output", "film.gif"): ".mp4",
        ("make", story, "--limit", 0): "--limit",
        ("storyboard", "photos"): "no script.yaml",
        ("status", "gone"): "not there",
        ("cut", "holiday.mp4"): "not a film folder",
        ("shoot", "photos"): "no script.yaml",
        ("retake", "gone", "--shot", 1): "not there",
        ("make", "x" * 300): "too long",
    }
    for command, words in faults.items():
        assert words in studio.run(*command).fault, command
    assert (studio.home / "holiday.mp4").read_text() == "mine"
    assert [path.name for path in (studio.home / "photos").iterdir()] == ["cat.jpg"]


def test_the_film_of_another_folder_is_not_overwritten(studio: Studio, story: Path) -> None:
    assert studio.run("make", story, "--project", "one", "--output", "out.mp4").code == 0
    film = (studio.home / "out.mp4").read_bytes()
    fault = studio.run("make", story, "--project", "two", "--output", "out.mp4").fault
    assert "was not written by the film in two" in fault
    assert (studio.home / "out.mp4").read_bytes() == film


def test_a_film_that_was_changed_by_hand_is_not_overwritten(studio: Studio) -> None:
    folder = studio.made_film()
    (folder / "film.otio").write_text("edited")
    (folder / "contact-sheet.png").write_text("edited")
    run = studio.run("retake", folder, "--shot", 5)
    assert run.code == 0
    assert run.err.count("was changed by hand: kept") == 2
    (folder / "film.mp4").write_text("edited")
    assert "film.mp4" in studio.run("make", folder).fault
    assert studio.run("status", folder, "--json").data["film"]["state"] == "by hand"


def test_a_damaged_state_is_one_line(studio: Studio) -> None:
    folder = studio.made_film(captions=["<Mara> stands."])
    (folder / ".cinema.json").write_text("{")
    for command in ("make", "status"):
        assert "delete it" in studio.run(command, folder).fault


def test_names_that_are_no_text_work(studio: Studio, story: Path) -> None:
    output = os.fsdecode(os.fsencode(str(studio.home)) + b"/\xff.mp4")
    for written in (["film.mp4", "contact-sheet.png", "film.otio", os.fsdecode(b"\xff.mp4")], []):
        run = studio.run("make", story, "--output", output, "--json")
        assert run.code == 0
        assert run.data["written"] == written


@pytest.mark.parametrize("name", ["storyboard", "shots", "storyboard/001.png/x", "shots/001.mp4/x", "takes"])
def test_a_file_where_a_folder_should_be_or_the_other_way_round(studio: Studio, name: str) -> None:
    folder = studio.film()
    (folder / name).parent.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text("in the way")
    if name == "takes":
        assert studio.run("make", folder).code == 0
        assert studio.run("retake", folder, "--shot", 1).fault
    else:
        assert studio.run("make", folder).fault
    assert (folder / name).read_text() == "in the way"
