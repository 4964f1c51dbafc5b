"""The interleaved multimodal diffusion transformer (paper, section 3.2), in the FLUX.2 layout.

A film is a row of pairs, each a caption (`txt`) and a keyframe (`img`) with a noise level of its own (`vec`).
Double-stream blocks look inside one pair; single-stream blocks look at all pairs. That is the paper's hybrid
attention mask, and no mask is ever built. At one pair the network equals FLUX.2's.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Complex, Float
from torch import Tensor, nn

from captain_cinema.backbone import checkpoint
from captain_cinema.backbone.layers import DoubleBlock, Embedder, FinalLayer, Modulation, Shift, SingleBlock
from captain_cinema.backbone.pairs import Context, MMDiTConfig, PairGroup
from captain_cinema.backbone.rotary import pair_ids, rotary
from captain_cinema.errors import WeightsError

__all__ = [
    "Context",
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

    x: Float[Tensor, "b pairs l dim"]  # one group: its pairs; several groups: pairs = 1, all tokens along l
    mod: Shift
    pe: Complex[Tensor, "pairs l 1 half_dim"]
    lengths: list[int] | None  # tokens of each pair in story order, for causal attention
    order: Tensor | None  # where each token was before it was put in story order


class MMDiT(nn.Module):
    """Predicts the velocities of a film's keyframes from captions, noisy keyframes and their noise levels."""

    def __init__(self, config: MMDiTConfig):
        super().__init__()
        self.config = config
        heads, head_dim, dim = config.num_attention_heads, config.attention_head_dim, config.dim
        hidden = int(dim * config.mlp_ratio)
        channels = config.patch_size**2 * (config.out_channels or config.in_channels)
        self.img_in = nn.Linear(config.in_channels, dim, bias=False)
        self.txt_in = nn.Linear(config.joint_attention_dim, dim, bias=False)
        self.time_in = Embedder(config.timestep_guidance_channels, dim)
        self.guidance_in = (
            Embedder(config.timestep_guidance_channels, dim) if config.guidance_embeds else None
        )
        self.img_mod = Modulation(dim, sublayers=2)
        self.txt_mod = Modulation(dim, sublayers=2)
        self.single_mod = Modulation(dim, sublayers=1)
        self.double_blocks = nn.ModuleList(
            DoubleBlock(heads, head_dim, hidden, config.eps) for _ in range(config.num_layers)
        )
        self.single_blocks = nn.ModuleList(
            SingleBlock(heads, head_dim, hidden, config.eps) for _ in range(config.num_single_layers)
        )
        self.final = FinalLayer(dim, channels, config.eps)

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
            guidance: guidance strength of a distilled model (divided by 1000 inside a FLUX.2 embedding).

        Returns:
            One velocity tensor a group, shaped like its `img`.
        """
        vecs = self._vecs(groups, guidance)
        tokens, _ = self._run(groups, vecs, causal=causal, context=context)
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
        _, blocks = self._run(groups, self._vecs(groups, guidance), causal=causal, context=context)
        last = max(float(group.img_ids[..., 0].max()) for group in groups)
        if context is not None:
            last = max(last, context.last_index)
        return Context(blocks=tuple(blocks), last_index=last)

    def _vecs(self, groups: Sequence[PairGroup], guidance: Tensor | float | None) -> list[Tensor]:
        """Embed the noise level of every pair (and the guidance), once for the whole forward."""
        vec = self.time_in(torch.cat([group.timestep for group in groups], dim=1))
        if (guidance is None) != (self.guidance_in is None):
            wanted = "no" if self.guidance_in is None else "a"
            raise ValueError(f"this model takes {wanted} guidance strength, got {guidance!r}")
        if self.guidance_in is not None:
            vec = vec + self.guidance_in(torch.as_tensor(guidance, device=vec.device).reshape(-1, 1))
        return list(vec.split([group.img.shape[1] for group in groups], dim=1))

    def _run(
        self, groups: Sequence[PairGroup], vecs: Sequence[Tensor], *, causal: bool, context: Context | None
    ) -> tuple[list[Float[Tensor, "b pairs l dim"]], list[tuple[Tensor, Tensor]]]:
        """Run all blocks; give each group's tokens, and each single-stream block's keys and values."""
        pes = [self._pe(group) for group in groups]
        tokens = [self._run_double(*args) for args in zip(groups, vecs, pes, strict=True)]
        seq = self._join(groups, tokens, vecs, pes, causal=causal, context=context)
        x, blocks = seq.x, []
        for number, block in enumerate(self.single_blocks):
            given = None if context is None else context.blocks[number]
            x, keys_values = block(x, seq.mod, seq.pe, context=given, lengths=seq.lengths)
            blocks.append(keys_values)
        return self._part(groups, x, seq.order), blocks

    def _pe(self, group: PairGroup) -> Complex[Tensor, "pairs l 1 half_dim"]:
        ids = torch.cat([group.txt_ids, group.img_ids], dim=1).to(group.img.device)
        config = self.config
        return rotary(
            ids, config.axes_dims_rope, config.rope_theta, dtype=self.img_in.weight.dtype
        ).unsqueeze(2)

    def _run_double(self, group: PairGroup, vec: Tensor, pe: Tensor) -> Float[Tensor, "b pairs l dim"]:
        """Embed one group and run the local blocks on it; [txt; img] of each pair."""
        img, txt = self.img_in(group.img), self.txt_in(group.txt)
        img_mod = self.img_mod.split(self.img_mod(vec).unsqueeze(2))
        txt_mod = self.txt_mod.split(self.txt_mod(vec).unsqueeze(2))
        for block in self.double_blocks:
            img, txt = block(img, txt, img_mod, txt_mod, pe)
        return torch.cat([txt, img], dim=2)

    def _join(
        self,
        groups: Sequence[PairGroup],
        tokens: Sequence[Tensor],
        vecs: Sequence[Tensor],
        pes: Sequence[Tensor],
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
        mods = [self.single_mod(vec).unsqueeze(2) for vec in vecs]
        sorted_already = index == sorted(index)
        if len(groups) == 1 and (sorted_already or not causal):
            lengths = _causal_lengths(index, length) if causal else None
            return _Sequence(tokens[0], self.single_mod.split(mods[0])[0], pes[0], lengths, None)
        x = torch.cat([z.flatten(1, 2) for z in tokens], dim=1)
        pe = torch.cat([z.flatten(0, 1) for z in pes])
        spread = [m.expand(-1, -1, g.pair_len, -1).flatten(1, 2) for m, g in zip(mods, groups, strict=True)]
        mod, order, lengths = torch.cat(spread, dim=1), None, None
        if causal:
            lengths = _causal_lengths(index, length)
            if not sorted_already:
                where = torch.tensor(index).repeat_interleave(torch.tensor(length))
                order = where.argsort(stable=True).to(x.device)
                x, pe, mod = x[:, order], pe[order], mod[:, order]
        return _Sequence(x[:, None], self.single_mod.split(mod[:, None])[0], pe[None], lengths, order)

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
    and the output layer zeros, so that the first prediction is zero, the mean of the target.

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
    for block in model.double_blocks:
        assert isinstance(block, DoubleBlock)
        for stream in (block.img, block.txt):
            fill(stream.qkv.weight, (dim, dim, dim))
    for number, block in enumerate(model.single_blocks):
        assert isinstance(block, SingleBlock)
        fill(block.lin_in.weight, (dim, dim, dim, block.hidden, block.hidden))
        if match_heads and number < 2:
            block.lin_in.weight[dim : 2 * dim] = block.lin_in.weight[:dim]
    for mod in (model.img_mod.lin, model.txt_mod.lin, model.single_mod.lin, model.final.mod):
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
    model = _empty_model(checkpoint.read_config(folder), folder)
    state = checkpoint.from_diffusers(checkpoint.read_weights(folder), model.state_dict())
    model.load_state_dict(state, assign=True)
    return model.to(device=device, dtype=dtype).eval()


def save_mmdit(model: MMDiT, folder: Path) -> None:
    """Write a model as a folder that `load_mmdit` and diffusers' `from_pretrained` read."""
    checkpoint.write_folder(folder, asdict(model.config), checkpoint.to_diffusers(model.state_dict()))


def _empty_model(given: dict[str, Any], folder: Path) -> MMDiT:
    """Build the model that a config.json describes, without memory for its weights."""
    kinds = {"axes_dims_rope": (list, tuple), "out_channels": (int, type(None)), "rope_theta": (int, float)}
    known = {field.name: kinds.get(field.name, (type(field.default),)) for field in fields(MMDiTConfig)}
    for name, value in given.items():
        if name not in known:
            raise WeightsError(
                f"{folder / 'config.json'} has the unknown field {name!r}; is it a FLUX.2 model?"
            )
        if not isinstance(value, known[name]):
            raise WeightsError(
                f"{folder / 'config.json'} has {name} = {value!r}, which cannot describe a model"
            )
    try:
        given["axes_dims_rope"] = tuple(given.get("axes_dims_rope", MMDiTConfig.axes_dims_rope))
        with torch.device("meta"):
            return MMDiT(MMDiTConfig(**given))
    except (TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("\n")[0]
        raise WeightsError(f"{folder / 'config.json'} cannot describe a model: {reason}") from None
