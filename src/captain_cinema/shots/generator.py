"""Filming shots from their keyframes (section 3.3): V_k = {I_k, G(I_1..K, tiled caption)}."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.errors import WeightsError
from captain_cinema.flow.sampler import euler
from captain_cinema.flow.schedule import timesteps
from captain_cinema.shots.abilities import (
    EMBEDDED_ABILITIES,
    Abilities,
    check_request,
    check_together,
)
from captain_cinema.shots.conditioning import (
    CleanSlots,
    Prediction,
    clean_slots,
    shot_text,
    slots_for,
    unstack_frames,
    velocity,
)
from captain_cinema.shots.request import ShotRequest, frame_count

Progress = Callable[[int, int], None]
"""Called with steps done and all steps."""


@dataclass(frozen=True, kw_only=True)
class ShotSettings:
    """How shots are sampled."""

    steps: int = 12
    shift: float = 3.0
    """Moves the noise levels towards noise; the same as in training."""
    guidance: float = 1.0
    """How far to go from the velocity without text to the one with; 1 is the latter alone, half the work."""
    cross_shot: bool = True
    """Join the self-attention of shots that are filmed together; off, each is filmed as if alone."""
    decode_batch: int = 8
    """Frames decoded at a time, which bounds the memory."""
    prediction: Prediction = "change"
    """What the model's output is; "velocity" for Wan's own weights."""


class ShotGenerator:
    """Films shots with a Wan transformer over per-frame latents.

    Args:
        model: the transformer, from `model.load_shot_model`.
        codec: frames to latents and back.
        text: encoder of the captions.
        settings: how to sample.
        abilities: what this backend declares.
    """

    def __init__(
        self,
        model: WanTransformer3DModel,
        codec: FrameCodec,
        text: PhraseEncoder,
        settings: ShotSettings | None = None,
        *,
        abilities: Abilities = EMBEDDED_ABILITIES,
    ) -> None:
        self.model = model.eval()
        self.codec = codec
        self.text = text
        self.settings = settings or ShotSettings()
        self.abilities = abilities

    def generate(
        self, requests: Sequence[ShotRequest], *, progress: Progress | None = None
    ) -> Iterator[UInt8[np.ndarray, "frames h w 3"]]:
        """Film shots one at a time, each from nothing but its own request; hand each over when it is done.

        Args:
            requests: the shots.
            progress: told of the steps of all shots.

        Returns:
            The frames of every shot, the first one the keyframe as given.

        Raises:
            AbilityError: a request asks for what this backend cannot do; raised before anything is filmed.
        """
        self._check(requests)
        return self._one_by_one(requests, progress)

    def generate_together(
        self, requests: Sequence[ShotRequest], *, progress: Progress | None = None
    ) -> Iterator[UInt8[np.ndarray, "frames h w 3"]]:
        """Film shots in one denoising, every token seeing all shots and all their context keyframes.

        Each shot then depends on all requests of the call. Arguments, results and errors are those of
        `generate`.
        """
        self._check(requests)
        check_together(requests, self.abilities)
        return self._together(requests, progress)

    def _check(self, requests: Sequence[ShotRequest]) -> None:
        for place, request in enumerate(requests, start=1):
            check_request(request, self.abilities, number=request.number or place)

    def _one_by_one(self, requests: Sequence[ShotRequest], progress: Progress | None) -> Iterator[np.ndarray]:
        total = len(requests) * self.settings.steps
        for place, request in enumerate(requests):
            yield from self._together([request], part_of(progress, place * self.settings.steps, total))

    def _together(self, requests: Sequence[ShotRequest], progress: Progress | None) -> Iterator[np.ndarray]:
        if not requests:
            return
        frames = [frame_count(request.seconds, self.abilities.fps) for request in requests]
        latents = self._denoise(requests, [slots_for(count) for count in frames], progress)
        for place, (request, count) in enumerate(zip(requests, frames, strict=True)):
            if not bool(torch.isfinite(latents[place]).all()):
                raise WeightsError(
                    f"shot {request.number or place + 1}: the shot model gives numbers that are not finite; "
                    "its weights are damaged, install them again"
                )
            yield np.concatenate([request.keyframe[None], self._decode(latents[place, : count - 1])])

    @torch.inference_mode()
    def _denoise(
        self, requests: Sequence[ShotRequest], lengths: Sequence[int], progress: Progress | None
    ) -> Float[Tensor, "shots frames c h w"]:
        slots = max(lengths)
        clean = self._clean(requests, lengths)
        noise = torch.stack([self._noise(request.seed, slots - 1, clean) for request in requests])
        if slots == 1:
            return unstack_frames(noise)
        blind = replace(clean, txt=torch.zeros_like(clean.txt))
        guidance = self.settings.guidance

        def flow(x: Tensor, t: float) -> Tensor:
            level = torch.full((x.shape[0],), t, device=x.device, dtype=torch.float32)
            told = self._velocity(x, level, clean)
            if guidance == 1.0:
                return told
            untold = self._velocity(x, level, blind)
            return untold + guidance * (told - untold)

        levels = timesteps(self.settings.steps, self.settings.shift)
        return unstack_frames(euler(flow, noise, levels, progress))

    def _velocity(self, x: Tensor, level: Tensor, clean: CleanSlots) -> Tensor:
        kind = self.settings.prediction
        return velocity(self.model, x.to(self.model.dtype), level, clean, prediction=kind).float()

    def _clean(self, requests: Sequence[ShotRequest], lengths: Sequence[int]) -> CleanSlots:
        """Encode keyframes and captions; where context keyframes are fewer, fill up in front and mask."""
        pairs = max(len(request.context) for request in requests)
        frames = [
            frame
            for request in requests
            for frame in (
                *[request.keyframe] * (pairs - len(request.context)),
                *request.context,
                request.keyframe,
            )
        ]
        latents = self.codec.encode_latents(torch.from_numpy(np.stack(frames))).clone()
        latents = latents.to(self.model.device, self.model.dtype).unflatten(0, (len(requests), 1 + pairs))
        txt = shot_text(
            self.text,
            [request.caption for request in requests],
            [request.film_caption for request in requests],
        ).to(latents)
        return clean_slots(
            latents[:, -1],
            latents[:, :-1],
            txt,
            slots=max(lengths),
            shots=len(requests) if self.settings.cross_shot else 1,
            context_valid=_given(requests, pairs).to(latents.device),
            lengths=lengths,
        )

    def _noise(self, seed: int, slots: int, clean: CleanSlots) -> Float[Tensor, "channels slots h w"]:
        # On the CPU, the same for every device; by slots, so that a longer shot starts as a shorter one does.
        generator = torch.Generator().manual_seed(seed % 2**63)
        _, channels, _, height, width = clean.latents.shape
        drawn = [torch.randn(channels, 1, height, width, generator=generator) for _ in range(slots)]
        empty = torch.zeros(channels, 0, height, width)
        return torch.cat([empty, *drawn], dim=1).to(clean.latents.device)

    def _decode(self, latents: Float[Tensor, "frames c rows cols"]) -> UInt8[np.ndarray, "frames h w 3"]:
        parts = [
            self.codec.decode_latents(part) for part in latents.split(self.settings.decode_batch) if len(part)
        ]
        if not parts:
            return np.zeros((0, self.abilities.height, self.abilities.width, 3), dtype=np.uint8)
        return torch.cat(parts).cpu().numpy()


def _given(requests: Sequence[ShotRequest], pairs: int) -> Bool[Tensor, "b pairs"]:
    counts = torch.tensor([len(request.context) for request in requests])
    return torch.arange(pairs) >= pairs - counts[:, None]


def part_of(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of one part of a longer job: `before` steps are done, `total` are to do."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
