"""A shot generator with a few thousand weights, in which every pixel is a latent of its own."""

from dataclasses import replace

import numpy as np
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.shots.abilities import EMBEDDED_ABILITIES
from captain_cinema.shots.generator import ShotGenerator, ShotSettings
from captain_cinema.shots.model import embedded_shot_config, new_shot_model
from captain_cinema.shots.request import ShotRequest

CHANNELS, TXT = 3, 6
ABILITIES = replace(EMBEDDED_ABILITIES, name="tiny", height=4, width=8, fps=4)


class PixelCodec(FrameCodec):
    """Every pixel is a latent of its own."""

    channels = CHANNELS

    def __init__(self) -> None:
        self.decoded: list[int] = []

    def encode_latents(self, frames):
        return frames.permute(0, 3, 1, 2).float() / 127.5 - 1

    def decode_latents(self, latents):
        self.decoded.append(len(latents))
        return ((latents.permute(0, 2, 3, 1) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


class LetterEncoder(PhraseEncoder):
    """One token a word, from its letters."""

    def encode(self, captions, *, length=None):
        tokens = torch.zeros(len(captions), length, TXT)
        for row, caption in zip(tokens, captions, strict=True):
            for token, word in zip(row, caption.split(), strict=False):
                token[: len(word)] = torch.tensor([ord(letter) / 100 for letter in word[:TXT]])
        return tokens


def tiny_model() -> WanTransformer3DModel:
    config = embedded_shot_config(latent_channels=CHANNELS, txt_dim=TXT)
    config |= {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "ffn_dim": 32,
        "freq_dim": 16,
        "num_layers": 2,
    }
    model = new_shot_model(config, seed=0)
    torch.nn.init.normal_(model.proj_out.weight, std=0.1, generator=torch.Generator().manual_seed(0))
    return model


def generator(**settings) -> ShotGenerator:
    defaults = {"steps": 3, "decode_batch": 3}
    return ShotGenerator(
        tiny_model(),
        PixelCodec(),
        LetterEncoder(),
        ShotSettings(**(defaults | settings)),
        abilities=ABILITIES,
    )


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (4, 8, 3), dtype=np.uint8)


def request(**changes) -> ShotRequest:
    fields = {"keyframe": frame(0), "caption": "fox runs", "film_caption": "a day", "seconds": 1.5, "seed": 3}
    return ShotRequest(**(fields | changes))
