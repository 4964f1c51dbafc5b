"""Sizes of the keyframe transformers, as their published config.json have them, and what stands beside them.

Facts, held as constants so that `cinema plan` loads no weights and no model library. The counts of parameters
are derived from the sizes, and a test holds them equal to the classes themselves on the meta device.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal

from captain_cinema import presets
from captain_cinema.errors import CinemaError

Layout = Literal["flux1", "flux2"]


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """Sizes of an MM-DiT, in the words of its config.json."""

    name: str
    source: str
    """Where the sizes were read."""
    layout: Layout
    in_channels: int
    """Numbers a latent token."""
    num_layers: int
    """Double-stream blocks."""
    num_single_layers: int
    attention_head_dim: int
    num_attention_heads: int
    joint_attention_dim: int
    """Numbers a text token."""
    guidance_embeds: bool
    pooled_projection_dim: int = 0
    """Numbers of the caption's one vector; FLUX.1 alone has it."""
    timestep_channels: int = 256
    mlp_ratio: float = 3.0

    @property
    def dim(self) -> int:
        """Width of the network."""
        return self.num_attention_heads * self.attention_head_dim

    @property
    def hidden(self) -> int:
        """Width of the feed-forward layers."""
        return int(self.dim * self.mlp_ratio)

    @property
    def mlp_in(self) -> int:
        """Columns of the first feed-forward projection: FLUX.2's are gated, which takes two halves."""
        return self.hidden * (2 if self.layout == "flux2" else 1)

    @property
    def stream_weights(self) -> int:
        """Matrix weights that a token meets in a double-stream block."""
        return self.dim * (4 * self.dim + self.mlp_in + self.hidden)

    @property
    def single_weights(self) -> int:
        """Matrix weights that a token meets in a single-stream block."""
        return self.dim * (4 * self.dim + self.mlp_in + self.hidden)

    @property
    def embedder_weights(self) -> int:
        """Matrix weights that turn the noise level (or the guidance) into a vector."""
        return self.dim * (self.timestep_channels + self.dim)

    @property
    def pooled_weights(self) -> int:
        """Matrix weights that the caption's one vector meets."""
        return self.dim * (self.pooled_projection_dim + self.dim) if self.pooled_projection_dim else 0

    @property
    def modulation_weights(self) -> int:
        """Matrix weights that turn a pair's vector into shifts, scales and gates, of all blocks together."""
        double, single = 12 * self.dim**2, 3 * self.dim**2
        if self.layout == "flux1":  # every block has its own; FLUX.2 shares one set among all blocks
            double, single = double * self.num_layers, single * self.num_single_layers
        return double + single + 2 * self.dim**2  # the last: of the output layer

    @property
    def parameters(self) -> int:
        """All of them: matrices, biases (FLUX.1's linear layers have them), norms of queries and keys."""
        dim, blocks, singles = self.dim, self.num_layers, self.num_single_layers
        embedders = self.embedder_weights * (1 + self.guidance_embeds) + self.pooled_weights
        ends = dim * (2 * self.in_channels + self.joint_attention_dim)
        matrices = (
            embedders
            + ends
            + self.modulation_weights
            + 2 * blocks * self.stream_weights
            + singles * self.single_weights
        )
        norms = (4 * blocks + 2 * singles) * self.attention_head_dim
        if self.layout == "flux2":
            return matrices + norms
        in_stream, in_single = 4 * dim + self.mlp_in + dim, 3 * dim + self.mlp_in + dim
        in_embedders = 2 * dim * (2 + self.guidance_embeds)
        in_modulation = blocks * 12 * dim + singles * 3 * dim + 2 * dim
        in_ends = 2 * dim + self.in_channels
        biases = 2 * blocks * in_stream + singles * in_single + in_embedders + in_modulation + in_ends
        return matrices + norms + biases


@dataclass(frozen=True, kw_only=True)
class Companion:
    """A model that works beside the transformer and is used as it is published."""

    name: str
    parameters: int


FLUX1_DEV = Transformer(
    name="FLUX.1-dev",
    source="black-forest-labs/FLUX.1-dev, transformer/config.json",
    layout="flux1",
    in_channels=64,
    num_layers=19,
    num_single_layers=38,
    attention_head_dim=128,
    num_attention_heads=24,
    joint_attention_dim=4096,
    pooled_projection_dim=768,
    guidance_embeds=True,
    mlp_ratio=4.0,
)
FLUX2_DEV = Transformer(
    name="FLUX.2-dev",
    source="black-forest-labs/FLUX.2-dev, transformer/config.json",
    layout="flux2",
    in_channels=128,
    num_layers=8,
    num_single_layers=48,
    attention_head_dim=128,
    num_attention_heads=48,
    joint_attention_dim=15360,
    guidance_embeds=True,
)
KLEIN_4B = Transformer(
    name="FLUX.2-klein-base-4B",
    source="black-forest-labs/FLUX.2-klein-base-4B, transformer/config.json",
    layout="flux2",
    in_channels=128,
    num_layers=5,
    num_single_layers=20,
    attention_head_dim=128,
    num_attention_heads=24,
    joint_attention_dim=7680,
    guidance_embeds=False,
)
KLEIN_9B = Transformer(
    name="FLUX.2-klein-base-9B",
    source="black-forest-labs/FLUX.2-klein-base-9B, transformer/config.json",
    layout="flux2",
    in_channels=128,
    num_layers=8,
    num_single_layers=24,
    attention_head_dim=128,
    num_attention_heads=32,
    joint_attention_dim=12288,
    guidance_embeds=False,
)

