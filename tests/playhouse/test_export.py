"""A playhouse film as files."""

import json
import os
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from captain_cinema.errors import AbilityError, ProjectError
from captain_cinema.playhouse import export, render, story
from captain_cinema.script import load_script, shot_prompt

HEIGHT = 64


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("playhouse") / "deep" / "film"
    export.write_film(folder, seed=11, shots=4, height=HEIGHT)
    return folder


def write(folder: Path, *, shots: int = 1) -> dict:
    return export.write_film(folder, seed=2, shots=shots, height=export.MIN_HEIGHT)


def test_the_folder_holds_what_is_promised(made: Path) -> None:
    assert sorted(path.relative_to(made).as_posix() for path in made.rglob("*")) == [
        "film.mp4",
        "frames",
        "frames/000.png",
        "frames/001.png",
        "frames/002.png",
        "frames/003.png",
        "script.yaml",
        "truth.json",
    ]


def test_keyframes_are_the_renderer_s_own(made: Path) -> None:
    film = story.film(11, shots=4)
    for number, shot in enumerate(film.shots):
        frame = cv2.imread(str(made / "frames" / f"{number:03d}.png"))
        assert frame is not None
        np.testing.assert_array_equal(frame[:, :, ::-1], render.draw(shot.state, height=HEIGHT))


def test_the_film_plays_every_shot_in_motion(made: Path) -> None:
    film = story.film(11, shots=4)
    with av.open(str(made / "film.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (2 * HEIGHT, HEIGHT)
        assert stream.codec_context.name == "h264"
        assert stream.pix_fmt == "yuv420p"
        assert stream.average_rate == export.FRAME_RATE
        assert "synthetic" in container.metadata["comment"]
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == sum(round(shot.seconds * export.FRAME_RATE) for shot in film.shots)
    start = 0
    for shot in film.shots:
        drawn = render.draw(story.frame_state(shot, 0.5), height=HEIGHT)
        shown = frames[start + export.FRAME_RATE // 2]
        assert np.abs(shown.astype(int) - drawn).mean() < 8
        start += round(shot.seconds * export.FRAME_RATE)


def test_the_script_is_one_that_cinema_reads(made: Path) -> None:
    film = story.film(11, shots=4)
    script = load_script(made / "script.yaml")
    assert script.title == film.title
    assert [member.name for member in script.cast] == [member.name for member in film.cast]
    assert [shot.seconds for shot in script.shots] == [shot.seconds for shot in film.shots]
    assert [shot.framing for shot in script.shots] == [shot.state.framing for shot in film.shots]
    prompt = shot_prompt(script, 1)
    assert script.cast[0].description in prompt
    assert prompt.lower().count(" shot") <= 1


def test_the_truth_says_who_is_where(made: Path) -> None:
    film = story.film(11, shots=4)
    told = json.loads((made / "truth.json").read_text("utf-8"))
    assert told["seed"] == 11
    assert told["split"] == "train"
    assert [member["splits"] for member in told["cast"]] == [{"name": "train", "look": "train"}] * len(
        film.cast
    )
    for shot, said in zip(film.shots, told["shots"], strict=True):
        assert said["caption"] == shot.caption
        assert said["matters"] == [index + 1 for index in shot.matters]
        for index, pose in enumerate(said["state"]["poses"]):
            assert pose["character"] == shot.names[index]
            box = render.figure_box(shot.state, index, height=HEIGHT)
            assert pose["box"] == (None if box is None else list(box))
    look = next(iter(told["cast"]))["look"]
    assert set(look) == set(film.cast[0].look.__dataclass_fields__)


def test_the_same_call_writes_the_same_bytes_over_its_own_folder(tmp_path: Path) -> None:
    first = write(tmp_path / "film", shots=2)
    before = {path.name: path.read_bytes() for path in (tmp_path / "film").rglob("*") if path.is_file()}
    assert write(tmp_path / "film", shots=2) == first
    after = {path.name: path.read_bytes() for path in (tmp_path / "film").rglob("*") if path.is_file()}
    assert before == after


def test_a_shorter_film_leaves_no_old_frames(tmp_path: Path) -> None:
    write(tmp_path, shots=2)
    write(tmp_path, shots=1)
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["000.png"]


def test_somebody_else_s_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "truth.json").write_text('{"maker": "someone"}')
    (tmp_path / "film.mp4").write_bytes(b"mine")
    with pytest.raises(ProjectError, match="holds other files; choose a new or empty folder"):
        write(tmp_path)
    assert (tmp_path / "film.mp4").read_bytes() == b"mine"
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "film").write_text("a story")
    with pytest.raises(ProjectError, match="is a file; choose a new folder"):
        write(tmp_path / "film")


def test_a_full_or_read_only_disk_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(ProjectError, match="No space left") as caught:
        write(tmp_path / "film")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "film").rglob("*.part*"))


@pytest.mark.parametrize("height", [0, -2, 63, 30, 20_000])
def test_impossible_heights_are_refused_before_anything_is_written(height: int, tmp_path: Path) -> None:
    with pytest.raises(AbilityError, match="choose an even height"):
        export.write_film(tmp_path / "film", seed=1, shots=1, height=height)
    assert not (tmp_path / "film").exists()


def test_progress_counts_shots(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    made = export.write_film(
        tmp_path / "film", seed=1, shots=2, height=32, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 2), (2, 2)]
    assert made["frames"] == made["seconds"] * export.FRAME_RATE
