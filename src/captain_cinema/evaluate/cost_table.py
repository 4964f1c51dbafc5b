"""Table 3's compute and figure 4, for any preset: `cinema evaluate compute`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captain_cinema.evaluate.cost import (
    PETA,
    Frame,
    deepest,
    default_memory,
    forward_flops,
    frame_of,
    scales_of,
    tokens_of,
    unit_of,
)
from captain_cinema.evaluate.cost_plan import table
from captain_cinema.evaluate.cost_sizes import Sizes, sizes_of
from captain_cinema.keyframes.goldenmem import Memory

PAIRS = (16, 32, 48, 96)
TABLE_GROUPS = 3
"""Table 3's memories: 3x4 for 16 pairs, 3x8 for 32, 3x12 for 48."""
SHORT_TEXT = 4
"""Design: the text of old pairs may be shortened too. The last variant keeps one token in so many."""

PAPER = {(16, "full"): 30, (16, "3x4"): 21, (32, "full"): 55, (32, "3x8"): 35, (48, "3x12"): 52}
"""Table 3's PFLOPs, by pairs and memory; 48 pairs in full were out of memory."""
PAPER_OUT = (48, "full")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One memory at one number of pairs."""

    pairs: int
    memory: str
    """ "full", or groups x images, with "default" and "short text" where that is so."""
    image_tokens: int
    text_tokens: int
    forward_pflops: float
    """One forward over all pairs."""
    film_pflops: float
    """All pairs drawn together: forward x steps x passes, what table 3 estimates."""
    of_full: float
    """Share of full context's operations."""
    of_full_tokens: float
    """Share of full context's tokens: the paper's estimate, which takes every token for equally dear."""
    paper_pflops: float | None
    paper_of_full: float | None


@dataclass(frozen=True, kw_only=True)
class Compute:
    """The table."""

    sizes: Sizes
    frame: Frame
    rows: tuple[Row, ...]

    def as_dict(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "preset": self.sizes.preset,
            "transformer": self.sizes.transformer.name,
            "steps": self.sizes.steps,
            "passes": self.sizes.passes,
            "height": self.frame.rows * self.sizes.token_size,
            "width": self.frame.cols * self.sizes.token_size,
            "txt_len": self.frame.txt_len,
            "rows": [vars(row) for row in self.rows],
        }

    def table(self) -> str:
        """For people."""
        sizes, size = self.sizes, self.sizes.token_size
        guided = " x 2 for guidance" if sizes.passes == 2 else ""
        head = (
            f"{sizes.preset}: {sizes.transformer.name}, frames of"
            f" {self.frame.rows * size}x{self.frame.cols * size}, {self.frame.txt_len} text tokens a pair,"
            f" {sizes.steps} steps{guided}"
        )
        scale, prefix = unit_of(max(row.forward_pflops for row in self.rows))
        names = ["pairs", "memory", "image", "text", "a forward", "all frames", "of full", "of its tokens"]
        rows = [[*names, "paper", "of its full"]]
        for row in self.rows:
            if row.memory == "full" and len(rows) > 1:
                rows.append([""])
            rows.append(self._cells(row, scale))
        told = (
            f"a forward, all frames: {prefix}FLOPs; all frames are drawn together in every step.\n"
            "paper: PFLOPs of table 3 (FLUX.1-dev), estimated there as tokens x steps x FLOP a token.\n"
            "That leaves out attention between pairs, which grows with the square of the tokens: compare\n"
            "the paper's share with that of the tokens. short text: a quarter of the text tokens where\n"
            "the frame is shrunk."
        )
        return f"{head}\n\n{table(rows, left=2)}\n\n{told}"

    def _cells(self, row: Row, scale: float) -> list[str]:
        cells = [str(row.pairs), row.memory, f"{row.image_tokens:,}", f"{row.text_tokens:,}"]
        cells += [_short(scale * row.forward_pflops), _short(scale * row.film_pflops)]
        cells += [f"{row.of_full:.2f}", f"{row.of_full_tokens:.2f}"]
        if (row.pairs, row.memory) == PAPER_OUT:
            return [*cells, "OOM"]
        if row.paper_pflops is None:
            return cells
        share = "" if row.paper_of_full is None else f"{row.paper_of_full:.2f}"
        return [*cells, f"{row.paper_pflops:.0f}", share]


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def compute_table(preset: str) -> Compute:
    """Count table 3.

    Raises:
        CinemaError: there is no such preset.
    """
    sizes = sizes_of(preset)
    frame = frame_of(sizes)
    rows = []
    for pairs in PAIRS:
        rows.extend(
            _row(sizes, frame, pairs, name, memory, old) for name, memory, old in _variants(frame, pairs)
        )
    return Compute(sizes=sizes, frame=frame, rows=tuple(rows))


