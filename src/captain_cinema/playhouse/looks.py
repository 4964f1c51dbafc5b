"""Looks of the playhouse's characters: drawing one at random, counting them all, saying one in words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from captain_cinema.playhouse.names import check_split, pick, random_name, split_of
from captain_cinema.playhouse.world import (
    ACCESSORIES,
    ACCESSORY_COLOURS,
    ANIMALS,
    COAT_COLOURS,
    COAT_STYLES,
    FUR_COLOURS,
    HAIR_COLOURS,
    HAIR_STYLES,
    HAT_COLOURS,
    HATS,
    HEIGHTS,
    KINDS,
    SKIN_COLOURS,
    Look,
)

__all__ = [
    "count_looks",
    "describe",
    "look_words",
    "random_look",
    "random_name",
    "split_of_look",
    "very_different",
]

BARE_HEAD = 0.3
"""Share of looks without a hat."""
NO_ACCESSORY = 0.4

_PAIRS = ("glasses",)
"""Worn things that take no article."""


def count_looks() -> int:
    """How many distinct looks there are, both splits together."""
    people = len(KINDS) - len(ANIMALS)
    bodies = len(ANIMALS) * len(FUR_COLOURS) + people * len(SKIN_COLOURS) * len(HAIR_COLOURS) * len(
        HAIR_STYLES
    )
    hats = 1 + (len(HATS) - 1) * len(HAT_COLOURS)
    accessories = 1 + (len(ACCESSORIES) - 1) * len(ACCESSORY_COLOURS)
    return bodies * len(COAT_STYLES) * len(COAT_COLOURS) * hats * accessories * len(HEIGHTS)


def split_of_look(look: Look) -> str:
    """The split of a look: a stable hash of all that can be seen of it."""
    seen = (look.kind, look.skin, look.hair, look.hair_style, look.coat, look.coat_colour, look.hat)
    return split_of(
        "look:" + "/".join((*seen, look.hat_colour, look.accessory, look.accessory_colour, look.height))
    )


def random_look(rng: np.random.Generator, *, split: str) -> Look:
    """A look of the split.

    Args:
        rng: Where the choices come from.
        split: "train" or "held-out".
    """
    check_split(split)
    while True:
        look = _any_look(rng)
        if split_of_look(look) == split:
            return look


def _any_look(rng: np.random.Generator) -> Look:
    kind = pick(rng, KINDS)
    animal = kind in ANIMALS
    hat = "none" if rng.random() < BARE_HEAD else pick(rng, HATS[1:])
    accessory = "none" if rng.random() < NO_ACCESSORY else pick(rng, ACCESSORIES[1:])
    return Look(
        kind=kind,
        skin=pick(rng, FUR_COLOURS if animal else SKIN_COLOURS),
        hair="none" if animal else pick(rng, HAIR_COLOURS),
        hair_style="none" if animal else pick(rng, HAIR_STYLES),
        coat=pick(rng, COAT_STYLES),
        coat_colour=pick(rng, COAT_COLOURS),
        hat=hat,
        hat_colour="none" if hat == "none" else pick(rng, HAT_COLOURS),
        accessory=accessory,
        accessory_colour="none" if accessory == "none" else pick(rng, ACCESSORY_COLOURS),
        height=pick(rng, HEIGHTS),
    )


def very_different(first: Look, second: Look) -> bool:
    """Whether nobody would take one for the other: another coat colour, and another kind, fur or hair."""
    fur = [look.skin if look.kind in ANIMALS else look.hair for look in (first, second)]
    return first.coat_colour != second.coat_colour and (first.kind != second.kind or fur[0] != fur[1])


def describe(look: Look, rng: np.random.Generator) -> str:
    """A look in words, all of it, in one of several phrasings: "a tall fox with orange fur, in a red coat".

    Only what is ordinary goes unsaid: a medium height, no hat, no accessory.
    """
    garments = _garments(look)
    if rng.random() < 0.3:
        garments = [*garments[1:], garments[0]]
    body, parts = _body(look, rng)
    form = rng.random()
    if form < 0.25 and parts:
        return f"{body} with {_listed([*parts, *garments])}"
    whole = f"{body} with {_listed(parts)}, " if parts else f"{body} "
    return whole + pick(rng, ("wearing ", "in ", "dressed in ")) + _listed(garments)


def _body(look: Look, rng: np.random.Generator) -> tuple[str, list[str]]:
    height = "" if look.height == "medium" else f"{look.height} "
    if look.kind in ANIMALS:
        if rng.random() < 0.4:
            return _with_article(f"{height}{look.skin} {look.kind}"), []
        return _with_article(height + look.kind), [f"{look.skin} {'skin' if look.kind == 'frog' else 'fur'}"]
    hair = f"{look.hair} hair in a bun" if look.hair_style == "bun" else f"{look.hair_style} {look.hair} hair"
    parts = [hair, f"{look.skin} skin"]
    return _with_article(height + look.kind), parts if rng.random() < 0.5 else parts[::-1]


def _garments(look: Look) -> list[str]:
    worn = [_with_article(f"{look.coat_colour} {look.coat}")]
    if look.hat != "none":
        worn.append(_with_article(f"{look.hat_colour} {look.hat}"))
    if look.accessory in _PAIRS:
        worn.append(f"{look.accessory_colour} {look.accessory}")
    elif look.accessory != "none":
        worn.append(_with_article(f"{look.accessory_colour} {look.accessory}"))
    return worn


def look_words(look: Look) -> frozenset[str]:
    """The words that tell a look: what a caption after the first appearance must not say."""
    said = {
        look.kind,
        look.skin,
        look.hair,
        look.coat,
        look.coat_colour,
        look.hat,
        look.hat_colour,
        look.accessory,
    }
    return frozenset(said | {look.accessory_colour}) - {"none"}


def _with_article(words: str) -> str:
    return ("an " if words[0] in "aeiou" else "a ") + words


def _listed(things: Sequence[str]) -> str:
    return things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
