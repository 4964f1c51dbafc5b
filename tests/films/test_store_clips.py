"""Shots in motion: by reference, and encoded again for training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from drawn import FPS, picture, write_film
from stored import SETTINGS

from captain_cinema.cli import main
from captain_cinema.films.records import Crop, FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.store.clips import ClipSettings, clip_frames, clips, encode_clips
from captain_cinema.films.store.paths import DatasetError
from captain_cinema.films.store.pictures import resize
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.verify import verify
from captain_cinema.films.store.writer import FilmWriter, clean, create_dataset

LENGTHS = (6, 14, 9)
SIZE = (160, 90)
CROP = Crop(left=0, top=4, width=160, height=80)
SMALL = ClipSettings(height=64, fps=FPS)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A film of three shots; the second one kept no keyframe."""
    path = write_film(tmp_path / "film.mp4", seed=3, lengths=LENGTHS, size=SIZE)
    store(tmp_path / "data", path)
    return tmp_path / "data"


def store(dataset: Path, path: Path, *, caption: str = "") -> None:
    create_dataset(dataset, SETTINGS)
    data = path.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    film = FilmRecord(
        id=digest[:16], name=path.name, path=str(path), digest=digest, size=len(data), verdict="ok"
    )
    with FilmWriter(dataset, film, SETTINGS) as writer:
        begin = 0
        for shot, length in enumerate(LENGTHS, start=1):
            start, end = begin / FPS, (begin + length) / FPS
            image = picture(3000 + shot - 1, 0, SIZE)[4:84]
            made = Picture(
                shot=shot, role="first", frame=begin, seconds=start, border=CROP, crop=CROP, image=image
            )
            record = KeyframeRecord(
                film=film.id,
                shot=shot,
                role="first",
                frame=begin,
                seconds=start,
                start=start,
                end=end,
                border=CROP,
                crop=CROP,
                width=160,
                height=80,
                verdict="dropped" if shot == 2 else "kept",
                caption=caption,
            )
            writer.add(made, record)
            begin += length
        writer.finish(film)


def true_frame(shot: int, step: int) -> np.ndarray:
    image = np.ascontiguousarray(picture(3000 + shot - 1, step, SIZE)[4:84])
    return resize(image, 128, 64).astype(np.float32)


def is_like(frame: np.ndarray, shot: int, step: int) -> bool:
    return float(np.abs(frame - true_frame(shot, step)).mean()) < 16


def test_stored_clips_are_the_shots(dataset: Path) -> None:
    opened = Dataset(dataset)
    film = opened.film_ids()[0]
    assert [clip.stored for clip in clips(opened, film)] == [None, None]
    assert encode_clips(opened, film, SMALL, shard_bytes=4000) == 2
    found = clips(opened, film)
    assert [(clip.shot, clip.frames) for clip in found] == [(1, 6), (3, 9)]
    for clip in found:
        frames = clip_frames(opened, clip)
        assert frames.shape == (clip.frames, 64, 128, 3)
        assert all(is_like(frame, clip.shot, step) for step, frame in enumerate(frames))
    assert verify(dataset) == []
    assert clean(dataset) == []


def test_a_clip_by_reference_is_the_same_shot(dataset: Path) -> None:
    opened = Dataset(dataset)
    for clip in clips(opened, opened.film_ids()[0]):
        frames = clip_frames(opened, clip, SMALL)
        assert len(frames) == LENGTHS[clip.shot - 1]
        assert all(is_like(frame, clip.shot, step) for step, frame in enumerate(frames))


def test_rate_and_length_are_settings(dataset: Path) -> None:
    opened = Dataset(dataset)
    film = opened.film_ids()[0]
    encode_clips(opened, film, replace(SMALL, fps=6, seconds=0.5))
    found = clips(opened, film)
    assert [clip.frames for clip in found] == [3, 3]
    frames = clip_frames(opened, found[1])
    assert all(is_like(frame, 3, 2 * step) for step, frame in enumerate(frames))


def test_clips_are_made_once_and_again_when_something_changed(dataset: Path) -> None:
    opened = Dataset(dataset)
    film = opened.film_ids()[0]
    seen: list[int] = []

    def encode(settings: ClipSettings) -> list[int]:
        seen.clear()
        encode_clips(Dataset(dataset), film, settings, progress=lambda done, total: seen.append(done))
        return list(seen)

    def tars() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (dataset / "clips").glob("*.tar")}

    assert encode(SMALL) == [1, 2]
    first = tars()
    assert encode(SMALL) == []
    assert encode(replace(SMALL, height=128)) == [1, 2]
    assert not first.items() & tars().items()
    assert encode(SMALL) == [1, 2]
    assert tars() == first
    store(dataset, dataset.parent / "film.mp4", caption="said since")
    assert [clip.stored for clip in clips(Dataset(dataset), film)] == [None, None]
    assert {problem.kind for problem in verify(dataset)} == {"unknown"}
    assert len(clean(dataset)) == 2
    assert encode(SMALL) == [1, 2]
    assert verify(dataset) == []


def test_another_film_under_the_same_name_is_refused(dataset: Path) -> None:
    opened = Dataset(dataset)
    film = opened.film_ids()[0]
    path = dataset.parent / "film.mp4"
    kept = path.read_bytes()
    path.write_bytes(kept[:-1] + b"x")
    with pytest.raises(DatasetError, match="is not the one that was read"):
        encode_clips(opened, film, SMALL)
    path.unlink()
    with pytest.raises(DatasetError, match="is not there; put it back"):
        encode_clips(opened, film, SMALL)
    with pytest.raises(DatasetError, match="cannot be read"):
        clip_frames(opened, clips(opened, film)[0])
    assert list((dataset / ".parts").iterdir()) == []


def test_the_command_encodes_every_film_and_says_which_is_gone(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store(dataset, write_film(dataset.parent / "gone.mp4", seed=4, lengths=LENGTHS, size=SIZE))
    (dataset.parent / "gone.mp4").unlink()
    assert main(["dataset", "clips", str(dataset), "--height", "64", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["shots"] == 2
    (told,) = said["missing"].values()
    assert told.endswith("gone.mp4 is not there; put it back to encode its clips")
    assert main(["dataset", "clips", str(dataset), "--height", "65"]) == 2


def test_sizes_that_are_not_encoded_the_same_every_time_are_refused() -> None:
    with pytest.raises(DatasetError, match="multiple of 64"):
        ClipSettings(height=100)
