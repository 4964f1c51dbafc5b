"""Self-attention over several shots at once (section 3.3): folded in the batch, joined in the attention.

The transformer is diffusers' `WanTransformer3DModel`, unmodified. It sees every shot as a batch item of its
own, so that each shot's cross-attention reads its own caption. Only the processor of the self-attention knows
that some items belong together: it lays their tokens end to end, turns each token by its own place in time,
attends, and folds the result back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from diffusers.models.transformers.transformer_wan import (
    WanAttention,
    WanAttnProcessor,
    WanRotaryPosEmbed,
    WanTransformer3DModel,
    WanTransformerBlock,
)
from einops import rearrange, repeat
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ShotLayout:
    """Where the slots of a batch stand in time, and which batch items are shots of one film.

    A slot is one latent step in time: a context keyframe, the shot's own keyframe, or four further frames.
    """

    places: Int[Tensor, "b slots"]
    """Place of every slot on the rotary time axis, 0 or more."""
    shots: int = 1
    """So many consecutive items are joined into one sequence; 1 keeps every shot to itself."""
    valid: Bool[Tensor, "b slots"] | None = None
    """False where a slot only fills up the tensor and must not be seen; None when every slot counts."""


class ShotAttention(WanAttnProcessor):
    """Wan's attention processor with the shots of a film joined; without a layout it is Wan's own.

    One instance serves all blocks of a model. The layout stays until the next forward, because gradient
    checkpointing runs the blocks again during the backward pass.
    """

    def __init__(self) -> None:
        super().__init__()
        self.layout: ShotLayout | None = None
        self._rotary: tuple[Tensor, Tensor] | None = None
        self._mask: Tensor | None = None
        self._kept: Tensor | None = None
        self._grid = (0, 0)

    def arrange(self, layout: ShotLayout | None, rope: WanRotaryPosEmbed, rows: int, cols: int) -> None:
        """Prepare for a forward: rotary factors and mask are the same in every block, so they are made once.

        Fast attention kernels refuse masks. Where all items are joined there is none: the tokens that only
        fill up the tensor are left out of the sequence.

        Args:
            layout: the next forward's layout, or None for Wan's plain attention.
            rope: the model's rotary tables.
            rows: token rows of a slot.
            cols: token columns of a slot.
        """
        if layout is not None and layout is self.layout and self._grid == (rows, cols):
            return  # the next step of the same denoising
        self.layout, self._rotary, self._mask, self._kept = layout, None, None, None
        self._grid = (rows, cols)
        if layout is None:
            return
        cos, sin = (_join(part, layout.shots) for part in place_rotary(rope, layout.places, rows, cols))
        if layout.valid is not None and not bool(layout.valid.all()):
            valid = _join(repeat(layout.valid, "b slots -> b (slots n)", n=rows * cols), layout.shots)
            if len(valid) == 1:
                self._kept = valid[0].nonzero()[:, 0]
                cos, sin = cos[:, self._kept], sin[:, self._kept]
            else:
                self._mask = rearrange(valid, "g n -> g 1 1 n")
        self._rotary = (cos, sin)

    def __call__(
        self,
        attn: WanAttention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        rotary_emb: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """Attend within every group of joined shots; argument names are diffusers'."""
        layout = self.layout
        if layout is None:
            return super().__call__(attn, hidden_states, encoder_hidden_states, attention_mask, rotary_emb)
        joined = _join(hidden_states, layout.shots)
        if self._kept is None:
            joined = super().__call__(attn, joined, None, self._mask, self._rotary)
        else:
            seen = super().__call__(attn, joined[:, self._kept], None, None, self._rotary)
            joined = torch.zeros_like(joined).index_copy(1, self._kept, seen)
        return rearrange(joined, "g (shots n) dim -> (g shots) n dim", shots=layout.shots)


def _join(tokens: Tensor, shots: int) -> Tensor:
    return rearrange(tokens, "(g shots) n ... -> g (shots n) ...", shots=shots)


def place_rotary(
    rope: WanRotaryPosEmbed, places: Int[Tensor, "b slots"], rows: int, cols: int
) -> tuple[Float[Tensor, "b n 1 head_dim"], Float[Tensor, "b n 1 head_dim"]]:
    """Wan's rotary factors for slots at given places in time instead of 0, 1, 2, ...

    Raises:
        ValueError: a place lies outside the model's rotary table.
    """
    if int(places.min()) < 0 or int(places.max()) >= rope.max_seq_len:
        raise ValueError(f"places {int(places.min())}..{int(places.max())} outside 0..{rope.max_seq_len - 1}")
    b, slots = places.shape
    sizes = [rope.t_dim, rope.h_dim, rope.w_dim]

    def factors(table: Tensor) -> Tensor:
        time, row, col = table.split(sizes, dim=1)
        shape = (b, slots, rows, cols)
        parts = (
            time[places][:, :, None, None, :].expand(*shape, -1),
            row[:rows][None, None, :, None, :].expand(*shape, -1),
            col[:cols][None, None, None, :, :].expand(*shape, -1),
        )
        return rearrange(torch.cat(parts, dim=-1), "b slots r c d -> b (slots r c) 1 d")

    # An offloaded model's tables are still in main memory when its forward begins.
    cos, sin = (cast(Tensor, table).to(places.device) for table in (rope.freqs_cos, rope.freqs_sin))
    return factors(cos), factors(sin)


def shot_attention(model: WanTransformer3DModel) -> ShotAttention:
    """The model's joined self-attention, put in place on first use (cross-attention stays as it is)."""
    blocks = [cast(WanTransformerBlock, block) for block in model.blocks]
    current = blocks[0].attn1.processor
    if isinstance(current, ShotAttention):
        return current
    processor = ShotAttention()
    for block in blocks:
        # diffusers' type hint lists the processors of its own models and has left this one out.
        block.attn1.set_processor(processor)  # pyright: ignore[reportArgumentType]
    return processor


def token_grid(model: WanTransformer3DModel, height: int, width: int) -> tuple[int, int]:
    """Rows and columns of tokens of latents of that size."""
    _, rows, cols = model.config["patch_size"]
    return height // rows, width // cols


def joined_forward(
    model: WanTransformer3DModel,
    latents: Float[Tensor, "b channels slots h w"],
    timestep: Float[Tensor, "b n"],
    txt: Float[Tensor, "b txt_len txt_dim"],
    layout: ShotLayout,
) -> Float[Tensor, "b written slots h w"]:
    """One forward of the unmodified transformer with the shots joined as the layout says.

    Args:
        model: diffusers' Wan transformer.
        latents: every item's slots, clean and noisy ones.
        timestep: noise level of every token, 0 to 1000 (Wan 2.2's `expand_timesteps` form).
        txt: every shot's own text.
        layout: places, joined shots and filling.
    """
    _, _, slots, height, width = latents.shape
    if layout.places.shape != (latents.shape[0], slots):
        raise ValueError(f"layout has places {tuple(layout.places.shape)}, latents {tuple(latents.shape)}")
    if latents.shape[0] % layout.shots:
        raise ValueError(f"{latents.shape[0]} items cannot be joined {layout.shots} at a time")
    shot_attention(model).arrange(layout, model.rope, *token_grid(model, height, width))
    return model(latents, timestep, txt, return_dict=False)[0]
