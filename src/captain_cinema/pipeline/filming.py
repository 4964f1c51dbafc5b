"""Filming a shot, or a block of shots that are made together: the same function here, in a worker process
and on Ray.

A task is plain data and paths. It films to a scratch file beside the clips; whoever gave the task out renames
it, so that a worker that dies in the middle, or lives a moment longer than its parent, changes no clip.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import current_process
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.project.clips import write_clip
from captain_cinema.project.methods import IC_LORA, LCT
from captain_cinema.project.pictures import read_picture
from captain_cinema.project.sound import SoundTrack
from captain_cinema.shots.request import Footage, ShotRequest

if TYPE_CHECKING:
    import numpy as np

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class ShotTask:
    """One shot to film."""

    number: int
    caption: str
    film_caption: str
    seconds: float
    """As filmed, handles included."""
    seed: int
    keyframe: Path | None = None
    """None for methods that have none, or cut it from a composite."""
    panel: int = 0
    """With a composite: the place of the shot's panel, from 0."""
    context: tuple[Path, ...] = ()
    last_keyframe: Path | None = None
    last_at: float | None = None
    sound: str = ""
    scratch: Path | None = None
    """Where the clip is written; None for a shot that is only made along with its block."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is filmed at once: a shot, or a block of shots."""

    shots: tuple[ShotTask, ...]
    method: str
    height: int
    width: int
    fps: int
    load: Callable[[], Any]
    """Gives the models, in a process that has none yet; what workers need, pickled by name."""
    composite: Path | None = None
    """The composite image that the keyframes are cut from."""
    threads: int | None = None
    """Of a worker process, unless OMP_NUM_THREADS says so."""


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """A clip that waits to be given its name."""

    number: int
    scratch: Path
    frames: int
    seconds: float
    """It took to film, its share of a block."""
    sound: bool
    shown: int
    """How many other keyframes it was shown, the last ones of those that it could have been."""


def film(task: Task, models: Any, progress: Progress | None = None) -> tuple[Filmed, ...]:
    """Film a task with models that are loaded, and write its clips.

    Args:
        task: what to film.
        models: has `shots`, a generator; for `lct` also `planner`.
        progress: told of the steps.
    """
    started = time.perf_counter()
    filmed: list[Filmed] = []
    try:
        for shot, footage in zip(task.shots, _footage(task, models, progress), strict=True):
            if shot.scratch is not None:
                filmed.append(_write(task, shot, footage, started, shown=len(_shown(shot, models))))
                started = time.perf_counter()
    except BaseException:
        for done in filmed:
            with suppress(OSError):
                done.scratch.unlink(missing_ok=True)
        raise
    return tuple(filmed)


def _footage(task: Task, models: Any, progress: Progress | None) -> Iterator[np.ndarray | Footage]:
    if task.method == LCT:
        from captain_cinema.shots.lct import film_block

        yield from film_block(models.planner, models.shots, _wordings(task), progress=progress)
        return
    for shot in task.shots:
        yield from models.shots.generate([_request(task, shot, models)], progress=progress)


def _wordings(task: Task) -> list[Any]:
    from captain_cinema.shots.lct import Wording

    return [
        Wording(
            caption=shot.caption,
            film_caption=shot.film_caption,
            seconds=shot.seconds,
            seed=shot.seed,
            number=shot.number,
        )
        for shot in task.shots
    ]


def _request(task: Task, shot: ShotTask, models: Any) -> ShotRequest:
    def picture(path: Path) -> np.ndarray:
        return read_picture(path, height=task.height, width=task.width)

    if task.method == IC_LORA:
        from captain_cinema.shots.ic_lora import cut_panel

        assert task.composite is not None, "a composite is drawn before its shots are filmed"
        keyframe = cut_panel(read_picture(task.composite), shot.panel, task.height, task.width)
    else:
        assert shot.keyframe is not None, f"method {task.method} films from keyframes"
        keyframe = picture(shot.keyframe)
    context = _shown(shot, models)
    return ShotRequest(
        keyframe=keyframe,
        caption=shot.caption,
        film_caption=shot.film_caption,
        seconds=shot.seconds,
        seed=shot.seed,
        context=tuple(picture(path) for path in context),
        number=shot.number,
        last_keyframe=None if shot.last_keyframe is None else picture(shot.last_keyframe),
        last_at=shot.last_at,
        sound=shot.sound,
    )


def _shown(shot: ShotTask, models: Any) -> tuple[Path, ...]:
    """The other keyframes that these weights can be shown; untuned ones see none, and the record says so."""
    able = getattr(models.shots, "abilities", None)
    most = len(shot.context) if able is None else able.max_context
    return shot.context[len(shot.context) - min(most, len(shot.context)) :]


def _write(
    task: Task, shot: ShotTask, footage: np.ndarray | Footage, started: float, *, shown: int
) -> Filmed:
    assert shot.scratch is not None
    if isinstance(footage, Footage):
        frames, track = footage.frames, SoundTrack.of(footage.sound, footage.rate)
    else:
        frames, track = footage, None
    try:
        count = write_clip(shot.scratch, frames, fps=task.fps, sound=track.blocks() if track else None)
    except BaseException:
        with suppress(OSError):
            shot.scratch.unlink(missing_ok=True)
        raise
    return Filmed(
        number=shot.number,
        scratch=shot.scratch,
        frames=count,
        seconds=time.perf_counter() - started,
        sound=track is not None,
        shown=shown,
    )


_loaded: dict[object, Any] = {}
"""The models of this worker process."""


def film_in_worker(task: Task) -> tuple[Filmed, ...]:
    """Film a task in a process of its own, which loads the models at its first task and keeps them."""
    key = repr(task.load)
    if key not in _loaded:
        _settle(task)
        _loaded.clear()
        _loaded[key] = task.load()
    return film(task, _loaded[key])


def _settle(task: Task) -> None:
    """Give this process its share of the machine, before torch is imported: threads, one GPU of several."""
    if task.threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(task.threads))
    number = re.search(r"SpawnProcess-(\d+)", current_process().name)
    cards = visible_gpus()
    if number is not None and len(cards) > 1:
        os.environ["CUDA_VISIBLE_DEVICES"] = cards[(int(number[1]) - 1) % len(cards)]


def visible_gpus(devices: Path = Path("/dev")) -> Sequence[str]:
    """The NVIDIA GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [name.strip() for name in named.split(",") if name.strip()]
    return sorted(
        (path.name.removeprefix("nvidia") for path in devices.glob("nvidia[0-9]*")),
        key=lambda name: int(name),
    )
