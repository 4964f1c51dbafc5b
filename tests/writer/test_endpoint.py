"""The writer that asks a language model, against a real server on this machine."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from captain_cinema.errors import StoryError
from captain_cinema.script import Script
from captain_cinema.writer.endpoint import MAX_REPLIES, MAX_TRIES, write_with_endpoint

KEY = "sk-secret-0123456789"
GOOD = {
    "title": "The Lantern",
    "caption": "A warm film.",
    "cast": [{"name": "Mara", "description": "a tall fox"}],
    "shots": [
        {
            "scene": "The beach",
            "caption": "<Mara> walks left.",
            "framing": "wide",
            "camera": "",
            "seconds": 2,
        },
        {
            "scene": "The beach",
            "caption": "Mara waves.\n",
            "framing": "medium",
            "seconds": 3.5,
            "mood": "warm",
        },
    ],
}


def said(content: Any) -> tuple[int, dict[str, str], bytes]:
    text = content if isinstance(content, str) else json.dumps(content)
    return 200, {}, json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def good(**changes: Any) -> tuple[int, dict[str, str], bytes]:
    return said({**GOOD, **changes})


class Server(ThreadingHTTPServer):
    """Answers what it is told to, in order, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.models: list[Any] = [{"id": "tiny"}]
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.reply(200, {}, json.dumps({"data": self.server.models}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append({"path": self.path, **json.loads(body)})
        self.server.headers.append(dict(self.headers))
        time.sleep(self.server.delay)
        self.reply(*self.server.answers[min(len(self.server.asked), len(self.server.answers)) - 1])

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CINEMA_WRITER_KEY", "OPENAI_API_KEY", "CINEMA_WRITER_MODEL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def write(server: Server, *, waits: list[float] | None = None, url: str = "", **options: Any) -> Script:
    with httpx.Client(trust_env=False, timeout=options.pop("timeout", 10.0)) as client:
        sleep = (waits if waits is not None else []).append
        options = {"shots": 2, "api_key": KEY, **options}
        return write_with_endpoint(
            "A fox by the sea.", url or server.url, client=client, sleep=sleep, **options
        )


def failure(server: Server, caplog: pytest.LogCaptureFixture, **options: Any) -> str:
    with caplog.at_level(logging.DEBUG), pytest.raises(StoryError) as caught:
        write(server, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 300
    assert KEY not in message + caplog.text
    return message


@pytest.mark.parametrize("form", ["{}", "```json\n{}\n```", "Here is your film:\n{}\nEnjoy!"])
def test_a_good_reply(server: Server, form: str) -> None:
    server.answers = [said(form.replace("{}", json.dumps(GOOD)))]
    script = write(server)
    assert [member.name for member in script.cast] == ["Mara"]
    assert [shot.caption for shot in script.shots] == ["<Mara> walks left.", "<Mara> waves."]
    assert [shot.seconds for shot in script.shots] == [2.0, 3.5]
    asked = server.asked[0]
    assert asked["path"] == "/v1/chat/completions"
    assert asked["model"] == "tiny"
    assert asked["messages"][-1] == {"role": "user", "content": "A fox by the sea."}
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (said("Once upon a time."), "it holds no JSON object"),
        (said(json.dumps(GOOD)[:-40]), "its JSON is broken or cut off"),
        (said("{" * 5000), "its JSON is broken or cut off"),
        (good(shots=GOOD["shots"] * 2), "it has 4 shots, and exactly 2 are wanted"),
        (good(shots=[{"caption": ""}] * 2), "shots.1.caption: String should have at least 1 character"),
        (good(shots=[{"caption": "a", "framing": "huge"}] * 2), "shots.1.framing: Input should be ''"),
        (
            good(shots=[{"caption": "a", "seconds": 1e9}] * 2),
            "seconds: Input should be less than or equal to 60",
        ),
        (good(shots=[{"caption": "<Bo> waves."}] * 2), "shot 1 tags <Bo>, who is not in the cast"),
        (good(cast=[{"name": "Mara"}, {"name": "MARA"}]), "'MARA' and 'Mara' are one name"),
        (good(title=None), "title: Input should be a valid string"),
    ],
)
def test_a_bad_reply_is_sent_back_with_its_fault(server: Server, reply: Any, fault: str) -> None:
    server.answers = [reply, good()]
    assert write(server).title == "The Lantern"
    assert len(server.asked) == 2
    assert fault in server.asked[1]["messages"][-1]["content"]


def test_replies_that_stay_bad(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers = [said("Once upon a time.")]
    message = failure(server, caplog)
    assert f"gave {MAX_REPLIES} replies that are no script (it holds no JSON object)" in message
    assert len(server.asked) == MAX_REPLIES


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.answers = [
        (429, {"Retry-After": "7"}, b""),
        (503, {}, b""),
        (429, {"Retry-After": "1e9"}, b""),
        good(),
    ]
    waits: list[float] = []
    assert write(server, waits=waits).title == "The Lantern"
    assert waits == [7.0, 4.0, 30.0]


@pytest.mark.parametrize(
    ("answer", "message", "requests"),
    [
        ((500, {}, b"oops"), "is busy or broken (500) after 4 tries; try again later", MAX_TRIES),
        ((401, {}, f"wrong key {KEY}".encode()), "refuses the key (401); set CINEMA_WRITER_KEY", 1),
        ((404, {}, b""), "no such chat endpoint or model (404)", 1),
        ((302, {"Location": "http://127.0.0.1/"}, b""), "sends us elsewhere (302)", 1),
        ((418, {}, f"I am\na teapot {KEY}".encode()), "refuses the request (418: I am a teapot ***)", 1),
        ((200, {}, b"<html>"), "does not answer with JSON", 1),
        ((200, {}, b"[]"), "does not answer with JSON", 1),
        ((200, {}, b'{"choices": []}'), "does not answer as an OpenAI-compatible chat does", 1),
        ((200, {}, b" " * (5 << 20)), "sends more than 4 MB", 1),
    ],
)
def test_servers_that_fail(
    server: Server, caplog: pytest.LogCaptureFixture, answer: Any, message: str, requests: int
) -> None:
    server.answers = [answer]
    assert message in failure(server, caplog)
    assert len(server.asked) == requests


def test_a_server_without_json_mode(server: Server) -> None:
    server.answers = [(400, {}, b"unknown field response_format"), said("no"), good()]
    assert write(server).title == "The Lantern"
    assert ["response_format" in asked for asked in server.asked] == [True, False, False]


def test_a_slow_server(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answers, server.delay = [good()], 0.5
    assert "does not answer in time" in failure(server, caplog, timeout=0.1)


def test_no_server(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert "cannot be reached" in failure(server, caplog, url="http://127.0.0.1:9/v1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gemini", "'gemini' is not a web address; give for example http://localhost:8000/v1"),
        ("file:///etc/passwd", "is not a web address"),
        ("http://", "is not a web address"),
        (f"http://me:{KEY}@localhost/v1", "holds a password; give the key in CINEMA_WRITER_KEY"),
    ],
)
def test_addresses(server: Server, caplog: pytest.LogCaptureFixture, url: str, message: str) -> None:
    assert message in failure(server, caplog, url=url)


@pytest.mark.parametrize("ending", ["/v1/", "/v1/chat/completions", ""])
def test_the_address_may_end_in_many_ways(server: Server, ending: str) -> None:
    server.answers = [good()]
    assert write(server, url=server.url.removesuffix("/v1") + ending).title == "The Lantern"
    assert server.asked[0]["path"] == "/v1/chat/completions"


def test_which_model(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers, server.models = [good()], [{"id": "a"}, {"id": "b"}, {"id": 3}, None]
    assert "which model? (it lists a, b); set CINEMA_WRITER_MODEL" in failure(server, caplog)
    monkeypatch.setenv("CINEMA_WRITER_MODEL", "b")
    write(server)
    assert server.asked[-1]["model"] == "b"


def test_keys_of_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    server.answers = [good()]
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    write(server, api_key=None)
    assert "Authorization" not in server.headers[-1], "not over an open line"
    monkeypatch.setenv("CINEMA_WRITER_KEY", "sk-mine\n")
    write(server, api_key=None)
    assert server.headers[-1]["Authorization"] == "Bearer sk-mine"


def test_what_cannot_be_asked(server: Server, caplog: pytest.LogCaptureFixture) -> None:
    assert "ask for 1 to 500" in failure(server, caplog, shots=0)
    assert "holds characters that no key has" in failure(server, caplog, api_key="schlüssel")
    with pytest.raises(StoryError, match="the idea is empty"):
        write_with_endpoint(" ", server.url, shots=2)
    with pytest.raises(StoryError, match=r"at most 20,000 work"):
        write_with_endpoint("x" * 20_001, server.url, shots=2)
