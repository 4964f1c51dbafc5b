"""What earlier builds left: films that are done, files that gave none, digests of files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from captain_cinema.films.records import FilmRecord
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.paths import read_json, write_json
from captain_cinema.films.store.records import film_of
from captain_cinema.films.store.writer import finished_film
from captain_cinema.films.survey import FileState, Survey, file_state

WORK = ".work"
"""Under the dataset: what is under way."""
SEEN = Path("cache") / "seen.json"

THRESHOLDS = ("flat_deviation", "blur_sharpness", "text_share", "duplicate_distance")
"""Settings that need no frame: a draft is judged by them whenever it is opened."""

SETTLED_NS = 2_000_000_000
"""A file that was written so shortly before it was looked at may change once more within the same tick."""


def draft_key(settings: FilmSettings) -> str:
    """Digest of the settings that a draft depends on."""
    needed = {name: value for name, value in asdict(settings).items() if name not in THRESHOLDS}
    return hashlib.sha256(json.dumps(needed, sort_keys=True).encode()).hexdigest()[:16]


def path_text(path: Path) -> str:
    """A path as records keep it."""
    return os.path.abspath(path)


@dataclass(frozen=True, kw_only=True)
class SeenFile:
    """A file that was read once."""

    state: FileState
    digest: str


@dataclass(kw_only=True)
class Ledger:
    """What is known of a dataset's files and films when a build begins."""

    dataset: Path
    films: dict[str, FilmRecord] = field(default_factory=dict)
    """Finished films by id; all of their files are there."""
    files: dict[str, FilmRecord] = field(default_factory=dict)
    """Files that gave no film, by path."""
    seen: dict[str, SeenFile] = field(default_factory=dict)

    @classmethod
    def load(cls, dataset: Path) -> Ledger:
        """Read what is there; what is damaged is as if it were not."""
        ledger = cls(dataset=dataset)
        for path in sorted((dataset / "films").glob("*.json")):
            record = finished_film(dataset, path.stem)
            if record is not None:
                ledger.films[record.id] = record
        for path in sorted((dataset / "files").glob("*.json")):
            value = read_json(path)
            with suppress(TypeError, ValueError, KeyError, AttributeError):
                record = film_of((value or {})["record"])
                ledger.files[record.path] = record
        for path, item in (read_json(dataset / SEEN) or {}).items():
            with suppress(TypeError, ValueError, KeyError):
                ledger.seen[path] = SeenFile(state=FileState(**item["state"]), digest=str(item["digest"]))
        return ledger

    def known_digest(self, path: Path) -> str:
        """The digest of a file that has not changed since it was read; empty if that is not known."""
        seen = self.seen.get(path_text(path))
        return seen.digest if seen is not None and seen.state == file_state(path) else ""

    def note(self, surveys: Iterable[Survey]) -> None:
        """Remember the digests of files for the next build."""
        now = time.time_ns()
        for survey in surveys:
            state = survey.state
            if state is None or not survey.digest or now - max(state.modified, state.changed) < SETTLED_NS:
                self.seen.pop(path_text(survey.path), None)
            else:
                self.seen[path_text(survey.path)] = SeenFile(state=state, digest=survey.digest)
        value: dict[str, Any] = {path: asdict(seen) for path, seen in sorted(self.seen.items())}
        write_json(self.dataset / SEEN, value)


def work_folder(dataset: Path, film: str, key: str) -> Path:
    """Where a film is worked on."""
    return dataset / WORK / f"{film}-{key}"


def sweep(dataset: Path, film: str) -> None:
    """Remove what a film was worked on with, under these and under earlier settings."""
    for folder in (dataset / WORK).glob(f"{film}-*"):
        shutil.rmtree(folder, ignore_errors=True)


def sweep_parts(dataset: Path) -> None:
    """Remove what a kill left half written."""
    for pattern in ("*/.*.part", ".*.part"):
        for part in (dataset / WORK).glob(pattern):
            shutil.rmtree(part, ignore_errors=True)
    for part in (dataset / "cache" / "drafts").glob(".*.part"):
        shutil.rmtree(part, ignore_errors=True)
    for part in (dataset / "cache").glob(".*.part"):
        part.unlink(missing_ok=True)
