"""Plain text and Markdown as blocks: a title, a cast list if there is one, scenes, and what is to be seen."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from captain_cinema.errors import StoryError
from captain_cinema.script.reading import one_line

_HEADING = re.compile(r"^ {0,3}(#{1,6})(?:\s+(.*))?$")
_UNDERLINE = re.compile(r"^ {0,3}(=+|-+)\s*$")
_RULE = re.compile(r"^ {0,3}(?:(?:\*\s*){3,}|(?:-\s*){3,}|(?:_\s*){3,}|(?:~\s*){3,})$")
_ITEM = re.compile(r"^\s*(?:[-*+•‣–—]|\d{1,4}[.)、])\s+(\S.*)$")
_QUOTE = re.compile(r"^ {0,3}>\s?")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)")
_CAST_HEAD = re.compile(
    r"^\W{0,3}(?:the\s+)?(?:cast|characters|dramatis person(?:ae|æ))(?:\s+list)?\W{0,3}?"
    r"(?:[:：]\W{0,3}\s*(.*))?$",
    re.IGNORECASE,
)
_STYLE_HEAD = re.compile(r"^\W{0,3}style\W{0,2}[:：]\W{0,2}\s*(\S.*)$", re.IGNORECASE)
_MEMBER = re.compile(
    r"""^(?:\*\*|__|\*|_)?<?(?P<name>[^<>:：(（,，*_]+?)>?(?:\*\*|__|\*|_)?
    (?:\s*[:：](?:\*\*|__)?\s*(?P<a>.*)|\s+[-–—]+\s+(?P<b>.*)|\s*[,，]\s*(?P<d>.*)
    |\s*[(（](?P<c>[^)）]*)[)）]\s*[.:：]?\s*(?P<e>.*))?$""",
    re.VERBOSE,
)
_STOPS = '.!?…。！？｡؟۔।॥:;"”’»」』)'


@dataclass(frozen=True, kw_only=True)
class Block:
    """A run of the story that is at least one shot."""

    text: str
    scene: str
    opens_scene: bool
    speaker: str = ""
    """Who says it, in a screenplay; the text then begins with the name."""


@dataclass(kw_only=True)
class Story:
    """What a reader of any format finds."""

    title: str = ""
    caption: str = ""
    cast: list[tuple[str, str]] = field(default_factory=list)
    """Listed names and their descriptions."""
    blocks: list[Block] = field(default_factory=list)


def read_plain(text: str) -> Story:
    """Read plain text or Markdown (design section 7: the words stay the user's)."""
    return _Reader().read(_without_comments(text).expandtabs(4))


def _without_comments(text: str) -> str:
    """Without `<!-- ... -->`; a loop, because a regular expression takes quadratic time on hostile text."""
    kept, place = [], 0
    while (begin := text.find("<!--", place)) >= 0 and (end := text.find("-->", begin + 4)) >= 0:
        kept += [text[place:begin], " "]
        place = end + 3
    return "".join([*kept, text[place:]])


class _Reader:
    def __init__(self) -> None:
        self.story = Story()
        self.scene = ""
        self.opens = True
        self.in_cast = False
        self.cast_ends_at_blank = False
        self.cast_is_bulleted: bool | None = None
        self.is_item = False
        self.paragraph: list[str] = []

    def read(self, text: str) -> Story:
        lines = self._front_matter(text.split("\n"))
        skip = False
        for number, line in enumerate(lines):
            if skip:
                skip = False
                continue
            below = lines[number + 1] if number + 1 < len(lines) else ""
            if heading := _HEADING.match(line):
                self._heading((heading[2] or "").strip().rstrip("#"), len(heading[1]))
            elif self._is_underlined(line, below):
                self._heading(line.strip(), 1 if below.strip()[0] == "=" else 2)
                skip = True
            elif _RULE.match(line):
                self._flush()
                self.in_cast, self.opens = False, True
            elif not _FENCE.match(line):
                self._line(_QUOTE.sub("", line))
        self._flush()
        return self.story

    def _front_matter(self, lines: list[str]) -> list[str]:
        """`key: value` lines between two rules at the top; of them only title and style are ours."""
        if lines[0].strip() != "---":
            return lines
        for end, line in enumerate(lines[1:50], 1):
            if line.strip() == "---":
                fields = dict(part.split(":", 1) for part in lines[1:end] if ":" in part)
                self.story.title = fields.get("title", "").strip().strip("\"'")
                self.story.caption = fields.get("style", "").strip().strip("\"'")
                return lines[end + 1 :]
            if line.strip() and not re.match(r"\s*[\w-]+:|\s+|\s*- ", line):
                break
        return lines

    def _is_underlined(self, line: str, below: str) -> bool:
        mark = _UNDERLINE.match(below)
        if not mark or self.paragraph or not line.strip() or _ITEM.match(line) or _RULE.match(line):
            return False
        return len(mark[1]) >= 3 and len(line.strip()) <= 100

    def _heading(self, text: str, level: int) -> None:
        self._flush()
        text = " ".join(text.split())
        self.in_cast = False
        if (head := _CAST_HEAD.match(text)) and not head[1]:
            self.in_cast, self.cast_ends_at_blank = True, False
        elif level == 1 and not self.story.title and not self.story.blocks and not self.scene:
            self.story.title = text.strip("*_ ")
        else:
            self.scene, self.opens = text, True

    def _line(self, line: str) -> None:
        if not self.paragraph and not self.in_cast:
            plain = line.strip()
            if (head := _CAST_HEAD.match(plain)) and (head[1] is not None):
                inline = head[1].strip("*_ ")
                self.in_cast = self.cast_ends_at_blank = not inline
                self._inline_cast(inline)
                return
            if (style := _STYLE_HEAD.match(plain)) and not self.story.blocks and not self.story.caption:
                self.story.caption = style[1]
                return
        item = _ITEM.match(line)
        if self.in_cast and self._cast_line(line, item):
            return
        if not line.strip():
            self._flush()
        elif item:
            self._flush()
            self.paragraph, self.is_item = [item[1]], True
        else:
            self.paragraph.append(line.strip())

    def _cast_line(self, line: str, item: re.Match[str] | None) -> bool:
        """Whether `line` belongs to the cast list, which ends at the first line of anything else."""
        if not line.strip():
            self.in_cast = not (self.cast_ends_at_blank and self.story.cast)
            return True
        entry = item[1] if item else line.strip()
        if item is None and line.startswith("  ") and self.story.cast:
            name, description = self.story.cast[-1]
            self.story.cast[-1] = (name, f"{description} {entry}".strip())
            return True
        member = _MEMBER.match(entry)
        short = member is not None and len(member["name"].split()) <= 4
        described = member is not None and any(member.group("a", "b", "c", "d"))
        bulleted = item is not None
        alike = self.cast_is_bulleted in (None, bulleted)
        if not short or not alike or not (described or _is_name_alone(entry)):
            self.in_cast = False
            return False
        self.cast_is_bulleted = bulleted
        self._member(entry)
        return True

    def _inline_cast(self, text: str) -> None:
        separator = r"[;；]" if re.search("[;；]", text) else r"[,，、](?![^()]*\))|\band\b|&"
        for entry in re.split(separator, text.strip().rstrip(".。")):
            if entry.strip() and entry.strip().lower() not in ("none", "nobody", "no one"):
                self._member(entry.strip())

    def _member(self, entry: str) -> None:
        member = _MEMBER.match(entry)
        name = " ".join(member["name"].split()).rstrip(".。").strip("\"'“”") if member else ""
        if not member or not name:
            raise StoryError(f"the cast list has '{one_line(entry)}'; write '- Name: how they look'")
        description = " ".join(text for text in member.group("a", "b", "c", "d", "e") if text)
        self.story.cast.append((name, " ".join(description.strip("*_ ").split())))

    def _flush(self) -> None:
        groups = [self.paragraph] if self.is_item else _line_groups(self.paragraph)
        self.paragraph, self.is_item = [], False
        for text in map("\n".join, groups):
            if any(char.isalnum() for char in text):
                self.story.blocks.append(Block(text=text, scene=self.scene, opens_scene=self.opens))
                self.opens = False


def _is_name_alone(entry: str) -> bool:
    return len(entry) <= 40 and len(entry.split()) <= 4 and entry[-1] not in _STOPS


def _line_groups(lines: list[str]) -> list[list[str]]:
    """Lines that stand for themselves each alone; the lines of wrapped prose together.

    Wrapped prose goes on in small letters somewhere; a list of shots without bullets never does.
    """
    if len(lines) < 2:
        return [lines] if lines else []
    if any(line.lstrip("\"'“‘«„(*_<[")[:1].islower() for line in lines):
        return [lines]
    own = all(line.rstrip("*_ ")[-1:] in _STOPS for line in lines[:-1])
    short = max(len(line) for line in lines[:-1]) < 50
    return [[line] for line in lines] if own or short or len(lines) >= 4 else [lines]
