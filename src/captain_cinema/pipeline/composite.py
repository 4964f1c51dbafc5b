"""The composite image of the `ic-lora-i2v` baseline: all shots in one picture, in the film's folder."""

from __future__ import annotations

import time
from pathlib import Path

from captain_cinema.pipeline.production import Production, publish_made
from captain_cinema.project.files import keep_take, look
from captain_cinema.project.pictures import write_picture
from captain_cinema.project.state import stable_seed

NAME = "composite.png"


def composite_image(production: Production) -> Path:
    """The composite of all the film's shots, drawn if the one in the folder is of other words or seeds."""
    path = production.folder.path / NAME
    facts = production.facts
    inputs = {
        "together": production.plans[0].together,
        "seed": stable_seed("film", production.state.seed, "composite"),
        "preset": facts.name,
        "revision": facts.revision,
        "height": facts.height,
        "width": facts.width,
    }
    found = look(path)
    if found.finished and found.record is not None and found.record.get("inputs") == inputs:
        return path
    from captain_cinema.shots.ic_lora import draw_composite

    started = time.perf_counter()
    production.report.say(f"drawing one composite image of {len(production.plans)} shots")
    captions = [plan.prompt for plan in production.plans]
    picture = draw_composite(production.backend.planner, captions, seed=inputs["seed"])
    keep_take(path, production.folder.takes)
    record = {"stage": "composite", "shots": len(captions), "inputs": inputs}
    publish_made(path, lambda part: write_picture(part, picture), facts, started, record)
    return path
