"""Films of the playhouse: from one seed a cast, scenes that come and come back, shots that need one another.

It is the truth that the embedded weights learn from and are measured against (design section 6): who is
where, what each one looks like, which earlier shots matter.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from captain_cinema.playhouse.captions import Telling, film_caption, film_title, shot_caption
from captain_cinema.playhouse.looks import describe, random_look, random_name, very_different
from captain_cinema.playhouse.names import check_split, pick, split_of, weighted
from captain_cinema.playhouse.staging import Staged, stage
from captain_cinema.playhouse.world import (
    HOURS,
    INDOORS,
    PROPS,
    SETTINGS,
    WEATHERS,
    Character,
    FrameState,
    Place,
    PropPose,
)

MAX_CAST = 4
MAX_SCENES = 5
COMPANY = {1: 0.60, 2: 0.30, 3: 0.05, 0: 0.05}
"""How many characters a shot shows, and how often."""
FLASHBACK_SHARE = 0.08
SECONDS = {2.0: 0.7, 1.5: 0.1, 2.5: 0.1, 3.0: 0.1}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A place at an hour; a film comes back to the same one."""

    place: Place
    hour: str
    weather: str
    prop: PropPose | None
    """What stands there, in wide shots."""


@dataclass(frozen=True, kw_only=True)
class PlayhouseShot:
    """One shot and the truth about it."""

    caption: str
    seconds: float
    state: FrameState
    """At its first frame, the keyframe."""
    scene: int
    """Number of its scene in the film; one place at two hours makes two scenes."""
    names: tuple[str, ...]
    introduces: tuple[str, ...]
    """Those whose first appearance this is: the caption tells their looks."""
    matters: tuple[int, ...]
    """Indices of the earlier shots that show one of its characters, or its place."""
    bare_caption: str
    """The caption without any look."""
    plain_caption: str
    """Nor with framing and camera, which have fields of their own in a script."""


@dataclass(frozen=True, kw_only=True)
class PlayhouseFilm:
    """A whole film in words and states."""

    seed: int
    split: str
    title: str
    caption: str
    cast: tuple[Character, ...]
    shots: tuple[PlayhouseShot, ...]


def split_of_place(place: Place) -> str:
    """The split of a place, by a stable hash of its setting and variant."""
    return split_of(f"place:{place.setting}/{place.variant}")


def film(seed: int, *, shots: int = 12, split: str = "train", cast: int | None = None) -> PlayhouseFilm:
    """Compose the film of a seed: the same arguments give the same film, on any machine.

    Args:
        seed: 0 or more.
        shots: How many, 1 or more.
        split: "train" or "held-out": of names, looks and places alike, none is in both.
        cast: How many characters, 1 to 4; by default 2 to 4, as the length allows.
    """
    check_split(split)
    if seed < 0 or shots < 1:
        raise ValueError(f"seed {seed}, {shots} shots: seed must be at least 0 and shots at least 1")
    if cast is not None and not 1 <= cast <= MAX_CAST:
        raise ValueError(f"a cast of {cast}: must be 1 to {MAX_CAST}")
    rng = np.random.default_rng([seed, zlib.crc32(split.encode())])
    size = cast or min(weighted(rng, {2: 0.4, 3: 0.4, 4: 0.2}), max(1, shots))
    members = _cast(rng, size, split)
    scenes, visits = _visits(rng, shots, split)
    company = _company(rng, shots, members)
    told = _tell(rng, scenes, visits, company)
    places = list(dict.fromkeys(scene.place for scene in scenes))
    return PlayhouseFilm(
        seed=seed,
        split=split,
        title=film_title(members, places, rng),
        caption=film_caption(members, places, rng),
        cast=members,
        shots=told,
    )


def frame_state(shot: PlayhouseShot, seconds: float) -> FrameState:
    """The state of a shot's frame at a time: motion, camera and weather are functions of the seconds."""
    poses = tuple(replace(pose, phase=seconds) for pose in shot.state.poses)
    return replace(shot.state, seconds=seconds, poses=poses)


def _cast(rng: np.random.Generator, size: int, split: str) -> tuple[Character, ...]:
    """Characters that nobody mixes up: other initials, other coats, other kinds or furs."""
    members: list[Character] = []
    while len(members) < size:
        member = Character(name=random_name(rng, split=split), look=random_look(rng, split=split))
        if all(
            member.name[0] != other.name[0] and very_different(member.look, other.look) for other in members
        ):
            members.append(member)
    return tuple(members)


@dataclass(frozen=True, kw_only=True)
class _Visit:
    scene: int
    returns: str


