"""How many cuts does each detector find, and how many that are none?

    python -m benchmarks.cuts FOLDER [--sweep]

`FOLDER` holds films and a `manifest.json`: a list of `{"file": name, "cuts": {"hard": [...], "gradual":
[[first, last], ...]}}`. `hard` are the first frames of new shots, counted from 0; `gradual` are the frames of
fades and dissolves, in which a find is neither right nor wrong. Every film is decoded once and shown to every
detector, in three ways: as a build has it, with fades and dissolves joined in; the detector alone; and alone
as PySceneDetect ships it. A find may be one frame off. The times in the result are the processor's, for the
detector alone; the first of several pays for reducing the frames. With `--sweep`, what other thresholds than
the defaults would give is measured as well, for the detectors alone.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, get_args

from benchmarks.hardware import hardware
from captain_cinema.errors import CinemaError
from captain_cinema.films.blends import BlendFinder
from captain_cinema.films.cuts import DEFAULT_FPS, HardCutFinder, JoinedFinder
from captain_cinema.films.decode import Frame, decode
from captain_cinema.films.media import probe
from captain_cinema.films.records import Cut
from captain_cinema.films.scene_detect import SceneDetectFinder, scene_detector, shortest_shot
from captain_cinema.films.score import CutScore, score_cuts
from captain_cinema.films.settings import Detector, FilmSettings
from captain_cinema.films.transnet import TransNetFinder

DETECTORS: tuple[Detector, ...] = get_args(Detector)
SHIPPED_SHORTEST = 1.0
"""Seconds that hold the 15 frames of PySceneDetect's own shortest shot, at 15 frames a second or more."""
SWEEP: dict[Detector, tuple[float, ...]] = {
    "adaptive": (1.3, 1.5, 1.7, 2.0, 2.5, 3.0),
    "content": (22.0, 24.5, 27.0, 30.0, 34.0),
    "hash": (0.3, 0.35, 0.4, 0.45, 0.5),
    "histogram": (0.1, 0.15, 0.2, 0.25, 0.3),
}
"""Thresholds around the defaults."""
BY_EYE = {"nasa_13013.mp4": {"hard": [202], "gradual": [(127, 150)]}}
"""Cuts of films that manifests do not tell."""
PUBLISHED = {
    "adaptive": "BBC 91.6, ClipShots 55.8",
    "content": "BBC 86.7, ClipShots 55.8",
    "transnetv2": "BBC 96.2, ClipShots 77.9",
}
"""F1 in per cent: by PySceneDetect's own benchmark, and in the paper of TransNetV2."""


class Tapped:
    """A detector inside a build's finder: what it finds before anything is joined in, and its time."""

    def __init__(self, finder: HardCutFinder) -> None:
        self._finder = finder
        self.lag = finder.lag
        self.cuts: list[Cut] = []
        self.seconds = 0.0
        """Of the processor."""

    @property
    def decided(self) -> int:
        """Every cut before this frame has been told."""
        return self._finder.decided

    def feed(self, frame: Frame) -> list[Cut]:
        """The next frame."""
        return self._timed(lambda: self._finder.feed(frame))

    def finish(self) -> list[Cut]:
        """There are no more frames."""
        return self._timed(self._finder.finish)

    def _timed(self, find: Callable[[], list[Cut]]) -> list[Cut]:
        begun = time.process_time()
        cuts = find()
        self.seconds += time.process_time() - begun
        self.cuts += cuts
        return cuts


class Watcher:
    """A detector in all its ways, shown the same frames."""

    def __init__(self, detector: Detector, fps: float) -> None:
        settings = FilmSettings(detector=detector)
        self.build: list[Cut] = []
        self.shipped: Tapped | None = None
        if detector == "transnetv2":
            self.alone = Tapped(TransNetFinder())
        else:
            tuned = scene_detector(settings)
            self.alone = Tapped(SceneDetectFinder(tuned, fps, shortest=shortest_shot(settings)))
            self.shipped = Tapped(SceneDetectFinder(type(tuned)(), fps, shortest=SHIPPED_SHORTEST))
        self._joined = JoinedFinder(self.alone, BlendFinder(fps))

    def feed(self, frame: Frame) -> None:
        """The next frame."""
        self.build += self._joined.feed(frame)
        if self.shipped is not None:
            self.shipped.feed(frame)

    def finish(self) -> None:
        """There are no more frames."""
        self.build += self._joined.finish()
        if self.shipped is not None:
            self.shipped.finish()

    def ways(self) -> dict[str, list[Cut]]:
        """What was found: as a build has it, by the detector alone, and as it is shipped."""
        found = {"build": self.build, "alone": self.alone.cuts}
        return found if self.shipped is None else found | {"shipped": self.shipped.cuts}


