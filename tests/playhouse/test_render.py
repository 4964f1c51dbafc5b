from __future__ import annotations

import time
from dataclasses import replace
from itertools import combinations, pairwise

import cv2
import numpy as np
import pytest

from captain_cinema.playhouse import render, settings
from captain_cinema.playhouse.motion import speed
from captain_cinema.playhouse.palette import COAT, figure_tint
from captain_cinema.playhouse.world import (
    ACCESSORIES,
    ACTIONS,
    ANIMALS,
    CAMERAS,
    COAT_COLOURS,
    COAT_STYLES,
    FRAMINGS,
    FUR_COLOURS,
    HAIR_COLOURS,
    HAIR_STYLES,
    HAT_COLOURS,
    HATS,
    HEIGHTS,
    HOURS,
    INDOORS,
    KINDS,
    PROPS,
    SETTINGS,
    SKIN_COLOURS,
    TRAVELLING,
    WEATHERS,
    Character,
    FrameState,
    Look,
    Place,
    Pose,
    PropPose,
)

FOX = Look(
    kind="fox",
    skin="orange",
    hair="none",
    hair_style="none",
    coat="coat",
    coat_colour="teal",
    hat="cap",
    hat_colour="red",
    accessory="scarf",
    accessory_colour="yellow",
    height="medium",
)
WOMAN = replace(FOX, kind="woman", skin="tan", hair="black", hair_style="long", hat="none", hat_colour="none")


def a_pose(look: Look = FOX, **changes) -> Pose:
    base = {"action": "stand", "phase": 0.0, "x": 1.0, "facing": 1, "holds": "none"}
    return Pose(character=Character(name="Ada", look=look), **(base | changes))


def a_state(*poses: Pose, **changes) -> FrameState:
    base = {
        "place": Place(setting="meadow", variant=3),
        "hour": "day",
        "weather": "clear",
        "framing": "wide",
        "camera": "static",
        "seconds": 0.0,
        "duration": 2.0,
        "props": (),
    }
    return FrameState(poses=poses, **(base | changes))


def at(state: FrameState, seconds: float) -> FrameState:
    return replace(state, seconds=seconds, poses=tuple(replace(pose, phase=seconds) for pose in state.poses))


def changed(one: np.ndarray, other: np.ndarray) -> int:
    """How many pixels clearly differ."""
    return int((np.abs(one.astype(int) - other.astype(int)).max(axis=2) > 24).sum())


def all_differ(frames: dict[str, np.ndarray], pixels: int) -> list[tuple[str, str, int]]:
    return [
        (a, b, changed(frames[a], frames[b]))
        for a, b in combinations(frames, 2)
        if changed(frames[a], frames[b]) < pixels
    ]


def centre(mask: np.ndarray) -> float:
    return float(np.nonzero(mask)[1].mean())


@pytest.mark.parametrize(
    ("base", "field", "values", "pixels"),
    [
        (replace(FOX, hat="none", hat_colour="none"), "kind", ANIMALS, 150),
        (WOMAN, "kind", tuple(kind for kind in KINDS if kind not in ANIMALS), 12),
        (FOX, "skin", FUR_COLOURS, 300),
        (WOMAN, "skin", SKIN_COLOURS, 100),
        (WOMAN, "hair", HAIR_COLOURS, 150),
        (WOMAN, "hair_style", HAIR_STYLES, 60),
        (FOX, "coat", COAT_STYLES, 100),
        (FOX, "coat_colour", COAT_COLOURS, 400),
        (FOX, "hat", HATS, 60),
        (FOX, "hat_colour", HAT_COLOURS, 60),
        (FOX, "accessory", ACCESSORIES, 25),
        (FOX, "accessory_colour", HAT_COLOURS, 40),
        (FOX, "height", HEIGHTS, 300),
    ],
)
def test_every_part_of_a_look_shows(base, field, values, pixels):
    frames = {value: render.draw(a_state(a_pose(replace(base, **{field: value})))) for value in values}
    assert all_differ(frames, pixels) == []


