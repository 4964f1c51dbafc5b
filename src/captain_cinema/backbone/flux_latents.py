"""Between frames and tokens with the VAEs of FLUX.1 and FLUX.2, which are diffusers' own.

A frame is uint8 RGB, [h, w, 3]. Both VAEs make latents eight times smaller a side; 2x2 of them are a token of
16 x 16 pixels. What differs is how latents get about unit variance: FLUX.1 shifts and scales all channels
alike (16 of them, 64 numbers a token), FLUX.2 normalises every number of a token by statistics of its own
(32 channels, 128 numbers). The tokens are exactly those of the published pipelines.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import PATCH, patchify, to_frames, to_pixels, unpatchify
from captain_cinema.errors import WeightsError


@runtime_checkable
class Codec(Protocol):
    """What a planner needs of a VAE: frames to tokens and back."""

    token_size: int
    """Pixels a side of a token."""
    token_dim: int
    """Numbers of a token."""

    def encode(self, frames: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n img_len dim"]:
        """Frames to tokens."""
        ...

    def decode(
        self, tokens: Float[Tensor, "n img_len dim"], *, rows: int, cols: int
    ) -> UInt8[Tensor, "n h w 3"]:
        """Tokens to frames."""
        ...


class FluxCodec:
    """Frames to tokens and back, without gradients.

    Args:
        vae: diffusers' AutoencoderKL (FLUX.1) or AutoencoderKLFlux2.
    """

    def __init__(self, vae: Any) -> None:
        self.vae = vae.eval().requires_grad_(False)
        config = vae.config
        self.channels = int(config.latent_channels)
        self.token_size = 2 ** (len(config.block_out_channels) - 1) * PATCH
        self.token_dim = self.channels * PATCH * PATCH

    @property
    def device(self) -> torch.device:
        """Where the VAE is."""
        return next(self.vae.parameters()).device

    @torch.inference_mode()
    def encode(self, frames: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n img_len dim"]:
        """Frames to tokens, float32: the mode of the VAE's distribution."""
        height, width = frames.shape[1:3]
        if height % self.token_size or width % self.token_size:
            raise ValueError(
                f"a frame of {height}x{width} is not a multiple of {self.token_size} pixels a side"
            )
        with torch.autocast(self.device.type, enabled=False):
            pixels = to_pixels(frames.to(self.device)).to(self.vae.dtype)
            latents = self.vae.encode(pixels).latent_dist.mode().float()
        return self._normalise(latents)

    @torch.inference_mode()
    def decode(
        self, tokens: Float[Tensor, "n img_len dim"], *, rows: int, cols: int
    ) -> UInt8[Tensor, "n h w 3"]:
        """Tokens to frames."""
        return to_frames(self.decode_pixels(tokens, rows=rows, cols=cols))

    @torch.inference_mode()
    def decode_pixels(
        self, tokens: Float[Tensor, "n img_len dim"], *, rows: int, cols: int
    ) -> Float[Tensor, "n 3 h w"]:
        """Tokens to pixels as the VAE gives them, -1 to 1 and sometimes past it."""
        latents = self._restore(tokens.to(self.device, torch.float32), rows, cols)
        return self.vae.decode(latents.contiguous().to(self.vae.dtype)).sample.float()

    def _normalise(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n img_len dim"]:
        shift, scale = float(self.vae.config.shift_factor), float(self.vae.config.scaling_factor)
        return patchify((latents - shift) * scale)

    def _restore(self, tokens: Float[Tensor, "n img_len dim"], rows: int, cols: int) -> Tensor:
        shift, scale = float(self.vae.config.shift_factor), float(self.vae.config.scaling_factor)
        return unpatchify(tokens, rows=rows, cols=cols) / scale + shift


class Flux2Codec(FluxCodec):
    """The same for FLUX.2, whose VAE carries mean and variance of each number of a token."""

    def _statistics(self) -> tuple[Tensor, Tensor]:
        norm = self.vae.bn
        return norm.running_mean.float(), (norm.running_var.float() + self.vae.config.batch_norm_eps).sqrt()

    def _normalise(self, latents: Float[Tensor, "n c h w"]) -> Float[Tensor, "n img_len dim"]:
        mean, deviation = self._statistics()
        return (patchify(latents) - mean) / deviation

    def _restore(self, tokens: Float[Tensor, "n img_len dim"], rows: int, cols: int) -> Tensor:
        mean, deviation = self._statistics()
        return unpatchify(tokens * deviation + mean, rows=rows, cols=cols)


def load_flux_codec(
    folder: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> FluxCodec:
    """Read the VAE of a FLUX.1 or FLUX.2 pipeline (its folder `vae`); only safetensors are read.

    Args:
        folder: with config.json and weights.
        device: where to put it.
        dtype: its precision; float32 if not given.

    Raises:
        WeightsError: the folder is missing, damaged, or holds another VAE.
    """
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2

    from captain_cinema.backbone.folders import read_class, refusing

    kinds = {
        "AutoencoderKL": (AutoencoderKL, FluxCodec),
        "AutoencoderKLFlux2": (AutoencoderKLFlux2, Flux2Codec),
    }
    name = read_class(folder, "VAE", tuple(kinds))
    model, codec = kinds[name]
    with refusing(folder, "VAE"):
        vae, loading = model.from_pretrained(  # pyright: ignore[reportAttributeAccessIssue]
            folder,
            use_safetensors=True,
            local_files_only=True,
            torch_dtype=dtype or torch.float32,
            output_loading_info=True,
            low_cpu_mem_usage=False,
        )
    lacking = [*loading["missing_keys"]]
    if lacking:
        raise WeightsError(f"the VAE in {folder} lacks {min(lacking)}; download the folder again")
    return codec(vae.to(device))
