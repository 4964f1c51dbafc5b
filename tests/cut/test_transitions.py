"""Editing: shots as long as the script has them, handles, cross-fades and fades, and sound that stays."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import opentimelineio as otio
import pytest

from captain_cinema.cut.film import FilmShot, film_frames, film_sound, samples_at, write_film
from captain_cinema.cut.timeline import TimelineClip, timeline_text
from captain_cinema.project.clips import read_clip, write_clip
from captain_cinema.project.sound import SAMPLE_RATE, SoundReader, SoundTrack, has_sound, read_sound

FPS = 12


def clip(path: Path, value: int, frames: int, tone: float = 0.0) -> Path:
    sound = None
    if tone:
        wave = 0.5 * np.sin(2 * np.pi * tone * np.arange(frames * SAMPLE_RATE // FPS) / SAMPLE_RATE)
        sound = SoundTrack.of(wave[None].astype(np.float32), SAMPLE_RATE).blocks()
    write_clip(path, [np.full((16, 32, 3), value, np.uint8)] * frames, fps=FPS, sound=sound)
    return path


def values(shots: list[FilmShot]) -> list[float]:
    return [float(frame.mean()) for frame in film_frames(shots, fps=FPS, height=16, width=32)]


def test_handles_are_not_in_the_film(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "1.mp4", 60, 12), clip(tmp_path / "2.mp4", 180, 6)
    assert values([FilmShot(clip=one, frames=8), FilmShot(clip=two, frames=6)]) == pytest.approx(
        [60] * 8 + [180] * 6, abs=2
    )


def test_a_cross_fade_runs_over_the_handles_and_costs_no_time(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "1.mp4", 60, 12), clip(tmp_path / "2.mp4", 180, 8)
    seen = values([FilmShot(clip=one, frames=8), FilmShot(clip=two, frames=8, cross_fade=3)])
    assert seen == pytest.approx([60] * 8 + [90, 120, 150] + [180] * 5, abs=3)


def test_a_clip_without_handles_stands_still_under_a_cross_fade(tmp_path: Path) -> None:
    one, two = clip(tmp_path / "1.mp4", 60, 8), clip(tmp_path / "2.mp4", 180, 8)
    seen = values([FilmShot(clip=one, frames=8), FilmShot(clip=two, frames=8, cross_fade=3)])
    assert seen == pytest.approx([60] * 8 + [90, 120, 150] + [180] * 5, abs=3)


def test_fades_come_out_of_black_and_go_into_it(tmp_path: Path) -> None:
    one = clip(tmp_path / "1.mp4", 200, 8)
    seen = values([FilmShot(clip=one, frames=8, fade_in=3, fade_out=1)])
    assert seen == pytest.approx([50, 100, 150, 200, 200, 200, 200, 100], abs=3)


def test_sound_stays_in_place_and_where_there_is_none_it_is_silent(tmp_path: Path) -> None:
    clips = [
        clip(tmp_path / "1.mp4", 60, 12, tone=440),
        clip(tmp_path / "2.mp4", 90, 12),
        clip(tmp_path / "3.mp4", 90, 12, tone=880),
    ]
    assert [has_sound(path) for path in clips] == [True, False, True]
    film = tmp_path / "film.mp4"
    write_film(film, [FilmShot(clip=path, frames=12) for path in clips], fps=FPS, height=16, width=32)
    heard = np.concatenate(list(read_sound(film)), axis=1)
    assert heard.shape[1] == pytest.approx(3 * SAMPLE_RATE, abs=2048)
    seconds = [heard[0, n * SAMPLE_RATE + 4096 : (n + 1) * SAMPLE_RATE - 4096] for n in range(3)]
    assert [float(np.abs(part).max()) > 0.3 for part in seconds] == [True, False, True]
    pitch = [int(np.abs(np.fft.rfft(part)).argmax()) * SAMPLE_RATE / part.size for part in seconds]
    assert pitch[0] == pytest.approx(440, abs=3)
    assert pitch[2] == pytest.approx(880, abs=3)
    assert len(list(read_clip(film))) == 36


def test_a_film_of_silent_clips_has_no_sound_track(tmp_path: Path) -> None:
    one = clip(tmp_path / "1.mp4", 60, 6)
    write_film(tmp_path / "film.mp4", [FilmShot(clip=one, frames=6)], fps=FPS, height=16, width=32)
    assert not has_sound(tmp_path / "film.mp4")


def test_sound_is_as_long_as_the_pictures_at_any_rate(tmp_path: Path) -> None:
    shots = [FilmShot(clip=clip(tmp_path / f"{n}.mp4", 9, 5, tone=300), frames=5) for n in range(3)]
    blocks = list(film_sound(shots, fps=FPS))
    assert sum(block.shape[1] for block in blocks) == samples_at(15, FPS) == 15 * SAMPLE_RATE // FPS
    assert samples_at(7, 24) + (samples_at(14, 24) - samples_at(7, 24)) == 14 * SAMPLE_RATE // 24


@pytest.mark.parametrize(("channels", "rate"), [(1, 16_000), (2, 24_000), (2, SAMPLE_RATE)])
def test_any_rate_becomes_one_rate(channels: int, rate: int) -> None:
    wave = np.sin(2 * np.pi * 220 * np.arange(rate) / rate, dtype=np.float32)
    track = SoundTrack.of(np.repeat(wave[None], channels, 0), rate)
    assert track.samples.shape == (2, pytest.approx(SAMPLE_RATE, abs=64))
    with pytest.raises(ValueError, match="neither mono nor stereo"):
        SoundTrack.of(np.zeros((6, 10), np.float32), rate)


def test_a_reader_gives_silence_after_the_end() -> None:
    reader = SoundReader(iter([np.ones((2, 5), np.float32)]))
    assert reader.take(3).sum() == 6
    assert reader.take(4)[0].tolist() == [1, 1, 0, 0]


def test_a_film_needs_no_more_memory_for_more_shots(tmp_path: Path) -> None:
    one = clip(tmp_path / "1.mp4", 60, 12, tone=440)

    def peak(count: int) -> int:
        tracemalloc.start()
        shots = [FilmShot(clip=one, frames=12, cross_fade=3)] * count
        write_film(tmp_path / "film.mp4", shots, fps=FPS, height=128, width=256)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(1)
    assert peak(12) < 1.5 * peak(3)


def test_the_timeline_has_handles_dissolves_and_a_sound_track() -> None:
    def entry(number: int, **more: Any) -> TimelineClip:
        plain: dict[str, Any] = {
            "number": number,
            "caption": "a",
            "scene": "",
            "media": f"shots/{number:03d}.mp4",
            "frames": 24,
            "facts": {},
        }
        return TimelineClip(**(plain | more))

    clips = [
        entry(1, available=30, sound=True),
        entry(2, cross_fade=6, available=24),
        entry(3, sound=True, fade_out=6),
    ]
    timeline = otio.adapters.otio_json.read_from_string(timeline_text(clips, title="F", fps=12))
    video, audio = timeline.tracks
    assert [track.kind for track in (video, audio)] == ["Video", "Audio"]
    assert timeline.duration().to_seconds() == 6
    first, dissolve, *_ = list(video)
    assert first.available_range().duration.value == 30
    assert first.source_range.duration.value == 24
    assert dissolve.out_offset.value == 6
    kinds = [type(item).__name__ for item in audio]
    assert kinds == ["Clip", "Transition", "Gap", "Clip"]
    silent = timeline_text([entry(1)], title="F", fps=12)
    assert len(otio.adapters.otio_json.read_from_string(silent).tracks) == 1
