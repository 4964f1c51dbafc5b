"""script.yaml: written to be read and edited by hand, read as if an enemy had written it.

Every fault is a one-line StoryError that names the line, the shot, and what would work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from captain_cinema.errors import StoryError
from captain_cinema.script.model import (
    CAMERAS,
    DEFAULT_SECONDS,
    DEFAULT_TRANSITION,
    FRAMINGS,
    MAX_CAPTION,
    MAX_CAST,
    MAX_HANDLES,
    MAX_NAME,
    MAX_PATH,
    MAX_SECONDS,
    MAX_SEED,
    MAX_SHOTS,
    MAX_SIDE,
    MAX_TRANSITION,
    MIN_SECONDS,
    MIN_SIDE,
    MIN_TRANSITION,
    TRANSITIONS,
    CastMember,
    Script,
    Shot,
    check_name,
)
from captain_cinema.script.names import name_key
from captain_cinema.script.reading import Fields, Item, Scalar, integer_of, one_line, read_text, read_yaml

SHOT_KEYS = (
    "scene",
    "caption",
    "seconds",
    "framing",
    "camera",
    "seed",
    "pins",
    "number",
    "last_keyframe",
    "sound",
    "handles",
    "transition",
    "transition_seconds",
)


def load_script(path: Path) -> Script:
    """Read a script.yaml.

    Raises:
        StoryError: with one line that says what is wrong, where, and what would work.
    """
    path = Path(path)
    return parse_script(read_text(path, what="script"), source=path.name)


def parse_script(text: str, *, source: str = "script.yaml") -> Script:
    """Read a script from YAML text; `source` names it in errors."""
    keys = ("title", "caption", "size", "cast", "shots", "ending")
    top = Fields.of(read_yaml(text, source=source), where=source, keys=keys)
    cast = tuple(
        _cast_member(item, number, source) for number, item in enumerate(top.list("cast", MAX_CAST), 1)
    )
    seen: dict[str, str] = {}
    for member in cast:
        if (key := name_key(member.name)) in seen:
            raise StoryError(
                f"{source}: cast: '{member.name}' and '{seen[key]}' are one name; give each its own"
            )
        seen[key] = member.name
    items = top.list("shots", MAX_SHOTS)
    if not items:
        raise StoryError(f"{source}: there are no shots; add 'shots:' with one '- caption: ...' a shot")
    numbers: dict[int, int] = {}
    shots = tuple(_shot(item, number, source, numbers) for number, item in enumerate(items, 1))
    title = top.text("title", MAX_NAME * 2, written=True) or "Untitled"
    _check_transitions(shots, source)
    return Script(
        title=title,
        caption=top.text("caption", MAX_CAPTION),
        cast=cast,
        shots=shots,
        size=_size(top.text("size", MAX_NAME), source),
        ending=top.choice("ending", ("fade",)),
    )


def _size(text: str, source: str) -> tuple[int, int] | None:
    if not text:
        return None
    sides = re.fullmatch(r"([0-9]{1,5}) ?[x×] ?([0-9]{1,5})", text.strip())
    if sides is None or not all(MIN_SIDE <= int(side) <= MAX_SIDE for side in sides.groups()):
        raise StoryError(
            f"{source}: size '{one_line(text)}' is no size; write width x height, each {MIN_SIDE} to "
            f"{MAX_SIDE} pixels, for example 'size: 1280x640'"
        )
    return int(sides[2]), int(sides[1])


def _check_transitions(shots: tuple[Shot, ...], source: str) -> None:
    """A transition needs a shot before it, and no more time than the shots that it joins have."""
    for number, shot in enumerate(shots, 1):
        if shot.transition not in ("cross-fade", "fade"):
            continue
        if number == 1 and shot.transition == "cross-fade":
            raise StoryError(
                f"{source}: shot 1 cannot cross-fade, there is no shot before it; use 'transition: fade'"
            )
        shortest = min(other.seconds for other in shots[max(0, number - 2) : number])
        if shot.transition_seconds > shortest:
            raise StoryError(
                f"{source}: shot {number}: its {shot.transition} takes {shot.transition_seconds:g} s, longer "
                f"than a shot it joins ({shortest:g} s); give a shorter 'transition_seconds'"
            )


def _cast_member(item: Item, number: int, source: str) -> CastMember:
    where = f"{source} line {item.line}: cast {number}"
    if isinstance(item.value, Scalar):
        item = Item(line=item.line, value={"name": item})
    fields = Fields.of(item, where=where, keys=("name", "description"))
    name = " ".join(fields.text("name", MAX_NAME, written=True).split(" ")).strip()
    if problem := check_name(name):
        raise StoryError(f"{where}: the name '{one_line(name)}' {problem}; write for example 'name: Mara'")
    return CastMember(name=name, description=fields.text("description", MAX_CAPTION))


def _shot(item: Item, number: int, source: str, numbers: dict[int, int]) -> Shot:
    where = f"{source} line {item.line}: shot {number}"
    fields = Fields.of(item, where=where, keys=SHOT_KEYS)
    caption = fields.text("caption", MAX_CAPTION)
    if not caption.strip():
        raise StoryError(f"{where}: there is no caption; add 'caption:' with what is seen")
    _check_number(fields.integer("number", 1, MAX_SHOTS), number, numbers, where)
    numbers[number] = number
    pins = _pins(fields, number, where)
    return Shot(
        caption=caption,
        seconds=fields.number("seconds", MIN_SECONDS, MAX_SECONDS, default=DEFAULT_SECONDS, unit="seconds"),
        camera=fields.choice("camera", CAMERAS),
        framing=fields.choice("framing", FRAMINGS),
        pins=pins,
        seed=fields.integer("seed", 0, MAX_SEED),
        scene=fields.text("scene", MAX_NAME * 2),
        last_keyframe=_inside(fields.text("last_keyframe", MAX_PATH), where),
        sound=fields.text("sound", MAX_CAPTION),
        handles=fields.number("handles", 0.0, MAX_HANDLES, default=0.0, unit="seconds"),
        transition=fields.choice("transition", TRANSITIONS),
        transition_seconds=fields.number(
            "transition_seconds", MIN_TRANSITION, MAX_TRANSITION, default=DEFAULT_TRANSITION, unit="seconds"
        ),
    )


def _check_number(given: int | None, number: int, numbers: dict[int, int], where: str) -> None:
    """Refuse a number that is not that of the shot's place.

    Raises:
        StoryError: one line.
    """
    if given is not None and given in numbers:
        raise StoryError(
            f"{where}: number {given} is already that of shot {numbers[given]}; leave the numbers out"
        )
    if given is not None and given != number:
        raise StoryError(
            f"{where}: number {given} stands in place {number}; leave the numbers out, or put them in order"
        )


def _pins(fields: Fields, number: int, where: str) -> tuple[int, ...]:
    """Numbers of earlier shots.

    Raises:
        StoryError: one line.
    """
    pins: list[int] = []
    for pin in fields.list("pins", MAX_SHOTS):
        value = integer_of(pin, f"{where}: a pin", 1, MAX_SHOTS)
        if value >= number:
            hint = f"pin a shot from 1 to {number - 1}" if number > 1 else "the first shot has none to pin"
            raise StoryError(f"{where}: pins {value}, which is not an earlier shot; {hint}")
        if value in pins:
            raise StoryError(f"{where}: pins shot {value} twice; keep one")
        pins.append(value)
    return tuple(pins)


def _inside(text: str, where: str) -> str:
    """A path of a picture in the film's folder."""
    path = PurePosixPath(text)
    if path.is_absolute() or ".." in path.parts or "\\" in text or ":" in text:
        raise StoryError(
            f"{where}: last_keyframe '{one_line(text)}' is not in the film's folder; put it there and write "
            "its path from there"
        )
    return text


