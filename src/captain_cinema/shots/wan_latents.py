"""Wan's own video VAE and text encoder: pictures and captions to what its transformer reads, and back.

The VAE is causal in time: 1 + 4k frames become 1 + k slots, and the first slot depends on the first frame
alone. So a keyframe's slot is the slot of a clip of one frame, and decodes to the keyframe as well as the VAE
can draw it.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

from captain_cinema.backbone.open_text import plain_names
from captain_cinema.errors import AbilityError

TXT_LEN = 512
"""Text tokens that Wan's cross-attention reads, zeros where there is no more text; it was trained so."""

NEGATIVE = (
    "frozen picture, no motion, flicker, blur, noise, overexposure, subtitles, watermark, "
    "deformed hands, extra limbs, warped face"
)
"""What guidance leads away from."""

WAN_STRETCH = 32
"""Places on the time axis that belong to one shot: a keyframe and 124 further frames, 5 seconds at 24."""

REMEMBERED = 256
"""Keyframes and captions whose encoding is kept: a film's keyframes come back in every window."""

QUOTES = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})


def tidy(caption: str) -> str:
    """A caption as Wan's encoder is used to: names without tags, plain quotes, no entities, single spaces."""
    plain = plain_names(caption).translate(QUOTES)
    return re.sub(r"\s+", " ", html.unescape(html.unescape(plain))).strip()


class WanCodec:
    """Wan's VAE and text encoder as a `SlotCodec`.

    Args:
        vae: diffusers' AutoencoderKLWan.
        tokenizer: the text encoder's.
        text_encoder: UMT5.
        device: where the two compute, which with offloading is not where they are.
        negative: what guidance leads away from.
        txt_len: text tokens the transformer reads.
        stretch: places on the time axis that belong to one shot.
    """

    def __init__(
        self,
        vae: AutoencoderKLWan,
        tokenizer: Any,
        text_encoder: Any,
        *,
        device: torch.device | str = "cpu",
        negative: str = NEGATIVE,
        txt_len: int = TXT_LEN,
        stretch: int = WAN_STRETCH,
    ) -> None:
        self.vae, self.tokenizer, self.text_encoder = vae, tokenizer, text_encoder
        self.device, self.negative = torch.device(device), negative
        self.txt_len, self.stretch = txt_len, stretch
        config: Any = vae.config
        self.token_size = config.scale_factor_spatial
        mean, std = (torch.tensor(numbers) for numbers in (config.latents_mean, config.latents_std))
        self._mean, self._scale = (x.reshape(1, -1, 1, 1, 1) for x in (mean, 1.0 / std))
        self._slots: OrderedDict[bytes, Tensor] = OrderedDict()
        self._texts: OrderedDict[bytes, Tensor] = OrderedDict()

    def keyframes(self, frames: Sequence[np.ndarray]) -> Float[Tensor, "n channels h w"]:
        """See `SlotCodec`; each frame by itself, so that one is encoded the same in any company."""

        def encode(frame: np.ndarray) -> Tensor:
            return self.encode(torch.from_numpy(np.stack([frame])))[:, 0].cpu()

        slots = [remembered(self._slots, _digest(frame), lambda f=frame: encode(f)) for frame in frames]
        return torch.stack(slots).to(self.device)

    @torch.inference_mode()
    def encode(self, frames: UInt8[Tensor, "frames h w 3"]) -> Float[Tensor, "channels slots rows cols"]:
        """1 + 4k frames as 1 + k slots of about unit variance, float32.

        Raises:
            ValueError: there are frames left over.
        """
        if len(frames) % 4 != 1:
            raise ValueError(f"Wan's VAE takes 1 + 4k frames, got {len(frames)}")
        pixels = rearrange(frames.to(self.device), "f h w c -> 1 c f h w").float() / 255.0 * 2.0 - 1.0
        found = self.vae.encode(pixels.to(self.vae.dtype), return_dict=False)[0].mode().float()
        return ((found - self._mean.to(found)) * self._scale.to(found))[0]

    def pictures(
        self, keyframe: np.ndarray, slots: Float[Tensor, "channels slots rows cols"], frames: int
    ) -> UInt8[np.ndarray, "frames h w 3"]:
        """See `SlotCodec`; the first frame is the keyframe as the VAE gives it back, like those after it."""
        found = slots[None].to(self.device, self.vae.dtype)
        found = found / self._scale.to(found) + self._mean.to(found)
        pixels = cast(Tensor, self.vae.decode(found, return_dict=False)[0])[0, :, :frames]
        # A frame at a time: as floats a shot is four times its size.
        drawn = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round_().to(torch.uint8)
        return rearrange(drawn, "c f h w -> f h w c").cpu().numpy()

    def texts(
        self, captions: Sequence[str], film_captions: Sequence[str]
    ) -> Float[Tensor, "b txt_len txt_dim"]:
        """See `SlotCodec`. Each caption is encoded by itself, then they stand one after the other.

        Raises:
            AbilityError: they are longer than what the transformer reads.
        """
        rows = []
        for own, film in zip(captions, film_captions, strict=True):
            self.check_text(own, film)
            rows.append(torch.cat([self._text(film), self._text(own)]) if tidy(film) else self._text(own))
        return torch.stack([self._filled(row) for row in rows]).to(self.device)

    def check_text(self, caption: str, film_caption: str, *, what: str = "a shot") -> None:
        """Hold the length of a shot's text against what the transformer reads; the encoder is not run.

        Raises:
            AbilityError: it is too long.
        """
        own, film = (len(self._tokens(text)) if tidy(text) else 0 for text in (caption, film_caption))
        if own + film > self.txt_len:
            raise AbilityError(
                f"{what}: its caption has {own} tokens and the film's caption {film}, Wan reads "
                f"{self.txt_len} in all; shorten one of them"
            )

    def blind(self, txt: Float[Tensor, "b txt_len txt_dim"]) -> Float[Tensor, "b txt_len txt_dim"]:
        """The negative prompt for every shot."""
        return self._filled(self._text(self.negative)).to(txt).expand_as(txt)

    def tokens_of(self, caption: str) -> Float[Tensor, "tokens txt_dim"]:
        """A caption's tokens without filling, cut where the transformer reads no further."""
        return self._text(caption)[: self.txt_len]

    def _tokens(self, text: str) -> list[int]:
        return self.tokenizer(tidy(text), add_special_tokens=True)["input_ids"]

    def _text(self, text: str) -> Float[Tensor, "tokens txt_dim"]:
        return remembered(self._texts, text.encode(), lambda: self._encode_text(text))

    @torch.inference_mode()
    def _encode_text(self, text: str) -> Float[Tensor, "tokens txt_dim"]:
        tokens = torch.tensor([self._tokens(text)], device=self.device)
        return self.text_encoder(tokens, torch.ones_like(tokens)).last_hidden_state[0].cpu()

    def _filled(self, tokens: Float[Tensor, "tokens txt_dim"]) -> Float[Tensor, "txt_len txt_dim"]:
        return torch.cat([tokens, tokens.new_zeros(self.txt_len - len(tokens), tokens.shape[1])])


def remembered(store: OrderedDict[bytes, Tensor], key: bytes, make: Callable[[], Tensor]) -> Tensor:
    """Look up what was made before, or make it; the least recently used goes when there are too many."""
    if key not in store:
        store[key] = make()
        if len(store) > REMEMBERED:
            store.popitem(last=False)
    store.move_to_end(key)
    return store[key]


def _digest(frame: np.ndarray) -> bytes:
    head = f"{frame.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(frame).tobytes()).digest()
