"""What a build tells: while it works, and at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from captain_cinema.films.annotate import Usage
from captain_cinema.films.records import FilmRecord

VERDICTS = ("ok", "partial", "duplicate", "rejected", "error")
GOOD = ("ok", "duplicate")

OK, SOME_NOT_OK = 0, 1


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something is done."""

    done: float
    """For example seconds of film that are worked through."""
    total: float
    """Of all films that need work, as far as their headers tell."""
    text: str
    """What there is to tell; empty if only time has passed."""
    quiet: bool = False
    """Whether it is worth a line only if nothing was said for a while."""
    kind: str = "film"
    """What `done` and `total` count: seconds of film, or frames that an annotator is shown ("annotation")."""


Tell = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class BuildReport:
    """How a build ended."""

    dataset: Path
    records: tuple[FilmRecord, ...]
    """One a file, in the order in which the files were found."""
    decoded: int = 0
    """Films that were decoded in this run."""
    written: int = 0
    """Films that were written in this run."""
    spent: Mapping[str, float] = field(default_factory=dict)
    """Seconds of work by kind, over all workers."""
    usage: Usage | None = None
    """Of an annotator that counts."""

    @property
    def code(self) -> int:
        """0 if all files are ok or duplicates, 1 if some are not."""
        return OK if all(record.verdict in GOOD for record in self.records) else SOME_NOT_OK

    @property
    def counts(self) -> dict[str, int]:
        """Files by verdict."""
        found = Counter(record.verdict for record in self.records)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def data(self) -> dict[str, Any]:
        """For scripts."""
        return {
            "dataset": str(self.dataset),
            "verdicts": self.counts,
            "decoded": self.decoded,
            "written": self.written,
            "kept": sum(record.kept for record in self.records),
            "dropped": sum(record.dropped for record in self.records),
            "annotation": None if self.usage is None else asdict(self.usage),
            "films": [
                {
                    "path": printable(record.path),
                    "id": record.id,
                    "verdict": record.verdict,
                    "reason": record.reason,
                    "shots": record.shots,
                    "kept": record.kept,
                    "dropped": record.dropped,
                    "corrupt": record.corrupt,
                    "seconds": record.seconds,
                }
                for record in self.records
            ],
        }

    def text(self, *, most: int = 40) -> str:
        """For people: how many of each, and what became of those that are not ok."""
        lines = [f"{record.name}: {summary(record)}" for record in self.records if record.verdict not in GOOD]
        if len(lines) > most:
            lines = [*lines[:most], f"and {len(lines) - most} more that are not ok; --json lists them all"]
        said = ", ".join(f"{count} {verdict}" for verdict, count in self.counts.items() if count)
        kept, dropped = (sum(getattr(r, name) for r in self.records) for name in ("kept", "dropped"))
        lines.append(f"{len(self.records)} files: {said}; {kept} keyframes kept, {dropped} dropped")
        if not (self.decoded or self.written):
            lines.append("nothing to do: everything is up to date")
        if self.usage is not None:
            lines.append(f"annotation: {self.usage}")
        return "\n".join([*lines, f"dataset: {self.dataset}"])


def summary(record: FilmRecord) -> str:
    """ "ok, 25 shots, 46 keyframes kept, 4 dropped"."""
    said = record.verdict
    if record.shots:
        said += f", {counted(record.shots, 'shot')}, {counted(record.kept, 'keyframe')} kept"
        said += f", {record.dropped} dropped"
    return f"{said} ({record.reason})" if record.reason else said


def counted(count: int, what: str) -> str:
    """ "1 shot", "2 shots"."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def printable(text: str) -> str:
    """A path that any terminal and any JSON reader takes."""
    return text.encode("utf-8", "backslashreplace").decode()
