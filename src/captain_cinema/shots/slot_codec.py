"""Between a request and the transformer's slots: pictures and captions in, pictures out (section 3.3).

The generator knows slots and text tokens alone. A `SlotCodec` makes them: the embedded preset's, here, stacks
latents of single frames and their motion; `wan_latents.WanCodec` has Wan's own video VAE and text encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.shots.conditioning import SHOT_PLACES, keyframe_slots, shot_text, unstack_frames
from captain_cinema.shots.motion_field import picture, still, unpack


@runtime_checkable
class SlotCodec(Protocol):
    """Pictures to slots, captions to tokens, slots to pictures."""

    @property
    def stretch(self) -> int:
        """Places on the time axis that belong to one shot."""
        ...

    def keyframes(self, frames: Sequence[np.ndarray]) -> Float[Tensor, "n channels h w"]:
        """Still frames as clean slots, on the codec's device."""
        ...

    def texts(
        self, captions: Sequence[str], film_captions: Sequence[str]
    ) -> Float[Tensor, "b txt_len txt_dim"]:
        """What the shots' cross-attention reads: the film's caption, the same for each, then the shot's."""
        ...

    def blind(self, txt: Float[Tensor, "b txt_len txt_dim"]) -> Float[Tensor, "b txt_len txt_dim"]:
        """What the other side of the guidance reads instead of `txt`."""
        ...

    def pictures(
        self, keyframe: np.ndarray, slots: Float[Tensor, "channels slots rows cols"], frames: int
    ) -> UInt8[np.ndarray, "frames h w 3"]:
        """The shot's frames from its keyframe and all its slots, the clean first one included."""
        ...


class FrameSlots:
    """The embedded preset's slots: latents of single frames, four to a slot, and how each frame has moved.

    Args:
        codec: frames to latents and back.
        text: encoder of the captions.
        decode_batch: frames decoded at a time, which bounds the memory.
        motion: the slots hold a `motion_field` beside each frame's latents.
    """

    stretch = SHOT_PLACES

    def __init__(
        self, codec: FrameCodec, text: PhraseEncoder, *, decode_batch: int, motion: bool = False
    ) -> None:
        self.codec, self.text, self.decode_batch, self.motion = codec, text, decode_batch, motion

    def keyframes(self, frames: Sequence[np.ndarray]) -> Float[Tensor, "n channels h w"]:
        """See `SlotCodec`."""
        pictures = torch.from_numpy(np.stack(frames))
        latents = self.codec.encode_latents(pictures).clone()
        if self.motion:
            latents = still(latents, pictures.to(latents.device))
        return keyframe_slots(latents[:, None])[:, :, 0]

    def texts(
        self, captions: Sequence[str], film_captions: Sequence[str]
    ) -> Float[Tensor, "b txt_len txt_dim"]:
        """See `SlotCodec`."""
        return shot_text(self.text, captions, film_captions)

    def blind(self, txt: Float[Tensor, "b txt_len txt_dim"]) -> Float[Tensor, "b txt_len txt_dim"]:
        """No text at all."""
        return torch.zeros_like(txt)

    def pictures(
        self, keyframe: np.ndarray, slots: Float[Tensor, "channels slots rows cols"], frames: int
    ) -> UInt8[np.ndarray, "frames h w 3"]:
        """The keyframe as given, and what follows it decoded a few frames at a time."""
        held = unstack_frames(slots[None, :, 1:])[0, : frames - 1]
        latents, motion = held.split([self.codec.channels, held.shape[1] - self.codec.channels], dim=1)
        decoded = [self.codec.decode_latents(part) for part in latents.split(self.decode_batch) if len(part)]
        if not decoded:
            return keyframe[None]
        made = torch.cat(decoded)
        if self.motion:
            moved = picture(keyframe, unpack(motion.float()), made.permute(0, 3, 1, 2).float())
            made = moved.clamp(0, 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        return np.concatenate([keyframe[None], made.cpu().numpy()])
