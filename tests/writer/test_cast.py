"""Who is in a story, and the tags around their names."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from captain_cinema.writer.cast import Tagger, guess_names, tagged_names


@pytest.mark.parametrize(
    ("story", "names"),
    [
        ("Mara walks.", ["Mara"]),
        ("Mara, a tall fox, is here.", ["Mara"]),
        ("On Monday Mara meets Bo in Paris. Bo waves.", ["Mara", "Bo"]),
        ("A girl called Anna-Lena lives in London. London is large.", ["Anna-Lena"]),
        ("The fox waits while Ines dances. It rains.", ["Ines"]),
        ("Mara and Bo dance.", ["Mara", "Bo"]),
        ("The fox and Mara sleep. Bo and Pip are here. Bo waves.", ["Mara", "Bo", "Pip"]),
        ("Mr. Fox said no. Mr. Fox left.", ["Mr. Fox"]),
        ("Old Tom sleeps. Then Old Tom wakes.", ["Old Tom"]),
        ("Mara Voss reads. Mara sleeps. Bo looks at Mara.", ["Mara", "Bo"]),
        ("Zoë waves to Łukasz. Łukasz's hat falls.", ["Zoë", "Łukasz"]),
        ("Мара идёт к морю. Лес тих. Потом Мара спит.", []),
        ("Мара идёт к морю. Потом приходит Мара.", ["Мара"]),
        (
            "Der Hund läuft zum Strand. Mara sieht den Hund. Der Strand ist leer. Mara geht heim.",
            ["Mara"],
        ),
        ("Marie marche vers la mer. Le soleil brille. Paul salue Marie.", ["Marie"]),
    ],
)
def test_names_by_their_use(story: str, names: list[str]) -> None:
    assert guess_names([story]) == names


@pytest.mark.parametrize(
    "story",
    [
        "The fox walks. The fox sleeps.",
        "It is Monday. On Monday the fox sleeps. Monday is good.",
        "Rain falls. Rain stops. Snow falls. Children laugh. Everyone dances. Nobody speaks.",
        "Suddenly a fox appears. Suddenly it runs. Then it sleeps. Meanwhile the bear waits.",
        "She walks to Paris. They live in London. We sail to Africa.",
        "She speaks French with the English king.",
        "Foxes walk. The Thames flows past the Tower.",
        "A FOX WALKS. STOP! THE END.",
        "I think I saw it. I run.",
        "Walking home, a fox sees the Moon. The moon is red.",
        "Bright lights shine. Bright stars shine. A bright fox walks.",
        "狐狸走在海边。",
        "",
    ],
)
def test_what_is_no_name(story: str) -> None:
    assert guess_names([story]) == []


def test_tagged_names() -> None:
    text = "<Mara> and <马拉> meet <MARA>.<br> <a href='x'> <https://x.org> <me@x.org> </b> < Old  Tom > <12>"
    assert tagged_names(text) == ["Mara", "马拉", "Old Tom", "12"]


@pytest.mark.parametrize(
    ("names", "text", "tagged"),
    [
        (
            ["Mara"],
            "Mara, MARA's and Maras; mara, Amara, Mara-Lou, _Mara_.",
            "<Mara>, <MARA>'s and Maras; mara, Amara, <Mara>-Lou, _Mara_.",
        ),
        (["Mara"], "<Mara> and Mara and <Mara Voss>", "<Mara> and <Mara> and <Mara Voss>"),
        (["Mara", "Mara Voss"], "Mara Voss and Mara", "<Mara Voss> and <Mara>"),
        (["MARA"], "Mara waves. MARA waves.", "<Mara> waves. <MARA> waves."),
        (["Bo"], "Bob and Bo.", "Bob and <Bo>."),
        (["C-3"], "C-3 and C-30", "<C-3> and C-30"),
        (["玛拉"], "玛拉走了。看见玛拉。", "<玛拉>走了。看见<玛拉>。"),
        (["明"], "明天，明走。", "明天，明走。"),
        (["明"], "明，走。", "<明>，走。"),
        (["マラ"], "マラはマラソンを走る。", "<マラ>はマラソンを走る。"),
        (["서연"], "서연이 웃는다. 서연은 서연아파트에.", "<서연>이 웃는다. <서연>은 서연아파트에."),
        (["मीरा"], "मीरा चली। मीराबाई", "<मीरा> चली। मीराबाई"),
        (["राम"], "राम और रामा", "<राम> और रामा"),
        (["أمل"], "أمل تمشي.", "<أمل> تمشي."),
        (["ทองดี"], "ทองดีเดิน", "<ทองดี>เดิน"),
        ([], "Mara", "Mara"),
    ],
)
def test_tags_stand_around_whole_words(names: list[str], text: str, tagged: str) -> None:
    assert Tagger(names).tag(text) == tagged
    assert Tagger(names).tag(tagged) == tagged


def test_accents_in_either_form_are_one_name() -> None:
    loose = unicodedata.normalize("NFD", "Zoë waves.")
    assert Tagger(["Zoë"]).tag(loose) == "<" + unicodedata.normalize("NFD", "Zoë") + "> waves."


@example([" A"], "\nA")
@example(["A M"], "A\nM")
@given(
    st.lists(st.text(st.sampled_from("aAbMé-' 玛마ऱ"), min_size=1, max_size=5).filter(str.strip), max_size=4),
    st.text(st.sampled_from("aAbMé-' 玛마ऱ<>.\n"), max_size=40),
)
def test_tags_add_nothing_but_marks(names: list[str], text: str) -> None:
    tagged = Tagger(names).tag(text)
    assert tagged.replace("<", "").replace(">", "") == text.replace("<", "").replace(">", "")
    assert Tagger(names).tag(tagged) == tagged
