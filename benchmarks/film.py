"""How long does a film take? Seconds a keyframe, with GoldenMem and without, and seconds a second of film.

    python -m benchmarks.film [--repeats 5] [--output benchmarks/results/film-cpu.json]

Keyframes are drawn with the fullest memory (the last shot of a 12-shot film). Variants take turns in one run,
so that their ratio holds even on a busy machine. `benchmarks.attention` times what is inside: folding pairs
into the batch against the paper's dense masks.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.hardware import hardware, peak_memory_gib
from captain_cinema.keyframes.planner import HistoryFrame, KeyframePlanner
from captain_cinema.playhouse import render, story
from captain_cinema.presets import load_backend
from captain_cinema.shots.generator import ShotGenerator
from captain_cinema.shots.request import ShotRequest

SHOTS, SECONDS = 12, 2.0
"""The film that the result is told for: 12 shots of 2 seconds."""

Variants = dict[str, Callable[[], Any]]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "film-cpu.json")
    options = parser.parse_args()
    backend = load_backend("embedded")
    film = story.film(options.seed, shots=SHOTS, split="held-out")
    keyframes = time_keyframes(backend.planner, film, options.repeats)
    shots = time_shots(backend.shots, film, options.repeats)
    keyframe, film_second = keyframes["goldenmem"]["seconds"], shots["seconds_a_film_second"]
    result = {
        "hardware": hardware(),
        "keyframes": keyframes,
        "shots": shots,
        "film_of_12_shots_24_seconds": {
            "seconds": SHOTS * (keyframe + SECONDS * film_second),
            "peak_memory_gib": peak_memory_gib(),
        },
    }
    text = json.dumps(result, indent=2)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", "utf-8")
    print(text)


def take_turns(variants: Variants, repeats: int) -> dict[str, float]:
    """The median seconds of each variant, run in turns after one unmeasured round."""
    for run in variants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(repeats):
        for name, run in variants.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


def time_keyframes(planner: KeyframePlanner, film: story.PlayhouseFilm, repeats: int) -> dict[str, Any]:
    """Seconds a keyframe and tokens of memory: GoldenMem, all frames at full size, no memory at all."""
    assert planner.retriever is not None
    frames = [render.draw(shot.state, height=planner.settings.height) for shot in film.shots]
    history = [
        HistoryFrame(
            number=number, caption=shot.caption, frame=frame, embedding=planner.retriever.embed_frame(frame)
        )
        for number, (shot, frame) in enumerate(zip(film.shots[:-1], frames, strict=False), start=1)
    ]
    caption = film.shots[-1].caption
    full_settings = replace(planner.settings, memory=None)
    full = KeyframePlanner(planner.model, planner.codec, planner.text, planner.retriever, full_settings)
    draws: Variants = {
        "goldenmem": lambda: planner.draw(caption, history, seed=1),
        "full_size_memory": lambda: full.draw(caption, history, seed=1),
        "no_memory": lambda: planner.draw(caption, [], seed=1),
    }
    seconds = take_turns(draws, repeats)
    result: dict[str, Any] = {"steps": planner.settings.steps, "guidance": planner.settings.guidance}
    for name, draw in draws.items():
        memory = draw().memory
        result[name] = {
            "seconds": seconds[name],
            "frames_in_memory": len(memory),
            "image_tokens_in_memory": sum(use.tokens for use in memory),
        }
    return result


def time_shots(shooter: ShotGenerator, film: story.PlayhouseFilm, repeats: int) -> dict[str, Any]:
    """Seconds of work a second of film."""
    shot = film.shots[-1]
    request = ShotRequest(
        keyframe=render.draw(shot.state, height=shooter.abilities.height),
        caption=shot.caption,
        film_caption=film.caption,
        seconds=SECONDS,
        seed=1,
    )
    taken = take_turns({"shot": lambda: list(shooter.generate([request]))}, repeats)["shot"]
    return {"seconds_a_film_second": taken / SECONDS, "seconds_a_shot": taken, "fps": shooter.abilities.fps}


if __name__ == "__main__":
    main()
