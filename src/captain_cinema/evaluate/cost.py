"""What a film costs in tokens and floating-point operations, from the sizes alone (table 3, figure 4).

Every matrix product and both products of attention are counted, two operations a multiply-add; what is
elementwise is not, as in torch's FlopCounterMode, against which a test holds these counts. The paper's own
estimate, tokens x steps x operations a token, leaves attention between pairs out, which grows with the square
of the context and is two thirds of all work at 32 pairs in full context.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from captain_cinema.errors import CinemaError
from captain_cinema.evaluate.cost_sizes import Sizes, Transformer
from captain_cinema.keyframes.goldenmem import Memory, assign_scales, golden_rows

MOST_PAIRS = 4096
DEEPEST = 4
"""Scales below the full one in the paper's example, 25, 15, 9, 5, 3."""
PETA = 1e15


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Pairs whose frames have the same size."""

    rows: int
    cols: int
    pairs: int
    txt_len: int

    @property
    def img_tokens(self) -> int:
        """Image tokens of all its pairs."""
        return self.pairs * self.rows * self.cols

    @property
    def txt_tokens(self) -> int:
        """Text tokens of all its pairs."""
        return self.pairs * self.txt_len

    @property
    def pair_len(self) -> int:
        """Tokens of one pair."""
        return self.rows * self.cols + self.txt_len

    @property
    def tokens(self) -> int:
        """Tokens of all its pairs."""
        return self.pairs * self.pair_len


@dataclass(frozen=True, kw_only=True)
class Flops:
    """Floating-point operations, by what they do."""

    linear: float = 0
    """Matrix products with weights: grows with the tokens."""
    local: float = 0
    """Attention inside pairs: grows with the pairs."""
    across: float = 0
    """Attention between all pairs: grows with the square of the tokens."""

    @property
    def total(self) -> float:
        """All of them."""
        return self.linear + self.local + self.across

    def times(self, linear: float, attention: float | None = None) -> Flops:
        """So many times as much; attention by a factor of its own if given."""
        factor = linear if attention is None else attention
        return Flops(linear=linear * self.linear, local=factor * self.local, across=factor * self.across)

    def __add__(self, other: Flops) -> Flops:
        return Flops(
            linear=self.linear + other.linear,
            local=self.local + other.local,
            across=self.across + other.across,
        )


def unit_of(most: float) -> tuple[float, str]:
    """Factor and prefix that make so many PFLOPs a number above one."""
    units = ((1.0, "P"), (1e3, "T"), (1e6, "G"))
    return next((unit for unit in units if most * unit[0] >= 1), units[-1])


# --- what the pairs are ---


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A full frame and its caption, in tokens."""

    rows: int
    cols: int
    txt_len: int


