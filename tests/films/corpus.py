"""Every bad, odd or hostile input that the data pipeline must end with one verdict for, made on the spot."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import av
import corpus_films  # its films join the corpus
import numpy as np
from av.video.frame import VideoFrame
from corpus_case import MAKERS, OK, Expected, case, seed_of
from drawn import picture, write_film
from spoiling import add_cover, add_sound, overwrite_media

__all__ = ["Expected", "corpus_films", "write_corpus"]


def write_corpus(folder: Path) -> dict[str, Expected]:
    """Write the corpus into a folder that is made; file names (surrogates for bytes not UTF-8) and verdicts.

    Of files with the same content the first in the order of their names' bytes is ok, the others duplicates.
    """
    folder.mkdir(parents=True, exist_ok=True)
    expected = {name: maker(folder / name) for name, maker in MAKERS.items()}
    expected |= _odd_names(folder)
    if os.geteuid() != 0:  # root reads everything
        path = write_film(folder / "unreadable.mp4", seed_of("unreadable"))
        path.chmod(0)
        expected["unreadable.mp4"] = Expected(verdict="error", says="permission")
    return expected


# What is no film


@case("zero.mp4")
def _zero(path: Path) -> Expected:
    path.touch()
    return Expected(verdict="rejected", says="empty")


@case("random.mp4")
def _random(path: Path) -> Expected:
    path.write_bytes(np.random.default_rng(1).bytes(60_000))
    return Expected(verdict="rejected", says="no film")


@case("page.mp4")
def _page(path: Path) -> Expected:
    path.write_text("\n<!DOCTYPE html><html><body>404: the film is not here</body></html>" * 20)
    return Expected(verdict="rejected", says="web page")


@case("playlist.mp4")
def _playlist(path: Path) -> Expected:
    write_film(path.with_name("ok.mp4"), seed_of("ok.mp4"))
    path.write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:2,\n{path.with_name('ok.mp4')}\n#EXT-X-ENDLIST\n"
    )
    return Expected(verdict="rejected", says="playlist")


@case("concat.mp4")
def _concat(path: Path) -> Expected:
    path.write_text("ffconcat version 1.0\nfile ok.mp4\n")
    return Expected(verdict="rejected", says="playlist")


@case("no-moov.mp4")
def _no_moov(path: Path) -> Expected:
    write_film(path, seed_of(path.name))
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4])
    return Expected(verdict="rejected", says="moov")


@case("sound-only.mp4")
def _sound_only(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        add_sound(container, 2.0)
    return Expected(verdict="rejected", says="sound but no picture")


@case("encrypted.mp4")
def _encrypted(path: Path) -> Expected:
    keys = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb"}
    write_film(path, seed_of(path.name), muxing=keys | {"encryption_kid": "a7e61c373e219033c21091fa607bf3b8"})
    return Expected(verdict="rejected", says="encrypted")


@case("no-frame.mp4")
def _no_frame(path: Path) -> Expected:
    write_film(path, seed_of(path.name))
    overwrite_media(path, 0.0, 1.0)
    return Expected(verdict="rejected", says="no frame")


@case("cover-only.mp4")
def _cover_only(path: Path) -> Expected:
    with av.open(str(path), "w") as container:
        add_sound(container, 2.0, before=lambda: add_cover(container))
    return Expected(verdict="rejected", says="cover picture")


@case("still-png.mp4")
def _still_png(path: Path) -> Expected:
    frame = VideoFrame.from_ndarray(picture(seed_of(path.name)), format="rgb24")
    frame.to_image().save(path, format="png")
    return Expected(verdict="rejected", says="still picture")


@case("still-jpeg.mp4")
def _still_jpeg(path: Path) -> Expected:
    frame = VideoFrame.from_ndarray(picture(seed_of(path.name)), format="rgb24")
    frame.to_image().save(path, format="jpeg")
    return Expected(verdict="rejected", says="still picture")


@case("16k.mov")
def _16k(path: Path) -> Expected:
    return _oversized(path, 16384)


@case("16000.mov")
def _16000(path: Path) -> Expected:
    return _oversized(path, 16000)


def _oversized(path: Path, side: int) -> Expected:
    """A film whose header and pictures all say that they are a square of this side."""
    write_film(path, seed_of(path.name), codec="mjpeg", pixels="yuvj420p", options={})
    data = bytearray(path.read_bytes())
    sides = side.to_bytes(2, "big") * 2
    place = data.index(b"jpeg", data.index(b"stsd")) + 28
    data[place : place + 4] = sides
    place = -1
    while (place := data.find(b"\xff\xc0\x00\x11\x08", place + 1)) > 0:  # the header of every picture
        data[place + 5 : place + 9] = sides
    path.write_bytes(data)
    return Expected(verdict="rejected", says="too large")


@case("fifo.mp4")
def _fifo(path: Path) -> Expected:
    os.mkfifo(path)
    return Expected(verdict="rejected", says="FIFO")


@case("device.mp4")
def _device(path: Path) -> Expected:
    path.symlink_to("/dev/zero")
    return Expected(verdict="rejected", says="device")


@case("socket.mp4")
def _socket(path: Path) -> Expected:
    here = os.getcwd()
    os.chdir(path.parent)  # the name of a socket is short
    try:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(path.name)
    finally:
        os.chdir(here)
    return Expected(verdict="rejected", says="socket")


@case("folder.mp4")
def _folder(path: Path) -> Expected:
    path.mkdir()
    return Expected(verdict="rejected", says="folder")


@case("dangling.mp4")
def _dangling(path: Path) -> Expected:
    path.symlink_to("nothing-there.mp4")
    return Expected(verdict="rejected", says="nowhere")


@case("loop.mp4")
def _loop(path: Path) -> Expected:
    path.symlink_to(path.name)
    return Expected(verdict="rejected", says="loop")


# Links, copies and names


@case("link.mp4")
def _link(path: Path) -> Expected:
    write_film(path.with_name("linked.mp4"), seed_of("linked.mp4"))
    path.symlink_to("linked.mp4")
    return OK


@case("linked.mp4")
def _linked(path: Path) -> Expected:
    return Expected(verdict="duplicate")


@case("linked-hard.mp4")
def _linked_hard(path: Path) -> Expected:
    os.link(path.with_name("linked.mp4"), path)
    return Expected(verdict="duplicate")


@case("zz-copy.mp4")
def _copy(path: Path) -> Expected:
    shutil.copy(path.with_name("linked.mp4"), path)
    return Expected(verdict="duplicate")


@case("ok.mp4")
def _ok(path: Path) -> Expected:
    write_film(path, seed_of(path.name))
    return OK


ODD_NAMES = (
    b"-y.mp4",
    b"--help.mp4",
    b"%03d.mp4",
    b"%s%n.mp4",
    b"http:x.mp4",
    b"concat:a|b.mp4",
    b"new\nline.mp4",
    b"quo'te\".mp4",
    b" spaces .mp4",
    b"*[a]?.mp4",
    b"$(touch x);`y`.mp4",
    b"latin-\xe9\xff.mp4",
    b"\x1b[31mred.mp4",
    b"a:b\\c.mp4",
    "映画 фильм فيلم चलचित्र 🎬.mp4".encode(),
    "a\u0301\u202egpj.mp4".encode(),
    b".mp4.mp4",
    b"n" * 251 + b".mp4",
)


def _odd_names(folder: Path) -> dict[str, Expected]:
    expected = {}
    for name in ODD_NAMES:
        text = os.fsdecode(name)
        write_film(folder / text, seed_of(text), form="mp4")
        expected[text] = OK
    return expected
