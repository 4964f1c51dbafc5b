"""Wan2.2-I2V-A14B, Wan VACE and LTX-2 as shot backends: diffusers' own pipelines, told what a request asks.

A pipeline makes lengths in steps of its VAE. A shot takes the next longer one and is cut to the frame; a shot
that ends on a picture takes the next shorter one, so that the picture is its last frame.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from captain_cinema.backbone.open_text import plain_names
from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.shots.abilities import Abilities, check_request
from captain_cinema.shots.request import Footage, ShotRequest, frame_count
from captain_cinema.shots.table import LTX_2, WAN_I2V_A14B, WAN_VACE, backend_named

Progress = Callable[[int, int], None]

GREY = 128
"""VACE's frames that are to be made."""

TXT_LEN = 512
"""Tokens of a caption that Wan reads."""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a backend samples; the published settings."""

    steps: int
    guidance: float


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A pipeline and how it is asked."""

    pipeline: str
    """diffusers' class."""
    published: tuple[str, ...]
    """Classes that model_index.json may name: folders are published under one and serve several."""
    sampling: Sampling
    film: Callable[[Any, ShotRequest, int, Sampling, Abilities, Callable[..., Any]], np.ndarray | Footage]


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """What `pipeline.filming` films with."""

    shots: PipelineShots


class PipelineShots:
    """Films shots one by one with one of diffusers' pipelines.

    Args:
        pipeline: loaded, on its device.
        kind: how it is asked.
        abilities: what it declares.
        sampling: other than the published settings.
    """

    def __init__(
        self, pipeline: Any, kind: Kind, abilities: Abilities, sampling: Sampling | None = None
    ) -> None:
        self.pipeline, self.kind, self.abilities = pipeline, kind, abilities
        self.sampling = sampling or kind.sampling

    def generate(
        self, requests: Sequence[ShotRequest], *, progress: Progress | None = None
    ) -> Iterator[np.ndarray | Footage]:
        """Film shots, each from nothing but its own request.

        Raises:
            AbilityError: a request asks for what this backend cannot do; raised before anything is filmed.
        """
        for place, request in enumerate(requests, start=1):
            check_request(request, self.abilities, number=request.number or place)
        return self._film(requests, progress)

    def _film(self, requests: Sequence[ShotRequest], progress: Progress | None) -> Iterator[Any]:
        steps = self.sampling.steps
        for place, request in enumerate(requests):

            def told(_pipeline: Any, step: int, _t: Any, kwargs: dict[str, Any], place: int = place) -> Any:
                if progress is not None:
                    progress(place * steps + step + 1, len(requests) * steps)
                return kwargs

            wanted = frame_count(request.seconds, self.abilities.fps)
            made = self.kind.film(
                self.pipeline,
                request,
                pipeline_frames(request, self.abilities),
                self.sampling,
                self.abilities,
                told,
            )
            frames = made.frames if isinstance(made, Footage) else made
            if not np.isfinite(frames).all():
                raise WeightsError(
                    f"shot {request.number or place + 1}: {self.abilities.name} gives numbers that are not "
                    "finite; its weights are damaged"
                )
            yield _cut(made, wanted, self.abilities.fps)


