"""The film folder: finished files, what a kill leaves, state, identities, edits of the script."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from killing import die_at_rename

from captain_cinema.errors import ProjectError
from captain_cinema.project.clips import is_clip, read_clip, write_clip
from captain_cinema.project.files import keep_take, look, publish, recover, sha256_file
from captain_cinema.project.folder import FilmFolder, check_output, claim_output, locked, new_film, open_film
from captain_cinema.project.pictures import SOURCE_TYPE, is_picture, read_picture, write_picture
from captain_cinema.project.state import FilmState, load_state, save_state, stable_seed


def write(text: str):
    return lambda part: part.write_text(text)


# --- finished files ---


def test_a_published_file_is_finished(tmp_path: Path) -> None:
    media = tmp_path / "storyboard" / "003.png"
    publish(media, write("picture"), {"seed": 7})
    finding = look(media)
    assert finding.finished
    assert finding.record is not None
    assert finding.record["seed"] == 7
    assert finding.record["sha256"] == sha256_file(media)
    assert sorted(path.name for path in media.parent.iterdir()) == ["003.json", "003.png"]


@pytest.mark.parametrize("moment", ["media", "record"])
def test_a_kill_at_either_rename_leaves_old_or_new_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    media = tmp_path / "003.png"
    publish(media, write("old"), {"take": 1})
    die_at_rename(monkeypatch, 0 if moment == "media" else 1)
    with pytest.raises(SystemExit):
        publish(media, write("new"), {"take": 2})
    monkeypatch.undo()
    wanted = "old" if moment == "media" else "new"
    before = look(media)
    recover(tmp_path)
    for finding in (before, look(media)):
        assert finding.finished
        assert finding.record is not None
        assert (media.read_text(), finding.record["take"]) == (wanted, 1 if wanted == "old" else 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["003.json", "003.png"]


def test_a_write_that_fails_leaves_no_part_behind(tmp_path: Path) -> None:
    media = tmp_path / "003.png"
    publish(media, write("old"), {})

    def full(part: Path) -> None:
        part.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        publish(media, full, {})
    assert look(media).finished
    assert sorted(path.name for path in tmp_path.iterdir()) == ["003.json", "003.png"]


def test_another_file_in_its_place_is_not_finished(tmp_path: Path) -> None:
    media = tmp_path / "003.png"
    publish(media, write("ours"), {})
    media.write_text("theirs")
    assert look(media).exists
    assert not look(media).finished


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"sha256": 3}', "[" * 100_000, "\xff"])
def test_a_damaged_record_is_no_record(tmp_path: Path, text: str) -> None:
    media = tmp_path / "003.png"
    media.write_text("picture")
    (tmp_path / "003.json").write_text(text, "latin-1")
    assert not look(media).finished


def test_a_kept_take_is_found_by_its_hash(tmp_path: Path) -> None:
    media = tmp_path / "003.png"
    publish(media, write("first"), {"seed": 1})
    kept = keep_take(media, tmp_path / "takes")
    assert kept == keep_take(media, tmp_path / "takes")
    assert kept is not None
    assert kept.read_text() == "first"
    assert look(kept).finished


# --- pictures and clips ---


def frame(seed: int = 0, height: int = 16) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(
        rng.integers(0, 256, (4, 8, 3), np.uint8), np.ones((height // 4, height // 4, 1), np.uint8)
    )


def test_a_picture_comes_back_bit_for_bit_and_says_it_is_synthetic(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_picture(tmp_path / name, frame())
    assert np.array_equal(read_picture(tmp_path / "a.png"), frame())
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert SOURCE_TYPE.encode() in (tmp_path / "a.png").read_bytes()


def test_a_picture_of_any_shape_is_brought_to_size(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGBA", (31, 90), (200, 10, 10, 255)).save(tmp_path / "tall.png")
    fitted = read_picture(tmp_path / "tall.png", height=16, width=32)
    assert fitted.shape == (16, 32, 3)
    assert tuple(fitted[8, 16]) == (200, 10, 10)


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "flipped"])
def test_a_damaged_picture_is_known(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.png"
    write_picture(path, frame())
    data = path.read_bytes()
    at = data.index(b"IDAT") + 8
    spoilt = {
        "empty": b"",
        "cut": data[:-60],
        "text": b"hello",
        "flipped": data[:at] + b"\x00\xff" + data[at + 2 :],
    }
    path.write_bytes(spoilt[damage])
    assert not is_picture(path)
    with pytest.raises(ProjectError, match="damaged"):
        read_picture(path)


def test_a_clip_is_deterministic_faithful_and_marked(tmp_path: Path) -> None:
    import av

    frames = [frame(seed, 32) for seed in range(5)]
    for name in ("a.mp4", "b.mp4"):
        assert write_clip(tmp_path / name, frames, fps=12) == 5
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    back = list(read_clip(tmp_path / "a.mp4"))
    assert [round(time * 12) for time, _ in back] == [0, 1, 2, 3, 4]
    assert np.abs(back[3][1].mean((0, 1)) - frames[3].mean((0, 1))).max() < 4
    with av.open(str(tmp_path / "a.mp4")) as container:
        video = container.streams.video[0]
        assert SOURCE_TYPE in container.metadata["comment"]
        assert (video.codec_context.name, video.pix_fmt) == ("h264", "yuv420p")
        assert float(video.average_rate or 0) == 12
    data = (tmp_path / "a.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat"), "a browser must not need the whole file to begin"


@pytest.mark.parametrize("colour", [(200, 30, 30), (30, 200, 30), (20, 20, 220), (255, 255, 255)])
def test_colours_survive_a_clip(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    flat = np.broadcast_to(np.array(colour, np.uint8), (32, 64, 3)).copy()
    write_clip(tmp_path / "a.mp4", [flat], fps=12)
    ((_, back),) = read_clip(tmp_path / "a.mp4")
    assert np.abs(back.astype(int) - flat).max() <= 3


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9])
def test_a_cut_off_clip_is_known(tmp_path: Path, keep: float) -> None:
    path = tmp_path / "a.mp4"
    write_clip(path, [frame(seed, 32) for seed in range(12)], fps=12)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    assert not is_clip(path)


# --- state ---


def test_state_comes_back(tmp_path: Path) -> None:
    state = FilmState(seed=9, takes={"3": 2}, shots=((1, "aa"), (4, "bb")), next_id=5, outputs={"x": ("h",)})
    save_state(tmp_path / "s.json", state)
    assert load_state(tmp_path / "s.json") == state
    assert load_state(tmp_path / "none.json") == FilmState()


@pytest.mark.parametrize(
    "text", ["", "{", '{"seed": []}', '{"shots": [[1]]}', '{"takes": 3}', '{"seed": 1e999}']
)
def test_a_damaged_state_is_one_clear_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ProjectError, match="damaged; delete it"):
        load_state(tmp_path / "s.json")


def test_seeds_are_stable_and_differ() -> None:
    assert stable_seed("film", 0, 1, "keyframe", 1) == 3_106_315_224_944_511_200
    seeds = {stable_seed("film", film, shot, "clip", 1) for film in range(20) for shot in range(20)}
    assert len(seeds) == 400
    assert all(0 <= seed < 2**63 for seed in seeds)


# --- folders ---


def test_folders_that_are_no_film(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("x")
    for name, words in (("gone", "not there"), ("file", "is a file"), ("photos", "no script.yaml")):
        with pytest.raises(ProjectError, match=words):
            open_film(tmp_path / name)
    for name, words in (("file", "is a file"), ("photos", "cat.jpg")):
        with pytest.raises(ProjectError, match=words):
            new_film(tmp_path / name)
    assert new_film(tmp_path / "a" / "b").path.is_dir()


def test_one_run_at_a_time(tmp_path: Path) -> None:
    folder = FilmFolder(path=tmp_path)
    with locked(folder), pytest.raises(ProjectError, match="another run"), locked(folder):
        pass
    with locked(folder):
        pass


def test_only_what_the_film_wrote_is_overwritten(tmp_path: Path) -> None:
    folder, state = FilmFolder(path=tmp_path / "film"), FilmState()
    folder.path.mkdir()
    output = tmp_path / "out.mp4"
    check_output(folder, state, output)
    output.write_text("holiday")
    with pytest.raises(ProjectError, match=r"was not written by the film"):
        check_output(folder, state, output)
    check_output(folder, claim_output(folder, state, output, sha256_file(output)), output)
    with pytest.raises(ProjectError, match="is a folder"):
        check_output(folder, state, tmp_path)
    with pytest.raises(ProjectError, match="is a file"):
        check_output(folder, state, output / "film.mp4")
    with pytest.raises(ProjectError, match=r"\.mp4"):
        check_output(folder, state, tmp_path / "film.avi")
