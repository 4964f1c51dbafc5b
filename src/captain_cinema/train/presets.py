"""Named training configurations of the embedded parts.

`embedded` is for a CPU; `embedded-longer` goes on from trained weights (`--start`) at twice the
width and a block deeper.
`embedded-gpu` is sized for half an hour of one GPU and has not met one yet. `debug` takes seconds and is what
the tests run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from captain_cinema.backbone.mmdit import MMDiTConfig
from captain_cinema.train.keyframe_options import KeyframeTraining, Stage
from captain_cinema.train.loop import Optimisation
from captain_cinema.train.sequences import Layout
from captain_cinema.train.shots import ShotTraining

PARTS = ("vae", "retrieval", "keyframes", "shots")


@dataclass(frozen=True, kw_only=True)
class TrainingPreset:
    """How each part is trained."""

    vae: Optimisation
    retrieval: Optimisation
    keyframes: Optimisation
    shots: Optimisation
    keyframe_training: KeyframeTraining
    shot_training: ShotTraining
    mmdit: MMDiTConfig
    """The keyframe model; a run that starts from a smaller one grows it first (`train.grow`)."""
    vae_batch: int = 16
    retrieval_batch: int = 128


def embedded_mmdit(*, heads: int = 8, single_blocks: int = 5) -> MMDiTConfig:
    """The embedded keyframe model in FLUX.2's layout: 2 M parameters; 10 M with 8 heads and 6 blocks."""
    return MMDiTConfig(
        in_channels=64,
        num_layers=2,
        num_single_layers=single_blocks,
        attention_head_dim=32,
        num_attention_heads=heads,
        joint_attention_dim=448,
        timestep_guidance_channels=128,
        mlp_ratio=3.0,
        axes_dims_rope=(8, 8, 8, 8),
        guidance_embeds=False,
    )


SINGLE = Layout(scales=(), targets=1)
FOUR = Layout(scales=(4,), targets=3)
EIGHT = (Layout(scales=(4, 4, 4), targets=5), Layout(scales=(2, 4, 4, 4), targets=4))
TWELVE = (Layout(scales=(2, 2, 4, 4, 4), targets=5), Layout(scales=(2, 2, 2, 2, 4, 4, 4), targets=5))
"""Progressive context. Given frames are as the planner's memory holds them: the latest at full size."""

EMBEDDED_KEYFRAMES = KeyframeTraining(
    stages=(
        Stage(until=0.08, layouts=(SINGLE,), batch=96, casts=(1, 2, 3, 4)),
        Stage(until=0.25, layouts=(FOUR, SINGLE), batch=24, casts=(1,), frames=96),
        Stage(until=0.80, layouts=(EIGHT[0], SINGLE, EIGHT[1]), batch=16, casts=(1, 2, 2, 3), frames=96),
        Stage(until=1.00, layouts=(*EIGHT, SINGLE, *TWELVE), batch=12, casts=(1, 2, 3, 4), frames=96),
    ),
    recall=0.6,
    introduce=0.9,
    shots=16,
    pool=256,
    period=1,
)
"""Single frames are introductions: without a good share of them, the model follows the given frames and never
learns to read descriptions (docs/log.md)."""

LONGER_KEYFRAMES = replace(
    EMBEDDED_KEYFRAMES,
    stages=(
        Stage(until=0.15, layouts=(*(SINGLE,) * 4, EIGHT[0]), batch=14, casts=(1, 2, 2, 3, 4), frames=96),
        Stage(
            until=1.0,
            layouts=(EIGHT[0], SINGLE, EIGHT[1], SINGLE, TWELVE[0], SINGLE, TWELVE[1]),
            batch=14,
            casts=(1, 2, 2, 3, 4),
            frames=96,
        ),
    ),
    pool=384,
)
"""For a run that starts from trained weights: reading descriptions first, then all lengths by turns."""

TRAINING = {
    "embedded": TrainingPreset(
        mmdit=embedded_mmdit(heads=4),
        vae=Optimisation(steps=3000, lr=2e-3, warmup=50, ema=0.995, betas=(0.9, 0.95)),
        retrieval=Optimisation(steps=600, lr=1e-3, warmup=50, ema=0.99),
        keyframes=Optimisation(steps=24_000, lr=2e-3, warmup=300, ema=0.999),
        shots=Optimisation(steps=12_000, lr=2e-3, warmup=200, ema=0.999),
        keyframe_training=EMBEDDED_KEYFRAMES,
        shot_training=ShotTraining(),
    ),
    "embedded-longer": TrainingPreset(
        mmdit=embedded_mmdit(heads=8, single_blocks=6),
        vae=Optimisation(steps=5500, lr=2e-3, warmup=50, ema=0.995, betas=(0.9, 0.95)),
        retrieval=Optimisation(steps=600, lr=1e-3, warmup=50, ema=0.99),
        keyframes=Optimisation(steps=5500, lr=1.5e-3, warmup=200, ema=0.998),
        shots=Optimisation(steps=4500, lr=1e-3, warmup=200, ema=0.998),
        keyframe_training=LONGER_KEYFRAMES,
        shot_training=ShotTraining(),
    ),
    "embedded-gpu": TrainingPreset(
        mmdit=embedded_mmdit(heads=8, single_blocks=6),
        vae=Optimisation(steps=8_000, lr=2e-3, warmup=100, ema=0.998, betas=(0.9, 0.95)),
        retrieval=Optimisation(steps=1_500, lr=1e-3, warmup=100, ema=0.995),
        keyframes=Optimisation(steps=20_000, lr=2e-3, warmup=500, ema=0.999),
        shots=Optimisation(steps=10_000, lr=2e-3, warmup=500, ema=0.999),
        keyframe_training=replace(
            EMBEDDED_KEYFRAMES,
            stages=tuple(
                replace(stage, batch=8 * stage.batch, frames=8 * stage.frames)
                for stage in EMBEDDED_KEYFRAMES.stages
            ),
            pool=1024,
            period=1,
        ),
        shot_training=ShotTraining(batch=64, pool=1024),
        vae_batch=64,
        retrieval_batch=256,
    ),
    "debug": TrainingPreset(
        mmdit=embedded_mmdit(heads=4),
        vae=Optimisation(steps=4, lr=1e-3, warmup=2),
        retrieval=Optimisation(steps=4, lr=1e-3, warmup=2),
        keyframes=Optimisation(steps=4, lr=1e-3, warmup=2),
        shots=Optimisation(steps=4, lr=1e-3, warmup=2),
        keyframe_training=KeyframeTraining(
            stages=(
                Stage(until=0.5, layouts=(SINGLE,), batch=2, casts=(1,)),
                Stage(until=1.0, layouts=(Layout(scales=(2, 4), targets=2),), batch=2, casts=(1, 2)),
            ),
            shots=8,
            pool=4,
        ),
        shot_training=ShotTraining(frames=(5, 9), batch=2, pool=4, shots=4),
        vae_batch=2,
        retrieval_batch=4,
    ),
}
"""Training presets by name."""
