"""What does it save to build no mask? Both of the paper's masks, with and without, at 1 to 32 pairs.

    python -m benchmarks.attention [--device cpu] [--repeats 7] [--output FILE]

local: pairs folded into the batch, against one sequence under the block-diagonal mask (double-stream blocks).
causal: one unmasked call a pair, against one call under the dense causal mask (single-stream blocks).
Attention alone, in the embedded model's sizes. On a CPU: processor time of one thread, so that the figures
hold on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor
from torch.nn import functional as F

from benchmarks.hardware import hardware
from captain_cinema.backbone.layers import attend, attend_causally

PAIRS = (1, 2, 4, 8, 16, 32)
TOKENS, HEADS, HEAD_DIM = 42, 4, 32
"""Image and text tokens of a pair, heads and head size of the embedded model."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; milliseconds are medians."""

    mask: str
    pairs: int
    tokens: int
    without_ms: float
    dense_ms: float
    times_faster: float
    mask_mib: float  # what the dense mask alone takes
    greatest_difference: float


def main() -> None:
    """Measure, print the table and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    output = options.output or Path(__file__).parent / "results" / f"attention-{options.device}.json"
    torch.set_num_threads(1)
    rows = [
        measure(mask, pairs, device=options.device, repeats=options.repeats)
        for mask in ("local", "causal")
        for pairs in PAIRS
    ]
    print(
        f"{'mask':8}{'pairs':>6}{'tokens':>8}{'without ms':>12}{'dense ms':>10}{'ratio':>8}{'mask MiB':>10}"
    )
    for row in rows:
        print(
            f"{row.mask:8}{row.pairs:6}{row.tokens:8}{row.without_ms:12.3f}{row.dense_ms:10.3f}"
            f"{row.times_faster:8.2f}{row.mask_mib:10.2f}"
        )
    output.parent.mkdir(parents=True, exist_ok=True)
    result = {"hardware": hardware(), "rows": [asdict(row) for row in rows]}
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(f"written to {output}")


@torch.inference_mode()
def measure(mask: str, pairs: int, *, device: str, repeats: int, tokens: int = TOKENS) -> Row:
    """Time attention over `pairs` pairs with and without the dense mask ("local" or "causal")."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, pairs * tokens, HEADS, HEAD_DIM)
    q, k, v = (torch.randn(shape, generator=generator).to(device) for _ in range(3))
    pair = torch.arange(pairs, device=device).repeat_interleave(tokens)
    local = mask == "local"
    dense = pair[:, None] == pair[None] if local else pair[:, None] >= pair[None]

    def without() -> Tensor:
        if not local:
            return attend_causally(q, k, v, [tokens] * pairs)
        folded = (rearrange(x, "b (pairs l) heads d -> (b pairs) l heads d", pairs=pairs) for x in (q, k, v))
        q_folded, k_folded, v_folded = folded
        return rearrange(
            attend(q_folded, k_folded, v_folded), "(b pairs) l dim -> b (pairs l) dim", pairs=pairs
        )

    def masked() -> Tensor:
        heads_first = (x.transpose(1, 2) for x in (q, k, v))
        x = F.scaled_dot_product_attention(*heads_first, attn_mask=dense)  # pyright: ignore
        return rearrange(x, "b heads l d -> b l (heads d)")

    difference = float((without() - masked()).abs().max())
    without_ms, dense_ms = take_turns(without, masked, device=device, repeats=repeats)
    return Row(
        mask=mask,
        pairs=pairs,
        tokens=pairs * tokens,
        without_ms=round(without_ms, 4),
        dense_ms=round(dense_ms, 4),
        times_faster=round(dense_ms / without_ms, 2),
        mask_mib=round(dense.numel() / 2**20, 3),
        greatest_difference=difference,
    )


def take_turns(*variants: Callable[[], Tensor], device: str, repeats: int) -> list[float]:
    """Time the variants in turn, some calls at a time; the median milliseconds of one call of each."""
    calls, clock = 5, time.perf_counter if device.startswith("cuda") else time.process_time
    times: list[list[float]] = [[] for _ in variants]
    for _ in range(repeats):
        for variant, mine in zip(variants, times, strict=True):
            variant()
            synchronise(device)
            start = clock()
            for _ in range(calls):
                variant()
            synchronise(device)
            mine.append((clock() - start) / calls * 1e3)
    return [statistics.median(mine) for mine in times]


def synchronise(device: str) -> None:
    """Wait for a GPU's queue."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


if __name__ == "__main__":
    main()
