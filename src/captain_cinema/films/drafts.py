"""A film's draft, opened and judged.

A draft holds all that a film gives to the dataset but for what depends on other films (duplicates), on the
annotator, and on thresholds: it is judged anew whenever it is opened. `finishing` makes it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from captain_cinema.films.duplicates import Key
from captain_cinema.films.quality import Quality, judge
from captain_cinema.films.records import FilmRecord, KeyframeRecord
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.spool import Place, Spool, SpoolError
from captain_cinema.films.store.records import film_of, keyframe_of


@dataclass(frozen=True, kw_only=True)
class DraftEntry:
    """A keyframe of a draft."""

    record: KeyframeRecord
    jpeg: Place
    """(0, 0) if the dataset has it."""
    whole: Place


class Draft:
    """A film's draft, judged by the thresholds of some settings.

    Raises:
        SpoolError: it is not there, or not whole.
    """

    def __init__(self, folder: Path, settings: FilmSettings) -> None:
        self.spool = Spool(folder)
        try:
            self.record = film_of(self.spool.index["record"])
            self.entries = [_draft_entry(entry, settings) for entry in self.spool.index["keyframes"]]
        except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            raise SpoolError(f"{folder} is damaged; run the same command again") from error

    def fit(self) -> list[KeyframeRecord]:
        """Keyframes that are not poor."""
        return [entry.record for entry in self.entries if entry.record.verdict == "kept"]


def _draft_entry(entry: dict[str, Any], settings: FilmSettings) -> DraftEntry:
    reason = judge(Quality(**entry["quality"]), settings)
    record = replace(keyframe_of(entry["row"]), verdict="dropped" if reason else "kept", reason=reason)
    jpeg, whole = entry["jpeg"], entry["whole"]
    return DraftEntry(record=record, jpeg=(jpeg[0], jpeg[1]), whole=(whole[0], whole[1]))


def decide(
    film: FilmRecord, keyframes: Sequence[KeyframeRecord], dropped: Mapping[Key, str], copy: str
) -> FilmRecord:
    """A film's verdict, once it is known which of its keyframes are poor or duplicates.

    Args:
        film: as its draft has it.
        keyframes: all of them.
        dropped: duplicates, with the reason.
        copy: the film that has all of its keyframes already; empty if there is none.
    """
    if copy:
        return replace(film, verdict="duplicate", reason=f"every keyframe of it is in {copy}")
    reasons = [record.reason or dropped.get((record.shot, record.role), "") for record in keyframes]
    if all(reasons):
        listed = Counter(reason.split(" of ")[0] for reason in reasons).most_common()
        said = ", ".join(f"{count} {what}" for what, count in listed) or "damaged throughout"
        return replace(film, verdict="rejected", reason=f"no keyframe of it is fit to be kept: {said}")
    return film
