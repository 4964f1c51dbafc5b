"""Every named configuration: what each preset is, how its backend is loaded, and how its parts are trained.

Importing this module loads no model library: facts come from the weights' manifest.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from captain_cinema.backend import Backend, Models, PresetFacts, Settled
from captain_cinema.errors import CinemaError, WeightsError

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
KEYFRAME_STEPS, KEYFRAME_GUIDANCE, KEYFRAME_SHIFT = 8, 3.0, 2.0
KEYFRAME_RANK: Literal["age", "relevance"] = "relevance"
"""Whose frames stay large in memory: at four token rows a character two scales down is not told apart."""
SHOT_STEPS = 1
"""How the embedded preset samples: measured in docs/log.md, and part of its revision."""

PRESETS = ("embedded", "open", "paper")

WEIGHTS_VARIABLE = "CINEMA_WEIGHTS"
"""Environment variable that names the weights' folder where neither --weights nor the film does."""


def weights_folder(name: str) -> Path:
    """Where the weights of a preset lie that come with the package.

    Raises:
        CinemaError: there is no such preset, or its weights do not come with the package.
    """
    _check_name(name)
    if name != "embedded":
        raise CinemaError(f"the weights of the {name} preset do not come with the package; use embedded")
    return WEIGHTS / name


def _check_name(name: str) -> None:
    if name not in PRESETS:
        raise CinemaError(f"there is no preset {name!r}; use {', '.join(PRESETS[:-1])} or {PRESETS[-1]}")


