"""script.yaml: written to be read and edited by hand, read as if an enemy had written it.

Every fault is a one-line StoryError that names the line, the shot, and what would work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from captain_cinema.errors import StoryError
from captain_cinema.script.model import (
    CAMERAS,
    DEFAULT_SECONDS,
    FRAMINGS,
    MAX_CAPTION,
    MAX_CAST,
    MAX_NAME,
    MAX_SECONDS,
    MAX_SEED,
    MAX_SHOTS,
    MIN_SECONDS,
    CastMember,
    Script,
    Shot,
    check_name,
    name_key,
)
from captain_cinema.script.reading import Fields, Item, Scalar, integer_of, one_line, read_text, read_yaml


def load_script(path: Path) -> Script:
    """Read a script.yaml.

    Raises:
        StoryError: with one line that says what is wrong, where, and what would work.
    """
    path = Path(path)
    return parse_script(read_text(path, what="script"), source=path.name)


def parse_script(text: str, *, source: str = "script.yaml") -> Script:
    """Read a script from YAML text; `source` names it in errors."""
    top = Fields.of(read_yaml(text, source=source), where=source, keys=("title", "caption", "cast", "shots"))
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
    return Script(title=title, caption=top.text("caption", MAX_CAPTION), cast=cast, shots=shots)


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
    keys = ("scene", "caption", "seconds", "framing", "camera", "seed", "pins", "number")
    fields = Fields.of(item, where=where, keys=keys)
    caption = fields.text("caption", MAX_CAPTION)
    if not caption.strip():
        raise StoryError(f"{where}: there is no caption; add 'caption:' with what is seen")
    given = fields.integer("number", 1, MAX_SHOTS)
    if given is not None and given in numbers:
        raise StoryError(
            f"{where}: number {given} is already that of shot {numbers[given]}; leave the numbers out"
        )
    if given is not None and given != number:
        raise StoryError(
            f"{where}: number {given} stands in place {number}; leave the numbers out, or put them in order"
        )
    numbers[number] = number
    pins: list[int] = []
    for pin in fields.list("pins", MAX_SHOTS):
        value = integer_of(pin, f"{where}: a pin", 1, MAX_SHOTS)
        if value >= number:
            hint = f"pin a shot from 1 to {number - 1}" if number > 1 else "the first shot has none to pin"
            raise StoryError(f"{where}: pins {value}, which is not an earlier shot; {hint}")
        if value in pins:
            raise StoryError(f"{where}: pins shot {value} twice; keep one")
        pins.append(value)
    return Shot(
        caption=caption,
        seconds=fields.number("seconds", MIN_SECONDS, MAX_SECONDS, default=DEFAULT_SECONDS, unit="seconds"),
        camera=fields.choice("camera", CAMERAS),
        framing=fields.choice("framing", FRAMINGS),
        pins=tuple(pins),
        seed=fields.integer("seed", 0, MAX_SEED),
        scene=fields.text("scene", MAX_NAME * 2),
    )


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
        for key in ("framing", "camera"):
            if getattr(shot, key):
                fields[key] = getattr(shot, key)
        if shot.seed is not None:
            fields["seed"] = shot.seed
        yield fields


def _pins_line(shot: Shot) -> str:
    return f"  pins: [{', '.join(map(str, shot.pins))}]\n" if shot.pins else ""
