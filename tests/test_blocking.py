"""Where characters stand, said in the prompt where the caption does not say it."""

from __future__ import annotations

import pytest

from captain_cinema.script import CastMember, Script, Shot, shot_prompt
from captain_cinema.script.blocking import with_blocking

CAST = ("Mara", "Bo", "Pip")


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("<Mara> waves.", "<Mara>, in the centre, waves."),
        ("Close-up of <Bo>, who nods.", "Close-up of <Bo>, in the centre, who nods."),
        ("<Mara>, a tall fox, walks right.", "<Mara>, on the left, a tall fox, walks right."),
        ("<Mara> walks to the left.", "<Mara>, on the right, walks to the left."),
        (
            "<Bo> and <Mara> clap",
            "<Bo>, on the right, and <Mara>, on the left, clap",
        ),
        (
            "<Mara>, <Bo> and <Pip> dance.",
            "<Mara>, on the left, <Bo>, in the centre, and <Pip>, on the right, dance.",
        ),
        # What the caption says is left alone, and others make room for it.
        ("<Mara> waves on the left. <Bo> jumps.", "<Mara> waves on the left. <Bo>, on the right, jumps."),
        (
            "<Bo> bows on the left and <Mara> waves.",
            "<Bo> bows on the left and <Mara>, on the right, waves.",
        ),
        ("On the right <Mara> sits down.", "On the right <Mara> sits down."),
        (
            "<Mara> walks left. <Bo> walks left on the right.",
            "<Mara>, in the centre, walks left. <Bo> walks left on the right.",
        ),
        # A thing's place is not a character's.
        (
            "<Bo> nods. A lantern stands on the left.",
            "<Bo>, in the centre, nods. A lantern stands on the left.",
        ),
        # Nobody to be placed: no names, a possessive, more than fit.
        ("A ship sails.", "A ship sails."),
        ("<Mara>'s lantern glows.", "<Mara>'s lantern glows."),
        ("<A>, <B>, <C> and <D> run.", "<A>, <B>, <C> and <D> run."),
        # Named twice, placed once.
        ("<Mara> waves. <Mara> bows.", "<Mara>, in the centre, waves. <Mara> bows."),
        ("<麻拉>挥手。", "<麻拉>, in the centre,挥手。"),
        ("<Mara>", "<Mara>, in the centre"),
    ],
)
def test_blocking(caption: str, said: str) -> None:
    assert with_blocking(caption, CAST) == said
    assert with_blocking(said, CAST) == said


def test_only_prompts_that_ask_for_it_have_it() -> None:
    shot = Shot(caption="<Mara> waves.", framing="wide")
    script = Script(title="", caption="", cast=(CastMember(name="Mara"),), shots=(shot,))
    assert shot_prompt(script, 1) == "<Mara> waves. Wide shot."
    assert shot_prompt(script, 1, blocking=True) == "<Mara>, in the centre, waves. Wide shot."
