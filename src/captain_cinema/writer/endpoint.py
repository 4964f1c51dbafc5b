"""A short idea into shots by a language model, as the paper does with Gemini (appendix B), when asked to.

Any OpenAI-compatible chat endpoint will do. What comes back is checked by a schema; a reply that fails is
sent back with its fault, a few times, and then the user gets one line. The key appears in no message or log.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import StoryError
from captain_cinema.script import CAMERAS, FRAMINGS, MAX_CAPTION, Script
from captain_cinema.script.reading import one_line
from captain_cinema.writer.reply import ReplyError, script_of_reply

if TYPE_CHECKING:
    import httpx

MAX_REPLIES = 3
"""Replies that may fail the schema before we give up."""
MAX_TRIES = 4
"""Requests for one reply, when the server is busy."""
MAX_WAIT = 30.0
"""Seconds between two of them, whatever the server asks for."""
MAX_REPLY_BYTES = 4 * 2**20
MAX_REPLY_SECONDS = 600.0
MAX_IDEA = 20_000

_BUSY = (408, 409, 425, 429, 500, 502, 503, 504, 529)
_LOG = logging.getLogger(__name__)

_TASK = """\
You plan a short film as a list of shots. Answer with one JSON object and nothing else:
{{"title": str, "caption": str, "cast": [{{"name": str, "description": str}}],
"shots": [{{"scene": str, "caption": str, "framing": str, "camera": str, "seconds": number}}]}}
Rules: exactly {shots} shots. The film's "caption" is one sentence about place, mood and style. "description"
is how a person or animal looks: kind, colours, clothes. Every shot's caption is one sentence of what is seen:
where, who, doing what; every name in it stands in angle brackets, as in <Mara>, and every such name is in the
cast. Looks are told in "description" alone. "framing" is one of {framings}; "camera" one of {cameras};
"seconds" from 2 to 4; "scene" is the place and hour, the same text whenever the film comes back to it.
Write in the language of the idea."""


def write_with_endpoint(
    idea: str,
    url: str,
    *,
    shots: int,
    api_key: str | None = None,
    model: str | None = None,
    client: httpx.Client | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Script:
    """Ask a language model for a script.

    Args:
        idea: A sentence or a page.
        url: The endpoint's base, for example "http://localhost:8000/v1".
        shots: How many the script must have.
        api_key: None takes CINEMA_WRITER_KEY or else, over https, OPENAI_API_KEY from the environment.
        model: None takes CINEMA_WRITER_MODEL or else the only model that the endpoint lists.
        client: For tests and special transports.
        sleep: How to wait for a busy server.

    Raises:
        StoryError: One line: not reachable, refused, busy, or no usable reply.
    """
    import httpx

    if not idea.strip():
        raise StoryError("the idea is empty; write at least one sentence")
    if len(idea) > MAX_IDEA:
        raise StoryError(f"the idea has {len(idea):,} characters; at most {MAX_IDEA:,} work")
    if not 1 <= shots <= 500:
        raise StoryError(f"{shots} shots cannot be asked of a writer; ask for 1 to 500")
    own = client or httpx.Client(timeout=httpx.Timeout(120.0, connect=10.0))
    endpoint = _Endpoint(own, url, api_key, sleep)
    try:
        return _converse(
            endpoint, idea, shots, model or os.environ.get("CINEMA_WRITER_MODEL") or endpoint.only_model()
        )
    finally:
        if client is None:
            own.close()


def _converse(endpoint: _Endpoint, idea: str, shots: int, model: str) -> Script:
    task = _TASK.format(shots=shots, framings=", ".join(FRAMINGS), cameras=", ".join(CAMERAS))
    messages = [{"role": "system", "content": task}, {"role": "user", "content": idea}]
    problem = ""
    for number in range(1, MAX_REPLIES + 1):
        reply = endpoint.chat(model, messages)
        try:
            return script_of_reply(reply, shots=shots)
        except ReplyError as error:
            problem = str(error)
        _LOG.info("reply %d of the writer cannot be used: %s", number, problem)
        request = f"That reply cannot be used: {problem}. Send the whole JSON object again, corrected."
        messages += [
            {"role": "assistant", "content": reply[: 4 * MAX_CAPTION]},
            {"role": "user", "content": request},
        ]
    raise StoryError(
        f"{endpoint.shown} gave {MAX_REPLIES} replies that are no script ({one_line(problem, 120)}); "
        "try again, another model, or fewer shots"
    )


class _Endpoint:
    """One chat endpoint: requests, waiting, and errors without secrets."""

    def __init__(
        self, client: httpx.Client, url: str, api_key: str | None, sleep: Callable[[float], None]
    ) -> None:
        import httpx

        try:
            parsed = httpx.URL(url.strip())
        except (httpx.InvalidURL, TypeError, ValueError):
            parsed = httpx.URL("")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise StoryError(
                f"'{one_line(url)}' is not a web address; give for example http://localhost:8000/v1"
            )
        if parsed.userinfo:
            raise StoryError(
                "the writer's address holds a password; give the key in CINEMA_WRITER_KEY instead"
            )
        path = parsed.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
        self.base = parsed.copy_with(path=path, query=None, fragment=None)
        self.shown = f"{parsed.scheme}://{parsed.netloc.decode('ascii', 'replace')}"
        self.key = _key(parsed.scheme) if api_key is None else api_key.strip()
        if not self.key.isascii() or not self.key.isprintable():
            raise StoryError("the writer's key holds characters that no key has; check CINEMA_WRITER_KEY")
        self.client, self.sleep = client, sleep
        self.plain = False
        """Whether the server does not know `response_format`."""

    def only_model(self) -> str:
        """The model of an endpoint that has but one, as local servers do."""
        listed = self._send("GET", "/models", None).get("data")
        names = (
            [entry.get("id") for entry in listed if isinstance(entry, dict)]
            if isinstance(listed, list)
            else []
        )
        names = [name for name in names if isinstance(name, str) and name]
        if len(names) != 1:
            some = (
                f"it lists {', '.join(one_line(name, 30) for name in names[:4])}"
                if names
                else "it lists none"
            )
            raise StoryError(f"{self.shown}: which model? ({some}); set CINEMA_WRITER_MODEL to its name")
        return names[0]

    def chat(self, model: str, messages: list[dict[str, str]]) -> str:
        """The text of one reply."""
        body: dict[str, Any] = {"model": model, "messages": messages}
        if not self.plain:
            body["response_format"] = {"type": "json_object"}
        reply = self._send("POST", "/chat/completions", body)
        try:
            content = reply["choices"][0]["message"]["content"]
        except (KeyError, IndexError, TypeError):
            content = None
        if not isinstance(content, str):
            raise StoryError(
                f"{self.shown} does not answer as an OpenAI-compatible chat does; check the address"
            )
        return content

    def _send(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        for attempt in range(1, MAX_TRIES + 1):
            status, headers, data = self._exchange(method, path, body)
            if status == 200:
                return self._decoded(data)
            if status in (400, 422) and body and "response_format" in body:
                self.plain = True
                body = {key: value for key, value in body.items() if key != "response_format"}
            elif status in _BUSY and attempt < MAX_TRIES:
                wait = _wait(headers.get("retry-after"), attempt)
                _LOG.info("%s answers %d; trying again in %.0f s", self.shown, status, wait)
                self.sleep(wait)
            else:
                raise StoryError(self._refusal(status, data))
        raise StoryError(f"{self.shown} is busy; try again later")

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, Any, bytes]:
        import httpx

        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        url = self.base.copy_with(path=self.base.path + path)
        try:
            with self.client.stream(method, url, json=body, headers=headers) as response:
                data, begun = bytearray(), time.monotonic()
                for chunk in response.iter_bytes():
                    data += chunk
                    if len(data) > MAX_REPLY_BYTES:
                        raise StoryError(
                            f"{self.shown} sends more than {MAX_REPLY_BYTES >> 20} MB; check the address"
                        )
                    if time.monotonic() - begun > MAX_REPLY_SECONDS:
                        raise StoryError(f"{self.shown} is too slow; try a smaller model or fewer shots")
                return response.status_code, response.headers, bytes(data)
        except httpx.TimeoutException:
            raise StoryError(f"{self.shown} does not answer in time; check that it runs") from None
        except (httpx.HTTPError, httpx.StreamError) as error:
            reason = self._without_key(one_line(str(error) or type(error).__name__, 90))
            raise StoryError(
                f"{self.shown} cannot be reached ({reason}); check the address and the network"
            ) from None

    def _decoded(self, data: bytes) -> dict[str, Any]:
        try:
            value = json.loads(data)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise StoryError(
                f"{self.shown} does not answer with JSON; check the address (it often ends in /v1)"
            )
        return value

    def _refusal(self, status: int, data: bytes) -> str:
        if status in (401, 403):
            return f"{self.shown} refuses the key ({status}); set CINEMA_WRITER_KEY or OPENAI_API_KEY"
        if status == 404:
            return f"{self.shown} has no such chat endpoint or model (404); check both"
        if 300 <= status < 400:
            return f"{self.shown} sends us elsewhere ({status}); give the address that it moved to"
        if status in _BUSY:
            return f"{self.shown} is busy or broken ({status}) after {MAX_TRIES} tries; try again later"
        said = self._without_key(one_line(data.decode("utf-8", "replace"), 120))
        return f"{self.shown} refuses the request ({status}: {said}); check the model and the address"

    def _without_key(self, text: str) -> str:
        return text.replace(self.key, "***") if self.key else text


def _key(scheme: str) -> str:
    """The user's key; OpenAI's own is not sent over an open line."""
    own = os.environ.get("CINEMA_WRITER_KEY", "").strip()
    return own or (os.environ.get("OPENAI_API_KEY", "").strip() if scheme == "https" else "")


def _wait(asked: str | None, attempt: int) -> float:
    try:
        seconds = float(asked) if asked else 2.0**attempt
    except ValueError:
        seconds = 2.0**attempt
    return min(MAX_WAIT, max(0.0, seconds)) if seconds == seconds else MAX_WAIT
