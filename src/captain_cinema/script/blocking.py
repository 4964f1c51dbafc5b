"""Blocking: where each character stands, for the shots whose caption does not say.

A model that was trained on captions which say it draws a character without a place in two places at once. So
the prompt says it; the script, which is the user's, does not change.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from captain_cinema.script.names import TAG, name_key

WORDS = {"left": "on the left", "centre": "in the centre", "right": "on the right"}
ROWS = {1: ("centre",), 2: ("left", "right"), 3: ("left", "centre", "right")}
"""Where one, two and three characters stand; more do not fit side by side and are left to the model."""

_PLACE = re.compile(r"(?i)\b(?:on|at|in) the (?:far )?(left|right|cent(?:re|er)|middle)\b")
_DIRECTION = re.compile(r"(?i)\b(left|right)\b")
_SENTENCE_END = re.compile(r"[.!?。！？](?=\s|$)")
_OPPOSITE = {"left": "right", "right": "left"}


def with_blocking(caption: str, cast: Sequence[str]) -> str:
    """The caption, with a place after the tag of every character that it gives none.

    Who walks left comes from the right, or from the centre if somebody stands there. Otherwise characters
    stand in the order of the cast, so that two of them keep their sides from shot to shot, and one alone
    stands in the centre.

    Args:
        caption: with `<Name>` tags.
        cast: names in the film's order.
    """
    clauses = _clauses(caption)
    count = len(clauses)
    if count not in ROWS:
        return caption
    places = {key: place for key, (_, text) in clauses.items() if (place := _place_in(text))}
    wanted = {key: _comes_from(text) for key, (_, text) in clauses.items() if key not in places}
    known = [name_key(name) for name in cast]
    order = sorted(wanted, key=lambda key: known.index(key) if key in known else len(known))
    # Directions first: who stands still can give way.
    for key in sorted(order, key=lambda key: not wanted[key]):
        best = (wanted[key], "centre") if wanted[key] else ROWS[count]
        free = [place for place in (*best, *WORDS) if place not in places.values()]
        if free:
            places[key] = free[0]
    said = caption
    for key in sorted(wanted, key=lambda key: clauses[key][0], reverse=True):
        if key in places:
            at = clauses[key][0]
            comma = "" if not said[at:] or said[at] in ",.;:!?)。，" else ","
            said = f"{said[:at]}, {WORDS[places[key]]}{comma}{said[at:]}"
    return said


def _clauses(caption: str) -> dict[str, tuple[int, str]]:
    """Of every character: where its first tag ends, and what is said of it there.

    That is the text up to the next tag or the end of the sentence, and for the first one of a sentence also
    what stands before it. A possessive ("<Mara>'s lantern") shows no character.
    """
    found: dict[str, tuple[int, str]] = {}
    tags = [m for m in TAG.finditer(caption) if caption[m.end() : m.end() + 2] not in ("'s", "’s")]
    ends = [m.end() for m in _SENTENCE_END.finditer(caption)] + [len(caption)]
    for index, tag in enumerate(tags):
        end = next(e for e in ends if e >= tag.end())
        start = max([0, *(e for e in ends if e <= tag.start())])
        first = index == 0 or tags[index - 1].start() < start
        until = min(end, tags[index + 1].start()) if index + 1 < len(tags) else end
        before = caption[start : tag.start()] if first else ""
        found.setdefault(name_key(tag[1]), (tag.end(), before + caption[tag.end() : until]))
    return found


def _place_in(text: str) -> str:
    found = _PLACE.search(text)
    if not found:
        return ""
    word = found[1].lower()
    return word if word in WORDS else "centre"


def _comes_from(text: str) -> str:
    """Where somebody starts who goes left or right; "" for others."""
    found = _DIRECTION.search(text)
    return _OPPOSITE[found[1].lower()] if found else ""
