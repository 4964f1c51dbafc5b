"""What a shot shows, in words, as in the paper's appendix B: setting, framing, who does what where.

Characters are `<Name>` tags. What is said of a character follows its tag in the same sentence, because
that is how the text encoder knows whom a phrase is about. A look is told once, at the first appearance.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from captain_cinema.playhouse.names import pick
from captain_cinema.playhouse.world import Character, FrameState, Place, Pose

SYNONYM_SHARE = 0.2
"""How often a caption says a thing in other words than the playhouse's own."""

SETTING_WORDS: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "forest": ("in", ("forest",), ("woods", "wood", "among the trees")),
    "beach": ("on", ("beach",), ("at the seaside", "seashore", "sandy shore")),
    "street": ("on", ("street",), ("town street", "city street", "road in town")),
    "kitchen": ("in", ("kitchen",), ("cosy kitchen", "cook's kitchen")),
    "castle hall": ("in", ("castle hall",), ("castle", "great hall", "throne room")),
    "mountains": ("in", ("mountains",), ("hills", "high peaks", "alps")),
    "meadow": ("in", ("meadow",), ("field", "grassy field", "pasture")),
    "harbour": ("at", ("harbour",), ("harbor", "port", "docks")),
    "library": ("in", ("library",), ("reading room", "old library", "among the bookshelves")),
    "desert": ("in", ("desert",), ("sand dunes", "dunes", "sandy desert")),
    "snowfield": ("on", ("snowfield",), ("snowy plain", "in the snowy field", "frozen plain")),
    "cave": ("in", ("cave",), ("cavern", "grotto", "rocky cave")),
    "market": ("at", ("market",), ("bazaar", "market square", "among the market stalls")),
    "train station": ("at", ("train station",), ("railway station", "station platform", "railway platform")),
    "rooftop": ("on", ("rooftop",), ("roof", "roof terrace", "rooftops")),
    "bedroom": ("in", ("bedroom",), ("small bedroom", "sleeping chamber", "bed chamber")),
}
"""Preposition, the playhouse's own words, and others; "among the ..." brings its own preposition."""

HOUR_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "morning": (("in the morning", "in the early morning"), ("at dawn", "at sunrise", "at daybreak")),
    "day": (("by day", "during the day"), ("at noon", "in the afternoon", "in daylight")),
    "sunset": (("at sunset",), ("at dusk", "in the evening", "at twilight")),
    "night": (("at night", "by night"), ("at midnight", "under the moon", "late at night")),
}
HOUR_ADJECTIVES = {
    "morning": ("morning", "early morning"),
    "day": ("daytime", "sunlit"),
    "sunset": ("sunset", "evening"),
    "night": ("moonlit", "night"),
}
WEATHER_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "rain": (("in the rain", "in heavy rain"), ("in a downpour", "in a rainstorm")),
    "snow": (("in falling snow", "with snow falling"), ("in a snowfall", "in drifting snowflakes")),
    "fog": (("in the fog", "in thick fog"), ("in mist", "in the haze")),
}
WEATHER_ADJECTIVES = {"rain": "rainy", "snow": "snowy", "fog": "foggy"}

ACTION_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "stand": (("stands", "stands still"), ("waits", "stands quietly")),
    "walk left": (("walks left",), ("strolls left", "wanders left")),
    "walk right": (("walks right",), ("strolls right", "wanders right")),
    "run left": (("runs left",), ("sprints left", "dashes left")),
    "run right": (("runs right",), ("sprints right", "dashes right")),
    "wave": (("waves", "waves hello"), ("waves a hand", "greets with a wave")),
    "jump": (("jumps", "jumps high"), ("leaps up", "hops")),
    "sit down": (("sits down",), ("takes a seat", "sits on the ground")),
    "dance": (("dances", "dances happily"), ("does a dance", "twirls")),
    "bow": (("bows", "bows deeply"), ("takes a bow", "bows politely")),
    "nod": (("nods", "nods gently"), ("nods in agreement", "gives a nod")),
    "clap": (("claps", "claps hands"), ("applauds", "claps with joy")),
    "look around": (("looks around",), ("gazes around", "glances around")),
    "fall asleep": (("falls asleep",), ("dozes off", "drifts off to sleep")),
}
PLACEMENT_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "left": (("on the left",), ("at the left", "on the left side")),
    "centre": (("in the centre",), ("in the middle", "at the center")),
    "right": (("on the right",), ("at the right", "on the right side")),
}
FRAMING_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "wide": (("wide shot",), ("long shot", "full shot")),
    "medium": (("medium shot",), ("mid shot", "waist shot")),
    "close-up": (("close-up",), ("close shot", "close-up shot")),
}
FRAMING_SAID = {"wide": 0.6, "medium": 0.9, "close-up": 1.0}
CAMERA_WORDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "pan left": (("the camera pans left", "pan left"), ("slow pan left", "the camera turns left")),
    "pan right": (("the camera pans right", "pan right"), ("slow pan right", "the camera turns right")),
    "push in": (("the camera pushes in", "slow push in"), ("the camera moves closer", "the camera zooms in")),
}
PROP_POSTURES = ("stands", "lies", "is")

