"""Commands that hand over to other rooms: playhouse, evaluate."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol

import tyro

from captain_cinema.backend import Backend
from captain_cinema.commands.outcome import Outcome
from captain_cinema.errors import CinemaError

Positional = tyro.conf.Positional


def playhouse(
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")],
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0,
    shots: Annotated[int, tyro.conf.arg(metavar="N")] = 12,
    split: Literal["train", "held-out"] = "train",
    height: Annotated[int, tyro.conf.arg(metavar="PIXELS")] = 256,
    json: bool = False,
) -> Outcome:
    """Draw a film of the playhouse, the procedural world that the embedded models learn from.

    Args:
        output: a new or empty folder for film, frames, script.yaml and truth.json.
        seed: of the film.
        shots: how many.
        split: looks and names that are trained on, or those that never are.
        height: of a frame.
        json: print one JSON object at the end.
    """
    from captain_cinema.playhouse.export import write_film
    from captain_cinema.progress import Reporter

    if shots < 1:
        raise CinemaError(f"--shots {shots} makes no film; give 1 or more")
    if seed < 0:
        raise CinemaError(f"--seed {seed} cannot be used; give 0 or more")
    with Reporter().stage("shots", shots) as stage:
        data = write_film(
            output,
            seed=seed,
            shots=shots,
            split=split,
            height=height,
            progress=lambda done, total: stage.step("drawn"),
        )
    return Outcome(data=data, text=f"film: {output}")


def evaluate(
    measure: Positional[Literal["identity", "motion", "recognition", "retrieval", "compute"]],
    /,
    films: Annotated[int, tyro.conf.arg(metavar="N")] = 20,
    seed: Annotated[int, tyro.conf.arg(metavar="N")] = 0,
    shots: Annotated[int, tyro.conf.arg(metavar="N")] = 12,
    preset: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    device: Annotated[str, tyro.conf.arg(metavar="NAME")] = "cpu",
    weights: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None,
    rollout: bool = False,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None,
    json: bool = False,
) -> Outcome:
    """Measure on held-out playhouse stories whether characters are kept, or shots move as told.

    `recognition` asks whether settings, hours, animals, things and actions can be told without the caption.
    `retrieval` asks whether the chosen context shows what the next shot needs (figure 5).
    `compute` counts instead what a preset's keyframes cost (table 3, figure 4); nothing is drawn or loaded.

    Args:
        measure: identity, motion, recognition, retrieval, or compute.
        films: how many held-out films.
        seed: of the run.
        shots: shots a film.
        preset: the models to measure, embedded if left out; compute counts any, paper if left out.
        device: cpu or cuda.
        weights: measure these weights instead of the preset's.
        rollout: identity and recognition: give the model its own frames as history, not the true ones.
        output: compute only: draw figure 4 into this folder.
        json: print one JSON object at the end.
    """
    if measure == "compute":
        return _compute(preset or "paper", output)
    if output is not None:
        raise CinemaError(f"--output is for `evaluate compute`; `evaluate {measure}` draws no figure")
    from captain_cinema import presets
    from captain_cinema.progress import Reporter

    if films < 1 or shots < 2:
        raise CinemaError(
            f"{films} films of {shots} shots measure nothing; give 1 film or more, of 2 shots or more"
        )
    backend = presets.load_backend(preset or "embedded", device=device, weights=weights)
    with Reporter().stage("films", films) as stage:

        def progress(done: int, total: int) -> None:
            stage.step("measured")

        result = _measure(measure, backend, films, seed, shots, rollout, progress)
    return Outcome(data=result.as_dict(), text=result.table())


class _Measured(Protocol):
    """What every measure finds."""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        ...

    def table(self) -> str:
        """For people."""
        ...


def _measure(
    measure: str,
    backend: Backend,
    films: int,
    seed: int,
    shots: int,
    rollout: bool,
    progress: Callable[[int, int], None],
) -> _Measured:
    """Run one measure."""
    from captain_cinema.evaluate import coverage, identity, motion, recognition

    if measure == "identity":
        return identity.run(backend, films, seed, shots, rollout, progress)
    if measure == "recognition":
        return recognition.run(backend, films, seed, shots, rollout, progress)
    if measure == "retrieval":
        return coverage.run(backend.planner, films, seed, shots, progress=progress)
    return motion.run(backend, films, seed, shots, progress)


def _compute(preset: str, output: Path | None) -> Outcome:
    from captain_cinema.evaluate.cost_table import compute_table, draw_figure

    counted = compute_table(preset)
    data, text = counted.as_dict(), counted.table()
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
        path = output / f"compute-{preset}.png"
        draw_figure(preset, path)
        data["figure"] = str(path)
        text += f"\n\nfigure 4: {path}"
    return Outcome(data=data, text=text)
