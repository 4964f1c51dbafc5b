"""Dying as hard as a process can, for the programs that kill runs and compare what comes out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def die_at_call(number: int, lasting: Sequence[str]) -> None:
    """Let the n-th call of these functions of `os` be the last thing that does not happen."""
    left = number

    def counted(real):
        def call(*args, **kwargs):
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    for name in lasting:
        setattr(os, name, counted(getattr(os, name)))


def ends_well(work: Callable[[], int], *, seconds: float = 0.0, codes: Sequence[int] = (0,)) -> bool:
    """Do it in a fork, killed after so many seconds if any are given.

    Returns:
        Whether it ended by itself, and then it must have ended with one of the codes.
    """
    child = os.fork()
    if child == 0:
        code = 70
        try:
            code = work()
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
    if os.WEXITSTATUS(status) not in codes:
        raise SystemExit(f"a run after a kill ended with {os.WEXITSTATUS(status)}")
    return True


def silently(main: Callable[[list[str]], int], arguments: list[str]) -> int:
    """Run a command that nobody listens to."""
    with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
        sys.stderr = nothing
        return main(arguments)


def die_at_rename(monkeypatch: pytest.MonkeyPatch, left: int) -> None:
    """Let so many renames happen in this process; the next one ends it, as far as a test can be ended."""
    real = os.replace

    def die(source: Path, target: Path) -> None:
        nonlocal left
        if left == 0:
            raise SystemExit
        left -= 1
        real(source, target)

    monkeypatch.setattr(os, "replace", die)
