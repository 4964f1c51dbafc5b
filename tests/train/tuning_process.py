"""Processes of `test_tuning`: a tuning run of a tiny published pipeline, some of which die on the way."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from captain_cinema.films.records import Crop, FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.writer import FilmWriter, create_dataset
from captain_cinema.train import state
from captain_cinema.train.loop import Trainer
from captain_cinema.train.tuning import start
from captain_cinema.train.tuning.presets import Choices, resolve
from captain_cinema.train.tuning.start import Machine, find_weights, tune
from captain_cinema.train.world import open_world

STEPS, SAVE_EVERY = 5, 2
CHOICES = Choices(preset="klein", steps=STEPS, batch=2, pairs=(1, 4), height=32, lora=2, lr=1e-2)


def write_films(path: Path, lengths: Sequence[int]) -> Path:
    """A dataset of coloured noise, as `cinema dataset build` stores it."""
    create_dataset(path, FilmSettings())
    whole = Crop(left=0, top=0, width=64, height=32)
    rng = np.random.default_rng(0)
    for number, length in enumerate(lengths):
        name = f"{number:016x}"
        film = FilmRecord(
            id=name, name=f"{number}.mp4", path=f"/{number}.mp4", digest="", size=1, verdict="ok"
        )
        with FilmWriter(path, film, FilmSettings()) as writer:
            for shot in range(1, length + 1):
                place: dict[str, Any] = {"shot": shot, "role": "middle", "frame": shot, "seconds": 0.0}
                place |= {"border": whole, "crop": whole}
                image = rng.integers(0, 256, (32, 64, 3), dtype=np.uint8)
                record = KeyframeRecord(
                    film=name,
                    start=0,
                    end=0,
                    width=64,
                    height=32,
                    verdict="kept",
                    caption=f"<Mara> opens {'a ' * (shot % 3)}door",
                    **place,
                )
                writer.add(Picture(image=image, **place), record)
            writer.finish(film)
    return path


@dataclass(frozen=True, kw_only=True)
class Case:
    """One run of `size` processes."""

    out: Path
    weights: Path
    dataset: Path
    size: int = 1
    sequence: int = 1
    fsdp: bool = False
    die_at: int | None = None
    """Kill the last process before this step."""
    die_saving: int | None = None
    """Kill the first process when so many checkpoints have been begun, half of the last one written."""
    full_after: int | None = None
    """From this step on no file may grow past a few bytes."""
    changes: dict[str, Any] = field(default_factory=dict)


def run(case: Case, rank: int, port: int) -> None:
    """One process of a run; what it found is left in its folder."""
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(case.size))
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), ACCELERATE_USE_CPU="true")
    torch.set_num_threads(1)
    prepare(case, rank)
    run_of = resolve(replace(CHOICES, **case.changes))
    world = open_world("cpu", out=case.out, sequence=case.sequence, fsdp=case.fsdp)
    machine = Machine(out=case.out, save_every=SAVE_EVERY, sheet_every=0, log_every=1)
    try:
        result = tune(
            run_of, find_weights(case.weights), machine, dataset=case.dataset, device="cpu", world=world
        )
    except Exception as error:
        result = {"error": f"{type(error).__name__}: {error}"}
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    # The launcher may kill this process while it writes.
    part = case.out / f"result-{rank}.part"
    torch.save(result, part)
    part.replace(part.with_suffix(".pt"))
    world.close()


def prepare(case: Case, rank: int) -> None:
    """Put the accident in its place."""
    take_step, fsync = Trainer.take_step, os.fsync
    begun = 0

    def step_or_die(self: Trainer) -> dict[str, float]:
        if self.step == case.die_at and rank == case.size - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.step == case.full_after:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
        return take_step(self)

    def fsync_or_die(descriptor: int) -> None:
        nonlocal begun
        begun += str(os.readlink(f"/proc/self/fd/{descriptor}")).endswith(f"{state.CHECKPOINT}.part")
        if begun == case.die_saving:
            os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        fsync(descriptor)

    # Some processors round to bfloat16 here; the tests compare in float32 everywhere.
    start.fast_bfloat16 = lambda device: False
    Trainer.take_step = step_or_die
    os.fsync = fsync_or_die


def launch(case: Case) -> list[dict[str, Any] | None]:
    """Run a case to its end; None for a process that died, and with it all others, as launchers do."""
    case.out.mkdir(parents=True, exist_ok=True)
    # All processes are forked from one that has imported everything; it finds this module by the path.
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(path for path in paths if path))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__, "accelerate", "peft"])
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    processes = [context.Process(target=run, args=(case, rank, port)) for rank in range(case.size)]
    for process in processes:
        process.start()
    end = time.monotonic() + 280
    while any(p.is_alive() for p in processes) and time.monotonic() < end:
        if any(p.exitcode for p in processes):
            break
        time.sleep(0.05)
    for process in processes:
        process.kill()
        process.join()
    found = []
    for rank in range(case.size):
        path = case.out / f"result-{rank}.pt"
        found.append(torch.load(path) if path.exists() else None)
        path.unlink(missing_ok=True)
    return found
