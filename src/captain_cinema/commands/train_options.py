"""The options of `cinema train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

Positional = tyro.conf.Positional
Number = Annotated[int | None, tyro.conf.arg(metavar="N")]
Count = Annotated[int, tyro.conf.arg(metavar="N")]
Folder = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")]


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What `cinema train` is told."""

    part: Positional[Literal["keyframes", "shots", "vae", "retrieval"]]
    """what to train."""
    out: Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
    """folder for checkpoints, loss curve and sample sheets."""
    preset: Annotated[str, tyro.conf.arg(metavar="NAME")] = "embedded"
    """the training preset."""
    steps: Number = None
    """how many; the preset's if left out."""
    minutes: Annotated[float | None, tyro.conf.arg(metavar="N")] = None
    """stop after so long."""
    device: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None
    """cpu or cuda; the GPU if there is one."""
    seed: Count = 0
    """of the run."""
    lr: Annotated[float | None, tyro.conf.arg(metavar="RATE")] = None
    """peak learning rate; the preset's if left out."""
    weights: Folder = None
    """finished parts that this one builds on, or what is tuned; the shipped ones if left out."""
    start: Folder = None
    """weights to begin from instead of random ones; when tuning, what another stage exported."""
    decoder_only: bool = False
    """with `train vae --start`: leave the latents as they are."""
    workers: Number = None
    """processes that draw films ahead; with a GPU two fewer than cores, on a CPU none."""
    dataset: Folder = None
    """take films from a dataset that `cinema dataset build` made, not from the playhouse."""
    stage: Number = None
    """run this stage of growing contexts alone, from 1."""
    pairs: Annotated[tuple[int, ...], tyro.conf.arg(metavar="N")] = ()
    """pairs of each stage, such as 1 8 16; the preset's if left out."""
    lora: Annotated[int | None, tyro.conf.arg(metavar="RANK")] = None
    """rank of the adapters, 0 to tune all weights; the preset's if left out."""
    batch: Number = None
    """sequences a step, of all processes together."""
    micro: Count = 1
    """sequences that a process computes at once."""
    contexts: Literal["joint", "golden", "both"] = "both"
    """all frames drawn together, or the earlier ones given by GoldenMem, or both by turns."""
    noise: Annotated[str, tyro.conf.arg(metavar="BAND")] = "light"
    """of given frames: clean, light, moderate, strong or heavy."""
    look_weight: Annotated[float, tyro.conf.arg(metavar="N")] = 0.0
    """weight of the losses that ask captions for looks, such as 0.2; only the playhouse knows them."""
    causal: bool = False
    """a pair sees itself and the pairs before it alone."""
    height: Annotated[int | None, tyro.conf.arg(metavar="PIXELS")] = None
    """of a frame; 400 for published weights if left out."""
    no_checkpointing: bool = False
    """keep what blocks make for the backward pass, where there is memory for it."""
    fsdp: bool = False
    """shard weights, gradients and optimiser states over the processes (FSDP2)."""
    sequence_parallel: Count = 1
    """processes that share one sequence, for long contexts."""
    log_to: Annotated[tuple[str, ...], tyro.conf.arg(metavar="TRACKER")] = ()
    """trackio, wandb or tensorboard, besides metrics.jsonl."""
    log_every: Count = 20
    """steps between two lines of figures."""
    save_every: Count = 200
    """steps between two checkpoints."""
    sheet_every: Count = 1000
    """steps between two sample sheets; 0 draws none."""
    compile: bool = False
    """let torch.compile fuse what it can; takes a minute at the start, and a C++ compiler."""
    resume: bool = False
    """refuse to start anew when there is no checkpoint in the folder."""
    install: bool = False
    """put the trained weights into the package at the end."""
    json: bool = False
    """print one JSON object at the end."""
