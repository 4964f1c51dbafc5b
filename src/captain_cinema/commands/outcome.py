"""What a command hands back: an object for scripts and lines for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from captain_cinema.pipeline.cut import Cut
    from captain_cinema.pipeline.production import Made, Production


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Printed at the end on standard output: `data` with --json, else `text`."""

    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    code: int = 0
    """The exit code: not 0 if something was done, but not all."""


def facts(production: Production) -> dict[str, Any]:
    """What every command says of the film."""
    return {
        "folder": str(production.folder.path),
        "title": production.script.title,
        "seed": production.state.seed,
        "preset": production.facts.name,
        "revision": production.facts.revision,
        "licence": production.facts.licence,
    }


def cut_data(done: Cut) -> dict[str, Any]:
    """A finished film, for scripts."""
    return {
        "film": str(done.film),
        "contact_sheet": str(done.contact_sheet),
        "timeline": str(done.timeline),
        "seconds": done.seconds,
        "shots": list(done.shots),
        "left_out": list(done.left_out),
        "written": list(done.written),
    }


def told(what: str, made: Made) -> str:
    """ "2 keyframes made (3, 7), 10 kept"."""
    from captain_cinema.pipeline.production import spoken_numbers

    count = len(made.made)
    parts = [f"{count} {what}{'' if count == 1 else 's'} made"]
    if made.made:
        parts[0] += f" ({spoken_numbers(made.made)})"
    if made.kept:
        parts.append(f"{len(made.kept)} kept")
    if made.by_hand:
        parts.append(f"{len(made.by_hand)} put in by hand")
    return ", ".join(parts)


def cut_text(done: Cut) -> str:
    """A finished film, for people."""
    return (
        f"film: {done.film} ({done.seconds:g} s, {len(done.shots)} shots)\n"
        f"contact sheet: {done.contact_sheet}\n"
        f"timeline: {done.timeline}"
    )
