"""The command line: what it prints, its exit codes, and one clear line for whatever is wrong."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filmmaking import STORY, Studio, frames_of, script_text

from captain_cinema import cli
from captain_cinema.cli import COMMANDS, GROUPS


def test_help_loads_no_models_and_little_else() -> None:
    """The half second that the issue allows, in processor time: the wall clock is not the command's own."""
    code = (
        "import sys, time\n"
        "from captain_cinema import cli\n"
        "try: cli.main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'diffusers', 'numpy', 'av', 'cv2', 'PIL', 'yaml'} & set(sys.modules)\n"
        "print(sorted(heavy), time.process_time(), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy, seconds = done.stderr.strip().rsplit(" ", 1)
    assert heavy == "[]"
    assert float(seconds) < 1.0
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *([name] for name in COMMANDS if name not in GROUPS),
        *([group, name] for group, commands in GROUPS.items() for name in commands),
    ],
    ids=" ".join,
)
def test_every_command_has_help_and_json(studio: Studio, command: list[str]) -> None:
    run = studio.run(*command, "--help")
    assert run.code == 0
    assert "--json" in run.out
    assert "{None}" not in run.out


@pytest.mark.parametrize(
    "arguments", [[], ["nope"], ["make"], ["make", "a", "--limit", "x"], ["train", "ears"]]
)
def test_a_command_that_cannot_be_understood(studio: Studio, arguments: list[str]) -> None:
    run = studio.run(*arguments)
    assert run.code == 2
    assert "Traceback" not in run.err


def test_a_story_becomes_a_film_beside_it(studio: Studio, story: Path) -> None:
    run = studio.run("make", story)
    assert run.code == 0
    assert "film: story/film.mp4" in run.out
    assert "keyframes 6/6" in run.err
    names = {path.name for path in (studio.home / "story").iterdir()}
    assert {"script.yaml", "storyboard", "shots", "film.mp4", "film.otio", "contact-sheet.png"} <= names


def test_json_is_one_object_and_the_rest_goes_aside(studio: Studio, story: Path) -> None:
    for arguments in (["make", story], ["make", story], ["status", "story"], ["write", story, "-o", "story"]):
        run = studio.run(*arguments, "--json")
        assert run.code == 0
        assert len(run.out.strip().splitlines()) == 1
        assert json.loads(run.out)["ok"] is True
        assert json.loads(run.out)["command"] == arguments[0]
    run = studio.run("make", "nowhere.md", "--json")
    assert run.code == 2
    assert json.loads(run.out) == {"ok": False, "error": run.fault.removeprefix("cinema: ")}


def test_the_film_goes_where_it_is_asked_for(studio: Studio, story: Path) -> None:
    output = studio.home / "out" / "deep" / "mine.mp4"
    run = studio.run("make", story, "--project", "p", "--output", output)
    assert run.code == 0
    assert output.read_bytes() == (studio.home / "p" / "film.mp4").read_bytes()
    assert studio.run("make", story, "--project", "p", "--output", output, "--json").data["written"] == []
    assert studio.run("retake", "p", "--shot", 2).code == 0
    assert studio.run("make", story, "--project", "p", "--output", output, "--json").data["written"] == [
        "mine.mp4"
    ]


def test_a_film_folder_can_be_moved(studio: Studio, story: Path) -> None:
    studio.run("make", story)
    (studio.home / "story").rename(studio.home / "elsewhere")
    run = studio.run("make", "elsewhere", "--json")
    assert run.data["written"] == []
    assert run.backends == []


# --- the story and the script ---


def test_an_edited_script_outlives_the_same_story(studio: Studio, story: Path) -> None:
    studio.run("write", story)
    script = studio.home / "story" / "script.yaml"
    edited = script.read_text("utf-8").replace("sits down", "jumps")
    script.write_text(edited, "utf-8")
    assert studio.run("make", story).code == 0
    assert script.read_text("utf-8") == edited


def test_a_changed_story_keeps_the_shots_that_did_not_change(studio: Studio, story: Path) -> None:
    studio.run("make", story)
    before = frames_of(studio.home / "story")
    story.write_text(
        STORY.replace("A quiet street at night.", "A quiet harbour at night.\n\nA cat."), "utf-8"
    )
    run = studio.run("make", story, "--json")
    assert run.data["keyframes"]["made"] == [5, 6]
    after = frames_of(studio.home / "story")
    assert before["shots/006.mp4"] == after["shots/007.mp4"]
    assert before["shots/004.mp4"] == after["shots/004.mp4"]


def test_story_and_script_both_changed_asks(studio: Studio, story: Path) -> None:
    studio.run("make", story)
    script = studio.home / "story" / "script.yaml"
    script.write_text(script.read_text("utf-8").replace("sits down", "jumps"), "utf-8")
    story.write_text(STORY.replace("sits down", "claps"), "utf-8")
    for command in (["make", story], ["write", story, "-o", "story"]):
        assert "--overwrite" in studio.run(*command).fault
    assert "jumps" in script.read_text("utf-8")
    assert studio.run("write", story, "-o", "story", "--overwrite").code == 0
    assert "claps" in script.read_text("utf-8")
    (kept,) = (studio.home / "story" / "takes").glob("script-*.yaml")
    assert studio.run("make", story).code == 0
    assert "jumps" in kept.read_text("utf-8")