def test_every_setting_hour_weather_and_framing_is_its_own():
    places = {s: render.draw(a_state(place=Place(setting=s, variant=3))) for s in SETTINGS}
    assert all_differ(places, 8000) == []
    for setting in ("forest", "library"):
        place = Place(setting=setting, variant=5)
        assert all_differ({h: render.draw(a_state(place=place, hour=h)) for h in HOURS}, 1500) == []
    assert all_differ({w: render.draw(a_state(weather=w)) for w in WEATHERS}, 500) == []
    assert all_differ({f: render.draw(a_state(a_pose(), framing=f)) for f in FRAMINGS}, 5000) == []


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_variant_is_a_layout_of_its_own(setting):
    frames = {str(v): render.draw(a_state(place=Place(setting=setting, variant=v))) for v in range(4)}
    assert all_differ(frames, 3000) == []


def test_every_prop_shows_in_the_hand_and_on_the_ground():
    bare = render.draw(a_state(a_pose()))
    held = {prop: render.draw(a_state(a_pose(holds=prop))) for prop in PROPS}
    ground = {p: render.draw(a_state(a_pose(), props=(PropPose(prop=p, x=1.5),))) for p in PROPS}
    for frames in (held, ground):
        assert all_differ({"none": bare, **frames}, 80) == []


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "stand"])
def test_every_action_moves_within_two_seconds(action, framing):
    state = a_state(a_pose(action=action), framing=framing)
    frames = [render.draw(at(state, t)) for t in np.arange(0, 2.01, 0.25)]
    assert max(changed(frames[0], frame) for frame in frames[1:]) > 300


@pytest.mark.parametrize("action", ACTIONS)
def test_motion_is_smooth(action):
    state = a_state(a_pose(action=action, holds="none"))
    masks = [render.figure_mask(at(state, t), 0) for t in np.arange(0, 2, 1 / 24)]
    steps = [abs(centre(a) - centre(b)) for a, b in pairwise(masks)]
    assert max(steps) < 128 * (abs(speed(action)) / 24 + 0.02)


def test_the_actions_can_be_told_apart():
    frames = {action: render.draw(a_state(a_pose(action=action, phase=0.9))) for action in ACTIONS}
    assert all_differ(frames, 40) == []


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("action", TRAVELLING)
def test_travelling_goes_the_named_way_and_stays_in_the_frame(action, framing):
    for x in (0.5, 1.0, 1.5):
        state = a_state(a_pose(action=action, x=x, facing=1), framing=framing)
        whole = render.figure_mask(a_state(a_pose(), framing=framing), 0).sum()
        masks = [render.figure_mask(at(state, t), 0) for t in (0.0, 0.5, 1.0, 1.5)]
        centres = [centre(mask) for mask in masks]
        way = 1 if action.endswith("right") else -1
        assert all(way * (b - a) > 2 for a, b in pairwise(centres))
        assert min(mask.sum() for mask in masks) > 0.5 * whole


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("camera", CAMERAS)
def test_left_centre_and_right_stay_what_they_are(framing, camera):
    for seconds in (0.0, 1.0):
        x = [
            centre(
                render.figure_mask(
                    a_state(a_pose(x=x), framing=framing, camera=camera, seconds=seconds), 0, height=64
                )
            )
            for x in (0.5, 1.0, 1.5)
        ]
        assert x[0] < 64 - 12 < 64 < 64 + 12 < x[2]
        assert x[0] + 14 < x[1] < x[2] - 14


def test_cameras_move_the_place():
    still = render.draw(a_state())
    assert changed(still, render.draw(a_state(seconds=1.5))) == 0
    for camera in CAMERAS[1:]:
        assert changed(still, render.draw(a_state(camera=camera))) == 0
        assert changed(still, render.draw(a_state(camera=camera, seconds=1.5))) > 1500


@pytest.mark.parametrize("weather", ["rain", "snow", "fog"])
def test_weather_moves_outdoors_only(weather):
    frames = [render.draw(a_state(weather=weather, seconds=t)).astype(int) for t in (0.0, 1.0)]
    assert np.abs(frames[0] - frames[1]).mean() > 0.3
    for setting in INDOORS:
        place = Place(setting=setting, variant=1)
        clear = render.draw(a_state(place=place))
        assert np.array_equal(clear, render.draw(a_state(place=place, weather=weather)))


