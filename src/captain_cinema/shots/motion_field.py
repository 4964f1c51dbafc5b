"""Motion beside appearance: where every part of the keyframe goes, and pictures made from that.

A small model gives a moving figure back blurred, since it must say every pixel anew. So the embedded preset's
slots hold, beside the latents of each frame, how each cell of the keyframe has moved by then and how far in
front it is, and which parts of the frame are new. The keyframe is taken apart into layers, the backdrop and
what stands before it (Wang and Adelson 1994), and their pixels are carried there (forward splatting with
softmax weights, Niklaus and Liu 2020). What is new is decoded from the latents, as the flow and the
hallucinated image are put together in vid2vid (Wang et al. 2018).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
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
STEADY_REACH = 3
STEADY_ALIKE = 80.0
"""Cells steady each other's gestures so far away, and hardly at such a difference of colours, of 255."""
SLACK, SLACK_SHARE = 0.25, 0.8
"""Difference of two displacements, in latents and as a share of them, that passes for an error."""
STIFF = 0.02
"""How much a slope counts against itself where few cells tell it."""
ENOUGH = 0.5
"""Pixels that must land on one, so that nothing shines through."""
BEFORE = 0.15
"""Depth from which a cell shows what stands before the backdrop."""
TOGETHER, SAME_WAY = 16.0, 0.8
"""How far apart cells of one figure are, in cells, and how differently they travel, in asinh(GAIN * d)."""
HARDLY = 0.25
"""Travel against the backdrop, in latents, below which cells count hardly less for travelling less."""
SETTLED = 8
"""Rounds of the mean shift."""
OUTLIER = 0.02
"""Error of a backdrop's cell, in latents, that is never an outlier."""
RIM = 3
"""Pixels around a figure that are not the backdrop's: its rim and its shadow."""
CLEARLY = 0.35
"""Newness above which the decoded picture begins to be shown: it is blurred, what is carried is sharp."""


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


@dataclass(frozen=True, kw_only=True)
class Layers:
    """A keyframe's cells taken apart by what they belong to."""

    field: Float[Tensor, "frames kinds y x"]
    """The field in which every figure travels as a whole, and the backdrop as a plane."""
    backdrop: Float[Tensor, "frames 2 y x"]
    """Travel of the backdrop, behind the figures too."""
    figures: Bool[Tensor, "y x"]
    """Cells that show a figure or a thing."""


def layers(field: Float[Tensor, "frames kinds y x"]) -> Layers:
    """Take a field apart, and mend its travel by what must hold in each layer.

    A model's displacements err in proportion from cell to cell, so what runs far would come apart. But the
    backdrop moves as a plane does under a camera, which a robust fit finds; and cells near one another that
    go nearly the same way through the whole shot are one figure's, which mean shift finds (Comaniciu and
    Meer 2002). Gestures are left as they are.

    Args:
        field: from :func:`unpack`.
    """
    frames = len(field)
    figures = field[:, 4].mean(0) > BEFORE
    rows, cols = figures.shape
    y, x = torch.meshgrid(
        torch.arange(rows, device=field.device), torch.arange(cols, device=field.device), indexing="ij"
    )
    place = torch.stack([x, y], dim=-1).to(field)
    travel = rearrange(field[:, :2], "f xy y x -> y x (f xy)")
    backdrop = torch.zeros_like(travel)
    if not figures.all():
        plane = torch.cat([torch.ones_like(place[..., :1]), place / cols - 0.5], dim=-1)
        backdrop = plane @ _plane_through(plane[~figures], travel[~figures])
    mended = torch.where(figures[..., None], travel, backdrop)
    if figures.any():
        given = torch.asinh(GAIN * travel[figures])
        near = -torch.cdist(place[figures], place[figures]).square() / (2 * TOGETHER**2)
        # Cells half of which show the backdrop say that the figure travels less than it does.
        near = near + 0.5 * torch.log((travel - backdrop)[figures].square().mean(1).sqrt() + HARDLY)
        settled = given
        for _ in range(SETTLED):
            unlike = torch.cdist(settled, given).square() / (given.shape[1] * 2 * SAME_WAY**2)
            settled = (near - unlike).softmax(dim=1) @ given
        mended[figures] = torch.sinh(settled) / GAIN
    back, whole = (rearrange(t, "y x (f xy) -> f xy y x", f=frames) for t in (backdrop, mended))
    return Layers(field=torch.cat([whole, field[:, 2:]], dim=1), backdrop=back, figures=figures)


def _plane_through(basis: Float[Tensor, "n 3"], values: Float[Tensor, "n k"]) -> Float[Tensor, "3 k"]:
    """Weighted least squares in which cells that err much count little (Cauchy's weights)."""
    weights = torch.ones_like(basis[:, :1])
    ridge = 1e-4 * len(basis) * torch.diag(torch.tensor([0.0, 1.0, 1.0], device=basis.device))
    ridge[0, 0] = 1e-6
    for _ in range(5):
        normal = basis.mT @ (weights * basis) + ridge
        solved = torch.linalg.solve(normal, basis.mT @ (weights * values))
        error = (basis @ solved - values).square().mean(1, keepdim=True).sqrt()
        weights = 1 / (1 + (error / (error.median() + OUTLIER)).square())
    return solved


