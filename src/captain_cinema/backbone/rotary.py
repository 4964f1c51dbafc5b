"""Rotary positions: one complex unit number for every token and every pair of channels."""

from collections.abc import Sequence

import torch
from jaxtyping import Complex, Float
from torch import Tensor


def pair_ids(
    pair_index: Sequence[int | float],
    rows: int,
    cols: int,
    txt_len: int,
    *,
    full_rows: int | None = None,
    full_cols: int | None = None,
) -> tuple[Float[Tensor, "pairs img_len 4"], Float[Tensor, "pairs txt_len 4"]]:
    """Give every token of some pairs its place: (pair index, row, column, place in the caption).

    The pair index on the first axis is what section 3.2 adds to an image's own grid. A frame GoldenMem
    has shrunk to `rows` x `cols` tokens is spread over the grid of the full frame (`full_rows`, `full_cols`):
    each token stands at the centre of the area it covers, so a face keeps its place at every scale.

    Args:
        pair_index: the pairs' numbers in the film; only differences matter.
        rows: token rows of each frame in this group.
        cols: token columns.
        txt_len: text tokens a pair.
        full_rows: token rows of a frame that is not shrunk (default: `rows`).
        full_cols: the same for columns.
    """
    index = torch.tensor(list(pair_index), dtype=torch.float32)
    row = (torch.arange(rows) + 0.5) * ((full_rows or rows) / rows) - 0.5
    col = (torch.arange(cols) + 0.5) * ((full_cols or cols) / cols) - 0.5
    img_ids = torch.zeros(len(index), rows, cols, 4)
    img_ids[..., 0] = index[:, None, None]
    img_ids[..., 1] = row[:, None]
    img_ids[..., 2] = col
    txt_ids = torch.zeros(len(index), txt_len, 4)
    txt_ids[..., 0] = index[:, None]
    txt_ids[..., 3] = torch.arange(txt_len)
    return img_ids.flatten(1, 2), txt_ids


def rotary(
    ids: Float[Tensor, "*n axes"], axes_dims: Sequence[int], theta: int | float, *, dtype: torch.dtype
) -> Complex[Tensor, "*n half_dim"]:
    """Compute `pe`, exp(i * position * frequency), axis after axis along the channels.

    Axis a takes `axes_dims[a]` channels, as pairs with the frequencies theta^(-2j/axes_dims[a]).

    Args:
        ids: positions of the tokens, one number an axis.
        axes_dims: channels of an attention head for each axis.
        theta: the base of the frequencies.
        dtype: the model's; float64 gives complex128, anything else complex64.
    """
    # Angles need float64: at position 100 a float32 angle is already off by 1e-5. MPS has no float64.
    exact = torch.float32 if ids.device.type == "mps" else torch.float64
    angles = []
    for axis, channels in enumerate(axes_dims):
        freqs = theta ** (-torch.arange(0, channels, 2, dtype=exact, device=ids.device) / channels)
        angles.append(ids[..., axis, None].to(exact) * freqs)
    angle = torch.cat(angles, dim=-1)
    pe = torch.polar(torch.ones_like(angle), angle)
    return pe if dtype == torch.float64 else pe.to(torch.complex64)


def rotate(
    x: Float[Tensor, "*n heads head_dim"], pe: Complex[Tensor, "*m 1 half_dim"]
) -> Float[Tensor, "*n heads head_dim"]:
    """Turn each pair of neighbouring channels by its token's angle."""
    wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
    turned = torch.view_as_complex(wide.unflatten(-1, (-1, 2))) * pe
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)
