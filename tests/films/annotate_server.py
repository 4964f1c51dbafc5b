"""A vision-language model's endpoint on this machine, that behaves as badly as it is told to."""

import base64
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np

from captain_cinema.films.annotate.endpoint import EndpointAnnotator
from captain_cinema.films.annotation_options import EndpointSettings
from captain_cinema.films.records import Crop, FilmRecord, Picture
from captain_cinema.script import CastMember

KEY = "sk-secret-0123456789abcdef"
CAST = {"*": [CastMember(name="Mara", description="a tall fox in a red coat"), CastMember(name="Bo")]}
FILM = FilmRecord(id="00", name="film.mp4", path="/films/film.mp4", digest="00", size=1, verdict="ok")
USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request as the server understood it."""

    body: dict[str, Any]
    headers: dict[str, str]
    codes: tuple[str, ...]
    shades: tuple[int, ...]
    """Mean brightness of each frame that came."""

    @property
    def task(self) -> str:
        return self.body["messages"][0]["content"]

    @property
    def closing(self) -> str:
        return self.body["messages"][1]["content"][-1]["text"]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the server sends, and how."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: float = 0.0
    drip: float = 0.0
    """Seconds between two bytes, from the first header on."""
    cut: int = -1
    """Bytes of the body after which the line is cut."""


Play = Callable[[Asked], Answer]


def said(content: Any, *, finish: str = "stop", usage: Any = USAGE, **how: Any) -> Answer:
    text = content if isinstance(content, str) or content is None else json.dumps(content)
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return Answer(body=json.dumps({"choices": [choice], "usage": usage}).encode(), **how)


def entry(code: str, shade: int, **changes: Any) -> dict[str, Any]:
    """What a good model says of a frame of this brightness: the dark ones are poor."""
    told = {"frame": code, "keep": True, "reason": "", "characters": ["Mara"]}
    told["caption"] = f"<Mara> stands in light of {shade}."
    if shade < 10:
        told |= {"keep": False, "reason": "Nearly black.", "caption": "", "characters": []}
    return told | changes


def entries(asked: Asked, **changes: Any) -> list[dict[str, Any]]:
    return [entry(code, shade, **changes) for code, shade in zip(asked.codes, asked.shades, strict=True)]


def good(asked: Asked) -> Answer:
    return said({"frames": entries(asked)})


def fixed(answer: Answer) -> Play:
    return lambda asked: answer


class Server(ThreadingHTTPServer):
    """Plays one answer after the other; the last one for ever."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.plays: list[Play] = [good]
        self.models: Answer = Answer(body=b'{"data": [{"id": "seer"}]}')
        self.asked: list[Asked] = []
        self.paths: list[str] = []
        self.lock = threading.Lock()
        self.client = httpx.Client(trust_env=False, timeout=10.0, verify=False)
        self.readers: list[EndpointAnnotator] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    @property
    def shades(self) -> list[int]:
        """Of every frame that was ever sent, in order."""
        return [shade for asked in self.asked for shade in asked.shades]

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        self.send(self.server.models)

    def do_POST(self) -> None:
        self.server.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        asked = understood(body, dict(self.headers))
        with self.server.lock:
            self.server.asked.append(asked)
            play = self.server.plays[min(len(self.server.asked), len(self.server.plays)) - 1]
        self.send(play(asked))

    def send(self, answer: Answer) -> None:
        time.sleep(answer.delay)
        headers = {"Connection": "close", "Content-Length": str(len(answer.body)), **answer.headers}
        lines = [
            f"HTTP/1.1 {answer.status} x",
            *(f"{name}: {value}" for name, value in headers.items()),
            "",
            "",
        ]
        head = "\r\n".join(lines).encode()
        body = answer.body if answer.cut < 0 else answer.body[: answer.cut]
        if answer.drip:
            for byte in head + body:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(answer.drip)
        else:
            self.wfile.write(head + body)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


def understood(body: dict[str, Any], headers: dict[str, str]) -> Asked:
    parts = body["messages"][1]["content"]
    codes, shades = [], []
    for label, image in zip(parts[:-1:2], parts[1:-1:2], strict=True):
        codes.append(re.fullmatch(r"Frame (\w+):", label["text"])[1])
        data = image["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        shades.append(round(float(pixels.mean())))
    return Asked(body=body, headers=headers, codes=tuple(codes), shades=tuple(shades))


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        for reader in server.readers:
            reader.close()
        server.client.close()
        server.shutdown()
        server.server_close()
        thread.join()


class Clock:
    """Time that passes only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self.waits: list[float] = []
        self.lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.waits.append(round(seconds, 2))
            self.now += seconds


def picture(shade: int, *, shot: int = 1, seconds: float = 0.0) -> Picture:
    whole = Crop(left=0, top=0, width=32, height=16)
    return Picture(
        shot=shot,
        role="middle",
        frame=shot,
        seconds=seconds,
        border=whole,
        crop=whole,
        image=np.full((16, 32, 3), shade, np.uint8),
    )


def pictures(*shades: int) -> list[Picture]:
    return [picture(shade, shot=number) for number, shade in enumerate(shades, 1)]


def ask(server: Server, cache: Path, *, clock: Clock | None = None, **options: Any) -> EndpointAnnotator:
    """An annotator on this server; one request at a time unless `settings` says otherwise."""
    clock = clock or Clock()
    usual = {"cast": CAST, "cache": cache, "api_key": KEY, "model": "seer", "client": server.client}
    usual |= {"settings": EndpointSettings(parallel=1), "sleep": clock.sleep, "clock": clock}
    reader = EndpointAnnotator(options.pop("url", server.url), **usual | options)
    server.readers.append(reader)
    return reader
