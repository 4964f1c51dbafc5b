"""The real films that lie beside the checkout, where they do; a drawn one stands in where they do not."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(
    os.environ.get("CAPTAIN_CINEMA_FILMS") or Path(__file__).resolve().parents[2].parent / "shared" / "films"
)


@cache
def manifest() -> dict[str, dict[str, Any]]:
    """What is known of every real film, by file name; of a drawn one if there are none."""
    listed = FOLDER / "manifest.json"
    if listed.is_file():
        return {entry["file"]: entry for entry in json.loads(listed.read_text())}
    drawn = {"codec": "h264", "width": 160, "height": 90, "fps": "12", "duration": 4.0, "decoded_frames": 48}
    return {"drawn.mp4": drawn | {"cuts": {"kind": "drawn", "hard": [12, 24, 36], "gradual": []}}}


@cache
def real_film(name: str) -> Path:
    """Where a film of the manifest lies."""
    if (FOLDER / name).is_file():
        return FOLDER / name
    import tempfile

    from drawn import write_film

    return write_film(Path(tempfile.mkdtemp()) / name, 11, lengths=(12, 12, 12, 12))
