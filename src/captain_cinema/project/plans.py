"""The shots of a script as they are to be made: their words, seeds and takes, and what they are made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from captain_cinema.project.clips import ENCODING
from captain_cinema.project.methods import OURS, together
from captain_cinema.project.state import FilmState, stable_seed
from captain_cinema.script import Script, Shot, filmed_seconds, shot_prompt

if TYPE_CHECKING:
    from captain_cinema.presets import PresetFacts


@dataclass(frozen=True, kw_only=True)
class ShotPlan:
    """A shot of the script with all that is known before anything is drawn."""

    number: int
    """Its place in the script, from 1."""
    place: int
    """Where its files are now, 0 for nowhere: another number only when the script changed and no run came
    since.
    """
    identity: int
    shot: Shot
    prompt: str
    take: int
    keyframe_seed: int
    clip_seed: int
    method: str = OURS
    """How it is filmed."""
    together: str = ""
    """Digest of what it is filmed together with, for methods that film shots together."""


def plan_shots(
    script: Script,
    state: FilmState,
    *,
    before: FilmState | None = None,
    complete: bool = False,
    blocking: bool = False,
) -> list[ShotPlan]:
    """All shots of a script that the state is aligned with; `before` is the state that the files follow.

    `complete` has every prompt say everything again, `blocking` where everybody stands; see
    `script.shot_prompt`.
    """
    on_disk = (before or state).shots
    places = {identity: place for place, (identity, _) in enumerate(on_disk, 1)}
    plans = []
    for number, (shot, (identity, _)) in enumerate(zip(script.shots, state.shots, strict=True), 1):
        take = state.take(identity)
        if shot.seed is not None:
            root: tuple[object, ...] = ("script", shot.seed)
            keyframe_seed = shot.seed if take == 1 else stable_seed(*root, "keyframe", take)
        else:
            root = ("film", state.seed, identity)
            keyframe_seed = stable_seed(*root, "keyframe", take)
        plans.append(
            ShotPlan(
                number=number,
                place=places.get(identity, 0),
                identity=identity,
                shot=shot,
                prompt=shot_prompt(script, number, complete=complete, blocking=blocking),
                take=take,
                keyframe_seed=keyframe_seed,
                clip_seed=stable_seed(*root, "clip", take, state.motion_take(identity)),
                method=state.method,
            )
        )
    asked = [(p.prompt, p.clip_seed, filmed_seconds(script, p.number)) for p in plans]
    return [
        dataclasses.replace(plan, together=digest)
        for plan, digest in zip(plans, together(state.method, asked), strict=True)
    ]


def keyframe_inputs(plan: ShotPlan, plans: Sequence[ShotPlan], facts: PresetFacts) -> dict[str, Any]:
    """What a keyframe is made from, besides its memory. Pins are identities: numbers shift when shots come
    between.
    """
    return {
        "prompt": plan.prompt,
        "seed": plan.keyframe_seed,
        "pins": [plans[pin - 1].identity for pin in plan.shot.pins],
        "preset": facts.name,
        "revision": facts.revision,
        "height": facts.height,
        "width": facts.width,
    }


def clip_inputs(
    plan: ShotPlan,
    script: Script,
    facts: PresetFacts,
    *,
    keyframe: str,
    context: Sequence[str],
    last_keyframe: str = "",
) -> dict[str, Any]:
    """What a clip is made from; `keyframe`, `context` and `last_keyframe` are digests of keyframes."""
    return {
        "prompt": plan.prompt,
        "film_caption": script.caption,
        "seconds": filmed_seconds(script, plan.number),
        "seed": plan.clip_seed,
        "keyframe": keyframe,
        "context": list(context),
        "preset": facts.name,
        "revision": facts.revision,
        "height": facts.height,
        "width": facts.width,
        "fps": facts.fps,
        "encoding": ENCODING,
        "method": plan.method,
        "together": plan.together,
        "last_keyframe": last_keyframe,
        "sound": plan.shot.sound,
    }
