"""Who does the work of a build: this process, worker processes, or Ray; the stage functions are the same.

A worker that dies takes one task with it, never the others: every process has a pool of its own, so it is
known what it was at. That task is tried once more in a new process, then given up with a reason.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, Protocol

from captain_cinema.errors import CinemaError

TRIES = 2
"""How often a task is begun whose worker dies."""


class WorkerDied(CinemaError):
    """A worker process ended in the middle of a task, every time it was tried."""


class Crew(Protocol):
    """Runs stage functions; the same ones give the same results whoever runs them."""

    @property
    def free(self) -> int:
        """How many more tasks it can begin at once."""
        ...

    def submit(self, work: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Begin a task. The future may hold a :class:`WorkerDied`."""
        ...

    def close(self) -> None:
        """Stop at once, whatever is under way."""
        ...


class Alone:
    """One process, this one."""

    @property
    def free(self) -> int:
        """Always one: a task is over when `submit` returns."""
        return 1

    def submit(self, work: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Do it now."""
        done: Future[Any] = Future()
        try:
            done.set_result(work(task))
        except Exception as error:
            done.set_exception(error)
        return done

    def close(self) -> None:
        """There is nothing to stop."""


class Processes:
    """Worker processes on this machine, one task each at a time.

    Args:
        count: how many.
    """

    def __init__(self, count: int) -> None:
        if count < 1:
            raise ValueError(f"{count} workers cannot work")
        self._idle = [_new_process() for _ in range(count)]
        self._all = set(self._idle)
        self._lock = threading.Lock()
        self._closed = False

    @property
    def free(self) -> int:
        """Processes that wait for work."""
        with self._lock:
            return len(self._idle)

    def submit(self, work: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Begin a task in a process that is free.

        Raises:
            ValueError: none is.
        """
        with self._lock:
            if not self._idle:
                raise ValueError("every worker is busy")
            process = self._idle.pop()
        done: Future[Any] = Future()
        self._begin(process, work, task, done, tries=1)
        return done

    def close(self) -> None:
        """End every process, whatever it is at."""
        with self._lock:
            self._closed = True
            processes = list(self._all)
        for process in processes:
            for worker in list((process._processes or {}).values()):
                worker.kill()
            process.shutdown(wait=True, cancel_futures=True)

    def _begin(
        self,
        process: ProcessPoolExecutor,
        work: Callable[[Any], Any],
        task: Any,
        done: Future[Any],
        *,
        tries: int,
    ) -> None:
        def over(inner: Future[Any]) -> None:
            error = inner.exception()
            if isinstance(error, BrokenProcessPool) and not self._closed:
                fresh = self._replace(process)
                if tries < TRIES:
                    self._begin(fresh, work, task, done, tries=tries + 1)
                    return
                error = WorkerDied(died(tries))
                self._rest(fresh)
            else:
                self._rest(process)
            if error is not None:
                done.set_exception(error)
            else:
                done.set_result(inner.result())

        try:
            process.submit(work, task).add_done_callback(over)
        except BrokenProcessPool as broken:  # it died while it was idle
            lost: Future[Any] = Future()
            lost.set_exception(broken)
            over(lost)

    def _replace(self, dead: ProcessPoolExecutor) -> ProcessPoolExecutor:
        fresh = _new_process()
        with self._lock:
            self._all.discard(dead)
            self._all.add(fresh)
        dead.shutdown(wait=False)
        return fresh

    def _rest(self, process: ProcessPoolExecutor) -> None:
        with self._lock:
            self._idle.append(process)


def died(tries: int) -> str:
    """Why a task was given up whose worker died."""
    return (
        f"the worker process died {tries} times while it was at this film (killed, out of memory, or a"
        " decoder's fault); try again with fewer --workers"
    )


def _new_process() -> ProcessPoolExecutor:
    """A pool of one, by `spawn`: a forked copy of a process with decoder threads may hang."""
    return ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=_begin_process)


def _begin_process() -> None:
    """Ctrl-C is the parent's to handle; and a worker never outlives a parent that was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_die_with, args=(parent.sentinel,), daemon=True).start()


def _die_with(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
