"""What `cinema status` says."""

from __future__ import annotations

from typing import Any

from captain_cinema.commands.outcome import Outcome
from captain_cinema.pipeline.cut import judge_film
from captain_cinema.pipeline.production import Production, spoken_numbers
from captain_cinema.project.stale import ShotStatus, Verdict, memory_of


def status_outcome(production: Production) -> Outcome:
    """Every shot with its state and the reason, then the film."""
    statuses = production.survey()
    film = judge_film(production, statuses)
    shots = [_shot_data(status) for status in statuses]
    data = {
        "folder": str(production.folder.path),
        "title": production.script.title,
        "seed": production.state.seed,
        "preset": production.facts.name,
        "revision": production.facts.revision,
        "shots": shots,
        "film": _verdict_data(film),
        "done": all(s.keyframe.settled and s.clip.settled for s in statuses) and film.state == "done",
    }
    seconds = sum(status.plan.shot.seconds for status in statuses)
    lines = [
        f"{production.script.title}: {len(statuses)} shots, {seconds:g} s, seed {production.state.seed}, "
        f"preset {production.facts.name} ({production.facts.revision})",
        f"{'shot':>4}  {'keyframe':<9} {'clip':<9} caption",
        *(line for status in statuses for line in _shot_lines(status)),
        f"film: {film.state}{': ' + film.why if film.why else ''}",
    ]
    return Outcome(data=data, text="\n".join(lines))


def _shot_lines(status: ShotStatus) -> list[str]:
    words = " ".join(status.plan.shot.caption.split())
    words = words if len(words) <= 60 else words[:59] + "…"
    lines = [f"{status.plan.number:>4}  {status.keyframe.state:<9} {status.clip.state:<9} {words}"]
    facts = [f"seed {status.plan.keyframe_seed}"]
    if status.plan.take > 1:
        facts.append(f"take {status.plan.take}")
    if saw := _saw(status):
        facts.append(f"saw {spoken_numbers(saw)}")
    lines.append(f"{'':>6}{', '.join(facts)}")
    for what, verdict in (("keyframe", status.keyframe), ("clip", status.clip)):
        if verdict.why:
            lines.append(f"{'':>6}{what}: {verdict.why}")
    return lines


def _saw(status: ShotStatus) -> list[int]:
    finding = status.keyframe_file
    uses = memory_of(finding.record) if finding.finished and finding.record else None
    return [use["number"] for use in uses or ()]


def _shot_data(status: ShotStatus) -> dict[str, Any]:
    return {
        "shot": status.plan.number,
        "caption": status.plan.shot.caption,
        "seconds": status.plan.shot.seconds,
        "seed": status.plan.keyframe_seed,
        "take": status.plan.take,
        "keyframe": _verdict_data(status.keyframe),
        "clip": _verdict_data(status.clip),
        "memory": _saw(status),
    }


def _verdict_data(verdict: Verdict) -> dict[str, str]:
    return {"state": verdict.state, "why": verdict.why}
