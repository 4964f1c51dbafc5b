"""The parts of the MM-DiT: embeddings, modulation, double-stream and single-stream blocks.

Tokens are held as [b, pairs, len, dim], so that what belongs to a pair (its noise level, its positions)
broadcasts over its tokens. Only attention chooses which tokens meet: within a pair, or all pairs of a film.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeGuard

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Complex, Float
from torch import Tensor, nn

from captain_cinema.backbone.config import MMDiTConfig
from captain_cinema.backbone.parallel import Elsewhere
from captain_cinema.backbone.rotary import rotate


def attend(
    q: Float[Tensor, "b q_len heads head_dim"],
    k: Float[Tensor, "b k_len heads head_dim"],
    v: Float[Tensor, "b k_len heads head_dim"],
) -> Float[Tensor, "b q_len dim"]:
    """Let every query see every key; no mask, so the fast kernels apply."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    x = F.scaled_dot_product_attention(q, k, v)
    return rearrange(x, "b heads l d -> b l (heads d)")


def attend_causally(
    q: Float[Tensor, "b q_len heads head_dim"],
    k: Float[Tensor, "b k_len heads head_dim"],
    v: Float[Tensor, "b k_len heads head_dim"],
    lengths: Sequence[int],
    seen: Sequence[int] | None = None,
) -> Float[Tensor, "b q_len dim"]:
    """Let every pair see itself and the pairs before it, one unmasked call a pair.

    Half the work of a dense mask, and none of its memory.

    Args:
        q: queries, the pairs in story order.
        k: keys of the same tokens, after any keys of a context, which all queries see.
        v: values, like the keys.
        lengths: tokens of each pair.
        seen: how many keys each pair sees, where the keys are of other pairs too.
    """
    if seen is None:
        before = k.shape[1] - q.shape[1]
        seen = [before + length for length in accumulate(lengths)]
    parts = zip(q.split(list(lengths), dim=1), seen, strict=True)
    return torch.cat([attend(part, k[:, :n], v[:, :n]) for part, n in parts], dim=1)


