"""script.yaml: round trips, and one line for whatever is wrong with it."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captain_cinema.errors import StoryError
from captain_cinema.script import (
    CAMERAS,
    FRAMINGS,
    MAX_SEED,
    CastMember,
    Script,
    Shot,
    check_name,
    dump_script,
    load_script,
    name_key,
    names_in,
    parse_script,
    shot_prompt,
)

SCRIPT = Script(
    title="The Lantern",
    caption="Warm: a film about <Mara>.",
    cast=(CastMember(name="Mara", description="a tall fox in a blue coat."), CastMember(name="Мила")),
    shots=(
        Shot(caption="<Мила> waits", scene="INT. LIBRARY - NIGHT", framing="wide"),
        Shot(caption="<Mara> walks left: home 🦊", seconds=2.5, camera="pan left", pins=(1,), seed=7),
        Shot(caption="no", camera="push in", framing="close-up", scene="Chapter 2: The beach"),
        Shot(caption="<MARA> waves.", framing="medium", scene="Chapter 3"),
    ),
)


def printable(size: int) -> st.SearchStrategy[str]:
    """Text as a script holds it: no control characters, no white space at the ends."""
    alphabet = st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"])
    return st.text(alphabet, min_size=1, max_size=size).map(str.strip).filter(bool)


NAMES = (
    printable(20).map(lambda text: " ".join(text.split(" "))).filter(lambda text: check_name(text) is None)
)


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    shots = tuple(
        Shot(
            caption=draw(printable(80)),
            seconds=draw(st.floats(1, 60)),
            camera=draw(st.sampled_from(["", *CAMERAS])),
            framing=draw(st.sampled_from(["", *FRAMINGS])),
            pins=tuple(
                draw(st.lists(st.integers(1, number - 1), max_size=3, unique=True)) if number > 1 else ()
            ),
            seed=draw(st.none() | st.integers(0, MAX_SEED)),
            scene=draw(st.just("") | printable(30)),
        )
        for number in range(1, draw(st.integers(1, 4)) + 1)
    )
    cast = draw(st.lists(NAMES, max_size=3, unique_by=name_key))
    return Script(
        title=draw(printable(40)),
        caption=draw(st.just("") | printable(60)),
        cast=tuple(CastMember(name=name, description=draw(st.just("") | printable(30))) for name in cast),
        shots=shots,
    )


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scripts())
def test_what_is_written_is_read_back(script: Script) -> None:
    text = dump_script(script)
    assert parse_script(text) == script
    assert dump_script(parse_script(text)) == text


def test_a_file_is_readable_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(dump_script(SCRIPT), "utf-8")
    assert load_script(path) == SCRIPT
    text = path.read_text("utf-8")
    assert "🦊" in text
    assert "Мила" in text
    assert "\n\n- caption: '<Mara> walks left: home 🦊'\n  seconds: 2.5\n" in text
    assert "  pins: [1]\n" in text


def test_a_script_may_be_as_short_as_one_caption() -> None:
    script = parse_script("shots:\n- caption: A fox walks.\n  seed:\n")
    assert script.shots == (Shot(caption="A fox walks."),)
    assert script.title == "Untitled"


def test_names_and_titles_stay_as_written() -> None:
    text = "title: 1984\ncast: [No, {name: 7}, {name: ' Old  Tom '}]\nshots: [{caption: a}]"
    script = parse_script(text.replace("' Old  Tom '", "'Old Tom '"))
    assert script.title == "1984"
    assert [member.name for member in script.cast] == ["No", "7", "Old Tom"]


FAULTS = {
    "shots: [{captoin: a}]": "shot 1: unknown key 'captoin'; did you mean 'caption'?",
    "shots: [{caption: a}, {caption: b, file: ../../x}]": "shot 2: unknown key 'file'; known are",
    "shotz: []": "unknown key 'shotz'; did you mean 'shots'?",
    "shots: []": "there are no shots",
    "title: nothing": "there are no shots",
    "shots: {caption: a}": "shots is a mapping; write a list",
    "shots: 3": "shots is a whole number; write a list",
    "shots: [a walk]": "shot 1: text where 'key: value' lines are expected",
    "shots: [{seconds: 2}]": "shot 1: there is no caption",
    "shots: [{caption: ''}]": "shot 1: there is no caption",
    "shots: [{caption: 12}]": "caption is a whole number (12); put it in quotes",
    "shots: [{caption: yes}]": "caption is yes or no (yes); put it in quotes",
    "shots: [{caption: [a]}]": "caption is a list; write it as text",
    'shots: [{caption: "a\\x07"}]': "control character U+0007",
    "shots: [{caption: a, seconds: .nan}]": "seconds is not a finite number; give 1 to 60 seconds",
    "shots: [{caption: a, seconds: -.inf}]": "seconds is not a finite number",
    "shots: [{caption: a, seconds: 1e400}]": "seconds is 1e400; give 1 to 60 seconds",
    "shots: [{caption: a, seconds: 0}]": "seconds is 0; give 1 to 60 seconds",
    "shots: [{caption: a, seconds: -2}]": "seconds is -2; give 1 to 60 seconds",
    "shots: [{caption: a, seconds: true}]": "seconds is yes or no",
    "shots: [{caption: a, seconds: '2'}]": "seconds is text",
    "shots: [{caption: a, seconds: 1:30}]": "seconds is text",
    "shots: [{caption: a, seed: 1.5}]": "seed is a number; write a whole number",
    "shots: [{caption: a, seed: -1}]": "seed is -1; write a whole number from 0",
    "shots: [{caption: a, seed: 1" + "0" * 5000 + "}]": "seed is 1000",
    "shots: [{caption: a, pins: [1]}]": "shot 1: pins 1, which is not an earlier shot; the",
    "shots: [{caption: a}, {caption: b, pins: [3]}]": "shot 2: pins 3, which is not an earlier shot; pin",
    "shots: [{caption: a}, {caption: b, pins: [1, 1]}]": "shot 2: pins shot 1 twice",
    "shots: [{caption: a}, {caption: b, pins: [x]}]": "a pin is text; write a whole number",
    "shots: [{caption: a, number: 1}, {caption: b, number: 1}]": "shot 2: number 1 is already that of shot 1",
    "shots: [{caption: a, number: 2}]": "number 2 stands in place 1",
    "shots: [{caption: a, framing: Wide}]": "framing 'Wide' is unknown; use wide, medium, close-up",
    "shots: [{caption: a, camera: tilt}]": "camera 'tilt' is unknown; use static, pan left",
    'cast: [{name: "a\\x01"}]\nshots: [{caption: a}]': "cast 1: name holds the control character U+0001",
    'cast: [{name: "a\\u202Eb"}]\nshots: [{caption: a}]': "cast 1: the name 'a b' holds a control character",
    "cast: [{name: '<b>'}]\nshots: [{caption: a}]": "holds < or >",
    "cast: [{description: red}]\nshots: [{caption: a}]": "the name '' is empty",
    "cast: [Mara, MARA]\nshots: [{caption: a}]": "'MARA' and 'Mara' are one name",
    "a: &a [x]\nb: *a": "&a is a YAML anchor or alias",
    "title: *x": "*x is a YAML anchor or alias",
    "shots: !!python/object/apply:os.system [ls]": "the YAML tag 'tag:yaml.org,2002:python/object/apply",
    "title: !include /etc/passwd": "the YAML tag '!include' is not allowed",
    "[" * 3000: "nested too deeply",
    "{a: " * 3000: "nested too deeply",
    "title: a\ntitle: b": "line 2: 'title' is given twice",
    "<<: {title: a}": "unknown key '<<'",
    "? [a]\n: b": "a key must be a word",
    "- a\n- b": "a list where 'key: value' lines are expected",
    "hello": "text where 'key: value' lines are expected",
    "shots: [{caption: a}]\n---\nshots: []": "line 3: a second document begins",
    "title: a: b": "not valid YAML (mapping values are not allowed in this context)",
    "shots:\n\t- caption: a": "line 2: not valid YAML",
    'title: "\\ud800"\nshots: [{caption: a}]': "not valid YAML",
    "# nothing": "holds no script",
    "shots: [{caption: a}]\ntitle: " + "x" * 300: "title has 300 characters; at most 200 work",
}


@pytest.mark.parametrize("text", FAULTS, ids=lambda text: text[:40])
def test_faults_are_one_line_that_says_where(text: str) -> None:
    with pytest.raises(StoryError) as caught:
        parse_script(text)
    message = str(caught.value)
    assert FAULTS[text] in message
    assert message.startswith("script.yaml")
    assert "\n" not in message
    assert len(message) < 300


@settings(deadline=None)
@given(st.text(st.sampled_from("ab: -[]{}&*!|>'\"#%@`,?\n\t\\0.x~=<é🦊shots:captn"), max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    for hostile in (text, "shots:\n- caption: a\n  " + text, "shots: [{caption: a, seconds: " + text):
        try:
            parse_script(hostile)
        except StoryError as error:
            message = str(error)
        else:
            message = ""
        assert "\n" not in message


def test_a_bomb_is_refused_at_once() -> None:
    bomb = "a: &a [x, x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{f'*{chr(97 + i)}, ' * 9}]\n" for i in range(9)
    )
    with pytest.raises(StoryError, match="anchor or alias"):
        parse_script(bomb)


def test_two_thousand_shots_are_quick() -> None:
    shots = tuple(Shot(caption=f"<Mara> walks {number} times.") for number in range(2_000))
    script = Script(title="t", caption="", cast=(CastMember(name="Mara", description="a fox"),), shots=shots)
    begun = time.process_time()
    assert parse_script(dump_script(script)) == script
    assert shot_prompt(script, 2_000).startswith("<Mara> walks")
    assert time.process_time() - begun < 5


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\xff\xfeA\xd8", "byte 2 is not valid UTF-16; save it as UTF-8"),
        (b"title: caf\xe9", "byte 10 is not valid UTF-8; save it as UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "byte 8 is zero"),
        (b"title: a\x1b[0m", "byte 8 is the control code U+001B"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "script.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoryError, match=r"script\.yaml") as caught:
        load_script(path)
    assert message in str(caught.value)


def test_a_folder_and_a_pipe_are_no_script(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="is a folder; give the script file itself"):
        load_script(tmp_path)
    with pytest.raises(StoryError, match="is not a plain file"):
        load_script(Path("/dev/null"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "script.yaml"
    path.write_bytes(dump_script(SCRIPT).replace("\n", "\r\n").encode(encoding))
    assert load_script(path) == SCRIPT


def test_a_prompt_tells_a_look_once() -> None:
    assert shot_prompt(SCRIPT, 1) == "Library, night. <Мила> waits. Wide shot."
    assert shot_prompt(SCRIPT, 2) == (
        "<Mara> is a tall fox in a blue coat. <Mara> walks left: home 🦊. The camera pans left."
    )
    assert shot_prompt(SCRIPT, 3) == "The beach. No. Close-up, the camera pushes in."
    assert shot_prompt(SCRIPT, 4) == "<MARA> waves. Medium shot."
    with pytest.raises(ValueError, match="shot 5 of a script of 4"):
        shot_prompt(SCRIPT, 5)


def test_a_heading_that_the_caption_repeats_is_said_once() -> None:
    shots = (Shot(caption="In the harbour at dusk, <Mara> waves.", scene="The harbour, at dusk"),)
    script = Script(title="t", caption="", cast=(), shots=shots)
    assert shot_prompt(script, 1) == "In the harbour at dusk, <Mara> waves."


def test_names_are_found_in_any_writing() -> None:
    assert names_in("<Mara> and <马拉> meet <MARA >") == ("Mara", "马拉")
    assert name_key("  Ｍara\tVoss") == name_key("mara voss")
    assert check_name("Zoë O'Neil") is None


def test_the_script_imports_nothing_heavy() -> None:
    heavy = ("torch", "yaml", "pydantic", "numpy")
    code = f"import sys, captain_cinema.script; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_complete_prompt_says_everything_again() -> None:
    script = parse_script(
        "title: T\ncaption: Ink on paper\ncast:\n  - {name: Mara, description: a fox in a blue coat}\n"
        "shots:\n  - caption: <Mara> waits.\n  - caption: <Mara> leaves.\n"
    )
    assert shot_prompt(script, 2) == "<Mara> leaves."
    assert shot_prompt(script, 2, complete=True) == (
        "<Mara> is a fox in a blue coat. <Mara> leaves. Ink on paper."
    )
