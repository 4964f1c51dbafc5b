"""Who is in the story: names that are listed, tagged, or told by how they are used; and tags around them.

Guessing is conservative. A name that is missed costs a tag that the user can add; a "Monday" taken for a
person would give it a face.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from captain_cinema.script import MAX_NAME, check_name, name_key
from captain_cinema.writer.words import (
    ADDRESSING,
    BARE_VERBS,
    CALLED,
    DETERMINERS,
    GERMAN,
    HELPING_VERBS,
    NOT_NAMES,
    PERSON_VERBS,
    PLACE_WORDS,
    TITLES,
)

TAG = re.compile(r"<([^<>\n]{1,100})>")
_MARKUP = re.compile(
    r"/.*|[a-z][\w+.-]*:.*|.*@.*|(?:br|hr|b|i|u|s|em|strong|small|sub|sup|p|a|div|span|img|center|font|h[1-6]"
    r"|[uo]l|li|table|t[rdh])(?:\s.*|/)?",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"(?:Mrs?|Ms|Dr|St|Prof|Capt)\.(?=\s+[^\W\d_])|[^\W\d_](?:[^\W_]|[\u0300-\u036f]|[-'’](?=[^\W\d_]))*|[^\s\w]|\d+"
)
_POSSESSIVE = re.compile(r"['’]s\b")
_NEVER = NOT_NAMES - TITLES
_SENTENCE_ENDS = frozenset('.!?…。！？:;"“”«»„‘(—–*•')
_KOREAN_PARTICLES = re.compile(
    r"(?:은|는|이|가|을|를|의|와|과|도|만|에게서?|한테|께서?|께|랑|이랑|하고|야|아|씨|님|처럼|보다|까지|부터|로|으로)(?!\w)"
)


def tagged_names(text: str) -> list[str]:
    """Names that the user has put in angle brackets, each once, in order; HTML and links are none."""
    found: dict[str, str] = {}
    for match in TAG.finditer(text):
        name = " ".join(match[1].split())
        if not _MARKUP.fullmatch(name) and any(char.isalnum() for char in name) and not check_name(name):
            found.setdefault(name_key(name), name)
    return list(found.values())


@dataclass(kw_only=True)
class _Uses:
    """How a capitalised word is used in the story."""

    total: int = 0
    inside: int = 0
    """Not at the start of a sentence, nor after a word of place."""
    places: int = 0
    """After "in", "to", ...: perhaps a place."""
    articles: int = 0
    """After an article or the like: a thing."""
    subject: int = 0
    """Before a verb of persons, or addressed by one."""
    subject_inside: int = 0
    helped: int = 0
    """Before "is", "has" and the like."""
    partners: set[str] = field(default_factory=set)
    """Names that "and" joins to it."""
    introduced: int = 0
    """Before ", a ..." or after "called"."""
    starts_lower: int = 0
    """At a sentence's start with a small word behind."""


def guess_names(texts: Iterable[str]) -> list[str]:
    """Names of a story in which none is listed or tagged, in order of appearance."""
    uses: dict[str, _Uses] = defaultdict(_Uses)
    small: set[str] = set()
    german = words = 0
    for text in texts:
        tokens = _TOKEN.findall(_POSSESSIVE.sub(" ", text))
        words += len(tokens)
        for token in tokens:
            if token[0].islower():
                small.add(token)
                german += token in GERMAN
        _collect(tokens, uses)
    is_german = german > 0.06 * words
    possible = {
        name: use
        for name, use in uses.items()
        if not use.articles
        and not any(part in small for part in name.casefold().split() if part not in TITLES)
    }
    sure = {name for name, use in possible.items() if _is_person(use, is_german)}
    return _shortest([name for name, use in possible.items() if name in sure or use.partners & sure])


def _collect(tokens: Sequence[str], uses: dict[str, _Uses]) -> None:
    at, joined = 0, ""
    while at < len(tokens):
        end = at
        while end < len(tokens) and _is_capitalised(tokens[end]):
            end += 1
        if end == at:
            joined = joined if tokens[at] == "and" else ""
            at += 1
            continue
        start = at
        while start < end and not _may_begin(tokens, start, end):
            start += 1
        run = tokens[start:end]
        at = end
        if not run or any(part.casefold() in _NEVER for part in run):
            joined = ""
            continue
        before = tokens[start - 1].casefold() if start else ""
        behind = tokens[end].casefold() if end < len(tokens) else ""
        second = tokens[end + 1].casefold() if end + 1 < len(tokens) else ""
        inside = bool(before) and before not in _SENTENCE_ENDS
        addressed = before in ("to", "at") and start > 1 and tokens[start - 2].casefold() in ADDRESSING
        at_place = before in PLACE_WORDS and not addressed
        name = " ".join(run)
        use = uses[name]
        if joined and before == "and":
            use.partners.add(joined)
            uses[joined].partners.add(name)
        joined = name
        use.total += 1
        use.inside += inside and not at_place
        use.places += at_place
        use.articles += before in DETERMINERS
        acts = behind in PERSON_VERBS or (before == "and" and behind in BARE_VERBS) or addressed
        use.subject += acts
        use.subject_inside += inside and acts
        use.helped += behind in HELPING_VERBS
        use.introduced += (behind == "," and second in ("a", "an")) or before in CALLED
        use.starts_lower += not inside and behind[:1].islower()


