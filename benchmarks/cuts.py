"""How many cuts does each detector find, and how many that are none?

    python -m benchmarks.cuts FOLDER

`FOLDER` holds films and a `manifest.json`: a list of `{"file": name, "cuts": {"hard": [...], "gradual":
[[first, last], ...]}}`. `hard` are the first frames of new shots, counted from 0; `gradual` are the frames of
fades and dissolves, in which a find is neither right nor wrong. Every film is decoded once and shown to every
detector, in three ways: as a build has it, with fades and dissolves joined in; the detector alone; and alone
as PySceneDetect ships it. A find may be one frame off. The time is the processor's, for the detector alone;
what decoding and reducing take is told apart.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, get_args

from benchmarks.hardware import hardware
from captain_cinema.errors import CinemaError
from captain_cinema.films.cuts import CutFinder, SceneDetectFinder, cut_finder, reduced, scene_detector
from captain_cinema.films.decode import decode
from captain_cinema.films.media import probe
from captain_cinema.films.records import Cut
from captain_cinema.films.score import CutScore, score_cuts
from captain_cinema.films.settings import Detector, FilmSettings
from captain_cinema.films.transnet import TransNetFinder

DETECTORS: tuple[Detector, ...] = get_args(Detector)
SHIPPED_SHORTEST = 1.0
"""Seconds that hold the 15 frames of PySceneDetect's own shortest shot, at 15 frames a second or more."""
BY_EYE = {"nasa_13013.mp4": {"hard": [202], "gradual": [(127, 150)]}}
"""Cuts of films that manifests do not tell."""
PUBLISHED = {
    "adaptive": "BBC 91.6, ClipShots 55.8",
    "content": "BBC 86.7, ClipShots 55.8",
    "transnetv2": "BBC 96.2, ClipShots 77.9",
}
"""F1 in per cent: by PySceneDetect's own benchmark, and in the paper of TransNetV2."""


@dataclass(kw_only=True)
class Watcher:
    """A finder and what it found."""

    finder: CutFinder | SceneDetectFinder | TransNetFinder
    cuts: list[Cut] = field(default_factory=list)
    seconds: float = 0.0
    """Of the processor."""

    def watch(self, find: Callable[[], list[Cut]]) -> None:
        """Let the finder work, and keep time."""
        begun = time.process_time()
        self.cuts += find()
        self.seconds += time.process_time() - begun


def main() -> None:
    """Measure, print a table and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detectors", nargs="*", choices=DETECTORS, default=DETECTORS)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "cuts-cpu.json")
    options = parser.parse_args()
    try:
        result = measure(options.folder, options.detectors)
    except CinemaError as error:
        parser.error(str(error))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(table(result))


def measure(folder: Path, detectors: Sequence[Detector]) -> dict[str, Any]:
    """Every detector on every film with known cuts.

    Raises:
        CinemaError: the folder has no film with known cuts, or a film cannot be read.
    """
    listed = folder / "manifest.json"
    if not listed.is_file():
        raise CinemaError(f"{listed} is not there; it lists films and their cuts")
    entries = {entry["file"]: entry.get("cuts") for entry in json.loads(listed.read_text("utf-8"))}
    known = {name: cuts or BY_EYE.get(name) for name, cuts in entries.items()}
    films = {name: watch(folder / name, cuts, detectors) for name, cuts in known.items() if cuts}
    if not films:
        raise CinemaError(f"no film in {listed} has known cuts")
    pooled = {
        detector: {
            way: told(reduce(add, (film["scores"][detector][way] for film in films.values())))
            for way in next(iter(films.values()))["scores"][detector]
        }
        for detector in detectors
    }
    for film in films.values():
        film["scores"] = {
            detector: {way: told(score) for way, score in ways.items()}
            for detector, ways in film["scores"].items()
        }
    return {"hardware": hardware(), "published": PUBLISHED, "films": films, "all": pooled}


def watch(path: Path, known: dict[str, Any], detectors: Sequence[Detector]) -> dict[str, Any]:
    """One film, decoded once and shown to all detectors in all ways."""
    facts = probe(path)
    watchers = {
        (detector, way): Watcher(finder=finder)
        for detector in detectors
        for way, finder in finders(detector, facts.fps).items()
    }
    frames, decoding = decode(path, facts)
    begun = time.process_time()
    for frame in frames:
        reduced(frame)  # kept by the frame, so that no finder pays for it
        for watcher in watchers.values():
            watcher.watch(lambda watcher=watcher, frame=frame: watcher.finder.feed(frame))
    for watcher in watchers.values():
        watcher.watch(watcher.finder.finish)
    whole = time.process_time() - begun
    reading = whole - sum(watcher.seconds for watcher in watchers.values())
    scores: dict[str, dict[str, CutScore]] = {}
    detecting: dict[str, float] = {}
    for (detector, way), watcher in watchers.items():
        found = [cut.frame for cut in watcher.cuts]
        scores.setdefault(detector, {})[way] = score_cuts(found, known["hard"], known["gradual"])
        if way == "alone":
            detecting[detector] = per_frame(watcher.seconds, decoding.frames)
    return {
        "frames": decoding.frames,
        "cuts": len(known["hard"]),
        "read_ms_a_frame": per_frame(reading, decoding.frames),
        "detect_ms_a_frame": detecting,
        "scores": scores,
    }


def finders(detector: Detector, fps: float) -> dict[str, CutFinder | SceneDetectFinder | TransNetFinder]:
    """A detector as a build has it, alone, and as it is shipped."""
    settings = FilmSettings(detector=detector)
    ways = {"build": cut_finder(settings, fps)}
    if detector == "transnetv2":
        return ways | {"alone": TransNetFinder()}
    tuned = scene_detector(settings)
    return ways | {
        "alone": SceneDetectFinder(tuned, fps, shortest=settings.shortest_shot),
        "shipped": SceneDetectFinder(type(tuned)(), fps, shortest=SHIPPED_SHORTEST),
    }


def per_frame(seconds: float, frames: int) -> float:
    """Milliseconds."""
    return round(1000 * seconds / max(1, frames), 3)


def told(score: CutScore) -> dict[str, Any]:
    """A score as it is written down."""
    rates = {"precision": score.precision, "recall": score.recall, "f1": score.f1}
    return {name: round(rate, 4) for name, rate in rates.items()} | {
        "hits": score.hits,
        "false": list(score.false),
        "missed": list(score.missed),
    }


def table(result: dict[str, Any]) -> str:
    """Precision, recall and F1 in per cent: films across, detectors down."""
    films: dict[str, Any] = result["films"]
    total = sum(film["cuts"] for film in films.values())
    heads = [f"{name} ({film['cuts']})" for name, film in films.items()]
    rows = [["detector", *heads, f"all ({total})", "alone", "as shipped", "published F1"]]
    for detector, ways in result["all"].items():
        cells = [rates(film["scores"][detector]["build"]) for film in films.values()]
        cells += [rates(ways[way]) if way in ways else "" for way in ("build", "alone", "shipped")]
        rows.append([detector, *cells, result["published"].get(detector, "")])
    rows.insert(1, ["---"] * len(rows[0]))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def rates(score: dict[str, Any]) -> str:
    """Precision / recall / F1 in per cent."""
    return " / ".join(f"{100 * score[name]:.1f}" for name in ("precision", "recall", "f1"))


if __name__ == "__main__":
    main()