def _variants(frame: Frame, pairs: int) -> list[tuple[str, Memory | None, int | None]]:
    """Name, memory and text tokens of old pairs of each line."""
    groups = min(TABLE_GROUPS, deepest(frame.rows))
    table_3 = Memory(groups=groups, images=-(-pairs // (groups + 1)))
    default = default_memory(pairs, frame.rows)
    short = max(1, frame.txt_len // SHORT_TEXT)
    named = f"default: {default.groups}x{default.images}"
    lines: list[tuple[str, Memory | None, int | None]] = [("full", None, None)]
    if groups != default.groups:
        lines.append((f"{table_3.groups}x{table_3.images}", table_3, None))
    return [*lines, (named, default, None), (f"{named}, short text", default, short)]


def _row(sizes: Sizes, frame: Frame, pairs: int, name: str, memory: Memory | None, old: int | None) -> Row:
    model = sizes.transformer
    scales, full = scales_of(frame, pairs, memory, old_txt_len=old), scales_of(frame, pairs, None)
    forward, whole = forward_flops(model, scales).total, forward_flops(model, full).total
    paper = PAPER.get((pairs, name))
    paper_full = PAPER.get((pairs, "full"))
    return Row(
        pairs=pairs,
        memory=name,
        image_tokens=sum(scale.img_tokens for scale in scales),
        text_tokens=sum(scale.txt_tokens for scale in scales),
        forward_pflops=forward / PETA,
        film_pflops=forward * sizes.steps * sizes.passes / PETA,
        of_full=forward / whole,
        of_full_tokens=tokens_of(scales) / tokens_of(full),
        paper_pflops=paper,
        paper_of_full=paper / paper_full if paper is not None and paper_full and name != "full" else None,
    )


# --- figure 4 ---

COLOURS = {"full": "#8a8378", "table": "#4a7a8c", "default": "#b5462f", "short": "#d9962b"}


def draw_figure(preset: str, path: Path, *, most: int = 96) -> None:
    """Draw tokens against pairs, as figure 4 does, and beside it the operations of a forward."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sizes = sizes_of(preset)
    frame = frame_of(sizes)
    curves = _curves(sizes, frame, list(range(1, most + 1)))
    figure = Figure(figsize=(10, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    top = max(max(ys) for _, _, ys, _ in curves)
    unit, word = (1e3, "thousand tokens") if top >= 2e4 else (1, "tokens")
    peak = max(max(ys) for _, _, _, ys in curves)
    scale, prefix = unit_of(peak)
    for key, label, tokens, flops in curves:
        style = {"color": COLOURS[key], "linewidth": 2.2 if key == "default" else 1.6, "label": label}
        xs = range(1, most + 1)
        left.plot(xs, [value / unit for value in tokens], **style)
        right.plot(xs, [value * scale for value in flops], **style)
    left.set(ylabel=word, title="tokens, image and text (figure 4)")
    right.set(ylabel=f"{prefix}FLOPs", title="a forward over all pairs")
    for axes in (left, right):
        axes.set(xlabel="pairs", xlim=(1, most), ylim=(0, None), xticks=[1, *PAIRS[:3], 64, 80, most])
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    left.legend(frameon=False, loc="upper left")
    size = sizes.token_size
    figure.suptitle(
        f"{sizes.transformer.name}, frames of {frame.rows * size}x{frame.cols * size},"
        f" {frame.txt_len} text tokens a pair",
        fontsize=11,
    )
    figure.savefig(path, dpi=130)


def _curves(sizes: Sizes, frame: Frame, pairs: list[int]) -> list[tuple[str, str, list[int], list[float]]]:
    """Key, label, tokens and PFLOPs of each line."""
    keys = (
        ("full", "table", "default", "short")
        if deepest(frame.rows) > TABLE_GROUPS
        else ("full", "default", "short")
    )
    groups = default_memory(1, frame.rows).groups
    labels = {
        "full": "full context",
        "table": f"GoldenMem {TABLE_GROUPS} x pairs/{TABLE_GROUPS + 1} (table 3)",
        "default": f"default: {groups} x pairs/{groups + 1}",
        "short": "default, text of shrunk pairs a quarter",
    }
    curves = []
    for place, key in enumerate(keys):
        tokens, flops = [], []
        for count in pairs:
            _, memory, old = _variants(frame, count)[place]
            scales = scales_of(frame, count, memory, old_txt_len=old)
            tokens.append(tokens_of(scales))
            flops.append(forward_flops(sizes.transformer, scales).total / PETA)
        curves.append((key, labels[key], tokens, flops))
    return curves
