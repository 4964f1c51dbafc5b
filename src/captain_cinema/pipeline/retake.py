"""One shot again: with another seed, other words, or an earlier take brought back."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from captain_cinema.errors import ProjectError, StoryError
from captain_cinema.pipeline.production import Production, now, open_production
from captain_cinema.project.edit import edit_shot
from captain_cinema.project.files import keep_take, look, publish, record_of, sha256_text, write_text
from captain_cinema.project.pictures import read_picture, write_picture
from captain_cinema.project.state import FilmState
from captain_cinema.script import MAX_CAPTION, MAX_SEED, parse_script
from captain_cinema.script.reading import read_text


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the user wants of a retake."""

    shot: int
    caption: str | None = None
    seed: int | None = None
    take: int | None = None
    """An earlier take to bring back; None takes the next, unless words or seed are given."""
    keyframe: Path | None = None
    """A picture of the user's own, in any format and size."""
    motion: bool = False
    """Keep the keyframe and shoot its motion again."""


@dataclass(frozen=True, kw_only=True)
class Reach:
    """How far the film was made before; a retake brings it back to there, and no further."""

    keyframes: int
    clips: int
    film: int


def reach(production: Production, shot: int) -> Reach:
    """The last shots that have a keyframe and a clip, and whether there is a film."""
    folder, numbers = production.folder, range(len(production.plans), 0, -1)
    keyframes = next((n for n in numbers if folder.keyframe(n).exists()), 0)
    clips = next((n for n in numbers if folder.clip(n).exists()), 0)
    return Reach(
        keyframes=max(keyframes, shot),
        clips=max(clips, shot) if clips else 0,
        film=max(clips, shot) if clips and folder.film.exists() else 0,
    )


def prepare_retake(production: Production, wish: Wish) -> Production:
    """Write a retake's wish into the script and the state; what is stale then is made by the usual stages.

    Raises:
        ProjectError: there is no such shot or take.
        StoryError: the new caption or seed cannot stand in a script.
    """
    _check(production, wish)
    plan, state = production.plans[wish.shot - 1], production.state
    identity = str(plan.identity)
    again = wish.caption is None and wish.seed is None
    if wish.keyframe is not None:
        _put_in(production, wish, wish.keyframe)
    elif wish.motion:
        take = wish.take or state.motion_take(plan.identity) + 1
        state = dataclasses.replace(state, motion_takes={**state.motion_takes, identity: take})
    elif again:
        take = wish.take or plan.take + 1
        state = dataclasses.replace(state, takes={**state.takes, identity: take})
    elif wish.seed is not None:
        takes = {key: value for key, value in state.takes.items() if key != identity}
        state = dataclasses.replace(state, takes=takes)
    if not again:
        state = _edit_script(production, wish, state)
    if wish.keyframe is None:
        _make_way(production, wish)
    production.save(state)
    return open_production(production.folder, production.report)


def _check(production: Production, wish: Wish) -> None:
    count = len(production.plans)
    if not 1 <= wish.shot <= count:
        raise ProjectError(f"there is no shot {wish.shot}; the script has shots 1 to {count}")
    if wish.take is not None and wish.take < 1:
        raise ProjectError(f"there is no take {wish.take}; takes count from 1")
    if wish.take is not None and (wish.caption is not None or wish.seed is not None):
        raise ProjectError("--take brings back an earlier take; give it without --caption and --seed")
    if wish.motion and (wish.caption is not None or wish.seed is not None):
        raise ProjectError("--motion keeps the keyframe; give it without --caption and --seed")
    others = (wish.caption, wish.seed, wish.take, wish.motion or None)
    if wish.keyframe is not None and others != (None,) * len(others):
        raise ProjectError("--keyframe puts a picture in; give it alone")
    if wish.caption is not None and not wish.caption.strip():
        raise StoryError("--caption is empty; say what is seen in the shot")
    if wish.caption is not None and len(wish.caption) > MAX_CAPTION:
        raise StoryError(f"--caption has {len(wish.caption):,} characters; at most {MAX_CAPTION:,} work")
    if wish.seed is not None and not 0 <= wish.seed <= MAX_SEED:
        raise StoryError(f"--seed {wish.seed} cannot be used; give a whole number from 0 to {MAX_SEED}")


def _put_in(production: Production, wish: Wish, source: Path) -> None:
    """Make a picture of the user's own the keyframe; what it replaces is kept among the takes."""
    picture, path = read_picture(source), production.folder.keyframe(wish.shot)
    keep_take(path, production.folder.takes)
    record = {
        "stage": "storyboard",
        "shot": wish.shot,
        "by_hand": True,
        "found_at": now(),
        "from": source.name,
    }
    publish(path, lambda part: write_picture(part, picture, synthetic=False), record)


def _edit_script(production: Production, wish: Wish, state: FilmState) -> FilmState:
    changes: dict[str, object] = {}
    if wish.caption is not None:
        changes["caption"] = wish.caption
    if wish.seed is not None:
        changes["seed"] = wish.seed
    path = production.folder.script
    text = edit_shot(read_text(path, what="script"), production.script, wish.shot, **changes)
    caption = parse_script(text, source=path.name).shots[wish.shot - 1].caption
    shots = list(state.shots)
    shots[wish.shot - 1] = (shots[wish.shot - 1][0], sha256_text(caption)[:16])
    keep_take(path, production.folder.takes)
    write_text(path, text)
    return dataclasses.replace(state, shots=tuple(shots))


def _make_way(production: Production, wish: Wish) -> None:
    """What was put in by hand is not made again by itself; asked for by name, it goes to the takes."""
    folder = production.folder
    for path in (folder.clip(wish.shot), *(() if wish.motion else (folder.keyframe(wish.shot),))):
        finding = look(path)
        if finding.exists and (not finding.finished or (finding.record or {}).get("by_hand")):
            keep_take(path, folder.takes)
            path.unlink()
            record_of(path).unlink(missing_ok=True)
