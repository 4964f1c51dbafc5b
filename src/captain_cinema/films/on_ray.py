"""The stages of a build on Ray: one machine, or a cluster whose machines all see films and dataset."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from captain_cinema.errors import CinemaError
from captain_cinema.films.workers import TRIES, WorkerDied, died

LOCAL = "local"
"""The address that starts Ray on this machine."""


class RayCrew:
    """Runs stage functions as Ray tasks, one core each.

    Args:
        address: of a running cluster ("auto", "host:port", "ray://..."), or "local" to start one here.
        workers: tasks at once; as many as Ray has cores if left out.
        gpus: give every task a GPU of its own, if the cluster has any.

    Raises:
        CinemaError: Ray is not installed, or no cluster answers.
    """

    def __init__(self, address: str = LOCAL, *, workers: int | None = None, gpus: bool = False) -> None:
        try:
            import ray
            import ray.exceptions
        except ImportError as error:
            raise CinemaError(
                'Ray is not installed; add it with: pip install "captain-cinema[ray]", or use --workers'
            ) from error
        self._ray: Any = ray
        self._ours = not ray.is_initialized()
        try:
            if self._ours and address == LOCAL:
                ray.init(
                    address="local",
                    num_cpus=workers,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            elif self._ours:
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, ValueError, RuntimeError, TimeoutError, AssertionError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise CinemaError(
                f"no Ray cluster answers at {address} ({reason}); start one with `ray start --head`,"
                " or give --ray local"
            ) from error
        has = ray.cluster_resources()
        self._gpus = 1 if gpus and has.get("GPU", 0) else 0
        cores = int(has.get("GPU" if self._gpus else "CPU", 1))
        self._size = min(workers, cores) if workers else max(1, cores)
        self._running: set[Future[Any]] = set()

    @property
    def free(self) -> int:
        """Cores that have no task of ours."""
        return self._size - sum(not future.done() for future in self._running)

    def submit(self, work: Callable[[Any], Any], task: Any) -> Future[Any]:
        """Begin a task; Ray itself begins it again when its worker dies."""
        remote = self._ray.remote(num_cpus=1, num_gpus=self._gpus, max_retries=TRIES - 1)(work)
        inner = remote.remote(task).future()
        done: Future[Any] = Future()
        self._running = {future for future in self._running if not future.done()} | {done}

        def over(inner: Future[Any]) -> None:
            error = inner.exception()
            if error is None:
                done.set_result(inner.result())
            else:
                done.set_exception(self._plain(error))

        inner.add_done_callback(over)
        return done

    def close(self) -> None:
        """End Ray if it was started here."""
        if self._ours:
            self._ray.shutdown()

    def _plain(self, error: Any) -> BaseException:
        """The error that the stage function raised, without Ray's wrapping."""
        kinds = self._ray.exceptions
        if isinstance(error, kinds.RayTaskError):
            return error.cause
        if isinstance(error, kinds.WorkerCrashedError | kinds.OutOfMemoryError):
            return WorkerDied(died(TRIES))
        return error
