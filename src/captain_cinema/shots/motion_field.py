"""Motion beside appearance: where every part of the keyframe goes, and pictures made from that.

A small model gives a moving figure back blurred, since it must say every pixel anew. So the embedded preset's
slots hold, beside the latents of each frame, how each cell of the keyframe has moved by then and how far in
front it is, and which parts of the frame are new. The keyframe's pixels are carried there (forward splatting
with softmax weights, Niklaus and Liu 2020), and what no pixel reaches or what is new is decoded from the
latents, as the flow and the hallucinated image are put together in vid2vid (Wang et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor

CELLS = 4
"""Cells a latent, across and down."""
KINDS = 6
"""Numbers a cell: travel to the right and down, gesture to the right and down, how far in front (0 to 1), how
new (0 to 1). What is displaced by both travels with its figure or the camera, and gestures on the way."""
MOTION_CHANNELS = KINDS * CELLS**2
"""Channels beside a latent's own."""
GAIN = 4.0
"""Displacements d, in latents, are held as asinh(GAIN * d): a gesture of a pixel counts beside a run through
the whole frame."""
DEPTH_GAIN = 30.0
"""A pixel at depth 1 hides one at 0 by e to this power."""
ALIKE = 20.0
"""Difference of two colours, of 255, at which a pixel hardly belongs to a cell."""
APART = 0.5
"""Difference of two cells' displacements, in latents, at which they are different things."""
STEADY_ALIKE = 30.0
"""Difference of two cells' colours, of 255, at which they hardly steady each other."""
SLACK, SLACK_SHARE = 0.1, 0.3
"""Difference of two displacements, in latents and as a share of them, that passes for an error."""
STIFF = 0.02
"""How much a slope counts against itself where few cells tell it."""
ENOUGH = 0.5
"""Pixels that must land on one, so that nothing shines through."""


def pack(field: Float[Tensor, "frames kinds y x"]) -> Float[Tensor, "frames channels h w"]:
    """A field of cells as channels of latents; `kinds` are as KINDS says, lengths in latents."""
    held = torch.cat([torch.asinh(GAIN * field[:, :4]), field[:, 4:]], dim=1)
    return rearrange(held, "f k (h p) (w q) -> f (k p q) h w", p=CELLS, q=CELLS)


def still(
    latents: Float[Tensor, "n c h w"], frames: UInt8[Tensor, "n height width 3"]
) -> Float[Tensor, "n channels h w"]:
    """Latents of still frames, with the colours of their cells (-1 to 1) where moving ones have a field.

    What a latent of 16 pixels shows where is hard to read; a cell's colour says what it belongs to.
    """
    cell = frames.shape[1] // (latents.shape[2] * CELLS)
    colours = F.avg_pool2d(frames.to(latents).permute(0, 3, 1, 2), cell) / 127.5 - 1
    shown = rearrange(colours, "n k (h p) (w q) -> n (k p q) h w", p=CELLS, q=CELLS)
    none = latents.new_zeros(len(latents), MOTION_CHANNELS - shown.shape[1], *latents.shape[2:])
    return torch.cat([latents, shown, none], dim=1)


def unmoved(slots: Float[Tensor, "b channels n h w"], frames: int) -> Float[Tensor, "b channels n h w"]:
    """Slots of still frames, so many frames in each, with a field in which nothing has moved or is new."""
    held = slots.unflatten(1, (frames, -1)).clone()
    if held.shape[2] > MOTION_CHANNELS:
        held[:, :, -MOTION_CHANNELS:] = 0
    return held.flatten(1, 2)


def unpack(channels: Float[Tensor, "frames channels h w"]) -> Float[Tensor, "frames kinds y x"]:
    """The inverse of :func:`pack`; depth and newness are cut off at 0 and 1."""
    held = rearrange(channels, "f (k p q) h w -> f k (h p) (w q)", p=CELLS, q=CELLS)
    return torch.cat([torch.sinh(held[:, :4]) / GAIN, held[:, 4:].clamp(0, 1)], dim=1)


