"""Sequence parallelism: the pairs of one film on several processes.

Local blocks look inside one pair, so they need nothing of the other processes. In the global blocks every
process has the queries of its own pairs, and gathers keys and values of all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor


class _Gather(torch.autograd.Function):
    """Tokens of all processes, one process after the other; backward, each gets the gradient of its own."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, lengths: Sequence[int], group: dist.ProcessGroup | None) -> Tensor:
        ctx.lengths, ctx.group, ctx.own = list(lengths), group, own.shape[0]
        most = max(lengths)
        padded = own.new_zeros(most, *own.shape[1:])
        padded[: own.shape[0]] = own
        parts = [torch.empty_like(padded) for _ in lengths]
        dist.all_gather(parts, padded, group=group)
        return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous()
        rows = [ctx.own] * len(ctx.lengths)
        received = gradient.new_empty(sum(rows), *gradient.shape[1:])
        dist.all_to_all_single(received, gradient, rows, ctx.lengths, group=ctx.group)
        # Summed in the order of the processes, so that the sum is the same every time.
        return received.unflatten(0, (len(rows), ctx.own)).sum(0), None, None


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """What one forward must know of the other processes' tokens."""

    lengths: Sequence[int]
    """Tokens of each process."""
    order: Tensor | None
    """Where each gathered token was, if they are to be in story order."""
    seen: Sequence[int] | None
    """How many tokens each of our pairs sees, for causal attention."""
    group: dist.ProcessGroup | None

    def gather(
        self, k: Float[Tensor, "b own heads head_dim"], v: Float[Tensor, "b own heads head_dim"]
    ) -> tuple[Float[Tensor, "b all heads head_dim"], Float[Tensor, "b all heads head_dim"]]:
        """Keys and values of all processes."""
        both = torch.cat([k, v], dim=-1).transpose(0, 1)
        gathered = _Gather.apply(both, self.lengths, self.group).transpose(0, 1)
        if self.order is not None:
            gathered = gathered[:, self.order.to(gathered.device)]
        keys, values = gathered.split([k.shape[-1], v.shape[-1]], dim=-1)
        return keys, values


@dataclass(frozen=True, kw_only=True)
class PairsApart:
    """The processes that share a film, and which of its pairs this one holds.

    Pairs are dealt out by turns: with causal attention a late pair costs more than an early one.
    """

    rank: int
    size: int
    group: dist.ProcessGroup | None = None

    def own(self, pairs: int) -> list[int]:
        """Which pairs this process holds.

        Raises:
            ValueError: there are fewer pairs than processes.
        """
        if pairs < self.size:
            raise ValueError(f"{pairs} pairs cannot be dealt out to {self.size} processes")
        return list(range(self.rank, pairs, self.size))

    def most(self, number: int) -> int:
        """The largest of the numbers that the processes have."""
        told: list[Any] = [None] * self.size
        dist.all_gather_object(told, number, group=self.group)
        return max(told)

    def meet(self, index: Sequence[float], length: Sequence[int], *, causal: bool) -> Elsewhere:
        """Tell each other which pairs there are.

        Args:
            index: of our pairs, in the order in which they are held.
            length: tokens of each.
            causal: whether a pair sees only those with no larger index.
        """
        told: list[Any] = [None] * self.size
        dist.all_gather_object(told, list(zip(index, length, strict=True)), group=self.group)
        lengths = [sum(n for _, n in pairs) for pairs in told]
        if not causal:
            return Elsewhere(lengths=lengths, order=None, seen=None, group=self.group)
        # Each process has put its own into story order.
        pairs = [pair for held in told for pair in sorted(held, key=lambda pair: pair[0])]
        where = torch.tensor([i for i, _ in pairs]).repeat_interleave(torch.tensor([n for _, n in pairs]))
        seen = [sum(n for i, n in pairs if i <= own) for own in sorted(set(index))]
        return Elsewhere(lengths=lengths, order=where.argsort(stable=True), seen=seen, group=self.group)
