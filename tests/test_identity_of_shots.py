"""Shots that come, go and move keep who they are; edits of the script change one shot and nothing else."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import pytest
from filmmaking import CAPTIONS, script_text
from killing import die_at_rename

from captain_cinema.errors import ProjectError
from captain_cinema.project.edit import edit_shot
from captain_cinema.project.files import look, publish
from captain_cinema.project.folder import FilmFolder
from captain_cinema.project.identity import JOURNAL, align, finish_moves, settle_shots
from captain_cinema.project.state import FilmState
from captain_cinema.script import dump_script, parse_script


def write(text: str):
    return lambda part: part.write_text(text)


def numbers(state: FilmState) -> list[int]:
    return [identity for identity, _ in state.shots]


def test_shots_keep_their_identity() -> None:
    first = align(parse_script(script_text("a", "b", "c")), FilmState())
    assert numbers(first) == [1, 2, 3]
    assert numbers(align(parse_script(script_text("a", "x", "b", "c")), first)) == [1, 4, 2, 3]
    assert numbers(align(parse_script(script_text("a", "b, but longer", "c")), first)) == [1, 2, 3]
    assert numbers(align(parse_script(script_text("a", "c")), first)) == [1, 3]
    assert numbers(align(parse_script(script_text("a", "b", "c", "d")), first)) == [1, 2, 3, 4]


def test_a_shot_in_a_very_long_film_of_equal_captions_is_found_at_once() -> None:
    captions = ["A fox."] * 5000
    first = align(parse_script(script_text(*captions)), FilmState())
    started = time.process_time()
    after = align(parse_script(script_text(*captions[:2500], "A cat.", *captions[2500:])), first)
    assert numbers(after) == [*range(1, 2501), 5001, *range(2501, 5001)]
    assert time.process_time() - started < 5


def film_with_files(tmp_path: Path, captions: list[str]) -> tuple[FilmFolder, FilmState]:
    folder = FilmFolder(path=tmp_path)
    state = settle_shots(folder, parse_script(script_text(*captions)), FilmState())
    for number, caption in enumerate(captions, 1):
        for media in (folder.keyframe(number), folder.clip(number)):
            publish(media, write(f"{media.suffix} of {caption}"), {"caption": caption})
    return folder, state


def contents(folder: FilmFolder, count: int) -> list[str]:
    found = []
    for number in range(1, count + 1):
        for media in (folder.keyframe(number), folder.clip(number)):
            finding = look(media)
            if finding.exists:
                assert finding.finished
                assert finding.record is not None
                assert media.read_text() == f"{media.suffix} of {finding.record['caption']}"
                found.append(f"{number}{finding.record['caption']}")
    assert found[::2] == found[1::2], "keyframe and clip go together"
    return found[::2]


def test_files_move_with_their_shots(tmp_path: Path) -> None:
    folder, state = film_with_files(tmp_path, ["a", "b", "c"])
    state = settle_shots(folder, parse_script(script_text("new", "a", "c")), state)
    assert numbers(state) == [4, 1, 3]
    assert contents(folder, 4) == ["2a", "3c"]
    assert [path.read_text() for path in folder.takes.glob("*.png")] == [".png of b"]
    assert not (folder.path / JOURNAL).exists()


@pytest.mark.parametrize("text", ['{"places": 3}', '{"places": [[1]], "state": {}}', '{"step": 1}'])
def test_a_damaged_journal_of_moves_is_one_clear_line(tmp_path: Path, text: str) -> None:
    folder, _ = film_with_files(tmp_path, ["a"])
    (tmp_path / JOURNAL).write_text(text)
    with pytest.raises(ProjectError, match="damaged"):
        finish_moves(folder)
    assert contents(folder, 1) == ["1a"]


@pytest.mark.parametrize("steps", range(12))
def test_a_kill_while_files_move_is_ended_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    folder, state = film_with_files(tmp_path, ["a", "b", "c", "d"])
    die_at_rename(monkeypatch, steps)
    with pytest.raises(SystemExit):
        settle_shots(folder, parse_script(script_text("new", "a", "b", "d")), state)
    monkeypatch.undo()
    finish_moves(folder)
    state = settle_shots(folder, parse_script(script_text("new", "a", "b", "d")), folder.load_state())
    assert numbers(state) == [5, 1, 2, 4]
    assert contents(folder, 5) == ["2a", "3b", "4d"]


# --- edits ---

COMMENTED = """\
# my film
title: Test
shots:
  # the first
  - caption: >
      <Mara> stands
      in a forest.
    seconds: 2   # long
  - {caption: "Bo's \\"hat\\"", seconds: 1}
  - caption: plain words
    seed: 4
"""


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(
    "changes", [{"caption": 'new: "words" # 新しい'}, {"seed": 12}, {"caption": "x", "seed": 1}]
)
def test_an_edit_changes_one_shot_and_keeps_the_rest(number: int, changes: dict[str, object]) -> None:
    script = parse_script(COMMENTED)
    text = edit_shot(COMMENTED, script, number, **changes)
    edited = parse_script(text)
    assert edited.shots[number - 1] == dataclasses.replace(script.shots[number - 1], **changes)
    others = [n for n in (0, 1, 2) if n != number - 1]
    assert [edited.shots[n] for n in others] == [script.shots[n] for n in others]
    if number == 3:
        assert text.startswith(COMMENTED[: COMMENTED.index("- caption: plain")])


def test_an_edit_of_our_own_script_changes_one_line() -> None:
    text = dump_script(parse_script(script_text(*CAPTIONS)))
    edited = edit_shot(text, parse_script(text), 4, caption="<Bo> jumps.")
    changed = [(a, b) for a, b in zip(text.splitlines(), edited.splitlines(), strict=True) if a != b]
    assert len(changed) == 1
    assert "jumps" in changed[0][1]


def test_records_are_json_that_people_can_read(tmp_path: Path) -> None:
    publish(tmp_path / "001.png", write("x"), {"caption": "Жанна и <莉>"})
    text = (tmp_path / "001.json").read_text("utf-8")
    assert "Жанна и <莉>" in text
    assert json.loads(text)["file"] == "001.png"
