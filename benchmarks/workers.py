"""How much faster do two workers shoot than one? `cinema shoot --workers`, one thread each, in one run.

    python -m benchmarks.workers [--shots 8] [--repeats 3] [--output benchmarks/results/workers-cpu.json]

The workers of each count take turns over the same film with the embedded weights. What is timed is filming:
processes are started and have loaded their models before. A machine that has other work to do says little;
the load at the start is written down with the result.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from concurrent.futures import wait
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware
from captain_cinema import presets
from captain_cinema.films.workers import Processes
from captain_cinema.pipeline.filming import ShotTask, Task, film_in_worker
from captain_cinema.playhouse import render, story
from captain_cinema.project.pictures import write_picture

WANTED = 1.8
"""Two workers of one thread each should be so many times as fast as one."""


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shots", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "workers-cpu.json")
    options = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as home:
        tasks = film_tasks(Path(home), options.shots)
        taken = take_turns(tasks, [1, options.workers], options.repeats)
    one, many = statistics.median(taken[1]), statistics.median(taken[options.workers])
    result = {
        "hardware": hardware(),
        "load_before": round(load, 2),
        "shots": options.shots,
        "seconds": {str(count): times for count, times in taken.items()},
        "times_as_fast": one / many,
        "wanted": WANTED,
    }
    text = json.dumps(result, indent=2)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", "utf-8")
    print(text)


def film_tasks(home: Path, shots: int) -> list[Task]:
    """The shots of a held-out film from their true keyframes, each a task."""
    film = story.film(1, shots=shots, split="held-out")
    facts = presets.describe("embedded")
    tasks = []
    for number, shot in enumerate(film.shots, 1):
        keyframe = home / f"{number:03d}.png"
        write_picture(keyframe, render.draw(shot.state, height=facts.height))
        task = ShotTask(
            number=number,
            caption=shot.caption,
            film_caption=film.caption,
            seconds=2.0,
            seed=number,
            keyframe=keyframe,
            scratch=home / f"{number:03d}.mp4",
        )
        tasks.append(
            Task(
                shots=(task,),
                method="ours",
                height=facts.height,
                width=facts.width,
                fps=facts.fps,
                load=partial(presets.load_backend, "embedded"),
                threads=1,
            )
        )
    return tasks


def take_turns(tasks: list[Task], counts: list[int], repeats: int) -> dict[int, list[float]]:
    """Seconds to film all tasks with each number of workers, in turns, models loaded before."""
    crews = {count: Processes(count) for count in counts}
    try:
        for count, crew in crews.items():
            wait([crew.submit(film_in_worker, task) for task in tasks[:count]])
        taken: dict[int, list[float]] = {count: [] for count in counts}
        for _ in range(repeats):
            for count, crew in crews.items():
                start = time.perf_counter()
                film_all(crew, tasks)
                taken[count].append(time.perf_counter() - start)
        return taken
    finally:
        for crew in crews.values():
            crew.close()


def film_all(crew: Any, tasks: list[Task]) -> None:
    """Keep every worker busy until all is filmed."""
    running: set[Any] = set()
    for task in tasks:
        while not crew.free:
            done, running = wait(running, return_when="FIRST_COMPLETED")
            for future in done:
                future.result()
        running.add(crew.submit(film_in_worker, task))
    for future in running:
        future.result()


if __name__ == "__main__":
    main()
