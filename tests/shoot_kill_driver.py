"""Kills `cinema shoot --workers 2` over fake models at random moments, and compares what comes out.

Each run is a fork of this process, so it starts at once; its two workers are processes of their own, which
have to end with it.
"""

from __future__ import annotations

import json
import random
import sys
import time
from pathlib import Path

import filmmaking
import shooting
from killing import ends_well, silently

from captain_cinema import cli, presets
from captain_cinema.cut import film


def run(*arguments: object, seconds: float = 0.0) -> bool:
    """Run the command in a fork; True when it ended by itself, and then it must have ended well."""
    given = [str(argument) for argument in arguments]
    return ends_well(lambda: silently(cli.main, given), seconds=seconds)


def main() -> int:
    home, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    film.FILM_HEIGHT = filmmaking.FACTS.height
    setattr(presets, "describe", lambda name: filmmaking.FACTS)  # noqa: B010
    setattr(presets, "load_backend", shooting.load)  # noqa: B010
    rng = random.Random(seed)

    def begun(name: str) -> Path:
        folder = home / name
        folder.mkdir(parents=True)
        (folder / "script.yaml").write_text(filmmaking.script_text(*filmmaking.CAPTIONS), "utf-8")
        run("storyboard", folder)
        return folder

    whole = begun("whole")
    started = time.monotonic()
    run("shoot", whole, "--workers", 2)
    lasts = time.monotonic() - started
    run("cut", whole)
    wanted = filmmaking.frames_of(whole)

    killed, films, unequal = 0, 0, []
    while killed < kills:
        films += 1
        folder = begun(f"killed-{films}")
        while killed < kills and not run(
            "shoot", folder, "--workers", 2, seconds=rng.uniform(0.2 * lasts, 1.1 * lasts)
        ):
            killed += 1
        run("shoot", folder, "--workers", 2)
        run("cut", folder)
        frames = filmmaking.frames_of(folder)
        unequal += [name for name in wanted | frames if wanted.get(name) != frames.get(name)]
        unequal += [path.name for path in folder.rglob(".*.part")]
    print(json.dumps({"kills": killed, "films": films, "files": len(wanted), "unequal": unequal}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