_LOOK, _VIEW = "\0{}\0", "\1{}\1"
"""Marks around what some versions of a caption leave out."""
_SENTENCE_START = re.compile(r"(?:^|(?<=[.] ))[a-z]")
_LOOK_MARK, _VIEW_MARK = re.compile("\0([^\0]*)\0"), re.compile("\1([^\1]*)\1")


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What a caption must know besides the frame."""

    placements: tuple[str, ...]
    """Of each pose: left, centre or right."""
    prop_placements: tuple[str, ...]
    looks: Mapping[str, str]
    """Descriptions of the characters that appear for the first time."""
    same_as_last: bool
    """Whether the shot before plays in the same scene: hour and weather may then go unsaid."""
    returns: str
    """"" (a scene's first visit or its continuation), "back" (it returns), "flashback"."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """A shot's caption in three versions."""

    caption: str
    """With the looks of those who appear for the first time."""
    bare: str
    """The same without looks."""
    plain: str
    """Without looks, framing and camera: what a script says of a shot whose fields hold these."""


def say(words: tuple[tuple[str, ...], tuple[str, ...]], rng: np.random.Generator) -> str:
    """One of the usual wordings or, now and then, another."""
    return pick(rng, words[1] if rng.random() < SYNONYM_SHARE else words[0])


def shot_caption(state: FrameState, telling: Telling, rng: np.random.Generator) -> Said:
    """The caption of a shot's first frame, one to three short sentences.

    Args:
        state: The frame.
        telling: What the caption tells or may leave out.
        rng: Chooses the wordings.
    """
    where = _where(state, telling, rng)
    views = _view(state, rng)
    clauses = [
        _clause(pose, placement, telling.looks.get(pose.character.name), rng, alone=len(state.poses) == 1)
        for pose, placement in zip(state.poses, telling.placements, strict=True)
    ]
    if rng.random() < 0.25:
        clauses.reverse()
    things = [
        f"{_a(prop.prop)} {pick(rng, PROP_POSTURES)} {say(PLACEMENT_WORDS[placement], rng)}"
        for prop, placement in zip(state.props, telling.prop_placements, strict=True)
    ]
    told = "; ".join(clauses) if rng.random() < 0.6 else ". ".join(clauses)
    sentences = [_sentence(text) for text in (*_opening(where, told, rng), *things)]
    if views and rng.random() < 0.4:
        sentences.insert(0, _VIEW.format(_sentence(views.pop(0))))
    if views:
        sentences.append(_VIEW.format(_sentence(", ".join(views))))
    prologue = "".join(
        _LOOK.format(f"<{name}> is {look}. ")
        for name, look in telling.looks.items()
        if not any(f", {look}," in clause or f" ({look})" in clause for clause in clauses)
    )
    return _finish(prologue + " ".join(sentences))


def _opening(where: str, told: str, rng: np.random.Generator) -> list[str]:
    """Where and who, joined in one of the ways people write it."""
    if where.endswith("."):
        return [where, told or "nobody is there"]
    if not told:
        empty = rng.random()
        if empty < 0.4:
            return [f"{where}, nobody is there"]
        return [f"an empty view {where}" if empty < 0.6 else f"{where}, an establishing shot"]
    form = rng.random()
    if form < 0.6:
        return [f"{where}, {told}"]
    if form < 0.85 or told.count("<") > 1:
        return [where, told]
    return [f"{told}{', ' if where.startswith('back ') else ' '}{where}"]


def _finish(template: str) -> Said:
    template = template.strip()
    bare = _LOOK_MARK.sub("", template)
    return Said(
        caption=_tidy(template.replace("\0", "").replace("\1", "")),
        bare=_tidy(bare.replace("\1", "")),
        plain=_tidy(_VIEW_MARK.sub("", bare).strip()),
    )


def _tidy(text: str) -> str:
    return _SENTENCE_START.sub(lambda match: match[0].upper(), text)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else text + "."


def place_words(place: Place, rng: np.random.Generator) -> tuple[str, str]:
    """A preposition and the words for a place: ("in", "the forest")."""
    preposition, own, others = SETTING_WORDS[place.setting]
    words = pick(rng, others if rng.random() < SYNONYM_SHARE else own)
    own_preposition, the, rest = words.partition(" the ")
    return (own_preposition, "the " + rest) if the else (preposition, "the " + words)


def _where(state: FrameState, telling: Telling, rng: np.random.Generator) -> str:
    preposition, place = place_words(state.place, rng)
    hour_said = not telling.same_as_last or rng.random() < 0.65
    weather_said = state.weather != "clear" and (not telling.same_as_last or rng.random() < 0.65)
    if hour_said and not weather_said and not telling.returns and rng.random() < 0.08:
        return f"{place.removeprefix('the ')}, {state.hour}."  # a screenplay's heading
    parts = []
    plain = place.count(" ") == 1  # room for one adjective: phrases of the text encoder hold three words
    if hour_said and plain and rng.random() < 0.3:
        place, plain = f"the {pick(rng, HOUR_ADJECTIVES[state.hour])} {place.removeprefix('the ')}", False
    elif hour_said:
        parts.append(say(HOUR_WORDS[state.hour], rng))
    if weather_said and plain and rng.random() < 0.4:
        place = f"the {WEATHER_ADJECTIVES[state.weather]} {place.removeprefix('the ')}"
    elif weather_said:
        parts.append(say(WEATHER_WORDS[state.weather], rng))
    where = f"{preposition} {place}"
    if telling.returns == "back" and rng.random() < 0.6:
        where = f"back {where}"
    elif telling.returns == "flashback" and rng.random() < 0.85:
        where = f"in a {pick(rng, ('flashback', 'memory'))} of {place}"
    elif len(parts) == 1 and rng.random() < 0.2:
        return f"{parts[0]}, {where}"
    return " ".join([where, ", ".join(parts)]).strip()


def _view(state: FrameState, rng: np.random.Generator) -> list[str]:
    views = []
    if rng.random() < FRAMING_SAID[state.framing]:
        views.append(say(FRAMING_WORDS[state.framing], rng))
    if state.camera != "static":
        views.append(say(CAMERA_WORDS[state.camera], rng))
    return views


def _clause(pose: Pose, placement: str, look: str | None, rng: np.random.Generator, *, alone: bool) -> str:
    clause = f"<{pose.character.name}>"
    if look is not None:
        form = rng.random()
        if form < 0.55:
            clause += _LOOK.format(f", {look},")
        elif form < 0.7:
            clause += _LOOK.format(f" ({look})")
    clause += " " + say(ACTION_WORDS[pose.action], rng)
    held = ""
    if pose.holds != "none":
        held = pick(rng, (", holding {}", " with {}", " and holds {}", ", carrying {}")).format(
            _a(pose.holds)
        )
    where = f"{pick(rng, (' ', ' ', ', '))}{say(PLACEMENT_WORDS[placement], rng)}"
    if alone and rng.random() < 0.15:
        where = ""
    return clause + (held + where if rng.random() < 0.6 else where + held)


def film_caption(cast: Sequence[Character], places: Sequence[Place], rng: np.random.Generator) -> str:
    """What holds for the whole film: who and where, without looks."""
    who = listed([f"<{member.name}>" for member in cast])
    where = listed(list(dict.fromkeys(" ".join(place_words(place, rng)) for place in places)))
    forms = (
        f"A film about {who}, {where}.",
        f"The story of {who}. It plays {where}.",
        f"{who}: a short film {where}.",
        f"Cut-paper animation about {who}, {where}.",
    )
    return pick(rng, forms)


def film_title(cast: Sequence[Character], places: Sequence[Place], rng: np.random.Generator) -> str:
    """A title made of the first characters, the first place, or both."""
    setting = places[0].setting.title()
    lead = cast[0].name
    forms = [f"{lead} and the {setting}", f"The {setting}", f"The Story of {lead}", f"{lead}, Back Again"]
    if len(cast) > 1:
        forms += [f"{lead} and {cast[1].name}", f"{lead} Meets {cast[1].name}"]
    return pick(rng, forms)


def _a(thing: str) -> str:
    return ("an " if thing[0] in "aeiou" else "a ") + thing


def listed(things: Sequence[str]) -> str:
    """ "a", "a and b", "a, b and c"."""
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
