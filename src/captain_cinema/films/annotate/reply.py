"""What a model may answer about frames, as a schema; whatever else it answers is a fault in words."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from captain_cinema.films.annotate.cast import plain
from captain_cinema.script import MAX_CAPTION
from captain_cinema.script.reading import one_line

MAX_REPLY = 512 * 1024
"""Characters of a reply that are looked at; more than a hundred long captions."""
MAX_REASON = 200


def _words(value: Any) -> Any:
    """Text on one clean line; half a character of a pair would spoil whatever it is written to."""
    if value is None:
        return ""
    return plain(value) if isinstance(value, str) else value


Words = Annotated[str, BeforeValidator(_words)]
Names = Annotated[list[Words], BeforeValidator(lambda value: [] if value is None else value)]


class FrameReply(BaseModel):
    """What a model says of one frame. Names are not yet held to the cast."""

    model_config = ConfigDict(extra="ignore")

    keep: bool
    reason: Annotated[Words, Field(max_length=MAX_CAPTION)] = ""
    caption: Annotated[Words, Field(max_length=MAX_CAPTION)] = ""
    characters: Annotated[Names, Field(max_length=200)] = []


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What of a reply can be used."""

    found: dict[str, FrameReply]
    """By the frame's code."""
    fault: str
    """The first thing wrong with it, in words that the model can be told; empty if nothing is."""


def read_reply(text: str, codes: Sequence[str]) -> Reading:
    """Take from a reply what it says of the frames that were asked about.

    A reply that was cut off still gives the frames before the cut. An entry about a frame that was not sent
    is never used, nor are two that differ about the same one.

    Args:
        text: As the model wrote it: JSON, alone, in a code fence or between sentences; or anything else.
        codes: Of the frames that were sent.
    """
    known = {code.casefold(): code for code in codes}
    found: dict[str, FrameReply] = {}
    twice: set[str] = set()
    faults: list[str] = []
    entries = 0
    for entry in _entries(text[:MAX_REPLY], len(codes)):
        entries += 1
        named = entry.get("frame")
        code = known.get(named.strip().casefold()) if isinstance(named, str) else None
        if code is None:
            faults.append(f"it tells of frame '{one_line(plain(str(named)), 20)}', which was not sent")
            continue
        try:
            reply = FrameReply.model_validate(entry)
        except ValidationError as error:
            faults.append(f"frame {code}: {_fault(error)}")
            continue
        if reply.keep and not reply.caption:
            faults.append(f"frame {code} is kept but has no caption")
        elif code in found and found[code] != reply:
            faults.append(f"it tells of frame {code} twice, and differently")
            twice.add(code)
        else:
            found[code] = reply
    found = {code: reply for code, reply in found.items() if code not in twice}
    if not entries:
        faults.append("its JSON is broken or cut off" if "{" in text else "it holds no JSON object")
    elif not faults and (left := [code for code in codes if code not in found]):
        faults.append(f"it says nothing of frame {left[0]}")
    return Reading(found=found, fault=faults[0] if faults else "")


def _entries(text: str, count: int) -> Iterator[dict[str, Any]]:
    """The objects in a reply that could be about a frame: those under "frames", in a list, or bare."""
    decoder = json.JSONDecoder()
    place, tries = text.find("{"), 0
    # From outside in: the whole object if it is whole, else what is whole inside it; not for ever.
    while place >= 0 and tries < 50 + 20 * count:
        tries += 1
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            value, end = None, place + 1
        except RecursionError:
            return
        if isinstance(value, dict):
            listed = value.get("frames")
            for entry in listed if isinstance(listed, list) else [value]:
                if isinstance(entry, dict) and "frame" in entry:
                    yield entry
        place = text.find("{", end)


def _fault(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the entry"
    return one_line(f"{where}: {first['msg']}", 120)
