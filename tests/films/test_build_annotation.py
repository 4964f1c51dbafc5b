"""A whole build with an annotator: its options, what it costs, its faults, and being interrupted."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from annotate_server import KEY, Answer, Asked, Server, entries, fixed, good, said, serving
from building import LENGTHS, SETTINGS, content, leftovers, make_films, run
from drawn import write_film

from captain_cinema import cli
from captain_cinema.commands import dataset as command
from captain_cinema.films.annotate import EndpointSettings, Patience
from captain_cinema.films.publishing import AnnotatorChoice
from captain_cinema.films.store.page import write_page
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.stats import stats
from captain_cinema.films.store.verify import verify

KEYFRAMES = 2 * sum(map(len, LENGTHS.values()))
PATIENT = EndpointSettings(patience=Patience(tries=1, reply_seconds=30.0))
HASTY = EndpointSettings(patience=Patience(tries=1, reply_seconds=1.0))


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CINEMA_ANNOTATOR_KEY", "CINEMA_ANNOTATOR_MODEL", "OPENAI_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> list[Path]:
    return make_films(tmp_path_factory.mktemp("films"))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


def asking(server: Server, settings: EndpointSettings = PATIENT, **changes) -> AnnotatorChoice:
    return AnnotatorChoice(spec=server.url, model="seer", settings=settings, **changes)


def captions(dataset: Path) -> list[str]:
    opened = Dataset(dataset)
    return [one.caption for film in opened.film_ids() for one in opened.keyframes(film)]


def test_every_option_reaches_the_endpoint(server, films, tmp_path, capsys, caplog, monkeypatch) -> None:
    monkeypatch.setattr(command, "QUIET_SECONDS", 0.0)
    monkeypatch.setenv("KEY_OF_MY_OWN", KEY)
    (tmp_path / "cast.yaml").write_text("'*': [{name: Mara, description: a fox}]\n")
    server.plays = [fixed(Answer(status=503, body=KEY.encode())), good]
    options = (
        f"--annotator {server.url} --model seer --cast {tmp_path / 'cast.yaml'} --key-variable KEY_OF_MY_OWN"
    )
    options += (
        " --per-minute 6000 --batch 3 --parallel 1 --tries 2 --reply-seconds 20 --prices 0.1 0.4 --json"
    )
    options += f" --text-share 9 -o {tmp_path / 'dataset'}"
    code = cli.main(["dataset", "build", str(films[0].parent), *options.split()])
    shown = capsys.readouterr()
    assert code == 0, shown.err
    assert {asked.headers["Authorization"] for asked in server.asked} == {f"Bearer {KEY}"}
    assert max(len(asked.codes) for asked in server.asked) == 3
    used = json.loads(shown.out)["annotation"]
    requests = used["requests"]
    assert len(server.asked) == requests + 1, "the one that was busy was asked again"
    assert (used["frames"], used["captioned"], used["missing"]) == (KEYFRAMES, KEYFRAMES, 0)
    assert (used["input_tokens"], used["output_tokens"]) == (1000 * requests, 100 * requests)
    assert used["cost"] == pytest.approx(requests * (1000 * 0.1e-6 + 100 * 0.4e-6))
    progress = [line for line in shown.err.splitlines() if line.startswith("annotation: ")]
    assert any(" 0.000" in line and "3/6 frames" in line and " left" in line for line in progress), shown.err
    everything = [path.read_bytes() for path in (tmp_path / "dataset").rglob("*") if path.is_file()]
    assert not any(KEY.encode() in data for data in [*everything, shown.out.encode(), shown.err.encode()])
    assert KEY not in caplog.text
    (tmp_path / "cast.yaml").unlink()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--key-variable", KEY], "--key-variable"),
        (["--key-variable", "NOT_SET_AT_ALL"], "--key-variable"),
        (["--batch", "0"], "1 to 64 frames"),
        (["--parallel", "99"], "1 to 64 requests"),
        (["--per-minute", "0"], "requests a minute"),
        (["--tries", "0"], "1 to 100 times"),
        (["--reply-seconds", "-3"], "seconds"),
        (["--prices", "-1", "2"], "price"),
    ],
)
def test_options_that_cannot_be(server, films, tmp_path, capsys, options, says) -> None:
    given = [str(films[0]), "-o", str(tmp_path / "dataset"), "--annotator", server.url, "--model", "seer"]
    code = cli.main(["dataset", "build", *given, *options])
    shown = capsys.readouterr()
    assert code == 2
    assert says in shown.err
    assert shown.err.strip().count("\n") == 0
    assert KEY not in shown.err + shown.out
    assert server.asked == []


def half(asked: Asked) -> Answer:
    text = json.dumps({"frames": entries(asked)})
    return said(text[: len(text) // 2], finish="length")


def other_frames(asked: Asked) -> Answer:
    return said({"frames": [one | {"frame": f"{number:08x}"} for number, one in enumerate(entries(asked))]})


FAULTS = {
    "prose": (fixed(said("What a lovely film!")), "no usable reply"),
    "half a JSON": (
        lambda asked: half(asked) if len(asked.codes) > 1 else said('{"frames": [{"fr'),
        "no usable",
    ),
    "another frame": (other_frames, "which was not sent"),
    "429": (fixed(Answer(status=429)), "busy or broken (429"),
    "timeout": (fixed(Answer(delay=4.0)), "does not answer in time"),
    "401": (fixed(Answer(status=401, body=KEY.encode())), "refuses the key"),
    "500": (fixed(Answer(status=500, body=KEY.encode())), "busy or broken (500"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_faulty_annotator_costs_captions_and_the_next_run_mends_it(
    server, tmp_path, monkeypatch, caplog, name
) -> None:
    monkeypatch.setenv("CINEMA_ANNOTATOR_KEY", KEY)
    film = write_film(tmp_path / "a.mp4", 100, lengths=(10, 12))
    play, fault = FAULTS[name]
    server.plays = [play]
    choice = asking(server, HASTY if name == "timeout" else PATIENT)
    report = run([film], tmp_path / "dataset", choice=choice)
    assert report.code == 1
    assert report.records[0].verdict == "partial"
    assert "captions are missing" in report.records[0].reason
    assert fault in report.records[0].reason
    assert report.records[0].kept == 4, "frames are kept without captions"
    server.plays = [good]
    report = run([film], tmp_path / "dataset", choice=asking(server))
    assert (report.code, report.decoded, report.written) == (0, 0, 1)
    assert all(caption.startswith("Someone stands in light") for caption in captions(tmp_path / "dataset"))
    asked = len(server.asked)
    again = run([film], tmp_path / "dataset", choice=asking(server))
    assert (again.code, again.written, len(server.asked)) == (0, 0, asked), "nothing is asked or paid again"
    assert not any(
        KEY.encode() in path.read_bytes() for path in (tmp_path / "dataset").rglob("*") if path.is_file()
    )
    assert KEY not in caplog.text
    assert verify(tmp_path / "dataset") == []


def test_names_outside_the_cast_leave_captions_and_are_told_of(server, tmp_path) -> None:
    film = write_film(tmp_path / "a.mp4", 100, lengths=(10, 12))
    server.plays = [
        lambda asked: said(
            {"frames": entries(asked, caption="The <Joker> and <Mara> meet Bob.", characters=["Bob"])}
        )
    ]
    from captain_cinema.script import CastMember

    choice = asking(server, cast={"*": [CastMember(name="Mara")]})
    assert run([film], tmp_path / "dataset", choice=choice).code == 0
    opened = Dataset(tmp_path / "dataset")
    for one in opened.keyframes(opened.film_ids()[0]):
        assert one.verdict == "kept"
        assert one.caption == "Someone and <Mara> meet someone else."
        assert one.characters == ("Mara",)
        assert one.reason == "left out, not in the cast: Joker, Bob"
    found = stats(tmp_path / "dataset")
    assert (found.names_left_out, found.characters, found.reasons) == (4, {"Mara": 4}, {})
    assert "4 named somebody outside the cast" in found.table()
    write_page(tmp_path / "dataset", tmp_path / "page.html")
    assert "left out, not in the cast: Joker, Bob" in (tmp_path / "page.html").read_text("utf-8")
    assert verify(tmp_path / "dataset") == []


@pytest.mark.parametrize("workers", [[], ["--workers", "2"]], ids=["alone", "workers"])
def test_ctrl_c_ends_it_at_once_and_the_next_run_goes_on(server, films, tmp_path, workers) -> None:
    server.plays = [good, good, fixed(Answer(delay=60.0))]
    dataset = tmp_path / "dataset"
    arguments = ["dataset", "build", *map(str, films), "-o", str(dataset), "--text-share", "9", *workers]
    arguments += ["--annotator", server.url, "--model", "seer", "--batch", "1", "--parallel", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "captain_cinema.cli", *arguments],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "CINEMA_ANNOTATOR_KEY": KEY},
        start_new_session=True,
    ) as build:
        deadline = time.monotonic() + 60
        while len(server.asked) < 4 and build.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        os.killpg(build.pid, signal.SIGINT)  # as a terminal does, to workers too
        begun = time.monotonic()
        out, err = build.communicate(timeout=40)
        took = time.monotonic() - begun
    assert build.returncode == 130, err
    assert took < 15
    assert "Traceback" not in err
    assert err.strip().splitlines()[-1].startswith("cinema: interrupted; what is finished is kept")
    assert len([line for line in err.splitlines() if "interrupted" in line]) == 1
    assert KEY not in out + err
    answered = [shade for asked in server.asked[:2] for shade in asked.shades]
    server.plays = [good]
    server.asked.clear()
    report = run(films, dataset, choice=asking(server))
    assert report.code == 0
    assert len(server.shades) == KEYFRAMES - len(answered), "what was answered is not asked again"
    assert leftovers(dataset) == []
    fresh = run(films, tmp_path / "fresh", choice=asking(server))
    assert fresh.code == 0
    assert content(tmp_path / "fresh") == content(dataset)


def test_a_film_without_captions_beside_it_is_finished_until_they_come(tmp_path) -> None:
    choice = AnnotatorChoice(spec="sidecar")
    film, sidecar = write_film(tmp_path / "alone.mp4", 3), tmp_path / "alone.mp4.captions.yaml"
    dataset = tmp_path / "dataset"

    def built() -> tuple[int, str, int, int]:
        report = run([film], dataset, SETTINGS, choice=choice)
        return report.code, report.records[0].verdict, report.decoded, report.written

    assert built() == (1, "partial", 1, 1)
    before = content(dataset)
    assert built() == (1, "partial", 0, 0)
    assert content(dataset) == before
    sidecar.write_text("- {start: 0, end: 1, caption: blobs}\n", "utf-8")
    assert built() == (1, "partial", 0, 1), "half of it has no words"
    assert built() == (1, "partial", 0, 0)
    sidecar.write_text("- {start: 0, caption: blobs}\n", "utf-8")
    assert built() == (0, "ok", 0, 1)
    assert built() == (0, "ok", 0, 0)
    assert set(captions(dataset)) == {"blobs"}
    sidecar.write_text("- {start: 0, caption: more blobs}\n", "utf-8")
    assert built() == (0, "ok", 0, 1)
    sidecar.unlink()
    assert built() == (1, "partial", 0, 1)
    assert set(captions(dataset)) == {""}
