"""Between frames and tokens: the VAE of the embedded preset and FLUX.2's 2x2 patches of its latents.

A frame is uint8 RGB, [h, w, 3]. The VAE (diffusers' AutoencoderDC, 16 times smaller a side, 16 channels)
makes latents [16, h/16, w/16] of about unit variance; 2x2 of them are one token of 64 numbers, so that a
128 x 256 frame is 4 rows of 8 tokens. Sides must be multiples of `FrameCodec.token_size`.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from captain_cinema.errors import WeightsError

PATCH = 2
"""Latents a side of one token, as in FLUX.2."""

ENCODED_AT_ONCE = 4
"""Frames that a processor's cache holds; a clip in one batch takes 1.3 times as long on a CPU."""


def embedded_vae() -> AutoencoderDC:
    """A new, untrained VAE of the embedded preset: 16x16 pixels become 16 numbers.

    The finest stage works at half the frame's size (`layers_per_block` of 0 there), which is what makes it
    fit to train and decode on a CPU.
    """
    channels = (16, 24, 48, 96, 128)
    no_attention = ((),) * len(channels)
    return AutoencoderDC(
        in_channels=3,
        latent_channels=16,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=channels,
        decoder_block_out_channels=channels,
        encoder_layers_per_block=(0, 1, 1, 2, 2),  # pyright: ignore[reportArgumentType]
        decoder_layers_per_block=(0, 1, 1, 2, 2),  # pyright: ignore[reportArgumentType]
        encoder_qkv_multiscales=no_attention,
        decoder_qkv_multiscales=no_attention,
    )


def to_pixels(frames: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n 3 h w"]:
    """Frames as the VAE reads them: float32 in [-1, 1], channels first."""
    return rearrange(frames, "n h w c -> n c h w").float() / 127.5 - 1.0


def to_frames(pixels: Float[Tensor, "n 3 h w"]) -> UInt8[Tensor, "n h w 3"]:
    """What the VAE draws, as frames."""
    return rearrange(
        ((pixels.float() + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8), "n c h w -> n h w c"
    )


def patchify(latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n img_len dim"]:
    """Latents to tokens, row by row."""
    return rearrange(latents, "n c (h p) (w q) -> n (h w) (c p q)", p=PATCH, q=PATCH)


def unpatchify(tokens: Float[Tensor, "n img_len dim"], *, rows: int, cols: int) -> Float[Tensor, "n c h w"]:
    """The inverse of `patchify`, for a grid of rows x cols tokens."""
    return rearrange(tokens, "n (h w) (c p q) -> n c (h p) (w q)", h=rows, w=cols, p=PATCH, q=PATCH)


class FrameCodec:
    """Frames to tokens and back, without gradients.

    Args:
        vae: a diffusers AutoencoderDC whose latents, times its `scaling_factor`, have about unit variance.
    """

    def __init__(self, vae: AutoencoderDC) -> None:
        self.vae = vae.eval()
        self.scale = float(vae.config.scaling_factor)  # pyright: ignore[reportAttributeAccessIssue]
        self.token_size = int(vae.spatial_compression_ratio) * PATCH
        self.channels = int(vae.config.latent_channels)  # pyright: ignore[reportAttributeAccessIssue]
        self.token_dim = self.channels * PATCH * PATCH

    @property
    def device(self) -> torch.device:
        """Where the VAE is."""
        return next(self.vae.parameters()).device

    @torch.inference_mode()
    def encode_latents(self, frames: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n c rows cols"]:
        """Frames to latents, sixteen times smaller a side."""
        height, width = frames.shape[1:3]
        if height % self.token_size or width % self.token_size:
            raise ValueError(
                f"a frame of {height}x{width} is not a multiple of {self.token_size} pixels a side"
            )
        # Latents are kept and compared, so their precision is not left to whoever trains on them.
        with torch.autocast(self.device.type, enabled=False):
            batches = frames.split(ENCODED_AT_ONCE if self.device.type == "cpu" else len(frames))
            latents = [self.vae.encode(to_pixels(b.to(self.device)), return_dict=False)[0] for b in batches]
            return torch.cat(latents) * self.scale

    @torch.inference_mode()
    def decode_latents(self, latents: Float[Tensor, "n c rows cols"]) -> UInt8[Tensor, "n h w 3"]:
        """Latents to frames."""
        # One memory layout for all: convolutions round differently in another.
        latents = latents.to(self.device, torch.float32).contiguous() / self.scale
        pixels = self.vae.decode(latents, return_dict=False)[0]
        return to_frames(cast(Tensor, pixels))

    def encode(self, frames: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n img_len dim"]:
        """Frames to tokens."""
        return patchify(self.encode_latents(frames))

    def decode(
        self, tokens: Float[Tensor, "n img_len dim"], *, rows: int, cols: int
    ) -> UInt8[Tensor, "n h w 3"]:
        """Tokens to frames."""
        return self.decode_latents(unpatchify(tokens, rows=rows, cols=cols))


def load_vae(folder: Path, *, device: str | torch.device = "cpu") -> AutoencoderDC:
    """Read a VAE from a diffusers folder (config.json and safetensors).

    Raises:
        WeightsError: the folder is missing, damaged, or not an AutoencoderDC.
    """
    try:
        vae = AutoencoderDC.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, torch_dtype=torch.float32
        )
    except Exception as error:  # diffusers raises OSError, ValueError, RuntimeError, SafetensorError
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"the VAE in {folder} cannot be read ({first}); install the package again"
        ) from error
    return cast(AutoencoderDC, cast(nn.Module, vae).to(device))
