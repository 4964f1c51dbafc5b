"""Cast, shots and the script they make: plain data, and the words that the models read of it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from captain_cinema.script.blocking import with_blocking
from captain_cinema.script.names import keys_in, name_key

FRAMINGS = ("wide", "medium", "close-up")
CAMERAS = ("static", "pan left", "pan right", "push in")
TRANSITIONS = ("cut", "cross-fade", "fade")
"""How a shot begins: at once, out of the shot before, or out of black. A plain cut unless the script says."""

MIN_SECONDS, MAX_SECONDS = 1.0, 60.0
DEFAULT_SECONDS = 2.0
MAX_HANDLES = 10.0
MIN_TRANSITION, MAX_TRANSITION, DEFAULT_TRANSITION = 0.1, 5.0, 0.5
MIN_SIDE, MAX_SIDE = 16, 4096
MAX_PATH = 400
MAX_SEED = 2**63 - 1
MAX_SHOTS = 20_000
MAX_CAST = 1_000
MAX_CAPTION = 4_000
MAX_NAME = 100

_SLUG = re.compile(r"(?i)^(?:int\.?/ext|ext\.?/int|i/e|int|ext|est)[. ]\s*(.*)$")
_NUMBERED = re.compile(
    r"(?i)^(?:scene|chapter|act|part)\s+(?:\d+|[ivxlc]+|one|two|three|four|five)\b[\s:.,–—-]*"
)
_LITTLE = re.compile(r"\b(?:the|a|an|in|at|on|by|of)\b|[^\w\s]")
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
    last_keyframe: str = ""
    """A picture in the film's folder that the shot ends on; a backend has to be able to."""
    sound: str = ""
    """What is heard, in words; a backend has to be able to make it."""
    handles: float = 0.0
    """Seconds filmed beyond the shot's end: not in the film, but there to trim with."""
    transition: str = ""
    """How the shot begins: "" (a cut), or one of TRANSITIONS."""
    transition_seconds: float = DEFAULT_TRANSITION
    """How long a cross-fade or fade takes."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A whole film in words."""

    title: str
    caption: str
    """What holds for the whole film: style, period, mood."""
    cast: tuple[CastMember, ...]
    shots: tuple[Shot, ...]
    size: tuple[int, int] | None = None
    """Height and width of the shots; None leaves it to the backend."""
    ending: str = ""
    """"fade" lets the film end in black."""


def shot_prompt(script: Script, number: int, *, complete: bool = False, blocking: bool = False) -> str:
    """What the models read for shot `number` (from 1): the caption, where it plays, how it is framed.

    The look of a cast member that is described in the cast list is told at its first appearance and not again
    (design section 6): later the visual memory carries it. With `complete`, for models that were not tuned to
    look names up in a memory, every look is told every time, and the film's own caption after all else. With
    `blocking`, for models that learnt from captions which say where everybody stands, so does the prompt.
    """
    if not 1 <= number <= len(script.shots):
        raise ValueError(f"shot {number} of a script of {len(script.shots)}")
    shot = script.shots[number - 1]
    here = keys_in(shot.caption)
    looks = []
    for member in script.cast:
        key = name_key(member.name)
        if not member.description or key not in here:
            continue
        before = script.shots[: number - 1]
        if complete or not any(key in keys_in(earlier.caption) for earlier in before):
            looks.append(f"<{member.name}> is {member.description.rstrip(' .')}.")
    view = [
        f"{shot.framing} shot" if shot.framing in ("wide", "medium") else shot.framing,
        _camera_words(shot),
    ]
    caption = shot.caption.strip()
    if blocking:
        caption = with_blocking(caption, [member.name for member in script.cast])
    parts = [*looks, _heading_words(shot), caption, ", ".join(filter(None, view))]
    parts += [script.caption.strip()] if complete else []
    return " ".join(_sentence(part) for part in parts if part)


def filmed_seconds(script: Script, number: int) -> float:
    """How long shot `number` (from 1) is filmed: its length, and its handles or what the next shot's
    cross-fade takes of it, whichever is longer.
    """
    shot = script.shots[number - 1]
    following = script.shots[number] if number < len(script.shots) else None
    overlap = following.transition_seconds if following and following.transition == "cross-fade" else 0.0
    return shot.seconds + max(shot.handles, overlap)


def _camera_words(shot: Shot) -> str:
    if shot.camera.startswith("pan "):
        return f"the camera pans {shot.camera.removeprefix('pan ')}"
    return "the camera pushes in" if shot.camera == "push in" else ""


def _sentence(text: str) -> str:
    ended = unicodedata.category(text[-1]).startswith("P")
    return text[0].upper() + text[1:] + ("" if ended else ".")


def _heading_words(shot: Shot) -> str:
    """Where and when, of a heading: "library, night" of "INT. LIBRARY - NIGHT", nothing of "Chapter 2".

    A caption that says it all itself needs no heading.
    """
    slug = _SLUG.match(shot.scene)
    words = re.sub(r"\s+[-–—]+\s+", ", ", slug[1]).lower() if slug else _NUMBERED.sub("", shot.scene)
    said = set(re.findall(r"\w+", shot.caption.casefold()))
    return "" if said.issuperset(_LITTLE.sub(" ", words.casefold()).split()) else words


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
