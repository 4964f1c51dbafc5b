"""The real command line over the fake backend, for tests that need a process of its own to kill.

The planner's and the shot model's modules are replaced before they are imported: a run starts without torch.
"""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass
from typing import Any

import filmmaking

from captain_cinema import cli, presets
from captain_cinema.cut import film


@dataclass(frozen=True, kw_only=True)
class HistoryFrame:
    number: int
    caption: str
    frame: Any
    embedding: Any = None


@dataclass(frozen=True, kw_only=True)
class ShotRequest:
    keyframe: Any
    caption: str
    film_caption: str
    seconds: float
    seed: int
    context: tuple[Any, ...] = ()
    number: int | None = None


def module(name: str, **members: object) -> None:
    made = types.ModuleType(name)
    for key, value in members.items():
        setattr(made, key, value)
    sys.modules[name] = made


def replace_models(pause: float) -> None:
    film.FILM_HEIGHT = filmmaking.FACTS.height
    module("captain_cinema.keyframes.planner", HistoryFrame=HistoryFrame)
    module("captain_cinema.shots.generator", ShotRequest=ShotRequest)
    setattr(presets, "describe", lambda name: filmmaking.FACTS)  # noqa: B010
    setattr(presets, "load_backend", lambda name: filmmaking.fake_backend(pause))  # noqa: B010


def main() -> int:
    replace_models(pause=float(sys.argv.pop(1)))
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
