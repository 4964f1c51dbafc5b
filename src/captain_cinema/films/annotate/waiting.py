"""How long to wait for an endpoint: before the next request, and for one reply in all."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar

T = TypeVar("T")


def within(seconds: float, work: Callable[[Callable[[], bool]], T], halted: threading.Event) -> T:
    """What `work` returns, or TimeoutError: also when name look-up hangs or headers come a byte at a time.

    An HTTP library's own timeouts start anew with every byte. A thread left behind ends with its socket.

    Args:
        seconds: For all of it.
        work: Is given a function that says whether its time is over.
        halted: Ends the waiting at once.
    """
    outcomes: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()
    deadline = time.monotonic() + seconds

    def run() -> None:
        try:
            outcomes.put((work(lambda: halted.is_set() or time.monotonic() > deadline), None))
        except BaseException as error:
            outcomes.put((None, error))

    threading.Thread(target=run, daemon=True, name="annotator").start()
    while (left := deadline - time.monotonic()) > 0 and not halted.is_set():
        try:
            value, error = outcomes.get(timeout=min(left, 0.2))
        except queue.Empty:
            continue
        if error is not None:
            raise error
        return value  # type: ignore[return-value]
    raise TimeoutError


def wait_asked(headers: Mapping[str, str], data: bytes, attempt: int, now: float) -> float:
    """Seconds before the next try: as the endpoint asks, or twice as long each time.

    Args:
        headers: Of the answer; names in lower case.
        data: Its body: Google says there how long to wait.
        attempt: From 1.
        now: Seconds since 1970, for an endpoint that names a date.
    """
    backoff = 2.0**attempt
    asked = headers.get("retry-after")
    if asked is None:
        found = re.search(rb'"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d{1,9})?)s"', data)
        return float(found[1]) if found else backoff
    try:
        seconds = float(asked)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(asked).timestamp() - now
        except (ValueError, TypeError, OverflowError):
            return backoff
    return max(0.0, seconds) if seconds == seconds else backoff
