"""Commands that turn films into a dataset, and tell what is in one (section 3.1)."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from captain_cinema.commands.build_options import (
    DEFAULTS,
    BuildOptions,
    DetectorName,
    Seconds,
    ShortestShot,
    Threshold,
)
from captain_cinema.commands.outcome import Outcome
from captain_cinema.errors import CinemaError
from captain_cinema.films.settings import FilmSettings

if TYPE_CHECKING:
    from captain_cinema.films.report import Event
    from captain_cinema.films.workers import Crew
    from captain_cinema.progress import Reporter

QUIET_SECONDS = 10.0
"""So long nothing is said at most while films are decoded."""

Positional = tyro.conf.Positional
DatasetFolder = Annotated[Path, tyro.conf.arg(metavar="DATASET")]


def dataset() -> Outcome:
    """Films into a dataset of keyframes: build, cuts, stats, show, verify, export, clips."""
    raise ValueError("the command line hands over to the commands below")


def build(options: Annotated[BuildOptions, tyro.conf.arg(name="")]) -> Outcome:
    """Make a dataset of films; what is finished is kept, and only what changed is done again.

    Exit code 0: every file is ok or a duplicate; 1: some are partial, rejected or an error; 2: nothing could
    start.
    """
    workers, ray = options.workers, options.ray
    if workers is not None and workers < 1:
        raise CinemaError(f"--workers {workers} cannot work; give 1 or more")
    settings = options.film_settings()
    _check(settings)
    from captain_cinema.films.annotate import load_cast
    from captain_cinema.films.build import BuildTask
    from captain_cinema.films.build import build as build_dataset
    from captain_cinema.films.media import find_films
    from captain_cinema.films.publishing import AnnotatorChoice
    from captain_cinema.progress import Reporter

    choice = AnnotatorChoice(
        spec=options.annotator,
        model=options.model,
        cast={} if options.cast is None else load_cast(options.cast),
        key_variable=options.key_variable,
        settings=options.endpoint(),
    )
    task = BuildTask(
        films=find_films(options.films),
        dataset=options.output,
        settings=settings,
        choice=choice,
        threads=1 if workers or ray else 0,
    )
    report = build_dataset(task, _crew(workers, ray), _Telling(Reporter()))
    return Outcome(data=report.data(), text=report.text(), code=report.code)


def cuts(
    film: Positional[Annotated[Path, tyro.conf.arg(metavar="FILM")]],
    /,
    detector: DetectorName = DEFAULTS.detector,
    threshold: Threshold = DEFAULTS.threshold,
    shortest_shot: ShortestShot = DEFAULTS.shortest_shot,
    json: bool = False,
) -> Outcome:
    """List the cuts of a film.

    Args:
        film: the file.
        detector: of cuts.
        threshold: of the detector; its tuned default if left out.
        shortest_shot: cuts nearer to each other are one; what suits the detector if left out.
        json: print one JSON object: {"cuts": [{"frame": 12, "seconds": 0.5, "gradual": false}, ...], ...}.
    """
    settings = FilmSettings(detector=detector, threshold=threshold, shortest_shot=shortest_shot)
    _check(settings)
    from captain_cinema.films.cuts import find_cuts

    found, decoding = find_cuts(film, settings)
    data = {
        "film": str(film),
        "detector": detector,
        "frames": decoding.frames,
        "seconds": round(decoding.seconds, 6),
        "complete": decoding.complete,
        "corrupt": decoding.corrupt,
        "cuts": [
            {"frame": cut.frame, "seconds": round(cut.seconds, 6), "gradual": cut.gradual} for cut in found
        ],
    }
    lines = [f"{cut.frame:8d} {cut.seconds:11.3f} s{'  gradual' if cut.gradual else ''}" for cut in found]
    said = f"{len(found)} cuts in {decoding.frames} frames ({decoding.seconds:.1f} s)"
    return Outcome(data=data, text="\n".join([*lines, said]))


def stats(folder: Positional[DatasetFolder], /, json: bool = False) -> Outcome:
    """Count what is in a dataset: films, shots, keyframes kept and dropped and why, captions, bytes.

    Args:
        folder: the dataset.
        json: print one JSON object.
    """
    from captain_cinema.films.store.stats import stats as count

    numbers = count(folder)
    return Outcome(data=numbers.as_dict(), text=numbers.table())


def show(
    folder: Positional[DatasetFolder],
    /,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="PAGE")] = None,
    keyframes: Annotated[int, tyro.conf.arg(metavar="N")] = 400,
    json: bool = False,
) -> Outcome:
    """Write one page that shows a dataset: keyframes and captions, kept and dropped with reasons, crops.

    Args:
        folder: the dataset.
        output: the HTML file; named after the dataset and beside it if left out.
        keyframes: shown at most, spread over all films.
        json: print one JSON object.
    """
    from captain_cinema.films.store.page import write_page

    whole = folder.resolve()
    page = output or whole.with_name(f"{whole.name}.html")
    shown = write_page(folder, page, keyframes=keyframes)
    return Outcome(data={"page": str(page), "shown": shown}, text=f"{shown} keyframes shown: {page}")


def verify(folder: Positional[DatasetFolder], /, json: bool = False) -> Outcome:
    """Check every byte of a dataset against its records; exit code 1 if something is wrong.

    Args:
        folder: the dataset.
        json: print one JSON object.
    """
    from captain_cinema.films.store.verify import verify as check
    from captain_cinema.progress import Reporter

    with Reporter().stage("verify", _count_films(folder), unit="film") as stage:
        problems = check(folder, progress=lambda done, total: stage.step("checked"))
    data = {"dataset": str(folder), "problems": [dataclasses.asdict(problem) for problem in problems]}
    lines = [f"{problem.path}: {problem.message}; {problem.mend}" for problem in problems]
    said = f"{len(problems)} problems" if problems else f"all is well in {folder}"
    return Outcome(data=data, text="\n".join([*lines, said]), code=1 if problems else 0)


def export(
    folder: Positional[DatasetFolder],
    /,
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    shots: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    role: Literal["middle", "first"] | None = None,
    seed: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    json: bool = False,
) -> Outcome:
    """Write a dataset as a WebDataset: numbered tars that stream in film order.

    Args:
        folder: the dataset.
        output: a new or empty folder.
        shots: keyframes of a sample, in story order; each keyframe is a sample of its own if left out.
        role: mid-shot frames or first frames alone.
        seed: shuffles the films.
        json: print one JSON object.
    """
    from captain_cinema.films.store.export import export_webdataset
    from captain_cinema.films.store.reader import Dataset
    from captain_cinema.progress import Reporter

    opened = Dataset(folder)
    with Reporter().stage("export", len(opened.film_ids()), unit="film") as stage:
        done = export_webdataset(
            opened,
            output,
            shots=shots,
            role=role,
            seed=seed,
            progress=lambda done, total: stage.step("written"),
        )
    said = f"{done.samples} samples in {done.shards} tars: {output}"
    return Outcome(data=dataclasses.asdict(done), text=said)


def clips(
    folder: Positional[DatasetFolder],
    /,
    height: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 128,
    fps: Annotated[int, tyro.conf.arg(metavar="N")] = 12,
    longest: Seconds = 10.0,
    json: bool = False,
) -> Outcome:
    """Encode the shots of a dataset's films again, small, for training; without it they are by reference.

    Args:
        folder: the dataset.
        height: of a clip, a multiple of 64; it is twice as wide.
        fps: frames a second.
        longest: seconds of a shot at most.
        json: print one JSON object.
    """
    from captain_cinema.films.store.clips import ClipSettings, encode_clips
    from captain_cinema.films.store.paths import DatasetError
    from captain_cinema.films.store.reader import Dataset
    from captain_cinema.progress import Reporter

    settings = ClipSettings(height=height, fps=fps, seconds=longest)
    opened = Dataset(folder)
    stored, missing = 0, dict[str, str]()
    with Reporter().stage("clips", len(opened.film_ids()), unit="film") as stage:
        for film in opened.film_ids():
            try:
                stored += encode_clips(opened, film, settings)
            except DatasetError as error:
                missing[film] = str(error)
            stage.step("encoded")
    lines = [*missing.values(), f"{stored} shots of {len(opened.film_ids()) - len(missing)} films encoded"]
    data = {"dataset": str(folder), "shots": stored, "missing": missing}
    return Outcome(data=data, text="\n".join(lines), code=1 if missing else 0)


def _count_films(folder: Path) -> int:
    return sum(1 for _ in (folder / "films").glob("*.json"))


def _check(settings: FilmSettings) -> None:
    """Refuse what cannot be meant.

    Raises:
        CinemaError: one line.
    """
    limits = {
        "shortest_shot": (0, 60, "seconds"),
        "short_side": (16, 4320, "pixels"),
        "quality": (1, 100, "of 100"),
        "stretch_seconds": (1, 1e9, "seconds"),
        "black_luma": (0, 255, "of 255"),
        "flat_deviation": (0, 255, "of 255"),
        "blur_sharpness": (0, 1e4, ""),
        "text_share": (0, 10, ""),
        "duplicate_distance": (-1, 63, "bits; -1 keeps all"),
    }
    for name, (low, high, unit) in limits.items():
        value = getattr(settings, name)
        if value is not None and not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise CinemaError(f"{option} {value:g} cannot be; give {low:g} to {high:g} {unit}".rstrip())


def _crew(workers: int | None, ray: str | None) -> Crew:
    from captain_cinema.films.workers import Alone, Processes

    if ray is not None:
        from captain_cinema.films.on_ray import RayCrew

        return RayCrew(ray, workers=workers)
    return Processes(workers) if workers is not None and workers > 1 else Alone()


class _Telling:
    """One line a film, and the time left: of decoding, or of annotation by the frames that are handed in."""

    def __init__(self, report: Reporter) -> None:
        self.report = report
        self.said = time.monotonic()
        self.started = {"film": self.said}

    def __call__(self, event: Event) -> None:
        from captain_cinema.progress import spoken_time

        now = time.monotonic()
        started = self.started.setdefault(event.kind, now)
        if event.quiet and now - self.said < QUIET_SECONDS:
            return
        self.said = now
        text = event.text or f"{spoken_time(event.done)} of {spoken_time(event.total)} of film are decoded"
        if 0 < event.done < event.total:
            left = (now - started) / event.done * (event.total - event.done)
            text += f", about {spoken_time(left)} left"
        self.report.say(text)


COMMANDS = {
    "build": build,
    "cuts": cuts,
    "stats": stats,
    "show": show,
    "verify": verify,
    "export": export,
    "clips": clips,
}
