"""Options that choose the weights of the `open` preset, for every command that draws."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from captain_cinema.presets import Models


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Kept for later runs of the film."""

    weights: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None
    """With --preset open: folder of FLUX.2-klein (or of keyframes, clip, shots); left out, from the hub."""
    tuned: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """With --preset open or paper: what `cinema train keyframes` wrote for these weights."""
    tuned_shots: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """With --preset open or paper: what `cinema train shots` wrote for these weights."""
    quantised: Annotated[Literal["int8", "fp8"] | None, tyro.conf.arg(metavar="int8|fp8")] = None
    """With --preset open or paper: hold the shot model in eight bits, for a GPU with less memory."""
    lora: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """With --preset open: a LoRA for the keyframe model."""
    retrieval: Annotated[Literal["clip", "text"] | None, tyro.conf.arg(metavar="clip|text")] = None
    """With --preset open: choose what a keyframe sees by pictures, or by captions alone."""
    references: Annotated[Literal["exact", "cached"] | None, tyro.conf.arg(metavar="exact|cached")] = None
    """With --preset open: compute references in every step, as published, or once a keyframe."""
    steps: Annotated[int | None, tyro.conf.arg(metavar="N")] = None
    """With --preset open: sampling steps of a keyframe; the model card's if left out."""
    accept_licence: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """Agree to a licence that limits what you may do."""
    device: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """With --preset open: where to compute, such as cuda:1; the first GPU if there is one."""
    offload: bool = False
    """With --preset open: keep in GPU memory only the part that is at work."""

    def chosen(self) -> Models:
        """The choice as presets read it."""
        told: dict[str, Any] = {
            key: str(value) if isinstance(value, Path) else value for key, value in asdict(self).items()
        }
        return Models(**told)


Options = Annotated[ModelOptions, tyro.conf.arg(name="")]
NO_OPTIONS = ModelOptions()
