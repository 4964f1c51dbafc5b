"""Kills `cinema make` over the fake backend, again and again, and compares what comes out (its own process).

Each run is a fork of this process, so it starts at once and dies as hard as a process can. Two ways to die:
at a moment chosen by the clock, and at the n-th call that makes something lasting (rename, flush, removal).
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from pathlib import Path

import fake_cinema
import filmmaking
import numpy as np
from killing import die_at_call, ends_well, silently
from PIL import Image, PngImagePlugin

from captain_cinema import cli
from captain_cinema.cut import contact_sheet
from captain_cinema.project import clips

LASTING = ("replace", "fsync", "unlink")


def warm(home: Path) -> None:
    """Load here what every run would load."""
    clips.write_clip(home / "warm.mp4", [np.zeros((16, 32, 3), np.uint8)], fps=12)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(home / "warm.png", pnginfo=PngImagePlugin.PngInfo())
    contact_sheet.draw_contact_sheet([], title="warm")


def run(arguments: list[str], *, call: int = 0, seconds: float = 0.0) -> bool:
    """Run the command in a fork; True when it ended by itself, and then it must have ended well."""

    def work() -> int:
        if call:
            die_at_call(call, LASTING)
        return silently(cli.main, arguments)

    return ends_well(work, seconds=seconds)


def main() -> int:
    home, way, kills, seed = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    os.chdir(home)
    fake_cinema.replace_models(pause=0.0)
    warm(home)
    rng = random.Random(seed)

    def film(name: str) -> tuple[Path, list[str]]:
        folder = home / name / "film"
        folder.mkdir(parents=True)
        (folder / "script.yaml").write_text(filmmaking.script_text(*filmmaking.CAPTIONS), "utf-8")
        return folder.parent, ["make", str(folder), "--output", str(folder.parent / "out.mp4")]

    whole, arguments = film("whole")
    started = time.monotonic()
    run(arguments)
    lasts = time.monotonic() - started
    wanted = filmmaking.frames_of(whole)

    killed, films, unequal = 0, 0, []
    while killed < kills:
        films += 1
        folder, arguments = film(f"killed-{films}")
        while not (
            run(arguments, call=rng.randint(1, 9))
            if way == "call"
            else run(arguments, seconds=rng.uniform(0, lasts / 4))
        ):
            killed += 1
            if killed == kills:
                run(arguments)
                break
        frames = filmmaking.frames_of(folder)
        unequal += [name for name, digest in frames.items() if wanted.get(name) != digest]
        unequal += [name for name in wanted if name not in frames]
        unequal += [path.name for path in folder.rglob(".*.part")]
    print(json.dumps({"kills": killed, "films": films, "files": len(wanted), "unequal": unequal}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
