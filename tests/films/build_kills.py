"""Kills builds again and again and compares what comes out with an undisturbed one (its own process).

Each run is a fork of this process, so it starts at once and dies as hard as a process can: at the n-th call
that makes something lasting, or at a moment chosen by the clock.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path

from building import SETTINGS, content, leftovers, make_films, run

from captain_cinema.films.publishing import AnnotatorChoice

LASTING = ("replace", "rename", "fsync", "unlink", "rmdir")


def die_at_call(number: int) -> None:
    """Let the n-th lasting call be the last thing that does not happen."""
    left = number

    def counted(real):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in LASTING:
        setattr(os, name, counted(getattr(os, name)))


def attempt(
    films: list[Path], dataset: Path, settings, choice, *, call: int = 0, seconds: float = 0.0
) -> bool:
    """Build in a fork; True when it ended by itself, and then it must have ended well."""
    child = os.fork()
    if child == 0:
        code = 70
        try:
            if call:
                die_at_call(call)
            code = run(films, dataset, settings, choice=choice).code
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if seconds:
        time.sleep(seconds)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return False
    if os.WEXITSTATUS(status) not in (0, 1):
        raise SystemExit(f"a run after a kill ended with {os.WEXITSTATUS(status)}")
    return True


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
