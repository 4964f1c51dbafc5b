"""Answers that were paid for are kept, whatever happens; and nobody pays twice."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from annotate_server import (
    FILM,
    KEY,
    Answer,
    Asked,
    Clock,
    Server,
    ask,
    good,
    picture,
    pictures,
    serving,
)

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate import Annotation
from captain_cinema.films.annotate.cache import AnswerCache, frame_key
from captain_cinema.films.annotate.pace import Pace
from captain_cinema.films.annotate.reply import FrameReply
from captain_cinema.films.annotation_options import EndpointSettings
from captain_cinema.script import CastMember

ONE = EndpointSettings(frames=1, parallel=1)
SHADES = (50, 60, 70, 80, 90)

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from annotate_server import CAST, FILM, pictures
from captain_cinema.films.annotate.endpoint import EndpointAnnotator
from captain_cinema.films.annotation_options import EndpointSettings
settings = EndpointSettings(frames=1, parallel=1)
reader = EndpointAnnotator(sys.argv[2], cast=CAST, cache=Path(sys.argv[3]), model="seer", settings=settings)
print("ready", flush=True)
sys.stdin.readline()
print([found.caption for found in reader.annotate(FILM, pictures(*map(int, sys.argv[4:])))])
reader.close()
"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def worker(server: Server, cache: Path, *shades: int) -> subprocess.Popen[str]:
    """A process that begins once it is told."""
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), server.url, str(cache)]
    return subprocess.Popen(
        [*command, *map(str, shades)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"CINEMA_ANNOTATOR_KEY": KEY},
    )


def begin(*processes: subprocess.Popen[str]) -> None:
    """Let them all go at once."""
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def run(server: Server, cache: Path, *shades: int, **options: object) -> list[Annotation]:
    return ask(server, cache, **{"settings": ONE} | options).annotate(FILM, pictures(*shades))


def test_no_frame_is_paid_for_twice(server: Server, tmp_path: Path) -> None:
    first = run(server, tmp_path, 50, 0, 60, 50)
    assert server.shades == [50, 0, 60], "nor one that comes twice in a film"
    assert run(server, tmp_path, 60, 50, 0, 60) == [first[2], first[0], first[1], first[2]]
    assert run(server, tmp_path, 50, api_key="another-key-of-mine") == first[:1]
    assert len(server.asked) == 3
    run(server, tmp_path, 50, model="oracle")
    run(server, tmp_path, 50, cast={"*": [CastMember(name="Mara")]})
    assert server.shades == [50, 0, 60, 50, 50], "another model or cast is another question"


def test_what_a_key_depends_on() -> None:
    image = picture(50).image
    base = frame_key(image, instruction="a", model="b")
    assert base == frame_key(np.asfortranarray(image), instruction="a", model="b")
    changed = image.copy()
    changed[3, 4, 1] += 1
    others = {
        frame_key(changed, instruction="a", model="b"),
        frame_key(image.reshape(32, 16, 3), instruction="a", model="b"),
        frame_key(image, instruction="ab", model=""),
        frame_key(image, instruction="", model="ab"),
        frame_key(image, instruction="a\ud800", model="b"),
    }
    assert base not in others
    assert len(others) == 5


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"version": 1}',
        b'{"version": 1, "key": "x", "answer": {}}',
        b"\xff" * 2**21,
        b"[" * 100_000,
    ],
)
def test_a_damaged_answer_is_asked_for_again(server: Server, tmp_path: Path, damage: bytes) -> None:
    before = run(server, tmp_path, 50)
    (kept,) = tmp_path.glob("??/*.json")
    kept.write_bytes(damage)
    assert run(server, tmp_path, 50) == before
    assert len(server.asked) == 2
    assert json.loads(kept.read_bytes())["answer"]["caption"] == before[0].caption


def test_an_answer_under_another_key_is_not_taken(server: Server, tmp_path: Path) -> None:
    run(server, tmp_path, 50)
    (kept,) = tmp_path.glob("??/*.json")
    data = kept.read_bytes()
    kept.unlink()
    run(server, tmp_path, 60)
    (other,) = tmp_path.glob("??/*.json")
    other.write_bytes(data)
    assert run(server, tmp_path, 60)[0].caption == "<Mara> stands in light of 60."


def test_a_failure_is_not_kept(server: Server, tmp_path: Path) -> None:
    server.plays = [lambda asked: Answer(status=500)]
    assert run(server, tmp_path, 50)[0].error
    assert not list(tmp_path.glob("??/*"))
    server.plays = [good]
    assert run(server, tmp_path, 50)[0].caption


def test_a_kill_loses_no_answer(server: Server, tmp_path: Path) -> None:
    hanging = threading.Event()

    def hangs(asked: Asked) -> Answer:
        hanging.set()
        return Answer(delay=0.5)

    server.plays = [good, good, good, hangs, good]
    process = worker(server, tmp_path, *SHADES)
    with process:
        begin(process)
        assert hanging.wait(30)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert server.shades == [50, 60, 70, 80]
    found = run(server, tmp_path, *SHADES)
    assert [annotation.caption for annotation in found] == [f"<Mara> stands in light of {n}." for n in SHADES]
    assert server.shades == [50, 60, 70, 80, 80, 90], "only what was in flight is asked again"
    assert not list(tmp_path.rglob("*.part"))


def test_two_processes_share_what_they_ask(server: Server, tmp_path: Path) -> None:
    def slowly(asked: Asked) -> Answer:
        time.sleep(0.05)
        return good(asked)

    server.plays = [slowly]
    processes = [worker(server, tmp_path, *shades) for shades in (SHADES, SHADES[::-1])]
    begin(*processes)
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert Counter(server.shades) == Counter(SHADES)
    captions = [f"<Mara> stands in light of {shade}." for shade in SHADES]
    assert said == [f"{captions}\n", f"{captions[::-1]}\n"]


def test_threads_share_what_they_ask(server: Server, tmp_path: Path) -> None:
    def slowly(asked: Asked) -> Answer:
        time.sleep(0.02)
        return good(asked)

    server.plays = [slowly]
    settings = EndpointSettings(frames=2, parallel=2)
    with ThreadPoolExecutor(4) as threads:
        waiting = [
            threads.submit(run, server, tmp_path, *SHADES[turn:], *SHADES[:turn], settings=settings)
            for turn in range(4)
        ]
        results = [done.result() for done in waiting]
    assert Counter(server.shades) == Counter(SHADES)
    assert len({frozenset(result) for result in results}) == 1


def test_a_full_disk_pays_for_no_more(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AnswerCache, key: str, answer: FrameReply, *, model: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AnswerCache, "put", full)
    found = run(server, tmp_path, *SHADES)
    assert found[0].caption == "<Mara> stands in light of 50.", "what has come is used"
    assert all("cannot be kept in the cache (No space left on device)" in one.error for one in found[1:])
    assert len(server.asked) == 1


def test_an_answer_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, key = AnswerCache(tmp_path), "0" * 64
    cache.put(key, FrameReply(keep=True, caption="Before."), model="seer")

    def fails(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output"):
        cache.put(key, FrameReply(keep=True, caption="After."), model="seer")
    found = cache.get(key)
    assert found is not None
    assert found.caption == "Before."
    assert len(list(tmp_path.glob("??/*"))) == 1


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(CinemaError, match="answers cannot be kept here"):
        AnswerCache(tmp_path / "file")


def test_a_file_system_without_locks(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import filelock

    def refuses(self: filelock.BaseFileLock, *args: object, **options: object) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuses)
    assert run(server, tmp_path, 50)[0].caption


@pytest.mark.parametrize("content", [b"", b"soon", b"\xff\xfe", b"1e300", b"nan", b"-5", b"9" * 100])
def test_a_pace_that_was_spoilt(tmp_path: Path, content: bytes) -> None:
    clock, file = Clock(), tmp_path / "pace"
    file.write_bytes(content)
    pace = Pace(file, per_minute=60, longest=300, clock=clock, sleep=clock.sleep)
    pace.wait()
    assert clock.waits == []
    pace.wait()
    assert clock.waits == [1.0]


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    clock = Clock()
    pace = Pace(tmp_path / "pace", per_minute=60, longest=300, clock=clock, sleep=clock.sleep)
    pace.pause(300)
    clock.now -= 86_400
    pace.wait()
    assert clock.waits == []
    pace.pause(300)
    pace.pause(10)
    pace.wait()
    assert clock.waits == [300.0], "the longer of two pauses holds"
