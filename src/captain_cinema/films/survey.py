"""What a file is before it is decoded: its state on disk, its digest, its length, its stretches."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from captain_cinema.films.media import MediaError, Probe, digest, probe
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.stretches import Plan, plan_stretches

CHANGING = "it changes while it is read; run the same command again when it is finished"


@dataclass(frozen=True, kw_only=True)
class FileState:
    """What changes when a file does."""

    size: int
    modified: int
    """Nanoseconds."""
    changed: int
    """Of its entry, which no program can set; nanoseconds."""
    inode: int


def file_state(path: Path) -> FileState | None:
    """The state of a file, or None if it has none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return FileState(
        size=status.st_size, modified=status.st_mtime_ns, changed=status.st_ctime_ns, inode=status.st_ino
    )


@dataclass(frozen=True, kw_only=True)
class SurveyTask:
    """A file to look at."""

    path: Path
    settings: FilmSettings
    digest: str = ""
    """Known from an earlier run, if the file's state is that of then."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of a file."""

    path: Path
    state: FileState | None
    digest: str
    verdict: Literal["", "rejected", "error"]
    """Empty as long as nothing speaks against it."""
    reason: str = ""
    probe: Probe | None = None
    plan: Plan | None = None


def survey(task: SurveyTask) -> Survey:
    """Look at a file; whatever is wrong with it is its verdict."""
    path, state = task.path, file_state(task.path)
    try:
        found = probe(path)
        sha = task.digest or digest(path)
        plan = plan_stretches(path, found, task.settings)
    except MediaError as error:
        sha = task.digest
        with suppress(MediaError):
            sha = sha or digest(path)
        return Survey(path=path, state=state, digest=sha, verdict=error.verdict, reason=str(error))
    if file_state(path) != state:
        return Survey(path=path, state=state, digest="", verdict="error", reason=CHANGING)
    return Survey(path=path, state=state, digest=sha, verdict="", probe=found, plan=plan)


def has_changed(path: Path, state: FileState | None, sha: str) -> bool:
    """Whether a file is another one now: by its state, and if that differs by its content."""
    if file_state(path) == state:
        return False
    try:
        return digest(path) != sha
    except MediaError:
        return True
