"""What a language model may answer, as a schema, and the script in it."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captain_cinema.errors import StoryError
from captain_cinema.script import (
    DEFAULT_SECONDS,
    MAX_NAME,
    CastMember,
    Script,
    Shot,
    dump_script,
    name_key,
    names_in,
    parse_script,
)
from captain_cinema.writer.cast import Tagger


class ReplyError(Exception):
    """Why a reply cannot be used, in words that are sent back to the model."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True, allow_inf_nan=False)


Words = Annotated[str, Field(min_length=1, max_length=1_200)]


class MemberReply(_Strict):
    """A member of the cast."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
    description: Annotated[str, Field(max_length=600)] = ""


class ShotReply(_Strict):
    """A shot."""

    caption: Words
    scene: Annotated[str, Field(max_length=200)] = ""
    framing: Literal["", "wide", "medium", "close-up"] = ""
    camera: Literal["", "static", "pan left", "pan right", "push in"] = ""
    seconds: Annotated[float, Field(ge=1, le=60)] = DEFAULT_SECONDS


class Reply(_Strict):
    """The whole answer."""

    title: Annotated[str, Field(min_length=1, max_length=200)]
    caption: Annotated[str, Field(max_length=1_200)] = ""
    cast: Annotated[list[MemberReply], Field(max_length=100)] = []
    shots: Annotated[list[ShotReply], Field(min_length=1, max_length=500)]


def script_of_reply(text: str, *, shots: int) -> Script:
    """The script in a reply.

    Raises:
        ReplyError: What the model must mend.
    """
    try:
        reply = Reply.model_validate(_json_in(text))
    except ValidationError as error:
        raise ReplyError("; ".join(_fault(fault) for fault in error.errors()[:4])) from None
    if len(reply.shots) != shots:
        raise ReplyError(f"it has {len(reply.shots)} shots, and exactly {shots} are wanted")
    tagger = Tagger(member.name.strip("<> ") for member in reply.cast)
    script = Script(
        title=_flat(reply.title),
        caption=_flat(reply.caption),
        cast=tuple(
            CastMember(name=_flat(member.name.strip("<> ")), description=_flat(member.description))
            for member in reply.cast
        ),
        shots=tuple(
            Shot(
                caption=tagger.tag(_flat(shot.caption)),
                seconds=round(shot.seconds, 2),
                camera=shot.camera,
                framing=shot.framing,
                scene=_flat(shot.scene),
            )
            for shot in reply.shots
        ),
    )
    _check_names(script)
    try:
        return parse_script(dump_script(script), source="the reply")
    except StoryError as error:
        raise ReplyError(str(error)) from None


def _check_names(script: Script) -> None:
    cast = {name_key(member.name) for member in script.cast}
    for number, shot in enumerate(script.shots, 1):
        for name in names_in(shot.caption):
            if name_key(name) not in cast:
                raise ReplyError(f"shot {number} tags <{name}>, who is not in the cast")


def _json_in(text: str) -> Any:
    """The JSON object in a reply, which may stand in a code fence or between sentences."""
    begin, end = text.find("{"), text.rfind("}")
    if begin < 0:
        raise ReplyError("it holds no JSON object")
    try:
        return json.loads(text[begin : end + 1] if end > begin else text[begin:])
    except (ValueError, RecursionError) as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise ReplyError(f"its JSON is broken or cut off{place}") from None


def _fault(fault: Any) -> str:
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in fault["loc"]) or "the reply"
    return f"{where}: {fault['msg']}"


def _flat(text: str) -> str:
    return " ".join(text.split())
