"""How keyframes are drawn: steps, guidance, and what a new one remembers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from captain_cinema.keyframes import noisy_context
from captain_cinema.keyframes.goldenmem import Memory
from captain_cinema.keyframes.memory import Rank
from captain_cinema.keyframes.noisy_context import Band
from captain_cinema.keyframes.selection import MODES, Mode


@dataclass(frozen=True, kw_only=True)
class SamplingSettings:
    """How keyframes are drawn."""

    steps: int = 24
    guidance: float = 3.0
    """Classifier-free guidance: 1 is none, and costs half."""
    shift: float = 3.0
    """Time shift of the noise levels."""
    context_frames: int = 7
    """Earlier frames that a new one sees, at most."""
    memory: Memory | None = Memory(groups=2, images=4)  # noqa: RUF009 - frozen
    """Which of them are shrunk (GoldenMem); None holds all at full size."""
    rank: Rank = "age"
    band: Band = noisy_context.LIGHT
    """Noise that the context carries."""
    mode: Literal["continuation", "causal"] = "continuation"
    """Whether the context is computed anew with the new frame in every step, or once for all steps."""
    retrieval: Mode = "clip+names"
    height: int = 128
    width: int = 256
    text_tokens: int = 16
    """Captions are padded to so many text tokens, as in training; longer ones are not cut."""
    prediction: Literal["clean", "velocity"] = "velocity"
    """What the model says: the velocity, as FLUX does, or the clean frame, as the narrow embedded one."""
    embedded_guidance: float | None = None
    """Guidance strength that a guidance-distilled model reads."""

    def __post_init__(self) -> None:
        if self.retrieval not in MODES:
            raise ValueError(f"retrieval must be one of {MODES}, got {self.retrieval!r}")
        if self.context_frames < 0 or self.steps < 1:
            raise ValueError(
                f"{self.context_frames} context frames and {self.steps} steps cannot be drawn with"
            )
        if self.memory is not None and self.context_frames > self.memory.context_frames:
            raise ValueError(
                f"a {self.memory.groups}x{self.memory.images} memory holds {self.memory.context_frames}"
                f" frames, fewer than the {self.context_frames} context frames"
            )
