"""How long do films take on their way into a dataset, next to PySceneDetect alone? How much memory?

    python -m benchmarks.films FILMS... [--repeats 3] [--detector adaptive] [--long MINUTES [--long-rate FPS]]

Four measurements. `speed`: a whole build of one film in one process, in turns with PySceneDetect alone (its
PyAV backend, the same detector) on the same film. The ratio is that of the best of several turns each, which
other programs disturb least; the slowest is told beside it, and the processor's time. `stages`: where the
build's time goes. `workers`: the same films by one and by two one-thread workers. `long`: a film of many
minutes in 1080p, made by looping one of them by stream copy, with the most memory that the process held.
`reads`: random keyframes a second out of the dataset. What is not measured this time stays in the result as
it was.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from av.container import InputContainer, OutputContainer
from av.video.stream import VideoStream

from benchmarks.hardware import hardware, peak_memory_gib
from captain_cinema.films.build import BuildTask, build
from captain_cinema.films.cuts import scene_detector
from captain_cinema.films.media import find_films, probe
from captain_cinema.films.report import BuildReport
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.workers import Alone, Crew, Processes

WIDTH, HEIGHT = 1920, 1080
COPIES = 4
"""Of every film, for the workers; each has another title, so that its bytes differ."""


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("films", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--detector", default=FilmSettings().detector)
    parser.add_argument("--loops", type=int, default=1, help="workers: repeat every film so often")
    parser.add_argument("--long", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--long-rate", type=float, default=0.0, metavar="FPS")
    parser.add_argument("--only", nargs="*", default=["speed", "workers", "long", "reads"])
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if left out")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "films-cpu.json")
    options = parser.parse_args()
    films = find_films(options.films)
    # Nothing is a duplicate here: what is measured is the work on films that are new.
    settings = FilmSettings(detector=options.detector, duplicate_distance=-1)
    result: dict[str, Any] = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
    result |= {"hardware": hardware(), "detector": settings.detector}
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        home = Path(folder)
        if "speed" in options.only:
            speeds = {film.name: speed(film, settings, home, options.repeats) for film in films}
            result["speed"] = speeds | {"all": all_together(speeds), "load": load()}
        if "workers" in options.only:
            result["workers"] = workers(films, settings, home, options.repeats, options.loops) | {
                "load": load()
            }
        if "reads" in options.only:
            result["reads"] = reads(films, settings, home) | {"load": load()}
        if "long" in options.only and options.long:
            found = long_film(films[0], settings, home, options.long, options.long_rate)
            result["long"] = found | {"load": load()}
    text = json.dumps(result, indent=2)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", "utf-8")
    print(text)


def load() -> float | None:
    """What runs on the machine, in programs that want a core."""
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Seconds of the clock, and of the processor in all threads of this process."""
    start, begun = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - start, time.process_time() - begun


def scenedetect_alone(film: Path, settings: FilmSettings) -> None:
    """What the build's speed is measured by."""
    from scenedetect import SceneManager, open_video

    manager = SceneManager()
    manager.add_detector(scene_detector(settings))
    manager.detect_scenes(open_video(str(film), backend="pyav"))


def make_dataset(
    films: Sequence[Path], dataset: Path, settings: FilmSettings, crew: Crew, threads: int = 1
) -> BuildReport:
    """A whole build."""
    return build(BuildTask(films=films, dataset=dataset, settings=settings, threads=threads), crew)


def speed(film: Path, settings: FilmSettings, home: Path, repeats: int) -> dict[str, Any]:
    """A build and PySceneDetect alone, in turns after one unmeasured round."""
    times: dict[str, list[tuple[float, float]]] = {"scenedetect": [], "build": []}
    report: BuildReport | None = None

    def whole_build() -> None:
        nonlocal report
        with tempfile.TemporaryDirectory(dir=home) as dataset:
            report = make_dataset([film], Path(dataset) / "dataset", settings, Alone(), threads=0)

    for number in range(repeats + 1):
        alone, ours = timed(lambda: scenedetect_alone(film, settings)), timed(whole_build)
        if number:
            times["scenedetect"].append(alone)
            times["build"].append(ours)
    assert report is not None
    record = report.records[0]
    best = {
        name: {
            "seconds": min(clock for clock, _ in taken),
            "slowest_seconds": max(clock for clock, _ in taken),
            "processor_seconds": min(cpu for _, cpu in taken),
            "turns": len(taken),
        }
        for name, taken in times.items()
    }
    return {
        "frames": record.frames,
        "size": [record.width, record.height],
        "shots": record.shots,
        **best,
        "ratio": best["build"]["seconds"] / best["scenedetect"]["seconds"],
        "processor_ratio": best["build"]["processor_seconds"] / best["scenedetect"]["processor_seconds"],
        "stages": {kind: round(seconds, 3) for kind, seconds in report.spent.items()},
    }


def all_together(speeds: dict[str, dict[str, Any]]) -> dict[str, float]:
    """The films' best times summed up."""
    kinds = ("seconds", "processor_seconds")
    sums = {
        name: [sum(found[name][kind] for found in speeds.values()) for kind in kinds]
        for name in ("scenedetect", "build")
    }
    ratios = [ours / alone for ours, alone in zip(sums["build"], sums["scenedetect"], strict=True)]
    return {"ratio": ratios[0], "processor_ratio": ratios[1]}


