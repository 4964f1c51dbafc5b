"""Fountain screenplays as blocks: action and dialogue are shots, a scene heading is the scene.

fountain-py reads the format; this module decides what of it is seen. Transitions, notes, omitted text,
sections, synopses, page breaks and centred title cards are directions to people, not pictures.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

from captain_cinema.errors import StoryError
from captain_cinema.writer.plain import Block, Story

_LOG = logging.getLogger(__name__)
_SLUG = re.compile(r"^(?:INT|EXT|EST|I/E|INT\./EXT|INT/EXT)(?:\.|\s)[^a-z]*$")
_CUE = re.compile(r"^[^\W\d_][^()<>.!?,:;]{0,40}(?:\([^()]*\))?\s*\^?$")
_INTRODUCED = re.compile(
    r"\b([^\W\d_a-z][^\W\d_a-z'’-]+(?: [^\W\d_a-z][^\W\d_a-z'’-]+)?)(?= \(|, (?:an?|the|\d))"
)


def looks_like_screenplay(text: str) -> bool:
    """Whether text without a telling file name has a scene heading in capitals on a line of its own."""
    lines = text.split("\n")
    return any(
        _SLUG.match(line) and not (lines[number - 1].strip() if number else "")
        for number, line in enumerate(lines)
    )


def read_screenplay(text: str) -> Story:
    """Read a Fountain screenplay (fountain.io/syntax)."""
    from fountain import FountainParser

    try:
        elements = FountainParser().parse(_with_forced_cues(text)).elements
    except (ValueError, IndexError, KeyError, RecursionError) as error:
        kind = type(error).__name__
        raise StoryError(
            f"this cannot be read as Fountain ({kind}); compare it with fountain.io/syntax"
        ) from None
    reader = _Reader()
    reader.read(elements)
    title = re.search(r"(?im)^title:[ \t]*(.*(?:\n(?:[ ]{3,}|\t).*)*)", text[:4000])
    reader.story.title = " ".join(title[1].replace("*", "").replace("_", "").split()) if title else ""
    return reader.story


def _with_forced_cues(text: str) -> str:
    """Mark the character cues that stand in capitals outside ASCII, which the parser takes for action."""
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1]):
        cue = line.strip()
        alone = not number or not lines[number - 1].strip()
        if not alone or not lines[number + 1].strip() or cue.isascii():
            continue
        if _CUE.match(cue) and cue.split("(")[0].isupper():
            lines[number] = "@" + cue
    return "\n".join(lines)


class _Reader:
    def __init__(self) -> None:
        self.story = Story()
        self.scene = ""
        self.opens = True
        self.speaker = ""
        self.speech: list[str] = []
        self.names: dict[str, str] = {}

    def read(self, elements: Iterable) -> None:
        left_out: dict[str, int] = {}
        for element in elements:
            kind = element.type.value
            if kind == "scene_heading":
                self._end_speech()
                self.scene, self.opens = " ".join(element.text.split()), True
            elif kind == "character":
                self._end_speech()
                self.speaker = " ".join(element.text.split())
            elif kind in ("dialogue", "parenthetical", "lyrics") and self.speaker:
                self.speech.append(element.text)
            elif kind == "dual_dialogue":
                self._end_speech()
                for column in element.dual_dialogue_columns():
                    self.read(column)
                self._end_speech()
            elif kind in ("action", "lyrics", "dialogue", "parenthetical"):
                self._end_speech()
                self._add(element.text)
                for name in _INTRODUCED.findall(element.text):
                    self._name(name)
            elif kind != "title_page":
                if kind != "note":
                    self._end_speech()
                left_out[kind] = left_out.get(kind, 0) + 1
        self._end_speech()
        self.story.cast = [(name, "") for name in self.names.values()]
        if left_out:
            _LOG.info("not shots: %s", ", ".join(f"{count} {kind}" for kind, count in left_out.items()))

    def _name(self, name: str) -> None:
        self.names.setdefault(name.casefold(), name)

    def _end_speech(self) -> None:
        speaker, speech = self.speaker, " ".join(part for part in self.speech if part.strip())
        self.speaker, self.speech = "", []
        if speaker and speech:
            self._name(speaker)
            self._add(f"<{speaker}> {speech}", speaker=speaker)

    def _add(self, text: str, *, speaker: str = "") -> None:
        if any(char.isalnum() for char in text):
            self.story.blocks.append(
                Block(text=text, scene=self.scene, opens_scene=self.opens, speaker=speaker)
            )
            self.opens = False