def dump_script(script: Script) -> str:
    """The text of script.yaml: stable, one blank line between shots, unicode as it is."""
    import yaml

    fast: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    def dump(value: object) -> str:
        text = yaml.dump(value, Dumper=fast, allow_unicode=True, sort_keys=False, width=110)
        if "\\U" not in text:
            return text
        # libyaml escapes what lies beyond the basic plane (emoji, rare scripts); the slower emitter keeps it.
        return yaml.dump(value, Dumper=yaml.SafeDumper, allow_unicode=True, sort_keys=False, width=110)

    head: dict[str, object] = {"title": script.title}
    if script.caption:
        head["caption"] = script.caption
    if script.size is not None:
        head["size"] = f"{script.size[1]}x{script.size[0]}"
    if script.ending:
        head["ending"] = script.ending
    parts = [dump(head)]
    if script.cast:
        parts.append(dump({"cast": [_cast_fields(member) for member in script.cast]}))
    if not script.shots:
        return "\n".join([*parts, "shots: []\n"])
    shots = [
        dump([fields]) + _pins_line(shot)
        for shot, fields in zip(script.shots, _shot_fields(script), strict=True)
    ]
    return "\n".join([*parts, "shots:\n" + "\n".join(shots)])


def _cast_fields(member: CastMember) -> dict[str, str]:
    fields = {"name": member.name}
    if member.description:
        fields["description"] = member.description
    return fields


def _shot_fields(script: Script) -> Iterator[dict[str, object]]:
    for shot in script.shots:
        seconds = float(shot.seconds)
        fields: dict[str, object] = {"scene": shot.scene} if shot.scene else {}
        fields |= {"caption": shot.caption, "seconds": int(seconds) if seconds.is_integer() else seconds}
        for key in ("framing", "camera", "last_keyframe", "sound", "transition"):
            if getattr(shot, key):
                fields[key] = getattr(shot, key)
        if shot.handles:
            fields["handles"] = shot.handles
        if shot.transition_seconds != DEFAULT_TRANSITION:
            fields["transition_seconds"] = shot.transition_seconds
        if shot.seed is not None:
            fields["seed"] = shot.seed
        yield fields


def _pins_line(shot: Shot) -> str:
    return f"  pins: [{', '.join(map(str, shot.pins))}]\n" if shot.pins else ""
