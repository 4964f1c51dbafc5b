"""Kills builds again and again and compares what comes out with an undisturbed one (its own process).

Each run is a fork of this process, so it starts at once and dies as hard as a process can: at the n-th call
that makes something lasting, or at a moment chosen by the clock.
"""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from pathlib import Path

from building import SETTINGS, content, leftovers, make_films, run
from killing import die_at_call, ends_well

from captain_cinema.films.publishing import AnnotatorChoice

LASTING = ("replace", "rename", "fsync", "unlink", "rmdir")


def attempt(
    films: list[Path], dataset: Path, settings, choice, *, call: int = 0, seconds: float = 0.0
) -> bool:
    """Build in a fork; True when it ended by itself, and then it must have ended well."""

    def work() -> int:
        if call:
            die_at_call(call, LASTING)
        return run(films, dataset, settings, choice=choice).code

    return ends_well(work, seconds=seconds, codes=(0, 1))


def main() -> int:
    home, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    rng = random.Random(seed)
    films = make_films(home / "films")
    shutil.copy(films[0], home / "films" / "twin.mp4")
    films.append(home / "films" / "twin.mp4")
    from dataclasses import replace

    # What is being killed: a first build, and one that judges anew what an earlier build has made.
    settings = [SETTINGS, replace(SETTINGS, flat_deviation=60.0)]
    wanted = []
    started = time.monotonic()
    for number, one in enumerate(settings):
        run(films, home / f"whole-{number}", one)
        wanted.append(content(home / f"whole-{number}"))
    lasts = (time.monotonic() - started) / 2

    killed, rounds, unequal, left = 0, 0, [], []
    while killed < kills:
        dataset = home / f"killed-{rounds}"
        rounds += 1
        for number, one in enumerate(settings):
            way = rng.random() < 0.6
            while killed < kills and not (
                attempt(films, dataset, one, AnnotatorChoice(), call=rng.randint(1, 60))
                if way
                else attempt(films, dataset, one, AnnotatorChoice(), seconds=rng.uniform(0, lasts))
            ):
                killed += 1
            run(films, dataset, one)
            found = content(dataset)
            unequal += [
                name
                for name in found.keys() | wanted[number].keys()
                if found.get(name) != wanted[number].get(name)
            ]
            left += leftovers(dataset)
    print(json.dumps({"kills": killed, "rounds": rounds, "unequal": unequal, "left": left}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
