"""Captions from beside the film, and who may be named in them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotate_server import picture

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate import (
    About,
    Annotation,
    NoAnnotator,
    SidecarAnnotator,
    annotator,
    cast_of,
    load_cast,
    unused_keys,
)
from captain_cinema.films.records import FilmRecord, Picture
from captain_cinema.playhouse.export import FRAME_RATE, write_film
from captain_cinema.script import CastMember, names_in

PLAIN = """\
caption: A short film.
cast:
- name: Mara
  description: a tall fox
- Bo
shots:
- {start: 0, end: 2, caption: "<Mara> runs after <Zorro>."}
- start: 2.0
  caption: Bo waits.
  characters: [bo, Zorro]
- {start: 5, keep: no, reason: A title.}
- {start: 6, caption: "<Bo> leaves.", end: 7.5}
"""
LINES = [
    {"caption": "A short film.", "cast": [{"name": "Mara", "description": "a tall fox"}, "Bo"]},
    {"start": 0, "end": 2, "caption": "<Mara> runs after <Zorro>."},
    {"start": 6, "caption": "<Bo> leaves.", "end": 7.5},
    {"start": 2.0, "caption": "Bo waits.", "characters": ["bo", "Zorro"], "end": 5.5},
    {"start": 5, "keep": False, "reason": "A title."},
]
FORMS = {".captions.yaml": PLAIN, ".captions.jsonl": "\n\n".join(map(json.dumps, LINES)) + "\n"}


def film_at(path: Path, fps: float = 12.0) -> FilmRecord:
    return FilmRecord(id="00", name=path.name, path=str(path), digest="00", size=1, verdict="ok", fps=fps)


def at(*seconds: float) -> list[Picture]:
    return [picture(50, seconds=moment) for moment in seconds]


def read(path: Path, *seconds: float, cast: dict[str, list[CastMember]] | None = None) -> list[Annotation]:
    return SidecarAnnotator(cast=cast or {}).annotate(film_at(path), at(*seconds))


def fault(tmp_path: Path, text: str, form: str = ".captions.yaml") -> str:
    (tmp_path / f"a.mp4{form}").write_bytes(text.encode("utf-8", "surrogateescape"))
    (found,) = read(tmp_path / "a.mp4", 0.0)
    assert found.keep
    assert found.caption == ""
    assert "\n" not in found.error
    assert len(found.error) <= 300
    return found.error


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("base", ["bikes.mp4", "bikes"])
def test_the_plain_form(tmp_path: Path, form: str, base: str) -> None:
    film = tmp_path / "bikes.mp4"
    (tmp_path / f"{base}{form}").write_text(FORMS[form], "utf-8")
    found = read(film, 0.0, 1.9, 2.0, 5.0, 6.1, 7.4, 7.6)
    assert [one.caption for one in found] == [
        "<Mara> runs after someone.",
        "<Mara> runs after someone.",
        "<Bo> waits.",
        "",
        "<Bo> leaves.",
        "<Bo> leaves.",
        "",
    ]
    assert [one.characters for one in found[:4]] == [("Mara",), ("Mara",), ("Bo",), ()]
    assert [one.keep for one in found] == [True, True, True, False, True, True, True]
    assert found[3].reason == "A title."
    assert [one.reason for one in found[1:3]] == ["left out, not in the cast: Zorro"] * 2
    assert [bool(one.error) for one in found] == [False] * 6 + [True]
    assert "says nothing of 7.6" in found[6].error
    about = SidecarAnnotator(cast={}).about(film_at(film))
    assert about == About(caption="A short film.", cast=(("Mara", "a tall fox"), ("Bo", "")))


def test_the_cast_file_counts_as_well(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.captions.jsonl").write_text('{"start": 0, "caption": "<Mara>, <Bo>, <Zed>."}', "utf-8")
    cast = {"*": [CastMember(name="Mara"), CastMember(name="Zed")]}
    assert read(tmp_path / "a.mp4", 1.0, cast=cast)[0].caption == "<Mara>, someone, <Zed>."
    assert read(tmp_path / "a.mp4", 1.0)[0].caption == "<Mara>, <Bo>, <Zed>.", "without a list tags are it"


def test_a_frame_on_a_cut_belongs_to_the_shot_that_it_begins(tmp_path: Path) -> None:
    (tmp_path / "a.mp4.captions.yaml").write_text(
        "shots:\n" + "".join(f"- {{start: {n / 24:.5f}, caption: shot {n}}}\n" for n in range(0, 240, 5))
    )
    numbers = range(0, 240, 5)
    record = film_at(tmp_path / "a.mp4", fps=24.0)
    for drift in (-0.0004, 0.0, 0.0004):
        found = SidecarAnnotator(cast={}).annotate(record, at(*(n / 24 + drift for n in numbers)))
        assert [one.caption for one in found] == [f"shot {n}" for n in numbers]


@pytest.mark.parametrize("known", ["truth.json", "script.yaml"])
def test_a_film_of_the_playhouse(tmp_path: Path, known: str) -> None:
    write_film(tmp_path, seed=3, shots=4, height=32)
    truth = json.loads((tmp_path / "truth.json").read_text("utf-8"))
    if known == "script.yaml":
        (tmp_path / "truth.json").unlink()
    record = film_at(tmp_path / "film.mp4")
    frames = np.cumsum([0, *(round(shot["seconds"] * FRAME_RATE) for shot in truth["shots"])])
    reader = SidecarAnnotator(cast={})
    for moment in (frames[:-1], (frames[:-1] + frames[1:]) // 2, frames[1:] - 1):
        found = reader.annotate(record, at(*(moment / FRAME_RATE)))
        for shot, annotation in zip(truth["shots"], found, strict=True):
            assert annotation.error == ""
            assert set(shot["names"]) <= set(annotation.characters)
            assert set(names_in(annotation.caption)) <= set(annotation.characters)
            if known == "truth.json":
                assert annotation.caption == shot["caption"]
            else:
                # The framing's words may be others; what is done is said in the caption's own.
                (action,) = [said for said in shot["bare_caption"].split(". ") if "<" in said]
                assert action.lower().rstrip(".") in annotation.caption.lower()
    about = reader.about(record)
    assert about.caption == truth["caption"]
    assert [name for name, _ in about.cast] == [member["name"] for member in truth["cast"]]
    assert all(description for _, description in about.cast)
    assert reader.annotate(record, at(frames[-1] / FRAME_RATE + 1))[0].error


def test_another_film_in_that_folder_is_not_the_playhouses(tmp_path: Path) -> None:
    write_film(tmp_path, seed=3, shots=1, height=32)
    (found,) = read(tmp_path / "bikes.mp4", 0.0)
    assert "no captions beside the film; write bikes.mp4.captions.jsonl" in found.error
    assert found.keep


@pytest.mark.parametrize(
    ("truth", "error"),
    [
        ("{", "truth.json: not valid JSON"),
        ("[" * 100_000, "truth.json: not valid JSON"),
        ("[]", "truth.json: this is not as the playhouse writes it"),
        ('{"version": 2}', "version is not as the playhouse writes it"),
        (
            '{"version": 1, "caption": "", "frame_rate": 0, "cast": [], "shots": []}',
            "frame_rate is not as the playhouse writes it",
        ),
    ],
)
def test_a_truth_that_is_spoilt(tmp_path: Path, truth: str, error: str) -> None:
    (tmp_path / "truth.json").write_text(truth)
    (found,) = read(tmp_path / "film.mp4", 0.0)
    assert error in found.error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "a.mp4.captions.yaml is empty"),
        ("shots: 3", "shots is a whole number; write a list"),
        ("[1]", "a whole number where 'key: value' lines are expected"),
        ("shots: [{caption: x}]", "there is no start; add 'start:' in seconds"),
        ("shots: [{start: soon}]", "start is text; give 0 to 1e+06 seconds"),
        ("shots: [{start: .nan}]", "start is not a finite number"),
        ("shots: [{start: -1}]", "start is -1; give 0 to"),
        ("shots: [{start: 2, end: 2}]", "ends at 2 s, not after its start at 2 s"),
        ("shots: [{start: 2, keep: perhaps}]", "keep is 'perhaps'; write true or false"),
        ("shots: [{start: 2, catpion: x}]", "unknown key 'catpion'; did you mean 'caption'?"),
        ("shots: [{start: 2, characters: [[]]}]", "characters holds a list; write a list of names"),
        ("cast: [<b>]\nshots: []", "the name '<b>' holds < or >"),
        ("shots: []", "says nothing of"),
        ("shots: [{start: 0}]", "has an empty caption at"),
        ('shots: [{start: 0, caption: "<>"}]', "has an empty caption at"),
        ("shots: &a [*a]", "is a YAML anchor"),
        ("shots: \udcff", "is not valid UTF-8"),
    ],
)
def test_spoilt_captions(tmp_path: Path, text: str, error: str) -> None:
    assert error in fault(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("Once upon a time", "line 1: not valid JSON; write one object a line"),
        ('{"start": 0}\n[1]', "line 2: a list where 'key: value' lines are expected"),
        ('{"start": NaN}', "start is"),
        ('{"start": true}', "start is yes or no"),
        ('{"title": "x"}', "unknown key 'title'"),
        ('{"start": 0, "caption": 7}', "caption is a whole number"),
        ("[" * 100_000, "line 1: not valid JSON"),
    ],
)
def test_spoilt_lines(tmp_path: Path, text: str, error: str) -> None:
    assert error in fault(tmp_path, text, ".captions.jsonl")


@pytest.mark.parametrize(
    "name", ["x" * 240 + ".mp4", "a\nb'\"%03d.mp4", "-x.mp4", "フィルム.mp4", "a\udcff.mp4"]
)
def test_odd_names(tmp_path: Path, name: str) -> None:
    (found,) = read(tmp_path / name, 0.0)
    assert "there are no captions beside the film" in found.error
    assert "\n" not in found.error
    beside = name if len(name) < 190 else name.removesuffix(".mp4")  # 255 bytes at most
    (tmp_path / f"{beside}.captions.yaml").write_text("shots: [{start: 0, caption: Here.}]")
    assert read(tmp_path / name, 0.0)[0].caption == "Here."


def test_a_film_without_a_path() -> None:
    (found,) = SidecarAnnotator(cast={}).annotate(replace(film_at(Path("x")), path=""), at(0.0))
    assert found.error


def test_fingerprints_follow_the_files(tmp_path: Path) -> None:
    film = film_at(tmp_path / "a.mp4")
    reader = SidecarAnnotator(cast={})
    seen = [reader.fingerprint(film)]
    for caption in ("One.", "Two."):
        (tmp_path / "a.captions.yaml").write_text(f"shots: [{{start: 0, caption: {caption}}}]")
        seen.append(reader.fingerprint(film))
        assert reader.annotate(film, at(0.0))[0].caption == caption
    seen.append(SidecarAnnotator(cast={"*": [CastMember(name="Mara")]}).fingerprint(film))
    assert len(set(seen)) == 4
    assert seen[2] == reader.fingerprint(film)


def test_no_annotator(tmp_path: Path) -> None:
    reader = annotator("none", cache=tmp_path / "cache", cast={"*": [CastMember(name="Mara")]})
    assert isinstance(reader, NoAnnotator)
    assert reader.annotate(film_at(tmp_path / "a.mp4"), at(0, 1)) == [Annotation(keep=True)] * 2
    assert reader.about(film_at(tmp_path / "a.mp4")).cast == (("Mara", ""),)
    assert reader.name == "none"
    assert isinstance(annotator("sidecar", cache=tmp_path / "cache"), SidecarAnnotator)
    assert not (tmp_path / "cache").exists()


CAST = """\
lantern/film.mp4:
- {name: Mara, description: a tall fox}
- Bo
tears of steel:
- name: Thom
Bikes.mp4: []
'*':
- {name: mara, description: somebody}
- Narrator
"""


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("/films/lantern/film.mp4", ["Mara", "Bo", "Narrator"]),
        ("/films/other-lantern/film.mp4", ["mara", "Narrator"]),
        ("Tears of Steel.webm", ["Thom", "mara", "Narrator"]),
        ("bikes.mp4", ["mara", "Narrator"]),
    ],
)
def test_whose_cast(tmp_path: Path, path: str, names: list[str]) -> None:
    (tmp_path / "cast.yaml").write_text(CAST, "utf-8")
    casts = load_cast(tmp_path / "cast.yaml")
    members = cast_of(casts, film_at(Path(path)))
    assert [member.name for member in members] == names
    unused = unused_keys(casts, [film_at(Path(path))])
    assert "*" not in unused
    assert len(unused) == 3 - (names != ["mara", "Narrator"] or path == "bikes.mp4")


def test_a_bare_list_is_for_every_film(tmp_path: Path) -> None:
    (tmp_path / "cast.yaml").write_text("[Mara, 1984, No]")
    assert [member.name for member in load_cast(tmp_path / "cast.yaml")["*"]] == ["Mara", "1984", "No"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "cast.yaml: the cast file is empty; write for example"),
        ("# only\n\n# comments", "the cast file is empty"),
        ("Mara", "cast.yaml: text where names of films are expected"),
        ("'*': Mara", "cast.yaml line 1: * is text; write a list of names"),
        ("cast: [Mara]", "for every film write '*' instead"),
        ("'*': [Mara, MARA]", "line 1: 'MARA' is there twice; keep one of them"),
        ("'*': [{name: Mara, looks: red}]", "unknown key 'looks'"),
        ("'*': [{description: red}]", "the name '' is empty"),
        ("'*': ['<Mara>']", "holds < or >"),
        ("'*': ['Ma\\nra']", None),
        ('"*": ["Ma\\nra"]', "holds a control character"),
        ("'*': [Mara", "not valid YAML"),
        ("'*': [!!python/object:os.system Mara]", "is not allowed"),
        ("a: &x [Mara]\nb: *x", "is a YAML anchor"),
        ("\x00\x01", "this is not plain text"),
        ("'*': [" + "a," * 10 + "]", "is there twice"),
        ("'*': [" + ",".join(f"a{n}" for n in range(1001)) + "]", "1,001 characters; at most 1,000 work"),
    ],
)
def test_a_wrong_cast_file(tmp_path: Path, text: str, error: str | None) -> None:
    (tmp_path / "cast.yaml").write_text(text)
    if error is None:
        assert load_cast(tmp_path / "cast.yaml")["*"][0].name == "Ma\\nra"
        return
    with pytest.raises(CinemaError) as caught:
        load_cast(tmp_path / "cast.yaml")
    assert error in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_cast_file(tmp_path: Path) -> None:
    with pytest.raises(CinemaError, match="there is no such file; check the name of the cast file"):
        load_cast(tmp_path / "none.yaml")
    with pytest.raises(CinemaError, match="is a folder"):
        load_cast(tmp_path)
