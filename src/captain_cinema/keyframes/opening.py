"""Finding and loading published keyframe weights: folders, revision, licence (preset `open`).

Finding loads no model library; only `load_open_planner` does.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from captain_cinema.backbone import published
from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.keyframes.goldenmem import Memory

if TYPE_CHECKING:
    from captain_cinema.keyframes.open_planner import OpenPlanner

KLEIN, KLEIN_KV = "Flux2KleinPipeline", "Flux2KleinKVPipeline"
BASE_STEPS, BASE_GUIDANCE = 50, 4.0
DISTILLED_STEPS, DISTILLED_GUIDANCE = 4, 1.0
"""What the model cards sample klein-base and klein with."""
METHOD = 1
"""Part of the revision: raised when the same settings come to draw something else."""

_PARTS = ("transformer", "text_encoder", "tokenizer", "vae")


@dataclass(frozen=True, kw_only=True)
class Found:
    """Published weights on this machine, and how to draw with them."""

    folder: Path
    """The keyframe pipeline."""
    clip: Path | None
    """The picture encoder; None chooses the memory by captions."""
    lora: Path | None
    licence: str
    page: str
    """Where the licence can be read."""
    references: Literal["exact", "cached"]
    steps: int
    guidance: float

    @property
    def revision(self) -> str:
        """First digits of a digest over all weights and how they are sampled."""
        weights = [published.fingerprint(self.folder, parts=_PARTS)]
        if self.clip is not None:
            weights.append(published.fingerprint(self.clip))
        if self.lora is not None:
            weights.append(hashlib.sha256(self.lora.read_bytes()).hexdigest())
        how = [METHOD, self.references, self.steps, self.guidance, self.clip is not None]
        return hashlib.sha256(json.dumps([weights, how]).encode()).hexdigest()[:12]


def find_open(
    weights: Path | None,
    *,
    lora: Path | None = None,
    retrieval: Literal["clip", "text"] | None = None,
    references: Literal["exact", "cached"] | None = None,
    steps: int | None = None,
    download: bool = False,
) -> Found | None:
    """Find the keyframe weights of the `open` preset.

    Args:
        weights: the user's folder; None looks into the hub's cache.
        lora: a LoRA file.
        retrieval: by pictures (the default, which needs a CLIP) or by captions alone.
        references: how references are computed; klein's -kv weights want "cached", all others "exact".
        steps: sampling steps; the model card's if not given.
        download: fetch what is missing from the hub; else None is given where it is not there.

    Raises:
        WeightsError: a folder is missing, incomplete or of another layout.
    """
    if weights is None:
        folder = published.hub_folder(published.KLEIN_BASE_4B, download=download)
        if folder is None:
            return None
        page, licence = published.KLEIN_BASE_4B.page, published.KLEIN_BASE_4B.licence
    else:
        folder = published.keyframes_folder(weights)
        page, licence = str(folder / "README.md"), published.licence_of(folder)
    _check_pipeline(folder)
    if lora is not None and not lora.is_file():
        raise WeightsError(f"there is no LoRA {lora}; name a safetensors file with --lora")
    clip = None if retrieval == "text" else _find_clip(weights, download=download)
    if retrieval != "text" and clip is None and weights is None:
        return None
    distilled = published.is_distilled(folder) or published.pipeline_class(folder) == KLEIN_KV
    kv = published.pipeline_class(folder) == KLEIN_KV
    return Found(
        folder=folder,
        clip=clip,
        lora=lora,
        licence=licence,
        page=page,
        references=references or ("cached" if kv else "exact"),
        steps=steps or (DISTILLED_STEPS if distilled else BASE_STEPS),
        guidance=DISTILLED_GUIDANCE if distilled else BASE_GUIDANCE,
    )


def _find_clip(weights: Path | None, *, download: bool) -> Path | None:
    if weights is None:
        return published.hub_folder(published.CLIP, download=download)
    clip = weights / "clip"
    if (clip / "config.json").is_file():
        return clip
    raise WeightsError(
        f"no picture encoder in {clip}, which chooses what a keyframe sees: put {published.CLIP.repo} "
        "there, or have it chosen by captions alone with --retrieval text"
    )


def _check_pipeline(folder: Path) -> None:
    """See that the pipeline is one whose references we know.

    Raises:
        WeightsError: it is another, or a part is missing.
    """
    name = published.pipeline_class(folder)
    if name == "FluxPipeline":
        raise WeightsError(
            f"{folder} holds FLUX.1, which looks at no references: the open preset needs FLUX.2-klein "
            f"({published.KLEIN_BASE_4B.repo})"
        )
    if name == "Flux2Pipeline":
        raise WeightsError(
            f"{folder} holds FLUX.2-dev, whose captions a 24B Mistral reads: the open preset needs "
            f"FLUX.2-klein ({published.KLEIN_BASE_4B.repo})"
        )
    if name not in (KLEIN, KLEIN_KV, ""):
        raise WeightsError(f"{folder} holds a {name}; a {KLEIN} was expected")
    missing = [part for part in _PARTS if not (folder / part).is_dir()]
    if missing:
        raise WeightsError(
            f"{folder} lacks {' and '.join(missing)}; a whole diffusers pipeline was expected, download it "
            "again"
        )


def load_open_planner(
    found: Found, *, height: int, width: int, device: str = "cpu", offload: bool = False
) -> OpenPlanner:
    """Load the weights that were found, for keyframes of one size.

    Raises:
        WeightsError: a part is damaged, partial or of another layout.
        AbilityError: the size cannot be drawn.
    """
    import torch

    from captain_cinema.backbone.flux_latents import load_flux_codec
    from captain_cinema.backbone.lora import load_lora, merge_lora
    from captain_cinema.backbone.mmdit import load_mmdit
    from captain_cinema.backbone.open_text import load_klein_text
    from captain_cinema.backbone.text import PhraseEncoder
    from captain_cinema.keyframes.clip import load_clip
    from captain_cinema.keyframes.klein import KleinSampling
    from captain_cinema.keyframes.open_planner import OpenPlanner, OpenSettings

    dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
    home = "cpu" if offload else device
    model = load_mmdit(found.folder / "transformer", device=home, dtype=dtype)
    if model.config.layout.name != "FLUX.2":
        raise WeightsError(
            f"{found.folder / 'transformer'} holds {model.config.layout.name}; FLUX.2 was expected"
        )
    if found.lora is not None:
        model = merge_lora(load_lora(model, found.lora))
    codec = load_flux_codec(found.folder / "vae", device=home, dtype=torch.float32)
    size = codec.token_size
    if height % size or width % size:
        raise AbilityError(
            f"the film's size of {width}x{height} is no multiple of {size} pixels; "
            f"change 'size' in script.yaml to {_near(width, size)}x{_near(height, size)}"
        )
    sentences = None
    if found.clip is None:
        encoder = PhraseEncoder()
        sentences = lambda texts: encoder.sentence(texts).cpu().numpy()  # noqa: E731
    return OpenPlanner(
        model.requires_grad_(False),
        codec,
        load_klein_text(found.folder, device=home, dtype=dtype),
        None if found.clip is None else load_clip(found.clip, device=home),
        OpenSettings(
            height=height,
            width=width,
            sampling=KleinSampling(
                steps=found.steps,
                guidance=found.guidance,
                references=found.references,
            ),
            memory=memory_for(height // size),
            retrieval="text+names" if found.clip is None else "clip+names",
        ),
        sentences=sentences,
        device=device,
        offload=offload,
    )


def memory_for(rows: int) -> Memory:
    """GoldenMem for four references: three sizes, or as many as a small frame of so many token rows has."""
    groups = 2
    while groups and rows < (1, 2, 4)[groups]:
        groups -= 1
    return Memory(groups=groups, images=(5, 3, 2)[groups])


def _near(side: int, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple
