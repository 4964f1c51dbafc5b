"""Films from a seed: what they hold, what their captions say, what they depend on."""

import re
import time
from collections import Counter
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from captain_cinema.playhouse import captions, looks, names, render, staging, story, world
from captain_cinema.playhouse.motion import speed

CLAUSE = re.compile(r"<([^<>]+)>([^<>]*?)(?=<|$)")
LOOK_WORDS = frozenset(
    {*world.FUR_COLOURS, *world.COAT_COLOURS, *world.HAT_COLOURS, *world.HAIR_COLOURS, *world.SKIN_COLOURS}
    | {
        *world.KINDS,
        *world.COAT_STYLES,
        *world.HATS,
        *world.ACCESSORIES,
        "fur",
        "skin",
        "hair",
        "tall",
        "short",
    }
) - {"none"}
LOOK_WORD = re.compile(rf"\b(?:{'|'.join(sorted(LOOK_WORDS, key=len, reverse=True))})\b")


@cache
def films(split: str = "train", shots: int = 12, count: int = 120) -> tuple[story.PlayhouseFilm, ...]:
    return tuple(story.film(seed, shots=shots, split=split) for seed in range(count))


def all_shots(split: str = "train") -> list[story.PlayhouseShot]:
    return [shot for film in films(split) for shot in film.shots]


def test_the_same_seed_gives_the_same_film() -> None:
    assert story.film(7, shots=20) == story.film(7, shots=20)
    assert story.film(7) != story.film(8)
    assert story.film(7).cast != story.film(7, split="held-out").cast


def test_large_seeds_are_seeds() -> None:
    assert story.film(2**40 + 1) != story.film(1)


def test_splits_share_no_name_look_or_place() -> None:
    for split in names.SPLITS:
        for film in films(split):
            assert film.split == split
            for member in film.cast:
                assert names.split_of_name(member.name) == split
                assert looks.split_of_look(member.look) == split
            for shot in film.shots:
                assert story.split_of_place(shot.state.place) == split


def test_a_cast_is_told_apart() -> None:
    for film in films():
        assert 2 <= len(film.cast) <= 4
        for place, member in enumerate(film.cast):
            for other in film.cast[:place]:
                assert member.name != other.name
                assert looks.very_different(member.look, other.look)


@pytest.mark.parametrize("cast", [1, 2, 3, 4])
@pytest.mark.parametrize("shots", [1, 2, 3, 7, 12])
def test_a_cast_of_any_size_is_introduced_in_any_length(cast: int, shots: int) -> None:
    for seed in range(20):
        film = story.film(seed, shots=shots, cast=cast)
        assert len(film.cast) == cast
        assert len(film.shots) == shots
        introduced = [name for shot in film.shots for name in shot.introduces]
        assert len(set(introduced)) == len(introduced) >= min(cast, 3)
        if shots > 1:
            assert len(introduced) == cast


@pytest.mark.parametrize("wrong", [{"seed": -1}, {"shots": 0}, {"cast": 0}, {"cast": 5}, {"split": "test"}])
def test_impossible_films_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
        story.film(**{"seed": 1, **wrong})


def test_company_is_mostly_one_often_two() -> None:
    shots = all_shots()
    share = {
        count: number / len(shots) for count, number in Counter(len(shot.names) for shot in shots).items()
    }
    assert share[1] > 0.55
    assert share[2] > 0.18
    assert 0.005 < share[3] < 0.08
    assert 0.01 < share[0] < 0.08


def test_scenes_return_and_remember() -> None:
    returns = flashbacks = 0
    for film in films():
        scenes = [shot.scene for shot in film.shots]
        places = {shot.scene: shot.state.place for shot in film.shots}
        assert 2 <= len(set(places.values())) <= story.MAX_SCENES
        assert len({place.setting for place in set(places.values())}) == len(set(places.values()))
        for shot in film.shots:
            assert shot.state.place == places[shot.scene]
        changes = [now for before, now in pairwise(scenes) if now != before]
        returns += len(changes) > len(set(changes))
        flashbacks += any("flashback" in shot.caption or "memory" in shot.caption for shot in film.shots)
    assert returns > 50
    assert flashbacks > 20


