"""A film under way: what every stage needs, and what every record says."""

from __future__ import annotations

import dataclasses
import platform
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import metadata
from typing import TYPE_CHECKING, Any

from captain_cinema import __version__
from captain_cinema.progress import Reporter
from captain_cinema.project.files import Finding, publish, record_of, write_json
from captain_cinema.project.folder import FilmFolder
from captain_cinema.project.identity import align, finish_moves, settle_shots
from captain_cinema.project.plans import ShotPlan, plan_shots
from captain_cinema.project.stale import ShotStatus, Verdict, survey
from captain_cinema.project.state import FilmState
from captain_cinema.script import Script

if TYPE_CHECKING:
    from pathlib import Path

    from captain_cinema.pipeline.camera import Camera
    from captain_cinema.presets import Backend, Models, PresetFacts


@dataclass(kw_only=True)
class Production:
    """A film under way: folder, script, plans, and a backend that is loaded when something is to be made."""

    folder: FilmFolder
    script: Script
    state: FilmState
    plans: Sequence[ShotPlan]
    facts: PresetFacts
    load: Callable[[], Backend]
    report: Reporter = field(default_factory=Reporter)

    @cached_property
    def backend(self) -> Backend:
        """The models, loaded at first use."""
        self.report.say(f"loading the {self.facts.name} models")
        return self.load()

    @cached_property
    def camera(self) -> Camera:
        """What films the shots: the preset's own shot model, or the backend that the film was given."""
        from captain_cinema.pipeline.camera import camera_of

        return camera_of(self.facts, self.state, self.script)

    def survey(self, limit: int | None = None) -> list[ShotStatus]:
        """The state of the first `limit` shots, or all."""
        filming = self.camera.filming
        return survey(self.folder, self.script, self.upto(limit), self.facts, filming)

    def save(self, state: FilmState) -> None:
        """Keep a new state, on disk first."""
        self.folder.save_state(state)
        self.state = state

    def upto(self, limit: int | None) -> Sequence[ShotPlan]:
        """The first `limit` shots, or all."""
        return self.plans if limit is None else self.plans[:limit]


def open_production(
    folder: FilmFolder,
    report: Reporter,
    *,
    seed: int | None = None,
    preset: str | None = None,
    models: Models | None = None,
) -> Production:
    """Read a locked folder: its script, its state, and the files brought to their places.

    Args:
        folder: the film.
        report: speaks to the user.
        seed: a new seed for the film; None keeps the one it has.
        preset: another preset; None keeps the one it has.
        models: which weights it uses, and how; None keeps those it has.
    """
    from captain_cinema import presets

    finish_moves(folder)
    state = folder.load_state()
    script = folder.load_script()
    name = preset or state.preset
    before = state.models if name == state.preset else {}
    settled = presets.settle(name, models, before=before, size=script.size, fetch=True)
    facts = settled.facts
    if seed is not None and seed != state.seed and state.shots:
        report.say(f"the film's seed is {seed} now, it was {state.seed}")
    changed = dataclasses.replace(
        state, seed=state.seed if seed is None else seed, preset=facts.name, models=settled.kept
    )
    if changed != state:
        folder.save_state(changed)
    state = settle_shots(folder, script, changed)
    return Production(
        folder=folder,
        script=script,
        state=state,
        plans=plan_shots(script, state, complete=facts.complete_prompts, blocking=facts.blocking),
        facts=facts,
        load=settled.load,
        report=report,
    )


def inspect_production(folder: FilmFolder, report: Reporter) -> Production:
    """The film as the next run would find it; nothing is locked, written or moved."""
    from captain_cinema import presets

    before = folder.load_state()
    script = folder.load_script()
    state = align(script, before)
    settled = presets.settle(before.preset, None, before=before.models, size=script.size)
    facts = settled.facts
    return Production(
        folder=folder,
        script=script,
        state=state,
        plans=plan_shots(
            script, state, before=before, complete=facts.complete_prompts, blocking=facts.blocking
        ),
        facts=facts,
        load=settled.load,
        report=report,
    )


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a stage did, by numbers of shots."""

    made: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    by_hand: tuple[int, ...] = ()
    without_keyframe: tuple[int, ...] = ()


def check_abilities(production: Production, limit: int | None = None) -> None:
    """See before any work that the shots asked for can be filmed.

    Raises:
        AbilityError: names the first shot that cannot, and what can film it.
        ProjectError: a picture that the script names is not there.
    """
    from captain_cinema.pipeline.camera import check_wishes

    check_wishes(production, limit)


def tell_plan(production: Production, limit: int | None = None) -> bool:
    """Say what there is to do; False when there is nothing."""
    plans = production.upto(limit)
    statuses = production.survey(limit)
    keyframes = [s.plan.number for s in statuses if not s.keyframe.settled]
    clips = [s.plan.number for s in statuses if not s.clip.settled]
    if keyframes or clips:
        seconds = sum(plan.shot.seconds for plan in plans)
        whole = "" if len(plans) == len(production.plans) else f" of {len(production.plans)}"
        production.report.say(
            f"{len(plans)}{whole} shots, {seconds:g} s of film: {len(keyframes)} keyframes and "
            f"{len(clips)} shots to make or to check "
            f"(seed {production.state.seed}, preset {production.facts.name})"
        )
    return bool(keyframes or clips)


def spoken_numbers(numbers: Iterable[int]) -> str:
    """Numbers of shots as people write them: "3", "1 to 4, 9"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(
        f"{a}" if a == b else f"{a} and {b}" if b == a + 1 and len(runs) == 1 else f"{a} to {b}"
        for a, b in runs
    )


def announce(report: Reporter, what: str, verdict: Verdict) -> None:
    """Say why something that was there is made again."""
    if verdict.state == "check":
        report.say(f"{what} is made again: its memory is another now")
    elif verdict.state != "missing":
        report.say(f"{what} is made again: {verdict.why}")


def adopt(finding: Finding, what: str, report: Reporter) -> Finding:
    """Take a file that the user put in place as the shot's own, and record that it is."""
    if finding.finished:
        return finding
    report.say(f"{what} was put in by hand: kept")
    publish_record(finding)
    return Finding(
        path=finding.path, sha256=finding.sha256, record={"sha256": finding.sha256, "by_hand": True}
    )


def publish_record(finding: Finding) -> None:
    """Write the record of a file that the user made."""
    record = {
        "file": finding.path.name,
        "sha256": finding.sha256,
        "bytes": finding.path.stat().st_size,
        "by_hand": True,
        "found_at": now(),
    }
    write_json(record_of(finding.path), record)


def publish_made(
    path: Path, write: Callable[[Path], object], facts: PresetFacts, started: float, record: dict[str, Any]
) -> None:
    """Publish a picture or clip that the models made, with all that its record says."""
    origin = {
        "by_hand": False,
        "synthetic": True,
        "licence": facts.licence,
        "seconds_taken": round(time.perf_counter() - started, 3),
        "made_at": now(),
        "versions": versions(),
    }
    publish(path, write, {**record, **origin})


def now() -> str:
    """The time, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """What software made a file."""
    found = {"captain-cinema": __version__, "python": platform.python_version()}
    for name in ("torch", "diffusers", "av"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
