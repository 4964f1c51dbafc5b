"""The film folder (design section 7): where everything stands, who may work in it, and where its film may be
written.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from captain_cinema.errors import ProjectError
from captain_cinema.project.files import recover, sha256_file
from captain_cinema.project.state import FilmState, load_state, save_state
from captain_cinema.script import Script, load_script

OWN_FILES = frozenset({".cinema.lock", ".cinema.json", "..cinema.json.part", ".script.yaml.part", "takes"})
"""What a run that was killed at once may leave in a new folder."""


@dataclass(frozen=True, kw_only=True)
class FilmFolder:
    """Names inside a film folder; touching nothing."""

    path: Path

    @property
    def script(self) -> Path:
        """The script, read and edited by hand."""
        return self.path / "script.yaml"

    @property
    def state_file(self) -> Path:
        """Seed, preset, takes."""
        return self.path / ".cinema.json"

    @property
    def storyboard(self) -> Path:
        """Keyframes."""
        return self.path / "storyboard"

    @property
    def shots(self) -> Path:
        """Clips."""
        return self.path / "shots"

    @property
    def takes(self) -> Path:
        """What newer takes replaced."""
        return self.path / "takes"

    @property
    def film(self) -> Path:
        """The cut film."""
        return self.path / "film.mp4"

    @property
    def timeline(self) -> Path:
        """The cut for editing programs."""
        return self.path / "film.otio"

    @property
    def contact_sheet(self) -> Path:
        """All keyframes on one picture."""
        return self.path / "contact-sheet.png"

    def keyframe(self, number: int) -> Path:
        """The keyframe of a shot (from 1)."""
        return self.storyboard / f"{number:03d}.png"

    def clip(self, number: int) -> Path:
        """The clip of a shot (from 1)."""
        return self.shots / f"{number:03d}.mp4"

    def load_script(self) -> Script:
        """The script as it is now."""
        return load_script(self.script)

    def load_state(self) -> FilmState:
        """The state as it is now."""
        return load_state(self.state_file)

    def save_state(self, state: FilmState) -> None:
        """Replace the state."""
        save_state(self.state_file, state)


def open_film(path: Path) -> FilmFolder:
    """A folder that holds a film.

    Raises:
        ProjectError: when there is none.
    """
    if not path.exists():
        raise ProjectError(f"{path} is not there; 'cinema write STORY -o {path}' starts a film in it")
    if not path.is_dir():
        raise ProjectError(f"{path} is a file, not a film folder; name the folder that holds script.yaml")
    folder = FilmFolder(path=path)
    if not folder.script.is_file():
        raise ProjectError(
            f"{path} is not a film: it has no script.yaml; 'cinema write STORY -o FOLDER' makes one"
        )
    return folder


def new_film(path: Path) -> FilmFolder:
    """A folder that holds a film already, or an empty one made for it.

    Raises:
        ProjectError: when something else is there.
    """
    folder = FilmFolder(path=path)
    if folder.script.is_file():
        return folder
    if path.exists() and not path.is_dir():
        raise ProjectError(f"{path} is a file; name another folder for the film")
    if path.is_dir() and (strangers := sorted(set(os.listdir(path)) - OWN_FILES)):
        raise ProjectError(
            f"{path} is not a film and not empty (it holds {strangers[0]}); name a new or an empty folder"
        )
    path.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def locked(folder: FilmFolder) -> Iterator[None]:
    """Hold the folder for one run, and end what a killed run left half done.

    Raises:
        ProjectError: when another run holds it.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder.path / ".cinema.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise ProjectError(
            f"another run is at work in {folder.path}; wait for it to end, or name another folder"
        ) from None
    try:
        for place in (folder.path, folder.storyboard, folder.shots, folder.takes):
            if place.is_dir():
                recover(place)
        yield
    finally:
        lock.release()


@contextmanager
def started(path: Path) -> Iterator[FilmFolder]:
    """Hold a film folder that may be new; if no script comes into a new one, nothing of it stays."""
    new = not path.exists()
    folder = new_film(path)
    try:
        with locked(folder):
            yield folder
    finally:
        if new and not folder.script.exists() and set(os.listdir(path)) <= OWN_FILES - {"takes"}:
            for name in os.listdir(path):
                (path / name).unlink()
            path.rmdir()


def check_output(folder: FilmFolder, state: FilmState, output: Path) -> None:
    """See before any work that the film may be written to `output`.

    Raises:
        ProjectError: when it is a folder, lies in none, or is a file that this film did not write.
    """
    if output.is_dir():
        raise ProjectError(f"{output} is a folder; name a file in it, such as {output / 'film.mp4'}")
    if output.suffix.lower() != ".mp4":
        raise ProjectError(f"{output} does not end in .mp4; the film is written as mp4, name it so")
    for parent in output.parents:
        if parent.exists():
            if not parent.is_dir():
                raise ProjectError(
                    f"{parent} is a file, so nothing can be written under it; name another output"
                )
            break
    if output.exists() and sha256_file(output) not in state.outputs.get(output_key(folder, output), ()):
        raise ProjectError(
            f"{output} was not written by the film in {folder.path}, or was changed since; "
            "move it away or name another output"
        )


def output_key(folder: FilmFolder, output: Path) -> str:
    """How the state names an output: inside the folder relatively, so that the folder can be moved."""
    place, home = output.resolve(), folder.path.resolve()
    return place.relative_to(home).as_posix() if place.is_relative_to(home) else str(place)


def claim_output(folder: FilmFolder, state: FilmState, output: Path, sha256: str) -> FilmState:
    """The state that knows what is about to be written; saved first, so that no kill orphans the file."""
    key = output_key(folder, output)
    known = (*state.outputs.get(key, ())[-4:], sha256)
    return dataclasses.replace(state, outputs={**state.outputs, key: known})