FLUX1_VAE = Companion(name="VAE of FLUX.1 (AutoencoderKL)", parameters=83_819_683)
FLUX2_VAE = Companion(name="VAE of FLUX.2 (AutoencoderKLFlux2)", parameters=84_046_115)
T5_XXL = Companion(name="T5-XXL encoder", parameters=4_762_310_656)
CLIP_L_TEXT = Companion(name="CLIP-L text encoder", parameters=123_060_480)
QWEN3_4B = Companion(name="Qwen3-4B", parameters=4_022_468_096)
QWEN3_8B = Companion(name="Qwen3-8B", parameters=8_190_735_360)
MISTRAL_24B = Companion(name="Mistral-Small-3.2-24B", parameters=24_011_361_280)
CLIP_L = Companion(name="CLIP ViT-L/14 (retrieval)", parameters=427_616_513)
WAN_5B = (
    Companion(name="Wan2.2-TI2V-5B transformer", parameters=4_999_787_712),
    Companion(name="VAE of Wan2.2 (AutoencoderKLWan)", parameters=704_688_668),
    Companion(name="UMT5-XXL encoder", parameters=5_680_910_336),
)
"""The shot model of `open` and `paper`; it works after the keyframes, never beside them."""


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """A preset, as far as its cost goes."""

    preset: str
    transformer: Transformer
    encoders: tuple[Companion, ...]
    vae: Companion
    retrieval: Companion
    shots: tuple[Companion, ...]
    height: int = 400
    width: int = 800
    token_size: int = 16
    """Pixels a side of an image token."""
    txt_len: int = 512
    """Text tokens a pair: what the published pipelines pad to."""
    steps: int = 50
    """Sampling steps a frame."""
    passes: int = 1
    """Forwards a step: 2 with classifier-free guidance, 1 where guidance is distilled into the weights."""
    number_bytes: int = 2
    """Bytes a weight or an activation takes while drawing."""
    disk_bytes: int = 2
    """Bytes a weight takes in its file."""


def _klein(preset: str, transformer: Transformer, encoder: Companion, *, steps: int, passes: int) -> Sizes:
    return Sizes(
        preset=preset,
        transformer=transformer,
        encoders=(encoder,),
        vae=FLUX2_VAE,
        retrieval=CLIP_L,
        shots=WAN_5B,
        steps=steps,
        passes=passes,
    )


PUBLISHED = {
    "open": _klein("open", KLEIN_4B, QWEN3_4B, steps=50, passes=2),
    "klein": _klein("klein", KLEIN_4B, QWEN3_4B, steps=4, passes=1),
    "klein-9b": _klein("klein-9b", KLEIN_9B, QWEN3_8B, steps=4, passes=1),
    "flux2-dev": _klein("flux2-dev", FLUX2_DEV, MISTRAL_24B, steps=50, passes=1),
    "paper": Sizes(
        preset="paper",
        transformer=FLUX1_DEV,
        encoders=(T5_XXL, CLIP_L_TEXT),
        vae=FLUX1_VAE,
        retrieval=CLIP_L,
        shots=WAN_5B,
    ),
}
"""Steps and guidance as on the model cards: klein-base 50 with guidance, klein 4 without (same sizes)."""

NAMES = ("embedded", *PUBLISHED)


def sizes_of(preset: str) -> Sizes:
    """A preset's sizes.

    Raises:
        CinemaError: there is no such preset.
    """
    if preset == "embedded":
        return _embedded()
    if preset not in PUBLISHED:
        raise CinemaError(
            f"there is no preset {preset!r} to count; use {', '.join(NAMES[:-1])} or {NAMES[-1]}"
        )
    return PUBLISHED[preset]


def _embedded() -> Sizes:
    """The shipped models; their sizes are read from the folder they ship in."""
    folder = presets.weights_folder("embedded")
    transformer = folder / "keyframes" / "transformer"
    config = json.loads((transformer / "config.json").read_text("utf-8"))
    facts = presets.describe("embedded")

    def part(name: str, *places: str) -> Companion:
        return Companion(name=name, parameters=sum(stored_parameters(folder / place) for place in places))

    return Sizes(
        preset="embedded",
        transformer=Transformer(
            name="embedded MM-DiT",
            source="captain_cinema/weights/embedded/keyframes/transformer/config.json",
            layout="flux2",
            in_channels=config["in_channels"],
            num_layers=config["num_layers"],
            num_single_layers=config["num_single_layers"],
            attention_head_dim=config["attention_head_dim"],
            num_attention_heads=config["num_attention_heads"],
            joint_attention_dim=config["joint_attention_dim"],
            guidance_embeds=config["guidance_embeds"],
            timestep_channels=config["timestep_guidance_channels"],
            mlp_ratio=config["mlp_ratio"],
        ),
        encoders=(Companion(name="all-MiniLM-L6-v2", parameters=22_713_216),),
        vae=part("VAE (AutoencoderDC)", "vae"),
        retrieval=part("retrieval", "retrieval/image_encoder", "retrieval/text_projection"),
        shots=(part("shot model (Wan layout)", "shots/transformer"),),
        height=facts.height,
        width=facts.width,
        token_size=32,
        txt_len=16,
        steps=presets.KEYFRAME_STEPS,
        passes=2,
        number_bytes=4,
    )


def stored_parameters(folder: Path) -> int:
    """Count the numbers in a folder's safetensors files from their headers alone."""
    count = 0
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        count += sum(prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return count
