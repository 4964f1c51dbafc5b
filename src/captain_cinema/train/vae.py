"""Training the embedded VAE on playhouse frames."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from captain_cinema.backbone.latents import embedded_vae, to_frames, to_pixels
from captain_cinema.playhouse import render, story
from captain_cinema.train.critic import PatchCritic, slope
from captain_cinema.train.film_pool import Pool, film_seed
from captain_cinema.train.seeds import step_generator, step_rng
from captain_cinema.train.sheets import write_sheet

LATENT_NOISE = 0.1
"""Noise on the latents while the decoder learns, so that it forgives what a transformer draws."""
PRIOR_WEIGHT = 0.02
"""Pull of every latent channel towards zero mean and unit variance over the batch."""
CHROMA_WEIGHT = 1.0
"""Extra weight of differences between the colour channels. Without it the first thousand steps spend
themselves on brightness, and coats come back brown; colour is what tells characters apart."""
EDGE_WEIGHT = 0.5
"""Weight of differences between neighbouring pixels: flat art lives by its edges."""
CRITIC_SHARE = 0.5
"""Of a decoder trained alone: the critic's pull on the drawn pixels as a share of the other losses' pull."""
CRITIC_NOISE = 0.3
"""Top of the noise on the latents then. A transformer's latents are further off than an encoder's."""


SHOTS = 12
POOL = 160
"""Films held; drawing one costs as much as several steps on it."""


def film_frames(seed: int, *, height: int, split: str = "train") -> UInt8[np.ndarray, "shots h w 3"]:
    """A random moment of every shot of a film; a function of the arguments alone."""
    rng = step_rng(seed, 9)
    shots = story.film(seed, shots=SHOTS, split=split).shots
    return np.stack(
        [render.draw(story.frame_state(s, float(rng.uniform(0, s.seconds))), height=height) for s in shots]
    )


def _draw_numbered(number: int, *, seed: int, height: int) -> UInt8[np.ndarray, "shots h w 3"]:
    """Frames of the pool's film `number`; on the module's level so that worker processes find it."""
    return film_frames(film_seed(seed + 3, number), height=height)


def chroma(error: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 2 h w"]:
    """The opponent parts of a colour difference: red against green, both against blue."""
    red, green, blue = error.unbind(dim=1)
    return torch.stack([red - green, (red + green) / 2 - blue], dim=1)


def measure(
    drawn: Float[Tensor, "n 3 h w"], latents: Float[Tensor, "n c rows cols"], pixels: Float[Tensor, "n 3 h w"]
) -> tuple[Tensor, Tensor, Tensor]:
    """The loss of a reconstruction, its mean squared error, and the latents' distance from the prior."""
    error, latents = drawn.float() - pixels, latents.float()
    pixel = error.abs().mean() + CHROMA_WEIGHT * chroma(error).abs().mean()
    edge = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    pooled = [F.avg_pool2d(error, size) for size in (4, 16)]
    coarse = sum(e.abs().mean() + CHROMA_WEIGHT * chroma(e).abs().mean() for e in pooled)
    mean, var = latents.mean(dim=(0, 2, 3)), latents.var(dim=(0, 2, 3))
    prior = 0.5 * (mean.square() + var - 1 - var.log()).mean()
    return pixel + EDGE_WEIGHT * edge + 0.5 * coarse + PRIOR_WEIGHT * prior, error.square().mean(), prior