def workers(
    films: Sequence[Path], settings: FilmSettings, home: Path, repeats: int, loops: int
) -> dict[str, Any]:
    """The same films by one and by two processes of one thread each, in turns, starting them included.

    Args:
        loops: how often each film is repeated within itself, for films that take longer than a start does.
    """
    folder = home / "many"
    folder.mkdir()
    many = [retitle(film, folder, number, loops) for film in films for number in range(COPIES)]
    taken: dict[int, list[float]] = {1: [], 2: []}
    for number in range(repeats):
        for count, times in taken.items():
            start = time.perf_counter()
            make_dataset(many, home / f"workers-{count}-{number}", settings, Processes(count))
            times.append(time.perf_counter() - start)
    one, two = min(taken[1]), min(taken[2])
    slowest = {"one_slowest": max(taken[1]), "two_slowest": max(taken[2]), "turns": repeats}
    seconds = sum(probe(film).seconds or 0.0 for film in many)
    told = {"films": len(many), "film_seconds": round(seconds, 1), "one": one, "two": two}
    return told | slowest | {"times_faster": one / two}


def reads(films: Sequence[Path], settings: FilmSettings, home: Path, count: int = 500) -> dict[str, Any]:
    """Random keyframes, decoded."""
    make_dataset(films, home / "read", settings, Alone(), threads=0)
    dataset = Dataset(home / "read")
    rng = np.random.default_rng(0)
    rows = dataset.kept[rng.integers(0, len(dataset), count)]
    dataset.image_at(int(rows[0]))
    start = time.perf_counter()
    for row in rows:
        dataset.image_at(int(row))
    return {"keyframes": len(dataset), "a_second": count / (time.perf_counter() - start)}


def long_film(film: Path, settings: FilmSettings, home: Path, minutes: float, rate: float) -> dict[str, Any]:
    """A build of a long 1080p film in one process of its own, and the most memory that it held."""
    path = home / "long.mkv"
    loops = loop_film(film, path, minutes * 60, rate)
    code = "import sys; from benchmarks.films import long_build; long_build(*sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path), str(home / "long"), json.dumps(asdict(settings))],
        capture_output=True,
        text=True,
        check=True,
    )
    return {"looped": film.name, "loops": loops, "bytes": path.stat().st_size, **json.loads(done.stdout)}


def long_build(film: str, dataset: str, settings: str) -> None:
    """Build in this process and print what it took."""
    start, begun = time.perf_counter(), time.process_time()
    report = make_dataset([Path(film)], Path(dataset), FilmSettings(**json.loads(settings)), Alone())
    record = report.records[0]
    told = {
        "verdict": record.verdict,
        "reason": record.reason,
        "film_seconds": record.seconds,
        "frames": record.frames,
        "shots": record.shots,
        "kept": record.kept,
        "seconds": time.perf_counter() - start,
        "processor_seconds": time.process_time() - begun,
        "peak_memory_gib": peak_memory_gib(),
        "stages": {kind: round(seconds, 1) for kind, seconds in report.spent.items()},
    }
    print(json.dumps(told))


def retitle(film: Path, folder: Path, number: int, loops: int) -> Path:
    """The same film, repeated so often, with another title, without encoding it again."""
    length = probe(film).seconds or 0.0
    path = folder / f"{film.stem} {number}.mkv"
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        target.metadata["title"] = f"{film.name} {number}"
        copy_packets(source, target, loops=loops, length=length)
    return path


def loop_film(film: Path, path: Path, seconds: float, fps: float = 0.0) -> int:
    """Encode a film in 1080p with bars once, and repeat it without encoding it again; returns how often.

    Args:
        fps: frames a second; as the film has them if 0.
    """
    once = path.with_name("once.mkv")
    with av.open(str(film)) as source, av.open(str(once), "w") as target:
        given = source.streams.video[0]
        rate = Fraction(fps).limit_denominator(1000) if fps else Fraction(given.average_rate or 24)
        stream = target.add_stream(
            "libx264", rate=rate, options={"preset": "veryfast", "crf": "23", "bf": "0"}
        )
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number, frame in enumerate(source.decode(given)):
            picture = av.VideoFrame.from_ndarray(with_bars(frame.to_ndarray(format="rgb24")), format="rgb24")
            picture.pts, picture.time_base = number, 1 / rate
            target.mux(stream.encode(picture))
        target.mux(stream.encode(None))
        length = (number + 1) / float(rate)
    loops = max(1, round(seconds / length))
    with av.open(str(once)) as source, av.open(str(path), "w") as target:
        copy_packets(source, target, loops=loops, length=length)
    once.unlink()
    return loops


def with_bars(image: np.ndarray) -> np.ndarray:
    """An image in the middle of a black 1080p frame."""
    scale = min(WIDTH / image.shape[1], HEIGHT / image.shape[0])
    width, height = round(image.shape[1] * scale), round(image.shape[0] * scale)
    frame = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    left, top = (WIDTH - width) // 2, (HEIGHT - height) // 2
    frame[top : top + height, left : left + width] = cv2.resize(image, (width, height))
    return frame


def copy_packets(source: InputContainer, target: OutputContainer, *, loops: int, length: float = 0.0) -> None:
    """The picture's packets, again and again."""
    given = source.streams.video[0]
    stream = target.add_stream_from_template(given)
    for loop in range(loops):
        if loop:
            source.seek(0)
        for packet in source.demux(given):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(loop * length / float(packet.time_base))
            packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
            packet.stream = stream
            target.mux(packet)


if __name__ == "__main__":
    main()
