"""Pixels of frames: upright, square, progressive, of ordinary range; and what holding them costs."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from corpus_case import seed_of
from drawn import SIZE, picture, write_film
from real_films import DRAWN, at_hand, known_film, manifest
from spoiling import hdr_options, turn_header, woven
from watching_films import apart, watch

from captain_cinema.films.decode import decode, frame_of
from captain_cinema.films.media import probe
from captain_cinema.films.tonemap import nits_to_pq


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv444p", "yuvj420p", "yuv420p10le", "gray"])
def test_pictures_come_out_as_they_went_in(tmp_path: Path, pixels: str) -> None:
    path = write_film(tmp_path / "film.mp4", 5, pixels=pixels)
    frames, _ = watch(path)
    for frame, truth in zip(frames, (picture(5000, step) for step in range(12)), strict=False):
        if pixels == "gray":
            luma = truth @ (0.299, 0.587, 0.114)
            assert apart(frame.full().mean(axis=2), luma) < 7  # its range is not said
        else:
            assert apart(frame.full(), truth) < (2 if pixels == "yuv444p" else 7)


@pytest.mark.parametrize("form", ["white", "black"])
@pytest.mark.parametrize("pixels", ["yuv420p", "yuvj420p", "yuv420p10le"])
def test_white_and_black_stay(tmp_path: Path, pixels: str, form: str) -> None:
    level = 255 if form == "white" else 0
    plain = [np.full((90, 160, 3), level, np.uint8)] * 3
    frames, _ = watch(write_film(tmp_path / "film.mp4", 0, pixels=pixels, frames=plain))
    assert apart(frames[1].full(), plain[0]) <= 1
    assert apart(frames[1].small(40), plain[0][:22, :40]) <= 3


def test_small_is_the_whole_frame_reduced_and_kept(tmp_path: Path) -> None:
    frames, _ = watch(write_film(tmp_path / "film.mp4", 5))
    small = frames[3].small(64)
    assert small.shape == (36, 64, 3)
    assert frames[3].small(64) is small
    full = frames[3].full().astype(float)
    assert apart(small[4:32, 8:56].mean(axis=(0, 1)), full[10:80, 20:140].mean(axis=(0, 1))) < 4
    assert frames[3].small(1000).shape == (90, 160, 3)


def test_high_definition_without_a_matrix_is_bt709(tmp_path: Path) -> None:
    red = [np.tile(np.array([200, 40, 40], np.uint8), (720, 1280, 1))] * 2

    def in_bt709(frame: VideoFrame) -> VideoFrame:
        frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709")
        frame.colorspace = 2
        return frame

    path = write_film(tmp_path / "film.mp4", 0, size=(1280, 720), frames=red, dress=in_bt709)
    assert apart(next(decode(path, probe(path))[0]).full(), red[0]) < 4


PHONE_FILMS = {"video_90.mov": 90, "video_180.mov": 180}


@pytest.mark.parametrize("name", at_hand(*PHONE_FILMS))
def test_phone_films_are_upright(tmp_path: Path, name: str) -> None:
    degrees = PHONE_FILMS.get(name, 90)
    path = known_film(name)
    if name == DRAWN:
        path = write_film(tmp_path / "film.mp4", 8)
        turn_header(path, (0, 1, -1, 0))
    frame = watch(path)[0][0]
    raw = frame.raw.to_ndarray(format="rgb24")
    turned = np.rot90(raw, -degrees // 90)
    assert (frame.height, frame.width) == turned.shape[:2]
    assert apart(frame.full(), turned) < 4
    assert frame.small(64).shape == (round(64 * frame.height / frame.width), 64, 3)


def test_every_turn_and_mirror(tmp_path: Path) -> None:
    path = write_film(tmp_path / "film.mp4", 9)
    plain = next(decode(path, probe(path))[0]).full()
    # Where a display matrix (a, b, c, d) takes the corners of the picture says how it looks upright.
    turns = {
        (1, 0, 0, 1): plain,
        (0, 1, -1, 0): np.rot90(plain, -1),
        (-1, 0, 0, -1): np.rot90(plain, 2),
        (0, -1, 1, 0): np.rot90(plain, 1),
        (-1, 0, 0, 1): plain[:, ::-1],
        (1, 0, 0, -1): plain[::-1],
        (0, 1, 1, 0): plain.swapaxes(0, 1),
        (0, -1, -1, 0): np.rot90(plain, 2).swapaxes(0, 1),
    }
    for matrix, upright in turns.items():
        turn_header(path, matrix)
        found = next(decode(path, probe(path))[0]).full()
        assert found.shape == upright.shape, matrix
        assert (found == upright).all(), matrix


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("film.ts", "mpeg2video", {"flags": "+ildct+ilme", "b": "4M"}),
        ("film.mp4", "libx264", {"preset": "medium", "crf": "12", "flags": "+ildct+ilme"}),
    ],
)
def test_interlaced_frames_lose_their_combs(
    tmp_path: Path, name: str, codec: str, options: dict[str, str]
) -> None:
    path = write_film(tmp_path / name, 0, size=LOW, codec=codec, options=options, frames=woven(6, LOW))
    assert probe(path).interlaced
    frames, decoding = watch(path)
    assert decoding.frames == 24
    frame = frames[5]
    truth = [picture(6000, 8 * 5, LOW), picture(6000, 8 * 5 + 4, LOW)]
    combed = frame.raw.to_ndarray(format="rgb24")
    assert combing(combed) > 3 * combing(truth[0])
    assert combing(frame.full()) < 1.5 * combing(truth[0])
    assert min(apart(frame.full(), each) for each in truth) < 0.8 * min(apart(combed, each) for each in truth)
    assert frames[0].full().shape == frames[23].full().shape == (88, 160, 3)


LOW = (160, 88)
"""Lines of two fields in whole blocks."""


def combing(image: np.ndarray) -> float:
    """How much neighbouring lines differ beyond those two apart."""
    lines = image.astype(int)
    return float(np.maximum(np.abs(2 * lines[1:-1] - lines[:-2] - lines[2:]), 0).mean())


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_high_dynamic_range_becomes_an_ordinary_picture(tmp_path: Path, transfer: str) -> None:
    """Patches of known light, coded as the transfer function says, come out as a screen shows them."""
    nits = np.array([0.0, 5.0, 26.0, 100.0, 203.0, 1000.0])
    if transfer == "smpte2084":
        coded = nits_to_pq(nits)
    else:  # the inverse of the screen's own curve, then of the camera's
        scene = (nits / 1000) ** (1 / 1.2)
        coded = np.where(
            scene <= 1 / 12,
            np.sqrt(3 * scene),
            0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
        )
    stripes = np.repeat(coded, 32)[None, :, None] * np.ones((96, 1, 3))
    image = (stripes * 65535).round().astype(np.uint16)

    def dress(_: VideoFrame) -> VideoFrame:
        frame = VideoFrame.from_ndarray(image, format="rgb48le")
        frame = frame.reformat(format="yuv420p10le", dst_colorspace="BT2020")
        frame.pts = 0
        return frame

    path = write_film(
        tmp_path / "film.mkv",
        0,
        size=(192, 96),
        pixels="yuv420p10le",
        options=hdr_options(transfer),
        frames=[np.zeros((96, 192, 3), np.uint8)],
        dress=dress,
    )
    assert probe(path).hdr == ("pq" if transfer == "smpte2084" else "hlg")
    frame = watch(path)[0][0]
    levels = frame.full()[48, 16::32].astype(int)
    assert (levels.max(axis=1) - levels.min(axis=1) <= 4).all()  # grey stays grey
    grey = levels.mean(axis=1)
    assert grey[0] <= 3
    assert (np.diff(grey) > 10).all()
    # Dark and middle tones are shown as bright as they are: 203 nits is the screen's white.
    assert grey[1:3] == pytest.approx(255 * (nits[1:3] / 203) ** (1 / 2.4), abs=6)
    assert 190 < grey[4] < 240
    assert grey[5] >= 252
    # Mapped after it was made smaller, it is the same: patches are of one colour.
    reduced = frame.full(2)
    assert reduced.shape == (48, 96, 3)
    assert reduced[24, 8::16].astype(int) == pytest.approx(levels, abs=2)
    # Grey is what was coded: black is black, and what is brighter is more.
    coded_grey = frame.grey()[48, 16::32].astype(int)
    assert coded_grey[0] <= 1
    assert (np.diff(coded_grey) > 10).all()


@pytest.mark.parametrize("name", sorted(manifest()))
def test_grey_is_that_of_the_whole_picture(name: str) -> None:
    path = known_film(name)
    frame = next(frame for frame in decode(path, probe(path))[0] if not frame.flagged)
    assert apart(frame.grey(), cv2.cvtColor(frame.full(), cv2.COLOR_RGB2GRAY)) < 1


@pytest.mark.parametrize("name", at_hand("video_90.mov", "h265_10bits.mp4"))
def test_half_the_size_is_the_same_picture(name: str) -> None:
    path = known_film(name)
    frame = next(decode(path, probe(path))[0])
    half = cv2.resize(frame.full(), (frame.width // 2, frame.height // 2), interpolation=cv2.INTER_AREA)
    assert apart(frame.full(2), half) < 2


def test_wide_colours_are_converted(tmp_path: Path) -> None:
    """A red inside BT.709 that is coded in BT.2020 comes out as that red."""
    light = np.array([0.45, 0.05, 0.05])  # BT.709, 1 is 203 nits
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    coded = nits_to_pq(to_2020 @ light * 203)
    image = np.tile((coded * 65535).round().astype(np.uint16), (96, 192, 1))

    def dress(_: VideoFrame) -> VideoFrame:
        frame = VideoFrame.from_ndarray(image, format="rgb48le").reformat(
            format="yuv444p10le", dst_colorspace="BT2020"
        )
        frame.pts = 0
        return frame

    path = write_film(
        tmp_path / "film.mkv",
        0,
        size=(192, 96),
        pixels="yuv444p10le",
        options=hdr_options("smpte2084"),
        frames=[np.zeros((96, 192, 3), np.uint8)],
        dress=dress,
    )
    shown = watch(path)[0][0].full()[48, 96]
    assert shown.astype(float) == pytest.approx(255 * light ** (1 / 2.4), abs=8)


def test_a_drawn_frame_is_as_good_as_a_decoded_one() -> None:
    image = picture(seed_of("drawn"))
    frame = frame_of(image, number=3, seconds=0.25)
    assert (frame.number, frame.seconds, frame.width, frame.height) == (3, 0.25, *SIZE)
    assert (frame.full() == image).all()
    assert frame.small(40).shape == (22, 40, 3)


MEMORY = """
import gc, resource, sys
from pathlib import Path
from captain_cinema.films.decode import decode
from captain_cinema.films.media import probe
gc.disable()  # what is not freed at once stays
path, hold = Path(sys.argv[1]), int(sys.argv[2])
held = []
for number, frame in enumerate(decode(path, probe(path))[0]):
    frame.small(256)
    if number == 0:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [*held, frame][-hold:]
assert len(held) == hold
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.parametrize(
    ("size", "frames", "hold", "most"), [((1920, 1080), 70, 64, 300), ((640, 360), 300, 1, 40)]
)
def test_frames_take_little_memory_and_give_it_back(
    tmp_path: Path, size: tuple[int, int], frames: int, hold: int, most: int
) -> None:
    """64 frames of 1080p are held in 300 MB; 100 MB of frames that are let go leave nothing behind."""
    still = VideoFrame.from_ndarray(picture(1), format="rgb24").reformat(*size, "yuv420p")
    stamps = iter(range(frames))

    def dress(_: VideoFrame) -> VideoFrame:
        still.pts = next(stamps)
        return still

    blank = np.zeros((2, 2, 3), np.uint8)
    path = write_film(
        tmp_path / "film.mp4", 0, size=size, codec="mpeg4", options={}, frames=[blank] * frames, dress=dress
    )
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(path), str(hold)], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < most * 1024
