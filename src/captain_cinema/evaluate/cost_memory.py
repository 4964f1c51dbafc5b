"""What a film takes in memory, part by part, and which GPUs have that much.

Activations are counted in units of one number a token and channel. How many units are alive at the peak was
found by running the transformer on the meta device and following every storage's life; a test does so again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from captain_cinema.evaluate.cost import Scale, tokens_of, without_target
from captain_cinema.evaluate.cost_sizes import Layout, Sizes, Transformer

Method = Literal["full", "lora"]
GIB = 2**30

KEEPS_KEYS = False
"""Whether a forward holds the keys and values of all single-stream blocks until it ends, used or not."""


@dataclass(frozen=True, kw_only=True)
class Units:
    """Numbers a token and channel alive at the peak; `joined` is added where frames differ in size."""

    forward: float
    """Drawing, besides keys and values."""
    joined: float
    double: float
    """What a double-stream block leaves for the backward pass."""
    single: float
    single_joined: float
    """More of it, where every block spreads its own modulation over the tokens (FLUX.1), not recomputed."""
    training: float
    """Besides what the blocks leave."""
    recompute: float
    """The peak of one block's backward pass under checkpointing."""
    recompute_joined: float


UNITS: dict[Layout, Units] = {
    "flux2": Units(
        forward=17.3,
        joined=5.2,
        double=27.2,
        single=22.2,
        single_joined=0,
        training=8.1,
        recompute=26.6,
        recompute_joined=2.5,
    ),
    "flux1": Units(
        forward=16.3,
        joined=5.2,
        double=23.2,
        single=18.2,
        single_joined=4.0,
        training=6.3,
        recompute=20.7,
        recompute_joined=4.0,
    ),
}
VAE_PIXEL_BYTES = 1536
"""Working memory of the VAEs' decoder a pixel, in bfloat16; measured on the meta device."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """Something that takes memory."""

    name: str
    bytes: float


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A common GPU, with the memory that its driver reports."""

    name: str
    gib: float

    @property
    def usable(self) -> float:
        """Bytes left for tensors: a process takes about 0.8 GiB, and a twentieth is lost between blocks."""
        return (self.gib - 0.8) * GIB * 0.95


GPUS = (
    Gpu(name="RTX 4090, L4 (24 GB)", gib=23.99),
    Gpu(name="RTX 5090 (32 GB)", gib=31.84),
    Gpu(name="A100 40 GB", gib=40.0),
    Gpu(name="L40S, RTX 6000 Ada (48 GB)", gib=47.99),
    Gpu(name="A100, H100 (80 GB)", gib=79.65),
    Gpu(name="RTX PRO 6000 (96 GB)", gib=95.59),
    Gpu(name="H200 (141 GB)", gib=140.4),
    Gpu(name="B200 (180 GB)", gib=179.06),
)


# --- activations ---


def forward_units(model: Transformer, *, joined: bool) -> float:
    """Units alive at the peak of a forward without gradients, besides kept keys and values."""
    units = UNITS[model.layout]
    return units.forward + (units.joined if joined else 0)


def training_units(model: Transformer, *, joined: bool, checkpointing: bool) -> float:
    """Units alive at the peak of a forward and backward pass, weights' gradients aside."""
    units, double, single = UNITS[model.layout], model.num_layers, model.num_single_layers
    if not checkpointing:
        left = double * units.double + single * (units.single + (units.single_joined if joined else 0))
        return left + units.training + (units.joined if joined else 0)
    inputs = double + single
    forward = units.forward - 2 + 2 * (single if KEEPS_KEYS else 1)
    backward = units.recompute + (units.recompute_joined if joined else 0)
    return inputs + max(forward, backward)


def activation_bytes(
    model: Transformer,
    scales: Sequence[Scale],
    *,
    number_bytes: int,
    training: bool = False,
    checkpointing: bool = True,
) -> float:
    """The peak of one sequence's activations, besides kept keys and values."""
    joined = len(scales) > 1
    if training:
        units = training_units(model, joined=joined, checkpointing=checkpointing)
    else:
        units = forward_units(model, joined=joined)
    return units * tokens_of(scales) * model.dim * number_bytes


def key_value_bytes(model: Transformer, tokens: int, number_bytes: int) -> float:
    """Keys and values of so many tokens, in all single-stream blocks."""
    return 2 * model.num_single_layers * tokens * model.dim * number_bytes


# --- drawing ---


@dataclass(frozen=True, kw_only=True)
class DrawingMemory:
    """Memory of drawing a keyframe."""

    parts: tuple[Part, ...]
    together: float
    """All models on the GPU at once."""
    apart: float
    """Each model there only while it works (offload)."""