def read_manifest(folder: Path) -> dict[str, str]:
    """File name -> sha256 of every weights file.

    Raises:
        WeightsError: missing or damaged.
    """
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        return {str(name): str(digest) for name, digest in files.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise WeightsError(
            f"the weights' {MANIFEST} in {folder} cannot be read; install the package again"
        ) from error


def file_digest(path: Path) -> str:
    """Sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> None:
    """Write the digests of all files of a weights folder."""
    paths = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".json", ".safetensors"))
    files = {p.relative_to(folder).as_posix(): file_digest(p) for p in paths if p.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps({"files": files}, indent=1, sort_keys=True) + "\n")


def install_weights(export: Path, name: str = "embedded") -> list[str]:
    """Put a training run's export into a preset's folder, as float16, and renew its manifest.

    Args:
        export: a folder in the layout of the weights, or a part of it.
        name: the preset.

    Returns:
        The files that were written, relative to the preset's folder.

    Raises:
        WeightsError: the export holds no weights.
    """
    folder = weights_folder(name)
    files = sorted(
        p for p in export.rglob("*") if p.suffix in (".json", ".safetensors") and p.name != MANIFEST
    )
    if not any(p.suffix == ".safetensors" for p in files):
        raise WeightsError(f"{export} holds no safetensors; train the part to its end first")
    written = [path.relative_to(export) for path in files]
    for path, relative in zip(files, written, strict=True):
        (folder / relative).parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".safetensors":
            _store_half(path, folder / relative)
        else:
            _store_config(path, folder / relative)
    write_manifest(folder)
    return [relative.as_posix() for relative in written]


def _store_config(source: Path, target: Path) -> None:
    """Copy a configuration without diffusers' note of the folder on this machine that it was loaded from."""
    config = json.loads(source.read_text())
    config.pop("_name_or_path", None)
    target.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _store_half(source: Path, target: Path) -> None:
    """Copy weights as float16: half the size, and nothing measured differs. They are used as float32."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file, save_file

    try:
        state = load_file(source)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{source} is not a safetensors file; train the part to its end first") from error
    save_file({k: v.half() if v.is_floating_point() else v for k, v in state.items()}, target)


def verify_weights(folder: Path) -> None:
    """Compare every weights file with the manifest.

    Raises:
        WeightsError: a file is missing or differs.
    """
    for name, digest in read_manifest(folder).items():
        path = folder / name
        if not path.is_file():
            raise WeightsError(f"the weights file {name} is missing from {folder}; install the package again")
        if file_digest(path) != digest:
            raise WeightsError(f"the weights file {name} in {folder} is damaged; install the package again")


def describe(
    name: str,
    models: Models | None = None,
    *,
    size: tuple[int, int] | None = None,
    known: str = "",
    download: bool = False,
) -> PresetFacts:
    """A preset's facts, without loading it.

    Args:
        name: one of PRESETS.
        models: which weights, for `open`.
        size: height and width that the film asks for; `open` draws what it is asked for.
        known: the revision that a film remembers, for when its weights are not at hand.
        download: fetch weights from the hub that are not on this machine.

    Raises:
        CinemaError: there is no such preset, or it cannot be used so.
        WeightsError: weights are missing or damaged.
    """
    _check_name(name)
    models = models or Models()
    if name != "embedded":
        from captain_cinema import open_preset

        return open_preset.describe(name, models, size, known, download=download)
    if models.kept():
        option = min(models.kept()).replace("_", "-")
        raise CinemaError(f"--{option} is for --preset open; the embedded preset has its own weights")
    sampling = [KEYFRAME_STEPS, KEYFRAME_GUIDANCE, KEYFRAME_SHIFT, KEYFRAME_RANK, SHOT_STEPS]
    digests = json.dumps([read_manifest(weights_folder(name)), sampling], sort_keys=True)
    return PresetFacts(
        name=name,
        revision=hashlib.sha256(digests.encode()).hexdigest()[:12],
        licence="Apache-2.0",
        height=128,
        width=256,
        fps=12,
        min_seconds=1.0,
        max_seconds=4.0,
        blocking=True,
    )


def settle(
    name: str,
    models: Models | None,
    *,
    before: Mapping[str, Any],
    size: tuple[int, int] | None = None,
    fetch: bool = False,
) -> Settled:
    """Bring together what the user asks for and what the film remembers.

    Args:
        name: one of PRESETS.
        models: asked for in this run.
        before: `Settled.kept` of an earlier run with the same preset, or nothing.
        size: height and width that the film asks for.
        fetch: fetch weights from the hub that a new film needs.

    Raises:
        CinemaError: there is no such preset, or it cannot be used so.
        WeightsError: weights are missing or damaged.
    """
    if name == "embedded" and not (models and models.kept()):
        return Settled(facts=describe(name), kept={}, load=partial(load_backend, name))
    given = models or Models()
    chosen = given.over(before)
    if chosen.weights is None and os.environ.get(WEIGHTS_VARIABLE):
        chosen = dataclasses.replace(chosen, weights=os.environ[WEIGHTS_VARIABLE])
    places = {
        key: str(Path(value).expanduser().absolute())
        for key in ("weights", "tuned", "tuned_shots", "lora")
        if (value := getattr(chosen, key))
    }
    chosen = dataclasses.replace(chosen, **places)
    if name != "embedded" and fetch:
        from captain_cinema import open_preset

        chosen = open_preset.agree(name, chosen)
    known = "" if given.kept() else str(before.get("revision", ""))
    facts = describe(name, chosen, size=size, known=known, download=fetch and not known)
    return Settled(
        facts=facts,
        kept={**chosen.kept(), "revision": facts.revision},
        load=partial(load_backend, name, models=chosen, size=size, known=facts.revision),
    )


def load_backend(
    name: str,
    *,
    device: str = "cpu",
    weights: Path | None = None,
    models: Models | None = None,
    size: tuple[int, int] | None = None,
    known: str = "",
) -> Backend:
    """Load a preset's models.

    Args:
        name: one of PRESETS.
        device: where to put them.
        weights: another folder in the same layout, such as a training run's export; not verified. For `open`
            the folder of the published weights.
        models: which weights, for `open`.
        size: height and width of the film, for `open`.
        known: the revision that the run began with, for `open`.

    Raises:
        CinemaError: no such preset, or a licence that is not accepted.
        WeightsError: weights are missing or damaged.
    """
    if name != "embedded":
        given = models or Models()
        if weights is not None:
            given = dataclasses.replace(given, weights=str(weights))
        from captain_cinema import open_preset

        return open_preset.load(name, given, size, known)
    facts = describe(name)
    folder = weights_folder(name) if weights is None else weights
    if weights is None:
        verify_weights(folder)
    return _embedded_backend(facts, folder, device)


def _embedded_backend(facts: PresetFacts, folder: Path, device: str) -> Backend:
    """Put the embedded models together."""
    import torch

    from captain_cinema.backbone.latents import FrameCodec, load_vae
    from captain_cinema.backbone.mmdit import load_mmdit
    from captain_cinema.backbone.text import PhraseEncoder
    from captain_cinema.keyframes.planner import KeyframePlanner, SamplingSettings
    from captain_cinema.keyframes.retrieval import load_retriever
    from captain_cinema.shots.generator import ShotGenerator, ShotSettings
    from captain_cinema.shots.model import load_shot_model

    text = PhraseEncoder()
    codec = FrameCodec(load_vae(folder / "vae", device=device))
    planner = KeyframePlanner(
        load_mmdit(folder / "keyframes" / "transformer", device=device, dtype=torch.float32),
        codec,
        text,
        load_retriever(folder / "retrieval", text),
        SamplingSettings(
            steps=KEYFRAME_STEPS,
            guidance=KEYFRAME_GUIDANCE,
            shift=KEYFRAME_SHIFT,
            prediction="clean",
            rank=KEYFRAME_RANK,
        ),
    )
    shots = ShotGenerator(
        load_shot_model(folder / "shots" / "transformer", device=device),
        codec,
        text,
        ShotSettings(steps=SHOT_STEPS),
    )
    return Backend(facts=facts, load_planner=lambda: planner, load_shots=lambda: shots)