def test_a_scene_keeps_its_hour_and_weather() -> None:
    for film in films():
        seen: dict[int, tuple[str, str]] = {}
        for shot in film.shots:
            now = (shot.state.hour, shot.state.weather)
            assert seen.setdefault(shot.scene, now) == now
            assert shot.state.weather == "clear" or shot.state.place.setting not in world.INDOORS


def test_matters_are_the_shots_with_its_characters_or_its_place() -> None:
    for film in films(count=30):
        for number, shot in enumerate(film.shots):
            for earlier in range(number):
                other = film.shots[earlier]
                needed = bool(set(shot.names) & set(other.names)) or shot.state.place == other.state.place
                assert (earlier in shot.matters) == needed
            assert all(index < number for index in shot.matters)


def test_introductions_are_first_appearances_and_not_close_ups() -> None:
    for film in films():
        known: set[str] = set()
        for shot in film.shots:
            assert set(shot.introduces) == set(shot.names) - known
            assert not shot.introduces or shot.state.framing != "close-up"
            known |= set(shot.names)
        assert set(film.shots[0].names) | set(film.shots[1].names) | set(film.shots[2].names) >= {
            member.name for member in film.cast[:2]
        }


def test_the_look_is_told_at_the_first_appearance_only() -> None:
    for film in films() + films("held-out", count=40):
        of = {member.name: member.look for member in film.cast}
        for shot in film.shots:
            for name in shot.introduces:
                assert looks.look_words(of[name]) <= told(shot.caption, name)
            for name in set(shot.names) - set(shot.introduces):
                assert not told(shot.caption, name)
            assert (shot.caption == shot.bare_caption) == (not shot.introduces)
            for name in shot.names:
                assert not told(shot.bare_caption, name)


def told(caption: str, name: str) -> frozenset[str]:
    """Look words, also of several words, in the clauses that follow a name."""
    text = " ".join(words for tag, words in CLAUSE.findall(caption) if tag == name)
    return frozenset(LOOK_WORD.findall(sentence_of(text)))


def sentence_of(text: str) -> str:
    """Without the sentences after it that are about the view or a thing: "Wide shot.", "A ball is ..."."""
    return re.sub(r"(?<=[.] )[^.]*(shot|close-up|camera|pan|push)[^.]*[.]", "", text, flags=re.IGNORECASE)


def test_every_character_is_tagged_and_told_what_it_does() -> None:
    for shot in all_shots():
        clauses = dict(CLAUSE.findall(shot.bare_caption))
        assert set(clauses) == set(shot.names)
        for pose in shot.state.poses:
            said = clauses[pose.character.name]
            assert any(words in said for group in captions.ACTION_WORDS[pose.action] for words in group)
            assert pose.holds == "none" or pose.holds in said
            if pose.action in world.TRAVELLING:
                assert pose.action.split()[1] in said


def test_placement_is_always_said_in_company_and_mostly_alone() -> None:
    def says(text: str, x: float) -> bool:
        place = "left" if x < 2 / 3 else "right" if x > 4 / 3 else "centre"
        return any(words in text for group in captions.PLACEMENT_WORDS[place] for words in group)

    alone = []
    for shot in all_shots():
        clauses = dict(CLAUSE.findall(shot.bare_caption))
        for pose in shot.state.poses:
            said = says(clauses[pose.character.name], pose.x)
            if len(shot.names) > 1:
                assert said, shot.caption
            else:
                alone.append(said)
    assert 0.7 < np.mean(alone) < 0.95


def test_captions_say_setting_hour_weather_view_and_props() -> None:
    hours = {
        hour: words_of(captions.HOUR_WORDS[hour]) + captions.HOUR_ADJECTIVES[hour] + (hour,)
        for hour in world.HOURS
    }
    weathers = {
        weather: (*words_of(captions.WEATHER_WORDS[weather]), captions.WEATHER_ADJECTIVES[weather])
        for weather in world.WEATHERS[1:]
    }
    for film in films():
        last = -1
        for shot in film.shots:
            text, state = shot.bare_caption.lower(), shot.state
            _, own, others = captions.SETTING_WORDS[state.place.setting]
            assert any(words.split(" the ")[-1] in text for words in own + others)
            if shot.scene != last:
                assert any(words in text for words in hours[state.hour])
                assert state.weather == "clear" or any(words in text for words in weathers[state.weather])
            assert state.camera == "static" or any(
                words in text for words in words_of(captions.CAMERA_WORDS[state.camera])
            )
            assert state.framing != "close-up" or "close" in text
            assert all(thing.prop in text for thing in state.props)
            last = shot.scene