def _visits(rng: np.random.Generator, shots: int, split: str) -> tuple[list[Scene], list[_Visit]]:
    """The scenes of a film and which one each shot plays in: segments, returns, flashbacks."""
    left = list(SETTINGS)
    count = min(2 + int(rng.random() * (MAX_SCENES - 1)), max(1, shots // 2))
    settings = [left.pop(int(rng.random() * len(left))) for _ in range(count)]
    scenes: list[Scene] = []
    visits: list[_Visit] = []
    current = -1
    while len(visits) < shots:
        returns = ""
        others = [number for number in range(len(scenes)) if number != current]
        if settings and (len(scenes) < 2 or rng.random() < 0.6 or not others):
            scenes.append(_scene(rng, _place(rng, settings.pop(), split)))
            current = len(scenes) - 1
        elif others:
            current, returns = pick(rng, others), "back"
            if rng.random() < 0.25:  # the same place at another time
                scenes.append(_scene(rng, scenes[current].place, not_at=scenes[current].hour))
                current = len(scenes) - 1
        length = 1 + int(rng.random() * 4) if visits else 2 + int(rng.random() * 2)
        for step in range(min(length, shots - len(visits))):
            others = [number for number in range(len(scenes)) if number != current]
            if step and others and rng.random() < FLASHBACK_SHARE:
                visits.append(_Visit(scene=pick(rng, others), returns="flashback"))
            else:
                visits.append(_Visit(scene=current, returns="" if step else returns))
    return scenes, visits


def _place(rng: np.random.Generator, setting: str, split: str) -> Place:
    while True:
        place = Place(setting=setting, variant=int(rng.random() * 2**31))
        if split_of_place(place) == split:
            return place


def _scene(rng: np.random.Generator, place: Place, *, not_at: str | None = None) -> Scene:
    weather = "clear" if place.setting in INDOORS or rng.random() < 0.6 else pick(rng, WEATHERS[1:])
    hour = pick(rng, [hour for hour in HOURS if hour != not_at])
    return Scene(place=place, hour=hour, weather=weather, prop=_scene_prop(rng))


def _scene_prop(rng: np.random.Generator) -> PropPose | None:
    if rng.random() < 0.5:
        return None
    return PropPose(prop=pick(rng, PROPS), x=pick(rng, (0.25, 1.0, 1.75)))


def _company(
    rng: np.random.Generator, shots: int, cast: Sequence[Character]
) -> list[tuple[tuple[Character, ...], tuple[Character, ...]]]:
    """For every shot its characters in any order, and those of them that appear for the first time."""
    waiting = list(cast)
    known: list[Character] = []
    last: tuple[Character, ...] = ()
    company = []
    for number in range(shots):
        weights = {count: share for count, share in COMPANY.items() if count <= len(known)}
        count = weighted(rng, weights) if known else 1
        new = waiting[: _arrivals(rng, number, shots, len(waiting), len(known))]
        if new:
            count = max(len(new), count if rng.random() < 0.3 else 1)
        here = list(new)
        rest = list(known)
        while len(here) < count and rest:
            weights_of = {place: 2.0 if member in last else 1.0 for place, member in enumerate(rest)}
            here.append(rest.pop(weighted(rng, weights_of)))
        del waiting[: len(new)]
        known += new
        last = tuple(here) or last
        order = sorted(range(len(here)), key=lambda _: rng.random())
        company.append((tuple(here[place] for place in order), tuple(new)))
    return company


def _arrivals(rng: np.random.Generator, number: int, shots: int, waiting: int, known: int) -> int:
    """How many of those waiting appear in shot `number`: the leads at once, the others soon."""
    if not waiting:
        return 0
    crowded = waiting - (shots - 1 - number)  # as many shots are left as needed to bring in one each
    if crowded > 1:
        return min(3, crowded)
    if known < 2 or crowded == 1:
        return 1 if known != 1 or crowded == 1 or number >= 2 or rng.random() < 0.75 else 0
    return 1 if rng.random() < 2.5 / max(3, shots // 3) else 0


def _tell(
    rng: np.random.Generator,
    scenes: Sequence[Scene],
    visits: Sequence[_Visit],
    company: Sequence[tuple[tuple[Character, ...], tuple[Character, ...]]],
) -> tuple[PlayhouseShot, ...]:
    """Stage and describe every shot."""
    shots: list[PlayhouseShot] = []
    for number, (visit, (here, new)) in enumerate(zip(visits, company, strict=True)):
        scene = scenes[visit.scene]
        seconds = weighted(rng, SECONDS)
        staged: Staged = stage(rng, here, introduces=bool(new), seconds=seconds, prop=scene.prop)
        state = FrameState(
            place=scene.place,
            hour=scene.hour,
            weather=scene.weather,
            framing=staged.framing,
            camera=staged.camera,
            seconds=0.0,
            duration=seconds,
            poses=staged.poses,
            props=staged.props,
        )
        telling = Telling(
            placements=staged.placements,
            prop_placements=staged.prop_placements,
            looks={member.name: describe(member.look, rng) for member in new},
            same_as_last=number > 0 and visits[number - 1].scene == visit.scene,
            returns=visit.returns,
        )
        said = shot_caption(state, telling, rng)
        names = tuple(pose.character.name for pose in staged.poses)
        matters = tuple(
            index
            for index, earlier in enumerate(shots)
            if earlier.state.place == scene.place or not set(names).isdisjoint(earlier.names)
        )
        shots.append(
            PlayhouseShot(
                caption=said.caption,
                seconds=seconds,
                state=state,
                scene=visit.scene,
                names=names,
                introduces=tuple(member.name for member in new),
                matters=matters,
                bare_caption=said.bare,
                plain_caption=said.plain,
            )
        )
    return tuple(shots)
