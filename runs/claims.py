"""The paper's claims put to the test on held-out playhouse films, with the embedded weights.

    .venv/bin/python -m runs.claims retrieval        figure 5: picture embeddings find more than captions do
    .venv/bin/python -m runs.claims context-noise    figure 10: light noise on the context beats strong noise
    .venv/bin/python -m runs.claims goldenmem        table 3: a compressed memory costs little identity
    .venv/bin/python -m runs.claims tuning --weights BASE --tuned TUNED/export
                                                     tuning on films keeps characters better than none

Each prints one table: a row a condition, its rate for every seed, their mean and spread (largest less
smallest), and writes it with the samples' count to benchmarks/results/claim-<name>.json. --films and --seeds
say how many.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from benchmarks.hardware import hardware
from captain_cinema import presets
from captain_cinema.backbone.mmdit import load_mmdit
from captain_cinema.evaluate import coverage, identity
from captain_cinema.evaluate.shares import Share
from captain_cinema.keyframes.goldenmem import Memory
from captain_cinema.keyframes.noisy_context import BANDS, CLEAN
from captain_cinema.keyframes.planner import SamplingSettings

RESULTS = Path(__file__).parent.parent / "benchmarks" / "results"
DEPTHS = (2, 3, 4, 6)

Row = tuple[str, int, Share]
"""Condition, seed, what came of it."""


def retrieval(backend: presets.Backend, films: int, seeds: int) -> Iterator[Row]:
    """Needs of the next shot that the chosen frames show, by way of choosing and number of frames."""
    for seed in range(1, seeds + 1):
        found = coverage.run(backend.planner, films, seed, shots=48, depths=DEPTHS)
        for way in coverage.WAYS:
            for depth in DEPTHS:
                yield f"{way}, {depth} frames", seed, found.shares[way, depth]


def context_noise(backend: presets.Backend, films: int, seeds: int) -> Iterator[Row]:
    """Identity with the context's noise drawn from each of the paper's bands."""
    usual = backend.planner.settings
    settings = {band.name: replace(usual, band=band) for band in (CLEAN, *BANDS.values())}
    yield from _identity(backend, settings, films, seeds)


def goldenmem(backend: presets.Backend, films: int, seeds: int) -> Iterator[Row]:
    """Identity with the context at full size, and in the embedded preset's memory."""
    usual = backend.planner.settings
    settings = {
        "all at full size": replace(usual, memory=None),
        "2x4": replace(usual, memory=Memory(groups=2, images=4)),
        "2x4, the latest large": replace(usual, memory=Memory(groups=2, images=4), rank="age"),
    }
    yield from _identity(backend, settings, films, seeds)


def _identity(
    backend: presets.Backend, settings: dict[str, SamplingSettings], films: int, seeds: int
) -> Iterator[Row]:
    for seed in range(1, seeds + 1):
        for name, chosen in settings.items():
            backend.planner.settings = chosen
            found = identity.run(backend, films, seed, controls=False)
            yield name, seed, found.headline


def tuning(backend: presets.Backend, films: int, seeds: int, *, tuned: Sequence[Path] = ()) -> Iterator[Row]:
    """Identity with the weights as they were, and with each of the tuned transformers in their place."""
    models = {"untuned": backend.planner.model}
    for folder in tuned:
        place = folder / "keyframes" / "transformer"
        models[f"tuned, {folder.parent.name}"] = load_mmdit(place, dtype=torch.float32).eval()
    for seed in range(1, seeds + 1):
        for name, model in models.items():
            backend.planner.model = model
            yield name, seed, identity.run(backend, films, seed, controls=False).headline


CLAIMS = {
    "retrieval": retrieval,
    "context-noise": context_noise,
    "goldenmem": goldenmem,
    "tuning": tuning,
}


def table(rows: list[Row]) -> str:
    """One line a condition."""
    names = list(dict.fromkeys(name for name, _, _ in rows))
    lines = []
    for name in names:
        shares = [share for other, _, share in rows if other == name]
        rates = [share.rate for share in shares]
        each = " ".join(f"{rate:.3f}" for rate in rates)
        mean, spread = sum(rates) / len(rates), max(rates) - min(rates)
        whole = Share(correct=sum(s.correct for s in shares), total=sum(s.total for s in shares))
        low, high = whole.interval
        lines.append(
            f"{name:<26} {mean:.3f}  spread {spread:.3f}  seeds: {each}  n = {whole.total}"
            f"  all: {whole.rate:.3f} (95 % {low:.3f} to {high:.3f})"
        )
    return "\n".join(lines)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("claim", choices=CLAIMS)
    parser.add_argument("--films", type=int, default=6, help="held-out films a seed")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--weights", type=Path, help="other weights than the shipped ones")
    parser.add_argument("--tuned", type=Path, nargs="+", help="of tuning: what tuning runs exported")
    parser.add_argument("--output", type=Path, help="where the JSON goes")
    given = parser.parse_args()
    if (given.claim == "tuning") != bool(given.tuned):
        parser.error("tuning needs --tuned FOLDER, the others do not know it")
    backend = presets.load_backend("embedded", weights=given.weights)
    claim = partial(tuning, tuned=given.tuned) if given.tuned else CLAIMS[given.claim]
    started, rows = time.monotonic(), []
    for row in claim(backend, given.films, given.seeds):
        rows.append(row)
        print(f"{time.monotonic() - started:6.0f} s  seed {row[1]}  {row[0]:<26} {row[2]}", flush=True)
    print(f"\n{given.claim}: {given.seeds} seeds of {given.films} films\n{table(rows)}")
    data = {
        "claim": given.claim,
        "hardware": hardware(),
        "revision": backend.revision,
        "films": given.films,
        "rows": [{"condition": name, "seed": seed, **share.as_dict()} for name, seed, share in rows],
    }
    path = given.output or RESULTS / f"claim-{given.claim}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