def test_drawing_is_pure_and_the_cache_changes_nothing():
    state = a_state(a_pose(WOMAN, action="dance", phase=0.7, holds="kite"), weather="snow", hour="sunset")
    first = render.draw(state)
    kept = first.copy()
    first[:] = 0
    for variant in range(50):
        settings.backdrop(Place(setting="desert", variant=variant), "day", "clear", 16)
    assert np.array_equal(render.draw(state), kept)
    settings.forget_backdrops()
    assert np.array_equal(render.draw(state), kept)


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("setting", ["forest", "castle hall", "market"])
def test_the_picture_does_not_depend_on_the_resolution(setting, framing):
    state = a_state(
        a_pose(holds="book", phase=0.4, action="walk right"),
        place=Place(setting=setting, variant=2),
        framing=framing,
        weather="rain" if setting == "forest" else "clear",
    )
    small = render.draw(state, height=128).astype(int)
    large = render.draw(state, height=256)
    assert small.shape == (128, 256, 3)
    assert large.shape == (256, 512, 3)
    assert small.dtype != large.dtype == np.uint8
    shrunk = cv2.resize(large, (256, 128), interpolation=cv2.INTER_AREA).astype(int)
    difference = np.abs(shrunk - small)
    # One pixel out of place would already give 6 to 10.
    assert difference.mean() < 5
    assert abs((shrunk - small).mean()) < 1.5


def test_figures_fill_the_frame():
    tops = {}
    for framing in FRAMINGS:
        box = render.figure_box(a_state(a_pose(replace(FOX, hat="none")), framing=framing), 0)
        assert box is not None
        tops[framing] = box
    assert tops["wide"][3] - tops["wide"][1] > 0.66 * 128
    assert tops["medium"][3] == tops["close-up"][3] == 128
    assert tops["close-up"][2] - tops["close-up"][0] > 0.6 * 128


@pytest.mark.parametrize("hour", HOURS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_the_coat_keeps_its_colour(hour, framing):
    for name in COAT_COLOURS:
        state = a_state(a_pose(replace(FOX, coat_colour=name, accessory="none")), hour=hour, framing=framing)
        pixels = render.draw(state)[render.figure_mask(state, 0)].astype(float)
        near = np.abs(pixels - np.array(figure_tint(COAT[name], hour))).max(axis=1) < 12
        assert near.mean() > 0.05, name


def test_masks_share_no_pixel_and_leave_out_what_is_held():
    poses = (a_pose(x=0.9), a_pose(WOMAN, x=1.0, action="run left"), a_pose(x=1.1, holds="umbrella"))
    for framing in FRAMINGS:
        state = a_state(*poses, framing=framing)
        masks = [render.figure_mask(state, index) for index in range(3)]
        assert all(mask.any() for mask in masks)
        assert not any((a & b).any() for a, b in combinations(masks, 2))
    bare, held = a_state(a_pose()), a_state(a_pose(holds="balloon"))
    touched = np.abs(render.draw(bare).astype(int) - render.draw(held)).max(axis=2) > 24
    assert (touched & ~render.figure_mask(held, 0)).sum() > 100


def test_box_is_the_tight_box_of_the_mask_and_none_outside():
    state = a_state(a_pose(x=0.6), framing="medium")
    mask = render.figure_mask(state, 0)
    box = render.figure_box(state, 0)
    assert box is not None
    x0, y0, x1, y1 = box
    assert mask[y0:y1, x0:x1].sum() == mask.sum()
    assert mask[:, x0].any()
    assert mask[:, x1 - 1].any()
    assert mask[y0].any()
    assert mask[y1 - 1].any()
    gone = at(a_state(a_pose(action="run right")), 10)
    assert render.figure_box(gone, 0) is None
    assert np.array_equal(render.draw(gone), render.draw(replace(gone, poses=())))


def test_several_figures_stand_apart():
    for framing in FRAMINGS:
        state = a_state(*(a_pose(x=1.0) for _ in range(3)), framing=framing)
        shown = [render.figure_mask(state, index).sum() for index in range(3)]
        assert min(shown) > 0.55 * max(shown)


def test_drawing_is_fast():
    states = [
        a_state(a_pose(action=action, phase=0.5), framing=FRAMINGS[i % 3]) for i, action in enumerate(ACTIONS)
    ]
    render.draw(states[0])
    start = time.process_time()
    for _ in range(3):
        for state in states:
            render.draw(state)
    # About 500 a second on one idle core; the floor leaves room for a slow or busy machine.
    assert 3 * len(states) / (time.process_time() - start) > 60
