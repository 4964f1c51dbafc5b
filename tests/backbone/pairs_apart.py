"""A process of `test_parallel`: some of a film's pairs through the transformer, beside another process."""

import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from captain_cinema.backbone.mmdit import Flux1Config, MMDiT, MMDiTConfig, PairGroup, init_weights, pair_ids
from captain_cinema.backbone.parallel import PairsApart

SIZES: dict[str, Any] = {
    "in_channels": 6,
    "num_layers": 1,
    "num_single_layers": 2,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 10,
    "guidance_embeds": False,
}
CASES = [(layout, causal, mixed) for layout in ("FLUX.1", "FLUX.2") for causal in (0, 1) for mixed in (0, 1)]
PAIRS = 5


def new_model(layout: str) -> MMDiT:
    config = (
        Flux1Config(**SIZES, axes_dims_rope=(4, 6, 6), pooled_projection_dim=5)
        if layout == "FLUX.1"
        else MMDiTConfig(**SIZES, axes_dims_rope=(4,) * 4, timestep_guidance_channels=16)
    )
    generator = torch.Generator().manual_seed(0)
    model = init_weights(MMDiT(config), generator).double()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return model


def groups_of(places: list[int], layout: str, mixed: int) -> list[PairGroup]:
    """The pairs at some places of one film; with `mixed` the later half of it is larger, and held first."""
    groups = []
    for rows in (2, 1) if mixed else (2,):
        own = [i for i in places if not mixed or (i >= PAIRS // 2) == (rows == 2)]
        img_ids, txt_ids = pair_ids(own, rows, 3, 4)
        parts = []
        for place in own:
            generator = torch.Generator().manual_seed(place)
            shapes = ((2, rows * 3, 6), (2, 4, 10), (2,), (2, 5))
            parts.append([torch.rand(shape, generator=generator, dtype=torch.float64) for shape in shapes])
        if not parts:
            continue
        img, txt, timestep, pooled = (torch.stack(part, dim=1) for part in zip(*parts, strict=True))
        groups.append(
            PairGroup(
                img=img,
                txt=txt,
                timestep=timestep,
                img_ids=img_ids,
                txt_ids=txt_ids,
                pooled=pooled if layout == "FLUX.1" else None,
            )
        )
    return groups


def run(
    layout: str, causal: int, mixed: int, apart: PairsApart | None
) -> tuple[dict[int, Any], list[torch.Tensor]]:
    """Outputs by pair, and gradients of the loss of the pairs held here."""
    model = new_model(layout)
    model.apart, model.gradient_checkpointing = apart, bool(mixed)
    groups = groups_of(list(range(PAIRS)) if apart is None else apart.own(PAIRS), layout, mixed)
    drawn = model(groups, causal=bool(causal))
    outputs = {}
    for group, velocities in zip(groups, drawn, strict=True):
        for place, velocity in zip(group.img_ids[:, 0, 0].tolist(), velocities.unbind(1), strict=True):
            outputs[int(place)] = velocity
    # Each pair has a weight of its own, so that no gradient cancels.
    loss = torch.stack([(1 + place) * x.square().sum() for place, x in outputs.items()]).sum()
    loss.backward()
    gradients = [torch.zeros_like(w) if w.grad is None else w.grad for w in model.parameters()]
    return {place: x.detach() for place, x in outputs.items()}, gradients


def main(rank: int, size: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=size)
    apart = PairsApart(rank=rank, size=size)
    results = []
    for layout, causal, mixed in CASES:
        outputs, gradients = run(layout, causal, mixed, apart)
        for gradient in gradients:
            dist.all_reduce(gradient)
        results.append((outputs, gradients))
    torch.save(results, folder / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
