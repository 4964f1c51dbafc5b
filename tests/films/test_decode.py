"""Frames of films of every kind: their order, their seconds, and which of them may be trusted."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from drawn import FPS, picture, write_film
from real_films import known_film, manifest
from watching_films import apart, watch

from captain_cinema.films.media import MediaError

B_FRAMES = {"preset": "medium", "crf": "18"}


def is_long(said: dict[str, Any]) -> bool:
    """Whether a film of the manifest is left to other tests, which watch it anyway."""
    return said.get("decoded_frames", 0) > 500


@pytest.mark.parametrize("name", sorted(name for name, said in manifest().items() if not is_long(said)))
def test_every_frame_of_the_known_films(name: str) -> None:
    said, (frames, decoding) = manifest()[name], watch(known_film(name))
    assert all(one.seconds < other.seconds for one, other in pairwise(frames))
    assert [frame.number for frame in frames] == list(range(len(frames)))
    assert frames[0].seconds == 0
    assert decoding.complete
    if name == "corrupted.mp4":  # 50 frames, one does not decode, and all after it lean on it
        assert (decoding.frames, decoding.corrupt) == (49, 2)
        assert [frame.number for frame in frames if frame.flagged] == list(range(29, 49))
    else:
        assert decoding.frames == said["decoded_frames"]
        assert decoding.corrupt == 0
        assert not any(frame.flagged for frame in frames)


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("film.mp4", "libx264", B_FRAMES),
        ("film.mkv", "libx264", B_FRAMES | {"x264-params": "open-gop=1"}),
        ("film.ts", "libx264", B_FRAMES),
        ("film.ts", "mpeg2video", {"b": "2M", "bf": "2"}),
        ("film.webm", "libvpx", {"cpu-used": "8", "b": "1M"}),
        ("film.h264", "libx264", B_FRAMES),
    ],
)
def test_starting_later_gives_the_very_same_frames(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_film(tmp_path / name, 4, lengths=(30, 30, 30), codec=codec, options=options, gop=10)
    whole, _ = watch(path)
    for start, end in ((whole[37].seconds, None), (whole[20].seconds, whole[61].seconds)):
        part, decoding = watch(path, start=start, **({} if end is None else {"end": end}))
        wanted = [one for one in whole if one.seconds >= start and (end is None or one.seconds < end)]
        assert [one.seconds for one in part] == [one.seconds for one in wanted]
        assert [one.number for one in part] == list(range(len(wanted)))
        assert decoding.complete
        same = [
            one.flagged or (one.full() == two.full()).all() for one, two in zip(part, wanted, strict=True)
        ]
        assert all(same)
        assert sum(one.flagged for one in part) == 0 or codec == "mpeg2video"


@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_no_frame_that_is_not_flagged_is_damaged(tmp_path: Path, suffix: str) -> None:
    path = write_film(
        tmp_path / f"film{suffix}", 7, lengths=(24, 24, 24, 24), options=B_FRAMES, size=(320, 180)
    )
    clean = {round(frame.seconds * FPS): frame.small(80) for frame in watch(path)[0]}
    with av.open(str(path)) as container:
        keys = [(one.pos, one.size) for one in container.demux(video=0) if one.is_keyframe and one.size]
    data, rng = path.read_bytes(), np.random.default_rng(2)
    assert len(keys) == 8
    # Where smaller frames lie depends on who encodes, and one that is lost whole may go unnoticed.
    for pos, size in keys[1:]:
        assert pos is not None
        spoilt = bytearray(data)
        place = pos + int(rng.integers(size // 8, size // 2))
        spoilt[place : place + 400] = rng.bytes(400)
        path.write_bytes(spoilt)
        frames, decoding = watch(path)
        assert decoding.corrupt
        flagged = sum(frame.flagged for frame in frames)
        assert 4 <= flagged <= 36  # something, and no more than a few groups of pictures
        for frame in frames:
            if not frame.flagged:
                assert apart(frame.small(80), clean[round(frame.seconds * FPS)]) < 3


def test_damage_ends_with_the_next_key_frame(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 7, lengths=(24, 24), gop=12)
    frames, _ = watch(path)
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat") + len(data) // 3
    data[place : place + 3] = b"\xff\xff\xff"
    path.write_bytes(data)
    spoilt, decoding = watch(path)
    flags = [frame.flagged for frame in spoilt]
    assert decoding.corrupt >= 1
    assert True in flags
    assert flags[-1] is False
    assert flags[: flags.index(True)] == [False] * flags.index(True)
    assert len(frames) == 48


def test_a_film_that_is_cut_short_ends_where_it_ends(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 2, lengths=(24, 24), muxing={"movflags": "faststart"})
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 7 // 10])
    frames, decoding = watch(path)
    assert not decoding.complete
    assert decoding.seconds == pytest.approx(frames[-1].seconds + 1 / FPS, abs=1e-3)
    assert f"it ends at {decoding.seconds:.1f} s of 4.0 s" == decoding.reason


def test_seconds_of_a_film_whose_rate_varies(tmp_path: Path) -> None:
    stamps = np.cumsum([1, 2, 1, 5] * 6).tolist()
    frames, _ = watch(write_film(tmp_path / "film.mkv", 2, stamps=stamps))
    wanted = (np.array(stamps) - stamps[0]) / FPS
    assert [frame.seconds for frame in frames] == pytest.approx(wanted.tolist(), abs=2e-3)


def test_a_film_whose_frames_change_size(tmp_path: Path) -> None:
    parts = [write_film(tmp_path / f"{side}.h264", side, size=(side, 90)).read_bytes() for side in (160, 120)]
    path = tmp_path / "film.h264"
    path.write_bytes(b"".join(parts))
    frames, _ = watch(path)
    assert [frame.width for frame in frames] == [160] * 24 + [120] * 24
    assert frames[0].full().shape == (90, 160, 3)
    assert apart(frames[30].full(), picture(120_000, 6, (120, 90))) < 7
    assert frames[30].small(64).shape == (48, 64, 3)


def test_pixels_that_change_shape(tmp_path: Path) -> None:
    from fractions import Fraction

    import av
    from drawn import add_stream, feed, shots

    parts = []
    for number, aspect in enumerate((Fraction(1), Fraction(4, 3))):
        part = tmp_path / f"{number}.h264"
        with av.open(str(part), "w") as container:
            stream = add_stream(container)
            stream.codec_context.sample_aspect_ratio = aspect
            feed(container, stream, shots(number))
        parts.append(part.read_bytes())
    path = tmp_path / "film.h264"
    path.write_bytes(b"".join(parts))
    frames, _ = watch(path)
    assert [frame.width for frame in frames] == [160] * 24 + [213] * 24
    assert frames[30].full().shape == (90, 213, 3)


@pytest.mark.parametrize("options", [B_FRAMES, {"preset": "ultrafast", "crf": "18"}])
def test_more_threads_give_the_same_frames(tmp_path: Path, options: dict[str, str]) -> None:
    path = write_film(tmp_path / "film.mkv", 3, lengths=(30, 30), options=options)
    data = bytearray(path.read_bytes())
    place = len(data) // 2
    data[place : place + 40] = b"\xff" * 40
    path.write_bytes(data)
    (one, said), (three, said_too) = watch(path), watch(path, threads=3)
    assert said == said_too
    for frame, other in zip(one, three, strict=True):
        assert (frame.seconds, frame.flagged, frame.keyframe) == (
            other.seconds,
            other.flagged,
            other.keyframe,
        )
        assert frame.flagged or (frame.small(80) == other.small(80)).all()


@pytest.mark.parametrize(
    ("name", "codec"), [("film.mp4", "libx264"), ("film.mkv", "libx264"), ("film.ts", "mpeg2video")]
)
def test_whatever_is_spoilt_a_film_ends_or_is_refused(tmp_path: Path, name: str, codec: str) -> None:
    path = write_film(tmp_path / name, 3, lengths=(8, 8), codec=codec)
    data, rng = path.read_bytes(), np.random.default_rng(5)
    ended = 0
    for attempt in range(16):
        spoilt = bytearray(data)
        for _ in range(int(rng.integers(1, 12))):
            place = int(rng.integers(0, len(spoilt) if attempt % 2 else 1500))
            if attempt % 4 == 3:
                del spoilt[place : place + 5]
            else:
                spoilt[place : place + 5] = rng.bytes(5)
        path.write_bytes(spoilt)
        try:
            frames, _ = watch(path)
        except MediaError:
            continue
        ended += 1
        assert all(one.seconds < other.seconds for one, other in pairwise(frames))
        assert frames[0].full().shape == (frames[0].height, frames[0].width, 3)
    assert ended
