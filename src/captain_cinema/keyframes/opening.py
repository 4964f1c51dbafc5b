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
    from captain_cinema.backbone.flux_latents import FluxCodec
    from captain_cinema.keyframes.open_planner import OpenPlanner
    from captain_cinema.keyframes.tuned_planner import TunedPlanner

KLEIN, KLEIN_KV, FLUX1 = "Flux2KleinPipeline", "Flux2KleinKVPipeline", "FluxPipeline"
BASE_STEPS, BASE_GUIDANCE = 50, 4.0
DISTILLED_STEPS, DISTILLED_GUIDANCE = 4, 1.0
"""What the model cards sample klein-base and klein with."""
METHOD = 1
"""Part of the revision: raised when the same settings come to draw something else."""

CARD_GUIDANCE = 3.5
"""The strength that FLUX.1-dev reads, by its card."""

_PARTS = ("transformer", "text_encoder", "tokenizer", "vae")
_LORA = "pytorch_lora_weights.safetensors"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Published weights on this machine, and how to draw with them."""

    folder: Path
    """The keyframe pipeline."""
    clip: Path | None
    """The picture encoder; None chooses the memory by captions."""
    tuned: Path | None
    """A LoRA file or a transformer's folder, tuned on films."""
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
        for place in (self.clip, self.tuned, self.lora):
            if place is not None:
                weights.append(published.fingerprint(place))
        parts = [place is not None for place in (self.clip, self.tuned, self.lora)]
        how = [METHOD, self.references, self.steps, self.guidance, parts]
        return hashlib.sha256(json.dumps([weights, how]).encode()).hexdigest()[:12]


def find_keyframes(
    preset: str,
    weights: Path | None,
    *,
    tuned: Path | None = None,
    lora: Path | None = None,
    retrieval: Literal["clip", "text"] | None = None,
    references: Literal["exact", "cached"] | None = None,
    steps: int | None = None,
    download: bool = False,
) -> Found | None:
    """Find the keyframe weights of a preset.

    Args:
        preset: open or paper.
        weights: the user's folder; None looks into the hub's cache.
        tuned: what `cinema train keyframes` wrote for these weights.
        lora: a LoRA file for untuned ones.
        retrieval: by pictures (the default, which needs a CLIP) or by captions alone.
        references: how references are computed; klein's -kv weights want "cached", all others "exact".
        steps: sampling steps; the model card's if not given.
        download: fetch what is missing from the hub; else None is given where it is not there.

    Raises:
        WeightsError: a folder is missing, incomplete or of another layout.
    """
    model = published.FLUX1_DEV if preset == "paper" else published.KLEIN_BASE_4B
    if weights is None:
        folder = published.hub_folder(model, download=download)
        if folder is None:
            return None
        page, licence = model.page, model.licence
    else:
        folder = published.keyframes_folder(weights)
        page, licence = str(folder / "README.md"), published.licence_of(folder)
    _check_pipeline(folder, preset)
    for place, option in ((lora, "--lora"), (tuned, "--tuned")):
        if place is not None and not place.exists():
            raise WeightsError(f"there is no {place}; name what is there with {option}")
    clip = None if retrieval == "text" else _find_clip(weights, download=download)
    if retrieval != "text" and clip is None:
        return None
    kv = published.pipeline_class(folder) == KLEIN_KV
    distilled = published.is_distilled(folder) or kv
    guided = not distilled and preset != "paper"
    return Found(
        folder=folder,
        clip=clip,
        tuned=None if tuned is None else tuned_part(tuned),
        lora=lora,
        licence=licence,
        page=page,
        references=references or ("cached" if kv else "exact"),
        steps=steps or (DISTILLED_STEPS if distilled else BASE_STEPS),
        guidance=BASE_GUIDANCE if guided else DISTILLED_GUIDANCE,
    )


