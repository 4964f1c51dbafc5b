"""One learning curve of several training runs, each of which went on from the one before it.

    .venv/bin/python -m runs.learning_curve OUT.png RUN...    RUN: a folder of `cinema train`, in their order

Draws every figure that the runs logged against the hours of training, and prints the hours and the last
figures of each run. The shipped weights' runs are kept as benchmarks/results/training-<part>.jsonl, which is
read as well: a line a logged row, with the name of its run.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

FIGURES = {
    "noisy": "error of nearly pure noise",
    "read": "coats read from words",
    "fetched": "coats fetched by name",
    "shown": "kinds known where drawn",
    "told": "nearer to the truth\nthan to another kind or action",
    "loss": "loss",
}
"""What is drawn, where it was logged: the column of the metrics and what it is called."""


def read_runs(paths: list[Path]) -> dict[str, list[dict[str, Any]]]:
    """Rows by run, in order: from run folders, or from files that hold several runs."""
    runs: dict[str, list[dict[str, Any]]] = {}
    for path in paths:
        file = path / "metrics.jsonl" if path.is_dir() else path
        for line in file.read_text().splitlines():
            row = json.loads(line)
            runs.setdefault(row.pop("run", path.stem), []).append(row)
    return runs


def draw(runs: dict[str, list[dict[str, Any]]], path: Path) -> float:
    """Draw the runs end to end; returns the hours of all of them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = [name for name in FIGURES if any(name in row for rows in runs.values() for row in rows)]
    if "noisy" in shown:
        shown.remove("loss")  # its parts changed from run to run; the figures did not
    figure = Figure(figsize=(8, 2.2 * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    hours = 0.0
    panels = figure.subplots(len(shown), sharex=True, squeeze=False)[:, 0]
    for number, (run, rows) in enumerate(runs.items()):
        times = np.array([row["seconds"] for row in rows]) / 3600
        for name, axes in zip(shown, panels, strict=True):
            known = np.array([row.get(name, np.nan) for row in rows], dtype=float)
            axes.plot(hours + times, known, color="#d8cfc0", linewidth=0.7)
            axes.plot(hours + times, smooth(known), color="#b5462f", linewidth=1.6)
            axes.axvspan(hours, hours + times[-1], color="#000000", alpha=0.03 * (number % 2), linewidth=0)
            axes.set_ylabel(FIGURES[name], fontsize=8)
            axes.grid(alpha=0.2)
        panels[0].annotate(
            run,
            (hours + times[-1] / 2, 1.02 + 0.07 * (number % 2)),  # short runs stand side by side
            xycoords=("data", "axes fraction"),
            ha="center",
            fontsize=8,
        )
        hours += float(times[-1])
    panels[-1].set_xlabel("hours of training")
    figure.savefig(path, dpi=110)
    return hours


def smooth(values: np.ndarray, width: int = 8) -> np.ndarray:
    """A moving mean that forgives missing values."""
    known = np.where(np.isnan(values), 0.0, values)
    kernel = np.ones(2 * width + 1)
    weight = np.convolve(~np.isnan(values), kernel, "same")
    return np.where(weight > 0, np.convolve(known, kernel, "same") / np.maximum(weight, 1), np.nan)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("runs", type=Path, nargs="+")
    given = parser.parse_args()
    runs = read_runs(given.runs)
    for run, rows in runs.items():
        last = {name: round(rows[-1][name], 3) for name in FIGURES if name in rows[-1]}
        print(f"{run:<12} {rows[-1]['step']:>6} steps, {rows[-1]['seconds'] / 3600:5.2f} h  {last}")
    print(f"{draw(runs, given.out):.2f} hours in all: {given.out}")


if __name__ == "__main__":
    main()
