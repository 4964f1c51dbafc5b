"""Sample sheets: frames in rows, as one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np


def write_sheet(path: Path, rows: Sequence[Sequence[np.ndarray]], *, gap: int = 6) -> None:
    """Lay equally large frames (uint8 RGB [h, w, 3]) out in rows on paper white and write them as a PNG."""
    height, width = rows[0][0].shape[:2]
    columns = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height + gap) + gap, columns * (width + gap) + gap, 3), 246, np.uint8)
    for r, row in enumerate(rows):
        for c, frame in enumerate(row):
            y, x = gap + r * (height + gap), gap + c * (width + gap)
            sheet[y : y + height, x : x + width] = frame
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR))
