"""Work on an iterator in a thread of its own, a few steps ahead of whoever uses it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")

DEPTH = 12


@dataclass(frozen=True, kw_only=True)
class _Ended:
    """The last thing in the queue."""

    error: BaseException | None


class _Stopped(Exception):
    """Nobody wants what follows."""


class _Ahead(Generic[T]):
    def __init__(self, source: Iterable[T], depth: int) -> None:
        self.source = source
        self.queue: queue.Queue[T | _Ended] = queue.Queue(depth)
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self) -> None:
        error: BaseException | None = None
        try:
            for item in self.source:
                self._put(item)
        except _Stopped:
            pass
        except BaseException as raised:
            error = raised
        finally:
            # What the source holds open is closed by the thread that opened it.
            if isinstance(self.source, Generator):
                self.source.close()
        with suppress(_Stopped):
            self._put(_Ended(error=error))

    def _put(self, item: T | _Ended) -> None:
        while not self.stopped.is_set():
            try:
                self.queue.put(item, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _Stopped


def ahead(source: Iterable[T], *, depth: int = DEPTH) -> Generator[T, None, None]:
    """The same items, made in another thread; what is raised there is raised here.

    Closing the generator stops the thread.
    """
    work = _Ahead(source, depth)
    work.thread.start()
    try:
        while True:
            item = work.queue.get()
            if isinstance(item, _Ended):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        work.stopped.set()
        work.thread.join()