def pipeline_frames(request: ShotRequest, able: Abilities) -> int:
    """Frames that the pipeline is asked for."""
    step = able.frame_step
    wanted = frame_count(request.seconds, able.fps)
    if request.last_keyframe is not None:
        end = wanted if request.last_at is None else min(wanted, frame_count(request.last_at, able.fps))
        return 1 + step * max(1, (end - 1) // step)
    return 1 + step * max(1, -(-(wanted - 1) // step))


def _cut(made: np.ndarray | Footage, wanted: int, fps: int) -> np.ndarray | Footage:
    """As many frames as were asked for, uint8, and as much sound."""
    if isinstance(made, Footage):
        frames = _eight_bits(made.frames[:wanted])
        count = round(len(frames) * made.rate / fps)
        return Footage(frames=frames, sound=made.sound[:, :count], rate=made.rate)
    return _eight_bits(made[:wanted])


def _eight_bits(frames: np.ndarray) -> np.ndarray:
    return (frames.clip(0, 1) * 255 + 0.5).astype(np.uint8)


def _words(request: ShotRequest) -> str:
    parts = [request.film_caption, request.caption, f"Sound: {request.sound}." if request.sound else ""]
    return " ".join(plain_names(part.strip()) for part in parts if part.strip())


def _picture(frame: np.ndarray) -> Any:
    from PIL import Image

    return Image.fromarray(frame)


def _noise(request: ShotRequest) -> torch.Generator:
    """On the CPU, the same for every device."""
    return torch.Generator().manual_seed(request.seed % 2**63)


@torch.inference_mode()
def umt5_embeddings(pipeline: Any, texts: Sequence[str]) -> torch.Tensor:
    """Wan's captions as its pipelines make them, zero beyond their end; without ftfy, which these need."""
    tokens = pipeline.tokenizer(
        list(texts), padding="max_length", max_length=TXT_LEN, truncation=True, return_tensors="pt"
    )
    device = pipeline._execution_device
    mask = tokens.attention_mask.to(device)
    encoded = pipeline.text_encoder(tokens.input_ids.to(device), mask).last_hidden_state
    return encoded * mask[..., None].to(encoded.dtype)


def _wan(pipeline: Any, request: ShotRequest, frames: int, sampling: Sampling, told: Any, **more: Any) -> Any:
    says, not_says = umt5_embeddings(pipeline, [_words(request), ""]).split(1)
    height, width = request.keyframe.shape[:2]
    made = pipeline(
        prompt_embeds=says,
        negative_prompt_embeds=not_says,
        height=height,
        width=width,
        num_frames=frames,
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        generator=_noise(request),
        output_type="np",
        callback_on_step_end=told,
        **more,
    )
    return made.frames[0]


def film_i2v(
    pipeline: Any, request: ShotRequest, frames: int, sampling: Sampling, able: Abilities, told: Any
) -> np.ndarray:
    """Image-to-video from the keyframe, and to the last keyframe if there is one."""
    last = None if request.last_keyframe is None else _picture(request.last_keyframe)
    image = _picture(request.keyframe)
    return _wan(pipeline, request, frames, sampling, told, image=image, last_image=last)


def film_vace(
    pipeline: Any, request: ShotRequest, frames: int, sampling: Sampling, able: Abilities, told: Any
) -> np.ndarray:
    """A video whose given frames are kept (black in the mask) and whose others (white) are made."""
    grey = np.full_like(request.keyframe, GREY)
    video, mask = [grey] * frames, [np.full_like(grey, 255)] * frames
    given = {0: request.keyframe}
    if request.last_keyframe is not None:
        given[frames - 1] = request.last_keyframe
    for place, frame in given.items():
        video[place], mask[place] = frame, np.zeros_like(grey)
    return _wan(
        pipeline,
        request,
        frames,
        sampling,
        told,
        video=[_picture(frame) for frame in video],
        mask=[_picture(frame).convert("L") for frame in mask],
    )


def film_ltx(
    pipeline: Any, request: ShotRequest, frames: int, sampling: Sampling, able: Abilities, told: Any
) -> Footage:
    """Frames and sound, from the keyframe and to the last one if there is one."""
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition

    given = [LTX2VideoCondition(frames=_picture(request.keyframe), index=0, strength=1.0)]
    if request.last_keyframe is not None:
        given.append(LTX2VideoCondition(frames=_picture(request.last_keyframe), index=-1, strength=1.0))
    height, width = request.keyframe.shape[:2]
    blocks = len(pipeline.transformer.transformer_blocks)
    made = pipeline(
        conditions=given,
        prompt=_words(request),
        negative_prompt="",
        height=height,
        width=width,
        num_frames=frames,
        frame_rate=float(able.fps),
        num_inference_steps=sampling.steps,
        guidance_scale=sampling.guidance,
        # The published block, or the last one of a smaller model.
        spatio_temporal_guidance_blocks=[min(28, blocks - 1)],
        generator=_noise(request),
        output_type="np",
        callback_on_step_end=told,
    )
    sound = made.audio[0].float().cpu().numpy()
    rate = int(pipeline.vocoder.config.output_sampling_rate)
    return Footage(frames=np.asarray(made.frames[0]), sound=sound, rate=rate)


KINDS: dict[str, Kind] = {
    WAN_I2V_A14B.name: Kind(
        pipeline="WanImageToVideoPipeline",
        published=("WanImageToVideoPipeline",),
        sampling=Sampling(steps=40, guidance=3.5),
        film=film_i2v,
    ),
    WAN_VACE.name: Kind(
        pipeline="WanVACEPipeline",
        published=("WanVACEPipeline",),
        sampling=Sampling(steps=50, guidance=5.0),
        film=film_vace,
    ),
    LTX_2.name: Kind(
        pipeline="LTX2ConditionPipeline",
        published=("LTX2Pipeline", "LTX2ImageToVideoPipeline", "LTX2ConditionPipeline"),
        sampling=Sampling(steps=30, guidance=3.0),
        film=film_ltx,
    ),
}


def load(name: str, weights: Path, *, device: str | None = None, sampling: Sampling | None = None) -> Loaded:
    """Load a backend; see `shots.backends.load_shot_backend`."""
    able = backend_named(name)
    if name not in KINDS:
        raise AbilityError(
            f"{name} is the shot model of a preset; film with that preset, or with {' or '.join(KINDS)}"
        )
    kind = KINDS[name]
    _check_folder(weights, able, kind)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    import diffusers

    try:
        pipeline = getattr(diffusers, kind.pipeline).from_pretrained(
            weights,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.bfloat16 if device.startswith("cuda") else torch.float32,
        )
    except Exception as error:
        # diffusers raises all kinds for files that are missing or damaged.
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"the weights of {name} in {weights} cannot be loaded: {reason}") from error
    pipeline.set_progress_bar_config(disable=True)
    if device.startswith("cuda"):
        _offload(pipeline, name, device)
    return Loaded(shots=PipelineShots(pipeline, kind, able, sampling))


def _offload(pipeline: Any, name: str, device: str) -> None:
    """Parts take turns on the GPU, and large frames are decoded in tiles."""
    try:
        import accelerate  # noqa: F401
    except ImportError as error:
        raise AbilityError(
            f"{name} needs accelerate to fit a GPU; add it with: pip install accelerate"
        ) from error
    pipeline.enable_model_cpu_offload(device=device)
    if hasattr(pipeline.vae, "enable_tiling"):
        pipeline.vae.enable_tiling()


def _check_folder(weights: Path, able: Abilities, kind: Kind) -> None:
    index = weights / "model_index.json"
    try:
        said = json.loads(index.read_text("utf-8"))
    except FileNotFoundError:
        raise WeightsError(
            f"no weights of {able.name} in {weights}: model_index.json is missing; "
            f"give the folder of {able.weights}"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{index} cannot be read; fetch {able.weights} again") from error
    named = said.get("_class_name") if isinstance(said, dict) else None
    if named not in kind.published or (able is WAN_I2V_A14B and said.get("expand_timesteps")):
        what = "Wan2.2-TI2V-5B" if named in kind.published else named or "no pipeline"
        raise WeightsError(f"{weights} holds {what}, not {able.name}; give the folder of {able.weights}")
