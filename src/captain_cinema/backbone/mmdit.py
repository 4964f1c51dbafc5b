"""The interleaved multimodal diffusion transformer (paper, section 3.2), in the layouts of FLUX.1 and FLUX.2.

A film is a row of pairs, each a caption (`txt`) and a keyframe (`img`) with a noise level of its own (`vec`).
Double-stream blocks look inside one pair; single-stream blocks look at all pairs. That is the paper's hybrid
attention mask, and no mask is ever built. At one pair the network equals FLUX's own.

The paper tunes FLUX.1; what FLUX.2 does otherwise is in `config.Layout`, and both are this one network.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as recomputed

from captain_cinema.backbone import checkpoint
from captain_cinema.backbone.config import Flux1Config, MMDiTConfig
from captain_cinema.backbone.layers import (
    DoubleBlock,
    Embedder,
    FinalLayer,
    Levels,
    Modulated,
    Modulation,
    NumberEmbedder,
    SingleBlock,
)
from captain_cinema.backbone.pairs import Context, PairGroup
from captain_cinema.backbone.parallel import Elsewhere, PairsApart
from captain_cinema.backbone.rotary import pair_ids, rotary
from captain_cinema.errors import WeightsError

__all__ = [
    "Context",
    "Flux1Config",
    "MMDiT",
    "MMDiTConfig",
    "PairGroup",
    "init_weights",
    "load_mmdit",
    "pair_ids",
    "save_mmdit",
]


@dataclass(frozen=True)
class _Sequence:
    """All tokens of all pairs as the single-stream blocks see them."""

    x: Float[Tensor, "b pairs l dim"]  # one group: its pairs; joined groups: pairs = 1, all tokens along l
    pe: Complex[Tensor, "pairs l 1 half_dim"]
    levels: Levels
    lengths: list[int] | None  # tokens of each pair in story order, for causal attention
    elsewhere: Elsewhere | None  # the film's pairs that other processes hold


class MMDiT(nn.Module):
    """Predicts the velocities of a film's keyframes from captions, noisy keyframes and their noise levels.

    Attributes:
        gradient_checkpointing: keep only the blocks' inputs; the backward pass computes the rest again.
        recompute_in: with it, makes the context of a recomputation, such as the precision of the first pass
            (autocast itself is remembered anyway).
        apart: the other processes that hold pairs of the same film; each process gives and gets its own.
    """

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        self.gradient_checkpointing = False
        self.recompute_in: Callable[[], AbstractContextManager[Any]] = nullcontext
        self.apart: PairsApart | None = None
        self.config = config
        dim, layout = config.dim, config.layout
        channels, bias = config.timestep_guidance_channels, layout.bias
        self.img_in = nn.Linear(config.in_channels, dim, bias=bias)
        self.txt_in = nn.Linear(config.joint_attention_dim, dim, bias=bias)
        self.time_in = NumberEmbedder(channels, dim, bias=bias)
        self.guidance_in = NumberEmbedder(channels, dim, bias=bias) if config.guidance_embeds else None
        self.pooled_in = Embedder(config.pooled_dim, dim, bias=bias) if config.pooled_dim else None
        shared = layout.shared_modulation
        self.img_mod = Modulation(dim, sublayers=2) if shared else None
        self.txt_mod = Modulation(dim, sublayers=2) if shared else None
        self.single_mod = Modulation(dim, sublayers=1) if shared else None
        self.double_blocks = nn.ModuleList(DoubleBlock(config) for _ in range(config.num_layers))
        self.single_blocks = nn.ModuleList(SingleBlock(config) for _ in range(config.num_single_layers))
        self.final = FinalLayer(config)

    def forward(
        self,
        groups: Sequence[PairGroup],
        *,
        causal: bool = False,
        context: Context | None = None,
        guidance: Float[Tensor, " b"] | float | None = None,
    ) -> list[Float[Tensor, "b pairs img_len channels"]]:
        """Predict the velocity of every frame.

        Args:
            groups: the pairs, one group for each frame size.
            causal: a pair sees itself and pairs with a smaller index; otherwise all pairs see each other.
            context: earlier pairs from `encode_context`, which every pair sees.
            guidance: guidance strength of a distilled model, as users know it (3.5, say).

        Returns:
            One velocity tensor a group, shaped like its `img`.
        """
        vecs = self._vecs(groups, guidance)
        tokens, _ = self._run(groups, vecs, causal=causal, context=context, keep=False)
        return [
            self.final(x[:, :, group.txt.shape[2] :], vec)
            for group, x, vec in zip(groups, tokens, vecs, strict=True)
        ]

    def encode_context(
        self,
        groups: Sequence[PairGroup],
        *,
        causal: bool = True,
        context: Context | None = None,
        guidance: Float[Tensor, " b"] | float | None = None,
    ) -> Context:
        """Compute the keys and values of given pairs once, for use in every sampling step.

        Causal by default: then adding a pair changes nothing before it, and a context grows by
        `encode_context(new_pair, context=so_far)`.
        """
        vecs = self._vecs(groups, guidance)
        _, blocks = self._run(groups, vecs, causal=causal, context=context, keep=True)
        last = max(float(group.img_ids[..., 0].max()) for group in groups)
        if context is not None:
            last = max(last, context.last_index)
        return Context(blocks=tuple(blocks), last_index=last)

    def _vecs(self, groups: Sequence[PairGroup], guidance: Tensor | float | None) -> list[Tensor]:
        """Embed each pair's noise level, guidance and pooled caption, once for the whole forward."""
        vec = self.time_in(torch.cat([group.timestep for group in groups], dim=1))
        if (guidance is None) != (self.guidance_in is None):
            wanted = "no" if self.guidance_in is None else "a"
            raise ValueError(f"this model takes {wanted} guidance strength, got {guidance!r}")
        if self.guidance_in is not None:
            vec = vec + self.guidance_in(torch.as_tensor(guidance, device=vec.device).reshape(-1, 1))
        pooled = [group.pooled for group in groups if group.pooled is not None]
        if len(pooled) != (0 if self.pooled_in is None else len(groups)):
            wanted = "no pooled captions" if self.pooled_in is None else "a pooled caption for every pair"
            raise ValueError(f"this model takes {wanted}, got them in {len(pooled)} of {len(groups)} groups")
        if self.pooled_in is not None:
            vec = vec + self.pooled_in(torch.cat(pooled, dim=1))
        return list(vec.split([group.img.shape[1] for group in groups], dim=1))

    def _run(
        self,
        groups: Sequence[PairGroup],
        vecs: Sequence[Tensor],
        *,
        causal: bool,
        context: Context | None,
        keep: bool,
    ) -> tuple[list[Float[Tensor, "b pairs l dim"]], list[tuple[Tensor, Tensor]]]:
        """Run all blocks; give each group's tokens and, with `keep`, each single block's keys and values."""
        pes = [self._pe(group) for group in groups]
        tokens = [self._run_double(*args) for args in zip(groups, vecs, pes, strict=True)]
        seq = self._join(groups, tokens, pes, vecs, causal=causal, context=context)
        del tokens
        shared = None if self.single_mod is None else seq.levels.shifts(self.single_mod)
        x, blocks = seq.x, []
        for number, block in enumerate(cast(Iterable[SingleBlock], self.single_blocks)):
            given = None if context is None else context.blocks[number]
            x, keys_values = self._through(
                block,
                x,
                shared or seq.levels,
                seq.pe,
                context=given,
                lengths=seq.lengths,
                elsewhere=seq.elsewhere,
            )
            if keep:
                blocks.append(keys_values)
            del keys_values
        return self._part(groups, x, seq.levels.order), blocks

    def _through(self, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Run a block, or have the backward pass run it a second time instead of keeping what it made."""
        if not (self.gradient_checkpointing and torch.is_grad_enabled()):
            return block(*args, **kwargs)
        contexts = {"context_fn": lambda: (nullcontext(), self.recompute_in())}
        return recomputed(block, *args, use_reentrant=False, preserve_rng_state=False, **contexts, **kwargs)

    def _pe(self, group: PairGroup) -> Complex[Tensor, "pairs l 1 half_dim"]:
        ids = torch.cat([group.txt_ids, group.img_ids], dim=1).to(group.img.device)
        config = self.config
        return rotary(
            ids, config.axes_dims_rope, config.rope_theta, dtype=self.img_in.weight.dtype
        ).unsqueeze(2)

    def _run_double(self, group: PairGroup, vec: Tensor, pe: Tensor) -> Float[Tensor, "b pairs l dim"]:
        """Embed one group and run the local blocks on it; [txt; img] of each pair."""
        img, txt = self.img_in(group.img), self.txt_in(group.txt)
        levels = Levels([vec])
        img_mod: Modulated = levels if self.img_mod is None else levels.shifts(self.img_mod)
        txt_mod: Modulated = levels if self.txt_mod is None else levels.shifts(self.txt_mod)
        for block in cast(Iterable[DoubleBlock], self.double_blocks):
            img, txt = self._through(block, img, txt, img_mod, txt_mod, pe)
        return torch.cat([txt, img], dim=2)

    def _join(
        self,
        groups: Sequence[PairGroup],
        tokens: Sequence[Tensor],
        pes: Sequence[Tensor],
        vecs: Sequence[Tensor],
        *,
        causal: bool,
        context: Context | None,
    ) -> _Sequence:
        """Make one sequence of all pairs; in story order if attention is causal."""
        index = [float(i) for group in groups for i in group.img_ids[:, 0, 0].tolist()]
        length = [group.pair_len for group in groups for _ in range(group.img.shape[1])]
        if causal and context is not None and min(index) <= context.last_index:
            raise ValueError(
                f"the context ends at pair {context.last_index:g}; pair {min(index):g} is not after it"
            )
        sorted_already = index == sorted(index)
        lengths = _causal_lengths(index, length) if causal else None
        elsewhere = None
        if self.apart is not None:
            if context is not None:
                raise ValueError("pairs on several processes take no context of keys and values")
            elsewhere = self.apart.meet(index, length, causal=causal)
        if len(groups) == 1 and (sorted_already or not causal):
            return _Sequence(tokens[0], pes[0], Levels(vecs), lengths, elsewhere)
        x = torch.cat([z.flatten(1, 2) for z in tokens], dim=1)
        pe = torch.cat([z.flatten(0, 1) for z in pes])
        order = None
        if causal and not sorted_already:
            where = torch.tensor(index).repeat_interleave(torch.tensor(length))
            order = where.argsort(stable=True).to(x.device)
            x, pe = x[:, order], pe[order]
        levels = Levels(vecs, [group.pair_len for group in groups], order)
        return _Sequence(x[:, None], pe[None], levels, lengths, elsewhere)

    def _part(self, groups: Sequence[PairGroup], x: Tensor, order: Tensor | None) -> list[Tensor]:
        """Undo `_join`: the tokens of each group, [b, pairs, l, dim]."""
        x = x.flatten(1, 2)
        if order is not None:
            x = x[:, order.argsort()]
        parts = x.split([group.img.shape[1] * group.pair_len for group in groups], dim=1)
        return [z.unflatten(1, (-1, group.pair_len)) for z, group in zip(parts, groups, strict=True)]


def _causal_lengths(index: Sequence[float], length: Sequence[int]) -> list[int]:
    """Tokens at each pair index, in story order; pairs with the same index see each other."""
    at: dict[float, int] = {}
    for i, n in sorted(zip(index, length, strict=True)):
        at[i] = at.get(i, 0) + n
    return list(at.values())


@torch.no_grad()
def init_weights(model: MMDiT, generator: torch.Generator, *, match_heads: bool = False) -> MMDiT:
    """Initialise for training from scratch.

    Linear layers get Xavier's uniform weights (each part of a fused layer by itself), modulation small ones,
    biases and the output layer zeros, so that the first prediction is zero, the mean of the target.

    With `match_heads` the first two single-stream blocks start with W_q = W_k. A token's query equals its
    own key, and so does the query of a token with the same content elsewhere: from the first step, a name in
    one caption attends to the same name in earlier ones, up to the angle between their positions. Binding a
    name to the look in an earlier frame needs exactly this lookup as its first half, and from random queries
    and keys gradient descent takes very long to find it.

    Args:
        model: changed in place, and returned.
        generator: source of the random numbers, on the CPU.
        match_heads: start with matching queries and keys, as above.
    """

    def fill(weight: Tensor, parts: Sequence[int] = ()) -> None:
        for part in weight.split(list(parts) or [weight.shape[0]]):
            bound = (6 / (part.shape[0] + part.shape[1])) ** 0.5
            part.copy_((2 * torch.rand(part.shape, generator=generator) - 1) * bound)

    dim = model.config.dim
    for module in model.modules():
        if isinstance(module, nn.Linear):
            fill(module.weight)
            if module.bias is not None:
                module.bias.zero_()
    for block in model.double_blocks:
        assert isinstance(block, DoubleBlock)
        for stream in (block.img, block.txt):
            fill(stream.qkv.weight, (dim, dim, dim))
    for number, block in enumerate(model.single_blocks):
        assert isinstance(block, SingleBlock)
        fill(block.lin_in.weight, block.sizes)
        if match_heads and number < 2:
            block.lin_in.weight[dim : 2 * dim] = block.lin_in.weight[:dim]
    mods = [module.lin for module in model.modules() if isinstance(module, Modulation)]
    for mod in (*mods, model.final.mod):
        mod.weight.copy_(torch.randn(mod.weight.shape, generator=generator) * 0.02)
    model.final.lin.weight.zero_()
    return model


def load_mmdit(
    folder: Path, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None
) -> MMDiT:
    """Load a transformer folder in diffusers' layout: config.json and safetensors, in one file or in shards.

    Args:
        folder: the folder.
        device: where the weights go.
        dtype: their precision; None keeps the stored one.

    Raises:
        WeightsError: the folder is missing, damaged, or holds another model.
    """
    config = checkpoint.read_config(folder)
    try:
        with torch.device("meta"):
            model = MMDiT(config)
    except (TypeError, ValueError, RuntimeError) as error:  # sizes that no layer can have
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{folder / 'config.json'} cannot describe a model: {reason}") from None
    state = checkpoint.from_diffusers(checkpoint.read_weights(folder), model.state_dict(), config)
    model.load_state_dict(state, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def save_mmdit(model: MMDiT, folder: Path, *, max_shard_size: int = 10**10) -> None:
    """Write a model as a folder that `load_mmdit` and diffusers' `from_pretrained` read.

    Args:
        model: the model.
        folder: made if it is not there; a model in it is replaced.
        max_shard_size: a larger model becomes several files of at most so many bytes.

    Raises:
        WeightsError: the folder cannot be written.
    """
    weights = checkpoint.to_diffusers(model.state_dict(), model.config)
    checkpoint.write_folder(folder, model.config, weights, max_shard_size=max_shard_size)