def _is_capitalised(token: str) -> bool:
    letters = token.replace("-", "").replace("'", "").replace("’", "").rstrip(".")
    return token[0].isupper() and (len(letters) == 1 or letters[1:] != letters[1:].upper())


def _may_begin(tokens: Sequence[str], start: int, end: int) -> bool:
    word = tokens[start].casefold().rstrip(".")
    if len(word) == 1 and end - start == 1:
        return False
    return word not in NOT_NAMES or (word in TITLES and start + 1 < end)


def _is_person(use: _Uses, is_german: bool) -> bool:
    if use.places * 2 > use.total:
        return False
    if is_german:
        return use.total >= 2 and use.starts_lower >= 1
    if use.introduced or use.subject_inside:
        return True
    if use.total >= 2 and (use.inside or use.subject or (use.helped and not use.places)):
        return True
    return use.subject >= 1 and not use.places


def _shortest(names: list[str]) -> list[str]:
    """Without names that are told by a shorter one: "Mara" is also the Mara of "Mara Voss"."""
    single = {name for name in names if " " not in name}
    return [name for name in names if " " not in name or not single & set(name.split())][:MAX_NAME]


class Tagger:
    """Puts `<` and `>` around every whole-word mention of the given names, and changes nothing else."""

    def __init__(self, names: Iterable[str]) -> None:
        forms: dict[str, None] = {}
        for name in (" ".join(name.split()) for name in names):
            for form in (name, name.upper(), _title(name) if name.isupper() else name):
                for shape in ("NFC", "NFD"):
                    forms.setdefault(unicodedata.normalize(shape, form))
                forms.setdefault(form)
        ordered = sorted((form for form in forms if len(form) > 1 or form.isalnum()), key=len, reverse=True)
        self._names = (
            re.compile("|".join(re.escape(form).replace("\\ ", r"[^\S\n]+") for form in ordered))
            if ordered
            else None
        )

    def tag(self, text: str) -> str:
        """`text` with its names tagged; what stands in angle brackets already is left alone."""
        if self._names is None:
            return text
        parts: list[str] = []
        place = 0
        for tag in TAG.finditer(text):
            parts += [self._tag(text, place, tag.start()), tag[0]]
            place = tag.end()
        return "".join([*parts, self._tag(text, place, len(text))])

    def _tag(self, text: str, start: int, end: int) -> str:
        assert self._names is not None
        parts: list[str] = []
        place = at = start
        while match := self._names.search(text, at, end):
            if _is_whole(text, match.start(), match.end()):
                parts += [text[place : match.start()], "<", match[0], ">"]
                place = at = match.end()
            else:
                at = match.start() + 1
        return "".join([*parts, text[place:end]])


def _title(name: str) -> str:
    return " ".join(word.capitalize() for word in name.split())


def _is_whole(text: str, start: int, end: int) -> bool:
    """Whether a mention is a word of its own, by the customs of its script."""
    before, behind = text[start - 1 : start], text[end : end + 1]
    first, last = text[start], text[end - 1]
    kind = _kind(last)
    if kind == "han":
        # Chinese and Japanese set no spaces. One character alone is too often part of another word.
        return end - start > 1 or not (_kind(before) == "han" or _kind(behind) == "han")
    if kind == "kana":
        return _kind(before) != "kana" and _kind(behind) != "kana"
    if kind == "hangul":
        return _kind(before) != "hangul" and (
            _kind(behind) != "hangul" or _KOREAN_PARTICLES.match(text, end) is not None
        )
    if kind == "unspaced":
        return not unicodedata.category(behind or " ").startswith("M")
    return not _joins(before, first) and not _joins(behind, last)


def _joins(neighbour: str, edge: str) -> bool:
    if not neighbour or not (edge.isalnum() or unicodedata.category(edge).startswith("M")):
        return False
    if unicodedata.category(neighbour).startswith("M") or neighbour == "_":
        return True
    return neighbour.isalnum() and _kind(neighbour) == "spaced"


def _kind(char: str) -> str:
    if not char or not char.isalpha():
        return "spaced" if char else ""
    code = ord(char)
    if 0x3400 <= code <= 0x9FFF or 0x20000 <= code <= 0x3FFFF or 0xF900 <= code <= 0xFAFF:
        return "han"
    if 0x30A0 <= code <= 0x30FF:
        return "kana"
    if 0x3040 <= code <= 0x309F:
        return "unspaced"
    if 0xAC00 <= code <= 0xD7AF:
        return "hangul"
    if 0x0E00 <= code <= 0x0EFF or 0x1000 <= code <= 0x109F or 0x1780 <= code <= 0x17FF:
        return "unspaced"
    return "spaced"
