"""Reading what people hand in: text in some encoding, YAML that may be broken or hostile.

Nothing here trusts its input. Every fault is a :class:`StoryError` of one line that names the place.
"""

from __future__ import annotations

import codecs
import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captain_cinema.errors import StoryError

MAX_BYTES = 16 * 2**20
MAX_DEPTH = 16
MAX_WORD = 100

_NOT_TEXT = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")


def read_text(path: Path, *, what: str = "story") -> str:
    r"""Text of a file in UTF-8 (with or without BOM) or UTF-16 with BOM, line ends made "\n".

    Raises:
        StoryError: missing, a folder, too large, empty, binary, or in another encoding; names the byte.
    """
    shown = one_line(path, 300)
    try:
        if path.is_dir():
            raise StoryError(f"{shown} is a folder; give the {what} file itself")
        if path.exists() and not path.is_file():
            raise StoryError(f"{shown} is not a plain file; give the {what} as a file")
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise StoryError(f"{shown}: there is no such file; check the name of the {what}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoryError(
            f"{shown}: cannot read the {what} ({reason}); check its name and permissions"
        ) from None
    if len(data) > MAX_BYTES:
        raise StoryError(f"{shown}: larger than {MAX_BYTES >> 20} MB; split the {what} into several films")
    return decode(data, shown)


