"""What a preset is: its facts, what may be chosen about it, and its models, loaded when they are needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True)
class Models:
    """Which weights the `open` preset uses, and how; None is the default of whatever is loaded."""

    weights: str | None = None
    """Folder with a diffusers pipeline of FLUX.2-klein (in it or in `keyframes`), `clip` and `shots`."""
    tuned: str | None = None
    """What `cinema train keyframes` wrote: a LoRA, or a folder with a whole transformer."""
    tuned_shots: str | None = None
    """What `cinema train shots` wrote, likewise."""
    quantised: Literal["int8", "fp8"] | None = None
    """Store the weights of the shot model's and its text encoder's blocks in eight bits."""
    lora: str | None = None
    """A LoRA file for the untuned keyframe transformer, such as one for a style."""
    retrieval: Literal["clip", "text"] | None = None
    """Choose the memory by pictures (needs a CLIP), or by captions alone."""
    references: Literal["exact", "cached"] | None = None
    """Compute reference pictures anew in every step, as published, or once a frame."""
    steps: int | None = None
    """Sampling steps of a keyframe."""
    accept_licence: str | None = None
    """The licence that the user agrees to."""
    device: str | None = None
    """Where to compute, such as cuda:1; the first GPU if there is one."""
    offload: bool = False
    """Keep the parts in main memory and bring each to the GPU while it works."""

    def kept(self) -> dict[str, Any]:
        """What a film remembers of it: whatever was chosen."""
        fields = dataclasses.asdict(self)
        return {key: value for key, value in fields.items() if value is not None and value is not False}

    def over(self, before: Mapping[str, Any]) -> Models:
        """These choices where there are any, and what a film remembers where there are none."""
        names = {field.name for field in dataclasses.fields(self)}
        stored = {name: value for name, value in before.items() if name in names}
        return Models(**{**stored, **self.kept()})


@dataclass(frozen=True, kw_only=True)
class Settled:
    """A preset as one film uses it."""

    facts: PresetFacts
    kept: Mapping[str, Any]
    """What the film remembers of the choice."""
    load: Callable[[], Backend]


@dataclass(frozen=True, kw_only=True)
class PresetFacts:
    """What a film project must know of a preset without loading it."""

    name: str
    revision: str
    """First digits of the digest over all weights files and how they are sampled."""
    licence: str
    height: int
    width: int
    fps: int
    min_seconds: float
    max_seconds: float
    shots_revision: str = ""
    """The same for the shot model alone, where it can change without the keyframes' weights."""
    complete_prompts: bool = False
    """Whether its models must be told looks and style in every shot; see `script.shot_prompt`."""
    blocking: bool = False
    """Whether they must be told where everybody stands; see `script.blocking`."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """A preset's models, each loaded when it is first used: a storyboard needs no shot model."""

    facts: PresetFacts
    load_planner: Callable[[], Any]
    load_shots: Callable[[], Any]
    one_at_a_time: bool = False
    """Let go of the one before the other is loaded: large models do not fit beside each other."""
    loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What is in memory now."""

    @property
    def planner(self) -> Any:
        """Draws keyframes: a `keyframes.memory.Planner`."""
        return self._part("planner", self.load_planner)

    @property
    def shots(self) -> Any:
        """Films shots, as `shots.generator.ShotGenerator` does."""
        return self._part("shots", self.load_shots)

    def _part(self, name: str, load: Callable[[], Any]) -> Any:
        if name not in self.loaded:
            if self.one_at_a_time and self.loaded:
                self._make_room()
            self.loaded[name] = load()
        return self.loaded[name]

    def _make_room(self) -> None:
        import gc

        import torch

        self.loaded.clear()
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    @property
    def revision(self) -> str:
        """Revision of the weights."""
        return self.facts.revision

    @property
    def licence(self) -> str:
        """Licence of the weights."""
        return self.facts.licence
