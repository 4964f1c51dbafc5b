"""The contact sheet: every keyframe with its number and the beginning of its caption, on one picture."""

from __future__ import annotations

import bisect
import importlib.util
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

PAPER = (250, 246, 238)
INK = (52, 46, 42)
FAINT = (132, 122, 112)
EMPTY = (232, 225, 213)
MAX_SIDE = 8192
"""Pixels; a longer film gets smaller pictures."""


@dataclass(frozen=True, kw_only=True)
class Tile:
    """A keyframe on the sheet."""

    number: int
    caption: str
    frame: np.ndarray | None = None
    """None draws an empty place."""


@dataclass(frozen=True, kw_only=True)
class _Grid:
    columns: int
    rows: int
    width: int
    """Of a picture."""
    gap: int
    text: int
    """Height of the words below a picture."""
    font: int
    head: int

    @property
    def height(self) -> int:
        return self.width // 2


def draw_contact_sheet(tiles: Sequence[Tile], *, title: str, subtitle: str = "") -> np.ndarray:
    """Draw the sheet as uint8 RGB [h, w, 3]: title, then the tiles in reading order."""
    import numpy as np
    from PIL import Image, ImageDraw

    grid = _grid(len(tiles))
    step_x, step_y = grid.width + grid.gap, grid.height + grid.text + grid.gap
    size = (grid.gap + grid.columns * step_x, grid.head + grid.rows * step_y)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    room = size[0] - 2 * grid.gap
    big, small = _font(round(grid.font * 1.7), bold=True), _font(grid.font)
    pen.text((grid.gap, grid.gap), _shortened(title, big, room), INK, big)
    pen.text((grid.gap, grid.gap + round(grid.font * 2.3)), _shortened(subtitle, small, room), FAINT, small)
    for place, tile in enumerate(tiles):
        row, column = divmod(place, grid.columns)
        _draw_tile(sheet, pen, tile, grid, grid.gap + column * step_x, grid.head + row * step_y)
    return np.asarray(sheet)


def _grid(count: int) -> _Grid:
    columns = min(max(1, count), 4 if count <= 24 else 6 if count <= 60 else 8)
    width = 320 if columns <= 4 else 256
    while True:
        rows = math.ceil(max(1, count) / columns)
        gap, font = max(4, width // 16), max(7, width // 20)
        text = round(font * 1.35 * 3) + font // 2
        grid = _Grid(
            columns=columns, rows=rows, width=width, gap=gap, text=text, font=font, head=gap + font * 5
        )
        if grid.head + rows * (grid.height + text + gap) <= MAX_SIDE or width <= 48:
            return grid
        columns, width = round(columns * 1.25) + 1, max(48, round(width * 0.85))


def _draw_tile(sheet: Any, pen: Any, tile: Tile, grid: _Grid, x: int, y: int) -> None:
    from PIL import Image

    box = (x, y, x + grid.width - 1, y + grid.height - 1)
    if tile.frame is None:
        pen.rectangle(box, fill=EMPTY)
    else:
        picture = Image.fromarray(tile.frame).resize((grid.width, grid.height), Image.Resampling.LANCZOS)
        sheet.paste(picture, (x, y))
    number_font, words_font = _font(grid.font, bold=True), _font(grid.font)
    top, line = y + grid.height + grid.font // 3, round(grid.font * 1.35)
    number = f"{tile.number}"
    pen.text((x, top), number, INK, number_font)
    indent = round(number_font.getlength(number + " "))
    for place, words in enumerate(_wrapped(tile.caption, words_font, grid.width, indent, lines=3)):
        pen.text((x + (indent if place == 0 else 0), top + place * line), words, FAINT, words_font)


def _font(size: int, *, bold: bool = False) -> Any:
    """DejaVu Sans as matplotlib brings it (Latin, Greek, Cyrillic and more); else Pillow's own."""
    from PIL import ImageFont

    spec = importlib.util.find_spec("matplotlib")
    if spec is not None and spec.origin is not None:
        name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
        path = Path(spec.origin).parent / "mpl-data" / "fonts" / "ttf" / name
        if path.is_file():
            return ImageFont.truetype(str(path), size)
    return ImageFont.load_default(size)


def _plain(text: str) -> str:
    """One line without the marks of names, and without characters that no font draws."""
    words = " ".join(text[:2000].replace("<", "").replace(">", "").split())
    return "".join(char for char in words if char.isprintable())[:400]


def _fitting(text: str, font: Any, room: int) -> int:
    """How many characters of a text fit into so many pixels."""
    return (
        bisect.bisect_right(range(len(text) + 1), room, lo=1, key=lambda end: font.getlength(text[:end])) - 1
    )


def _shortened(text: str, font: Any, room: int) -> str:
    text = _plain(text)
    if font.getlength(text) <= room:
        return text
    return text[: _fitting(text, font, room - font.getlength("…"))].rstrip() + "…"


def _wrapped(text: str, font: Any, room: int, indent: int, *, lines: int) -> list[str]:
    """Break at spaces, inside a word only where it fills a line (some scripts have no spaces)."""
    rest, found = _plain(text), []
    while rest and len(found) < lines:
        width = room - (indent if not found else 0)
        if len(found) == lines - 1:
            found.append(_shortened(rest, font, width))
            break
        fits = max(1, _fitting(rest, font, width))
        if fits < len(rest) and (space := rest.rfind(" ", 0, fits + 1)) > 0:
            fits = space
        found.append(rest[:fits].rstrip())
        rest = rest[fits:].lstrip()
    return found
