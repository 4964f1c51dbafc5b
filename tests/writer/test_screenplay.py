"""Fountain screenplays: what is seen becomes shots, what is said belongs to its speaker."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from captain_cinema.errors import StoryError
from captain_cinema.script import dump_script, parse_script
from captain_cinema.writer.screenplay import looks_like_screenplay
from captain_cinema.writer.story import write_script

SCREENPLAY = """\
Title:
    _**The Lantern**_
Author: Somebody

INT. LIBRARY - NIGHT #1#

/* not seen
EXT. NOWHERE */
Mara reads. [[a note]] She *smiles* at BO (30), a bear.
He waves.

MARA (V.O.)
(softly)
Who is there?

МИЛА
Привет.

@McCLANE
Yippie.

CUT TO:

.FLASHBACK

!BO IS ASLEEP

~la la la

> THE END <

# Act
= synopsis
===

EXT. BEACH - DAY

狐狸走在海边。

BO
Me.

MARA ^
Me too.
"""


def test_a_screenplay() -> None:
    script = write_script(SCREENPLAY, screenplay=True)
    assert script.title == "The Lantern"
    assert [member.name for member in script.cast][:4] == ["BO", "MARA", "МИЛА", "McCLANE"]
    assert [(shot.scene, shot.caption) for shot in script.shots] == [
        ("INT. LIBRARY - NIGHT", "<Mara> reads. She smiles at <BO> (30), a bear. He waves."),
        ("INT. LIBRARY - NIGHT", "<MARA> (softly) Who is there?"),
        ("INT. LIBRARY - NIGHT", "<МИЛА> Привет."),
        ("INT. LIBRARY - NIGHT", "<McCLANE> Yippie."),
        ("FLASHBACK", "<BO> IS ASLEEP"),
        ("FLASHBACK", "la la la"),
        ("EXT. BEACH - DAY", "狐狸走在海边。"),
        ("EXT. BEACH - DAY", "<BO> Me."),
        ("EXT. BEACH - DAY", "<MARA> Me too."),
    ]
    assert [shot.framing for shot in script.shots][:3] == ["wide", "close-up", "close-up"]
    assert parse_script(dump_script(script)) == script


def test_a_screenplay_is_told_by_its_headings() -> None:
    assert looks_like_screenplay("INT. CAVE - NIGHT\n\nA fox.")
    assert looks_like_screenplay("Title: x\n\nEXT. CAVE\n\nA fox.")
    assert not looks_like_screenplay("Interior design is fun.\n\nInt. cave")
    assert not looks_like_screenplay("EXTRA WORK IS DONE.")


def test_directions_alone_are_no_film() -> None:
    with pytest.raises(StoryError, match="add action or dialogue under a scene heading"):
        write_script("INT. CAVE - NIGHT\n\nCUT TO:\n", screenplay=True)


@settings(deadline=None, max_examples=80)
@given(
    st.lists(
        st.sampled_from(
            [
                "INT. CAVE - NIGHT",
                "MARA",
                "MARA ^",
                "(softly)",
                "Hello.",
                "@mc",
                ".X",
                "> OUT:",
                ">mid<",
                "~la",
                "# A",
                "= s",
                "===",
                "/*",
                "*/",
                "[[",
                "]]",
                "**b*",
                "_u",
                "!A",
                "\n",
                "\n\n",
                "  ",
                "BO (V.O.)",
                "Title: x",
                "🦊",
            ]
        ),
        max_size=30,
    ).map("\n".join)
)
def test_any_markup_is_read_or_refused(text: str) -> None:
    try:
        script = write_script(text, screenplay=True)
    except StoryError as error:
        message = str(error)
        assert "\n" not in message
        return
    assert parse_script(dump_script(script)) == script
