"""What a script says of editing: handles, transitions, size, a last keyframe, sound."""

from __future__ import annotations

import pytest

from captain_cinema.errors import StoryError
from captain_cinema.script import Script, Shot, dump_script, filmed_seconds, parse_script

SCRIPT = Script(
    title="Edited",
    caption="",
    cast=(),
    size=(640, 1280),
    ending="fade",
    shots=(
        Shot(caption="a", transition="fade", transition_seconds=1.0),
        Shot(caption="b", handles=0.75, last_keyframe="mine/last.png"),
        Shot(caption="c", transition="cross-fade", sound="waves, far gulls"),
        Shot(caption="d", transition="cut"),
    ),
)


def test_all_of_it_survives_writing_and_reading() -> None:
    assert parse_script(dump_script(SCRIPT)) == SCRIPT


def test_a_script_that_says_nothing_of_it_is_as_it_was() -> None:
    (shot,) = parse_script("shots:\n- caption: a\n").shots
    assert (shot.last_keyframe, shot.sound, shot.handles, shot.transition) == ("", "", 0.0, "")
    text = dump_script(Script(title="T", caption="", cast=(), shots=(Shot(caption="a"),)))
    assert not {"size", "ending", "handles", "transition", "sound"} & set(text.replace(":", " ").split())


def test_a_shot_is_filmed_with_its_handles_and_with_what_the_next_one_fades_over() -> None:
    assert [filmed_seconds(SCRIPT, number) for number in (1, 2, 3, 4)] == [2.0, 2.75, 2.0, 2.0]
    longer = parse_script("shots:\n- caption: a\n- caption: b\n  transition: cross-fade\n")
    assert filmed_seconds(longer, 1) == 2.5


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("transition: cross-fade", "shot 1 cannot cross-fade"),
        ("transition: wipe", "use cut, cross-fade, fade"),
        ("{transition: fade, transition_seconds: 3}", "longer than a shot it joins (2 s)"),
        ("transition_seconds: 0", "give 0.1 to 5 seconds"),
        ("handles: -1", "give 0 to 10 seconds"),
        ("handles: .inf", "give 0 to 10 seconds"),
        ("last_keyframe: ../../etc/passwd", "not in the film's folder"),
        ("last_keyframe: /etc/passwd", "not in the film's folder"),
        ("last_keyframe: 'C:\\x.png'", "not in the film's folder"),
    ],
)
def test_what_cannot_be_edited_is_one_line_that_names_the_shot(fields: str, words: str) -> None:
    inner = fields.strip("{}").replace(", ", "\n  ")
    with pytest.raises(StoryError) as told:
        parse_script(f"shots:\n- caption: a\n  {inner}\n")
    assert words in str(told.value)
    assert "shot 1" in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("size", ["0x0", "1280", "8x8", "1e9x1", "99999x99999", "a x b"])
def test_sizes_that_are_none(size: str) -> None:
    with pytest.raises(StoryError, match=r"size '.*' is no size; write width x height"):
        parse_script(f"size: '{size}'\nshots:\n- caption: a\n")
