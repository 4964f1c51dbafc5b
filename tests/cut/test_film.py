"""Cutting: rates and sizes of clips, the contact sheet, the timeline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import opentimelineio as otio
import pytest

from captain_cinema.cut.contact_sheet import MAX_SIDE, PAPER, Tile, draw_contact_sheet
from captain_cinema.cut.film import FILM_HEIGHT, FilmShot, film_size, fitted, resampled, write_film
from captain_cinema.cut.timeline import TimelineClip, timeline_text
from captain_cinema.errors import ProjectError
from captain_cinema.project.clips import read_clip, write_clip


def flat(value: int, height: int = 16, width: int = 32) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def test_small_frames_become_a_film_of_a_whole_multiple() -> None:
    assert film_size(128, 256) == (384, 768)
    assert film_size(16, 32) == (FILM_HEIGHT, 2 * FILM_HEIGHT)
    assert film_size(400, 800) == (400, 800)
    assert film_size(1080, 2160) == (1080, 2160)


@pytest.mark.parametrize(
    ("rate", "kept"), [(12, [0, 1, 2, 3, 4, 5]), (24, [0, 2, 4]), (6, [0, 0, 1, 1, 2, 2])]
)
def test_clips_of_any_rate_run_as_long_as_they_did(rate: int, kept: list[int]) -> None:
    frames = iter([(index / rate, flat(index)) for index in range(6)])
    values = [int(frame[0, 0, 0]) for frame in resampled(frames, fps=12, height=16, width=32)]
    assert values[: len(kept)] == kept
    assert len(values) == pytest.approx(6 * 12 / rate, abs=1)


def test_times_rounded_by_the_container_lose_and_double_no_frame() -> None:
    frames = iter([(round(index / 12, 3), flat(index)) for index in range(48)])
    values = [int(frame[0, 0, 0]) for frame in resampled(frames, fps=12, height=16, width=32)]
    assert values == list(range(48))


@pytest.mark.parametrize("shape", [(16, 32), (16, 64), (40, 32), (7, 7), (128, 256)])
def test_frames_of_any_shape_fill_the_film(shape: tuple[int, int]) -> None:
    frame = flat(0, *shape)
    frame[:, shape[1] // 2 :] = 200
    made = fitted(frame, 16, 32)
    assert made.shape == (16, 32, 3)
    assert made[:, :8].mean() < 20
    assert made[:, -8:].mean() > 180


def test_a_film_is_its_clips_in_a_row(tmp_path: Path) -> None:
    clips = []
    for number in range(3):
        clips.append(tmp_path / f"{number}.mp4")
        write_clip(clips[-1], [flat(60 * number + 40)] * 6, fps=12)
    shots = [FilmShot(clip=clip, frames=6) for clip in clips]
    assert write_film(tmp_path / "film.mp4", shots, fps=12, height=32, width=64) == 18
    values = [frame.mean() for _, frame in read_clip(tmp_path / "film.mp4")]
    assert values == pytest.approx([40] * 6 + [100] * 6 + [160] * 6, abs=3)


def test_a_damaged_clip_is_named(tmp_path: Path) -> None:
    (tmp_path / "2.mp4").write_bytes(b"no clip")
    with pytest.raises(ProjectError, match=r"2\.mp4 is damaged"):
        write_film(
            tmp_path / "film.mp4",
            [FilmShot(clip=tmp_path / "2.mp4", frames=6)],
            fps=12,
            height=32,
            width=64,
        )


@pytest.mark.parametrize("count", [0, 1, 5, 12, 61])
def test_the_contact_sheet_shows_every_keyframe(count: int) -> None:
    colours = [(200 - 3 * number, 30, 3 * number) for number in range(count)]
    tiles = [
        Tile(number=number, caption=f"<Mara> does {number}", frame=np.full((16, 32, 3), colour, np.uint8))
        for number, colour in enumerate(colours, 1)
    ]
    sheet = draw_contact_sheet(tiles, title="A film", subtitle="12 shots")
    assert tuple(sheet[0, 0]) == PAPER
    packed = np.unique(sheet.astype(np.uint32) @ np.array([65536, 256, 1], np.uint32))
    assert {65536 * red + 256 * green + blue for red, green, blue in colours} <= set(packed.tolist())


def test_a_long_film_fits_on_one_sheet() -> None:
    sheet = draw_contact_sheet([Tile(number=n, caption="", frame=None) for n in range(1, 1501)], title="Long")
    assert max(sheet.shape) <= MAX_SIDE


@pytest.mark.parametrize(
    "caption",
    [
        "狐が森を歩く。" * 40,
        "ثعلب يمشي",
        "🦊🦊",
        "a" * 3000,
        "",
        "\x00\x07",
        "\ud800",
        "x\n\ny " * 300,
        "é\u0301",
    ],
)
def test_any_caption_can_stand_on_the_sheet(caption: str) -> None:
    tile = Tile(number=1, caption=caption, frame=flat(9))
    assert draw_contact_sheet([tile], title=caption, subtitle=caption).shape[2] == 3


def test_words_stay_within_their_tile() -> None:
    tiles = [Tile(number=n, caption="W" * 400, frame=flat(9)) for n in (1, 2)]
    sheet = draw_contact_sheet(tiles, title="t")
    gap = 20
    column = sheet[:, gap + 320 + 1 : gap + 320 + gap - 1]
    assert (column[120:] == PAPER).all(), "the gap between two tiles is empty"


def test_the_timeline_names_every_clip_relatively() -> None:
    clips = [
        TimelineClip(
            number=number,
            caption=f"<Zoë> walks {number}",
            scene="INT. HALL",
            media=f"shots/{number:03d}.mp4",
            frames=12 * number,
            facts={"seed": 2**62 + number, "preset": "embedded"},
        )
        for number in (1, 2, 4)
    ]
    timeline = otio.adapters.otio_json.read_from_string(timeline_text(clips, title="Film", fps=12))
    assert timeline.name == "Film"
    assert timeline.duration().to_seconds() == 7
    (track,) = timeline.tracks
    assert track.kind == "Video"
    found = list(track)
    assert [clip.media_reference.target_url for clip in found] == [f"shots/{n:03d}.mp4" for n in (1, 2, 4)]
    assert found[1].name == "002 Zoë walks 2"
    assert found[2].metadata["captain_cinema"]["seed"] == 2**62 + 4
    assert [clip.trimmed_range().duration.value for clip in found] == [12, 24, 48]
