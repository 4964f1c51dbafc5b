"""What a film remembers between runs besides its files: seed, preset, takes, and what it wrote where."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from captain_cinema.errors import ProjectError
from captain_cinema.project.files import read_json, write_json

DEFAULT_PRESET = "embedded"


@dataclass(frozen=True, kw_only=True)
class FilmState:
    """The hidden `.cinema.json` of a film folder. Deleting it forgets seed and takes, no finished file."""

    seed: int = 0
    """Of the film; each shot's own follows from it."""
    preset: str = DEFAULT_PRESET
    models: Mapping[str, Any] = field(default_factory=dict)
    """Which weights the preset uses and how, where there is a choice; `presets.Settled.kept`."""
    method: str = "ours"
    """How shots are filmed: one of `project.methods.METHODS`."""
    backend: str = ""
    """The shot backend; empty for the preset's own."""
    shot_weights: str = ""
    """The folder of a named backend's weights."""
    licences: tuple[str, ...] = ()
    """Backends whose licence the user has agreed to for this film."""
    story_sha256: str = ""
    """The story that script.yaml was written from."""
    script_sha256: str = ""
    """script.yaml as it was last written by a command; another hash means that the user edited it."""
    takes: Mapping[str, int] = field(default_factory=dict)
    """Shot identity -> number of the take, where it is not the first."""
    motion_takes: Mapping[str, int] = field(default_factory=dict)
    """The same for takes of the motion alone, from the keyframe as it is."""
    shots: tuple[tuple[int, str], ...] = ()
    """Identity and caption hash of every shot in order; a shot keeps its identity when others come before it.
    """
    next_id: int = 1
    outputs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Path -> hashes of what was written there; only such files are overwritten."""
    cut: Mapping[str, Any] = field(default_factory=dict)
    """What the film in the folder was cut from."""

    def take(self, identity: int) -> int:
        """The current take of a shot, from 1."""
        return self.takes.get(str(identity), 1)

    def motion_take(self, identity: int) -> int:
        """The current take of a shot's motion, from 1."""
        return self.motion_takes.get(str(identity), 1)


def load_state(path: Path) -> FilmState:
    """Read the state; a folder without one starts at the defaults.

    Raises:
        ProjectError: when the file cannot be understood.
    """
    if not path.exists():
        return FilmState()
    raw = read_json(path)
    hint = (
        f"{path} is damaged; delete it to go on with seed 0 (finished shots of another seed are made again)"
    )
    if raw is None:
        raise ProjectError(hint)
    try:
        return state_from(raw)
    except (TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ProjectError(hint) from error


def state_from(raw: Mapping[str, Any]) -> FilmState:
    """A state from JSON; whatever cannot be understood raises one of Python's own errors."""
    return FilmState(
        seed=int(raw.get("seed", 0)),
        preset=str(raw.get("preset", DEFAULT_PRESET)),
        models=dict(raw.get("models", {})),
        method=str(raw.get("method", "ours")),
        backend=str(raw.get("backend", "")),
        shot_weights=str(raw.get("shot_weights", "")),
        licences=tuple(str(name) for name in raw.get("licences", ())),
        story_sha256=str(raw.get("story_sha256", "")),
        script_sha256=str(raw.get("script_sha256", "")),
        takes={str(key): int(value) for key, value in raw.get("takes", {}).items()},
        motion_takes={str(key): int(value) for key, value in raw.get("motion_takes", {}).items()},
        shots=tuple((int(identity), str(digest)) for identity, digest in raw.get("shots", ())),
        next_id=int(raw.get("next_id", 1)),
        outputs={str(key): tuple(map(str, value)) for key, value in raw.get("outputs", {}).items()},
        cut=dict(raw.get("cut", {})),
    )


def save_state(path: Path, state: FilmState) -> None:
    """Replace the state at once or not at all."""
    write_json(path, dataclasses.asdict(state))


def stable_seed(*parts: object) -> int:
    """A seed of 63 bits that depends on nothing but `parts`, on any machine, for ever."""
    digest = hashlib.sha256("/".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1
