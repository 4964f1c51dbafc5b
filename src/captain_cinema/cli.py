"""The `cinema` command: runs a command, prints its outcome, turns every fault of the user's into one line."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence

import tyro

from captain_cinema.commands import dataset, film, plan, tools, train
from captain_cinema.commands.outcome import Outcome
from captain_cinema.errors import CinemaError

COMMANDS: dict[str, Callable[..., Outcome]] = {
    "make": film.make,
    "write": film.write,
    "storyboard": film.storyboard,
    "shoot": film.shoot,
    "cut": film.cut,
    "retake": film.retake,
    "status": film.status,
    "playhouse": tools.playhouse,
    "train": train.train,
    "evaluate": tools.evaluate,
    "dataset": dataset.dataset,
    "plan": plan.plan,
}

GROUPS: dict[str, dict[str, Callable[..., Outcome]]] = {"dataset": dataset.COMMANDS}
"""Commands that have commands of their own."""

OK, FAULT, INTERRUPTED = 0, 2, 130

KEPT = "what is finished is kept, and the same command goes on from there"

DISK_HINTS = {
    errno.ENOSPC: f"the disk is full; free some space: {KEPT}",
    errno.EDQUOT: f"your quota on this disk is used up; free some space: {KEPT}",
    errno.EFBIG: f"files may not grow so large here; write to another disk: {KEPT}",
    errno.EACCES: "permission denied; choose a place that you may read and write",
    errno.EPERM: "not permitted; choose a place that you may read and write",
    errno.EROFS: "the disk is read-only; choose another place",
    errno.EIO: f"the disk does not answer; check it: {KEPT}",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another place",
    errno.EISDIR: "this is a folder where a file is expected; name another place",
    errno.ENOENT: "there is no such file or folder",
    errno.EEXIST: "a file stands where a folder is needed; move it away",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code: 0 done, 1 in part, 2 the user can mend it, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    as_json = "--json" in arguments
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("httpx", "httpcore", "PIL", "matplotlib", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a caption may hold what the terminal cannot show
            stream.reconfigure(errors="backslashreplace")
    code, outcome = _run(arguments, as_json)
    try:
        if as_json:
            print(json.dumps(outcome.data, ensure_ascii=False), flush=True)
        elif outcome.text:
            print(outcome.text, flush=True)
    except BrokenPipeError:  # "cinema status | head": nobody reads on, which is no fault
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _run(arguments: Sequence[str], as_json: bool) -> tuple[int, Outcome]:
    aside = contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext()
    group = GROUPS.get(arguments[0]) if arguments else None
    try:
        with aside:
            outcome = tyro.extras.subcommand_cli_from_dict(
                COMMANDS if group is None else group,
                prog="cinema" if group is None else f"cinema {arguments[0]}",
                description="A storyline in, a short film out."
                if group is None
                else COMMANDS[arguments[0]].__doc__,
                args=arguments if group is None else arguments[1:],
                config=(tyro.conf.FlagCreatePairsOff,),
                sort_subcommands=False,
            )
        done = {"ok": outcome.code == OK, "command": arguments[0], **outcome.data}
        return outcome.code, Outcome(data=done, text=outcome.text)
    except CinemaError as error:
        return _fault(str(error))
    except KeyboardInterrupt:
        message = f"interrupted; {KEPT}"
        print(f"cinema: {message}", file=sys.stderr, flush=True)
        return INTERRUPTED, Outcome(data={"ok": False, "error": message})
    except MemoryError:
        return _fault(
            f"the memory is used up; close other programs, or make fewer shots with --limit: {KEPT}"
        )
    except OSError as error:
        if error.errno is None:
            raise
        hint = DISK_HINTS.get(error.errno, error.strerror or "the system refuses")
        name = error.filename2 or error.filename
        return _fault(f"{name}: {hint}" if name else hint)


def _fault(message: str) -> tuple[int, Outcome]:
    line = " ".join(message.split())
    print(f"cinema: {line}", file=sys.stderr, flush=True)
    return FAULT, Outcome(data={"ok": False, "error": line})


if __name__ == "__main__":
    sys.exit(main())
