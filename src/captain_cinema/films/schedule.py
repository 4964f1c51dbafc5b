"""Jobs in the order of their rank, each handed to whoever is free, until none is left."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from typing import Any

from captain_cinema.films.workers import Crew

RANKS = 3


def _never() -> bool:
    return False


@dataclass(frozen=True, kw_only=True)
class Job:
    """A stage function with its task, and what to do with the outcome. Only function and task travel."""

    work: Callable[[Any], Any]
    task: Any
    over: Callable[[Any], Iterable[Job]]
    """Given the result; returns the jobs that follow."""
    failed: Callable[[Exception], Iterable[Job]]
    """Given what was raised; raises it again if it should end the build."""
    rank: int
    """Lower ones go first; below `RANKS`."""
    seconds: float = 0.0
    """Of film that are worked through with it."""
    is_stale: Callable[[], bool] = _never
    """Whether it has become pointless: it is not begun, and its outcome is passed over."""
    at_desk: bool = False
    """For the one thread of this process that speaks with an annotator."""


class Schedule:
    """Runs jobs until none is left.

    Args:
        crew: does them.
        desk: does those for the desk.
    """

    def __init__(self, crew: Crew, desk: Executor | None = None) -> None:
        self.crew, self.desk = crew, desk
        self.waiting: tuple[deque[Job], ...] = tuple(deque() for _ in range(RANKS))
        self.running: dict[Future[Any], Job] = {}

    def add(self, jobs: Iterable[Job]) -> None:
        """Queue jobs, behind those of the same rank."""
        for job in jobs:
            if job.at_desk and self.desk is not None:
                self.running[self.desk.submit(job.work, job.task)] = job
            else:
                self.waiting[job.rank].append(job)

    def run(self, after: Callable[[Job], Iterable[Job]]) -> None:
        """Work until nothing is left.

        Args:
            after: called after every job; returns further ones.
        """
        self._hand_out()
        while self.running:
            done, _ = wait(self.running, return_when=FIRST_COMPLETED)
            for future in sorted(done, key=list(self.running).index):
                job = self.running.pop(future)
                self.add(self._outcome(job, future))
                self.add(after(job))
            self._hand_out()

    def _outcome(self, job: Job, future: Future[Any]) -> Iterable[Job]:
        error = future.exception()
        if job.is_stale():
            return ()
        if error is None:
            return job.over(future.result())
        if isinstance(error, Exception):
            return job.failed(error)
        raise error

    def _hand_out(self) -> None:
        while self.crew.free > 0:
            job = self._next()
            if job is None:
                return
            future = self.crew.submit(job.work, job.task)
            self.running[future] = job
            if future.done():  # a crew of one: look at the outcome before the next is begun
                return

    def _next(self) -> Job | None:
        for queue in self.waiting:
            while queue:
                job = queue.popleft()
                if not job.is_stale():
                    return job
        return None
