"""Names of the cast: `<Name>` tags in captions, and when two names are the same."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

TAG = re.compile(r"<([^<>\n]{1,100})>")
_SPACES = re.compile(r"\s+")


@lru_cache(maxsize=65_536)
def name_key(name: str) -> str:
    """The form in which two names are the same: NFKC, without case, single spaces."""
    return _SPACES.sub(" ", unicodedata.normalize("NFKC", name).casefold()).strip()


def names_in(caption: str) -> tuple[str, ...]:
    """The names tagged in a caption, as written, each once, in order."""
    found: dict[str, str] = {}
    for name in TAG.findall(caption):
        found.setdefault(name_key(name), name.strip())
    return tuple(found.values())


@lru_cache(maxsize=65_536)
def keys_in(caption: str) -> frozenset[str]:
    """The keys of the names tagged in a caption."""
    return frozenset(name_key(name) for name in TAG.findall(caption))
