"""`cinema shoot`: methods, workers, other backends, and what cannot be filmed."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest
import shooting
from filmmaking import CAPTIONS, Studio, changed, frames_of, record, states
from PIL import Image
from ray_cluster import local_ray

from captain_cinema import presets
from captain_cinema.pipeline import filming
from captain_cinema.project.clips import read_clip
from captain_cinema.project.methods import METHODS, block_of, together
from captain_cinema.project.sound import has_sound


@pytest.fixture
def studio(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Studio:
    monkeypatch.setattr(presets, "load_backend", shooting.load)
    return studio


def script(folder: Path, *shots: str, top: str = "") -> None:
    text = "".join(f"- caption: {words.partition('|')[0]!r}\n  seconds: 1\n" + more(words) for words in shots)
    (folder / "script.yaml").write_text(f"title: T\n{top}shots:\n{text}", "utf-8")


def more(words: str) -> str:
    return "".join(f"  {line.strip()}\n" for line in words.partition("|")[2].split(";") if line.strip())


# --- methods ---


def test_blocks_are_always_the_same() -> None:
    assert [len(block_of(number, "lct", 12)) for number in (1, 8, 9, 12)] == [8, 8, 4, 4]
    assert block_of(3, "ic-lora-i2v", 12) == range(1, 13)
    assert block_of(3, "ours", 12) == range(3, 4)
    asked = [(f"shot {n}", n, 2.0) for n in range(12)]
    first, longer = together("lct", asked), together("lct", [*asked[:11], ("other", 1, 2.0)])
    assert first[:8] == longer[:8]
    assert first[8:] != longer[8:]
    assert set(together("ours", asked)) == {""}


@pytest.mark.parametrize("method", [name for name in METHODS if name != "ours"])
def test_a_method_is_kept_for_later_runs_and_taken_back(studio: Studio, method: str) -> None:
    folder = studio.made_film(captions=CAPTIONS[:3])
    ours = frames_of(folder)
    assert studio.run("shoot", folder, "--method", method).code == 0
    assert states(studio, folder) == ["done/done"] * 3
    other = frames_of(folder)
    clips = [f"shots/{n:03d}.mp4" for n in (1, 2, 3)]
    # The first shot has no earlier keyframe to be shown, so alone it comes out as it was.
    assert set(changed(ours, other)) - {"composite.png"} >= set(clips[2:])
    assert record(folder, "shots/003.json")["inputs"]["method"] == method
    assert studio.run("shoot", folder).code == 0
    assert frames_of(folder) == other, "and the next run films nothing again"
    assert studio.run("shoot", folder, "--method", "ours").code == 0
    back = frames_of(folder)
    assert {name: back[name] for name in clips} == {name: ours[name] for name in clips}
    assert list((folder / "takes").glob("*.mp4")), "what was replaced is kept"


def test_shots_of_a_block_depend_on_each_other(studio: Studio) -> None:
    folder = studio.made_film(captions=CAPTIONS[:3])
    assert studio.run("shoot", folder, "--method", "lct").code == 0
    before = frames_of(folder)
    text = (folder / "script.yaml").read_text("utf-8")
    (folder / "script.yaml").write_text(text.replace(CAPTIONS[1], "<Bo> sleeps."), "utf-8")
    assert [state.partition("/")[2] for state in states(studio, folder)] == ["stale"] * 3
    assert studio.run("shoot", folder).code == 0
    assert set(changed(before, frames_of(folder))) >= {"shots/001.mp4", "shots/002.mp4", "shots/003.mp4"}


def test_a_part_of_a_block_is_the_part_of_the_whole(studio: Studio) -> None:
    one, two = studio.film("one", CAPTIONS[:4]), studio.film("two", CAPTIONS[:4])
    for method in ("lct", "ic-lora-i2v"):
        assert studio.run("shoot", one, "--method", method, "--limit", 2).code == 0
        assert studio.run("shoot", one).code == 0
        assert studio.run("shoot", two, "--method", method).code == 0
        assert frames_of(one) == frames_of(two)


# --- workers ---


def test_two_workers_make_the_film_that_one_makes(studio: Studio) -> None:
    one, two = studio.film("one", CAPTIONS[:4]), studio.film("two", CAPTIONS[:4])
    for folder, workers in ((one, 1), (two, 2)):
        assert studio.run("storyboard", folder).code == 0
        assert studio.run("shoot", folder, "--workers", workers).code == 0
        assert studio.run("cut", folder).code == 0
    assert frames_of(one) == frames_of(two)
    assert not list(two.rglob(".*.part"))


def test_a_worker_that_dies_is_one_line_and_the_next_run_goes_on(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison = studio.home / "poison"
    poison.touch()
    monkeypatch.setenv(shooting.DIE, str(poison))
    folder = studio.film(captions=[CAPTIONS[0], "<Bo> is doomed.", CAPTIONS[2]])
    assert studio.run("storyboard", folder).code == 0
    fault = studio.run("shoot", folder, "--workers", 2).fault
    assert "a worker process died 2 times" in fault
    assert "--workers" in fault
    assert not list(folder.rglob(".*.part"))
    done = {name for name in frames_of(folder) if name.endswith(".mp4")}
    assert "shots/002.mp4" not in done
    assert done, "what was finished is kept"
    poison.unlink()
    run = studio.run("shoot", folder, "--workers", 2, "--json")
    assert run.code == 0
    assert 2 in run.data["clips"]["made"]
    assert len(run.data["clips"]["kept"]) == len(done)


@pytest.mark.filterwarnings("ignore")  # Ray's own, of which there are many
def test_ray_makes_the_same_film(studio: Studio) -> None:
    one, two = studio.film("one", CAPTIONS[:2]), studio.film("two", CAPTIONS[:2])
    with local_ray(Path(__file__).parent):
        for folder, more in ((one, ()), (two, ("--ray", "local", "--workers", 2))):
            assert studio.run("storyboard", folder).code == 0
            assert studio.run("shoot", folder, *more).code == 0
    assert frames_of(one) == frames_of(two)


def test_each_worker_has_a_gpu_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    for name in ("nvidia0", "nvidia1", "nvidia10", "nvidiactl"):
        (tmp_path / name).touch()
    assert filming.visible_gpus(tmp_path) == ["0", "1", "10"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 5")
    assert filming.visible_gpus(tmp_path) == ["3", "5"]


# --- a disk that fills ---


def test_a_disk_that_fills_in_the_middle_keeps_what_is_finished(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = studio.film(captions=CAPTIONS[:4])
    assert studio.run("storyboard", folder).code == 0
    real: Callable[..., int] = filming.write_clip
    written: list[Path] = []

    def full(path: Path, *args: Any, **kwargs: Any) -> int:
        written.append(path)
        if len(written) == 3:
            path.write_bytes(b"half a clip")
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(filming, "write_clip", full)
    assert "the disk is full" in studio.run("shoot", folder).fault
    assert sorted(path.name for path in (folder / "shots").iterdir()) == [
        "001.json",
        "001.mp4",
        "002.json",
        "002.mp4",
    ]
    run = studio.run("shoot", folder, "--json")
    assert run.data["clips"]["kept"] == [1, 2]
    assert run.data["clips"]["made"] == [3, 4]


# --- keyframes of all kinds ---


def test_keyframes_that_cannot_be_used_cost_their_own_shot_alone(studio: Studio) -> None:
    folder = studio.film(captions=CAPTIONS[:6])
    assert studio.run("storyboard", folder).code == 0
    board = folder / "storyboard"
    (board / "002.png").unlink()
    Image.new("RGB", (300, 90), "red").save(board / "003.png")
    stills = [Image.new("RGB", (32, 16), colour) for colour in ("red", "blue")]
    stills[0].save(board / "004.png", save_all=True, append_images=stills[1:])
    Image.new("1", (9000, 8000)).save(board / "005.png")
    run = studio.run("shoot", folder, "--json")
    assert run.code == 0
    assert "no keyframe yet, so not shot: 2" in run.err
    assert "shot 4 not shot: " in run.err
    assert "an animation of 2 pictures" in run.err
    assert "shot 5 not shot: " in run.err
    assert "9000 x 8000" in run.err
    assert run.data["clips"]["made"] == [1, 3, 6]
    assert next(iter(read_clip(folder / "shots" / "003.mp4")))[1].shape == (16, 32, 3)
    with Image.open(board / "004.png") as kept:
        assert getattr(kept, "n_frames", 1) == 2, "and nothing of the user's is touched"


@pytest.mark.parametrize("seconds", ["0", "600", "0.5"])
def test_a_shot_of_no_time_or_of_ten_minutes(studio: Studio, seconds: str) -> None:
    folder = studio.made_film(captions=CAPTIONS[:2])
    before = frames_of(folder)
    text = (folder / "script.yaml").read_text("utf-8")
    (folder / "script.yaml").write_text(text.replace("seconds: 1", f"seconds: {seconds}", 1), "utf-8")
    assert "seconds" in studio.run("shoot", folder).fault
    assert frames_of(folder) == before


def test_more_shots_than_a_composite_has_panels(studio: Studio) -> None:
    folder = studio.film(captions=[f"shot {n}" for n in range(65)])
    fault = studio.run("shoot", folder, "--method", "ic-lora-i2v").fault
    assert "64 panels" in fault
    assert "--method ours or lct" in fault


# --- what the backend cannot do ---


@pytest.mark.parametrize(
    ("shot", "top", "words"),
    [
        ("a|last_keyframe: end.png", "", ("shot 2", "ends on a picture", "wan2.2-i2v-a14b can")),
        ("a|sound: waves", "", ("shot 2", "makes no sound", "ltx-2 can")),
        ("a|handles: 3.5", "", ("shot 2", "lasts 4.5 s", "wan2.2-ti2v-5b can")),
        ("a", "size: 1280x640\n", ("shot 1", "1280x640", "32x16 alone", "wan2.2-ti2v-5b can")),
    ],
)
def test_what_the_backend_cannot_do_is_refused_before_any_work(
    studio: Studio, shot: str, top: str, words: tuple[str, ...]
) -> None:
    folder = studio.film()
    script(folder, "first", shot, top=top)
    for command in ("make", "shoot"):
        fault = studio.run(command, folder).fault
        assert all(word in fault for word in words), fault
    assert not (folder / "storyboard").exists()
    assert studio.backends == []


def test_choices_that_do_not_work_are_one_line(studio: Studio) -> None:
    folder = studio.film(captions=CAPTIONS[:1])
    (studio.home / "weights").mkdir()
    faults = {
        ("--method", "theirs"): "no method 'theirs'; use ours or alone",
        ("--backend", "sora"): "no shot backend 'sora'",
        ("--backend", "ltx-2"): "give the folder of Lightricks/LTX-2 with --shot-weights",
        ("--backend", "ltx-2", "--shot-weights", "gone"): "are not in",
        ("--backend", "ltx-2", "--shot-weights", "weights"): "then give --accept-licence",
        ("--shot-weights", "weights"): "name it too, with --backend",
        ("--backend", "wan2.1-vace-14b", "--shot-weights", "weights", "--method", "lct"): "embedded models",
        ("--workers", "0"): "--workers 0",
    }
    for options, words in faults.items():
        assert words in studio.run("shoot", folder, *options).fault, options
    assert json.loads((folder / ".cinema.json").read_text())["backend"] == ""


def test_a_named_backend_films_with_its_own_size_and_sound(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from captain_cinema.shots import backends

    monkeypatch.setattr(backends, "load_shot_backend", shooting.load_named)
    (studio.home / "weights").mkdir()
    folder = studio.film()
    script(
        folder, "one", "two|transition: cross-fade", "three|sound: waves", top="size: 128x64\nending: fade\n"
    )
    assert studio.run("shoot", folder).fault, "the preset's own cannot"
    text = (folder / "script.yaml").read_text("utf-8")
    (folder / "script.yaml").write_text(text.replace("size: 128x64\n", "").replace("  sound: waves\n", ""))
    assert studio.run("storyboard", folder).code == 0
    (folder / "script.yaml").write_text(text)
    options = ("--backend", "ltx-2", "--shot-weights", "weights", "--accept-licence")
    assert studio.run("shoot", folder, *options).code == 0
    assert studio.run("cut", folder).code == 0
    clip = folder / "shots" / "001.mp4"
    frames = list(read_clip(clip))
    assert len(frames) == 36, "one second, and half of one to fade over"
    assert frames[0][1].shape == (64, 128, 3)
    assert has_sound(clip)
    assert has_sound(folder / "film.mp4")
    seen = [frame for _, frame in read_clip(folder / "film.mp4")]
    assert len(seen) == 72
    assert np.mean(seen[-1]) < 0.2 * np.mean(seen[50])
    timeline = otio.adapters.read_from_file(str(folder / "film.otio"))
    assert [track.kind for track in timeline.tracks] == ["Video", "Audio"]
    assert timeline.tracks[0][0].available_range().duration.value == 36
    told = record(folder, "shots/001.json")
    assert told["licence"] == "LTX-2 Community License"
    assert told["sound"] is True
    assert states(studio, folder)[0].endswith("/done")
    assert studio.run("shoot", folder).code == 0, "the licence was agreed to once"
    assert studio.run("shoot", folder, "--backend", "embedded").fault, "which cannot do what the script asks"
    assert studio.run("shoot", folder).code == 0, "and what cannot film the script is not kept"
