"""What a shot is conditioned on (section 3.3): its keyframe, held clean; other shots' keyframes; captions.

A clip is its keyframe and 4k further frames. As in Wan's causal video VAE, 1 + 4k frames become 1 + k slots:
slot 0 is the keyframe (its latents four times over), slot j stacks frames 4j-3 to 4j in the channels. Context
keyframes stand before the shot as slots of their own, each at the start of a shot's stretch of the time axis.
Clean slots have timestep 0 and no loss.

A small model cannot give back noise: a token of ours has more numbers than the model is wide. So the embedded
model says what changes after the keyframe, and the velocity follows; Wan's own weights say the velocity.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor

from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.flow.path import interpolate
from captain_cinema.flow.schedule import sample_t
from captain_cinema.shots.attention import ShotLayout, joined_forward, token_grid
from captain_cinema.shots.motion_field import unmoved

FRAMES_PER_SLOT = 4
"""Frames stacked in one slot, the temporal factor of Wan's VAE."""

SHOT_PLACES = 16
"""Places on the time axis that belong to one shot: room for a keyframe and 60 further frames. Weights that
film longer shots have longer stretches."""

FILM_TXT_LEN = 8
SHOT_TXT_LEN = 16

TIMESTEP_SCALE = 1000.0
"""Wan counts noise levels from 0 to 1000, the rest of the project from 0 to 1."""

Prediction = Literal["change", "velocity"]
"""What a model's output is: what the clean frames add to the keyframe, or the velocity of the path."""

SMALLEST_T = 0.05
"""Below this noise level a predicted change counts as if made here; the velocity would grow without bound."""


FULL_WEIGHT_T = 0.5
"""Below this noise level the loss of a predicted change is that of the change, no more that of the velocity,
which would be 1 / t^2 as much: a narrow model would spend itself on the last details and film noise."""


@dataclass(frozen=True, kw_only=True)
class ShotBatch:
    """Clips to learn from; consecutive items are shots of one film when `shots` is more than 1."""

    latents: Float[Tensor, "b frames c h w"]
    """Latents of the clip's 1 + 4k frames, the keyframe first."""
    context: Float[Tensor, "b pairs c h w"]
    """Latents of other shots' keyframes, in film order; may hold none."""
    txt: Float[Tensor, "b txt_len txt_dim"]
    """Text of every shot, from :func:`shot_text`."""
    weight: Float[Tensor, "b frames #c h w"] | None = None
    """Multiplies the loss; c may be 1. None weighs all alike."""
    shots: int = 1
    """So many consecutive items share their self-attention."""
    context_valid: Bool[Tensor, "b pairs"] | None = None
    """False for a context keyframe that only fills up the tensor."""

    def slots(self) -> SlotBatch:
        """The same as slots, four frames in each."""
        weight = None if self.weight is None else stack_frames(self.weight[:, 1:])
        return SlotBatch(
            keyframe=self.latents[:, 0],
            moving=stack_frames(self.latents[:, 1:]),
            context=self.context,
            txt=self.txt,
            weight=weight,
            shots=self.shots,
            context_valid=self.context_valid,
            repeats=FRAMES_PER_SLOT,
        )


@dataclass(frozen=True, kw_only=True)
class SlotBatch:
    """Clips as slots, whatever VAE made them: what the loss is about."""

    keyframe: Float[Tensor, "b c h w"]
    moving: Float[Tensor, "b channels slots h w"]
    """What follows the keyframe."""
    context: Float[Tensor, "b pairs c h w"]
    txt: Float[Tensor, "b txt_len txt_dim"]
    weight: Float[Tensor, "b f slots h w"] | None = None
    """Weight of the loss for each of the f frames of a slot or of its channels, or one for all (f = 1)."""
    shots: int = 1
    context_valid: Bool[Tensor, "b pairs"] | None = None
    lengths: tuple[int, ...] | None = None
    """Slots of every shot, its keyframe's included; those beyond have no loss and are hidden. None: all."""
    blind: Float[Tensor, "b txt_len txt_dim"] | None = None
    """The text of an item that is to see none; None is zeros."""
    repeats: int = 1
    """A still frame's slot is its latents so many times over (c times this many channels)."""
    stretch: int = SHOT_PLACES
    """Places on the time axis that belong to one shot."""