def tuned_part(place: Path) -> Path:
    """The LoRA file or transformer folder in what a tuning run wrote.

    Raises:
        WeightsError: there is neither.
    """
    if place.is_file():
        return place
    for part in (place / _LORA, place / "transformer", place):
        if part.is_file() or (part / "config.json").is_file():
            return part
    raise WeightsError(
        f"{place} holds neither {_LORA} nor a transformer; name what `cinema train keyframes` wrote"
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


def _check_pipeline(folder: Path, preset: str) -> None:
    """See that the pipeline is one that the preset can draw with.

    Raises:
        WeightsError: it is another, or a part is missing.
    """
    name = published.pipeline_class(folder)
    if preset == "paper" and name not in (FLUX1, ""):
        raise WeightsError(
            f"{folder} holds a {name}; the paper preset needs FLUX.1-dev ({published.FLUX1_DEV.repo})"
        )
    if preset == "open" and name == FLUX1:
        raise WeightsError(
            f"{folder} holds FLUX.1, which looks at no references: the open preset needs FLUX.2-klein "
            f"({published.KLEIN_BASE_4B.repo})"
        )
    if name == "Flux2Pipeline":
        raise WeightsError(
            f"{folder} holds FLUX.2-dev, whose captions a 24B Mistral reads: the open preset needs "
            f"FLUX.2-klein ({published.KLEIN_BASE_4B.repo})"
        )
    if preset == "open" and name not in (KLEIN, KLEIN_KV, ""):
        raise WeightsError(f"{folder} holds a {name}; a {KLEIN} was expected")
    parts = [*_PARTS, *(("text_encoder_2", "tokenizer_2") if preset == "paper" else ())]
    missing = [part for part in parts if not (folder / part).is_dir()]
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
    codec = _load_codec(found.folder / "vae", height, width, device=home)
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
            memory=memory_for(height // codec.token_size),
            retrieval="text+names" if found.clip is None else "clip+names",
        ),
        sentences=sentences,
        device=device,
        offload=offload,
    )


def load_tuned_planner(found: Found, *, height: int, width: int, device: str = "cpu") -> TunedPlanner:
    """Load tuned weights for the interleaved planner, for keyframes of one size.

    Raises:
        WeightsError: a part is damaged, partial or of another layout.
        AbilityError: the size cannot be drawn, or peft is not installed.
    """
    import torch

    from captain_cinema.backbone.lora import load_lora, merge_lora
    from captain_cinema.backbone.mmdit import load_mmdit
    from captain_cinema.backbone.open_text import load_flux1_text, load_klein_text
    from captain_cinema.flow.published import flux1_shift, flux2_shift
    from captain_cinema.keyframes.clip import load_clip
    from captain_cinema.keyframes.planner import SamplingSettings
    from captain_cinema.keyframes.tuned_planner import TunedPlanner

    assert found.tuned is not None
    dtype = torch.bfloat16 if torch.device(device).type == "cuda" else torch.float32
    if found.tuned.is_file():
        model = load_mmdit(found.folder / "transformer", device=device, dtype=dtype)
        model = merge_lora(load_lora(model, found.tuned))
    else:
        model = load_mmdit(found.tuned, device=device, dtype=dtype)
    codec = _load_codec(found.folder / "vae", height, width, device=device)
    flux1 = model.config.layout.name == "FLUX.1"
    reader = (load_flux1_text if flux1 else load_klein_text)(found.folder, device=device, dtype=dtype)
    if (codec.token_dim, reader.dim) != (model.config.in_channels, model.config.joint_attention_dim):
        raise WeightsError(f"{found.tuned} was tuned on another model than {found.folder} holds")
    rows, cols = height // codec.token_size, width // codec.token_size
    shift = flux1_shift(rows * cols) if flux1 else flux2_shift(rows * cols, found.steps)
    memory = tuned_memory(rows)
    return TunedPlanner(
        model.requires_grad_(False),
        codec,
        reader,
        None if found.clip is None else load_clip(found.clip, device=device),
        SamplingSettings(
            steps=found.steps,
            guidance=found.guidance,
            shift=shift,
            context_frames=memory.context_frames,
            memory=memory,
            retrieval="text+names" if found.clip is None else "clip+names",
            height=height,
            width=width,
            embedded_guidance=CARD_GUIDANCE if model.config.guidance_embeds else None,
        ),
    )


def _load_codec(folder: Path, height: int, width: int, *, device: str) -> FluxCodec:
    """The VAE, for frames of one size."""
    from captain_cinema.backbone.flux_latents import load_flux_codec

    codec = load_flux_codec(folder, device=device)
    size = codec.token_size
    if height % size or width % size:
        raise AbilityError(
            f"the film's size of {width}x{height} is no multiple of {size} pixels; "
            f"change 'size' in script.yaml to {_near(width, size)}x{_near(height, size)}"
        )
    return codec


def tuned_memory(rows: int) -> Memory:
    """GoldenMem for tuned weights: eight pairs, as the paper draws with, at up to four sizes."""
    groups = 3
    while groups and rows < (1, 2, 4, 9)[groups]:
        groups -= 1
    return Memory(groups=groups, images=(8, 4, 3, 2)[groups])


def memory_for(rows: int) -> Memory:
    """GoldenMem for four references: three sizes, or as many as a small frame of so many token rows has."""
    groups = 2
    while groups and rows < (1, 2, 4)[groups]:
        groups -= 1
    return Memory(groups=groups, images=(5, 3, 2)[groups])


def _near(side: int, multiple: int) -> int:
    return max(1, round(side / multiple)) * multiple
