"""The processes of a training run: one, or those that `accelerate launch` started.

Processes are replicas, each with its share of a step's sequences, times `sequence`: so many processes share
the pairs of one sequence. Gradients are averaged here, in buckets of fixed size and always in the same order,
so that a resumed run gets the same bits (DistributedDataParallel regroups its buckets after the first step).
With FSDP the weights are sharded, and torch averages.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from captain_cinema.backbone.layers import DoubleBlock, SingleBlock
from captain_cinema.backbone.parallel import PairsApart
from captain_cinema.errors import AbilityError, CinemaError

if TYPE_CHECKING:
    from accelerate import Accelerator

BUCKET = 1 << 24
"""Numbers that are averaged at once."""
TRACKERS = ("trackio", "wandb", "tensorboard")
EXTRA = 'pip install "captain-cinema[tuning]"'


@dataclass(frozen=True, kw_only=True)
class World:
    """All processes of a run, seen by one of them."""

    rank: int = 0
    size: int = 1
    sequence: int = 1
    """Processes that share one sequence."""
    device: str = "cpu"
    accelerator: Accelerator | None = None
    sharding: Any = None
    """accelerate's FullyShardedDataParallelPlugin, if weights are sharded."""
    apart: PairsApart | None = None
    """Those that share a sequence with this one."""
    trackers: tuple[str, ...] = field(default=())

    @property
    def main(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    @property
    def replica(self) -> int:
        """Number of this process's replica."""
        return self.rank // self.sequence

    @property
    def replicas(self) -> int:
        """How many there are."""
        return self.size // self.sequence

    def all_true(self, flag: bool) -> bool:
        """Whether it is true in every process."""
        if self.size == 1:
            return flag
        value = torch.tensor([float(flag)], device=self.device)
        dist.all_reduce(value, op=dist.ReduceOp.MIN)
        return bool(value.item())

    def mean(self, figures: dict[str, float]) -> dict[str, float]:
        """The mean over all processes of figures that each of them has."""
        if self.size == 1:
            return figures
        values = torch.tensor(list(figures.values()), dtype=torch.float64, device=self.device)
        dist.all_reduce(values)
        return dict(zip(figures, (values / self.size).tolist(), strict=True))

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            dist.barrier()

    def average_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give every process the mean of all gradients; a parameter without one counts as zero."""
        if self.size == 1 or self.sharding is not None:
            return
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for group in _buckets([p.grad for p in parameters if p.grad is not None]):
            flat = torch.cat([gradient.flatten() for gradient in group])
            dist.all_reduce(flat)
            flat /= self.size
            for gradient, mean in zip(group, flat.split([g.numel() for g in group]), strict=True):
                gradient.copy_(mean.view_as(gradient))

    def shard(self, model: nn.Module) -> None:
        """With FSDP: leave this process its part of every weight, and gather a block's only while it runs."""
        if self.sharding is None:
            return
        from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

        half = torch.bfloat16 if self.device.startswith("cuda") else None
        options = {
            "reshard_after_forward": bool(self.sharding.reshard_after_forward),
            "mp_policy": MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32),
        }
        for module in model.modules():
            if isinstance(module, DoubleBlock | SingleBlock):
                fully_shard(module, **options)
        fully_shard(model, **options)

    def log(self, row: dict[str, Any], step: int) -> None:
        """Tell the trackers."""
        if self.accelerator is not None and self.trackers:
            self.accelerator.log(row, step=step)

    def close(self) -> None:
        """End the trackers' runs and leave the group."""
        if self.accelerator is not None and self.trackers:
            self.accelerator.end_training()
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()


ALONE = World()


def _buckets(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    buckets: list[list[Tensor]] = [[]]
    numbers = 0
    for tensor in tensors:
        if buckets[-1] and numbers + tensor.numel() > BUCKET:
            buckets.append([])
            numbers = 0
        buckets[-1].append(tensor)
        numbers += tensor.numel()
    return buckets


def choose_device(name: str | None) -> str:
    """The device that is asked for, or else the GPU if there is one.

    Raises:
        CinemaError: it is not here.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise CinemaError(f"no device {name!r} here; leave --device out to train on the CPU")
    return name


def _check_world(size: int, *, sequence: int, fsdp: bool, trackers: Sequence[str]) -> None:
    """Refuse what so many processes cannot do.

    Raises:
        CinemaError: they cannot be divided so.
        AbilityError: a package is missing.
    """
    if sequence < 1 or size % sequence:
        raise CinemaError(
            f"--sequence-parallel {sequence} does not divide the run's {size} process{'es' * (size > 1)};"
            f" start a multiple: accelerate launch --num_processes {max(1, sequence)} ..."
        )
    if fsdp and size == 1:
        raise CinemaError("FSDP shards weights over processes: accelerate launch --num_processes 2 or more")
    for name in trackers:
        if name not in TRACKERS:
            raise CinemaError(f"there is no tracker {name!r}; use one of {', '.join(TRACKERS)}")
        if importlib.util.find_spec(name) is None:
            raise AbilityError(f"--log-to {name} needs a package: pip install {name}")


def open_world(
    device: str,
    *,
    out: Path,
    sequence: int = 1,
    fsdp: bool = False,
    trackers: Sequence[str] = (),
    settings: dict[str, Any] | None = None,
) -> World:
    """Join the other processes, if there are any.

    Args:
        device: cpu or cuda.
        out: the run's folder, for trackers that write files.
        sequence: processes that share one sequence.
        fsdp: shard the weights; `accelerate launch --use_fsdp` asks for it too.
        trackers: of TRACKERS.
        settings: what trackers are told of the run.

    Raises:
        CinemaError: the processes cannot be divided so.
        AbilityError: a package is missing.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    fsdp = fsdp or os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"
    _check_world(size, sequence=sequence, fsdp=fsdp, trackers=trackers)
    if size == 1 and not trackers:
        return World(device=device)
    try:
        from accelerate import Accelerator, FullyShardedDataParallelPlugin
    except ImportError:
        raise AbilityError(f"several processes and trackers need an extra: {EXTRA}") from None
    # accelerate's own sharding knows no CPU, so it starts the processes and keeps the settings.
    os.environ["ACCELERATE_USE_FSDP"] = "false"
    out.mkdir(parents=True, exist_ok=True)
    accelerator = Accelerator(
        cpu=device.startswith("cpu"), log_with=list(trackers) or None, project_dir=str(out)
    )
    if trackers:
        accelerator.init_trackers("captain-cinema", config=settings or {})
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, cpu_ram_efficient_loading=False) if fsdp else None
    return World(
        rank=rank,
        size=size,
        sequence=sequence,
        device=device if device.startswith("cpu") else str(accelerator.device),
        accelerator=accelerator,
        sharding=plugin,
        apart=_apart(rank, size, sequence),
        trackers=tuple(trackers),
    )


def _apart(rank: int, size: int, sequence: int) -> PairsApart | None:
    if sequence == 1:
        return None
    found = None
    for first in range(0, size, sequence):  # every process must help to make every group
        group = dist.new_group(list(range(first, first + sequence)))
        if first <= rank < first + sequence:
            assert isinstance(group, dist.ProcessGroup)
            found = PairsApart(rank=rank - first, size=sequence, group=group)
    return found
