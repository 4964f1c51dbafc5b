"""Where sentences end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain_cinema.writer.sentences import MAX_PIECE, split_sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["Mara walks.", "Bo waves!", "Who sleeps?"],
        ["Mr. Fox meets Dr. Bo at 3.5 metres.", "He bows."],
        ["J. R. Bear reads No. 7.", "She says no.", "Bo leaves."],
        ["“Stop! Come back,” she said.", "He went."],
        ['"Stop!" Bo cried and ran.'.replace("Bo", "he"), "Mara laughs."],
        ['"Stop!"', "Mara runs."],
        ["He says: “Go. Now.”", "Mara goes."],
        ["Mara waits ... and waits.", "Then she sleeps…", "Bo wakes."],
        ["Is it I.", "Bo asks."],
        ["1. Mara walks.", "2. Bo waves."],
        ["Mara walks.", "<Bo> waves.", "*Pip* sleeps."],
        ["«Arrête! Viens», dit-elle.", "Il part."],
        ["Wow?!", "Bo runs e.g. Left, then right."],
        ["वह चला।", "मीरा बैठी।"],
        ["هل جاءت مارا؟", "نعم جاءت.", "ثم ذهبت."],
    ],
)
def test_sentences_with_spaces(sentences: list[str]) -> None:
    assert split_sentences(" ".join(sentences)) == sentences


@pytest.mark.parametrize(
    "sentences",
    [
        ["狐狸走在海边。", "玛拉挥手！", "谁？"],
        ["「走吧。」她说。", "他走了。"],
        ["他说：「走吧。」", "她走了。"],
        ["マラは歩く。", "ボーは眠る。"],
    ],
)
def test_sentences_without_spaces(sentences: list[str]) -> None:
    assert split_sentences("".join(sentences)) == sentences


def test_a_quotation_that_never_ends_hides_nothing() -> None:
    assert split_sentences('He said "go. Bo went. Mara went.') == ['He said "go.', "Bo went.", "Mara went."]


def test_what_is_too_long_is_cut_at_a_comma_or_a_space() -> None:
    pieces = split_sentences("a fox walks, " * 300)
    assert all(len(piece) <= MAX_PIECE for piece in pieces)
    assert all(piece.endswith(",") for piece in pieces)
    assert [len(piece) for piece in split_sentences("x" * 3000)] == [1200, 1200, 600]


@given(st.text(st.sampled_from("aB.!?… \n\"“”'「」。।,Mr1<>")))
def test_nothing_is_lost(text: str) -> None:
    assert "".join("".join(split_sentences(text)).split()) == "".join(text.split())
