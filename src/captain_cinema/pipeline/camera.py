"""What films the shots of a film: which backend with whose weights, and what it may be asked for.

A film is shot by its preset's own shot model unless `cinema shoot --backend` names another.
"""

from __future__ import annotations

import dataclasses
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import ProjectError
from captain_cinema.presets import PresetFacts
from captain_cinema.project.methods import FROM_KEYFRAMES, check_method
from captain_cinema.project.pictures import read_picture
from captain_cinema.project.stale import CLIP_CONTEXT, Filming
from captain_cinema.script import Script, filmed_seconds

if TYPE_CHECKING:
    from captain_cinema.pipeline.production import Production
    from captain_cinema.project.state import FilmState
    from captain_cinema.shots.abilities import Abilities

LIGHT = (".json", ".txt", ".model")
"""Files of a weights folder that are read whole for its revision; of the others, size and name must do."""


@dataclass(frozen=True, kw_only=True)
class Camera:
    """What films the shots."""

    able: Abilities
    facts: PresetFacts
    """As for a preset: revision, licence, size and rate of the clips."""
    own: bool
    """The preset's own shot model, which comes with the preset."""
    who: str
    """What messages call it."""
    load: Callable[[], Any] | None = None
    """For another backend: gives an object whose `shots` films."""

    @property
    def filming(self) -> Filming:
        """What the state of a clip depends on."""
        return Filming(facts=self.facts, context=min(CLIP_CONTEXT, self.able.max_context))


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the user chooses for this film; None keeps what it has."""

    method: str | None = None
    backend: str | None = None
    weights: Path | None = None
    accept_licence: bool = False


def camera_of(facts: PresetFacts, state: FilmState, script: Script) -> Camera:
    """What films a film in this state."""
    from captain_cinema.shots.table import PRESET_BACKENDS, backend_named

    own = not state.backend
    declared = backend_named(PRESET_BACKENDS.get(facts.name, "embedded") if own else state.backend)
    if own:
        able = dataclasses.replace(
            declared,
            height=facts.height,
            width=facts.width,
            fps=facts.fps,
            min_seconds=facts.min_seconds,
            max_seconds=facts.max_seconds,
        )
        filmed = dataclasses.replace(facts, revision=facts.shots_revision or facts.revision)
    else:
        able = declared
        filmed = PresetFacts(
            name=able.name,
            revision=revision_of(Path(state.shot_weights)),
            licence=able.licence,
            height=able.height,
            width=able.width,
            fps=able.fps,
            min_seconds=able.min_seconds,
            max_seconds=able.max_seconds,
        )
    if script.size is not None:
        filmed = dataclasses.replace(filmed, height=script.size[0], width=script.size[1])
    if own:
        return Camera(able=able, facts=filmed, own=True, who=f"the {facts.name} preset")
    from captain_cinema.shots.backends import load_shot_backend

    load = partial(load_shot_backend, able.name, Path(state.shot_weights))
    return Camera(able=able, facts=filmed, own=False, who=able.name, load=load)


def revision_of(folder: Path) -> str:
    """First digits of a digest over a weights folder: small files whole, large ones by name and size."""
    if not folder.is_dir():
        return "missing"
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in Path(name).parts):
            continue  # what tools leave behind, such as download locks
        digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogatepass"))
        if path.suffix in LIGHT:
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def choose(production: Production, choice: Choice, limit: int | None = None) -> Production:
    """The production with the user's choice, which is kept for later runs if it can film the script.

    Raises:
        ProjectError: no such method, one that this backend cannot do, no weights, or a licence that nobody
            agreed to.
        AbilityError: no such backend, or it cannot film one of the first `limit` shots.
    """
    from captain_cinema.pipeline.production import open_production
    from captain_cinema.shots.table import backend_named

    state = production.state
    if choice.method is not None:
        state = dataclasses.replace(state, method=choice.method)
    if choice.backend is not None:
        backend_named(choice.backend)
        own = choice.backend == production.facts.name
        weights = "" if own else str(choice.weights.resolve() if choice.weights else "")
        known = state.shot_weights if choice.backend == state.backend else ""
        state = dataclasses.replace(
            state, backend="" if own else choice.backend, shot_weights=weights or ("" if own else known)
        )
    elif choice.weights is not None:
        if not state.backend:
            raise ProjectError("--shot-weights are those of a backend; name it too, with --backend")
        state = dataclasses.replace(state, shot_weights=str(choice.weights.resolve()))
    check_method(state.method, len(production.plans))
    if state.backend:
        state = _agreed(state, choice)
    if state.backend and state.method not in FROM_KEYFRAMES:
        raise ProjectError(
            f"--method {state.method} draws with the embedded models, not with {state.backend}; leave "
            f"--backend out, or use --method {' or '.join(FROM_KEYFRAMES)}"
        )
    if state == production.state:
        return production
    check_wishes(dataclasses.replace(production, state=state), limit)
    production.save(state)
    return open_production(production.folder, production.report)


def _agreed(state: FilmState, choice: Choice) -> FilmState:
    """The state once weights are named and the licence is agreed to."""
    from captain_cinema.shots.table import backend_named

    able = backend_named(state.backend)
    if not state.shot_weights:
        raise ProjectError(
            f"{able.name} needs weights; give the folder of {able.weights} with --shot-weights FOLDER"
        )
    if not Path(state.shot_weights).is_dir():
        raise ProjectError(
            f"the weights of {able.name} are not in {state.shot_weights}; name their folder with "
            "--shot-weights"
        )
    if not able.limits or able.name in state.licences:
        return state
    terms = f"{able.name} has the {able.licence}: {able.limits}"
    if not choice.accept_licence and not _says_yes(terms):
        raise ProjectError(f"{terms}; read it beside {able.weights}, then give --accept-licence")
    return dataclasses.replace(state, licences=(*state.licences, able.name))


def _says_yes(terms: str) -> bool:
    """Ask at a terminal; elsewhere nobody answers, which is no."""
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    print(f"{terms}. Do you agree to it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def check_wishes(production: Production, limit: int | None = None) -> None:
    """Hold every shot of the script against what films it, before any work.

    Raises:
        AbilityError: names the first shot that cannot be filmed, and a backend that can film it.
        ProjectError: a last keyframe is missing or no picture.
    """
    from captain_cinema.shots.abilities import Wish, check_wish
    from captain_cinema.shots.table import BACKENDS

    camera, script, folder = production.camera, production.script, production.folder
    for plan in production.upto(limit):
        shot = plan.shot
        wish = Wish(
            number=plan.number,
            seconds=float(filmed_seconds(script, plan.number)),
            last_keyframe=bool(shot.last_keyframe),
            sound=bool(shot.sound),
            size=script.size,
        )
        mend = f"change 'seconds' in {folder.script} or split the shot" if _too_long(wish, camera) else ""
        check_wish(wish, camera.able, others=BACKENDS.values(), who=camera.who, mend=mend)
        if shot.last_keyframe:
            _check_picture(folder.path / shot.last_keyframe, plan.number)


def _too_long(wish: Any, camera: Camera) -> bool:
    return not camera.able.min_seconds <= wish.seconds <= camera.able.max_seconds


def _check_picture(path: Path, number: int) -> None:
    if not path.is_file():
        raise ProjectError(
            f"shot {number}: its last keyframe {path} is not there; put the picture there or leave "
            "'last_keyframe' out"
        )
    read_picture(path)
