"""What exists in the playhouse: looks, characters, settings, cameras, actions, props, the state of one frame.

Everything here is plain data. `figures`, `settings` and `render` draw it, `story` composes films of it and
`captions` says it in words. Lengths are in frame heights unless said otherwise: x runs from 0 (left edge) to
2 (right edge) of a 2:1 frame, y from 0 (top) to 1 (bottom).
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("fox", "cat", "bear", "rabbit", "mouse", "frog", "girl", "boy", "woman", "man")
"""What a character is. The first six are animals (fur colour), the others people (skin and hair colour)."""

ANIMALS, PEOPLE = KINDS[:6], KINDS[6:]

FUR_COLOURS = ("orange", "grey", "brown", "white", "black", "golden", "pink", "blue")
"""Fur of animals (a frog's skin too)."""

SKIN_COLOURS = ("pale", "light", "tan", "brown", "dark")
HAIR_COLOURS = ("black", "brown", "red", "blond", "white", "blue")
HAIR_STYLES = ("short", "long", "curly", "bun")

COAT_COLOURS = (
    "red",
    "orange",
    "yellow",
    "green",
    "teal",
    "blue",
    "purple",
    "pink",
    "white",
    "black",
    "brown",
)
COAT_STYLES = ("coat", "dress", "jacket", "robe", "sweater")

HATS = ("none", "cap", "top hat", "beanie", "straw hat", "crown")
HAT_COLOURS = ("red", "yellow", "green", "blue", "purple", "white", "black")

ACCESSORIES = ("none", "scarf", "glasses", "bow tie", "backpack", "necklace")
ACCESSORY_COLOURS = HAT_COLOURS

HEIGHTS = ("short", "medium", "tall")

SETTINGS = (
    "forest",
    "beach",
    "street",
    "kitchen",
    "castle hall",
    "mountains",
    "meadow",
    "harbour",
    "library",
    "desert",
    "snowfield",
    "cave",
    "market",
    "train station",
    "rooftop",
    "bedroom",
)
INDOORS = ("kitchen", "castle hall", "library", "cave", "bedroom")
HOURS = ("morning", "day", "sunset", "night")
WEATHERS = ("clear", "rain", "snow", "fog")
"""Weather is drawn outdoors only; indoors it is always "clear"."""

FRAMINGS = ("wide", "medium", "close-up")
CAMERAS = ("static", "pan left", "pan right", "push in")

ACTIONS = (
    "stand",
    "walk left",
    "walk right",
    "run left",
    "run right",
    "wave",
    "jump",
    "sit down",
    "dance",
    "bow",
    "nod",
    "clap",
    "look around",
    "fall asleep",
)
"""What a character does during a shot; every one but "stand" moves visibly within two seconds."""

TRAVELLING = ("walk left", "walk right", "run left", "run right")
"""Actions that carry the character across the frame."""

PROPS = ("lantern", "umbrella", "book", "ball", "balloon", "flower", "suitcase", "kite")
"""Things: held in a character's hand, or standing on the ground."""

PLACES = ("left", "centre", "right")


@dataclass(frozen=True, kw_only=True)
class Look:
    """How a character looks; it never changes within a film.

    `skin` is a fur colour for animals and a skin colour for people; `hair` and `hair_style` are "none" for
    animals. `hat_colour` is "none" when `hat` is, `accessory_colour` likewise.
    """

    kind: str
    skin: str
    hair: str
    hair_style: str
    coat: str
    coat_colour: str
    hat: str
    hat_colour: str
    accessory: str
    accessory_colour: str
    height: str


@dataclass(frozen=True, kw_only=True)
class Character:
    """A named member of a film's cast."""

    name: str
    look: Look


@dataclass(frozen=True, kw_only=True)
class Place:
    """A scene's location: the same `variant` is the same layout and palette whenever it comes back."""

    setting: str
    variant: int
    """Seed of the layout (trees, furniture, tints), 0 to 2**31 - 1."""


@dataclass(frozen=True, kw_only=True)
class Pose:
    """One character in one frame."""

    character: Character
    action: str
    """One of ACTIONS."""
    phase: float
    """Seconds since the shot began: motion is a function of it."""
    x: float
    """Where the feet stand at phase 0: 0 the left edge, 2 the right edge of the uncropped wide stage."""
    facing: int
    """-1 left, +1 right."""
    holds: str = "none"
    """A prop in hand, or "none"."""


@dataclass(frozen=True, kw_only=True)
class PropPose:
    """A prop that stands on the ground."""

    prop: str
    x: float


@dataclass(frozen=True, kw_only=True)
class FrameState:
    """All there is to know about one frame; the renderer is a pure function of it."""

    place: Place
    hour: str
    weather: str
    framing: str
    camera: str
    seconds: float
    """Time since the shot began; drives the camera move, weather and motion."""
    duration: float
    """Length of the shot in seconds; camera moves are spread over it."""
    poses: tuple[Pose, ...]
    """Back to front."""
    props: tuple[PropPose, ...] = ()
