"""Filming shots from their keyframes (section 3.3): V_k = {I_k, G(I_1..K, tiled caption)}."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.flow.sampler import Velocity, euler
from captain_cinema.flow.schedule import timesteps
from captain_cinema.shots.abilities import (
    EMBEDDED_ABILITIES,
    Abilities,
    check_request,
    check_together,
)
from captain_cinema.shots.conditioning import (
    FRAMES_PER_SLOT,
    CleanSlots,
    Prediction,
    clean_slots,
    slots_for,
    velocity,
)
from captain_cinema.shots.request import ShotRequest, frame_count
from captain_cinema.shots.slot_codec import FrameSlots, SlotCodec

Progress = Callable[[int, int], None]
"""Called with steps done and all steps."""


@runtime_checkable
class Solver(Protocol):
    """Solves the flow from noise to a clean shot, in the steps it was made with."""

    def __call__(self, flow: Velocity, noise: Tensor, progress: Progress | None) -> Tensor:
        """Gets the velocity as a function of x and the noise level, 1 to 0."""
        ...


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
    """Films shots with a Wan transformer; here over per-frame latents, as the embedded preset does.

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
        settings = settings or ShotSettings()
        self.codec, self.text = codec, text
        said: int = model.config.out_channels  # pyright: ignore[reportAttributeAccessIssue]
        motion = said > FRAMES_PER_SLOT * codec.channels
        slots = FrameSlots(codec, text, decode_batch=settings.decode_batch, motion=motion)
        self._set_up(model, slots, settings, abilities, device=model.device)

    def _set_up(
        self,
        model: WanTransformer3DModel,
        slots: SlotCodec,
        settings: ShotSettings,
        abilities: Abilities,
        *,
        device: torch.device,
        solve: Solver | None = None,
    ) -> None:
        """What every backend has: `solve` is Euler's rule if not given, `device` where the model computes."""
        self.model, self.slots, self.settings, self.abilities = model.eval(), slots, settings, abilities
        self.device, self._solve = device, solve or self._euler

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
        for place, request in enumerate(requests, start=1):
            _check_alike([request], number=request.number or place)
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
        _check_alike(requests, number=1)
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
        lengths = [slots_for(count) for count in frames]
        filmed = self._denoise(requests, lengths, progress)
        for place, (request, count, length) in enumerate(zip(requests, frames, lengths, strict=True)):
            if not bool(torch.isfinite(filmed[place]).all()):
                raise WeightsError(
                    f"shot {request.number or place + 1}: the shot model gives numbers that are not finite; "
                    "its weights are damaged, install them again"
                )
            with torch.inference_mode():
                pictures = self.slots.pictures(request.keyframe, filmed[place, :, :length], count)
            yield pictures

    @torch.inference_mode()
    def _denoise(
        self, requests: Sequence[ShotRequest], lengths: Sequence[int], progress: Progress | None
    ) -> Float[Tensor, "shots channels slots h w"]:
        slots = max(lengths)
        clean = self._clean(requests, lengths)
        noise = torch.stack([self._noise(request.seed, slots - 1, clean) for request in requests])
        if slots == 1:
            return clean.keyframe.float()
        guidance = self.settings.guidance
        blind = clean if guidance == 1.0 else replace(clean, txt=self.slots.blind(clean.txt))

        def flow(x: Tensor, t: float) -> Tensor:
            level = torch.full((x.shape[0],), t, device=x.device, dtype=self._level_dtype)
            told = self._velocity(x, level, clean)
            if guidance == 1.0:
                return told
            untold = self._velocity(x, level, blind)
            return untold + guidance * (told - untold)

        moving = self._solve(flow, noise, progress)
        return torch.cat([clean.keyframe.to(moving), moving], dim=2)

    def _euler(self, flow: Velocity, noise: Tensor, progress: Progress | None) -> Tensor:
        return euler(flow, noise, timesteps(self.settings.steps, self.settings.shift), progress)

    @property
    def _level_dtype(self) -> torch.dtype:
        # Schedulers have whole timesteps, which float32 loses in a thousandth and back; a GPU of Apple's has
        # nothing finer.
        exact = self.settings.prediction == "velocity" and self.device.type != "mps"
        return torch.float64 if exact else torch.float32

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
        held = self.slots.keyframes(frames).to(self.device, self.model.dtype)
        txt = self.slots.texts(
            [request.caption for request in requests],
            [request.film_caption for request in requests],
        ).to(held)
        return clean_slots(
            rearrange(held, "(b n) c h w -> b c n h w", n=1 + pairs),
            txt,
            slots=max(lengths),
            shots=len(requests) if self.settings.cross_shot else 1,
            context_valid=_given(requests, pairs).to(held.device),
            lengths=lengths,
            stretch=self.slots.stretch,
        )

    def _noise(self, seed: int, slots: int, clean: CleanSlots) -> Float[Tensor, "channels slots h w"]:
        # On the CPU, the same for every device; by slots, so that a longer shot starts as a shorter one does.
        generator = torch.Generator().manual_seed(seed % 2**63)
        _, channels, _, height, width = clean.latents.shape
        drawn = [torch.randn(channels, 1, height, width, generator=generator) for _ in range(slots)]
        empty = torch.zeros(channels, 0, height, width)
        return torch.cat([empty, *drawn], dim=1).to(clean.latents.device)


def _check_alike(requests: Sequence[ShotRequest], *, number: int) -> None:
    """Refuse pictures of several sizes in one denoising: they share a tensor."""
    sizes = {
        picture.shape[:2]: request.number or number
        for request in requests
        for picture in (*request.context, request.keyframe)
    }
    if len(sizes) > 1:
        (height, width), (other_height, other_width) = list(sizes)[:2]
        raise AbilityError(
            f"shot {list(sizes.values())[-1]}: pictures of {width}x{height} and of "
            f"{other_width}x{other_height} cannot be filmed together; scale them to one size"
        )


def _given(requests: Sequence[ShotRequest], pairs: int) -> Bool[Tensor, "b pairs"]:
    counts = torch.tensor([len(request.context) for request in requests])
    return torch.arange(pairs) >= pairs - counts[:, None]


def part_of(progress: Progress | None, before: int, total: int) -> Progress | None:
    """Progress of one part of a longer job: `before` steps are done, `total` are to do."""
    if progress is None:
        return None
    return lambda done, _: progress(before + done, total)
