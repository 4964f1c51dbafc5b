"""Training the shot model on playhouse clips: keyframes held clean, other shots' keyframes beside (section
3.3).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.names import pick
from captain_cinema.playhouse.tracks import track
from captain_cinema.playhouse.world import ACTIONS, FrameState
from captain_cinema.shots.conditioning import ShotBatch, attempt, shot_text, stack_frames
from captain_cinema.shots.model import save_shot_model
from captain_cinema.shots.motion_field import CELLS, ENOUGH, carry, pack, still
from captain_cinema.train.contrast import contrast_loss, even
from captain_cinema.train.film_pool import Pool, film_seed
from captain_cinema.train.seeds import step_generator, step_rng

CELL = 4
"""Pixels a cell of the motion field is wide: a latent is 16."""
NEW = 24
"""Difference of two colours, of 255, at which what is shown is held for new; half of that is not."""

ALIKE_AT_FIRST = ("stand", "sit down", "bow", "nod", "look around", "fall asleep")
"""Actions whose keyframe says little or nothing about which of them it is: the caption must be read."""


@dataclass(frozen=True, kw_only=True)
class ShotTraining:
    """What the shot model is trained on."""

    height: int = 128
    fps: int = 12
    frames: tuple[int, ...] = (25, 25, 25, 49)
    """Frames of a clip, 1 + 4k each: lengths that take turns."""
    context: int = 1
    """Other shots' keyframes beside each clip, at most."""
    shots: int = 12
    """Shots of a film."""
    batch: int = 8
    """Clips of the shortest length a step; longer ones are fewer."""
    pool: int = 128
    """Clips held; as many of each length."""
    period: int = 3
    """Steps between two new clips; drawing and encoding one costs as much as half a step."""
    figure_weight: float = 4.0
    """Weight of the motion of figures and things whose mean square is 1."""
    scene_weight: float = 0.5
    """The same for the backdrop."""
    quiet: float = 0.3
    """Motion weighs by 1 / (quiet + its mean square in the clip): a walk moves a hundred times as much as a
    wave, and its last hundredth would hide all of that."""
    new_weight: float = 4.0
    """Weight of latents where the frame is new."""
    seen_weight: float = 0.2
    """Weight of latents where the keyframe's pixels are shown."""
    depth_weight: float = 0.5
    """Weight of a cell's depth."""
    contrast_weight: float = 2.0
    """Weight of the loss along what tells actions apart (`train.contrast`); 0 for none."""
    shift: float = 20.0
    """Nearly all noise levels close to 1: in the playhouse a shot's motion follows from its keyframe and
    caption, and the embedded preset draws it in one step."""
    context_noise: float = 0.15
    """Noise mixed into the clean keyframes at most, so that drawn ones are as good as true ones."""


@dataclass(frozen=True, kw_only=True)
class EncodedClip:
    """A shot as the shot model reads it."""

    latents: Float[Tensor, "frames c h w"]
    context: Float[Tensor, "pairs c h w"]
    txt: Float[Tensor, "txt_len txt_dim"]
    weight: Float[Tensor, "frames c h w"]
    contrast: Float[Tensor, "frames c h w"]
    """From its motion to that of its `counterfactual`."""


@dataclass(frozen=True, kw_only=True)
class DrawnClip:
    """A shot as drawn."""

    frames: UInt8[np.ndarray, "frames h w 3"]
    context: UInt8[np.ndarray, "pairs h w 3"]
    caption: str
    film_caption: str
    field: Float[Tensor, "later kinds y x"]
    """Its motion after the keyframe."""
    figures: Bool[Tensor, "y x"]
    """Cells of the keyframe that show a figure or a thing."""
    other: Float[Tensor, "later kinds y x"]
    """The same cells' motion in its `counterfactual`; depth and newness are not looked at."""


def clip_frames(
    shot: story.PlayhouseShot, count: int, *, height: int, fps: int
) -> UInt8[np.ndarray, "frames h w 3"]:
    """The first frames of a shot in motion."""
    times = [index / fps for index in range(count)]
    return np.stack([render.draw(story.frame_state(shot, time), height=height) for time in times])


def counterfactual(shot: story.PlayhouseShot, rng: np.random.Generator) -> story.PlayhouseShot:
    """The same shot, but everybody does something else, if possible what looks the same at first."""
    poses = []
    for pose in shot.state.poses:
        kin = ALIKE_AT_FIRST if pose.action in ALIKE_AT_FIRST else ACTIONS
        poses.append(replace(pose, action=pick(rng, [action for action in kin if action != pose.action])))
    return replace(shot, state=replace(shot.state, poses=tuple(poses)))


