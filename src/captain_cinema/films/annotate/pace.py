"""When the next request may go out: so many a minute, and not before a busy endpoint wants to be asked again.

The answer stands in a file, so that all worker processes together keep to one pace.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path


class Pace:
    """The pace of one endpoint."""

    def __init__(
        self,
        file: Path,
        *,
        per_minute: float | None,
        longest: float,
        clock: Callable[[], float],
        sleep: Callable[[float], object],
    ) -> None:
        """Keep a pace.

        Args:
            file: Where processes tell each other; missing or unreadable means that a request may go out now.
            per_minute: Requests; None for as many as are answered.
            longest: Seconds that any wait may take; a time further ahead in the file is a mistake, or a clock
                that was set back.
            clock: Seconds on a clock that all processes share.
            sleep: How to wait.
        """
        self.interval = 60.0 / per_minute if per_minute else 0.0
        self.longest = max(longest, self.interval) + 1.0
        self._file, self._clock, self._sleep = file, clock, sleep
        self._here = threading.Lock()

    def wait(self, *, given_up: Callable[[], bool] = lambda: False) -> None:
        """Return when a request may go out; nobody else gets the same turn."""
        while not given_up():
            with self._held():
                now = self._clock()
                wait = self._read() - now
                if not 0 < wait <= self.longest:
                    if self.interval:
                        self._write(now + self.interval)
                    return
            self._sleep(wait)

    def pause(self, seconds: float) -> None:
        """Nobody may ask for so long."""
        with self._held():
            now = self._clock()
            before = self._read()
            until = now + min(seconds, self.longest)
            self._write(max(until, before) if before - now <= self.longest else until)

    @contextmanager
    def _held(self):
        from filelock import FileLock, Timeout

        lock = FileLock(str(self._file) + ".lock", thread_local=False)
        with self._here:
            held = False
            with suppress(OSError, NotImplementedError, Timeout):
                lock.acquire(timeout=10.0, poll_interval=0.01)
                held = True
            try:
                yield
            finally:
                if held:
                    lock.release()

    def _read(self) -> float:
        try:
            return float(self._file.read_bytes()[:40])
        except (OSError, ValueError):
            return 0.0

    def _write(self, moment: float) -> None:
        part = self._file.with_name(f".{self._file.name}.{os.getpid()}.part")
        with suppress(OSError):  # a full disk costs the common pace, not the work
            part.write_text(f"{moment:.3f}", "ascii")
            os.replace(part, self._file)
