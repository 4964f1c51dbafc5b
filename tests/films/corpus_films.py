"""Films of the corpus that decode, whatever their damage, stamps, shapes and streams."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from corpus_case import OK, Expected, case, seed_of
from drawn import FPS, SIZE, add_stream, feed, picture, shots, write_film
from spoiling import (
    add_cover,
    add_sound,
    cover_first,
    hdr_options,
    letterboxed,
    overwrite_media,
    turn_header,
    woven,
)

# What is damaged


@case("truncated.mp4")
def _truncated(path: Path) -> Expected:
    write_film(path, seed_of(path.name), lengths=(12, 12, 12), muxing={"movflags": "faststart"})
    data = path.read_bytes()
    start = data.index(b"mdat")
    path.write_bytes(data[: start + (len(data) - start) * 6 // 10])
    return Expected(verdict="partial", says="ends at", frames=(12, 30), seconds=None)


@case("truncated.mkv")
def _truncated_mkv(path: Path) -> Expected:
    write_film(path, seed_of(path.name), lengths=(12, 12, 12))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    return Expected(verdict="partial", says="ends at", frames=(12, 30), seconds=None)


@case("corrupt.ts")
def _corrupt(path: Path) -> Expected:
    write_film(path, seed_of(path.name), lengths=(24, 24), codec="mpeg2video", options={"b": "900k"})
    data = bytearray(path.read_bytes())
    noise = np.random.default_rng(4).bytes(1000)
    place = len(data) // 3
    data[place : place + len(noise)] = noise
    path.write_bytes(data)
    return Expected(verdict="ok", frames=(44, 48), seconds=4.0, corrupt=True)


@case("corrupt.mp4")
def _corrupt_mp4(path: Path) -> Expected:
    write_film(path, seed_of(path.name), lengths=(60, 60))
    overwrite_media(path, 0.30, 0.31)
    return Expected(verdict="ok", frames=(118, 120), seconds=10.0, corrupt=True)


@case("header-lies.mkv")
def _header_lies(path: Path) -> Expected:
    write_film(path, seed_of(path.name))
    data = path.read_bytes()
    place = data.index(b"\x44\x89\x88") + 3  # Duration of the segment, eight bytes
    promised = np.array([9000.0], ">f8").tobytes()
    data = data[:place] + promised + data[place + 8 :]
    path.write_bytes(data.replace(b"DURATION", b"NOTATION"))
    return Expected(verdict="partial", says="of 9.0 s", frames=(24, 24))


# Stamps


@case("bare.h264")
def _bare(path: Path) -> Expected:
    write_film(path, seed_of(path.name))
    return OK


@case("variable-rate.mkv")
def _variable_rate(path: Path) -> Expected:
    stamps = np.cumsum([1, 2, 1, 5] * 6).tolist()
    write_film(path, seed_of(path.name), stamps=stamps)
    return Expected(verdict="ok", frames=(24, 24), seconds=4.5)


@case("reset.ts")
def _reset(path: Path) -> Expected:
    parts = []
    for part in range(2):
        write_film(path, seed_of(path.name) + part, lengths=(12,))
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    return OK


@case("wrap.ts")
def _wrap(path: Path) -> Expected:
    offset = (2**33 - 90_000) / 90_000
    write_film(path, seed_of(path.name), muxing={"output_ts_offset": f"{offset:.3f}", "mpegts_copyts": "1"})
    return OK


@case("start-at-5.mkv")
def _start_at_5(path: Path) -> Expected:
    write_film(path, seed_of(path.name), stamps=range(5 * FPS, 5 * FPS + 24))
    return OK


@case("no-duration.webm")
def _no_duration(path: Path) -> Expected:
    write_film(
        path, seed_of(path.name), codec="libvpx", muxing={"live": "1"}, options={"cpu-used": "8", "b": "1M"}
    )
    return OK


@case("no-rate.mkv")
def _no_rate(path: Path) -> Expected:
    write_film(path, seed_of(path.name), muxing={"default_mode": "passthrough"})
    data = path.read_bytes()
    path.write_bytes(
        data.replace(b"\x23\xe3\x83\x84", b"\xec\x86\x00\x00", 1)
    )  # DefaultDuration becomes void
    return OK


@case("no-stamps.avi")
def _no_stamps(path: Path) -> Expected:
    """AVI has no stamps of presentation, and this one shows frames in another order than it holds them."""
    write_film(path, seed_of(path.name), options={"preset": "medium", "crf": "18"})
    return OK


@case("starts-late.ts")
def _starts_late(path: Path) -> Expected:
    """Recorded from the middle of a group of pictures on."""
    write_film(path, seed_of(path.name), lengths=(12, 12, 12), options={"preset": "medium", "crf": "18"})
    data, packet = path.read_bytes(), 188
    tables = data[: 3 * packet]
    path.write_bytes(tables + data[len(data) // 6 // packet * packet :])
    return Expected(verdict="partial", says="its first", frames=(20, 34), seconds=None)


@case("gap.mkv")
def _gap(path: Path) -> Expected:
    write_film(path, seed_of(path.name), stamps=[*range(12), *range(600, 612)])
    return Expected(verdict="ok", frames=(24, 24), seconds=51.0)


# Shapes


@case("rotated-90.mp4")
def _rotated(path: Path) -> Expected:
    write_film(path, seed_of(path.name))
    turn_header(path, (0, 1, -1, 0))
    return Expected(verdict="ok", frames=(24, 24), size=SIZE[::-1])


@case("anamorphic.mp4")
def _anamorphic(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        stream = add_stream(container)
        stream.codec_context.sample_aspect_ratio = Fraction(16, 11)
        feed(container, stream, shots(seed_of(path.name)))
    return Expected(verdict="ok", frames=(24, 24), size=(233, 90))


@case("interlaced.ts")
def _interlaced(path: Path) -> Expected:
    write_film(
        path,
        seed_of(path.name),
        codec="mpeg2video",
        options={"flags": "+ildct+ilme", "b": "2M", "top": "1"},
        dress=None,
        frames=woven(seed_of(path.name)),
    )
    return OK


@case("ten-bits.mp4")
def _ten_bits(path: Path) -> Expected:
    write_film(path, seed_of(path.name), pixels="yuv420p10le")
    return OK


@case("hdr-pq.mkv")
def _pq(path: Path) -> Expected:
    write_film(path, seed_of(path.name), pixels="yuv420p10le", options=hdr_options("smpte2084"))
    return OK


@case("hdr-hlg.mkv")
def _hlg(path: Path) -> Expected:
    write_film(path, seed_of(path.name), pixels="yuv420p10le", options=hdr_options("arib-std-b67"))
    return OK


@case("odd.mkv")
def _odd(path: Path) -> Expected:
    write_film(path, seed_of(path.name), size=(161, 91), codec="ffv1", pixels="yuv420p")
    return Expected(verdict="ok", frames=(24, 24), size=(161, 91))


@case("tiny.mkv")
def _tiny(path: Path) -> Expected:
    write_film(path, seed_of(path.name), size=(3, 5), codec="ffv1", pixels="yuv444p")
    return Expected(verdict="ok", frames=(24, 24), size=(3, 5), cuts=False)


@case("one-pixel.mkv")
def _one_pixel(path: Path) -> Expected:
    write_film(path, seed_of(path.name), size=(1, 1), codec="ffv1", pixels="yuv444p")
    return Expected(verdict="ok", frames=(24, 24), size=(1, 1), cuts=False)


@case("8k.mp4")
def _8k(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        stream = add_stream(container, "mjpeg", size=(7680, 4320), pixels="yuvj420p", options={})
        frame = VideoFrame.from_ndarray(picture(seed_of(path.name), size=(640, 360)), format="rgb24")
        frame = frame.reformat(7680, 4320, "yuvj420p", interpolation="POINT")
        for number in range(2):
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return Expected(verdict="ok", frames=(2, 2), size=(7680, 4320), seconds=None, cuts=False)


@case("size-changes.h264")
def _size_changes(path: Path) -> Expected:
    parts = []
    for part, size in enumerate((SIZE, (128, 96))):
        write_film(path, seed_of(path.name) + part, lengths=(12,), size=size)
        parts.append(path.read_bytes())
    path.write_bytes(b"".join(parts))
    return OK


@case("aspect-changes.mp4")
def _aspect_changes(path: Path) -> Expected:
    write_film(path, 0, frames=list(letterboxed(seed_of(path.name))))
    return OK


@case("black.mp4")
def _black(path: Path) -> Expected:
    write_film(path, 0, frames=[np.zeros((90, 160, 3), np.uint8)] * 24)
    return Expected(verdict="ok", frames=(24, 24), cuts=False)


@case("one-frame.mp4")
def _one_frame(path: Path) -> Expected:
    write_film(path, seed_of(path.name), lengths=(1,))
    return Expected(verdict="ok", frames=(1, 1), seconds=1 / 12, cuts=False)


@case("one-still.mp4")
def _one_still(path: Path) -> Expected:
    """A picture that stands still all through, as slides do."""
    write_film(path, 0, frames=[picture(seed_of(path.name))] * 24)
    return Expected(verdict="ok", frames=(24, 24), cuts=False)


# Streams


@case("two-pictures.mkv")
def _two_pictures(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        short = add_stream(container, size=(96, 64))
        film = add_stream(container)
        feed(container, short, shots(1, (6,), (96, 64)))
        feed(container, film, shots(seed_of(path.name)))
    return OK


@case("cover-after.mp4")
def _cover_after(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        film = add_stream(container)
        add_cover(container)
        feed(container, film, shots(seed_of(path.name)))
    return OK


@case("cover-before.mp4")
def _cover_before(path: Path) -> Expected:
    _cover_after(path)
    data = path.read_bytes()
    path.write_bytes(cover_first(data))
    return OK


@case("sound-longer.mkv")
def _sound_longer(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        film = add_stream(container)
        add_sound(container, 6.0, before=lambda: feed(container, film, shots(seed_of(path.name))))
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"NOTATION"))
    return OK
