"""The page of `show` needs nothing else, says why, and shows crops; the numbers of `stats` add up."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from stored import SETTINGS, film_record, keyframe, make_dataset, picture

from captain_cinema.films.records import FilmRecord
from captain_cinema.films.store.page import write_page
from captain_cinema.films.store.paths import DatasetError
from captain_cinema.films.store.pictures import decode_jpeg
from captain_cinema.films.store.stats import stats
from captain_cinema.films.store.writer import FilmWriter, put_file

VOID = {"meta", "img", "br", "input"}


class Balance(HTMLParser):
    """Fails on a tag that is closed in the wrong order, or never."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def read(page: Path) -> tuple[str, list[str]]:
    text = page.read_text("utf-8")
    balance = Balance()
    balance.feed(text)
    assert balance.open == []
    return text, balance.sources


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_dataset(tmp_path_factory.mktemp("page") / "data")
    put_file(
        path,
        FilmRecord(
            id="",
            name="<script>alert(1)</script>.mp4",
            path="/x",
            digest="",
            size=0,
            verdict="rejected",
            reason="no moov atom",
        ),
    )
    return path


def test_the_page_shows_kept_and_dropped_with_reasons(dataset: Path, tmp_path: Path) -> None:
    assert write_page(dataset, tmp_path / "page.html") == 24
    text, sources = read(tmp_path / "page.html")
    assert len(re.findall(r'<article class="kept', text)) == 16
    assert len(re.findall(r'<article class="dropped', text)) == 8
    for said in ("dropped: black", "dropped: flat", "dropped: blurred", "no moov atom", "no caption"):
        assert said in text
    assert '<em class="name">Mara</em> waits; middle of shot 1.' in text
    assert "320×180 → 280×140 → 120×60" in text
    assert "alert(1)" in text
    assert "<script>alert" not in text
    assert len(sources) == 2 * 24
    for source in sources:
        kind, data = source.split(",", 1)
        assert kind == "data:image/jpeg;base64"
        assert decode_jpeg(base64.b64decode(data)).shape in ((60, 120, 3), (78, 136, 3))
    assert not re.search(r"https?://|@import|url\(", text)


def test_the_crop_is_drawn_where_it_was(dataset: Path, tmp_path: Path) -> None:
    write_page(dataset, tmp_path / "page.html")
    text, _ = read(tmp_path / "page.html")
    assert text.count('viewBox="0 0 320 180"') == 24
    assert text.count("M20 20h280v140h-280Z") == 24
    assert text.count('x="20.0" y="20.0" width="280.0" height="140.0"') == 24


def test_a_large_dataset_is_sampled_over_all_films(dataset: Path, tmp_path: Path) -> None:
    shown = write_page(dataset, tmp_path / "page.html", keyframes=9)
    text, _ = read(tmp_path / "page.html")
    assert shown == text.count("<article") == 8
    assert text.count("8 of them not shown here") == 2
    with pytest.raises(DatasetError, match="a page of 0 keyframes"):
        write_page(dataset, tmp_path / "page.html", keyframes=0)


def test_a_page_can_be_made_of_a_damaged_dataset(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data")
    for room in ("shards", "previews"):
        next((path / room).glob(f"{film_record(0).id}-*")).unlink()
    write_page(path, tmp_path / "page.html")
    text, _ = read(tmp_path / "page.html")
    assert text.count("cannot be read") == 8


def test_the_numbers_add_up(dataset: Path) -> None:
    found = stats(dataset)
    assert (found.films, found.kept, found.dropped, found.shots) == (2, 16, 8, 12)
    assert found.verdicts == {"ok": 2, "rejected": 1}
    assert found.reasons == {"flat": 4, "black": 2, "blurred": 2}
    assert found.captions_missing == 4
    assert found.characters == {"Mara": 12}
    assert found.shots_a_film == (5.0, 5.0, 5.0)
    assert found.sizes == {"60": 16}
    assert found.hours == pytest.approx(48 / 3600)
    assert found.bytes["shards"] == sum(p.stat().st_size for p in (dataset / "shards").iterdir())
    assert "16 kept, 8 dropped" in found.table()
    assert found.as_dict()["reasons"]["black"] == 2


def test_what_an_annotator_says_is_one_kind_of_reason(tmp_path: Path) -> None:
    path = make_dataset(tmp_path / "data", films=0)
    film = film_record(0)
    reasons = ("a hand covers the lens", "the frame is a logo", "duplicate of film 1.mp4 at 2.0 s")
    with FilmWriter(path, film, SETTINGS) as writer:
        for shot, reason in enumerate(reasons, start=1):
            made = picture(0, shot, "middle")
            writer.add(made, keyframe(film.id, made, verdict="dropped", reason=reason))
        writer.finish(replace(film, shots=3))
    assert stats(path).reasons == {"annotator": 2, "duplicate": 1}
