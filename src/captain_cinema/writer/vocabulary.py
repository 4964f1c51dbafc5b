"""Which words of a script the embedded preset cannot draw, so that one warning can name them.

The playhouse has its words, and the sentence encoder reaches beyond them: "woodland" lies where "woods" lies.
A word is out of reach if it is none of these and means nearly the same as none of these.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from captain_cinema.script import Script
from captain_cinema.script.reading import one_line
from captain_cinema.writer.words import DRAWABLE, SYNONYMS, UNSEEN

NEAR = 0.62
"""Cosine of two words' MiniLM embeddings from which one may stand for the other: "ocean" and "beach" 0.72,
"kitten" and "cat" 0.79; "elephant" and "frog" 0.60, "horse" and "pasture" 0.58."""

MOST = 400
"""Different words that are looked up; a novel has more, and nobody reads on."""

_TAG = re.compile(r"<[^<>\n]{1,100}>")
_QUOTED = re.compile(r"“[^“”]*”|\"[^\"]*\"|«[^«»]*»|「[^「」]*」")
_SHORTENED = re.compile(r"(?:n['’]t|['’](?:s|re|ve|ll|d|m))\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_](?:[^\W_]|[\u0300-\u036f]|-(?=[^\W\d_]))*")


def undrawable(
    script: Script,
    *,
    sentence: Callable[[Sequence[str]], Any] | None = None,
    known: Iterable[str] = DRAWABLE,
) -> list[str]:
    """Words that the embedded preset cannot draw, the most frequent first.

    What is said in quotation marks is heard, not seen, and left out.

    Args:
        script: Its captions, scene headings and descriptions are read.
        sentence: Unit vectors of texts, one a row (`PhraseEncoder.sentence`); without it a word that is not
            known to the letter counts as out of reach.
        known: Words that can be drawn.

    Returns:
        Words as "dragon (nearest: frog)", without the nearest if there is no encoder.
    """
    known = sorted(known)
    passed = _with_singulars([*known, *SYNONYMS, *UNSEEN])
    counts = Counter(word for text in _texts(script) for word in _words(text))
    unknown = [
        word
        for word, _ in counts.most_common()
        if not word.endswith("ly") and passed.isdisjoint(_stems(word))
    ][:MOST]
    if sentence is None or not unknown:
        return [one_line(word, 24) for word in unknown]
    scores = (sentence(unknown) @ sentence(known).T).tolist()
    found = []
    for word, row in zip(unknown, scores, strict=True):
        best = max(range(len(row)), key=row.__getitem__)
        if row[best] < NEAR:
            found.append(f"{one_line(word, 24)} (nearest: {known[best]})")
    return found


def _texts(script: Script) -> Iterable[str]:
    yield from (member.description for member in script.cast)
    yield from dict.fromkeys(
        re.sub(r"(?i)^(?:int|ext|est|i/e)[./]\S*", "", shot.scene) for shot in script.shots
    )
    yield from (shot.caption for shot in script.shots)


def _words(text: str) -> Iterable[str]:
    for match in _WORD.finditer(_SHORTENED.sub(" ", _QUOTED.sub(" ", _TAG.sub(" ", text)))):
        if len(match[0]) > 1:
            yield match[0].lower()


def _with_singulars(words: Iterable[str]) -> set[str]:
    return {form for word in words for form in (word, word.removesuffix("s"))}


def _stems(word: str) -> set[str]:
    """The word and what it may be a form of: "hop" of "hopping", "carry" of "carries"."""
    stems = {word}
    for ending, instead in (
        ("ies", "y"),
        ("es", ""),
        ("s", ""),
        ("ing", ""),
        ("ing", "e"),
        ("ed", ""),
        ("ed", "e"),
    ):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            stem = word[: len(word) - len(ending)] + instead
            stems.add(stem)
            if len(stem) > 3 and stem[-1] == stem[-2]:
                stems.add(stem[:-1])
    return stems