def drawing_memory(
    sizes: Sizes, scales: Sequence[Scale], *, height: int, width: int, reuse: bool = False
) -> DrawingMemory:
    """What drawing takes.

    Args:
        sizes: the preset.
        scales: the pairs, with the one to draw.
        height: pixels of a frame.
        width: pixels of a frame.
        reuse: causal sampling with the context's keys and values computed once.
    """
    model, size, passes = sizes.transformer, sizes.number_bytes, sizes.passes
    kept, work = working_set(model, scales, size, reuse=reuse)
    weights = model.parameters * size
    encoders = sum(part.parameters for part in sizes.encoders) * size
    vae = sizes.vae.parameters * size
    decoding = VAE_PIXEL_BYTES / 2 * size * height * width
    retrieval = sizes.retrieval.parameters * size
    drawing = passes * (kept + work)
    parts = (
        Part(name="transformer weights", bytes=weights),
        Part(name="keys and values", bytes=passes * kept),
        Part(name="activations", bytes=passes * work),
        Part(name="text encoders", bytes=encoders),
        Part(name="VAE weights", bytes=vae),
        Part(name="VAE at work", bytes=decoding),
        Part(name="retrieval", bytes=retrieval),
    )
    return DrawingMemory(
        parts=parts,
        together=weights + encoders + vae + retrieval + max(drawing, decoding),
        apart=max(weights + drawing, encoders, vae + decoding, retrieval),
    )


def working_set(
    model: Transformer, scales: Sequence[Scale], size: int, *, reuse: bool
) -> tuple[float, float]:
    """Bytes of keys and values, and of all else, at the peak of drawing without guidance."""

    def of_a_forward(tokens: int) -> float:
        return key_value_bytes(model, tokens, size) / (1 if KEEPS_KEYS else model.num_single_layers)

    tokens, context = tokens_of(scales), tokens_of(without_target(scales))
    work = activation_bytes(model, scales, number_bytes=size)
    if not reuse:
        return of_a_forward(tokens), work
    held = key_value_bytes(model, context, size)
    encoding = (held, work * context / tokens)
    reading = (held + of_a_forward(tokens), work * (tokens - context) / tokens)
    return max(encoding, reading, key=sum)


# --- training ---


@dataclass(frozen=True, kw_only=True)
class TrainingMemory:
    """Memory of a training step; latents and text embeddings come from a cache, so nothing else is loaded."""

    method: Method
    parts: tuple[Part, ...]
    sharded: float
    """What FSDP divides among GPUs: weights, gradients, optimiser states."""
    on_each: float
    """What every GPU holds: activations of its own sequences and the blocks that are gathered."""

    def on(self, gpus: int) -> float:
        """Bytes on each of so many GPUs."""
        return self.sharded / gpus + self.on_each


def lora_parameters(model: Transformer, rank: int) -> int:
    """Parameters of adapters on every linear layer of the blocks."""
    dim, mlp = model.dim, model.mlp_in
    stream = (dim + 3 * dim) + 2 * dim + (dim + mlp) + (model.hidden + dim)
    single = (dim + 3 * dim + mlp) + (dim + model.hidden + dim)
    return rank * (2 * model.num_layers * stream + model.num_single_layers * single)


def training_memory(
    sizes: Sizes,
    scales: Sequence[Scale],
    *,
    method: Method,
    batch: int = 1,
    rank: int = 32,
    checkpointing: bool = True,
) -> TrainingMemory:
    """What a training step takes: AdamW, states in float32, activations in the drawing precision.

    Args:
        sizes: the preset.
        scales: the pairs of a sequence.
        method: all weights, or LoRA adapters on weights that stay as they are drawn with.
        batch: sequences a GPU and step.
        rank: of the adapters.
        checkpointing: blocks are computed again in the backward pass, not kept.
    """
    model, size = sizes.transformer, sizes.number_bytes
    learnt = model.parameters if method == "full" else lora_parameters(model, rank)
    frozen = 0 if method == "full" else model.parameters * size
    work = batch * activation_bytes(
        model, scales, number_bytes=size, training=True, checkpointing=checkpointing
    )
    gathered = 2 * size * max(2 * model.stream_weights, model.single_weights) if method == "full" else 0
    parts = (
        Part(name="weights", bytes=frozen + 4 * learnt),
        Part(name="gradients", bytes=4 * learnt),
        Part(name="optimiser states", bytes=8 * learnt),
        Part(name="activations", bytes=work),
        Part(name="blocks at work", bytes=gathered),
    )
    return TrainingMemory(method=method, parts=parts, sharded=frozen + 16 * learnt, on_each=work + gathered)


def fewest_gpus(need: TrainingMemory, gpu: Gpu, *, most: int = 256) -> int | None:
    """How many of a GPU the training takes, a power of two; None where no number of them does."""
    count = 1
    while count <= most:
        if need.on(count) <= gpu.usable:
            return count
        count *= 2
    return None
