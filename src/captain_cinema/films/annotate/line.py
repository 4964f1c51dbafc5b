"""The line to an OpenAI-compatible chat: requests, waiting, giving up, and errors without secrets.

Trouble is told by whether it would go away by itself: a busy endpoint is asked again and later left alone for
a while, a refused key ends the matter, and a request that cannot be served is the sender's to change.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate.address import KEY_VARIABLE
from captain_cinema.films.annotate.pace import Pace
from captain_cinema.films.annotate.waiting import wait_asked, within
from captain_cinema.films.annotation_options import Patience
from captain_cinema.script.reading import one_line

if TYPE_CHECKING:
    import httpx

MAX_REPLY_BYTES = 4 * 2**20
CONNECT_SECONDS = 10.0
REST_SECONDS = 60.0
"""How long an endpoint that only fails is left alone."""
MAX_STRIKES = 12
"""Failures since the last success, weighed as in `_WEIGHTS`, before it is."""

_WEIGHTS = {"busy": 3, "late": 3, "unfit": 1, "empty": 1, "refused": MAX_STRIKES}
_BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_UNFIT = (400, 413, 415, 422)
_SECRET_LENGTH = 8
"""A shorter key ("none", "EMPTY") is no secret, and its letters occur everywhere."""
_LOG = logging.getLogger(__name__)


class Trouble(Exception):
    """A chat that gave no reply; one line, no secrets."""

    def __init__(
        self, kind: Literal["busy", "late", "unfit", "empty", "refused"], message: str, *, rest: float = 0.0
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.rest = rest
        """Seconds for which the endpoint asks to be left alone, if that is too long to wait."""


@dataclass(frozen=True, kw_only=True)
class ChatReply:
    """What the model said, and the tokens that the endpoint counted."""

    text: str
    why_ended: str = ""


@dataclass(frozen=True, kw_only=True)
class Time:
    """How to wait; tests have a time of their own."""

    sleep: Callable[[float], object]
    clock: Callable[[], float]
    """Seconds since 1970."""
    halted: threading.Event
    """Set when the work is broken off: nothing waits any longer."""


class Line:
    """One endpoint; threads may share it. Its key is shown by nothing."""

    def __init__(
        self,
        address: httpx.URL,
        *,
        key: str,
        patience: Patience,
        pace: Pace,
        client: httpx.Client | None,
        time: Time,
        spend: Callable[[int, int], None],
    ) -> None:
        """Get ready; nothing is sent yet.

        Args:
            address: Of the endpoint.
            key: Empty if it needs none.
            patience: With it.
            pace: When requests may go out.
            client: For tests and special transports; it is then the caller's to close.
            time: How to wait.
            spend: Told after every reply what the endpoint counted: tokens in, tokens out.
        """
        self.address = address
        self.shown = f"{address.scheme}://{address.netloc.decode('ascii', 'replace')}"
        self._key, self._patience, self._pace, self._time, self._spend = key, patience, pace, time, spend
        self._client, self._own = client, client is None
        self._lock = threading.Lock()
        self._strikes, self._closed_until, self._closed_reason = 0, 0.0, ""
        self._form, self._form_holds = 0, False

    def close(self) -> None:
        """Hang up."""
        self._time.halted.set()
        with self._lock:
            client, self._client = self._client, None
        if self._own and client is not None:
            client.close()

    def models(self) -> list[str]:
        """Models that the endpoint lists.

        Raises:
            CinemaError: Not reachable, or refused.
        """
        try:
            status, _, data = self._exchange("GET", "/models", None)
        except Trouble as trouble:
            raise CinemaError(str(trouble)) from None
        if status in (404, 405, 501):
            return []
        if status != 200:
            raise CinemaError(self._refusal(status, data))
        try:
            listed = self._decoded(data).get("data")
        except Trouble as trouble:
            raise CinemaError(str(trouble)) from None
        entries = (
            [entry.get("id") for entry in listed if isinstance(entry, dict)]
            if isinstance(listed, list)
            else []
        )
        return [name for name in entries if isinstance(name, str) and name]

    def chat(self, body: dict[str, Any], forms: list[dict[str, Any]]) -> ChatReply:
        """The text of one reply.

        Args:
            body: The request.
            forms: More fields for it, of which an endpoint may not know some: then the next are tried.

        Raises:
            Trouble: There is none.
        """
        self._check_open()
        try:
            reply = self._chat(body, forms)
        except Trouble as trouble:
            self._count(trouble)
            raise
        with self._lock:
            self._strikes = 0
        return reply

    def shut(self, reason: str) -> None:
        """Ask nothing any more."""
        with self._lock:
            self._closed_until, self._closed_reason = float("inf"), reason

    def _check_open(self) -> None:
        with self._lock:
            if self._time.clock() < self._closed_until:
                raise Trouble("busy", self._closed_reason)
        if self._time.halted.is_set():
            raise Trouble("busy", "broken off")

    def _count(self, trouble: Trouble) -> None:
        with self._lock:
            self._strikes += _WEIGHTS[trouble.kind]
            if trouble.kind == "refused":
                self._closed_until, self._closed_reason = float("inf"), str(trouble)
            elif trouble.rest or self._strikes >= MAX_STRIKES:
                until = self._time.clock() + max(trouble.rest, REST_SECONDS)
                if until > self._closed_until:
                    _LOG.warning("%s; left alone for %.0f s", trouble, until - self._time.clock())
                    self._closed_until, self._closed_reason = until, str(trouble)

    def _chat(self, body: dict[str, Any], forms: list[dict[str, Any]]) -> ChatReply:
        form, attempt = self._form, 1
        while True:
            status, headers, data = self._asked({**body, **forms[form]}, attempt)
            if status == 200:
                with self._lock:
                    self._form, self._form_holds = form, True
                return self._reply(data)
            if status in _UNFIT and form + 1 < len(forms) and not self._form_holds:
                form += 1
                continue
            if status in _UNFIT:
                raise Trouble("unfit", self._refusal(status, data))
            if status != 0 and status not in _BUSY:
                raise Trouble("refused", self._refusal(status, data))
            if attempt >= self._patience.tries or self._time.halted.is_set():
                raise Trouble("busy", self._refusal(status, data))
            self._hold(status, wait_asked(headers, data, attempt, self._time.clock()), data)
            attempt += 1

    def _asked(self, body: dict[str, Any], attempt: int) -> tuple[int, Any, bytes]:
        """One request; status 0 when the line broke."""
        self._pace.wait(given_up=self._time.halted.is_set)
        if self._time.halted.is_set():
            raise Trouble("busy", "broken off")
        try:
            return self._exchange("POST", "/chat/completions", body)
        except Trouble as trouble:
            if trouble.kind != "busy" or attempt >= self._patience.tries:
                raise
            return 0, {}, str(trouble).encode()

    def _hold(self, status: int, wait: float, data: bytes) -> None:
        if wait > self._patience.longest_wait:
            raise Trouble(
                "busy",
                f"{self.shown} is busy ({status}) and asks to be left alone for {wait:.0f} s",
                rest=wait,
            )
        _LOG.info("%s answers %s; trying again in %.0f s", self.shown, status or "nothing", wait)
        if status == 429:
            self._pace.pause(wait)  # its next turn waits, and so do the other workers
        else:
            self._time.sleep(wait)

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, Any, bytes]:
        import httpx

        try:
            return within(
                self._patience.reply_seconds,
                lambda over: self._transfer(method, path, body, over),
                self._time.halted,
            )
        except (TimeoutError, httpx.TimeoutException):
            raise Trouble("late", f"{self.shown} does not answer in time") from None
        except (httpx.HTTPError, httpx.StreamError, OSError, RuntimeError) as error:
            reason = one_line(self.without_key(str(error) or type(error).__name__), 90)
            raise Trouble("busy", f"{self.shown} cannot be reached ({reason})") from None

    def _transfer(
        self, method: str, path: str, body: Any, over: Callable[[], bool]
    ) -> tuple[int, Any, bytes]:
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        url = self.address.copy_with(path=self.address.path + path)
        with self._connected().stream(method, url, json=body, headers=headers) as response:
            data = bytearray()
            for chunk in response.iter_bytes():
                data += chunk
                if len(data) > MAX_REPLY_BYTES:
                    raise Trouble("unfit", f"{self.shown} sends more than {MAX_REPLY_BYTES >> 20} MB")
                if over():
                    raise TimeoutError
            return response.status_code, dict(response.headers), bytes(data)

    def _connected(self) -> httpx.Client:
        import httpx

        with self._lock:
            if self._time.halted.is_set():
                raise RuntimeError("closed")
            if self._client is None:
                timeout = httpx.Timeout(self._patience.reply_seconds, connect=CONNECT_SECONDS, pool=None)
                self._client = httpx.Client(timeout=timeout)
            return self._client

    def _reply(self, data: bytes) -> ChatReply:
        value = self._decoded(data)
        usage, tokens = value.get("usage"), (0, 0)
        if isinstance(usage, dict):
            tokens = _count_of(usage.get("prompt_tokens")), _count_of(usage.get("completion_tokens"))
        self._spend(*tokens)
        try:
            choice = value["choices"][0]
            message = choice["message"]
            content = message.get("content")
        except (KeyError, IndexError, TypeError, AttributeError):
            raise Trouble(
                "unfit", f"{self.shown} does not answer as an OpenAI-compatible chat does"
            ) from None
        if isinstance(content, list):
            content = "".join(
                part["text"]
                for part in content
                if isinstance(part, dict) and isinstance(part.get("text"), str)
            )
        if not isinstance(content, str) or not content.strip():
            why = message.get("refusal") or choice.get("finish_reason") or "no reason given"
            raise Trouble("empty", f"the model says nothing ({one_line(self.without_key(str(why)), 80)})")
        return ChatReply(text=self.without_key(content), why_ended=str(choice.get("finish_reason") or ""))

    def _decoded(self, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Trouble(
                "unfit", f"{self.shown} does not answer with JSON; check the address (it often ends in /v1)"
            )
        return value

    def _refusal(self, status: int, data: bytes) -> str:
        if status in (401, 403):
            return f"{self.shown} refuses the key ({status}); set {KEY_VARIABLE}"
        if status == 404:
            return f"{self.shown} has no such chat endpoint or model (404); check both"
        if 300 <= status < 400:
            return f"{self.shown} sends us elsewhere ({status}); give the address that it moved to"
        if status == 0:
            return one_line(data.decode("utf-8", "replace"), 200)
        said = one_line(self.without_key(data[:4000].decode("utf-8", "replace")), 120)
        if status in _BUSY:
            return f"{self.shown} is busy or broken ({status}: {said})"
        return f"{self.shown} refuses the request ({status}: {said})"

    def without_key(self, text: str) -> str:
        """Text that an endpoint sent, in case it sends back what it was given."""
        return text.replace(self._key, "***") if len(self._key) >= _SECRET_LENGTH else text


def _count_of(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else 0
