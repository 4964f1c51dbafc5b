"""Every named configuration: what each preset is, how its backend is loaded, and how its parts are trained.

Importing this module loads no model library: facts come from the weights' manifest.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from captain_cinema.errors import CinemaError, WeightsError

if TYPE_CHECKING:
    from captain_cinema.keyframes.planner import KeyframePlanner
    from captain_cinema.shots.generator import ShotGenerator

WEIGHTS = Path(__file__).parent / "weights"
MANIFEST = "manifest.json"
KEYFRAME_STEPS, KEYFRAME_GUIDANCE, KEYFRAME_SHIFT = 8, 3.0, 2.0
KEYFRAME_RANK: Literal["age", "relevance"] = "relevance"
"""Whose frames stay large in memory: at four token rows a character two scales down is not told apart."""
SHOT_STEPS = 1
"""How the embedded preset samples: measured in docs/log.md, and part of its revision."""

PRESETS = ("embedded",)
"""Presets that can be used today; `open` and `paper` are on the way."""


@dataclass(frozen=True, kw_only=True)
class PresetFacts:
    """What a film project must know of a preset without loading it."""

    name: str
    revision: str
    """First digits of the digest over all weights files and how they are sampled."""
    licence: str
    height: int
    width: int
    fps: int
    min_seconds: float
    max_seconds: float


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A preset's models, ready to draw and to shoot."""

    facts: PresetFacts
    planner: KeyframePlanner
    shots: ShotGenerator

    @property
    def revision(self) -> str:
        """Revision of the weights."""
        return self.facts.revision

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return self.facts.licence


def weights_folder(name: str) -> Path:
    """Where a preset's weights lie.

    Raises:
        CinemaError: there is no such preset.
    """
    if name not in PRESETS:
        raise CinemaError(
            f"there is no preset {name!r}; use {' or '.join(PRESETS)} ('open' and 'paper' are planned)"
        )
    return WEIGHTS / name


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
            shutil.copyfile(path, folder / relative)
    write_manifest(folder)
    return [relative.as_posix() for relative in written]


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


def describe(name: str) -> PresetFacts:
    """A preset's facts, without loading it."""
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
    )


def load_backend(name: str, *, device: str = "cpu", weights: Path | None = None) -> Backend:
    """Load a preset's models.

    Args:
        name: one of PRESETS.
        device: where to put them.
        weights: another folder in the same layout, such as a training run's export; not verified.

    Raises:
        CinemaError: no such preset.
        WeightsError: weights are missing or damaged.
    """
    facts = describe(name)
    folder = weights_folder(name) if weights is None else weights
    if weights is None:
        verify_weights(folder)
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
    return Backend(
        facts=facts,
        planner=KeyframePlanner(
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
        ),
        shots=ShotGenerator(
            load_shot_model(folder / "shots" / "transformer", device=device),
            codec,
            text,
            ShotSettings(steps=SHOT_STEPS),
        ),
    )
