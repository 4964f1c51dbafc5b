"""How a pretrained keyframe model is tuned: the paper's three contradicting sources by name, and `klein`.

The paper says three things about one training (design, section 3), so each is a preset. What a source leaves
open is table 4's, which alone is whole. Contexts grow from stage to stage; `--stage` runs one alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from captain_cinema.errors import CinemaError
from captain_cinema.keyframes.goldenmem import golden_rows
from captain_cinema.keyframes.noisy_context import BANDS, CLEAN, STEPS
from captain_cinema.train.keyframe_options import KeyframeTraining, Stage
from captain_cinema.train.loop import Optimisation
from captain_cinema.train.sequences import Layout

Contexts = Literal["joint", "golden", "both"]
DEEPEST = 4
"""Scales below the full one at most."""
CASTS = (1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """One way to tune."""

    optimisation: Optimisation
    """Its steps are those of all stages together."""
    stages: tuple[tuple[int, ...], ...]
    """Pairs of a sequence, stage by stage; several numbers take turns."""
    batch: int
    lora: int = 0
    """Rank of the adapters; 0 tunes all weights."""
    drop_text: float = 0.0
    """Share of captions left out: for models that are guided by a second, empty caption."""


_TABLE4 = Optimisation(
    steps=80_000, lr=4e-4, warmup=500, final_lr=0.0, betas=(0.9, 0.999), clip=1.0, ema=0.0, cycles=4
)
_GROWING = ((1,), (8,), (16,), (32,))

TUNING = {
    "klein": Tuning(
        optimisation=replace(_TABLE4, steps=8_000, lr=1e-4, warmup=200, final_lr=0.1),
        stages=_GROWING,
        batch=16,
        lora=32,
        drop_text=0.1,
    ),
    "section4": Tuning(optimisation=replace(_TABLE4, steps=40_000), stages=_GROWING, batch=32),
    "appendix-a": Tuning(
        optimisation=replace(_TABLE4, steps=2_500, lr=2e-4, warmup=0, cycles=1),
        stages=((2, 3, 4, 5, 6, 7, 8),),
        batch=32,
    ),
    "table4": Tuning(optimisation=_TABLE4, stages=_GROWING, batch=16),
}
"""Tuning presets by name."""


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What the user says about a tuning run; what is left out is the preset's or the model's."""

    preset: str
    stage: int | None = None
    steps: int | None = None
    lr: float | None = None
    seed: int = 0
    batch: int | None = None
    pairs: tuple[int, ...] = ()
    """Stages with one number of pairs each, in the place of the preset's."""
    lora: int | None = None
    contexts: Contexts = "both"
    noise: str = "light"
    causal: bool = False
    height: int | None = None
    micro: int = 1
    checkpointing: bool = True
    look_weight: float = 0.0
    """Weight of the losses that ask captions for looks (`train.binding`), which the playhouse knows."""
    start: Path | None = None
    """What another stage exported: adapters, or a transformer in the place of the weights' own."""


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """A tuning run as it will be."""

    optimisation: Optimisation
    stages: tuple[tuple[int, ...], ...]
    batch: int
    lora: int
    drop_text: float
    choices: Choices

    @property
    def most_pairs(self) -> int:
        """The longest sequence."""
        return max(max(stage) for stage in self.stages)


