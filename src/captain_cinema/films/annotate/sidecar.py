"""Captions that lie beside a film, matched by time.

Looked for in this order, for a film `bikes.mp4`:

1. `bikes.mp4.captions.jsonl`, `bikes.mp4.captions.yaml`, then the same without `.mp4` (captions.py);
2. for a film called `film.*` and no other: `truth.json` and `script.yaml` beside it, as `cinema playhouse`
   writes them, or `script.yaml` alone.

Detected cuts may differ from the true ones, so a keyframe takes the words of what is on screen at its time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from captain_cinema.errors import CinemaError, StoryError
from captain_cinema.films.annotate.captions import (
    FORMS,
    MAX_SECONDS,
    MAX_SPANS,
    Sidecar,
    Span,
    digest_of,
    read_captions,
)
from captain_cinema.films.annotate.cast import NAMING_VERSION, NameList, cast_of, plain
from captain_cinema.films.annotate.kinds import About, Annotation, film_cast
from captain_cinema.films.records import FilmRecord, Picture
from captain_cinema.script import MAX_CAPTION, CastMember, load_script, name_key, names_in, shot_prompt
from captain_cinema.script.reading import one_line

MAX_TRUTH_BYTES = 256 * 2**20


class SidecarAnnotator:
    """Reads what lies beside each film. See :class:`captain_cinema.films.annotate.Annotator`."""

    name = "sidecar"
    is_settled = True

    def __init__(self, *, cast: dict[str, list[CastMember]]) -> None:
        self._cast = cast
        self._last: tuple[str, Sidecar | str] = ("", "")

    def check(self) -> None:
        """See :class:`Annotator`: there is nothing that could fail before a film is known."""

    def close(self) -> None:
        """See :class:`Annotator`."""

    def about(self, film: FilmRecord) -> About:
        """See :class:`Annotator`: the sidecar's caption; its cast, after that of the cast file."""
        found = self._of(film)
        if isinstance(found, str):
            return About(cast=film_cast(cast_of(self._cast, film)))
        members = self._members(film, found)
        caption = NameList(member.name for member in members).tag(found.caption).caption
        return About(caption=caption, cast=film_cast(members))

    def fingerprint(self, film: FilmRecord) -> str:
        """See :class:`Annotator`."""
        self._last = ("", "")  # the file may have changed since
        found = self._of(film)
        words = found if isinstance(found, str) else found.digest
        members = [f"{member.name}\n{member.description}" for member in cast_of(self._cast, film)]
        return digest_of("\n".join([self.name, f"{NAMING_VERSION}", words, *members]))[:16]

    def annotate(self, film: FilmRecord, pictures: Sequence[Picture]) -> list[Annotation]:
        """See :class:`Annotator`."""
        found = self._of(film)
        if isinstance(found, str):
            return [Annotation(keep=True, error=found)] * len(pictures)
        names = NameList(member.name for member in self._members(film, found))
        # A frame is on screen for a while; its middle is on the right side of a cut that was rounded.
        later = 0.5 / film.fps if film.fps > 0 else 0.001
        return [_annotation(found, picture.seconds + later, names) for picture in pictures]

    def _members(self, film: FilmRecord, found: Sidecar) -> list[CastMember]:
        """Who may be named. Where neither file lists anybody, the tags do: a person put them there."""
        members = {name_key(member.name): member for member in (*cast_of(self._cast, film), *found.cast)}
        if not members:
            told = [(span.caption, span.characters) for span in found.spans]
            for caption, characters in [*told, (found.caption, ())]:
                for name in (*names_in(caption), *characters):
                    members.setdefault(name_key(name), CastMember(name=name))
        return list(members.values())

    def _of(self, film: FilmRecord) -> Sidecar | str:
        """What lies beside a film, or why there is nothing of use."""
        if self._last[0] != film.path or not film.path:
            try:
                found: Sidecar | str = read_sidecar(Path(film.path))
            except (CinemaError, OSError, ValueError) as error:
                found = one_line(str(error), 300)
            self._last = (film.path, found)
        return self._last[1]