def main() -> None:
    """Measure, print a table and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--detectors", nargs="*", choices=DETECTORS, default=DETECTORS)
    parser.add_argument("--sweep", action="store_true", help="other thresholds as well")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "cuts-cpu.json")
    options = parser.parse_args()
    try:
        films = films_with_known_cuts(options.folder)
        result = {"hardware": hardware(), **measure(films, options.detectors)}
        if options.sweep:
            result["sweep"] = sweep(films, [one for one in options.detectors if one in SWEEP])
    except CinemaError as error:
        parser.error(str(error))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(table(result))
    for detector, found in result.get("sweep", {}).items():
        print(f"\n{detector}: " + ", ".join(f"{limit} {rates(score)}" for limit, score in found.items()))


def films_with_known_cuts(folder: Path) -> dict[Path, dict[str, Any]]:
    """Films and their cuts, as the folder's manifest has them.

    Raises:
        CinemaError: there is no manifest, or no film with known cuts in it.
    """
    listed = folder / "manifest.json"
    if not listed.is_file():
        raise CinemaError(f"{listed} is not there; it lists films and their cuts")
    entries = {entry["file"]: entry.get("cuts") for entry in json.loads(listed.read_text("utf-8"))}
    known = {name: cuts or BY_EYE.get(name) for name, cuts in entries.items()}
    films = {folder / name: cuts for name, cuts in known.items() if cuts}
    if not films:
        raise CinemaError(f"no film in {listed} has known cuts")
    return films


def measure(known: dict[Path, dict[str, Any]], detectors: Sequence[Detector]) -> dict[str, Any]:
    """Every detector on every film.

    Raises:
        CinemaError: a film cannot be read, or an extra is not installed.
    """
    films = {path.name: watch(path, cuts, detectors) for path, cuts in known.items()}
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
    return {"published": PUBLISHED, "films": films, "all": pooled}


def watch(path: Path, known: dict[str, Any], detectors: Sequence[Detector]) -> dict[str, Any]:
    """One film, decoded once and shown to all detectors in all ways."""
    facts = probe(path)
    watchers = {detector: Watcher(detector, facts.fps or DEFAULT_FPS) for detector in detectors}
    frames, decoding = decode(path, facts)
    for frame in frames:
        for watcher in watchers.values():
            watcher.feed(frame)
    scores: dict[str, dict[str, CutScore]] = {}
    for detector, watcher in watchers.items():
        watcher.finish()
        scores[detector] = {
            way: score_cuts([cut.frame for cut in cuts], known["hard"], known["gradual"])
            for way, cuts in watcher.ways().items()
        }
    print(f"{path.name}: {decoding.frames} frames", file=sys.stderr, flush=True)
    return {
        "frames": decoding.frames,
        "cuts": len(known["hard"]),
        "detect_ms_a_frame": {
            detector: round(1000 * watcher.alone.seconds / decoding.frames, 2)
            for detector, watcher in watchers.items()
        },
        "scores": scores,
    }


def sweep(
    known: dict[Path, dict[str, Any]], detectors: Sequence[Detector]
) -> dict[str, dict[str, dict[str, Any]]]:
    """What several thresholds give on all films together."""
    nothing = CutScore(hits=0, false=(), missed=())
    totals: dict[tuple[Detector, float], CutScore]
    totals = {(detector, limit): nothing for detector in detectors for limit in SWEEP[detector]}
    for path, cuts in known.items():
        facts = probe(path)
        finders: dict[tuple[Detector, float], SceneDetectFinder] = {}
        for detector, limit in totals:
            settings = FilmSettings(detector=detector, threshold=limit)
            finders[detector, limit] = SceneDetectFinder(
                scene_detector(settings), facts.fps or DEFAULT_FPS, shortest=shortest_shot(settings)
            )
        found: dict[tuple[Detector, float], list[Cut]] = {key: [] for key in finders}
        for frame in decode(path, facts)[0]:
            for key, finder in finders.items():
                found[key] += finder.feed(frame)
        for key, finder in finders.items():
            frames = [cut.frame for cut in (*found[key], *finder.finish())]
            totals[key] += score_cuts(frames, cuts["hard"], cuts["gradual"])
    return {one: {str(limit): told(totals[one, limit]) for limit in SWEEP[one]} for one in detectors}


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