def test_a_script_is_a_story_too(studio: Studio) -> None:
    (studio.home / "mine.yaml").write_text(script_text("<Mara> stands.", "<Mara> waves."), "utf-8")
    assert studio.run("make", "mine.yaml", "--json").data["shots"] == [1, 2]
    folder = studio.film("film")
    assert studio.run("make", folder / "script.yaml", "--json").data["folder"] == str(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"A fox.",
        b"\xef\xbb\xbfA fox.\r\n\r\nA cat.\r\n",
        "Лиса идёт.\n\n狐が歩く。\n\nثعلب يمشي.\n\n🦊 <Zoë> waves.".encode(),
        b"Nobody is here.\n\nNothing happens.",
        "\n\n".join(f"<Name{number}> waves." for number in range(50)).encode(),
    ],
    ids=["one line", "CRLF and BOM", "any script", "no cast", "fifty characters"],
)
def test_stories_that_work(studio: Studio, text: bytes) -> None:
    (studio.home / "s.txt").write_bytes(text)
    run = studio.run("make", "s.txt", "--limit", 3, "--json")
    assert run.code == 0, run.err
    assert run.data["shots"] == [1, 2, 3][: len(run.data["shots"])]
    assert run.data["shots"]


def test_a_story_of_two_thousand_lines_is_planned_at_once_and_made_as_far_as_asked(studio: Studio) -> None:
    lines = [f"<Mara> walks to house number {number}." for number in range(2000)]
    (studio.home / "long.txt").write_text("\n\n".join(lines), "utf-8")
    run = studio.run("make", "long.txt", "--limit", 2, "--json")
    assert run.data["shots"] == [1, 2]
    assert (studio.home / "long" / "script.yaml").read_text("utf-8").count("- caption:") == 2000
    assert len(studio.run("status", "long", "--json").data["shots"]) == 2000


def test_a_writer_is_asked_only_when_told_and_once(
    studio: Studio, story: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from captain_cinema.script import parse_script
    from captain_cinema.writer import endpoint

    asked = []

    def write(idea: str, url: str, *, shots: int, api_key: str | None, client: object = None) -> object:
        asked.append((idea, url, shots, api_key))
        return parse_script(script_text(*["A fox."] * shots))

    monkeypatch.setattr(endpoint, "write_with_endpoint", write)
    monkeypatch.setenv("CINEMA_API_KEY", "secret")
    assert studio.run("write", story).code == 0
    assert asked == []
    command = ["write", story, "-o", "idea", "--writer", "http://localhost:1/v1", "--shots", 3]
    run = studio.run(*command, "--json")
    assert run.data["shots"] == 3
    assert asked == [(STORY, "http://localhost:1/v1", 3, "secret")]
    assert studio.run(*command, "--json").data["written"] is False
    assert len(asked) == 1
    assert "secret" not in (studio.home / "idea" / ".cinema.json").read_text("utf-8")


# --- the disk and the machine ---


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EDQUOT, "quota"),
        (errno.EIO, "does not answer"),
    ],
)
@pytest.mark.parametrize("after", [0, 5, 40])
def test_a_disk_that_fails_is_one_line_and_costs_nothing_that_is_made(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, number: int, words: str, after: int
) -> None:
    folder = studio.film()
    real, left = os.fsync, after

    def failing(descriptor: int) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise OSError(number, os.strerror(number))
        real(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing)
        assert words in studio.run("make", folder).fault
    before = frames_of(folder)
    assert studio.run("make", folder).code == 0
    assert before.items() <= frames_of(folder).items()
    assert not list(folder.rglob(".*.part"))


def test_a_folder_that_may_not_be_written_is_one_line(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = studio.made_film(captions=["<Mara> stands."])
    real = os.open

    def forbidden(path: object, flags: int, *args: int, **kwargs: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and str(path).endswith(".lock"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return real(path, flags, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", forbidden)
    assert "permission denied" in studio.run("make", folder).fault
    assert studio.run("status", folder).code == 0, "reading needs no lock"


def test_an_interrupt_is_one_line(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = studio.film()

    def interrupted(self: object, *args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    from filmmaking import FakePlanner

    monkeypatch.setattr(FakePlanner, "draw", interrupted)
    run = studio.run("make", folder)
    assert run.code == 130
    assert run.err.strip().splitlines()[-1].startswith("cinema: interrupted")


def test_a_bug_keeps_its_traceback(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Studio, "load", lambda self: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        studio.run("make", studio.film())


def test_a_reader_that_leaves_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(script_text(*["A fox."] * 3000), "utf-8")
    fake = Path(__file__).parent / "fake_cinema.py"
    command = f"{sys.executable} {fake} 0 status {tmp_path} | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("Test: 3000 shots")
    assert done.stderr == ""


def test_captions_print_on_a_terminal_that_cannot_show_them(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(script_text("狐 <Zoë>."), "utf-8")
    fake = Path(__file__).parent / "fake_cinema.py"
    done = subprocess.run(
        [sys.executable, str(fake), "0", "status", str(tmp_path)],
        capture_output=True,
        timeout=120,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
    )
    assert done.returncode == 0
    assert b"\\u72d0" in done.stdout


def test_a_rerun_with_nothing_to_do_is_quick(studio: Studio) -> None:
    folder = studio.made_film()
    started = time.process_time()
    assert studio.run("make", folder).code == 0
    assert time.process_time() - started < 1.0


def test_main_is_what_the_script_calls() -> None:
    assert cli.main(["status", "/nowhere/at/all"]) == 2
