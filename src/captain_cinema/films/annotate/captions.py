"""The project's plain form of captions: JSON lines or YAML, checked as if an enemy had written it.

A line or entry tells of a stretch of film: `start` in seconds from the first picture, `end` (else where the
next begins), `caption`, `characters`, `keep: false` with a `reason`. Global caption and cast stand in a JSON
line of their own, or at the top of the YAML.
"""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from captain_cinema.errors import StoryError
from captain_cinema.films.annotate.cast import members_of, plain
from captain_cinema.script import MAX_CAPTION, CastMember
from captain_cinema.script.reading import Fields, Item, Scalar, kind_of, one_line, read_text, read_yaml

FORMS = (".captions.jsonl", ".captions.yaml", ".captions.yml")
MAX_SPANS = 200_000
MAX_SECONDS = 1e6


@dataclass(frozen=True, kw_only=True)
class Span:
    """What is said of a stretch of film."""

    start: float
    end: float
    """Seconds; where the next one begins at the latest."""
    caption: str = ""
    characters: tuple[str, ...] = ()
    keep: bool = True
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Sidecar:
    """All that lies beside a film."""

    source: str
    caption: str = ""
    cast: tuple[CastMember, ...] = ()
    spans: tuple[Span, ...] = ()
    digest: str = ""

    def at(self, seconds: float) -> Span | None:
        """The span on screen at a time."""
        place = bisect_right(self.spans, seconds, key=lambda span: span.start) - 1
        return self.spans[place] if place >= 0 and seconds < self.spans[place].end else None


def read_captions(path: Path) -> Sidecar:
    """Read a file of captions.

    Raises:
        StoryError: One line that says what is wrong and where.
    """
    source = one_line(path.name, 120)
    text = read_text(path, what="caption file")
    if path.suffix == ".jsonl":
        top, entries = _json_lines(text, source)
    else:
        item = read_yaml(text, source=source)
        if isinstance(item.value, list):
            top, entries = {}, item.value
        else:
            fields = Fields.of(item, where=source, keys=("caption", "cast", "shots"))
            top, entries = fields.items, fields.list("shots", MAX_SPANS)
    head = Fields(items=top, where=source)
    return Sidecar(
        source=source,
        caption=plain(head.text("caption", MAX_CAPTION)),
        cast=tuple(members_of(top["cast"], f"{source}: cast", source)) if "cast" in top else (),
        spans=_in_order(_span(entry, f"{source} line {entry.line}") for entry in entries),
        digest=digest_of(text),
    )


def _json_lines(text: str, source: str) -> tuple[dict[str, Item], list[Item]]:
    """One JSON object a line; what holds for the whole film may stand in one of its own."""
    top: dict[str, Item] = {}
    entries: list[Item] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            item = _item(json.loads(line), number)
        except (ValueError, RecursionError):
            raise StoryError(f"{source} line {number}: not valid JSON; write one object a line") from None
        if isinstance(item.value, dict) and "start" not in item.value:
            top |= Fields.of(item, where=f"{source} line {number}", keys=("caption", "cast")).items
        else:
            entries.append(item)
        if len(entries) > MAX_SPANS:
            raise StoryError(f"{source}: more than {MAX_SPANS:,} lines; split the film")
    return top, entries


def _item(value: Any, line: int) -> Item:
    """A JSON value in the form in which YAML is read, so that one set of checks does for both."""
    if isinstance(value, dict):
        return Item(line=line, value={key: _item(inner, line) for key, inner in value.items()})
    if isinstance(value, list):
        return Item(line=line, value=[_item(inner, line) for inner in value])
    if isinstance(value, str):
        return Item(line=line, value=Scalar(text=value, plain=False))
    return Item(line=line, value=Scalar(text=json.dumps(value), plain=True))


def _span(item: Item, where: str) -> Span:
    fields = Fields.of(item, where=where, keys=("start", "end", "caption", "characters", "keep", "reason"))
    start = fields.number("start", 0, MAX_SECONDS, default=-1.0, unit="seconds")
    end = fields.number("end", 0, MAX_SECONDS, default=float("inf"), unit="seconds")
    if start < 0:
        raise StoryError(f"{where}: there is no start; add 'start:' in seconds from the first picture")
    if end <= start:
        raise StoryError(f"{where}: ends at {end:g} s, not after its start at {start:g} s")
    names = Fields(items=fields.items, where=where).list("characters", 200)
    for name in names:
        if not isinstance(name.value, Scalar):
            raise StoryError(f"{where}: characters holds {kind_of(name)}; write a list of names")
    return Span(
        start=start,
        end=end,
        caption=plain(fields.text("caption", MAX_CAPTION)),
        characters=tuple(plain(name.value.text) for name in names if isinstance(name.value, Scalar)),
        keep=_keep(fields),
        reason=one_line(plain(fields.text("reason", MAX_CAPTION)), 200),
    )


def _keep(fields: Fields) -> bool:
    word = fields.text("keep", 10, written=True).lower()
    if word not in ("", "true", "false", "yes", "no"):
        raise StoryError(f"{fields.where}: keep is '{word}'; write true or false")
    return word not in ("false", "no")


def _in_order(spans: Iterable[Span]) -> tuple[Span, ...]:
    """By time; each ends at the latest where the next begins."""
    ordered = sorted(spans, key=lambda span: span.start)
    if not ordered:
        return ()
    ended = [replace(span, end=min(span.end, following.start)) for span, following in pairwise(ordered)]
    return (*(span for span in ended if span.end > span.start), ordered[-1])


def digest_of(data: str | bytes) -> str:
    """Hexadecimal sha256."""
    return hashlib.sha256(
        data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
    ).hexdigest()