def draw_clip(number: int, *, seed: int, training: ShotTraining) -> DrawnClip:
    """Clip `number`: one shot of a film of its own, with some of the film's other keyframes."""
    rng = step_rng(seed, 3, number)
    film = story.film(film_seed(seed + 1, number), shots=training.shots)
    chosen = int(rng.integers(len(film.shots)))
    shot = film.shots[chosen]
    others = [i for i in shot.matters if i != chosen]
    others += [i for i in range(len(film.shots)) if i != chosen and i not in others]
    context = [
        render.draw(film.shots[i].state, height=training.height) for i in sorted(others[: training.context])
    ]
    count, height = training.frames[number % len(training.frames)], training.height
    frames = clip_frames(shot, count, height=height, fps=training.fps)
    times = [index / training.fps for index in range(count)]
    first = story.frame_state(shot, 0.0)
    field, figures = motion_field(first, [story.frame_state(shot, t) for t in times[1:]], height=height)
    field[:, 5] = newness(frames, field)
    unlike = counterfactual(shot, rng)
    other, _ = motion_field(first, [story.frame_state(unlike, t) for t in times[1:]], height=height)
    return DrawnClip(
        frames=frames,
        field=field,
        figures=figures,
        other=other,
        context=np.stack(context),
        caption=shot.caption,
        film_caption=film.caption,
    )