class VAETask:
    """Reconstruct frames: L1 on pixels and on edges, latents near unit variance.

    Args:
        seed: of weights, frames and noise.
        batch: frames a step.
        height: of a frame.
        vae: where to begin instead of fresh weights.
        decoder_only: leave the encoder as it is, so that what was trained on its latents still fits, and
            sharpen what the decoder draws with a critic.
        workers: draw ahead.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        batch: int = 16,
        height: int = 128,
        vae: AutoencoderDC | None = None,
        decoder_only: bool = False,
        workers: Executor | None = None,
    ) -> None:
        if vae is None:
            torch.manual_seed(seed)
            vae = embedded_vae()
        # Convolutions in bfloat16 are at their fastest with channels last.
        self.vae = vae.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.model: nn.Module = self.vae
        self._measure = measure
        self.seed, self.batch, self.height = seed, batch, height
        self.decoder_only = decoder_only
        if decoder_only:
            self.vae.encoder.requires_grad_(False)
            torch.manual_seed(seed)
            self.critic = PatchCritic().to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            self.model = nn.ModuleDict({"vae": self.vae, "critic": self.critic})
        draw = partial(_draw_numbered, seed=seed, height=height)
        self.pool: Pool[np.ndarray, np.ndarray] = Pool(draw, np.asarray, size=POOL, period=3, workers=workers)

    def compile(self) -> None:
        """Fuse what lies between the convolutions; worth its minute for a long run."""
        self.vae.encoder.compile()
        self.vae.decoder.compile()
        self._measure = torch.compile(measure)

    def batch_frames(self, step: int) -> UInt8[Tensor, "b h w 3"]:
        """The frames of a step, each of another film."""
        rng = step_rng(self.seed, 10, step)
        slots = rng.choice(self.pool.size, size=self.batch, replace=False)
        frames = [self.pool.get(int(slot), step)[int(rng.integers(SHOTS))] for slot in slots]
        return torch.from_numpy(np.stack(frames))

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """See the module's constants."""
        device = next(self.vae.parameters()).device
        pixels = to_pixels(self.batch_frames(step).to(device)).contiguous(memory_format=torch.channels_last)
        with torch.set_grad_enabled(not self.decoder_only):
            latents = self.vae.encode(pixels, return_dict=False)[0]
        generator = step_generator(self.seed, 8, step)
        noise = torch.randn(latents.shape, generator=generator)
        level = torch.full((len(noise), 1, 1, 1), LATENT_NOISE)
        if self.decoder_only:
            level = CRITIC_NOISE * torch.rand(level.shape, generator=generator)
        drawn = self.vae.decode(latents + (level * noise).to(device), return_dict=False)[0]
        with torch.autocast(device.type, enabled=False):
            loss, square, prior = self._measure(drawn, latents, pixels)
        figures = {}
        if self.decoder_only:
            own, passes = self.critic.losses(pixels, drawn)
            weight = CRITIC_SHARE * slope(loss, drawn) / slope(passes, drawn).clamp(min=1e-8)
            loss = loss + weight * passes + own
            figures = {"critic": float(own.detach())}
        psnr = 10 * torch.log10(4 / square)
        return loss, figures | {
            "psnr": float(psnr.detach()),
            "std": float(latents.detach().std()),
            "prior": float(prior.detach()),
        }

    @torch.no_grad()
    def latent_std(self) -> float:
        """Standard deviation of the latents of some frames."""
        device = next(self.vae.parameters()).device
        frames = torch.from_numpy(film_frames(film_seed(self.seed + 3, 0), height=self.height))
        return float(self.vae.encode(to_pixels(frames.to(device)), return_dict=False)[0].std())

    @torch.no_grad()
    def sample_sheet(self, path: Path) -> None:
        """Held-out frames above what comes back of them."""
        frames = torch.from_numpy(film_frames(2, height=self.height, split="held-out")[:8])
        device = next(self.vae.parameters()).device
        latents = self.vae.encode(to_pixels(frames.to(device)), return_dict=False)[0]
        back = to_frames(self.vae.decode(latents, return_dict=False)[0]).cpu()
        write_sheet(
            path,
            [
                list(frames.numpy()[:4]),
                list(back.numpy()[:4]),
                list(frames.numpy()[4:]),
                list(back.numpy()[4:]),
            ],
        )

    def export(self, folder: Path) -> None:
        """A diffusers folder, with the factor that brings the latents to unit variance."""
        if not self.decoder_only:
            self.vae.register_to_config(scaling_factor=round(1 / self.latent_std(), 4))
        self.vae.save_pretrained(folder / "vae", safe_serialization=True)
