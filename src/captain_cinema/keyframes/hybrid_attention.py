"""The paper's hybrid attention mask, written out (section 3.2, figure 3b).

The transformer never builds these masks: local blocks fold the pairs into the batch, global blocks run one
sequence of all pairs (`backbone.mmdit`). Here they stand as the paper has them, to read, to draw, and to be
what the folded computation is tested and timed against.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def pair_of_token(lengths: Sequence[int]) -> Int[Tensor, " len"]:
    """Which pair each token of the sequence belongs to, for pairs of so many tokens each."""
    return torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths, dtype=torch.int64))


def local_mask(lengths: Sequence[int]) -> Bool[Tensor, "len len"]:
    """Double-stream blocks, M_local: true where a token (row) may read another (column), its own pair's."""
    pair = pair_of_token(lengths)
    return pair[:, None] == pair[None, :]


def global_mask(lengths: Sequence[int], *, causal: bool = False) -> Bool[Tensor, "len len"]:
    """Single-stream blocks, M_global: everything, or with `causal` its own pair and the ones before."""
    pair = pair_of_token(lengths)
    if causal:
        return pair[:, None] >= pair[None, :]
    return torch.ones(len(pair), len(pair), dtype=torch.bool)