def timestep_embedding(t: Float[Tensor, "*n"], dim: int) -> Float[Tensor, "*n dim"]:
    """Embed a number between 0 and 1 as cosines and sines of 1000 t, frequencies 1 to 1/10000."""
    freqs = torch.exp(-math.log(10000) / (dim // 2) * torch.arange(dim // 2, device=t.device))
    angle = 1000 * (t if t.dtype == torch.float64 else t.float()).unsqueeze(-1) * freqs
    return torch.cat([angle.cos(), angle.sin()], dim=-1)


def _is_plain(layer: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether calling the layer is nothing but a matrix product: no LoRA, no quantised weight, no hook."""
    return (
        type(layer) is nn.Linear
        and type(layer.weight) in (nn.Parameter, Tensor)
        and "forward" not in vars(layer)  # accelerate and diffusers put offloading here
        and not layer._forward_pre_hooks
        and not layer._forward_hooks
    )


def split_linear(linear: nn.Module, x: Float[Tensor, "*n dim"], sizes: Sequence[int]) -> list[Tensor]:
    """Run several projections that are stored as one layer.

    Splitting the weight costs nothing; splitting the activations would copy them all in the backward pass
    (a tenth of a training step on a CPU). A layer that is more than its weight (a LoRA, a quantised or an
    offloaded layer) is called as it stands.
    """
    if not _is_plain(linear):
        return list(linear(x).split(list(sizes), dim=-1))
    weights = linear.weight.split(list(sizes))
    biases = [None] * len(sizes) if linear.bias is None else linear.bias.split(list(sizes))
    return [F.linear(x, weight, bias) for weight, bias in zip(weights, biases, strict=True)]


def activate(parts: Sequence[Float[Tensor, "*n hidden"]]) -> Float[Tensor, "*n hidden"]:
    """Activate a feed-forward layer: FLUX.2 gives a gate and what it gates, FLUX.1 one part."""
    if len(parts) == 1:
        return F.gelu(parts[0], approximate="tanh")
    gate, up = parts
    return F.silu(gate) * up


class Embedder(nn.Module):
    """Two linear layers from a vector to one of the model's width."""

    def __init__(self, channels: int, dim: int, *, bias: bool = False):
        super().__init__()
        self.channels = channels
        self.lin_in = nn.Linear(channels, dim, bias=bias)
        self.lin_out = nn.Linear(dim, dim, bias=bias)

    def forward(self, x: Float[Tensor, "*n channels"]) -> Float[Tensor, "*n dim"]:
        """Embed the vectors."""
        return self.lin_out(F.silu(self.lin_in(x.to(self.lin_in.weight.dtype))))


class NumberEmbedder(Embedder):
    """The same for a number in [0, 1], such as a noise level."""

    def forward(self, x: Float[Tensor, "*n"]) -> Float[Tensor, "*n dim"]:
        """Embed the numbers."""
        return super().forward(timestep_embedding(x, self.channels))


@dataclass(frozen=True, kw_only=True)
class Shift:
    """How one pair's `vec` changes a sublayer: x + gate * f(scale * norm(x) + shift)."""

    shift: Float[Tensor, "b pairs l dim"]  # l is 1, or the tokens where pairs of several lengths are joined
    scale: Float[Tensor, "b pairs l dim"]
    gate: Float[Tensor, "b pairs l dim"]


class Modulation(nn.Module):
    """From `vec` to shift, scale and gate of each sublayer.

    In FLUX.2 all blocks of a kind share one; in FLUX.1 every block has its own.
    """

    def __init__(self, dim: int, sublayers: int, *, bias: bool = False):
        super().__init__()
        self.sublayers = sublayers
        self.lin = nn.Linear(dim, 3 * sublayers * dim, bias=bias)

    def forward(self, vec: Float[Tensor, "b pairs dim"]) -> Float[Tensor, "b pairs _"]:
        """Compute all numbers at once; `split` names them."""
        return self.lin(F.silu(vec))

    def split(self, mod: Float[Tensor, "b pairs l _"]) -> list[Shift]:
        """Name the parts of what `forward` gave."""
        parts = mod.chunk(3 * self.sublayers, dim=-1)
        return [
            Shift(shift=parts[i], scale=1 + parts[i + 1], gate=parts[i + 2]) for i in range(0, len(parts), 3)
        ]


@dataclass(frozen=True)
class Levels:
    """The pairs' `vec`s, and how the pairs lie along the tokens that these modulate."""

    vecs: Sequence[Float[Tensor, "b _ dim"]]  # one a group
    lengths: Sequence[int] | None = None  # tokens of a pair, group by group, where all groups are joined
    order: Tensor | None = None  # where each token was before the joined ones were put in story order

    def shifts(self, modulation: Modulation) -> list[Shift]:
        """Modulate each pair by its noise level: one row a pair, or a token where the groups are joined."""
        if self.lengths is None:
            return modulation.split(modulation(self.vecs[0]).unsqueeze(2))
        spread = [
            modulation(vec).unsqueeze(2).expand(-1, -1, length, -1).flatten(1, 2)
            for vec, length in zip(self.vecs, self.lengths, strict=True)
        ]
        mod = torch.cat(spread, dim=1)
        mod = mod if self.order is None else mod[:, self.order]
        return modulation.split(mod[:, None])


Modulated = Levels | Sequence[Shift]
"""What a block is given: shifts that all blocks share, or what its own modulation makes them of.

Blocks modulate inside themselves: then recomputing covers the spread rows, and sharding has the weights.
"""


def shifts_of(own: Modulation | None, given: Modulated) -> Sequence[Shift]:
    """Shifts of a block with a modulation of its own, or without."""
    if isinstance(given, Levels):
        assert own is not None, "a block without modulation is given shifts"
        return given.shifts(own)
    return given


def modulate(x: Float[Tensor, "b pairs l dim"], mod: Shift, eps: float) -> Float[Tensor, "b pairs l dim"]:
    """Normalise each token, then scale and shift it as its pair's noise level asks."""
    return torch.addcmul(mod.shift, F.layer_norm(x, x.shape[-1:], eps=eps), mod.scale)


class QKNorm(nn.Module):
    """RMS norm of queries and keys, each head by itself, which keeps attention logits bounded."""

    def __init__(self, head_dim: int, eps: float):
        super().__init__()
        self.eps = eps
        self.q = nn.Parameter(torch.ones(head_dim))
        self.k = nn.Parameter(torch.ones(head_dim))

    def forward(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise over the last axis, in the precision of the weights even under autocast."""
        q, k = q.to(self.q.dtype), k.to(self.k.dtype)
        return F.rms_norm(q, self.q.shape, self.q, self.eps), F.rms_norm(k, self.k.shape, self.k, self.eps)


class FeedForward(nn.Module):
    """The feed-forward layer of a double-stream block."""

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        layout = config.layout
        self.sizes = [config.hidden] * (2 if layout.gated else 1)
        self.lin_in = nn.Linear(config.dim, sum(self.sizes), bias=layout.bias)
        self.lin_out = nn.Linear(config.hidden, config.dim, bias=layout.bias)

    def forward(self, x: Float[Tensor, "*n dim"]) -> Float[Tensor, "*n dim"]:
        """Apply it to each token."""
        return self.lin_out(activate(split_linear(self.lin_in, x, self.sizes)))


class Stream(nn.Module):
    """The weights that one kind of token, img or txt, has to itself in a double-stream block."""

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        dim, bias = config.dim, config.layout.bias
        self.heads, self.sizes, self.eps = config.num_attention_heads, [dim] * 3, config.eps
        self.mod = None if config.layout.shared_modulation else Modulation(dim, sublayers=2, bias=bias)
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.norm = QKNorm(config.attention_head_dim, config.eps)
        self.proj = nn.Linear(dim, dim, bias=bias)
        self.mlp = FeedForward(config)

    def project(self, x: Float[Tensor, "b pairs l dim"], mod: Shift) -> tuple[Tensor, Tensor, Tensor]:
        """Compute queries, keys and values, each [b, pairs, l, heads, head_dim]."""
        x = modulate(x, mod, self.eps)
        q, k, v = (z.unflatten(-1, (self.heads, -1)) for z in split_linear(self.qkv, x, self.sizes))
        return *self.norm(q, k), v

    def update(self, x: Tensor, attended: Tensor, attn_mod: Shift, mlp_mod: Shift) -> Tensor:
        """Add what attention brought, then the feed-forward layer."""
        x = torch.addcmul(x, attn_mod.gate, self.proj(attended))
        return torch.addcmul(x, mlp_mod.gate, self.mlp(modulate(x, mlp_mod, self.eps)))


class DoubleBlock(nn.Module):
    """Local attention (section 3.2): img and txt of one pair see each other, and nothing of another pair."""

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        self.img = Stream(config)
        self.txt = Stream(config)

    def forward(
        self,
        img: Float[Tensor, "b pairs img_len dim"],
        txt: Float[Tensor, "b pairs txt_len dim"],
        img_given: Modulated,
        txt_given: Modulated,
        pe: Complex[Tensor, "pairs l 1 half_dim"],
    ) -> tuple[Float[Tensor, "b pairs img_len dim"], Float[Tensor, "b pairs txt_len dim"]]:
        """Run the block; `pe` covers [txt; img]."""
        img_mod, txt_mod = shifts_of(self.img.mod, img_given), shifts_of(self.txt.mod, txt_given)
        both = zip(self.txt.project(txt, txt_mod[0]), self.img.project(img, img_mod[0]), strict=True)
        q, k, v = (torch.cat(streams, dim=2) for streams in both)
        q, k = rotate(q, pe), rotate(k, pe)
        # The block-diagonal mask of the paper, without a mask: each pair is a batch item of its own.
        q, k, v = (rearrange(x, "b pairs l heads d -> (b pairs) l heads d") for x in (q, k, v))
        x = rearrange(attend(q, k, v), "(b pairs) l dim -> b pairs l dim", b=img.shape[0])
        txt_x, img_x = x.split([txt.shape[2], img.shape[2]], dim=2)
        return self.img.update(img, img_x, *img_mod), self.txt.update(txt, txt_x, *txt_mod)


class SingleBlock(nn.Module):
    """Global attention (section 3.2): all tokens of all pairs in one sequence; feed-forward beside it."""

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        dim, hidden, layout = config.dim, config.hidden, config.layout
        self.heads, self.dim, self.hidden, self.eps = config.num_attention_heads, dim, hidden, config.eps
        self.sizes = [dim] * 3 + [hidden] * (2 if layout.gated else 1)  # q, k, v, and the feed-forward layer
        self.mod = None if layout.shared_modulation else Modulation(dim, sublayers=1, bias=layout.bias)
        self.lin_in = nn.Linear(dim, sum(self.sizes), bias=layout.bias)
        self.norm = QKNorm(config.attention_head_dim, config.eps)
        self.lin_out = nn.Linear(dim + hidden, dim, bias=layout.bias)

    def forward(
        self,
        x: Float[Tensor, "b pairs l dim"],
        given: Modulated,
        pe: Complex[Tensor, "pairs l 1 half_dim"],
        *,
        context: tuple[Tensor, Tensor] | None = None,
        lengths: Sequence[int] | None = None,
        elsewhere: Elsewhere | None = None,
    ) -> tuple[Float[Tensor, "b pairs l dim"], tuple[Tensor, Tensor]]:
        """Run the block.

        Args:
            x: the tokens; their first two axes after `b` are one sequence to attention.
            given: modulation, one for each pair or each token, or what to make it of.
            pe: positions.
            context: keys and values of earlier pairs, [b, len, heads, head_dim] each, seen by all.
            lengths: tokens of each pair for causal attention; None lets all pairs see each other.
            elsewhere: the pairs of this film that other processes hold.

        Returns:
            The tokens, and the keys and values of all the block attended to, context first.
        """
        mod = shifts_of(self.mod, given)[0]
        y = modulate(x, mod, self.eps)
        q, k, v, *mlp = split_linear(self.lin_in, y, self.sizes)
        q, k, v = (z.unflatten(-1, (self.heads, -1)) for z in (q, k, v))
        q, k = self.norm(q, k)
        q, k, v = (z.flatten(1, 2) for z in (rotate(q, pe), rotate(k, pe), v))
        if context is not None:
            k, v = torch.cat([context[0], k], dim=1), torch.cat([context[1], v], dim=1)
        reach = None
        if elsewhere is not None:
            k, v, reach = *elsewhere.gather(k, v), elsewhere.seen
        seen = attend(q, k, v) if lengths is None else attend_causally(q, k, v, lengths, reach)
        y = self._project(seen.view(x.shape), activate(mlp))
        return torch.addcmul(x, mod.gate, y), (k, v)

    def _project(self, attended: Tensor, activated: Tensor) -> Tensor:
        """Apply `lin_out` to what attention and the feed-forward layer brought, without joining the two."""
        linear = self.lin_out
        if not _is_plain(linear):
            return linear(torch.cat([attended, activated], dim=-1))
        from_attention, from_mlp = linear.weight.split([self.dim, self.hidden], dim=1)
        return F.linear(attended, from_attention, linear.bias) + F.linear(activated, from_mlp)


class FinalLayer(nn.Module):
    """From the last tokens of a frame to its velocity."""

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        dim, bias = config.dim, config.layout.bias
        self.eps = config.eps
        self.mod = nn.Linear(dim, 2 * dim, bias=bias)
        channels = config.patch_size**2 * (config.out_channels or config.in_channels)
        self.lin = nn.Linear(dim, channels, bias=bias)

    def forward(
        self, img: Float[Tensor, "b pairs img_len dim"], vec: Float[Tensor, "b pairs dim"]
    ) -> Float[Tensor, "b pairs img_len channels"]:
        """Normalise, modulate once more, project."""
        scale, shift = self.mod(F.silu(vec)).unsqueeze(2).chunk(2, dim=-1)
        return self.lin(torch.addcmul(shift, F.layer_norm(img, img.shape[-1:], eps=self.eps), 1 + scale))
