"""Captions from a vision-language model, against a real server on this machine."""

import json
import logging
import pickle
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from annotate_server import (
    CAST,
    FILM,
    KEY,
    Answer,
    Asked,
    Clock,
    Server,
    ask,
    entries,
    entry,
    fixed,
    good,
    picture,
    pictures,
    said,
    serving,
)

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate import Annotation, BrokenOff, Usage, annotator
from captain_cinema.films.annotate.endpoint import EndpointAnnotator
from captain_cinema.films.annotate.line import MAX_STRIKES
from captain_cinema.films.annotation_options import EndpointSettings, Patience
from captain_cinema.films.records import Picture
from captain_cinema.script import CastMember, names_in


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CINEMA_ANNOTATOR_KEY", "CINEMA_ANNOTATOR_MODEL", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(autouse=True)
def _no_secrets(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> Iterator[None]:
    """Whatever a test does: the key is in no log and no file."""
    with caplog.at_level(logging.DEBUG):
        yield
    assert KEY not in caplog.text
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()


def annotated(server: Server, cache: Path, *shades: int, **options: Any) -> list[Annotation]:
    with closing(ask(server, cache, **options)) as reader:
        found = reader.annotate(FILM, pictures(*shades))
    assert KEY not in repr(found)
    assert all("\n" not in annotation.error and len(annotation.error) <= 300 for annotation in found)
    return found


def captions(found: list[Annotation]) -> list[str]:
    return [annotation.caption for annotation in found]


def lit(*shades: int) -> list[str]:
    return [f"<Mara> stands in light of {shade}." for shade in shades]


def patience(**changes: Any) -> EndpointSettings:
    return EndpointSettings(parallel=1, patience=Patience(**changes))


def test_good_replies(server: Server, tmp_path: Path) -> None:
    reader = ask(server, tmp_path, settings=EndpointSettings(frames=2, parallel=1))
    found = reader.annotate(FILM, pictures(50, 0, 100, 150, 200))
    reader.close()
    assert captions(found) == ["<Mara> stands in light of 50.", "", *lit(100, 150, 200)]
    assert [annotation.keep for annotation in found] == [True, False, True, True, True]
    assert found[1].reason == "Nearly black."
    assert found[0].characters == ("Mara",)
    assert [annotation.error for annotation in found] == [""] * 5
    assert [len(asked.codes) for asked in server.asked] == [2, 2, 1]
    assert reader.name == f"seer@{server.url[7:-3]}"


def test_what_is_asked(server: Server, tmp_path: Path) -> None:
    annotated(server, tmp_path, 50, 60)
    asked = server.asked[0]
    assert server.paths == ["/v1/chat/completions"]
    assert asked.body["model"] == "seer"
    assert asked.headers["Authorization"] == f"Bearer {KEY}"
    assert asked.shades == (50, 60)
    assert len(set(asked.codes)) == 2
    assert all(code in asked.closing for code in asked.codes)
    assert "Mara: a tall fox in a red coat" in asked.task
    for rule in (
        "Only these characters may be named",
        "only if you are certain",
        "persona",
        '"keep" to false',
    ):
        assert rule in asked.task
    assert asked.body["response_format"]["json_schema"]["strict"] is True


def test_without_a_cast_nobody_is_named(server: Server, tmp_path: Path) -> None:
    assert captions(annotated(server, tmp_path, 50, cast={})) == ["Someone stands in light of 50."]
    assert "Name nobody" in server.asked[0].task


def test_braces_and_halves_of_characters_in_the_cast(server: Server, tmp_path: Path) -> None:
    cast = {"*": [CastMember(name="Mara", description="a {fox} \ud800"), CastMember(name="{0}")]}
    assert captions(annotated(server, tmp_path, 50, cast=cast)) == lit(50)
    assert "Mara: a {fox} ?" in server.asked[0].task


def half(asked: Asked) -> Answer:
    """A reply that ends in the middle of its second entry."""
    text = json.dumps({"frames": entries(asked)})
    return said(text[: text.index(asked.codes[1]) + 30], finish="length")


def about_others(asked: Asked) -> Answer:
    return said({"frames": [entry(f"{number:08x}", 9 * number) for number in (1, 2, 3)]})


def twice(asked: Asked) -> Answer:
    told = entries(asked)
    return said({"frames": [*told, told[0] | {"caption": "Somebody else."}]})


BAD: dict[str, tuple[Callable[[Asked], Answer], str]] = {
    "prose": (fixed(said("I see a lovely picture.")), "it holds no JSON object"),
    "half": (half, "says nothing of frame"),
    "cut at once": (fixed(said('{"frames": [{"fra')), "its JSON is broken or cut off"),
    "other frames": (about_others, "it tells of frame '00000001', which was not sent"),
    "twice": (twice, "twice, and differently"),
    "no caption": (
        lambda asked: said({"frames": entries(asked, keep=True, caption=" \u200b")}),
        "has no caption",
    ),
    "wrong types": (lambda asked: said({"frames": entries(asked, keep="maybe")}), "keep: Input should be"),
    "endless caption": (lambda asked: said({"frames": entries(asked, caption="a" * 5000)}), "at most 4000"),
    "no frame": (fixed(said({"frames": [{"keep": True, "caption": "A."}]})), "its JSON is broken or cut off"),
    "deep": (fixed(said("{" * 100_000)), "its JSON is broken or cut off"),
    "deeper": (fixed(said('{"a":' * 100_000)), "its JSON is broken or cut off"),
    "a number": (fixed(said("7")), "it holds no JSON object"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_reply_is_sent_back_with_its_fault(server: Server, tmp_path: Path, name: str) -> None:
    play, fault = BAD[name]
    server.plays = [play, good]
    assert captions(annotated(server, tmp_path, 50, 60, 70)) == lit(50, 60, 70)
    assert len(server.asked) == 2
    assert fault in server.asked[1].closing


@pytest.mark.parametrize("name", [name for name in BAD if name not in ("half", "twice")])
def test_bad_replies_for_ever(server: Server, tmp_path: Path, name: str) -> None:
    server.plays = [BAD[name][0]]
    found = annotated(server, tmp_path, 50, 60, 70)
    assert captions(found) == ["", "", ""]
    assert all(annotation.keep for annotation in found)
    assert all("no usable reply (" in annotation.error for annotation in found)
    assert [len(asked.codes) for asked in server.asked] == [3, 3, 1, 1, 1], "the number of requests is capped"
    server.plays = [good]
    assert captions(annotated(server, tmp_path, 50, 60, 70)) == lit(50, 60, 70), "nothing bad was kept"


def test_what_came_whole_before_a_cut_is_used(server: Server, tmp_path: Path) -> None:
    server.plays = [half, good]
    assert captions(annotated(server, tmp_path, 50, 60, 70)) == lit(50, 60, 70)
    assert server.shades == [50, 60, 70, 60, 70], "the first was paid for"


def test_one_frame_that_a_model_refuses_does_not_cost_the_others(server: Server, tmp_path: Path) -> None:
    def squeamish(asked: Asked) -> Answer:
        return said(None, finish="content_filter") if 60 in asked.shades else good(asked)

    server.plays = [squeamish]
    found = annotated(server, tmp_path, 50, 60, 70)
    assert captions(found) == [*lit(50), "", *lit(70)]
    assert "the model says nothing (content_filter)" in found[1].error
    assert [asked.shades for asked in server.asked] == [(50, 60, 70), (50,), (60,), (70,)]


@pytest.mark.parametrize(
    "form",
    [
        "```json\n{}\n```",
        "<think>A frame {like} this? [1] Mara?</think>\n{}",
        "Here you are:\n{}\nEnjoy!",
    ],
)
def test_json_between_other_words(server: Server, tmp_path: Path, form: str) -> None:
    server.plays = [lambda asked: said(form.replace("{}", json.dumps({"frames": entries(asked)})))]
    assert captions(annotated(server, tmp_path, 50, 60)) == lit(50, 60)
    assert len(server.asked) == 1


def test_other_shapes_of_a_reply(server: Server, tmp_path: Path) -> None:
    def bare(asked: Asked) -> Answer:
        parts = [{"type": "text", "text": json.dumps(one)} for one in entries(asked, reason=None)]
        choice = {"message": {"content": parts}}
        return Answer(body=json.dumps({"choices": [choice]}).encode())

    server.plays = [lambda asked: said(entries(asked)), bare]
    assert captions(annotated(server, tmp_path, 50, 60)) == lit(50, 60), "a list"
    assert captions(annotated(server, tmp_path, 70, 80)) == lit(70, 80), "objects in several parts"
    assert len(server.asked) == 2


@pytest.mark.parametrize(
    ("caption", "listed", "clean", "characters"),
    [
        ("<Mara> and <Batman>.", ["Mara", "Batman"], "<Mara> and someone.", ("Mara",)),
        ("The <Joker> laughs; then the <Joker> sits.", [], "Someone laughs; then someone sits.", ()),
        ("<Unknown Name>'s hat. <Zed's> coat.", [], "Someone's hat. Someone else's coat.", ()),
        (
            "A <Wolf>, <Fox> and <Owl> meet <Bo>.",
            [],
            "Someone, someone else and another person meet <Bo>.",
            ("Bo",),
        ),
        (
            "Zed nods to <Mara>, and zed is a letter.",
            ["Zed"],
            "Someone nods to <Mara>, and zed is a letter.",
            ("Mara",),
        ),
        ("<Zed> runs. Zed, out of breath, hides.", [], "Someone runs. Someone, out of breath, hides.", ()),
        ("A man and <mara>.", ["man", "Mara"], "A man and <Mara>.", ("Mara",)),
        ("<映画> waits for <Bo>; 映画.", [], "Someone waits for <Bo>; someone.", ("Bo",)),
        ("<Batman runs, \U0010f000 sits.", [], "Someone runs, sits.", ()),
        ("< mara > runs.", [], "<Mara> runs.", ("Mara",)),
        ("<Mara's> coat.", [], "<Mara>'s coat.", ("Mara",)),
        ("Mara meets Bo; Bob waves.", ["Bo"], "Mara meets <Bo>; Bob waves.", ("Bo",)),
        ("<<Mara>>, <Bo, 3 < 4 > 2", [], "<Mara>, Bo, 3 4 2", ("Mara",)),
        ("<Mara\n>, <\u202eBo\u200b>, <b>x</b>", [], "<Mara>, <Bo>, x", ("Mara", "Bo")),
        ("A \ud800fox\x00.\n\tIt <" + "x" * 300 + ">", ["Z" * 9000, "<Bo>"], None, ("Bo",)),
        ("<Mara> <script>alert(1)</script>", ["'; drop"], "<Mara> alert(1)", ("Mara",)),
        ("A man.", ["Mara"], "A man.", ("Mara",)),
    ],
)
def test_only_the_cast_is_named(
    server: Server,
    tmp_path: Path,
    caption: str,
    listed: list[str],
    clean: str | None,
    characters: tuple[str, ...],
) -> None:
    server.plays = [lambda asked: said({"frames": entries(asked, caption=caption, characters=listed)})]
    for _ in ("asked", "from the cache"):
        (found,) = annotated(server, tmp_path, 50)
        assert found.characters == characters
        assert clean is None or found.caption == clean
        assert set(names_in(found.caption)) <= {"Mara", "Bo"}
        assert (
            found.caption.count("<")
            == found.caption.count(">")
            == found.caption.count("<Mara>") + (found.caption.count("<Bo>"))
        )
        assert found.caption.isprintable()
        outside = [
            name for name in ("Batman", "Joker", "Unknown Name", "Zed", "Owl", "映画") if name in caption
        ]
        assert all(name in found.reason and name not in found.caption for name in outside)
        assert found.reason == "" or found.reason.startswith("left out, not in the cast: ")
        found.caption.encode()
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    google = b'[{"error": {"code": 429, "details": [{"retryDelay": "17.5s"}]}}]'
    busy = [
        Answer(status=429, headers={"Retry-After": "7"}),
        Answer(status=429, headers={"Retry-After": formatdate(clock.now + 7 + 20, usegmt=True)}),
        Answer(status=429, body=google),
        Answer(status=503),
        Answer(status=500, headers={"Retry-After": "soon"}),
    ]
    server.plays = [*map(fixed, busy), good]
    assert captions(annotated(server, tmp_path, 50, clock=clock)) == lit(50)
    assert clock.waits == [7, 20, 17.5, 16, 32]


def test_a_limit_of_a_worker_holds_all_workers(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    server.plays = [fixed(Answer(status=429, headers={"Retry-After": "40"})), good]
    first = ask(server, tmp_path, clock=Clock(), settings=patience(tries=1))
    second = ask(server, tmp_path, clock=clock)
    first._line._hold(429, 40.0, b"")
    server.plays = [good]
    assert captions(second.annotate(FILM, pictures(50))) == lit(50)
    assert clock.waits == [40]


@pytest.mark.parametrize(
    ("answer", "error", "requests"),
    [
        (Answer(status=500, body=f"oops {KEY}".encode()), "is busy or broken (500: oops ***)", 6),
        (Answer(status=429), "is busy or broken (429: )", 6),
        (Answer(status=401, body=KEY.encode()), "refuses the key (401); set CINEMA_ANNOTATOR_KEY", 1),
        (Answer(status=403), "refuses the key (403)", 1),
        (Answer(status=404), "no such chat endpoint or model (404)", 1),
        (Answer(status=302, headers={"Location": "http://127.0.0.1/"}), "sends us elsewhere (302)", 1),
        (Answer(status=418, body=f"a\nteapot {KEY}".encode()), "refuses the request (418: a teapot ***)", 1),
        (Answer(status=400, body=b"x" * 110 + KEY.encode()), "(400: " + "x" * 110 + "***)", None),
        (Answer(body=b"<html>"), "does not answer with JSON", None),
        (Answer(body=b"[]"), "does not answer with JSON", None),
        (Answer(body=b'{"choices": []}'), "does not answer as an OpenAI-compatible chat does", None),
        (Answer(body=b'{"choices": [{"message": "hi"}]}'), "does not answer as an OpenAI-compatible", None),
        (Answer(body=b" " * (5 << 20)), "sends more than 4 MB", None),
        (Answer(body=b'{"choices": [{"message"', cut=9), "cannot be reached", 6),
    ],
)
def test_servers_that_fail(
    server: Server, tmp_path: Path, answer: Answer, error: str, requests: int | None
) -> None:
    server.plays = [fixed(answer)]
    found = annotated(server, tmp_path, 50, 60)
    assert captions(found) == ["", ""]
    assert all(annotation.keep and error in annotation.error for annotation in found), found[0].error
    assert len(server.asked) == requests or (requests is None and len(server.asked) <= 12)


def test_a_refused_key_ends_the_matter(server: Server, tmp_path: Path) -> None:
    server.plays = [fixed(Answer(status=401))]
    reader = ask(server, tmp_path, settings=EndpointSettings(frames=1, parallel=1))
    assert all("refuses the key" in found.error for found in reader.annotate(FILM, pictures(50, 60, 70)))
    assert len(server.asked) == 1


def test_a_dead_server_is_left_alone_and_tried_again_later(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    server.plays = [fixed(Answer(status=500))]
    settings = EndpointSettings(frames=1, parallel=1, patience=Patience(tries=1))
    reader = ask(server, tmp_path, clock=clock, settings=settings)
    found = reader.annotate(FILM, pictures(*range(20, 40)))
    assert all(annotation.error for annotation in found)
    assert len(server.asked) == MAX_STRIKES // 3
    server.plays = [good]
    assert reader.annotate(FILM, pictures(50))[0].error
    clock.now += 61
    assert captions(reader.annotate(FILM, pictures(50))) == lit(50)


def test_a_wait_too_long_is_not_sat_out_and_not_ignored(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    server.plays = [fixed(Answer(status=429, headers={"Retry-After": "3600"})), good]
    reader = ask(server, tmp_path, clock=clock)
    assert "asks to be left alone for 3600 s" in reader.annotate(FILM, pictures(50))[0].error
    assert clock.waits == []
    clock.now += 3500
    assert reader.annotate(FILM, pictures(50))[0].error
    assert len(server.asked) == 1
    clock.now += 101
    assert captions(reader.annotate(FILM, pictures(50))) == lit(50)


@pytest.mark.parametrize(
    "slow",
    [Answer(delay=0.6, body=b"{}"), said({"frames": []}, drip=0.02), Answer(drip=0.05)],
    ids=["timeout", "slow drip", "slow drip of headers"],
)
def test_a_slow_server(server: Server, tmp_path: Path, slow: Answer) -> None:
    server.plays = [fixed(slow)]
    begun = time.monotonic()
    (found,) = annotated(server, tmp_path, 50, settings=patience(reply_seconds=0.15))
    assert "does not answer in time" in found.error
    assert len(server.asked) == 3
    assert time.monotonic() - begun < 5


def test_a_timeout_is_tried_again(server: Server, tmp_path: Path) -> None:
    server.plays = [fixed(Answer(delay=1.0)), good]
    assert captions(annotated(server, tmp_path, 50, settings=patience(reply_seconds=0.5))) == lit(50)


def test_a_line_that_breaks_is_dialled_again(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    server.plays = [fixed(said({}, cut=20)), good]
    assert captions(annotated(server, tmp_path, 50, clock=clock, client=None)) == lit(50)
    assert clock.waits == [2]


def test_no_server(server: Server, tmp_path: Path) -> None:
    (found,) = annotated(server, tmp_path, 50, url="http://127.0.0.1:9/v1", client=None)
    assert "cannot be reached" in found.error


def test_a_server_that_knows_no_schema(server: Server, tmp_path: Path) -> None:
    def simple(asked: Asked) -> Answer:
        return Answer(status=400, body=b"unknown field") if "temperature" in asked.body else good(asked)

    server.plays = [simple]
    settings = EndpointSettings(frames=1, parallel=1)
    assert captions(annotated(server, tmp_path, 50, 60, settings=settings)) == lit(50, 60)
    assert [len(asked.body) for asked in server.asked] == [4, 4, 3, 3], "what works is remembered"


def test_a_context_too_short_for_a_batch(server: Server, tmp_path: Path) -> None:
    server.plays = [lambda asked: good(asked) if len(asked.codes) == 1 else Answer(status=400)]
    assert captions(annotated(server, tmp_path, 50, 60)) == lit(50, 60)


def test_the_pace(server: Server, tmp_path: Path) -> None:
    clock = Clock()
    settings = EndpointSettings(frames=1, parallel=1, per_minute=15)
    readers = [ask(server, tmp_path, clock=clock, settings=settings) for _ in range(2)]
    for shade in (20, 30, 40):
        for reader in readers:
            reader.annotate(FILM, pictures(shade, shade + 100))
    assert len(server.asked) == 6
    assert clock.waits == [4.0] * 5, "the two workers together keep to it"


def test_requests_in_flight(server: Server, tmp_path: Path) -> None:
    together = threading.Barrier(3, timeout=5)

    def meets(asked: Asked) -> Answer:
        together.wait()
        return good(asked)

    server.plays = [meets]
    settings = EndpointSettings(frames=1, parallel=3)
    assert captions(annotated(server, tmp_path, 50, 60, 70, settings=settings)) == lit(50, 60, 70)


def test_what_it_costs(server: Server, tmp_path: Path) -> None:
    told: list[Usage] = []
    server.plays = [fixed(said("Prose.")), good]
    settings = EndpointSettings(frames=2, parallel=1, input_price=0.1, output_price=0.4)
    reader = ask(server, tmp_path, settings=settings, report=told.append)
    reader.annotate(FILM, pictures(50, 0, 50, 70))
    usage = reader.usage
    assert usage == told[-1]
    assert (usage.frames, usage.captioned, usage.dropped, usage.missing, usage.cached) == (4, 3, 1, 0, 1)
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (3, 3000, 300), (
        "prose is paid for too"
    )
    assert usage.cost == pytest.approx(3000 * 0.1e-6 + 300 * 0.4e-6)
    assert [one.requests for one in told] == sorted(one.requests for one in told)
    assert str(usage) == (
        "4/4 frames, 3 captioned, 1 dropped, 1 answered before, 3 requests, "
        "3,000 tokens in, 300 out, cost 0.0004"
    )
    assert (usage + Usage(frames=1)).cost == usage.cost


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": -5, "completion_tokens": "many"}, {"x": 1e308}]
)
def test_tokens_that_nobody_counted(server: Server, tmp_path: Path, usage: Any) -> None:
    server.plays = [lambda asked: said({"frames": entries(asked)}, usage=usage)]
    reader = ask(server, tmp_path)
    reader.annotate(FILM, pictures(50))
    assert (reader.usage.requests, reader.usage.input_tokens, reader.usage.cost) == (1, 0, None)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gemini", "there is no annotator 'gemini'; give none, sidecar, or an address such as http://local"),
        (KEY, "there is no annotator of that name"),
        ("file:///etc/passwd", "there is no annotator"),
        ("http://", "there is no annotator"),
        (
            f"http://me:{KEY}@localhost/v1",
            "holds more than host and path; give the key in CINEMA_ANNOTATOR_KEY",
        ),
        (f"https://localhost/v1?key={KEY}", "holds more than host and path"),
    ],
)
def test_addresses(tmp_path: Path, url: str, message: str) -> None:
    with pytest.raises(CinemaError, match="annotator") as caught:
        annotator(url, cache=tmp_path, model="seer")
    assert message in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("ending", ["/v1/", "/v1/chat/completions", ""])
def test_the_address_may_end_in_many_ways(server: Server, tmp_path: Path, ending: str) -> None:
    annotated(server, tmp_path, 50, url=server.url.removesuffix("/v1") + ending)
    assert server.paths == ["/v1/chat/completions"]


def test_which_model(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(server, tmp_path, model=None).model == "seer"
    server.models = Answer(body=b'{"data": [{"id": "a"}, {"id": "b"}, {"id": 3}, null]}')
    with pytest.raises(CinemaError, match=r"which model\? \(it lists a, b\); set CINEMA_ANNOTATOR_MODEL"):
        ask(server, tmp_path, model=None)
    with pytest.raises(CinemaError, match="cannot be the name of a model"):
        ask(server, tmp_path, model="a\udcff")
    monkeypatch.setenv("CINEMA_ANNOTATOR_MODEL", "b")
    assert ask(server, tmp_path, model=None).model == "b"


def test_check(server: Server, tmp_path: Path) -> None:
    ask(server, tmp_path).check()
    with pytest.raises(
        CinemaError, match=r"does not list the model 'oracle' \(it lists seer\); name another"
    ):
        ask(server, tmp_path, model="oracle").check()
    server.models = Answer(body=b'{"data": [{"id": "models/oracle"}]}')
    ask(server, tmp_path, model="oracle").check()
    server.models = Answer(status=404)
    ask(server, tmp_path, model="oracle").check()
    for status, message in ((401, "refuses the key"), (400, "refuses the request"), (500, "busy or broken")):
        server.models = Answer(status=status, body=KEY.encode())
        with pytest.raises(CinemaError, match=message) as caught:
            ask(server, tmp_path).check()
        assert KEY not in str(caught.value)
    with pytest.raises(CinemaError, match="cannot be reached"):
        ask(server, tmp_path, url="http://127.0.0.1:9/v1").check()


def test_keys_of_the_environment(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-0123456789")
    annotated(server, tmp_path, 50, api_key=None)
    assert "Authorization" not in server.asked[-1].headers, "not over an open line"
    monkeypatch.setenv("CINEMA_ANNOTATOR_KEY", "sk-mine\n")
    annotated(server, tmp_path, 60, api_key=None)
    assert server.asked[-1].headers["Authorization"] == "Bearer sk-mine"


@pytest.mark.parametrize(
    ("host", "key"), [("api.openai.com", "open"), ("generativelanguage.googleapis.com", "goog")]
)
def test_a_providers_key_is_not_for_another(host: str, key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from captain_cinema.films.annotate.address import find_key, parse_address

    monkeypatch.setenv("OPENAI_API_KEY", "open")
    monkeypatch.setenv("GEMINI_API_KEY", "goog")
    assert find_key(parse_address(f"https://{host}/v1"), None) == key


def test_the_key_is_shown_by_nothing(server: Server, tmp_path: Path) -> None:
    def echo(asked: Asked) -> Answer:
        told = entries(asked, caption=f"<Mara> holds {KEY}.", characters=[KEY], keep=30 not in asked.shades)
        return said({"frames": [one | {"reason": KEY} for one in told]})

    server.plays = [echo]
    reader = ask(server, tmp_path, model=f"seer-{KEY}")
    found = reader.annotate(FILM, [picture(50)]) + reader.annotate(FILM, [picture(30)])
    assert captions(found) == ["<Mara> holds ***.", ""]
    assert found[1].reason == "***"
    shown = [
        repr(reader),
        str(reader),
        reader.name,
        reader.fingerprint(FILM),
        repr(reader.settings),
        repr(found),
    ]
    assert KEY not in " ".join(shown)
    with pytest.raises(TypeError):
        pickle.dumps(reader)
    with pytest.raises(CinemaError, match="holds characters that no key has"):
        ask(server, tmp_path, api_key="schlüssel")


def test_fingerprints(server: Server, tmp_path: Path) -> None:
    base = ask(server, tmp_path).fingerprint(FILM)
    assert base == ask(server, tmp_path, api_key="other").fingerprint(FILM)
    assert base != ask(server, tmp_path, model="oracle").fingerprint(FILM)
    assert base != ask(server, tmp_path, cast={"*": [CastMember(name="Mara")]}).fingerprint(FILM)
    assert ask(server, tmp_path).about(FILM).cast == (("Mara", "a tall fox in a red coat"), ("Bo", ""))


@pytest.mark.parametrize(
    "settings", [{"frames": 0}, {"parallel": 0}, {"per_minute": 0.0}, {"input_price": -1.0}, {"frames": 1000}]
)
def test_settings_that_cannot_be(settings: dict[str, Any]) -> None:
    with pytest.raises(CinemaError):
        EndpointSettings(**settings)


def test_breaking_off(server: Server, tmp_path: Path) -> None:
    """Ctrl-C, or whatever else the caller's report raises, ends it at once; what was answered is kept."""

    class BrokenOff(BaseException):
        pass

    def report(usage: Usage) -> None:
        if usage.captioned:
            raise BrokenOff

    server.plays = [good, fixed(Answer(delay=3.0))]
    reader = EndpointAnnotator(
        server.url,
        cast=CAST,
        cache=tmp_path,
        api_key=KEY,
        model="seer",
        settings=EndpointSettings(frames=1, parallel=2),
        report=report,
    )
    begun = time.monotonic()
    with pytest.raises(BrokenOff):
        reader.annotate(FILM, pictures(*range(20, 30)))
    reader.close()
    assert time.monotonic() - begun < 2.5
    assert len(server.asked) <= 3


def test_closing_from_another_thread(server: Server, tmp_path: Path) -> None:
    """It comes back at once, and not with frames that seem to have failed."""
    waiting = threading.Event()

    def hangs(asked: Asked) -> Answer:
        waiting.set()
        return Answer(delay=3.0)

    server.plays = [good, hangs]
    reader = ask(server, tmp_path, settings=EndpointSettings(frames=1, parallel=1))
    begun = time.monotonic()
    with ThreadPoolExecutor(1) as desk:
        done = desk.submit(reader.annotate, FILM, pictures(50, 60, 70))
        assert waiting.wait(10)
        reader.close()
        with pytest.raises(BrokenOff):
            done.result()
    assert time.monotonic() - begun < 2.5
    assert captions(ask(server, tmp_path).annotate(FILM, pictures(50))) == lit(50), (
        "what was answered is kept"
    )
    assert len(server.asked) == 2


def test_pictures_are_read_when_they_are_sent(server: Server, tmp_path: Path) -> None:
    """Those of a long film do not fit into memory."""
    alive: list[weakref.ref[object]] = []

    class Lazy(Sequence[Picture]):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, place: int) -> Picture:
            assert sum(one() is not None for one in alive) <= 2
            made = picture(place * 6)
            alive.append(weakref.ref(made.image))
            return made

    found = ask(server, tmp_path, settings=EndpointSettings(frames=8, parallel=1)).annotate(FILM, Lazy())
    assert [one.caption for one in found[2:]] == lit(*range(12, 240, 6))
