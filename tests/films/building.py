"""Small films and what a build makes of them, for the tests of the build."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from drawn import picture, write_film

from captain_cinema.films.build import BuildTask, build
from captain_cinema.films.publishing import AnnotatorChoice
from captain_cinema.films.report import BuildReport
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.workers import Alone, Crew

SETTINGS = FilmSettings(text_share=9.0)
"""Drawn pictures have checks in them, which look like lettering."""
SIZE = (160, 80)
ROOMS = ("films", "files", "index", "shards", "previews")

LENGTHS = {"a.mp4": (12, 21, 8), "b.mkv": (9, 30), "c.mp4": (16, 7, 13)}


def make_films(folder: Path) -> list[Path]:
    """Three films of eight shots, all different."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_film(folder / name, seed=100 + number, lengths=lengths, size=SIZE)
        for number, (name, lengths) in enumerate(LENGTHS.items())
    ]


def run(
    films: Sequence[Path],
    dataset: Path,
    settings: FilmSettings = SETTINGS,
    *,
    crew: Crew | None = None,
    choice: AnnotatorChoice | None = None,
    threads: int = 1,
) -> BuildReport:
    """Build."""
    task = BuildTask(
        films=films,
        dataset=dataset,
        settings=settings,
        choice=choice or AnnotatorChoice(),
        threads=threads,
    )
    return build(task, crew or Alone())


def content(dataset: Path) -> dict[str, str]:
    """Digests of all files that are the dataset's: equal if it is the same, sample for sample."""
    return {
        str(path.relative_to(dataset)): hashlib.sha256(path.read_bytes()).hexdigest()
        for room in ROOMS
        for path in sorted((dataset / room).glob("*"))
    }


def leftovers(dataset: Path) -> list[str]:
    """What is half written."""
    parts = [str(path) for path in dataset.rglob("*.part")] + [str(p) for p in (dataset / ".parts").glob("*")]
    return parts + [str(path) for path in (dataset / ".work").glob("*") if path.name != "lock"]


def verdicts(report: BuildReport) -> dict[str, str]:
    """By file name."""
    return {record.name: record.verdict for record in report.records}


def the_film(dataset: Path, name: str):
    """The record and all keyframes of a film."""
    opened = Dataset(dataset)
    record = next(film for film in opened.films() if film.name == name)
    return opened, record, opened.keyframes(record.id, kept=False)


def drawn_frame(name: str, number: int) -> np.ndarray:
    """A frame of one of `make_films` as it was before encoding."""
    seed = 100 + list(LENGTHS).index(name)
    for shot, length in enumerate(LENGTHS[name]):
        if number < length:
            return picture(1000 * seed + shot, number, SIZE)
        number -= length
    raise ValueError("past the end")


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of brightness."""
    return float(np.abs(one.astype(float) - other.astype(float)).mean())


# Stage functions for the tests of workers: a worker process imports them by name.


def double(task: int) -> int:
    return 2 * task


def die(task: Path) -> str:
    """Die hard, the first time or, for a file that says so, always."""
    text = task.read_text()
    if text != "done":
        if text != "always":
            task.write_text("done")
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


def fail(task: str) -> None:
    raise OSError(28, "No space left on device", task)
