"""Stories become scripts, and no word of them is changed."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain_cinema.errors import StoryError
from captain_cinema.script import Script, dump_script, parse_script
from captain_cinema.writer import read_story
from captain_cinema.writer.story import write_script

EXAMPLES = Path(__file__).parents[2] / "examples"


def captions(text: str) -> list[str]:
    return [shot.caption for shot in write_script(text).shots]


def words(text: str) -> str:
    """Without white space and tag marks: what must be the same in a caption and in the story."""
    return "".join(text.split()).replace("<", "").replace(">", "")


def test_a_story_of_one_line() -> None:
    script = write_script("Mara walks along the beach and waves.")
    assert [member.name for member in script.cast] == ["Mara"]
    assert [shot.caption for shot in script.shots] == ["<Mara> walks along the beach and waves."]
    assert script.shots[0].framing == "wide"
    assert script.shots[0].seconds == 2.0


def test_a_story_without_names() -> None:
    script = write_script("A fox walks through the snow.\n\nThe fox sleeps.\n")
    assert script.cast == ()
    assert [shot.caption for shot in script.shots] == ["A fox walks through the snow.", "The fox sleeps."]


MARKDOWN = """\
# *The Lantern*

Style: warm paper

## Cast

- **Mara**: a tall fox, in blue
- Bo (a bear)

## The harbour
<!-- a note
to myself -->
Mara walks left. Bo's boat is here.

1. MARA waves to
   Bo.
2. Bo bows.

***

> They sleep
> side by side.

Night
-----

