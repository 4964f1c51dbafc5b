"""Answers kept on disk by what was asked, so that no frame is paid for twice.

    cache/<two digits>/<key>.json   one answer, written beside and renamed: it is there whole or not at all
    cache/locks/<three digits>      held by the process that is asking about frames whose keys begin so
    cache/pace/<endpoint>           when the next request may go out (pace.py)

The key is the sha256 of the pixels, the instruction (which holds the cast), the model and the version of the
questions. Several processes may share a cache, also on several machines where their file system can lock.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from pydantic import ValidationError

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate.prompt import PROMPT_VERSION
from captain_cinema.films.annotate.reply import FrameReply
from captain_cinema.script.reading import one_line

if TYPE_CHECKING:
    from filelock import BaseFileLock

MAX_CLAIM_SECONDS = 1800.0
"""How long to wait for another process that asks about the same frame, before asking as well."""
MAX_ANSWER_BYTES = 2**20
_VERSION = 1
_LOG = logging.getLogger(__name__)


def frame_key(image: UInt8[np.ndarray, "h w 3"], *, instruction: str, model: str) -> str:
    """What tells a question from all others; 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for part in (f"{PROMPT_VERSION}", model, instruction, f"{image.shape}"):
        data = part.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    digest.update(np.ascontiguousarray(image).tobytes())
    return digest.hexdigest()


class AnswerCache:
    """The answers in a folder, which is made if need be."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        try:
            for part in ("locks", "pace"):
                (self.folder / part).mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise CinemaError(
                f"{one_line(self.folder, 200)}: answers cannot be kept here ({reason}); choose another folder"
            ) from None

    def get(self, key: str) -> FrameReply | None:
        """The answer to a question, or None; a damaged one counts as none."""
        try:
            with self._place(key).open("rb") as file:
                value = json.loads(file.read(MAX_ANSWER_BYTES))
            if value["version"] != _VERSION or value["key"] != key:
                return None
            return FrameReply.model_validate(value["answer"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, RecursionError, ValidationError):
            _LOG.warning("the kept answer %s is damaged; asking again", key[:16])
            return None

    def put(self, key: str, answer: FrameReply, *, model: str) -> None:
        """Keep an answer.

        Raises:
            OSError: It cannot be written; nothing half-written is left under the key.
        """
        place = self._place(key)
        value = {"version": _VERSION, "key": key, "model": model, "answer": answer.model_dump()}
        data = json.dumps(value, ensure_ascii=True, indent=1).encode("ascii")
        part = place.with_name(f".{key}.{os.getpid()}.{threading.get_ident()}.part")
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, place)
        finally:
            with suppress(OSError):
                part.unlink(missing_ok=True)

    @contextmanager
    def claim(self, keys: Sequence[str], *, given_up: Callable[[], bool] = lambda: False) -> Iterator[None]:
        """Keep other threads and processes from asking the same meanwhile; look again what is known, inside.

        A lock dies with its process. Locks are taken in one order, so that no two wait for each other.

        Args:
            keys: Of the questions.
            given_up: Ends the waiting.
        """
        from filelock import FileLock

        deadline = time.monotonic() + MAX_CLAIM_SECONDS
        with ExitStack() as stack:
            for name in sorted({key[:3] for key in keys}):
                lock = FileLock(str(self.folder / "locks" / name), thread_local=False)
                if _taken(lock, deadline, given_up):
                    stack.callback(lock.release)
            yield

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _taken(lock: BaseFileLock, deadline: float, given_up: Callable[[], bool]) -> bool:
    """Whether the lock could be had. Without it a frame may be paid for twice; an error would help nobody."""
    from filelock import Timeout

    while not given_up() and (left := deadline - time.monotonic()) > 0:
        try:
            lock.acquire(timeout=min(1.0, left), poll_interval=0.05)
            return True
        except Timeout:
            continue
        except (OSError, NotImplementedError) as error:
            _LOG.info("answers cannot be locked here (%s)", type(error).__name__)
            return False
    return False