def frame_of(
    sizes: Sizes, *, height: int | None = None, width: int | None = None, txt_len: int | None = None
) -> Frame:
    """A preset's frame, or one of another size.

    Raises:
        CinemaError: the size is no whole number of tokens, or there is less than nothing of something.
    """
    height = sizes.height if height is None else height
    width = sizes.width if width is None else width
    txt_len = sizes.txt_len if txt_len is None else txt_len
    size = sizes.token_size
    for name, value in (("--height", height), ("--width", width)):
        if value < size or value % size or value > 16384:
            near = min(16384, max(size, round(value / size) * size))
            raise CinemaError(f"{name} {value} is no whole number of {size}-pixel tokens; give {near}")
    if not 1 <= txt_len <= 65536:
        raise CinemaError(f"--txt-len {txt_len} is no length of a caption; give 1 to 65536 tokens")
    return Frame(rows=height // size, cols=width // size, txt_len=txt_len)


def default_memory(pairs: int, rows: int) -> Memory:
    """The memory that is used if none is named: the paper's sequence as deep as the frame allows, down to 4.

    25 rows give 25, 15, 9, 5, 3, and each scale serves a fifth of the pairs: 4x7 for 32. Table 3's memories
    stop at a depth of three.
    """
    depth = min(DEEPEST, deepest(rows))
    return Memory(groups=depth, images=-(-pairs // (depth + 1)))


def deepest(rows: int) -> int:
    """How often a frame of so many token rows can be shrunk."""
    depth = 0
    while _allows(rows, depth + 1):
        depth += 1
    return depth


def _allows(rows: int, depth: int) -> bool:
    try:
        golden_rows(rows, depth)
    except ValueError:
        return False
    return True


def parse_memory(text: str, pairs: int, rows: int) -> Memory | None:
    """Read "3x8" (groups x images), "default" or "none".

    Raises:
        CinemaError: it is neither, deeper than the frame allows, or holds fewer pairs.
    """
    if text == "none":
        return None
    if text == "default":
        return default_memory(pairs, rows)
    match = re.fullmatch(r"(\d{1,4})[xX×](\d{1,4})", text.strip())
    if match is None or int(match[2]) < 1:
        raise CinemaError(f"--goldenmem {text!r} is no memory; give groups x images, such as 3x8, or none")
    memory = Memory(groups=int(match[1]), images=int(match[2]))
    if not _allows(rows, memory.groups):
        raise CinemaError(
            f"--goldenmem {text} is deeper than a frame of {rows} token rows allows;"
            f" give at most {deepest(rows)} groups"
        )
    if memory.pairs < pairs:
        images = -(-pairs // (memory.groups + 1))
        raise CinemaError(
            f"a {text} memory holds {memory.pairs} pairs, not {pairs}; use {memory.groups}x{images}"
        )
    return memory


def check_pairs(pairs: int) -> int:
    """The number of pairs, if it is one.

    Raises:
        CinemaError: it is not.
    """
    if not 1 <= pairs <= MOST_PAIRS:
        raise CinemaError(f"--pairs {pairs} is no length of a film; give 1 to {MOST_PAIRS}")
    return pairs


def scales_of(
    frame: Frame, pairs: int, memory: Memory | None, *, old_txt_len: int | None = None
) -> tuple[Scale, ...]:
    """All pairs by size of their frame, the full one first: the frame to draw and those before it.

    Args:
        frame: the full frame.
        pairs: how many, with the one to draw.
        memory: its shape; None holds all at full size.
        old_txt_len: text tokens of pairs whose frame is shrunk; as many as others if not given.
    """
    rows = [frame.rows, *assign_scales(pairs - 1, memory, frame.rows)]
    return tuple(
        Scale(
            rows=r,
            cols=max(1, round(frame.cols * r / frame.rows)),
            pairs=rows.count(r),
            txt_len=frame.txt_len if r == frame.rows or old_txt_len is None else old_txt_len,
        )
        for r in sorted(set(rows), reverse=True)
    )


def without_target(scales: Sequence[Scale]) -> tuple[Scale, ...]:
    """The context alone: one full frame fewer."""
    first = scales[0]
    left = Scale(rows=first.rows, cols=first.cols, pairs=first.pairs - 1, txt_len=first.txt_len)
    return (*((left,) if left.pairs else ()), *scales[1:])


def tokens_of(scales: Sequence[Scale]) -> int:
    """Tokens of all pairs."""
    return sum(scale.tokens for scale in scales)


# --- what they cost ---


def forward_flops(
    model: Transformer,
    scales: Sequence[Scale],
    *,
    causal: bool = False,
    context_tokens: int = 0,
    velocities: bool = True,
) -> Flops:
    """One forward over all pairs.

    Args:
        model: its sizes.
        scales: the pairs.
        causal: a pair sees itself and earlier ones, not all.
        context_tokens: tokens whose keys and values are given, seen by every pair.
        velocities: False stops before the output layer, as the encoding of a context does.
    """
    tokens, pairs = tokens_of(scales), sum(scale.pairs for scale in scales)
    img, txt = sum(s.img_tokens for s in scales), sum(s.txt_tokens for s in scales)
    dim = model.dim
    a_pair = model.embedder_weights + model.pooled_weights + model.modulation_weights
    weights = (
        img * model.in_channels * dim
        + txt * model.joint_attention_dim * dim
        + tokens * (model.num_layers * model.stream_weights + model.num_single_layers * model.single_weights)
        + pairs * a_pair
        + model.guidance_embeds * model.embedder_weights
    )
    if velocities:
        weights += img * dim * model.in_channels
    else:
        weights -= pairs * 2 * dim**2
    own = sum(scale.pairs * scale.pair_len**2 for scale in scales)
    met = (tokens**2 + own) / 2 if causal else tokens**2
    return Flops(
        linear=2 * weights,
        local=4 * dim * model.num_layers * own,
        across=4 * dim * model.num_single_layers * (met + tokens * context_tokens),
    )


def frame_flops(
    model: Transformer, scales: Sequence[Scale], *, steps: int, passes: int = 1, reuse: bool = False
) -> Flops:
    """One sampled frame, given all other pairs.

    Args:
        model: its sizes.
        scales: the pairs, with the one to draw.
        steps: sampling steps.
        passes: forwards a step; 2 with classifier-free guidance.
        reuse: causal sampling: the context's keys and values are computed once and read in every step.
    """
    if not reuse:
        return forward_flops(model, scales).times(steps * passes)
    context = without_target(scales)
    target = (Scale(rows=scales[0].rows, cols=scales[0].cols, pairs=1, txt_len=scales[0].txt_len),)
    encoded = forward_flops(model, context, causal=True, velocities=False) if context else Flops()
    drawn = forward_flops(model, target, context_tokens=tokens_of(context))
    return (encoded + drawn.times(steps)).times(passes)


def training_flops(
    model: Transformer,
    scales: Sequence[Scale],
    *,
    causal: bool = False,
    checkpointing: bool = True,
    lora: bool = False,
    flash: bool = True,
) -> Flops:
    """One training step on one sequence: forward, backward, and what checkpointing computes again.

    The backward pass costs a matrix product for the input and one for the weight of each product, and two and
    a half times the forward in attention, whose kernels compute the scores again.

    Args:
        model: its sizes.
        scales: the pairs.
        causal: as in `forward_flops`.
        checkpointing: every block's forward is computed twice.
        lora: the weights are frozen, and gradients only pass through them; the adapters' own share, under a
            hundredth, is left out.
        flash: attention computes its scores again in the backward pass.
    """
    forward = forward_flops(model, scales, causal=causal)
    outside = _outside_blocks(model, scales)
    inside = Flops(linear=forward.linear - outside, local=forward.local, across=forward.across)
    backward = inside.times(1 if lora else 2, 2.5 if flash else 2)
    ends = 0.0 if lora else 2 * outside - _first_products(model, scales)
    step = forward + backward + Flops(linear=ends)
    return step + inside if checkpointing else step


def _outside_blocks(model: Transformer, scales: Sequence[Scale]) -> float:
    """Matrix products of embeddings, modulation and output."""
    bare = forward_flops(model, scales).linear
    a_token = model.num_layers * model.stream_weights + model.num_single_layers * model.single_weights
    return bare - 2 * tokens_of(scales) * a_token


def _first_products(model: Transformer, scales: Sequence[Scale]) -> float:
    """Products whose input is data, so that no gradient is taken for it."""
    pairs = sum(scale.pairs for scale in scales)
    img, txt = sum(s.img_tokens for s in scales), sum(s.txt_tokens for s in scales)
    numbers = img * model.in_channels + txt * model.joint_attention_dim
    numbers += pairs * (model.timestep_channels + model.pooled_projection_dim)
    numbers += model.guidance_embeds * model.timestep_channels
    return 2 * model.dim * numbers