def decode(data: bytes, source: str) -> str:
    """Bytes of a text file as text; `source` names it in errors."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    zero = -1 if utf16 else data.find(b"\0")
    if zero >= 0:
        raise StoryError(f"{source}: byte {zero} is zero, so this is not plain text; save it as UTF-8")
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        name = "UTF-16" if utf16 else "UTF-8"
        raise StoryError(f"{source}: byte {error.start} is not valid {name}; save it as UTF-8") from None
    if control := _NOT_TEXT.search(text):
        code, before = ord(control[0]), text[: control.start()]
        place = len(before.encode("utf-16" if utf16 else "utf-8")) + 3 * data.startswith(codecs.BOM_UTF8)
        raise StoryError(
            f"{source}: byte {place} is the control code U+{code:04X}; save it as UTF-8 plain text"
        )
    if not text.strip():
        raise StoryError(f"{source} is empty; write at least one sentence")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def one_line(text: object, limit: int = 60) -> str:
    """`text` cut short and printable, to be quoted in an error of one line."""
    shown = "".join(char if char.isprintable() else " " for char in str(text))
    return shown if len(shown) <= max(limit, 4) else shown[: limit - 1] + "…"


@dataclass(frozen=True, kw_only=True)
class Scalar:
    """A scalar as it is written; `plain` if without quotes."""

    text: str
    plain: bool


@dataclass(frozen=True, kw_only=True)
class Item:
    """A YAML value and the line it starts on, from 1."""

    line: int
    value: Scalar | list[Item] | dict[str, Item]


def read_yaml(text: str, *, source: str) -> Item:
    """The tree of one YAML document, with nothing constructed and nothing resolved.

    Tags, anchors, aliases, repeated keys, keys that are not text, deep nesting and a second document are
    refused: a script needs none of them, and most have been used to attack a reader of YAML.

    Raises:
        StoryError: with the line.
    """
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        events = _checked(yaml.parse(text, Loader=loader), source)
        first: Any = next(events)
        item = _build(first, events, source)
        for extra in events:
            raise StoryError(
                f"{source} line {extra.start_mark.line + 1}: a second document begins; keep one film a file"
            )
        return item
    except StopIteration:
        raise StoryError(f"{source} holds no script; write title, cast and shots") from None
    except yaml.MarkedYAMLError as error:
        line = f" line {error.problem_mark.line + 1}" if error.problem_mark else ""
        problem = one_line(error.problem or error.context or "broken", 90)
        raise StoryError(
            f"{source}{line}: not valid YAML ({problem}); check the indentation, "
            "and put text that holds : or # in quotes"
        ) from None
    except yaml.YAMLError as error:
        problem = one_line(str(error).replace("\n", " "), 90)
        raise StoryError(f"{source}: not valid YAML ({problem}); save it as UTF-8 plain text") from None


def _checked(events: Iterable[Any], source: str) -> Iterator[Any]:
    """The events that carry content; whatever a script has no use for is refused before a tree is built."""
    import yaml

    depth = 0
    for event in events:
        where = f"{source} line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            name = ("*" if isinstance(event, yaml.AliasEvent) else "&") + one_line(event.anchor)
            raise StoryError(f"{where}: {name} is a YAML anchor or alias; write the text out, or quote it")
        if getattr(event, "tag", None):
            tag = one_line(event.tag)
            raise StoryError(
                f"{where}: the YAML tag '{tag}' is not allowed; write plain text, or put it in quotes"
            )
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise StoryError(f"{where}: nested too deeply; a script has three levels")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
            yield event


def _build(event: Any, events: Iterator[Any], source: str) -> Item:
    import yaml

    line = event.start_mark.line + 1
    if isinstance(event, yaml.ScalarEvent):
        return Item(line=line, value=Scalar(text=event.value, plain=event.style in (None, "")))
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[Item] = []
        while not isinstance((child := next(events)), yaml.SequenceEndEvent):
            items.append(_build(child, events, source))
        return Item(line=line, value=items)
    fields: dict[str, Item] = {}
    while not isinstance(key := next(events), yaml.MappingEndEvent):
        where = f"{source} line {key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarEvent):
            raise StoryError(f"{where}: a key must be a word, not a list or a mapping")
        if key.value in fields:
            raise StoryError(f"{where}: '{one_line(key.value)}' is given twice; keep one of them")
        fields[key.value] = _build(next(events), events, source)
    return Item(line=line, value=fields)


@dataclass(frozen=True, kw_only=True)
class Fields:
    """A mapping whose keys are known; each reader checks one type and says where it failed."""

    items: dict[str, Item]
    where: str

    @staticmethod
    def of(item: Item, *, where: str, keys: tuple[str, ...]) -> Fields:
        """The mapping in `item`; a key that is not among `keys` is an error that names the nearest."""
        if not isinstance(item.value, dict):
            raise StoryError(
                f"{where}: {kind_of(item)} where 'key: value' lines are expected ({', '.join(keys)})"
            )
        for key in item.value:
            if key not in keys:
                near = difflib.get_close_matches(key.lower(), keys, n=1, cutoff=0.5)
                hint = f"did you mean '{near[0]}'?" if near else f"known are {', '.join(keys)}"
                raise StoryError(f"{where}: unknown key '{one_line(key)}'; {hint}")
        return Fields(items=item.value, where=where)

    def text(self, key: str, limit: int, *, written: bool = False) -> str:
        """Text; `written`: what YAML takes for something else ("No", 1984) counts as it is written."""
        item = self.items.get(key)
        if item is None or is_null(item):
            return ""
        where = f"{self.where}: {key}"
        if not isinstance(item.value, Scalar):
            raise StoryError(f"{where} is {kind_of(item)}; write it as text")
        if kind_of(item) != "text" and not written:
            raise StoryError(
                f"{where} is {kind_of(item)} ({one_line(item.value.text)}); put it in quotes if it is text"
            )
        text = item.value.text
        if len(text) > limit:
            raise StoryError(f"{where} has {len(text):,} characters; at most {limit:,} work")
        for char in text:
            if unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t":
                raise StoryError(f"{where} holds the control character U+{ord(char):04X}; delete it")
        return text

    def list(self, key: str, limit: int) -> list[Item]:
        """A list of at most `limit` entries; empty if it is left out."""
        item = self.items.get(key)
        if item is None or is_null(item):
            return []
        if not isinstance(item.value, list):
            raise StoryError(f"{self.where}: {key} is {kind_of(item)}; write a list")
        if len(item.value) > limit:
            raise StoryError(f"{self.where}: {key} has {len(item.value):,} entries; at most {limit:,} work")
        return item.value

    def integer(self, key: str, low: int, high: int) -> int | None:
        """A whole number, or None if it is left out."""
        item = self.items.get(key)
        return None if item is None or is_null(item) else integer_of(item, f"{self.where}: {key}", low, high)

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """One of `allowed`, or "" if it is left out."""
        text = self.text(key, MAX_WORD)
        if text and text not in allowed:
            raise StoryError(
                f"{self.where}: {key} '{one_line(text)}' is unknown; use {', '.join(allowed)} or leave it out"
            )
        return text

    def number(self, key: str, low: float, high: float, *, default: float, unit: str) -> float:
        """A finite number from `low` to `high`."""
        item = self.items.get(key)
        if item is None or is_null(item):
            return default
        hint = f"give {low:g} to {high:g} {unit}"
        if not isinstance(item.value, Scalar) or kind_of(item) not in ("a number", "a whole number"):
            raise StoryError(f"{self.where}: {key} is {kind_of(item)}; {hint}")
        value = float(item.value.text)
        if not low <= value <= high:
            raise StoryError(f"{self.where}: {key} is {one_line(item.value.text, 24)}; {hint}")
        return value


def integer_of(item: Item, where: str, low: int, high: int) -> int:
    """A whole number from `low` to `high`; `where` begins the error."""
    if not isinstance(item.value, Scalar) or kind_of(item) != "a whole number":
        raise StoryError(f"{where} is {kind_of(item)}; write a whole number from {low} to {high}")
    text = item.value.text
    if len(text) > 25 or not low <= int(text) <= high:
        raise StoryError(f"{where} is {one_line(text, 24)}; write a whole number from {low} to {high}")
    return int(text)


def is_null(item: Item) -> bool:
    """Whether nothing is written after the key."""
    return (
        isinstance(item.value, Scalar)
        and item.value.plain
        and item.value.text in ("", "~", "null", "Null", "NULL")
    )


def kind_of(item: Item) -> str:
    """What a reader of YAML would take the value for, in words; numbers are decimal only."""
    if isinstance(item.value, list):
        return "a list"
    if isinstance(item.value, dict):
        return "a mapping"
    text, plain = item.value.text, item.value.plain
    if not plain:
        return "text"
    if is_null(item):
        return "empty"
    if re.fullmatch(r"(?i)true|false|yes|no|on|off", text):
        return "yes or no"
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return "a whole number"
    if re.fullmatch(r"(?i)[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)(e[+-]?[0-9]+)?|[+-]?\.inf|\.nan", text):
        return "a number" if text[-1].isdigit() or text[-1] == "." else "not a finite number"
    return "text"
