"""The script: title, cast and shots, what passes from the writer to the storyboard (design sections 7 and 8).

A script is plain data. On disk it is `script.yaml`, written to be read and edited by hand; what comes back
from that file is trusted with nothing: every fault is a one-line StoryError that names the line and the shot.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import StoryError
from captain_cinema.reading import Fields, Item, Scalar, integer_of, one_line, read_text, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

FRAMINGS = ("wide", "medium", "close-up")
CAMERAS = ("static", "pan left", "pan right", "push in")

MIN_SECONDS, MAX_SECONDS = 1.0, 60.0
DEFAULT_SECONDS = 2.0
MAX_SEED = 2**63 - 1
MAX_SHOTS = 20_000
MAX_CAST = 1_000
MAX_CAPTION = 4_000
MAX_NAME = 100

_TAG = re.compile(r"<([^<>\n]{1,100})>")
_SPACES = re.compile(r"\s+")
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, kw_only=True)
class CastMember:
    """Somebody with a name; `description` is the look, if it is not told in the captions."""

    name: str
    description: str = ""


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What is between two cuts. Numbers of shots count from 1."""

    caption: str
    """The user's own words, with `<Name>` tags around the names of the cast."""
    seconds: float = DEFAULT_SECONDS
    """1 to 60; what a backend can do may be narrower."""
    camera: str = ""
    """"" (free), or one of CAMERAS."""
    framing: str = ""
    """"" (free), or one of FRAMINGS."""
    pins: tuple[int, ...] = ()
    """Numbers of earlier shots forced into the visual memory."""
    seed: int | None = None
    scene: str = ""
    """The heading of the scene, if the story has any."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A whole film in words."""

    title: str
    caption: str
    """What holds for the whole film: style, period, mood."""
    cast: tuple[CastMember, ...]
    shots: tuple[Shot, ...]


def name_key(name: str) -> str:
    """The form in which two names are the same: NFKC, without case, single spaces."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def names_in(caption: str) -> tuple[str, ...]:
    """The names tagged in a caption, as written, each once, in order."""
    return tuple({name_key(name): name.strip() for name in reversed(_TAG.findall(caption))}.values())[::-1]


@lru_cache(maxsize=65_536)
def _keys_in(caption: str) -> frozenset[str]:
    return frozenset(name_key(name) for name in _TAG.findall(caption))


def shot_prompt(script: Script, number: int) -> str:
    """What the models read for shot `number` (from 1): the caption, where it plays, how it is framed.

    The look of a cast member that is described in the cast list is told at its first appearance and not again
    (design section 6): later the visual memory carries it.
    """
    if not 1 <= number <= len(script.shots):
        raise ValueError(f"shot {number} of a script of {len(script.shots)}")
    shot = script.shots[number - 1]
    here = _keys_in(shot.caption)
    looks = []
    for member in script.cast:
        key = name_key(member.name)
        if not member.description or key not in here:
            continue
        if not any(key in _keys_in(earlier.caption) for earlier in script.shots[: number - 1]):
            looks.append(f"<{member.name}> is {member.description.rstrip(' .')}.")
    parts = [_heading_words(shot.scene), *looks, shot.caption.strip()]
    view = [
        f"{shot.framing} shot" if shot.framing in ("wide", "medium") else shot.framing,
        _camera_words(shot),
    ]
    parts.append(", ".join(words for words in view if words))
    return " ".join(_sentence(part) for part in parts if part)


def _camera_words(shot: Shot) -> str:
    if shot.camera.startswith("pan "):
        return f"the camera pans {shot.camera.removeprefix('pan ')}"
    return "the camera pushes in" if shot.camera == "push in" else ""


def _sentence(text: str) -> str:
    return text if unicodedata.category(text[-1]).startswith("P") or text[-1] == ">" else text + "."


def _heading_words(scene: str) -> str:
    """A screenplay's "INT. LIBRARY - NIGHT" as words a text encoder knows: "library, night"."""
    slug = re.match(r"(?i)^(?:int\.?/ext\.?|i/e\.?|int\.?|ext\.?|est\.?)\s+(.*)$", scene)
    return slug[1].lower().replace(" - ", ", ") if slug else scene


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
    name = _SPACES.sub(" ", fields.text("name", MAX_NAME, written=True).strip(" "))
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


def check_name(name: str) -> str | None:
    """Why `name` cannot be the name of a cast member, or None."""
    if not name.strip():
        return "is empty"
    if len(name) > MAX_NAME:
        return f"is longer than {MAX_NAME} characters"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") or char in _BIDI_CONTROLS for char in name):
        return "holds a control character"
    if set(name) & {"<", ">"}:
        return "holds < or >, which mark names in captions"
    return None


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
