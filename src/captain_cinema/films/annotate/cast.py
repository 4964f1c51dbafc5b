"""Who may be named: the cast file, and captions that name nobody else (appendix B).

A name in angle brackets is what the models learn a character by. One that is not in the cast would be a
character of its own, so it goes: "someone" stands in its place (strangers.py), and the verdict tells of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from captain_cinema.errors import StoryError
from captain_cinema.films.annotate.strangers import Strangers, is_markup, without_marks
from captain_cinema.films.records import FilmRecord
from captain_cinema.script import MAX_CAPTION, MAX_CAST, MAX_NAME, CastMember, check_name, name_key
from captain_cinema.script.reading import (
    Fields,
    Item,
    Scalar,
    is_null,
    kind_of,
    one_line,
    read_text,
    read_yaml,
)

NAMING_VERSION = 2
"""Counted up when the same words of an annotator become another caption."""
MOST_TOLD = 8
"""Names outside the cast that a verdict tells of at most."""
EVERY_FILM = "*"
"""The key of those who may be in any film."""

_TAG = re.compile(r"<([^<>]{0,200})>")
_STRAY = re.compile(r"<\s*((?:[^\W\d_])[\w'’-]*)")
_INVISIBLE = frozenset("\u200b\u2060\ufeff\u00ad")
_BIDI_CONTROLS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def load_cast(path: Path) -> dict[str, list[CastMember]]:
    """Read a cast file: YAML, the name of a film (or "*", every film) over a list of its characters.

    A character is a name, or `name:` and `description:`. A bare list holds for every film.

    Raises:
        StoryError: One line that says what is wrong, where, and what would work.
    """
    path = Path(path)
    source = one_line(path.name, 120)
    if _is_blank(path):
        raise StoryError(f"{source}: the cast file is empty; write for example: '*': [Mara, Bo]")
    item = read_yaml(read_text(path, what="cast file"), source=source)
    if isinstance(item.value, list):
        return {EVERY_FILM: members_of(item, f"{source} line {item.line}", source)}
    if not isinstance(item.value, dict):
        raise StoryError(
            f"{source}: {kind_of(item)} where names of films are expected; write for example: '*': [Mara, Bo]"
        )
    casts: dict[str, list[CastMember]] = {}
    for film, listed in item.value.items():
        where = f"{source} line {listed.line}: {one_line(film)}"
        if film == "cast":
            raise StoryError(
                f"{where}: this key must be the name of a film; for every film write '*' instead"
            )
        casts[film] = members_of(listed, where, source)
    return casts


def members_of(item: Item, where: str, source: str) -> list[CastMember]:
    """The characters in a YAML list; each name once."""
    if is_null(item):
        return []
    if not isinstance(item.value, list):
        raise StoryError(f"{where} is {kind_of(item)}; write a list of names")
    if len(item.value) > MAX_CAST:
        raise StoryError(f"{where}: {len(item.value):,} characters; at most {MAX_CAST:,} work")
    members: dict[str, CastMember] = {}
    for entry in item.value:
        member = _member(entry, f"{source} line {entry.line}")
        if (key := name_key(member.name)) in members:
            raise StoryError(
                f"{source} line {entry.line}: '{one_line(member.name)}' is there twice; keep one of them"
            )
        members[key] = member
    return list(members.values())


def _member(item: Item, where: str) -> CastMember:
    if isinstance(item.value, Scalar):
        item = Item(line=item.line, value={"name": item})
    fields = Fields.of(item, where=where, keys=("name", "description"))
    name = " ".join(fields.text("name", MAX_NAME, written=True).split(" ")).strip()
    if problem := check_name(name):
        raise StoryError(f"{where}: the name '{one_line(name)}' {problem}; write for example 'name: Mara'")
    return CastMember(name=name, description=plain(fields.text("description", MAX_CAPTION)))


def _is_blank(path: Path) -> bool:
    """Whether there is a file with nothing but space and comments in it."""
    try:
        if not path.is_file() or path.stat().st_size > 2**20:
            return False
        lines = path.read_bytes().splitlines()
    except (OSError, ValueError):
        return False
    return not any(line.strip() and not line.lstrip().startswith(b"#") for line in lines)


def cast_of(casts: dict[str, list[CastMember]], film: FilmRecord) -> list[CastMember]:
    """Who may be in a film.

    A key of the cast file means a film by its file name, with or without suffix, or by the end of its path
    ("lantern/film.mp4"); a film's own description of a character comes before that under "*".
    """
    members: dict[str, CastMember] = {}
    for key, listed in casts.items():
        if key != EVERY_FILM and _means(key, film):
            for member in listed:
                members.setdefault(name_key(member.name), member)
    for member in casts.get(EVERY_FILM, []):
        members.setdefault(name_key(member.name), member)
    return list(members.values())


def unused_keys(casts: dict[str, list[CastMember]], films: Iterable[FilmRecord]) -> list[str]:
    """Keys of a cast file that mean none of the films: most likely misspelt."""
    films = list(films)
    return [key for key in casts if key != EVERY_FILM and not any(_means(key, film) for film in films)]


def _means(key: str, film: FilmRecord) -> bool:
    wanted = name_key(key)
    if "/" in wanted:
        return f"/{name_key(film.path)}".endswith(f"/{wanted.lstrip('/')}")
    return wanted in (name_key(film.name), name_key(PurePath(film.name).stem))


def plain(text: str) -> str:
    """Text on one line without control characters, invisible ones, or halves of characters."""
    kept = (
        " " if char.isspace() or unicodedata.category(char) == "Cc" else char
        for char in text
        if unicodedata.category(char) != "Cs" and char not in _BIDI_CONTROLS and char not in _INVISIBLE
    )
    return " ".join("".join(kept).split())


@dataclass(frozen=True, kw_only=True)
class Tagged:
    """A caption in which only the cast is named, and who is in it."""

    caption: str
    characters: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    """Names outside the list that it held, or that were said to be there."""

    @property
    def reason(self) -> str:
        """For the verdict; empty if nobody was left out."""
        shown = [one_line(name, 40) for name in self.left_out[:MOST_TOLD]]
        more = len(self.left_out) - len(shown)
        ending = f" and {more} more" if more else ""
        return f"left out, not in the cast: {', '.join(shown)}{ending}" if shown else ""


class NameList:
    """The names that captions of a film may hold."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {name_key(name): name for name in names}

    def spelling(self, name: str) -> str | None:
        """The cast's spelling of a name, or None for a name outside the list."""
        return self._names.get(name_key(plain(name).strip("<> ")))

    def tag(self, caption: str, listed: Sequence[str] = ()) -> Tagged:
        """Make sure that a caption names the cast and nobody else.

        Args:
            caption: As written, with tags of anybody, brackets that do not match, and so on.
            listed: Who is said to be there; such a name gets a tag where the caption has it bare, and leaves
                the caption if it is outside the list.

        Returns:
            The caption, in which every angle bracket belongs to a name of the list; those names with the
            listed ones, each once, the caption's first; and the names that had to go.
        """
        caption, strangers = without_marks(plain(caption)), Strangers()
        # An odd piece is what stood between two brackets; all other brackets are stray.
        pieces = _TAG.split(caption)
        tags = [
            self._tag(piece, caption, strangers) if place % 2 else None for place, piece in enumerate(pieces)
        ]
        outside = list(strangers.names)
        present: list[str] = []
        for said in listed:
            name, bare = self.spelling(said), plain(said).strip("<> ")
            if name is not None:
                present.append(name)
            elif len(bare) <= MAX_NAME and any(map(str.isalpha, bare)):
                strangers.note(bare)
                if bare != bare.lower() or bare == bare.upper():  # else it is a word: "man"
                    outside.append(bare)
        found: list[str] = []
        parts: list[str] = []
        for piece, tag in zip(pieces, tags, strict=True):
            parts.append(self._bare(piece, present, outside, strangers) if tag is None else tag)
            found += _TAG.findall(parts[-1])
        return Tagged(
            caption=" ".join(strangers.tell("".join(parts)).split()),
            characters=tuple(dict.fromkeys([*found, *present])),
            left_out=strangers.names,
        )

    def _tag(self, inside: str, caption: str, strangers: Strangers) -> str | None:
        """What a tag becomes; None if it is none, but a comparison or the like."""
        if is_markup(inside, caption):
            return ""
        for ending in ("", "'s", "’s"):  # "<Mara's> coat"
            name = self.spelling(inside.removesuffix(ending)) if inside.endswith(ending) else None
            if name is not None:
                return f"<{name}>{ending}"
        if not any(char.isalpha() for char in inside):
            return None
        stem = inside.strip()
        ending = next((one for one in ("'s", "’s") if stem.endswith(one)), "")
        return strangers.note(stem.removesuffix(ending).strip()) + ending

    def _bare(
        self,
        text: str,
        present: Sequence[str],
        outside: Sequence[str],
        strangers: Strangers,
    ) -> str:
        """Text between tags: the names of those present get a tag, those outside the list go."""

        def stray(match: re.Match[str]) -> str:
            word = match[1]
            known = self.spelling(word) is not None or any(
                name.startswith(word) for name in self._names.values()
            )
            return word if known or word == word.lower() else strangers.note(word)

        text = _STRAY.sub(stray, text).replace("<", "").replace(">", "")
        if not (present or outside) or not text.strip():
            return text
        names = sorted({*present, *outside, *self._names.values()}, key=len, reverse=True)
        pattern = r"(?<!\w)(" + "|".join(map(re.escape, names)) + r")(?!\w)"

        def put(match: re.Match[str]) -> str:
            if match[1] in present:
                return f"<{match[1]}>"
            return strangers.note(match[1]) if match[1] in outside else match[1]

        return re.sub(pattern, put, text)
