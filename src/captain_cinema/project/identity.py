"""Which shot is which when the script changes: a shot keeps its identity, so its seed and files, wherever it
goes.

Files are named by place (`003.png` is the third shot). When shots come in between, go or change places, the
files move along, in two steps through names that clash with none, so that a kill in the middle is ended by
the next run. Files of shots that are gone from the script are kept among the takes.
"""

from __future__ import annotations

import dataclasses
import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from captain_cinema.errors import ProjectError
from captain_cinema.project.files import flush, keep_take, read_json, record_of, sha256_text, write_json
from captain_cinema.project.folder import FilmFolder
from captain_cinema.project.state import FilmState, state_from
from captain_cinema.script import Script

JOURNAL = ".cinema-moves.json"


def align(script: Script, state: FilmState) -> FilmState:
    """The state with an identity for every shot of the script, those of before as far as they can be
    recognised.

    Equal captions are the same shot; of the rest, a changed caption in the same place is the same shot.
    """
    captions = [sha256_text(shot.caption)[:16] for shot in script.shots]
    before = [digest for _, digest in state.shots]
    if captions == before:
        return state
    identities: list[int | None] = [None] * len(captions)
    for old, new in _matched(before, captions):
        identities[new] = state.shots[old][0]
    next_id = state.next_id
    shots = []
    for identity, digest in zip(identities, captions, strict=True):
        if identity is None:
            identity, next_id = next_id, next_id + 1
        shots.append((identity, digest))
    return dataclasses.replace(state, shots=tuple(shots), next_id=next_id)


def _matched(before: Sequence[str], after: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of the same shot before and after. Most edits are in one place, so both ends are matched first:
    the general comparison takes time with the square of the length."""
    start, shorter = 0, min(len(before), len(after))
    while start < shorter and before[start] == after[start]:
        start += 1
    end = 0
    while end < shorter - start and before[-1 - end] == after[-1 - end]:
        end += 1
    yield from ((place, place) for place in range(start))
    yield from ((len(before) - place, len(after) - place) for place in range(1, end + 1))
    old, new = before[start : len(before) - end], after[start : len(after) - end]
    matcher = difflib.SequenceMatcher(a=old, b=new, autojunk=False)
    for _, a_start, a_end, b_start, b_end in matcher.get_opcodes():
        for a, b in zip(range(a_start, a_end), range(b_start, b_end), strict=False):
            yield start + a, start + b


@dataclass(frozen=True, kw_only=True)
class Moves:
    """Where the files of shots go: old place -> new place, 0 for shots that are gone."""

    places: Mapping[int, int]

    @staticmethod
    def between(before: FilmState, after: FilmState) -> Moves:
        """What an aligned state asks of the files."""
        new = {identity: place for place, (identity, _) in enumerate(after.shots, 1)}
        places = {place: new.get(identity, 0) for place, (identity, _) in enumerate(before.shots, 1)}
        return Moves(places={old: place for old, place in places.items() if old != place})


def settle_shots(folder: FilmFolder, script: Script, state: FilmState) -> FilmState:
    """Align the state with the script, bring the files to their places, save."""
    after = align(script, state)
    if after == state:
        return state
    moves = Moves.between(state, after)
    if moves.places:
        journal = {"step": 1, "places": list(moves.places.items()), "state": dataclasses.asdict(after)}
        write_json(folder.path / JOURNAL, journal)
        finish_moves(folder)
    folder.save_state(after)
    return after


def finish_moves(folder: FilmFolder) -> None:
    """Do, or end after a kill, the moves that the journal asks for. Every part may be done twice."""
    path = folder.path / JOURNAL
    journal = read_json(path)
    if journal is None:
        return
    try:
        places = {int(old): int(new) for old, new in journal["places"]}
        state = state_from(journal["state"])
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProjectError(
            f"{path} is damaged; delete it, and look whether shots are in their places"
        ) from error
    if journal.get("step") == 1:
        for old, new in places.items():
            for source in _files(folder, old):
                if new == 0 and source.suffix != ".json":
                    keep_take(source, folder.takes)
                if new == 0:
                    source.unlink(missing_ok=True)
                else:
                    os.replace(source, source.with_name(f".move-{new:03d}{source.suffix}"))
        _flush(folder)
        write_json(path, {**journal, "step": 2})
    for new in places.values():
        for target in _names(folder, new) if new else ():
            waiting = target.with_name(f".move-{target.name}")
            if waiting.is_file():
                os.replace(waiting, target)
    _flush(folder)
    folder.save_state(state)
    path.unlink()


def _names(folder: FilmFolder, number: int) -> Iterator[Path]:
    """Pictures before their records: a record without its picture is harmless, the other way round is not."""
    for media in (folder.keyframe(number), folder.clip(number)):
        yield media
        yield record_of(media)


def _files(folder: FilmFolder, number: int) -> Iterator[Path]:
    return (path for path in _names(folder, number) if path.is_file())


def _flush(folder: FilmFolder) -> None:
    for place in (folder.storyboard, folder.shots):
        if place.is_dir():
            flush(place)