def resolve(choices: Choices) -> Resolved:
    """Put a preset and what the user changed together.

    Raises:
        CinemaError: something that is asked for does not exist.
    """
    if choices.preset not in TUNING:
        raise CinemaError(f"there is no tuning preset {choices.preset!r}; use one of {', '.join(TUNING)}")
    preset = TUNING[choices.preset]
    stages = tuple((pairs,) for pairs in choices.pairs) or preset.stages
    cycles = len(stages) if preset.optimisation.cycles > 1 else 1
    optimisation = replace(preset.optimisation, cycles=cycles)
    if choices.stage is not None:
        if not 1 <= choices.stage <= len(stages):
            raise CinemaError(
                f"{choices.preset} has {len(stages)} stages, not {choices.stage}: {_named(stages)} pairs"
            )
        optimisation = replace(optimisation, steps=optimisation.steps // len(stages), cycles=1)
        stages = (stages[choices.stage - 1],)
    for name, value in (("--batch", choices.batch), ("--micro", choices.micro), ("--steps", choices.steps)):
        if value is not None and value < 1:
            raise CinemaError(f"{name} {value} trains nothing; give 1 or more")
    if min(min(stage) for stage in stages) < 1:
        raise CinemaError(f"--pairs {_named(stages)} holds no sequence; give 1 or more pairs")
    lora = preset.lora if choices.lora is None else choices.lora
    if lora < 0:
        raise CinemaError(f"--lora {lora} is no rank; give 1 or more, or 0 to tune all weights")
    steps = choices.steps or optimisation.steps
    warmup = min(optimisation.warmup, max(1, steps // optimisation.cycles // 4))
    return Resolved(
        optimisation=replace(
            optimisation,
            steps=steps,
            lr=choices.lr or optimisation.lr,
            seed=choices.seed,
            warmup=warmup if optimisation.warmup else 0,
        ),
        stages=stages,
        batch=choices.batch or preset.batch,
        lora=lora,
        drop_text=preset.drop_text,
        choices=choices,
    )


def _named(stages: Sequence[Sequence[int]]) -> str:
    return ", ".join("/".join(map(str, stage)) for stage in stages)


def depth_of(rows: int) -> int:
    """Scales that a frame of so many token rows has below the full one."""
    depth = 0
    while depth < DEEPEST and golden_rows(rows, depth)[-1] >= 2:
        depth += 1
    return depth


def layouts(pairs: int, rows: int, contexts: Contexts) -> tuple[Layout, ...]:
    """Shapes of sequences of so many pairs.

    Joint: all frames at full size, each with noise of its own, all to be drawn. Golden: the earlier frames
    are given, the older the smaller; half of the frames at full size are to be drawn.

    Args:
        pairs: of a sequence.
        rows: token rows of a full frame.
        contexts: which shapes take turns.
    """
    joint = Layout(scales=(), targets=pairs)
    depth = min(depth_of(rows), pairs - 1)
    if contexts == "joint" or pairs == 1:
        return (joint,)
    images = -(-pairs // (depth + 1))
    targets = max(1, images // 2)
    scales = golden_rows(rows, depth)
    newest_first = [scales[(targets + rank) // images] for rank in range(pairs - targets)]
    golden = Layout(scales=tuple(reversed(newest_first)), targets=targets)
    return (golden,) if contexts == "golden" else (joint, golden)


def band(name: str) -> tuple[float, float]:
    """Noise levels of given frames, 0 to 1, by the band's name.

    Raises:
        CinemaError: there is no such band.
    """
    bands = {**BANDS, CLEAN.name: CLEAN}
    if name not in bands:
        raise CinemaError(f"there is no noise band {name!r}; use one of {', '.join(bands)}")
    return bands[name].low / STEPS, bands[name].high / STEPS


def training_of(
    run: Resolved, *, rows: int, height: int, published: bool, shift: float, guidance: float | None
) -> KeyframeTraining:
    """What the keyframe task is told.

    Args:
        run: what to do.
        rows: token rows of a full frame.
        height: of a frame.
        published: published weights, or the embedded preset's.
        shift: time shift of the noise levels.
        guidance: what a distilled model is told.
    """
    shapes = [
        tuple(shape for pairs in stage for shape in layouts(pairs, rows, run.choices.contexts))
        for stage in run.stages
    ]
    low, high = band(run.choices.noise)
    return KeyframeTraining(
        stages=tuple(
            Stage(until=(number + 1) / len(shapes), layouts=shape, batch=run.batch, casts=CASTS)
            for number, shape in enumerate(shapes)
        ),
        height=height,
        shots=max(16, run.most_pairs * 3 // 2),
        pool=64,
        recall=0.5,
        figure_weight=0.0 if published else 2.0,
        shift=shift,
        prediction="velocity" if published else "clean",
        context_noise=high,
        context_floor=low,
        look_weight=run.choices.look_weight,
        drop_text=run.drop_text,
        causal=run.choices.causal,
        rename=not published,
        guidance=guidance,
        micro=run.choices.micro,
    )
