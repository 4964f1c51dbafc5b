"""`cinema dataset`: what it prints, and its exit codes."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from building import LENGTHS, content, make_films
from drawn import write_film

from captain_cinema import cli
from captain_cinema.films.store.reader import Dataset


@pytest.fixture(scope="module")
def films(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    make_films(folder)
    return folder


NO_TEXT = ("--text-share", "9")
"""Drawn pictures have checks in them, which look like lettering."""


def cinema(capsys, *arguments) -> tuple[int, dict, str]:
    """Exit code, the JSON object, and what was said to the person."""
    more = NO_TEXT if arguments[1] == "build" else ()
    code = cli.main([*map(str, arguments), *more, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out), said.err


def test_a_folder_becomes_a_dataset(films, tmp_path, capsys) -> None:
    code, data, said = cinema(capsys, "dataset", "build", films, "-o", tmp_path / "dataset")
    assert code == 0
    assert data["ok"] is True
    assert data["verdicts"] == {"ok": 3, "partial": 0, "duplicate": 0, "rejected": 0, "error": 0}
    assert [Path(film["path"]).name for film in data["films"]] == sorted(LENGTHS)
    assert data["kept"] == len(Dataset(tmp_path / "dataset")) == 16
    assert "a.mp4: ok, 3 shots, 6 keyframes kept, 0 dropped" in said
    assert "left" in said  # the time
    code, data, said = cinema(capsys, "dataset", "build", films, "-o", tmp_path / "dataset")
    assert (code, data["decoded"], data["written"]) == (0, 0, 0)


def test_patterns_and_workers(films, tmp_path, capsys) -> None:
    code, data, _ = cinema(
        capsys, "dataset", "build", f"{films}/*.mp4", "-o", tmp_path / "dataset", "--workers", 2
    )
    assert (code, data["verdicts"]["ok"]) == (0, 2)
    cli.main(["dataset", "build", f"{films}/*.mp4", "-o", str(tmp_path / "other"), *NO_TEXT])
    assert content(tmp_path / "dataset") == content(tmp_path / "other")


def test_one_bad_film_stops_no_other(films, tmp_path, capsys) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"<html>not found</html>")
    code, data, said = cinema(
        capsys, "dataset", "build", films, tmp_path / "bad.mp4", tmp_path / "gone.mp4", "-o", tmp_path / "d"
    )
    assert code == 1
    assert data["ok"] is False
    assert data["verdicts"] == {"ok": 3, "partial": 0, "duplicate": 0, "rejected": 2, "error": 0}
    assert "bad.mp4: rejected (it is a web page, not a film)" in said
    assert cli.main(["dataset", "build", str(tmp_path / "bad.mp4"), "-o", str(tmp_path / "e")]) == 1
    assert "1 files: 1 rejected" in capsys.readouterr().out.replace("1 file:", "1 files:")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "no film"),
        (["{film}", "--workers", "0"], "--workers 0"),
        (["{film}", "--shortest-shot", "-1"], "--shortest-shot -1"),
        (["{film}", "--short-side", "1"], "--short-side 1"),
        (["{film}", "--stretch-seconds", "0"], "--stretch-seconds 0"),
        (["{film}", "--cast", "{home}/none.yaml"], "none.yaml"),
        (["{film}", "--cast", "{home}/wrong.yaml"], "wrong.yaml"),
        (["{film}", "--annotator", "nonsense"], "nonsense"),
    ],
)
def test_what_cannot_start_is_said_in_one_line(films, tmp_path, capsys, arguments, says) -> None:
    (tmp_path / "wrong.yaml").write_text("a: [1, {b: 2}]\n")
    given = [part.format(film=films / "a.mp4", home=tmp_path) for part in arguments]
    code, data, said = cinema(capsys, "dataset", "build", *given, "-o", tmp_path / "dataset")
    assert code == 2
    assert data["ok"] is False
    assert says in data["error"]
    assert said.strip().count("\n") == 0


def test_a_folder_that_is_something_else_is_left_alone(films, tmp_path, capsys) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    code, data, _ = cinema(capsys, "dataset", "build", films, "-o", tmp_path / "letters")
    assert code == 2
    assert "letters" in data["error"]
    assert [path.name for path in (tmp_path / "letters").iterdir()] == ["dear.txt"]


def test_a_full_disk_is_said_in_one_line(films, tmp_path, capsys) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        code, data, _ = cinema(capsys, "dataset", "build", films, "-o", tmp_path / "dataset")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 2
    assert "what is finished is kept, and the same command goes on" in data["error"]
    assert cinema(capsys, "dataset", "build", films, "-o", tmp_path / "dataset")[0] == 0


def test_cuts(films, capsys) -> None:
    code, data, _ = cinema(capsys, "dataset", "cuts", films / "a.mp4")
    assert code == 0
    assert [cut["frame"] for cut in data["cuts"]] == [12, 33]
    assert [cut["seconds"] for cut in data["cuts"]] == pytest.approx([1.0, 2.75], abs=0.002)
    assert (data["frames"], data["complete"]) == (41, True)
    assert cli.main(["dataset", "cuts", str(films / "a.mp4"), "--detector", "hash"]) == 0
    assert "in 41 frames" in capsys.readouterr().out
    code, data, _ = cinema(capsys, "dataset", "cuts", films / "none.mp4")
    assert code == 2


@pytest.fixture(scope="module")
def dataset(films, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "dataset"
    assert cli.main(["dataset", "build", str(films), "-o", str(folder), *NO_TEXT]) == 0
    return folder


def test_stats(dataset, capsys) -> None:
    code, data, _ = cinema(capsys, "dataset", "stats", dataset)
    assert code == 0
    assert (data["films"], data["shots"], data["kept"], data["dropped"]) == (3, 8, 16, 0)
    assert cli.main(["dataset", "stats", str(dataset)]) == 0
    assert "16 kept" in capsys.readouterr().out
    assert cinema(capsys, "dataset", "stats", dataset.parent)[0] == 2


def test_show(dataset, tmp_path, capsys) -> None:
    code, data, _ = cinema(capsys, "dataset", "show", dataset, "-o", tmp_path / "page.html")
    assert (code, data["shown"]) == (0, 16)
    assert "data:image/jpeg" in (tmp_path / "page.html").read_text("utf-8")
    assert cinema(capsys, "dataset", "show", dataset)[1]["page"] == str(dataset) + ".html"


def test_verify(dataset, films, tmp_path, capsys) -> None:
    code, data, _ = cinema(capsys, "dataset", "verify", dataset)
    assert (code, data["problems"]) == (0, [])
    shutil.copytree(dataset, tmp_path / "damaged")
    shard = next((tmp_path / "damaged" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    code, data, _ = cinema(capsys, "dataset", "verify", tmp_path / "damaged")
    assert code == 1
    assert shard.name in data["problems"][0]["path"]
    assert cinema(capsys, "dataset", "build", films, "-o", tmp_path / "damaged")[1]["decoded"] == 1
    assert cinema(capsys, "dataset", "verify", tmp_path / "damaged")[0] == 0


def test_export(dataset, tmp_path, capsys) -> None:
    code, data, _ = cinema(capsys, "dataset", "export", dataset, "-o", tmp_path / "web", "--shots", 2)
    assert (code, data["shards"]) == (0, 1)
    assert data["keyframes"] > data["samples"] > 0
    assert cinema(capsys, "dataset", "export", dataset, "-o", tmp_path / "web")[0] == 2


def test_names_that_are_no_unicode(tmp_path, capsys) -> None:
    film = tmp_path / os.fsdecode(b"caf\xe9 \n'%03d'.mp4")
    write_film(film, 5)
    code, data, said = cinema(capsys, "dataset", "build", tmp_path, "-o", tmp_path / "dataset")
    assert code == 0
    assert "\\udce9" in data["films"][0]["path"]
    assert "caf\\udce9" in said
    assert Dataset(tmp_path / "dataset").films()[0].name.startswith("caf\\udce9")


def test_help_is_quick() -> None:
    code = "import sys, time; a = time.process_time(); from captain_cinema import cli\n"
    code += "try: cli.main(['dataset', 'build', '--help'])\nexcept SystemExit: pass\n"
    code += "print(time.process_time() - a, file=sys.stderr)"
    best = 9.0
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        best = min(best, float(done.stderr))
        time.sleep(0.01)
    assert "--annotator" in done.stdout
    assert best < 0.5