def carry(
    keyframe: Float[Tensor, "3 h w"], field: Float[Tensor, "frames kinds y x"]
) -> tuple[Float[Tensor, "frames 3 h w"], Float[Tensor, "frames 1 h w"]]:
    """Carry the keyframe's pixels to where the field says.

    Args:
        keyframe: RGB, 0 to 255.
        field: from :func:`unpack`; newness is not looked at.

    Returns:
        The frames, black where nothing lands, and how many pixels landed on each.
    """
    frames, (height, width) = field.shape[0], keyframe.shape[1:]
    cell = height // field.shape[2]
    colours = F.avg_pool2d(keyframe[None], cell)[0]
    moved = _steadied(field[:, :2], None, reach=5) + _steadied(field[:, 2:4], colours, reach=2)
    fine = _fine(keyframe, torch.cat([moved, field[:, 4:5]], dim=1), cell)
    y, x = torch.meshgrid(
        torch.arange(height, device=field.device), torch.arange(width, device=field.device), indexing="ij"
    )
    to_x, to_y = x + fine[:, 0] * cell * CELLS, y + fine[:, 1] * cell * CELLS
    front = torch.exp(DEPTH_GAIN * (fine[:, 2] - 1))
    left, top = to_x.floor(), to_y.floor()
    landed = field.new_zeros(frames, 5, height * width)
    colours = torch.cat([keyframe, torch.ones_like(keyframe[:1])]).flatten(1)
    for right in (0, 1):
        for down in (0, 1):
            col, row = left + right, top + down
            share = (1 - (to_x - col).abs()) * (1 - (to_y - row).abs())
            inside = (col >= 0) & (col < width) & (row >= 0) & (row < height)
            share = torch.where(inside, share, 0.0)
            at = (row.clamp(0, height - 1) * width + col.clamp(0, width - 1)).long().flatten(1)
            weighed = (share * front).flatten(1)
            values = torch.cat([colours * weighed[:, None], share.flatten(1)[:, None]], dim=1)
            landed.scatter_add_(2, at[:, None].expand_as(values), values)
    landed = landed.unflatten(2, (height, width))
    return landed[:, :3] / landed[:, 3:4].clamp(min=1e-20), landed[:, 4:]


def _steadied(
    moved: Float[Tensor, "frames xy y x"], colours: Float[Tensor, "3 y x"] | None, *, reach: int
) -> Float[Tensor, "frames xy y x"]:
    """Displacements in which neighbours that move nearly alike move alike (bilateral filter, twice).

    A model's displacements err in proportion, so what runs far would come apart.

    Args:
        moved: displacements in latents.
        colours: of the cells; only neighbours of one colour are taken together. None takes all.
        reach: how far a neighbour may be away, in cells.
    """
    alike = torch.zeros((2 * reach + 1) ** 2, *moved.shape[2:], device=moved.device)
    if colours is not None:
        for place, near in enumerate(_around(colours, reach)):
            alike[place] = -((near - colours).abs().mean(0) / STEADY_ALIKE).square()
    for _ in range(2):
        total, weights = torch.zeros_like(moved), torch.zeros_like(moved[:, :1])
        length = moved.square().sum(1).sqrt()
        for colour, near in zip(alike, _around(moved, reach), strict=True):
            error = SLACK + SLACK_SHARE * (length + near.square().sum(1).sqrt()) / 2
            share = torch.exp(colour - (near - moved).square().sum(1) / error.square())[:, None]
            total, weights = total + share * near, weights + share
        moved = total / weights
    return moved


def _around(x: Float[Tensor, "*n y x"], reach: int) -> Iterator[Float[Tensor, "*n y x"]]:
    """Every cell's neighbour at each place up to `reach` away, row by row; the edge is repeated."""
    rows, cols = (torch.arange(size, device=x.device) for size in x.shape[-2:])
    for down in range(-reach, reach + 1):
        there = x[..., (rows + down).clamp(0, len(rows) - 1), :]
        for right in range(-reach, reach + 1):
            yield there[..., (cols + right).clamp(0, len(cols) - 1)]