def motion_field(
    first: FrameState, later: Sequence[FrameState], *, height: int
) -> tuple[Float[Tensor, "frames kinds y x"], Bool[Tensor, "y x"]]:
    """The true `shots.motion_field` of frames, nothing new in it, and which cells of the first are figures.

    Args:
        first: the keyframe.
        later: what follows it.
        height: rows of a frame.
    """
    followed = track(first, later, height=height)
    rows, cols = (np.arange(CELL // 2, size, CELL) for size in (height, 2 * height))
    whole, travel = (followed.displacement(rows, cols, gestures=each) for each in (True, False))
    moved = torch.from_numpy(np.concatenate([travel, whole - travel], axis=1)).float() / (CELL * CELLS)
    depth = torch.from_numpy(followed.depth()[np.ix_(rows, cols)]).float().expand(len(later), 1, -1, -1)
    figures = torch.from_numpy(followed.owner[np.ix_(rows, cols)] > 0)
    return torch.cat([moved, depth, torch.zeros_like(depth)], dim=1), figures


def newness(
    frames: UInt8[np.ndarray, "frames h w 3"], field: Float[Tensor, "later kinds y x"]
) -> Float[Tensor, "later y x"]:
    """How much of each cell of the later frames is not what the first frame's pixels make of it, 0 to 1."""
    pictures = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    carried, landed = carry(pictures[0], field)
    wrong = ((carried - pictures[1:]).abs().mean(1, keepdim=True) / NEW - 0.5).clamp(0, 1)
    hole = 1 - (landed / ENOUGH).clamp(max=1)
    return F.avg_pool2d(torch.maximum(wrong, hole), CELL)[:, 0]


class ShotTask:
    """Move a keyframe as its caption says."""

    def __init__(
        self,
        model: WanTransformer3DModel,
        codec: FrameCodec,
        text: PhraseEncoder,
        training: ShotTraining,
        *,
        seed: int = 0,
        workers: Executor | None = None,
    ) -> None:
        self.model, self.codec, self.text, self.training, self.seed = model, codec, text, training, seed
        if training.pool % len(training.frames):
            raise ValueError(f"a pool of {training.pool} does not hold as many of {training.frames} each")
        draw = partial(draw_clip, seed=seed, training=training)
        self.pool: Pool[DrawnClip, EncodedClip] = Pool(
            draw, self.encode, size=training.pool, period=training.period, workers=workers
        )

    def encode(self, drawn: DrawnClip) -> EncodedClip:
        """A drawn clip as the model reads it."""
        latents = self._still(drawn.frames)
        appearance = self.codec.channels
        latents[1:, appearance:] = pack(drawn.field)
        contrast, weight = torch.zeros_like(latents), torch.ones_like(latents)
        unlike = torch.cat([drawn.other[:, :4], drawn.field[:, 4:]], dim=1)
        contrast[1:, appearance:] = pack(unlike) - pack(drawn.field)
        weight[1:, :appearance], weight[1:, appearance:] = self._weights(drawn)
        return EncodedClip(
            latents=latents,
            context=self._still(drawn.context),
            txt=shot_text(self.text, [drawn.caption], [drawn.film_caption])[0],
            weight=weight,
            contrast=contrast,
        )

    def _still(self, frames: UInt8[np.ndarray, "n h w 3"]) -> Float[Tensor, "n c rows cols"]:
        pictures = torch.from_numpy(frames)
        return still(self.codec.encode_latents(pictures), pictures)

    def _weights(self, drawn: DrawnClip) -> tuple[Tensor, Tensor]:
        """How much the error of a clip's latents weighs, [later 1 h w], and of its field, packed."""
        training, new = self.training, drawn.field[:, 5:]
        seen = training.seen_weight
        latents = seen + (training.new_weight - seen) * F.avg_pool2d(new, CELLS)
        square = pack(drawn.field)[:, : 4 * CELLS**2].square()
        square = rearrange(square, "f (k p q) h w -> k f (h p) (w q)", p=CELLS, q=CELLS)
        travel, gesture = (part.mean((0, 1)) for part in square.split(2))
        figures, quiet = drawn.figures, training.quiet
        moving = []
        for much in (travel, gesture):
            weight = torch.zeros_like(much)
            for where, base in ((figures, training.figure_weight), (~figures, training.scene_weight)):
                weight[where] = base / (quiet + much[where].mean())
            moving += 2 * [weight.expand_as(new)]
        depth = (1 + figures).to(new) * training.depth_weight
        kinds = [*moving, depth.expand_as(new), 1 + new]
        return latents, rearrange(
            torch.cat(kinds, dim=1), "f k (h p) (w q) -> f (k p q) h w", p=CELLS, q=CELLS
        )

    def clips(self, step: int) -> list[EncodedClip]:
        """The clips of a step, all of one length."""
        training, rng = self.training, step_rng(self.seed, 4, step)
        kind = step % len(training.frames)
        size = max(1, training.batch * min(training.frames) // training.frames[kind])
        slots = np.arange(kind, training.pool, len(training.frames))
        return [self.pool.get(int(slot), step) for slot in rng.choice(slots, size, replace=False)]

    def batch(self, step: int, clips: Sequence[EncodedClip]) -> ShotBatch:
        """The clips of a step as the model reads them."""
        training, rng = self.training, step_rng(self.seed, 6, step)
        device = next(self.model.parameters()).device
        # As the planner hands them over: none to `context` other keyframes, the fillers in front.
        company = rng.integers(0, training.context + 1, len(clips))
        valid = torch.from_numpy(np.arange(training.context) >= training.context - company[:, None])
        return ShotBatch(
            latents=torch.stack([c.latents for c in clips]).to(device),
            context=torch.stack([c.context for c in clips]).to(device),
            txt=torch.stack([c.txt for c in clips]).to(device),
            weight=torch.stack([c.weight for c in clips]).to(device),
            context_valid=valid.to(device),
        )

    def loss(self, step: int) -> tuple[Tensor, dict[str, float]]:
        """The rectified-flow loss of `shots.conditioning`."""
        device = next(self.model.parameters()).device
        generator = step_generator(self.seed, 5, step)
        if device.type != "cpu":
            generator = torch.Generator(device).manual_seed(generator.initial_seed())
        training, clips = self.training, self.clips(step)
        batch = self.batch(step, clips)
        made = attempt(
            self.model, batch, generator, shift=training.shift, context_noise=training.context_noise
        )
        if not training.contrast_weight:
            return made.loss, {}
        contrast = stack_frames(torch.stack([c.contrast[1:] for c in clips]).to(device))
        off, apart = (rearrange(x, "b c slots h w -> b 1 (slots h w) c") for x in (made.off, contrast))
        scale = even(apart)
        along, told = contrast_loss(off * scale, apart * scale)
        return made.loss + training.contrast_weight * along, {"told": told}

    def compile(self) -> None:
        """See `Task`."""
        self.model.compile()

    def sample_sheet(self, path: Path) -> None:
        """Held-out shots: the true clip above the drawn one."""
        from captain_cinema.train.previews import shot_sheet

        shot_sheet(self, path)

    def export(self, folder: Path) -> None:
        """A diffusers folder."""
        save_shot_model(self.model, folder / "shots" / "transformer")
