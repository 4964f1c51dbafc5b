"""The loss curve as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def draw_curve(rows: list[dict[str, Any]], path: Path) -> None:
    """Plot loss against step, raw and smoothed, on a logarithmic scale."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if len(rows) < 2:
        return
    steps = np.array([row["step"] for row in rows])
    loss = np.array([row["loss"] for row in rows])
    width = max(1, len(loss) // 40)
    smooth = np.convolve(
        np.pad(loss, (width, width), mode="edge"), np.ones(2 * width + 1) / (2 * width + 1), "valid"
    )
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(steps, loss, color="#c9c2b6", linewidth=0.8)
    axes.plot(steps, smooth, color="#b5462f", linewidth=1.8)
    axes.set_yscale("log")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.grid(alpha=0.2, which="both")
    figure.savefig(path, dpi=110)