def _fine(
    keyframe: Float[Tensor, "3 h w"], field: Float[Tensor, "frames kinds y x"], cell: int
) -> Float[Tensor, "frames kinds h w"]:
    """A field for each pixel, from the cells around it that belong to the same thing.

    That is joint bilateral upsampling (Kopf et al. 2007) with a plane through the cells instead of their
    mean, so that what turns does not fall into squares. A cell belongs to the same thing as the pixel if it
    has its colour and goes where the best such cell goes, in all frames.
    """
    height, width = keyframe.shape[1:]
    rows, cols = field.shape[2:]
    colours = keyframe.unflatten(1, (rows, cell)).unflatten(3, (cols, cell))[:, :, cell // 2, :, cell // 2]
    y, x = ((torch.arange(size, device=field.device) + 0.5) / cell - 0.5 for size in (height, width))
    by = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    near = [
        ((y.round() + down).clamp(0, rows - 1).long(), (x.round() + right).clamp(0, cols - 1).long())
        for down, right in by
    ]
    index = torch.stack([row[:, None] * cols + col for row, col in near])
    off_y = torch.stack([(row - y)[:, None].expand(height, width) for row, _ in near])
    off_x = torch.stack([(col - x).expand(height, width) for _, col in near])
    weight = _bell(off_y) * _bell(off_x)
    unlike = torch.stack([(keyframe - colours[:, row][:, :, col]).abs().mean(0) for row, col in near]) / ALIKE
    weight = weight * torch.exp(-unlike.square().clamp(max=30)) + 1e-12
    own = index.gather(0, weight.argmax(0)[None])[0]
    apart = _apart(field[:, :2])
    row, col = own // cols, own % cols
    for place, cells in enumerate(index):
        off = apart[cells // cols - row + 2, cells % cols - col + 2, row, col]
        weight[place] *= torch.exp(-off / APART**2)
    weight = weight / weight.sum(0)
    # Weighted least squares of a plane in each pixel's neighbourhood; what it gives at the pixel is linear in
    # the cells' values, with the same factors for every frame.
    basis = torch.stack([torch.ones_like(off_x), off_x, off_y], dim=-1)
    normal = torch.einsum("nhw,nhwi,nhwj->hwij", weight, basis, basis)
    ridge = torch.diag(torch.tensor([0.0, STIFF, STIFF], device=field.device))
    first = torch.tensor([1.0, 0.0, 0.0], device=field.device).expand(height, width, 3)
    solved = torch.linalg.solve(normal + ridge, first)
    factors = weight * torch.einsum("nhwi,hwi->nhw", basis, solved)
    flat, fine = field.flatten(2), field.new_zeros(*field.shape[:2], height * width)
    for factor, cells in zip(factors, index, strict=True):
        fine.addcmul_(factor.flatten(), flat[:, :, cells.flatten()])
    return fine.unflatten(2, (height, width))


def _bell(off: Tensor) -> Tensor:
    """The quadratic B-spline: 0 from 1.5 on, and planes come out as they went in."""
    off = off.abs()
    return torch.where(off < 0.5, 0.75 - off.square(), 0.5 * (1.5 - off).clamp(min=0).square())


def _apart(moved: Float[Tensor, "frames xy y x"]) -> Float[Tensor, "5 5 y x"]:
    """How differently each cell and those up to two away move: the squared difference, in the worst frame."""
    apart = [(near - moved).square().sum(1).amax(0) for near in _around(moved, 2)]
    return torch.stack(apart).unflatten(0, (5, 5))


def compose(
    carried: Float[Tensor, "frames 3 h w"],
    landed: Float[Tensor, "frames 1 h w"],
    new: Float[Tensor, "frames y x"],
    decoded: Float[Tensor, "frames 3 h w"],
) -> Float[Tensor, "frames 3 h w"]:
    """What was carried, and what was decoded where nothing landed or where the frame is new."""
    fresh = F.interpolate(new[:, None], size=decoded.shape[2:], mode="bilinear", align_corners=False)
    share = (landed / ENOUGH).clamp(max=1) * (1 - fresh)
    return share * carried + (1 - share) * decoded
