"""The presets of published weights: what they are, and how their parts are brought together."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import CinemaError, WeightsError
from captain_cinema.presets import Backend, Models, PresetFacts

if TYPE_CHECKING:
    from captain_cinema.keyframes.opening import Found

HEIGHT, WIDTH = 416, 832
"""The paper's 400 x 800, at the next size that both VAEs can make tokens of: the keyframes' (multiples of 16)
and the shots' (of 32)."""
LICENCE_VARIABLE = "CINEMA_ACCEPT_LICENCE"
"""Environment variable that names a licence that is accepted."""

PAPER = (
    "the paper preset draws with FLUX.1-dev, which looks at no earlier frame until it is tuned on films: "
    "name what `cinema train keyframes` wrote with --tuned, or use --preset open, which needs no tuning"
)


def describe(
    name: str, models: Models, size: tuple[int, int] | None, known: str, *, download: bool
) -> PresetFacts:
    """The facts of a preset that uses published weights: its revision is that of the weights that are there.

    Raises:
        CinemaError: it cannot be used so.
        WeightsError: weights are missing or of another layout, and `known` is empty.
    """
    _check(name, models)
    try:
        found = _find(name, models, download=download)
    except WeightsError:
        if not known:
            raise
        found = None
    height, width = size or (HEIGHT, WIDTH)
    return PresetFacts(
        name=name,
        revision=found.revision if found else known or "not downloaded",
        licence=found.licence if found else "apache-2.0",
        height=height,
        width=width,
        fps=24,
        min_seconds=1.0,
        max_seconds=5.0,
        shots_revision=_shots_revision(models),
        complete_prompts=not models.tuned,
    )


def _check(name: str, models: Models) -> None:
    """Refuse choices that do not go together; nothing is silently ignored.

    Raises:
        CinemaError: some do not.
    """
    if name == "paper" and not models.tuned:
        raise CinemaError(PAPER)
    if models.steps is not None and models.steps < 1:
        raise CinemaError(f"--steps {models.steps} draws nothing; give 1 or more")
    if models.tuned_shots and not Path(models.tuned_shots).exists():
        raise CinemaError(
            f"there is no {models.tuned_shots}; name what `cinema train shots` wrote with --tuned-shots"
        )
    untuned = {"--lora": models.lora, "--references": models.references, "--offload": models.offload}
    for option, value in untuned.items():
        if models.tuned and value:
            raise CinemaError(f"{option} is for untuned weights; leave it or --tuned out")


def _shots_revision(models: Models) -> str:
    """The revision of the shot model, or nothing where it is not on this machine."""
    from captain_cinema.backbone import published

    folder = shots_folder(models, download=False)
    if folder is None or not folder.is_dir():
        return ""
    revision = published.fingerprint(folder)[:12]
    if models.tuned_shots:
        revision += "+" + published.fingerprint(Path(models.tuned_shots))[:12]
    return revision + (f"+{models.quantised}" if models.quantised else "")


def shots_folder(models: Models, *, download: bool) -> Path | None:
    """Where the shot model is or should be; None where the hub's cache does not have it."""
    from captain_cinema.backbone import published

    if models.weights:
        return Path(models.weights) / "shots"
    return published.hub_folder(published.WAN, download=download)


def _find(name: str, models: Models, *, download: bool) -> Found | None:
    from captain_cinema.keyframes.opening import find_keyframes

    return find_keyframes(
        name,
        Path(models.weights) if models.weights else None,
        tuned=Path(models.tuned) if models.tuned else None,
        lora=Path(models.lora) if models.lora else None,
        retrieval=models.retrieval,
        references=models.references,
        steps=models.steps,
        download=download,
    )


def agree(name: str, models: Models) -> Models:
    """The models with their licence agreed to, which is asked at the terminal if nothing says so already.

    Raises:
        AbilityError: it is not agreed to.
        WeightsError: the weights are of another layout.
    """
    from captain_cinema.backbone import published

    _check(name, models)
    try:
        found = _find(name, models, download=False)
    except WeightsError:
        return models  # `describe` tells what is wrong, unless the film remembers enough
    if found is None:
        return models
    accepted = [models.accept_licence or "", os.environ.get(LICENCE_VARIABLE, "")]
    named = published.check_licence(
        found.licence, accepted, page=found.page, ask=published.terminal_question()
    )
    return dataclasses.replace(models, accept_licence=named) if named else models


def load(name: str, models: Models, size: tuple[int, int] | None, known: str) -> Backend:
    """Make a backend ready: what is missing is fetched, what is restricted is asked; nothing loads yet.

    Raises:
        AbilityError: a licence is not accepted.
        WeightsError: weights are missing, or not those that the run began with.
    """
    from captain_cinema.backbone import published

    facts = describe(name, models, size, "", download=True)
    models = agree(name, models)
    if known and facts.revision != known:
        raise WeightsError(
            f"the weights changed: this run began with revision {known}, now they are {facts.revision}; "
            "run the same command again"
        )
    found = _find(name, models, download=False)
    assert found is not None

    device = usable_device(models.device)

    def load_planner() -> Any:
        from captain_cinema.keyframes.open_planner import enough_memory
        from captain_cinema.keyframes.opening import load_open_planner, load_tuned_planner

        size = {"height": facts.height, "width": facts.width}
        with enough_memory(offload=models.offload):
            if found.tuned is not None:
                return load_tuned_planner(found, **size, device=device)
            return load_open_planner(found, **size, device=device, offload=models.offload)

    def load_shots() -> Any:
        import torch

        from captain_cinema.shots.open_wan import load_open_shots

        folder = shots_folder(models, download=True)
        assert folder is not None
        if not folder.is_dir():
            raise WeightsError(
                f"no shot model in {folder}: put {published.WAN.repo} there (keyframes do not need it)"
            )
        dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
        return load_open_shots(
            folder,
            device=device,
            dtype=dtype,
            offload=models.offload,
            quantised=models.quantised or "none",
            tuned=Path(models.tuned_shots) if models.tuned_shots else None,
        )

    return Backend(facts=facts, load_planner=load_planner, load_shots=load_shots, one_at_a_time=True)


def usable_device(name: str | None) -> str:
    """Where to compute: as named, or the first GPU, or the processor.

    Raises:
        CinemaError: there is no such device here.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise CinemaError(f"there is no device {name!r} here; leave --device out, or give cpu") from None
    return name
