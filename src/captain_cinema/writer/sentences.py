"""Cutting prose into sentences without changing a letter of it.

No sentence ends inside a quotation, after an abbreviation, or before a small letter; the full stops of other
scripts end sentences too, with or without a space behind them.
"""

from __future__ import annotations

import re

MAX_PIECE = 1_200
"""Characters; what is longer is cut at a clause, a space, or at last anywhere."""

_WIDE_STOPS = "。！？｡．؟۔।॥։።፧။។᠃᠉"
_CLOSERS = "\"'”’»›」』）)】》〉]*_"
_QUOTES = re.compile(r'“[^“”]*”|"[^"]*"|«[^«»]*»|„[^„“”]*[“”]|「[^「」]*」|『[^『』]*』|《[^《》]*》')
_MAX_QUOTE = 400
_BOUNDARY = re.compile(
    rf"(?<![.!?…])[.!?…]++[{re.escape(_CLOSERS)}]*+(?=\s)|[{_WIDE_STOPS}]+[{re.escape(_CLOSERS)}]*"
)
_TITLES_WORDS = """
    mr mrs ms dr st prof jr sr lt capt col gen sgt maj rev hon mt ft vs ca cf e.g i.e dept univ approx mme
    mlle sra srta dra ing bzw usw ggf str z.b d.h u.a
"""
_TITLES = frozenset(_TITLES_WORDS.split())
"""Abbreviations that do not end a sentence, whatever follows."""
_BEFORE_NUMBERS_WORDS = """
    no nos nr fig vol p pp
"""
_BEFORE_NUMBERS = frozenset(_BEFORE_NUMBERS_WORDS.split())
_WINDOW = 40
"""Characters looked at on either side of a full stop: enough for any abbreviation, and linear in the text."""


def split_sentences(text: str) -> list[str]:
    """The sentences of a paragraph, in order; their words are those of `text`, white space made single."""
    text = " ".join(text.split())
    quotes = [match.span() for match in _QUOTES.finditer(text) if match.end() - match.start() <= _MAX_QUOTE]
    pieces: list[str] = []
    start = quote = 0
    for match in _BOUNDARY.finditer(text):
        end = match.end()
        while quote < len(quotes) and quotes[quote][1] <= match.start():
            quote += 1
        opened = quotes[quote] if quote < len(quotes) and quotes[quote][0] < match.start() else None
        if _ends_sentence(text, start, match, opened):
            pieces.append(text[start:end].strip())
            start = end
    pieces.append(text[start:].strip())
    return [part for piece in pieces if piece for part in cut_long(piece)]


def _ends_sentence(text: str, start: int, match: re.Match[str], quote: tuple[int, int] | None) -> bool:
    end = match.end()
    if quote and end < quote[1]:
        return False
    rest = text[end : end + _WINDOW].lstrip()
    if not rest or rest[0] in ",;:，；：、،؛":
        return False
    if match[0][0] in _WIDE_STOPS:
        # 「走吧。」她说。 goes on after its quotation; 她说：「走吧。」 does not.
        return not (quote and quote[0] == start)
    following = rest.lstrip("\"'“‘«‹„(*_[<")[:1]
    if following.islower():
        return False
    return not (match[0].startswith(".") and _is_abbreviation(text, start, match.start(), following))


def _is_abbreviation(text: str, start: int, stop: int, following: str) -> bool:
    before = text[max(start, stop - _WINDOW) : stop]
    word = re.split(r"[\s\"'“‘(«]", before)[-1]
    if word.lower() in _TITLES or (word.lower() in _BEFORE_NUMBERS and following.isdigit()):
        return True
    if len(word) == 1 and word.isupper() and word != "I":
        return True  # the initial of a name
    return word.isdigit() and len(text[start:stop].strip()) == len(word)  # "1." that numbers a sentence


def cut_long(text: str) -> list[str]:
    """`text` in pieces of at most MAX_PIECE characters, cut where it hurts least."""
    pieces = []
    while len(text) > MAX_PIECE:
        window = text[:MAX_PIECE]
        cut = max((window.rfind(mark) + len(mark) for mark in ("; ", ", ", " — ", "，", "、")), default=0)
        if cut < MAX_PIECE // 3:
            cut = window.rfind(" ") + 1
        if cut < MAX_PIECE // 3:
            cut = MAX_PIECE
        pieces.append(text[:cut].strip())
        text = text[cut:].strip()
    return [*pieces, text] if text else pieces