def read_sidecar(film: Path) -> Sidecar:
    """Find and read the captions beside a film.

    Raises:
        StoryError: There are none, or they cannot be read; one line.
    """
    bases = dict.fromkeys((film.name, film.stem))
    for place in (film.with_name(base + form) for base in bases for form in FORMS):
        if _is_file(place):
            return read_captions(place)
    if film.stem.casefold() == "film":
        script, truth = film.with_name("script.yaml"), film.with_name("truth.json")
        if _is_file(truth):
            return _read_truth(truth, script if _is_file(script) else None)
        if _is_file(script):
            return _read_script(script)
    raise StoryError(
        f"there are no captions beside the film; write {one_line(film.name, 80)}{FORMS[0]} or ...{FORMS[1]}"
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # for example a name that is too long
        return False


def _annotation(found: Sidecar, seconds: float, names: NameList) -> Annotation:
    span = found.at(seconds)
    if span is None:
        return Annotation(keep=True, error=f"{found.source} says nothing of {seconds:.2f} s")
    if not span.keep:
        return Annotation(keep=False, reason=span.reason or f"{found.source} gives no reason")
    tagged = names.tag(span.caption, span.characters)
    if not tagged.caption:
        return Annotation(keep=True, error=f"{found.source} has an empty caption at {seconds:.2f} s")
    return Annotation(keep=True, reason=tagged.reason, caption=tagged.caption, characters=tagged.characters)


class _TruthShot(BaseModel):
    model_config = ConfigDict(extra="ignore")

    caption: Annotated[str, Field(min_length=1, max_length=MAX_CAPTION)]
    seconds: Annotated[float, Field(gt=0, lt=MAX_SECONDS)]
    names: list[str]


class _TruthMember(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: Annotated[str, Field(min_length=1, max_length=100)]


class _Truth(BaseModel):
    """As much of the playhouse's truth.json as captions need."""

    model_config = ConfigDict(extra="ignore")

    version: Literal[1]
    caption: Annotated[str, Field(max_length=MAX_CAPTION)]
    frame_rate: Annotated[float, Field(gt=0, le=1000)]
    cast: list[_TruthMember]
    shots: Annotated[list[_TruthShot], Field(min_length=1, max_length=MAX_SPANS)]


def _read_truth(path: Path, script: Path | None) -> Sidecar:
    """A film of the playhouse: its captions tell every look once, where a character first comes in."""
    source = path.name
    try:
        with path.open("rb") as file:
            data = file.read(MAX_TRUTH_BYTES + 1)
        if len(data) > MAX_TRUTH_BYTES:
            raise StoryError(f"{source}: larger than {MAX_TRUTH_BYTES >> 20} MB")
        truth = _Truth.model_validate(json.loads(data))
    except OSError as error:
        raise StoryError(f"{source}: cannot be read ({error.strerror or error})") from None
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) or "this"
        raise StoryError(f"{source}: {one_line(where)} is not as the playhouse writes it") from None
    except (ValueError, RecursionError):
        raise StoryError(f"{source}: not valid JSON; draw the film anew with cinema playhouse") from None
    looks = (
        {name_key(member.name): member.description for member in load_script(script).cast} if script else {}
    )
    spans: list[Span] = []
    frame = 0
    for shot in truth.shots:
        begin, frame = frame, frame + round(shot.seconds * truth.frame_rate)  # the film has whole frames
        if frame > begin:
            spans.append(
                Span(
                    start=begin / truth.frame_rate,
                    end=frame / truth.frame_rate,
                    caption=plain(shot.caption),
                    characters=tuple(shot.names),
                )
            )
    return Sidecar(
        source=source,
        caption=plain(truth.caption),
        cast=tuple(
            CastMember(name=member.name, description=looks.get(name_key(member.name), ""))
            for member in truth.cast
        ),
        spans=tuple(spans),
        digest=digest_of(data) + (digest_of(script.read_bytes()) if script else ""),
    )


def _read_script(path: Path) -> Sidecar:
    """A film with nothing but its script: what the models read of each shot, as long as the script says."""
    script = load_script(path)
    spans: list[Span] = []
    start = 0.0
    for number, shot in enumerate(script.shots, 1):
        words = plain(shot_prompt(script, number))
        spans.append(Span(start=start, end=start + shot.seconds, caption=words, characters=names_in(words)))
        start += shot.seconds
    return Sidecar(
        source=path.name,
        caption=plain(script.caption),
        cast=script.cast,
        spans=tuple(spans),
        digest=digest_of(path.read_bytes()),
    )
