"""Framing, camera and length of a shot where the story does not say: fixed rules, always the same answer."""

from __future__ import annotations

import re
import unicodedata

from captain_cinema.script import DEFAULT_SECONDS, names_in

LONGEST = 3.5
"""Seconds; a longer shot is the user's to ask for."""

_CLOSE = re.compile(
    r"\b(?:close[- ]?ups?|(?:his|her|their|its|'s|’s) (?:face|eyes?|hands?|lips|mouth)|tears?|whispers?|"
    r"blinks?|winks?|frowns?|smiles? (?:softly|sadly|gently|shyly))\b",
    re.IGNORECASE,
)
_WIDE = re.compile(
    r"\b(?:wide|long shot|establishing|from afar|far away|in the distance|on the horizon|panorama|"
    r"landscape|crowds?)\b",
    re.IGNORECASE,
)
_MEDIUM = re.compile(r"\bmedium\b", re.IGNORECASE)
_CLOSE_SHOT = re.compile(r"\bclose[- ]?ups?\b", re.IGNORECASE)
_PAN = re.compile(r"\bpan(?:s|ning)?(?: (?:to the|slowly))? (left|right)\b", re.IGNORECASE)
_PUSH = re.compile(r"\b(?:push(?:es|ing)? in|zoom(?:s|ing)? in|dolly in|dollies in)\b", re.IGNORECASE)


def framing(caption: str, *, opens_scene: bool, speech: bool = False) -> str:
    """Wide to open a scene, close for faces and speech, wide for a crowd, else medium. Words come first."""
    if _CLOSE_SHOT.search(caption):
        return "close-up"
    if _MEDIUM.search(caption) and not _WIDE.search(caption):
        return "medium"
    if opens_scene or _WIDE.search(caption) or len(names_in(caption)) > 2:
        return "wide"
    return "close-up" if speech or _CLOSE.search(caption) else "medium"


def camera(caption: str) -> str:
    """A camera move only where the words ask for one."""
    if pan := _PAN.search(caption):
        return f"pan {pan[1].lower()}"
    return "push in" if _PUSH.search(caption) else ""


def seconds(caption: str) -> float:
    """Two seconds up to sixteen words, half a second more for every six after that."""
    wide = sum(unicodedata.east_asian_width(char) == "W" for char in caption)
    words = len(caption.split()) + wide // 2
    return min(LONGEST, DEFAULT_SECONDS + 0.5 * max(0, (words - 11) // 6))
