"""Pairs as the transformer reads them: frames of one GoldenMem scale together, each at its place in the film.

Training and drawing build their sequences here, so that a frame means the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from captain_cinema.backbone.mmdit import PairGroup, pair_ids


def group_places(rows: Sequence[int]) -> list[tuple[int, ...]]:
    """Which places of the sequence each group holds: one group a scale, in order of appearance."""
    return [tuple(i for i, r in enumerate(rows) if r == scale) for scale in dict.fromkeys(rows)]


def build_groups(
    tokens: Sequence[Float[Tensor, "b _ channels"]],
    txt: Float[Tensor, "b pairs txt_len txt_dim"],
    timestep: Float[Tensor, "b pairs"],
    rows: Sequence[int],
    *,
    index: Sequence[int] | None = None,
    full: tuple[int, int] | None = None,
    pooled: Float[Tensor, "b pairs pooled_dim"] | None = None,
) -> list[PairGroup]:
    """Gather pairs into groups of equal frame size.

    Args:
        tokens: Each pair's frame, noisy as its timestep says; frames may differ in size between pairs.
        txt: Captions, padded to one length.
        timestep: Noise level of each frame, 0 (clean) to 1 (noise).
        rows: Token rows of each frame.
        index: Pair index of each pair on the first rotary axis; 0, 1, 2 ... if not given.
        full: Token rows and columns of a frame that is not shrunk; the largest given frame's if not given.
        pooled: Each caption as one vector, for FLUX.1.

    Raises:
        ValueError: The arguments speak of different numbers of pairs, or a frame is not rows x columns.
    """
    pairs = len(tokens)
    if not len(rows) == pairs == txt.shape[1] == timestep.shape[1] or not pairs:
        raise ValueError(
            f"{pairs} frames, {len(rows)} sizes, {txt.shape[1]} captions and {timestep.shape[1]} noise levels"
            " should be one of each for every pair"
        )
    if any(frame.shape[1] % r for frame, r in zip(tokens, rows, strict=True)):
        raise ValueError(f"frames of {[frame.shape[1] for frame in tokens]} tokens do not have {rows} rows")
    if full is None:
        largest = max(range(pairs), key=lambda i: rows[i])
        full = rows[largest], tokens[largest].shape[1] // rows[largest]
    index = range(pairs) if index is None else index
    groups = []
    for places in group_places(rows):
        first = places[0]
        img_ids, txt_ids = pair_ids(
            [float(index[i]) for i in places],
            rows[first],
            tokens[first].shape[1] // rows[first],
            txt.shape[2],
            full_rows=full[0],
            full_cols=full[1],
        )
        chosen = list(places)
        groups.append(
            PairGroup(
                img=torch.stack([tokens[i] for i in places], dim=1),
                txt=txt[:, chosen],
                timestep=timestep[:, chosen],
                img_ids=img_ids.to(txt.device),
                txt_ids=txt_ids.to(txt.device),
                pooled=None if pooled is None else pooled[:, chosen],
            )
        )
    return groups


def ungroup(
    grouped: Sequence[Float[Tensor, "b _ _ channels"]], rows: Sequence[int]
) -> list[Float[Tensor, "b _ channels"]]:
    """What the transformer gives for `build_groups`' groups, pair after pair again."""
    parts: dict[int, Tensor] = {}
    for places, group in zip(group_places(rows), grouped, strict=True):
        parts.update(zip(places, group.unbind(1), strict=True))
    return [parts[i] for i in range(len(rows))]
