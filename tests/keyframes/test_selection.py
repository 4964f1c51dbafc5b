import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from captain_cinema.errors import AbilityError
from captain_cinema.keyframes.selection import MODES, Seen, Wanted, select_context


def at(degrees: float) -> np.ndarray:
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))])


WANTED = Wanted(picture=at(0), text=at(90))


def seen(*degrees: float) -> list[Seen]:
    return [Seen(picture=at(angle), text=at(angle)) for angle in degrees]


def test_the_nearest_pictures_and_the_last_frame_in_story_order():
    chosen = select_context(WANTED, seen(50, 10, 80, 20, 70), count=3, mode="clip")
    assert chosen.indices == (1, 3, 4)
    assert chosen.ranked == (4, 1, 3)
    assert chosen.scores == pytest.approx([np.cos(np.radians(angle)) for angle in (10, 20, 70)])


def test_text_mode_compares_captions():
    assert select_context(WANTED, seen(50, 10, 80, 20, 70), count=3, mode="text").indices == (0, 2, 4)


def test_all_frames_are_taken_while_there_is_room():
    for mode in MODES:
        assert select_context(WANTED, seen(50, 10), count=7, mode=mode).indices == (0, 1)


def test_no_history_and_no_room():
    assert select_context(WANTED, [], count=3).indices == ()
    assert select_context(WANTED, seen(1, 2), count=0).indices == ()


def test_later_frames_win_ties():
    assert select_context(WANTED, seen(30, 30, 30, 80), count=2, mode="clip").indices == (2, 3)


def test_pins_are_always_in():
    chosen = select_context(WANTED, seen(89, 10, 88, 20, 70), count=3, pins=[0, 2], mode="clip")
    assert chosen.indices == (0, 2, 4)
    assert select_context(WANTED, seen(89, 10), count=2, pins=[1, 0]).indices == (0, 1)


def test_too_many_pins_say_how_many_fit():
    with pytest.raises(AbilityError, match="pin at most 1"):
        select_context(WANTED, seen(1, 2, 3, 4), count=2, pins=[0, 1])


def test_programming_errors():
    with pytest.raises(ValueError, match="between 0 and 1"):
        select_context(WANTED, seen(1, 2), count=2, pins=[2])
    with pytest.raises(ValueError, match="needs picture embeddings"):
        select_context(Wanted(names=("ada",)), seen(1, 2), count=2)


def named(*frames: tuple[float, tuple[str, ...], bool]) -> list[Seen]:
    return [Seen(picture=at(angle), names=names, wide=wide) for angle, names, wide in frames]


def wanted(*names: str) -> Wanted:
    return Wanted(picture=at(0), names=names)


def test_a_character_who_was_seen_is_never_left_out():
    frames = named((85, ("ada",), False), (0, ("bo",), False), (1, ("bo",), False), (2, (), False))
    assert select_context(wanted("ada"), frames, count=2).indices == (0, 3)
    assert 0 not in select_context(wanted("ada"), frames, count=2, mode="clip").indices


def test_the_latest_clear_frame_of_a_character_is_taken():
    crowd = ("ada", "bo", "cy")
    frames = named(
        (80, ("ada",), False),
        (80, ("ada",), False),
        (0, ("ada",), True),
        (0, crowd, False),
        (0, (), False),
    )
    assert select_context(wanted("ada"), frames, count=2).indices == (1, 4)


def test_an_unclear_frame_is_better_than_none():
    frames = named((80, ("ada",), True), (80, ("ada",), True), (0, (), False), (0, (), False))
    assert select_context(wanted("ada"), frames, count=2).indices == (1, 3)


def test_one_frame_may_show_two():
    frames = named((80, ("ada", "bo"), False), (0, (), False), (70, ("cy",), False), (60, (), False))
    assert select_context(wanted("ada", "bo", "cy"), frames, count=3).indices == (0, 2, 3)


def test_frames_with_the_names_score_higher():
    frames = named((60, ("ada",), False), (40, (), False), (80, ("ada",), False), (90, (), False))
    chosen = select_context(wanted("ada"), frames, count=3)
    assert chosen.indices == (0, 2, 3)
    assert chosen.scores[0] == pytest.approx(1.0)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_the_rules_hold_for_any_film(data: st.DataObject):
    people = st.lists(st.sampled_from(["ada", "bo", "cy", "di"]), unique=True, max_size=4).map(tuple)
    frame = st.tuples(st.integers(0, 180), people, st.booleans())
    frames = named(*data.draw(st.lists(frame, min_size=1, max_size=20)))
    query = wanted(*data.draw(people))
    pins = data.draw(st.lists(st.integers(0, len(frames) - 1), unique=True, max_size=3))
    count = data.draw(st.integers(8, 12))
    chosen = select_context(query, frames, count=count, pins=pins)
    assert list(chosen.indices) == sorted(set(chosen.indices)) == sorted(chosen.ranked)
    assert len(chosen.indices) == min(count, len(frames))
    assert {len(frames) - 1, *pins} <= set(chosen.indices)
    shown = {name for index in chosen.indices for name in frames[index].names}
    assert shown >= set(query.names) & {name for frame in frames for name in frame.names}
