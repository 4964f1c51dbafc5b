"""Who may be named: the cast file, and captions that name nobody else (appendix B).

A name in angle brackets is what the models learn a character by. One that is not in the cast would be a
character of its own, so its brackets go; the words stay, since the sentence needs them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from captain_cinema.errors import StoryError
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

EVERY_FILM = "*"
"""The key of those who may be in any film."""

_TAG = re.compile(r"<([^<>]{0,200})>")
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
    """A caption in which only the cast is tagged, and who is in it."""

    caption: str
    characters: tuple[str, ...]


class NameList:
    """The names that captions of a film may hold."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {name_key(name): name for name in names}

    def spelling(self, name: str) -> str | None:
        """The cast's spelling of a name, or None for a name outside the list."""
        return self._names.get(name_key(plain(name).strip("<> ")))

    def tag(self, caption: str, listed: Sequence[str] = ()) -> Tagged:
        """Make sure that a caption tags the cast and nobody else.

        Args:
            caption: As written, with tags of anybody, brackets that do not match, and so on.
            listed: Who is said to be there; such a name gets a tag where the caption has it bare.

        Returns:
            The caption, in which every angle bracket belongs to a name of the list, and those names with the
            listed ones: each once, the caption's first.
        """
        present = [name for name in map(self.spelling, listed) if name is not None]
        parts: list[str] = []
        found: list[str] = []
        # An odd part is what stood between two brackets; all other brackets are stray.
        for place, part in enumerate(_TAG.split(plain(caption))):
            name, ending = self._split(part) if place % 2 else (None, "")
            if name is None:
                parts.append(self._tag_bare(part.replace("<", "").replace(">", ""), present, found))
            else:
                found.append(name)
                parts.append(f"<{name}>{ending}")
        return Tagged(
            caption=" ".join("".join(parts).split()), characters=tuple(dict.fromkeys([*found, *present]))
        )

    def _split(self, inside: str) -> tuple[str | None, str]:
        """The name in a tag and what was wrongly put in with it ("Mara's")."""
        for ending in ("", "'s", "’s"):
            name = self.spelling(inside.removesuffix(ending)) if inside.endswith(ending) else None
            if name is not None:
                return name, ending
        return None, ""

    def _tag_bare(self, text: str, present: Sequence[str], found: list[str]) -> str:
        if not present or not text.strip():
            return text
        names = sorted(set(present), key=len, reverse=True)
        pattern = r"(?<!\w)(" + "|".join(map(re.escape, names)) + r")(?!\w)"

        def put(match: re.Match[str]) -> str:
            found.append(match[1])
            return f"<{match[1]}>"

        return re.sub(pattern, put, text)