def picture(
    keyframe: UInt8[np.ndarray, "h w 3"],
    field: Float[Tensor, "frames kinds y x"],
    decoded: Float[Tensor, "frames 3 h w"],
) -> Float[Tensor, "frames 3 h w"]:
    """The frames that a keyframe, its motion and what is decoded for each frame make together.

    Args:
        keyframe: RGB.
        field: from :func:`unpack`.
        decoded: the frames as the latents alone give them, 0 to 255.
    """
    parts = layers(field)
    shown = torch.from_numpy(keyframe).to(decoded.device).permute(2, 0, 1).float()
    carried, landed = carry(shown, parts.field)
    plate = torch.from_numpy(_plate(keyframe, parts.figures)).to(decoded.device).permute(2, 0, 1).float()
    moved = F.interpolate(parts.backdrop, size=plate.shape[1:], mode="bilinear", align_corners=False)
    moved = moved * CELLS * (plate.shape[2] // field.shape[3])
    behind, reached = _splat(plate, moved, torch.ones_like(moved[:, 0]))
    reached = (reached / ENOUGH).clamp(max=1)
    return compose(carried, landed, reached * behind + (1 - reached) * decoded, field[:, 5], decoded)


def _plate(keyframe: UInt8[np.ndarray, "h w 3"], figures: Bool[Tensor, "y x"]) -> UInt8[np.ndarray, "h w 3"]:
    """The backdrop alone: where the figures are, it is grown from around them (Telea 2004)."""
    height, width = keyframe.shape[:2]
    mask = cv2.resize(figures.cpu().numpy().astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    mask = cv2.dilate(mask, np.ones((2 * RIM + 1, 2 * RIM + 1), np.uint8))
    if not mask.any() or mask.all():
        return keyframe
    return cv2.inpaint(np.ascontiguousarray(keyframe), mask, RIM + 1, cv2.INPAINT_TELEA)


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
    cell = keyframe.shape[1] // field.shape[2]
    colours = F.avg_pool2d(keyframe[None], cell)[0]
    moved = field[:, :2] + _steadied(field[:, 2:4], colours)
    fine = _fine(keyframe, torch.cat([moved, field[:, 4:5]], dim=1), cell)
    return _splat(keyframe, fine[:, :2] * cell * CELLS, fine[:, 2])


def _splat(
    keyframe: Float[Tensor, "3 h w"],
    moved: Float[Tensor, "frames 2 h w"],
    depth: Float[Tensor, "frames h w"],
) -> tuple[Float[Tensor, "frames 3 h w"], Float[Tensor, "frames 1 h w"]]:
    """Put each pixel where it goes, by so many pixels, the foremost in front; as `carry` gives it back."""
    frames, (height, width) = len(moved), keyframe.shape[1:]
    y, x = torch.meshgrid(
        torch.arange(height, device=moved.device), torch.arange(width, device=moved.device), indexing="ij"
    )
    to_x, to_y = x + moved[:, 0], y + moved[:, 1]
    front = torch.exp(DEPTH_GAIN * (depth - 1))
    landed = moved.new_zeros(frames, 5, height * width)
    left, top = to_x.floor(), to_y.floor()
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
    moved: Float[Tensor, "frames xy y x"], colours: Float[Tensor, "3 y x"]
) -> Float[Tensor, "frames xy y x"]:
    """Gestures in which neighbours of one colour that move nearly alike move alike (bilateral filter, twice).

    Args:
        moved: displacements in latents.
        colours: of the cells.
    """
    alike = [
        -((near - colours).abs().mean(0) / STEADY_ALIKE).square() for near in _around(colours, STEADY_REACH)
    ]
    for _ in range(2):
        total, weights = torch.zeros_like(moved), torch.zeros_like(moved[:, :1])
        length = moved.square().sum(1).sqrt()
        for colour, near in zip(alike, _around(moved, STEADY_REACH), strict=True):
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
    behind: Float[Tensor, "frames 3 h w"],
    new: Float[Tensor, "frames y x"],
    decoded: Float[Tensor, "frames 3 h w"],
) -> Float[Tensor, "frames 3 h w"]:
    """What was carried, what is behind where nothing landed, and what was decoded where all is clearly new.

    What has come into view behind a figure is new as well, but the backdrop grown there is sharper than
    what is decoded.
    """
    hole = 1 - (landed / ENOUGH).clamp(max=1)
    new = new - F.adaptive_avg_pool2d(hole, (new.shape[1], new.shape[2]))[:, 0]
    fresh = ((new - CLEARLY) / (1 - CLEARLY)).clamp(0, 1)
    fresh = F.interpolate(fresh[:, None], size=decoded.shape[2:], mode="bilinear", align_corners=False)
    return (1 - fresh) * ((1 - hole) * carried + hole * behind) + fresh * decoded