Mara dreams of amara and Bobo.
"""


def test_markdown() -> None:
    script = write_script(MARKDOWN)
    assert script.title == "The Lantern"
    assert script.caption == "warm paper"
    assert [(member.name, member.description) for member in script.cast] == [
        ("Mara", "a tall fox, in blue"),
        ("Bo", "a bear"),
    ]
    assert [(shot.scene, shot.caption, shot.framing) for shot in script.shots] == [
        ("The harbour", "<Mara> walks left. <Bo>'s boat is here.", "wide"),
        ("The harbour", "<MARA> waves to <Bo>.", "medium"),
        ("The harbour", "<Bo> bows.", "medium"),
        ("The harbour", "They sleep side by side.", "wide"),
        ("Night", "<Mara> dreams of amara and Bobo.", "wide"),
    ]


@pytest.mark.parametrize(
    "listing",
    [
        "## Cast\n\n- Mara: a fox\n- Bo: a bear\n\n## Day\n",
        "## Characters\n\nMara: a fox\nBo: a bear\n\n",
        "Cast:\n- Mara: a fox\n- Bo: a bear\n\n",
        "**Cast:**\n* Mara – a fox\n* Bo - a bear\n\n",
        "Characters:\nMara: a fox\nBo: a bear\n\n",
        "# Film\n\nCast: Mara (a fox), Bo (a bear)\n\n",
        "Cast: Mara: a fox; Bo: a bear.\n\n",
        "### The Cast\n\n1. <Mara>: a fox\n2. __Bo__: a bear\n\n***\n",
        "Cast:\n\n- Mara, a fox\n- Bo, a\n  bear\n\n",
    ],
)
def test_cast_lists_of_any_form(listing: str) -> None:
    script = write_script(listing + "- Mara walks: home.\n- Then Bo, a bear, waves.\n")
    assert [(member.name, member.description) for member in script.cast] == [
        ("Mara", "a fox"),
        ("Bo", "a bear"),
    ]
    assert [shot.caption for shot in script.shots] == ["<Mara> walks: home.", "Then <Bo>, a bear, waves."]


def test_a_cast_list_of_names_alone() -> None:
    script = write_script("Cast: Mara, Old Tom and Bo\n\nOld Tom waves.\n\nTom and Bo sleep.")
    assert [member.name for member in script.cast] == ["Mara", "Old Tom", "Bo"]
    assert [shot.caption for shot in script.shots] == ["<Old Tom> waves.", "Tom and <Bo> sleep."]


def test_lines_that_are_shots_and_lines_that_are_wrapped() -> None:
    assert captions("Mara walks\nBo waves\nThe end") == ["<Mara> walks", "<Bo> waves", "The end"]
    wrapped = "Mara walks along the beach until she comes to the\nharbour. Bo waves at her.\n\nThey dance."
    assert captions(wrapped) == [
        "<Mara> walks along the beach until she comes to the harbour. <Bo> waves at her.",
        "They dance.",
    ]


def test_long_paragraphs_become_sentences() -> None:
    long = " ".join(f"Mara walks past the {number}th lantern in the long dark street." for number in range(6))
    assert len(captions(long + "\n\nBo waves. Bo sleeps.")) == 7


def test_front_matter_and_titles() -> None:
    script = write_script(
        "---\ntitle: 'Two Foxes'\nauthor: me\nstyle: grey\n---\nA fox walks.\n\nA fox sits."
    )
    assert (script.title, script.caption, len(script.shots)) == ("Two Foxes", "grey", 2)
    assert write_script("A fox walks.", name="my_first-film").title == "my first film"
    assert write_script("Two Foxes\n=====\n\nA fox walks.").title == "Two Foxes"


def test_fifty_characters() -> None:
    names = [
        f"{first}{second}"
        for first in ("An", "Bel", "Cor", "Dav", "Em")
        for second in ("ara", "bo", "cia", "dor", "eko", "fin", "gus", "hil", "iva", "jon")
    ]
    story = "Cast:\n" + "".join(f"- {name}: a fox\n" for name in names) + "\n"
    script = write_script(story + "\n\n".join(f"{name} waves to {names[0]}." for name in names))
    assert len(script.cast) == 50
    assert all(shot.caption.count("<") == 2 for shot in script.shots)


def test_two_thousand_lines_are_quick() -> None:
    story = "\n".join(f"Mara meets Bo {line} times in the street, and Bo waves." for line in range(2_000))
    begun = time.process_time()
    script = write_script(story)
    assert time.process_time() - begun < 4
    assert len(script.shots) == 2_000
    assert [member.name for member in script.cast] == ["Mara", "Bo"]


@pytest.mark.parametrize(
    "unit", [".", "<!--", "“", "「", "Mr. ", '"', "(", "* ", "# ", "<", "a.b ", "Mara, ", "- "]
)
def test_no_text_takes_long(unit: str) -> None:
    begun = time.process_time()
    with suppress(StoryError):
        write_script("Cast:\n- Mara: x\n\n" + unit * 50_000)
    assert time.process_time() - begun < 4


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "story.txt"
    path.write_bytes("Žofie waves.\n\n“Zoë,” she says.".replace("\n", newline).encode(encoding))
    assert [shot.caption for shot in read_story(path).shots] == ["<Žofie> waves.", "“Zoë,” she says."]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty; write at least one sentence"),
        (b"\xef\xbb\xbf\r\n ", "is empty"),
        ("Žofie waves.".encode("cp1250"), "byte 0 is not valid UTF-8; save it as UTF-8"),
        (b"%PDF-1.7\n\xd3\xeb", "byte 9 is not valid UTF-8"),
        (b"PK\x03\x04\0", "byte 4 is zero"),
        (
            b"# A title\n\n## A heading\n",
            "there is nothing to make a shot of; add a sentence under the headings",
        ),
        (b"...\n\n***", "there is nothing to make a shot of"),
        (b"Cast:\n- Mara: a fox\n- mara: a cat\n\nMara walks.", "the cast list has 'mara' twice"),
    ],
)
def test_stories_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "story.md"
    path.write_bytes(content)
    with pytest.raises(StoryError, match=r"story\.md") as caught:
        read_story(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(StoryError, match="is a folder; give the story file itself"):
        read_story(tmp_path)
    with pytest.raises(StoryError, match="there is no such file"):
        read_story(tmp_path / "nothing.md")
    with pytest.raises(StoryError, match=r"cannot read the story|no such file"):
        read_story(tmp_path / ("x" * 5000))
    with pytest.raises(StoryError, match=r"cannot read the story|no such file"):
        read_story(Path("a\0b"))


def test_a_limit_keeps_the_first_shots(tmp_path: Path) -> None:
    path = tmp_path / "story.txt"
    path.write_text("Mara walks.\n\nMara sits.\n\nMara sleeps.", "utf-8")
    assert [shot.caption for shot in read_story(path, limit=2).shots] == ["<Mara> walks.", "<Mara> sits."]
    with pytest.raises(ValueError, match="limit of 0"):
        read_story(path, limit=0)


def test_the_format_is_told_by_the_content(tmp_path: Path) -> None:
    path = tmp_path / "film.txt"
    path.write_text("title: T\nshots:\n- caption: a fox\n", "utf-8")
    assert read_story(path).title == "T"
    path.write_text("INT. CAVE - NIGHT\n\nA fox walks.\n", "utf-8")
    assert read_story(path).shots[0].scene == "INT. CAVE - NIGHT"
    path.write_text("The plan: int. shots: none.\n", "utf-8")
    assert read_story(path).shots[0].scene == ""


@pytest.mark.parametrize(
    ("caption", "framing", "camera", "seconds"),
    [
        ("A fox walks.", "medium", "", 2.0),
        ("Close-up of a fox.", "close-up", "", 2.0),
        ("The fox whispers.", "close-up", "", 2.0),
        ("A wide view of the sea; the camera pans left.", "wide", "pan left", 2.0),
        ("We zoom in on the fox.", "medium", "push in", 2.0),
        (" ".join(["fox"] * 20), "medium", "", 2.5),
        (" ".join(["fox"] * 200), "medium", "", 3.5),
        ("狐狸" * 40, "medium", "", 3.5),
    ],
)
def test_framing_camera_and_length(caption: str, framing: str, camera: str, seconds: float) -> None:
    shot = write_script(f"It begins.\n\n{caption}\n\nIt ends.").shots[1]
    assert (shot.caption, shot.framing, shot.camera, shot.seconds) == (caption, framing, camera, seconds)


@pytest.mark.parametrize("name", ["lantern.md", "night-train.fountain", "kite.yaml"])
def test_the_examples_are_read(name: str) -> None:
    script = read_story(EXAMPLES / name)
    assert 6 <= len(script.shots) <= 12
    assert 2 <= len(script.cast) <= 3
    assert parse_script(dump_script(script)) == script
    assert sum(shot.seconds for shot in script.shots) < 30
    for member in script.cast:
        assert any(f"<{member.name.casefold()}>" in shot.caption.casefold() for shot in script.shots)


def check_verbatim(text: str, script: Script) -> None:
    story, place = words(text), 0
    for shot in script.shots:
        found = story.find(words(shot.caption), place)
        assert found >= 0, (shot.caption, story[place:])
        place = found + len(words(shot.caption))
        assert shot.caption == " ".join(shot.caption.split())
        assert 1.0 <= shot.seconds <= 3.5
    assert parse_script(dump_script(script)) == script


PROSE = st.lists(
    st.sampled_from(
        [
            "Mara",
            "Bo",
            "<Bo>",
            "Old Tom",
            "walks",
            "waves to",
            "the fox",
            "said",
            "“Stop!",
            "Go.”",
            "Mr.",
            "3.5",
            "in",
            "Paris",
            ",",
            ".",
            "!",
            "...",
            "\n",
            "\n\n",
            "\n- ",
            "\n## ",
            "  ",
            "狐狸。",
            "馬拉",
            "वह चला।",
            "هل؟",
            "*",
            "Monday",
            "# ",
            "***",
            '"',
            ":",
            "Cast:",
            ">",
            "🦊",
            "e.g.",
            "a",
            "—",
        ]
    ),
    max_size=40,
).map(" ".join)


@settings(deadline=None, max_examples=60)
@given(PROSE | st.text(max_size=60))
def test_captions_are_the_story_word_for_word(text: str) -> None:
    text = "".join(char for char in text if char.isprintable() or char == "\n")
    try:
        script = write_script(text, screenplay=False)
    except StoryError as error:
        message = str(error)
        assert "\n" not in message
        return
    check_verbatim(text, script)


@settings(deadline=None, max_examples=40)
@given(st.binary(max_size=60) | PROSE.map(lambda text: text.encode("utf-8")))
def test_any_file_is_read_or_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name in ("any.txt", "any.fountain", "any.yaml"):
        (folder / name).write_bytes(content)
        try:
            script = read_story(folder / name)
        except StoryError as error:
            message = str(error)
            assert "\n" not in message
            assert len(message) < 600
        else:
            assert script.shots
            assert parse_script(dump_script(script)) == script
