"""Small datasets for the tests of the store: two films of a few shots, written without decoding anything."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from captain_cinema.films.records import Crop, Cut, FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.records import ROLES
from captain_cinema.films.store.writer import FilmWriter, create_dataset

SETTINGS = FilmSettings()
BORDER = Crop(left=0, top=20, width=320, height=140)
CROP = Crop(left=20, top=20, width=280, height=140)
DROPPED = {(2, "first"): "black", (3, "middle"): "flat", (3, "first"): "flat", (5, "middle"): "blurred"}
"""Of every film: shot 3 has no keyframe, shots 2 and 5 have one."""


def film_record(number: int, *, name: str = "") -> FilmRecord:
    name = name or f"film {number}.mp4"
    return FilmRecord(
        id=f"{number + 0xABC:016x}",
        name=name,
        path=f"/films/{name}",
        digest=f"{number + 0xABC:016x}".ljust(64, "0"),
        size=1000 + number,
        verdict="ok",
        seconds=24.0,
        frames=288,
        fps=12.0,
        width=320,
        height=180,
        codec="h264",
        detector="content",
        settings=SETTINGS.digest,
        shots=6,
        caption=f"<Mara> looks for her lantern, part {number}.",
        cast=(("Mara", "a girl in a red coat"), ("Old Tom", "the ferryman")),
        cuts=tuple(Cut(frame=48 * i, seconds=4.0 * i, gradual=i == 2) for i in range(1, 6)),
        versions=(("av", "14"),),
    )


def picture(film: int, shot: int, role: str, *, height: int = 60) -> Picture:
    """A picture that no other one is like."""
    rng = np.random.default_rng([film, shot, ROLES.index(role)])
    image = np.empty((height, 2 * height, 3), np.uint8)
    image[:] = rng.integers(0, 256, 3)
    image[10:40, 20:80] = rng.integers(0, 256, (30, 60, 3))
    seconds = 4.0 * (shot - 1) + (2.0 if role == "middle" else 0.0)
    return Picture(
        shot=shot,
        role=role,
        frame=round(12 * seconds),
        seconds=seconds,
        border=BORDER,
        crop=CROP,
        image=image,
        whole=np.pad(image, ((9, 9), (8, 8), (0, 0))),
    )


def keyframe(film: str, made: Picture, **changes: object) -> KeyframeRecord:
    reason = DROPPED.get((made.shot, made.role), "")
    record = KeyframeRecord(
        film=film,
        shot=made.shot,
        role=made.role,
        frame=made.frame,
        seconds=made.seconds,
        start=4.0 * (made.shot - 1),
        end=4.0 * made.shot,
        border=made.border,
        crop=made.crop,
        width=made.image.shape[1],
        height=made.image.shape[0],
        verdict="dropped" if reason else "kept",
        reason=reason,
        caption="" if reason or made.shot == 6 else f"<Mara> waits; {made.role} of shot {made.shot}.",
        characters=() if reason or made.shot == 6 else ("Mara",),
        annotator="sidecar",
        hash="0123456789abcdef",
        luma=100.5,
        sharpness=12.25,
    )
    return replace(record, **changes)


def write_film(dataset: Path, number: int, *, shots: int = 6, shard_bytes: int = 1 << 20, **changes: object):
    """A film of the dataset, twelve keyframes unless said otherwise, eight of them kept."""
    film = film_record(number)
    with FilmWriter(dataset, film, SETTINGS, shard_bytes=shard_bytes) as writer:
        for shot in range(1, shots + 1):
            for role in ROLES:
                made = picture(number, shot, role)
                writer.add(made, keyframe(film.id, made, **changes))
        return writer.finish(film)


def make_dataset(dataset: Path, *, films: int = 2, **options: int) -> Path:
    create_dataset(dataset, SETTINGS)
    for number in range(films):
        write_film(dataset, number, **options)
    return dataset