def words_of(groups: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    return tuple(words for group in groups for words in group)


def test_plain_captions_leave_out_look_and_view() -> None:
    for shot in all_shots():
        text = shot.plain_caption.lower()
        views = words_of(captions.FRAMING_WORDS[shot.state.framing])
        assert not any(f"{words}." in text for words in views)
        assert "camera" not in text
        assert set(CLAUSE.findall(shot.plain_caption)[0][:1]) <= set(shot.names) if shot.names else True


def test_captions_are_short_and_clean() -> None:
    for shot in all_shots():
        assert len(shot.caption) < 480
        assert shot.caption[-1] == "."
        for text in (shot.caption, shot.bare_caption, shot.plain_caption):
            assert not re.search(r"[\0\1]|  |\.\.|,,| ,| \.|;\.|\(\)| a [aeiou]", text), text


@pytest.mark.parametrize(
    ("reached", "values"),
    [
        (lambda shot: [shot.state.place.setting], world.SETTINGS),
        (lambda shot: [shot.state.hour], world.HOURS),
        (lambda shot: [shot.state.weather], world.WEATHERS),
        (lambda shot: [shot.state.framing], world.FRAMINGS),
        (lambda shot: [shot.state.camera], world.CAMERAS),
        (lambda shot: [pose.action for pose in shot.state.poses], world.ACTIONS),
        (lambda shot: [pose.holds for pose in shot.state.poses], ("none", *world.PROPS)),
        (lambda shot: [thing.prop for thing in shot.state.props], world.PROPS),
    ],
)
def test_every_item_of_the_world_is_reached(reached, values: tuple[str, ...]) -> None:
    assert {item for shot in all_shots() for item in reached(shot)} == set(values)


def test_travellers_stay_on_the_stage_and_apart() -> None:
    seen = 0
    for shot in all_shots():
        ends = [pose.x + speed(pose.action) * shot.seconds for pose in shot.state.poses]
        starts = [pose.x for pose in shot.state.poses]
        seen += any(pose.action in world.TRAVELLING for pose in shot.state.poses)
        assert all(0.1 < x < 1.9 for x in starts + ends)
        for positions in (starts, ends):
            assert all(right - left > 0.3 for left, right in pairwise(positions))
    assert seen > 150


def test_the_drawn_keyframe_has_them_where_the_caption_says() -> None:
    low = {"left": 0.0, "centre": 0.25, "right": 0.55}
    high = {"left": 0.45, "centre": 0.75, "right": 1.0}
    for shot in all_shots()[:150]:
        for index, pose in enumerate(shot.state.poses):
            place = staging._placement(pose.x)
            box = render.figure_box(shot.state, index, height=32)
            assert box is not None
            assert low[place] <= (box[0] + box[2]) / 2 / 64 <= high[place], (box, shot.caption)


def test_three_stand_left_centre_right() -> None:
    for shot in all_shots():
        if len(shot.names) == 3:
            assert [staging._placement(pose.x) for pose in shot.state.poses] == list(world.PLACES)


def test_frame_state_moves_time_and_nothing_else() -> None:
    shot = story.film(3).shots[0]
    later = story.frame_state(shot, 1.5)
    assert later.seconds == 1.5
    assert all(pose.phase == 1.5 for pose in later.poses)
    assert story.frame_state(shot, 0.0) == shot.state
    assert [pose.x for pose in later.poses] == [pose.x for pose in shot.state.poses]


def test_film_caption_and_title_name_the_cast_but_not_the_looks() -> None:
    for film in films():
        assert all(f"<{member.name}>" in film.caption for member in film.cast)
        assert film.title
        assert not re.search(r"\b(fur|coat|hat|hair)\b", film.caption)


def test_a_film_takes_about_a_millisecond() -> None:
    assert min(timed(seed) for seed in range(10)) < 0.006  # several times what it takes on an idle machine


def timed(seed: int) -> float:
    started = time.process_time()
    for step in range(5):
        story.film(1000 * seed + step)
    return (time.process_time() - started) / 5
