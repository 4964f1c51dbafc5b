"""Names outside the cast: they leave a caption, and the sentence stays one (appendix B)."""

from __future__ import annotations

import re

from captain_cinema.script import name_key

STAND_INS = ("someone", "someone else", "another person")
"""What a caption says of the first such person that it names, of the second, and of all others."""

_FIRST_MARK, _LAST_MARK = 0x10F000, 0x10FFFD
"""Characters for private use, one a stranger, while a caption is being worked on."""
_MARKS = re.compile(rf"(?:\b(?:the|an?)\s+)?([{chr(_FIRST_MARK)}-{chr(_LAST_MARK)}])", re.IGNORECASE)
_MARKUP = frozenset(("b", "br", "div", "em", "i", "p", "s", "span", "strong", "u"))


class Strangers:
    """Those whom an annotator names although the list does not."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}
        self._names: dict[str, str] = {}
        """As first written."""

    @property
    def names(self) -> tuple[str, ...]:
        """As written, each once."""
        return tuple(self._names.values())

    def note(self, name: str) -> str:
        """Remember a name; returns the mark that stands for it in a caption until `tell`."""
        key = name_key(name)
        self._names.setdefault(key, name)
        code = min(_FIRST_MARK + len(self._marks), _LAST_MARK)
        return self._marks.setdefault(key, chr(code))

    def tell(self, caption: str) -> str:
        """A caption with words in the place of its marks, and of an article before them."""
        order: dict[str, int] = {}

        def put(match: re.Match[str]) -> str:
            place = order.setdefault(match[1], len(order))
            words = STAND_INS[min(place, len(STAND_INS) - 1)]
            before = caption[: match.start()].rstrip(" \"'“”‘’([-–—")
            return words.capitalize() if not before or before[-1] in ".!?…" else words

        return _MARKS.sub(put, caption)


def without_marks(caption: str) -> str:
    """A caption without characters that could be taken for marks."""
    return "".join(char for char in caption if not _FIRST_MARK <= ord(char) <= _LAST_MARK)


def is_markup(inside: str, caption: str) -> bool:
    """Whether what stands in brackets is formatting rather than somebody: `<b>`, `</x>`, `<x>...</x>`."""
    word = inside.strip().casefold().rstrip("/").strip()
    return inside.strip().startswith("/") or word in _MARKUP or f"</{word}>" in caption.casefold()
