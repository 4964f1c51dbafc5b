"""What a run makes, keeps and redoes: the promises of design section 7, over a backend without weights."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from filmmaking import CAPTIONS, FACTS, Studio, changed, frames_of, record, script_text, states
from PIL import Image

from captain_cinema.progress import Reporter, spoken_time


def rewrite(folder: Path, *captions: str) -> None:
    (folder / "script.yaml").write_text(script_text(*captions), "utf-8")


def test_a_film_is_made_and_then_there_is_nothing_to_do(studio: Studio) -> None:
    folder = studio.film()
    first = studio.run("make", folder, "--json")
    assert first.data["keyframes"]["made"] == [1, 2, 3, 4, 5, 6]
    assert first.data["seconds"] == 6
    before = frames_of(folder)
    assert len(before) == 2 * 6 + 3
    again = studio.run("make", folder, "--json")
    assert again.backends == [], "no model is loaded"
    assert again.data["keyframes"]["kept"] == again.data["clips"]["kept"] == [1, 2, 3, 4, 5, 6]
    assert again.data["written"] == []
    assert frames_of(folder) == before
    assert states(studio, folder) == ["done/done"] * 6


def test_the_same_seed_is_the_same_film_and_another_is_another(studio: Studio) -> None:
    one, two = studio.made_film("one"), studio.made_film("two")
    assert frames_of(one) == frames_of(two)
    studio.run("make", two, "--seed", 5)
    after = frames_of(two)
    assert len(changed(frames_of(one), after)) == len(after)
    studio.run("make", two, "--seed", 0)
    assert frames_of(one) == frames_of(two)


def test_a_record_says_what_made_the_file(studio: Studio) -> None:
    folder = studio.made_film()
    keyframe, clip = record(folder, "storyboard/006.json"), record(folder, "shots/006.json")
    assert keyframe["inputs"]["prompt"] == CAPTIONS[5]
    assert keyframe["inputs"]["revision"] == FACTS.revision
    assert keyframe["licence"] == "Apache-2.0"
    assert [use["number"] for use in keyframe["memory"]] == [3, 4]
    assert [use["rows"] for use in keyframe["memory"]] == [2, 4]
    assert keyframe["synthetic"] is True
    assert keyframe["seconds_taken"] >= 0
    assert keyframe["memory"][0]["sha256"] == record(folder, "storyboard/003.json")["sha256"]
    assert clip["inputs"]["keyframe"] == keyframe["sha256"]
    assert clip["shown"] == [3, 4]
    assert clip["frames"] == 12
    assert {"captain-cinema", "python", "av"} <= set(clip["versions"])


# --- one caption changes ---


@pytest.mark.parametrize(
    ("number", "caption", "redone"),
    [
        (1, "<Mara> sits in a forest.", {1, 3, 6}),
        (2, "<Bo> bows on a beach.", {2, 4, 6}),
        (3, "<Mara> runs left.", {3, 6}),
        (5, "A quiet harbour.", {5}),
        (6, "<Mara> and <Bo> clap.", {6}),
    ],
)
def test_an_edited_caption_redoes_what_depends_on_it_and_nothing_else(
    studio: Studio, number: int, caption: str, redone: set[int]
) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    captions = [*CAPTIONS]
    captions[number - 1] = caption
    rewrite(folder, *captions)
    promised = {n for n, state in enumerate(states(studio, folder), 1) if "stale" in state}
    assert promised == redone
    run = studio.run("make", folder, "--json")
    assert set(run.data["keyframes"]["made"]) == redone
    assert set(run.data["clips"]["made"]) == redone
    names = {f"storyboard/{n:03d}.png" for n in redone} | {f"shots/{n:03d}.mp4" for n in redone}
    assert set(changed(before, frames_of(folder))) == names | {"film.mp4", "film.otio", "contact-sheet.png"}
    fresh = studio.made_film("fresh", captions)
    assert frames_of(fresh) == frames_of(folder), "the same as a film made at once"
    assert studio.run("make", folder).backends == []


def test_status_says_why(studio: Studio) -> None:
    folder = studio.made_film()
    rewrite(folder, "<Mara> sits in a forest.", *CAPTIONS[1:])
    shots = studio.run("status", folder, "--json").data["shots"]
    assert shots[0]["keyframe"] == {"state": "stale", "why": "its words changed"}
    assert shots[2]["keyframe"] == {"state": "stale", "why": "it saw shot 1, which is stale"}
    assert shots[1]["keyframe"]["state"] == "check"
    assert shots[2]["clip"] == {"state": "stale", "why": "its keyframe is stale"}
    text = studio.run("status", folder).out
    assert "keyframe: its words changed" in text
    assert "saw 3 and 4" in text
    assert f"seed {shots[0]['seed']}" in text
    assert "film: stale" in text


def test_a_longer_shot_keeps_its_keyframe(studio: Studio) -> None:
    folder = studio.made_film()
    path = folder / "script.yaml"
    path.write_text(path.read_text("utf-8").replace("seconds: 1", "seconds: 2", 1), "utf-8")
    run = studio.run("make", folder, "--json")
    assert (run.data["keyframes"]["made"], run.data["clips"]["made"]) == ([], [1])
    assert run.data["seconds"] == 7


def test_a_pin_enters_the_memory(studio: Studio) -> None:
    folder = studio.made_film()
    path = folder / "script.yaml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("'A quiet street.'\n", "'A quiet street.'\n    pins: [2]\n"), "utf-8")
    run = studio.run("make", folder, "--json")
    assert run.data["keyframes"]["made"] == [5]
    (use,) = record(folder, "storyboard/005.json")["memory"]
    assert (use["number"], use["pinned"]) == (2, True)


def test_other_weights_make_everything_stale(studio: Studio) -> None:
    folder = studio.made_film()
    studio.facts = dataclasses.replace(FACTS, revision="fake-2")
    assert states(studio, folder) == ["stale/stale"] * 6
    assert studio.run("make", folder, "--json").data["keyframes"]["made"] == [1, 2, 3, 4, 5, 6]


# --- shots come, go and move ---


def test_a_shot_put_in_between_leaves_the_others_as_they_are(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    rewrite(folder, *CAPTIONS[:2], "A cat on a roof.", *CAPTIONS[2:])
    assert states(studio, folder)[2] == "missing/missing"
    run = studio.run("make", folder, "--json")
    assert run.data["keyframes"]["made"] == run.data["clips"]["made"] == [3]
    after = frames_of(folder)
    for old, new in ((1, 1), (2, 2), (3, 4), (6, 7)):
        assert before[f"storyboard/{old:03d}.png"] == after[f"storyboard/{new:03d}.png"]
        assert before[f"shots/{old:03d}.mp4"] == after[f"shots/{new:03d}.mp4"]
    assert [use["number"] for use in record(folder, "storyboard/007.json")["memory"]] == [4, 5]
    assert studio.run("make", folder).backends == []


def test_a_shot_taken_out_is_kept_among_the_takes(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    rewrite(folder, *CAPTIONS[:4], CAPTIONS[5])
    run = studio.run("make", folder, "--json")
    assert (run.drawn, run.shot) == ([], []), "shot 5 was in nobody's memory"
    assert run.data["keyframes"]["made"] == []
    assert len(run.data["shots"]) == 5
    assert not (folder / "shots" / "006.mp4").exists()
    kept = {path.name for path in (folder / "takes").iterdir()}
    assert f"005-{before['storyboard/005.png'][:8]}.png" in kept
    assert f"005-{before['shots/005.mp4'][:8]}.mp4" in kept


# --- files that the user, or bad luck, changed ---


def test_a_keyframe_put_in_by_hand_is_kept_and_seen_by_later_shots(studio: Studio) -> None:
    folder = studio.made_film()
    Image.new("RGB", (640, 360), (250, 200, 20)).save(folder / "storyboard" / "003.png")
    mine = (folder / "storyboard" / "003.png").read_bytes()
    assert states(studio, folder)[2] == "by hand/stale"
    run = studio.run("make", folder, "--json")
    assert run.data["keyframes"]["made"] == [6]
    assert run.data["keyframes"]["by_hand"] == [3]
    assert run.data["clips"]["made"] == [3, 6]
    assert (folder / "storyboard" / "003.png").read_bytes() == mine
    assert studio.run("make", folder, "--seed", 8, "--json").data["keyframes"]["by_hand"] == [3]
    assert (folder / "storyboard" / "003.png").read_bytes() == mine
    assert states(studio, folder)[2] == "by hand/done"


def test_a_keyframe_may_be_there_before_the_first_run(studio: Studio) -> None:
    folder = studio.film()
    (folder / "storyboard").mkdir()
    Image.new("L", (100, 100), 90).save(folder / "storyboard" / "001.png")
    run = studio.run("make", folder, "--json")
    assert run.data["keyframes"]["by_hand"] == [1]
    assert run.data["keyframes"]["made"] == [2, 3, 4, 5, 6]


def test_a_clip_put_in_by_hand_is_kept_and_cut(studio: Studio) -> None:
    from captain_cinema.project.clips import read_clip, write_clip

    folder = studio.made_film()
    frames = [frame for _, frame in read_clip(folder / "shots" / "002.mp4")]
    write_clip(folder / "shots" / "005.mp4", [*frames, *frames], fps=24)
    run = studio.run("make", folder, "--json")
    assert run.data["clips"]["by_hand"] == [5]
    assert run.data["clips"]["made"] == []
    assert run.data["written"] == ["film.mp4", "film.otio"]
    assert sum(1 for _ in read_clip(folder / "film.mp4")) == 6 * 12 == round(run.data["seconds"] * 12)


@pytest.mark.parametrize("name", ["storyboard/003.png", "shots/003.mp4"])
@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "no record", "spoilt record"])
def test_a_damaged_file_is_made_again_as_it_was(studio: Studio, name: str, damage: str) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    path = folder / name
    data = path.read_bytes()
    spoilt = {"cut": data[: len(data) // 2], "empty": b"", "flipped": data[:-90] + b"\xff" * 40 + data[-50:]}
    if damage in spoilt:
        path.write_bytes(spoilt[damage])
        shot = studio.run("status", folder, "--json").data["shots"][2]
        assert "damaged" in (shot["keyframe"]["state"], shot["clip"]["state"])
    elif damage == "spoilt record":
        path.with_suffix(".json").write_text('{"sha256": "')
    else:
        path.unlink()
    run = studio.run("make", folder, "--json")
    assert run.code == 0
    assert frames_of(folder) == before
    assert len(run.drawn) + len(run.shot) == 1, "and nothing else is"


def test_a_missing_or_foreign_film_folder_file_is_no_matter(studio: Studio) -> None:
    folder = studio.made_film()
    (folder / "storyboard" / "notes.txt").write_text("mine")
    (folder / ".cinema.json").unlink()
    run = studio.run("cut", folder)
    assert "was not written by the film" in run.fault, (
        "with its memory gone, it cannot know the film as its own"
    )
    (folder / "film.mp4").unlink()
    run = studio.run("make", folder, "--json")
    assert (run.drawn, run.shot) == ([], [])


def test_what_is_replaced_is_kept_among_the_takes(studio: Studio) -> None:
    folder = studio.made_film()
    before = frames_of(folder)
    rewrite(folder, *CAPTIONS[:4], "A quiet harbour.", CAPTIONS[5])
    studio.run("make", folder)
    kept = {path.name for path in (folder / "takes").iterdir()}
    assert kept == {
        f"005-{before[name][:8]}{suffix}"
        for name, suffix in (
            ("storyboard/005.png", ".png"),
            ("storyboard/005.png", ".json"),
            ("shots/005.mp4", ".mp4"),
            ("shots/005.mp4", ".json"),
        )
    }


# --- parts of a film ---


def test_a_limit_makes_the_first_shots_and_a_later_run_the_rest(studio: Studio) -> None:
    folder = studio.film()
    run = studio.run("make", folder, "--limit", 2, "--json")
    assert run.data["shots"] == [1, 2]
    assert states(studio, folder) == ["done/done"] * 2 + ["missing/missing"] * 4
    studio.run("make", folder)
    assert frames_of(folder) == frames_of(studio.made_film("fresh"))


def test_the_stages_one_by_one_make_the_same_film(studio: Studio) -> None:
    folder = studio.film()
    assert "cinema storyboard" in studio.run("shoot", folder).fault
    assert "cinema shoot" in studio.run("cut", folder).fault
    assert studio.run("storyboard", folder, "--limit", 3, "--json").data["keyframes"]["made"] == [1, 2, 3]
    shot = studio.run("shoot", folder, "--json").data["clips"]
    assert (shot["made"], shot["without_keyframe"]) == ([1, 2, 3], [4, 5, 6])
    assert studio.run("cut", folder, "--json").data["left_out"] == [4, 5, 6]
    for stage in ("storyboard", "shoot", "cut"):
        assert studio.run(stage, folder).code == 0
    assert frames_of(folder) == frames_of(studio.made_film("fresh"))


def test_a_damaged_clip_stops_the_cut_with_its_name(studio: Studio) -> None:
    folder = studio.made_film()
    (folder / "shots" / "004.mp4").write_bytes(b"")
    assert "shots/004.mp4 is damaged" in studio.run("cut", folder).fault


# --- what is said ---


def test_time_is_spoken() -> None:
    assert [spoken_time(t) for t in (0.04, 9.94, 59, 200, 7500)] == [
        "0.0 s",
        "9.9 s",
        "59 s",
        "3 min 20 s",
        "2 h 5 min",
    ]


def test_progress_is_plain_lines_off_a_terminal_and_a_bar_on_one() -> None:
    import io

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    for stream, mark in ((io.StringIO(), "keyframes 2/2: b"), (Terminal(), "2/2 shots [")):
        report = Reporter(stream)
        with report.stage("keyframes", 2) as stage:
            stage.step("a")
            report.say("a word between")
            stage.step("b")
        assert mark in stream.getvalue()
        assert "a word between" in stream.getvalue()
