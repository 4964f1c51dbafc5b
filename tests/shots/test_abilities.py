"""Backends declare what they can do; what a script asks beyond it is refused, with a backend that can."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from captain_cinema.errors import AbilityError
from captain_cinema.presets import PRESETS
from captain_cinema.shots.abilities import EMBEDDED_ABILITIES, Wish, check_request, check_wish, refusal
from captain_cinema.shots.request import ShotRequest
from captain_cinema.shots.table import BACKENDS, LTX_2, PRESET_BACKENDS, WAN_TI2V_5B, backend_named, table

DOCS = Path(__file__).parents[2] / "docs" / "shots.md"


def test_the_table_in_the_docs_is_the_code() -> None:
    assert table() in DOCS.read_text("utf-8")


def test_every_preset_films_with_a_backend_of_the_table() -> None:
    assert set(PRESET_BACKENDS.values()) <= set(BACKENDS)
    assert set(PRESETS) <= set(PRESET_BACKENDS)


@pytest.mark.parametrize("name", BACKENDS)
def test_a_declaration_holds_together(name: str) -> None:
    able = backend_named(name)
    assert able.takes(able.height, able.width)
    assert able.min_seconds < able.max_seconds
    assert (1 + able.frame_step * round(able.max_seconds * able.fps / able.frame_step)) / able.fps >= (
        able.max_seconds
    )
    assert bool(able.limits) == (able.licence != "Apache-2.0")


def told(wish: Wish, name: str) -> str:
    with pytest.raises(AbilityError) as fault:
        check_wish(wish, BACKENDS[name], others=BACKENDS.values(), mend="or change it")
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_a_wish_beyond_the_backend_names_the_shot_and_a_backend_that_can() -> None:
    last = Wish(number=7, seconds=4.0, last_keyframe=True)
    assert told(last, "wan2.2-ti2v-5b").startswith("shot 7 ends on a picture of its own, but wan2.2-ti2v-5b")
    assert "wan2.2-i2v-a14b can" in told(last, "embedded")
    assert "ltx-2 can" in told(Wish(number=2, seconds=12.0), "wan2.2-i2v-a14b")
    assert "ltx-2 can" in told(Wish(number=2, seconds=3.0, sound=True), "wan2.1-vace-14b")
    size = told(Wish(number=3, seconds=3.0, size=(640, 1280)), "embedded")
    assert "asked for at 1280x640" in size
    assert "256x128 alone" in size
    assert "wan2.2-ti2v-5b can" in size
    nobody = told(Wish(number=1, seconds=600.0), "embedded")
    assert "lasts 600 s" in nobody
    assert "no backend can; or change it" in nobody


@pytest.mark.parametrize("seconds", [0.0, 600.0, float("nan"), -1.0])
@pytest.mark.parametrize("name", BACKENDS)
def test_no_backend_films_nothing_or_for_ever(name: str, seconds: float) -> None:
    assert "lasts" in refusal(Wish(number=1, seconds=seconds), BACKENDS[name])


def test_all_that_is_asked_must_be_in_one_backend() -> None:
    wish = Wish(number=1, seconds=8.0, last_keyframe=True, sound=True, size=(640, 1280))
    assert refusal(wish, LTX_2) == ""
    assert [name for name, able in BACKENDS.items() if not refusal(wish, able)] == ["ltx-2"]


def request(**changes: object) -> ShotRequest:
    plain = ShotRequest(
        keyframe=np.zeros((128, 256, 3), np.uint8), caption="a", film_caption="", seconds=2.0, seed=0
    )
    return replace(plain, **changes)


def test_a_request_for_what_is_not_declared_is_refused_not_ignored() -> None:
    check_request(request(), EMBEDDED_ABILITIES, number=1)
    with pytest.raises(AbilityError, match="shot 3: a last keyframe is given"):
        check_request(request(last_keyframe=request().keyframe), EMBEDDED_ABILITIES, number=3)
    with pytest.raises(AbilityError, match="shot 4: sound is asked for"):
        check_request(request(sound="waves"), EMBEDDED_ABILITIES, number=4)
    with pytest.raises(AbilityError, match="its keyframe is 100x256"):
        check_request(request(keyframe=np.zeros((100, 256, 3), np.uint8)), WAN_TI2V_5B, number=1)
    check_request(request(keyframe=np.zeros((640, 1280, 3), np.uint8)), WAN_TI2V_5B, number=1)


def test_an_unknown_backend_is_one_line_with_the_known_ones() -> None:
    with pytest.raises(AbilityError, match=r"no shot backend 'sora'; use embedded or wan2\.2-ti2v-5b"):
        backend_named("sora")
