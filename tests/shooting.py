"""Fake models that can also make shots together, and die or fill the disk when a caption says so.

A module of its own, as worker processes load it by name.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filmmaking import FACTS, FakeBackend, FakePlanner, FakeShots, noise, picture

from captain_cinema.project.sound import SAMPLE_RATE
from captain_cinema.shots.request import Footage

DIE = "CINEMA_TEST_DIE"
"""Names a file; while it is there, whoever films a shot with "doomed" in its caption dies."""


@dataclass(kw_only=True)
class JointPlanner(FakePlanner):
    def draw_joint(self, captions: Sequence[str], *, seed: int) -> list[np.ndarray]:
        return [picture(noise(seed, list(captions), place)) for place in range(len(captions))]


@dataclass(kw_only=True)
class JointShots(FakeShots):
    def generate(self, requests: Sequence[Any], *, progress: Any = None) -> Iterator[np.ndarray]:
        for request in requests:
            if "doomed" in request.caption and Path(os.environ.get(DIE, "/nowhere")).exists():
                os.kill(os.getpid(), signal.SIGKILL)
            yield from super().generate([request], progress=progress)

    def generate_together(self, requests: Sequence[Any], *, progress: Any = None) -> Iterator[np.ndarray]:
        yield from self.generate(requests, progress=progress)


def load(name: str, pause: float = 0.0) -> FakeBackend:
    time.sleep(0)
    return FakeBackend(planner=JointPlanner(pause=pause), shots=JointShots(pause=pause))


@dataclass(kw_only=True)
class SoundShots(FakeShots):
    """A backend that makes a tone with every shot, at 24 frames a second."""

    def generate(self, requests: Sequence[Any], *, progress: Any = None) -> Iterator[Footage]:
        for request in requests:
            count = round(request.seconds * 24)
            frames = np.stack([request.keyframe] * count)
            tone = np.sin(np.arange(round(request.seconds * 16_000)) / 10, dtype=np.float32)[None] / 2
            assert request.keyframe.shape[0] % 32 == 0
            yield Footage(frames=frames, sound=tone, rate=16_000)


def load_named(name: str, weights: Path) -> FakeBackend:
    return FakeBackend(planner=FakePlanner(), shots=SoundShots())


__all__ = ["DIE", "FACTS", "SAMPLE_RATE", "load", "load_named"]