@dataclass(frozen=True, kw_only=True)
class CleanSlots:
    """The conditioning of a denoising: clean slots, text and layout, the same in every step."""

    latents: Float[Tensor, "b channels clean h w"]
    """Context keyframes, then the shot's own keyframe, as slots."""
    keyframe: Float[Tensor, "b channels 1 h w"]
    """The shot's own keyframe as a slot, which a predicted change adds to."""
    txt: Float[Tensor, "b txt_len txt_dim"]
    layout: ShotLayout


def slots_for(frames: int) -> int:
    """Slots that hold at least so many frames: the keyframe's, and one for every four more."""
    if frames < 1:
        raise ValueError(f"a clip has at least its keyframe, got {frames} frames")
    return 1 + -(-(frames - 1) // FRAMES_PER_SLOT)


def keyframe_slots(
    keyframes: Float[Tensor, "b pairs c h w"], repeats: int = FRAMES_PER_SLOT
) -> Float[Tensor, "b channels pairs h w"]:
    """Still frames as slots: the same latents four times over, or as often as the VAE's slots want it."""
    return repeat(keyframes, "b pairs c h w -> b (f c) pairs h w", f=repeats)


def stack_frames(frames: Float[Tensor, "b frames c h w"]) -> Float[Tensor, "b channels slots h w"]:
    """Frames that follow a keyframe as slots, four to a slot; their number must divide by four."""
    return rearrange(frames, "b (slots f) c h w -> b (f c) slots h w", f=FRAMES_PER_SLOT)


def unstack_frames(slots: Float[Tensor, "b channels slots h w"]) -> Float[Tensor, "b frames c h w"]:
    """The inverse of :func:`stack_frames`."""
    return rearrange(slots, "b (f c) slots h w -> b (slots f) c h w", f=FRAMES_PER_SLOT)


def shot_places(
    batch: int,
    context: int,
    slots: int,
    *,
    shots: int = 1,
    stretch: int = SHOT_PLACES,
    device: torch.device | str = "cpu",
) -> Int[Tensor, "b slots"]:
    """Places in time: each context keyframe opens a shot's stretch of its own, then come the shots.

    Item i of a group of joined shots has its context keyframes at stretches i * context and following; the
    shots themselves follow after all context, in order.

    Args:
        batch: items.
        context: context keyframes an item.
        slots: slots of the shot itself, its keyframe's included.
        shots: items joined; the batch divides by it.
        stretch: places that belong to one shot.
        device: where the result lives.
    """
    if slots > stretch:
        raise ValueError(f"a shot has at most {stretch} slots, got {slots}")
    shot = torch.arange(shots, device=device)[:, None]
    before = shot * context + torch.arange(context, device=device)
    own = (shots * context + shot) * stretch + torch.arange(slots, device=device)
    places = torch.cat([before * stretch, own], dim=1)
    return repeat(places, "shots slots -> (g shots) slots", g=batch // shots)


def shot_text(
    encoder: PhraseEncoder,
    captions: Sequence[str],
    film_captions: Sequence[str],
    *,
    film_len: int = FILM_TXT_LEN,
    shot_len: int = SHOT_TXT_LEN,
) -> Float[Tensor, "b txt_len txt_dim"]:
    """Every shot's text: the film's caption, repeated for each shot, then the shot's own."""
    film = encoder.encode(list(film_captions), length=film_len)
    own = encoder.encode(list(captions), length=shot_len)
    return torch.cat([film, own], dim=1)


def slot_timesteps(t: Float[Tensor, " b"], clean: int, slots: int, tokens: int) -> Float[Tensor, "b n"]:
    """Wan's per-token timesteps: 0 for the clean leading slots, the shot's noise level for the rest.

    Args:
        t: noise level of every item, 0 to 1.
        clean: clean slots an item.
        slots: all slots an item.
        tokens: tokens a slot.
    """
    # A scheduler's whole numbers must stay whole, which float32 divided and multiplied does not keep.
    noisy = repeat((t * TIMESTEP_SCALE).float(), "b -> b n", n=(slots - clean) * tokens)
    return torch.cat([noisy.new_zeros(t.shape[0], clean * tokens), noisy], dim=1)


def clean_slots(
    held: Float[Tensor, "b channels clean h w"],
    txt: Float[Tensor, "b txt_len txt_dim"],
    *,
    slots: int,
    shots: int = 1,
    context_valid: Bool[Tensor, "b pairs"] | None = None,
    lengths: Sequence[int] | None = None,
    stretch: int = SHOT_PLACES,
) -> CleanSlots:
    """The conditioning of shots, for every step of their denoising.

    Args:
        held: other shots' keyframes and then the shot's own, as slots (:func:`keyframe_slots`).
        txt: every shot's text.
        slots: slots of the longest shot, its keyframe's included.
        shots: items joined.
        context_valid: False for a context keyframe that only fills up the tensor.
        lengths: slots of every shot; those beyond are hidden from all others. None: all have `slots`.
        stretch: places on the time axis that belong to one shot.
    """
    batch, pairs, device = held.shape[0], held.shape[2] - 1, held.device
    places = shot_places(batch, pairs, slots, shots=shots, stretch=stretch, device=device)
    valid = None
    if context_valid is not None or lengths is not None:
        before = places.new_ones(batch, pairs, dtype=torch.bool) if context_valid is None else context_valid
        own = places.new_ones(batch, slots, dtype=torch.bool)
        if lengths is not None:
            own = torch.arange(slots, device=device) < torch.tensor(lengths, device=device)[:, None]
        valid = torch.cat([before, own], dim=1)
    return CleanSlots(
        latents=held,
        keyframe=held[:, :, -1:],
        txt=txt,
        layout=ShotLayout(places=places, shots=shots, valid=valid),
    )


def beside_every_slot(
    model: WanTransformer3DModel, clean: CleanSlots, slots: int
) -> Float[Tensor, "b extra slots h w"]:
    """The channels that a model reads beyond those it writes, as Wan's image-to-video models have them.

    They show every slot of the shot the shot's own keyframe, and every context slot its own.
    """
    extra = model.config.in_channels - model.config.out_channels  # pyright: ignore[reportAttributeAccessIssue]
    held = clean.latents[:, :extra]
    own = held[:, :, -1:].expand(-1, -1, slots - held.shape[2], -1, -1)
    return torch.cat([held, own], dim=2)


def velocity(
    model: WanTransformer3DModel,
    noisy: Float[Tensor, "b channels noisy h w"],
    t: Float[Tensor, " b"],
    clean: CleanSlots,
    *,
    prediction: Prediction = "change",
) -> Float[Tensor, "b channels noisy h w"]:
    """The velocity of the noisy slots, the clean ones standing before them.

    A predicted change d means clean frames x_0 = keyframe + d, and then the velocity (x_t - x_0) / t at
    x_t = (1 - t) x_0 + t eps.
    """
    latents = torch.cat([clean.latents, noisy], dim=2)
    held, slots = clean.latents.shape[2], latents.shape[2]
    rows, cols = token_grid(model, *latents.shape[3:])
    timestep = slot_timesteps(t, held, slots, rows * cols)
    shown = latents
    if model.config["in_channels"] > model.config["out_channels"]:
        shown = torch.cat([latents, beside_every_slot(model, clean, slots)], dim=1)
    shown, txt = shown.to(model.dtype), clean.txt.to(model.dtype)
    said = joined_forward(model, shown, timestep, txt, clean.layout)[:, :, held:]
    if prediction == "velocity":
        return said
    level = t.clamp(min=SMALLEST_T).to(said.dtype)
    start = unmoved(clean.keyframe, FRAMES_PER_SLOT)
    return (noisy - start - said.float()) / level[:, None, None, None, None]


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a model says of clips at a noise level."""

    clips: SlotBatch
    t: Float[Tensor, " b"]
    error: Float[Tensor, "b channels slots h w"]
    """Of the velocity."""
    prediction: Prediction

    @property
    def loss(self) -> Float[Tensor, ""]:
        """The rectified-flow loss of the noisy slots, weighted mean of the squared error of the velocity."""
        error = self.error.square()
        if self.prediction == "change":
            error = error * (self.t / FULL_WEIGHT_T).clamp(max=1).square()[:, None, None, None, None]
        return _weighted_mean(error, self.clips)

    @property
    def off(self) -> Float[Tensor, "b channels slots h w"]:
        """The clean clips that the velocity leads to, less the true ones."""
        return -self.error * self.t[:, None, None, None, None]


def attempt(
    model: WanTransformer3DModel,
    batch: ShotBatch | SlotBatch,
    generator: torch.Generator,
    *,
    shift: float = 3.0,
    context_noise: float = 0.0,
    txt_dropout: float = 0.1,
    prediction: Prediction = "change",
) -> Attempt:
    """Noise clips, and let the model say their velocities.

    Args:
        model: the shot transformer.
        batch: clips with what they are conditioned on.
        generator: draws noise levels, noise and dropout; lives on the batch's device.
        shift: moves the noise levels towards noise, as in sampling.
        context_noise: largest share of noise mixed into the clean latents while their timestep stays 0, so
            that drawn keyframes, which are never perfect, are as good as true ones; 0 is none.
        txt_dropout: share of items that see no text, for guidance.
        prediction: what the model's output is.
    """
    clips = batch.slots() if isinstance(batch, ShotBatch) else batch
    b, device, x_0 = clips.moving.shape[0], clips.moving.device, clips.moving
    still, txt = torch.cat([clips.context, clips.keyframe[:, None]], dim=1), clips.txt
    if context_noise > 0:
        share = context_noise * torch.rand(b, generator=generator, device=device)
        still = interpolate(still, torch.randn(still.shape, generator=generator, device=device), share).x_t
    if txt_dropout > 0:
        keep = torch.rand(b, 1, 1, generator=generator, device=device) >= txt_dropout
        txt = txt * keep if clips.blind is None else torch.where(keep, txt, clips.blind)
    # Shots that are joined are denoised together, so they share their noise level as they do in sampling.
    t = sample_t((b // clips.shots,), shift=shift, generator=generator, device=device)
    t = t.repeat_interleave(clips.shots)
    eps = torch.randn(x_0.shape, generator=generator, device=device)
    sample = interpolate(x_0, eps, t)
    clean = clean_slots(
        keyframe_slots(still, clips.repeats),
        txt,
        slots=1 + x_0.shape[2],
        shots=clips.shots,
        context_valid=clips.context_valid,
        lengths=clips.lengths,
        stretch=clips.stretch,
    )
    # The change is counted from the true keyframe: a flawed one is to be continued as it is, not mended.
    clean = replace(clean, keyframe=keyframe_slots(clips.keyframe[:, None], clips.repeats))
    said = velocity(model, sample.x_t, t, clean, prediction=prediction)
    return Attempt(clips=clips, t=t, error=(said - sample.target).float(), prediction=prediction)


def _weighted_mean(error: Float[Tensor, "b channels slots h w"], clips: SlotBatch) -> Float[Tensor, ""]:
    weight = clips.weight
    if clips.lengths is not None:
        lengths = torch.tensor(clips.lengths, device=error.device)
        counts = torch.arange(1, 1 + error.shape[2], device=error.device) < lengths[:, None]
        counts = counts[:, None, :, None, None].to(error.dtype)
        # Spelt out, so that the weights of a slot's places add up to as many as there are.
        weight = counts.expand(-1, 1, -1, *error.shape[3:]) if weight is None else weight * counts
    if weight is None:
        return error.mean()
    error = rearrange(error, "b (f c) slots h w -> b f slots h w c", f=weight.shape[1]).mean(-1)
    return (weight * error).sum() / weight.sum()
