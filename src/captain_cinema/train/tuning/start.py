"""From a folder of weights and a dataset to a tuning run."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from captain_cinema.backbone.checkpoint import read_config
from captain_cinema.backbone.config import MMDiTConfig
from captain_cinema.backbone.lora import add_lora, load_lora, save_lora
from captain_cinema.backbone.mmdit import MMDiT, load_mmdit, save_mmdit
from captain_cinema.errors import CinemaError
from captain_cinema.flow.published import flux1_shift
from captain_cinema.train.dataset_source import DatasetSource, Encoders, open_dataset
from captain_cinema.train.keyframes import KeyframeTask
from captain_cinema.train.loop import RunOptions, Trainer
from captain_cinema.train.precision import fast_bfloat16, mixed_precision
from captain_cinema.train.stride import supply
from captain_cinema.train.tuning.presets import Resolved, training_of
from captain_cinema.train.tuning.readers import OpenEncoders, encode_all
from captain_cinema.train.world import World

if TYPE_CHECKING:
    from captain_cinema.backbone.text import PhraseEncoder

logger = logging.getLogger(__name__)

LORA_FILE = "pytorch_lora_weights.safetensors"
EMBEDDED_SHIFT, EMBEDDED_HEIGHT, OPEN_HEIGHT = 2.0, 128, 400
TUNING_GUIDANCE = 1.0
"""What a guidance-distilled model is told while it is tuned: the strength that changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A folder of weights to begin from."""

    folder: Path
    """Of a published pipeline, or in the layout of the embedded preset."""
    published: bool

    @property
    def transformer(self) -> Path:
        """Where the keyframe model is."""
        return self.folder / "transformer" if self.published else self.folder / "keyframes" / "transformer"

    @property
    def config(self) -> MMDiTConfig:
        """The keyframe model's sizes."""
        return read_config(self.transformer)


def find_weights(folder: Path) -> Weights:
    """See what kind of weights a folder holds.

    Raises:
        WeightsError: none that can be tuned.
    """
    own = folder / "keyframes" / "transformer"
    if own.is_dir() and (folder / "vae").is_dir() and not (folder / "keyframes" / "vae").is_dir():
        return Weights(folder=folder, published=False)
    from captain_cinema.backbone.published import keyframes_folder

    return Weights(folder=keyframes_folder(folder), published=True)


@dataclass(frozen=True, kw_only=True)
class Machine:
    """How a tuning run is carried out, as opposed to what it learns."""

    out: Path
    minutes: float | None = None
    save_every: int = 200
    sheet_every: int = 1000
    log_every: int = 20
    compiled: bool = False


class TuningTask(KeyframeTask):
    """`KeyframeTask` on pretrained weights: what is exported is an adapter, or the tuned transformer."""

    lora = 0
    published = True

    def export(self, folder: Path) -> None:
        """See `Task`."""
        self._write(self.mmdit, folder)

    def export_state(self, folder: Path, state: dict[str, Tensor]) -> None:
        """See `SharedTask`."""
        twin = MMDiT(self.mmdit.config)
        if self.lora:
            add_lora(twin, torch.Generator(), rank=self.lora)
        twin.load_state_dict(state)
        self._write(twin, folder)

    def _write(self, model: MMDiT, folder: Path) -> None:
        if self.lora:
            save_lora(model, folder / LORA_FILE)
        else:
            save_mmdit(model, folder / "transformer" if self.published else folder / "keyframes/transformer")


def _started(start: Path | None, weights: Weights) -> tuple[Path | None, Path]:
    """Adapters to go on with, if there are any, and the transformer to begin from."""
    if start is None:
        return None, weights.transformer
    if (start / LORA_FILE).is_file():
        return start / LORA_FILE, weights.transformer
    for place in (start / "transformer", start / "keyframes" / "transformer"):
        if place.is_dir():
            return None, place
    raise CinemaError(
        f"{start} holds neither {LORA_FILE} nor a transformer; name the export folder of another stage"
    )


def load_model(weights: Weights, run: Resolved, *, device: str) -> MMDiT:
    """The transformer with what is trained of it: adapters in float32 on weights as they are, or all weights.

    Raises:
        WeightsError: it cannot be read.
        AbilityError: peft is missing.
    """
    frozen = torch.bfloat16 if run.lora and device.startswith("cuda") else torch.float32
    adapters, transformer = _started(run.choices.start, weights)
    if adapters is not None and not run.lora:
        raise CinemaError(f"{adapters} holds adapters; go on with --lora and their rank, not with --lora 0")
    model = load_mmdit(transformer, dtype=frozen)
    if adapters is not None:
        load_lora(model, adapters)
    elif run.lora:
        add_lora(model, torch.Generator().manual_seed(run.optimisation.seed), rank=run.lora)
    if run.lora:
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.float()
    model.gradient_checkpointing = run.choices.checkpointing
    autocast = fast_bfloat16(device)
    model.recompute_in = lambda: mixed_precision(device, enabled=autocast)
    return model.train()


@dataclass(frozen=True, kw_only=True)
class _Readers:
    """The frozen models that read frames and captions for a run."""

    codec: Any
    height: int
    """Of a frame."""
    text: PhraseEncoder | None = None
    """Of the embedded preset."""
    encoders: OpenEncoders | None = None
    """Of published weights."""


def _readers(
    run: Resolved, weights: Weights, config: MMDiTConfig, *, dataset: Path | None, device: str
) -> _Readers:
    """Load what reads frames and captions.

    Raises:
        CinemaError: the weights do not fit each other, or published ones have no films to be tuned on.
    """
    if not weights.published:
        from captain_cinema.backbone.latents import FrameCodec, load_vae
        from captain_cinema.backbone.text import PhraseEncoder

        codec: Any = FrameCodec(load_vae(weights.folder / "vae", device=device))
        height = run.choices.height or EMBEDDED_HEIGHT
        return _Readers(codec=codec, height=height, text=PhraseEncoder())
    if dataset is None:
        raise CinemaError(
            "published weights are tuned on films: give --dataset FOLDER, made by `cinema dataset build`"
        )
    height = run.choices.height or OPEN_HEIGHT
    folder = cache_folder(dataset)
    encoders = OpenEncoders(weights.folder, height=height, folder=folder, device=device)
    codec = encoders.open_codec
    if codec.token_dim != config.in_channels:
        raise CinemaError(
            f"the VAE in {weights.folder} has tokens of {codec.token_dim} numbers, its transformer reads"
            f" {config.in_channels}; are they of one pipeline?"
        )
    return _Readers(codec=codec, height=height, encoders=encoders)


def _source(run: Resolved, readers: _Readers, dataset: Path, txt_len: int) -> DatasetSource:
    """The dataset's films, read by the run's models.

    Raises:
        CinemaError: the dataset and the run do not fit each other.
    """
    encoders = readers.encoders
    if encoders is None:
        assert readers.text is not None
        limits = {"height": readers.height, "txt_len": txt_len, "folder": cache_folder(dataset)}
        encoders = Encoders(readers.codec, readers.text, **limits)
    source = open_dataset(dataset, encoders)
    check_films(source, run)
    return source


def new_tuning(
    run: Resolved, weights: Weights, *, dataset: Path | None, device: str, world: World
) -> TuningTask:
    """The task of a tuning run; encodes the dataset first, where that is not done.

    Raises:
        CinemaError: the weights, the dataset and the run do not fit each other.
    """
    config = weights.config
    readers = _readers(run, weights, config, dataset=dataset, device=device)
    rows = readers.height // readers.codec.token_size
    training = training_of(
        run,
        rows=rows,
        height=readers.height,
        published=weights.published,
        shift=flux1_shift(2 * rows * rows) if weights.published else EMBEDDED_SHIFT,
        guidance=TUNING_GUIDANCE if config.guidance_embeds else None,
    )
    source = None if dataset is None else _source(run, readers, dataset, training.txt_len)
    if readers.encoders is not None and source is not None:
        shapes = [shape.scales for stage in training.stages for shape in stage.layouts]
        encode_all(source, readers.encoders, {rows}.union(*shapes), world=world)
    task = TuningTask(
        load_model(weights, run, device=device),
        readers.codec,
        readers.text,  # pyright: ignore[reportArgumentType]  # read by the playhouse alone
        training,
        steps=run.optimisation.steps,
        seed=run.optimisation.seed,
        source=source,
    )
    task.lora, task.published, task.replicas = run.lora, weights.published, world.replicas
    task.mmdit.apart = world.apart
    return task


def cache_folder(dataset: Path) -> Path:
    """Where a dataset keeps what frozen models said."""
    from captain_cinema.films.store.paths import CACHE

    return dataset / CACHE


def check_films(source: DatasetSource, run: Resolved) -> None:
    """Say how many sequences there are, and refuse contexts that no film is long enough for.

    Raises:
        CinemaError: no film is.
    """
    films = [(source.film(n).film.seed, int(length)) for n, length in enumerate(source.lengths) if length]
    for pairs in sorted({pairs for stage in run.stages for pairs in stage}):
        found = supply(films, pairs)
        if not found.films:
            longest = int(source.lengths.max(initial=0))
            raise CinemaError(
                f"no film in {source.dataset.path} is long enough for a context of {pairs} pairs: the longest"
                f" has {longest} shots with a keyframe; add longer films, or give --pairs up to {longest}"
            )
        logger.info("%s", found)


def _check_looks(run: Resolved, weights: Weights, dataset: Path | None, world: World) -> None:
    """Refuse to ask for looks that nobody knows, or of words that are in other processes.

    Raises:
        CinemaError: one line.
    """
    weight = run.choices.look_weight
    if weight < 0 or not math.isfinite(weight):
        raise CinemaError(f"--look-weight {weight:g} is no weight; give 0.2, or 0 to leave looks out")
    if not weight:
        return
    if weights.published or dataset is not None:
        raise CinemaError(
            "--look-weight needs films whose looks are known: the embedded weights on the playhouse, without"
            " --dataset"
        )
    if world.sequence > 1 or world.sharding is not None:
        raise CinemaError("--look-weight is not for --fsdp and --sequence-parallel; leave those out")


def tune(
    run: Resolved,
    weights: Weights,
    machine: Machine,
    *,
    dataset: Path | None,
    device: str,
    world: World,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> dict[str, Any]:
    """Tune, from the beginning or from the checkpoint in the run's folder.

    Raises:
        CinemaError: something that the user can mend.
    """
    _check_looks(run, weights, dataset, world)
    divisor = world.replicas
    if run.batch < divisor:
        raise CinemaError(
            f"a batch of {run.batch} cannot be divided among {divisor} processes; give a --batch of {divisor}"
        )
    if world.sequence > min(min(stage) for stage in run.stages):
        raise CinemaError(
            f"--sequence-parallel {world.sequence} cannot divide sequences of"
            f" {min(min(stage) for stage in run.stages)} pairs; give --stage or --pairs with longer ones"
        )
    task = new_tuning(run, weights, dataset=dataset, device=device, world=world)
    if machine.compiled:
        task.compile()
    options = RunOptions(
        out=machine.out,
        minutes=machine.minutes,
        device=device,
        autocast=fast_bfloat16(device),
        save_every=machine.save_every,
        sheet_every=machine.sheet_every,
        log_every=machine.log_every,
    )
    machine.out.mkdir(parents=True, exist_ok=True)
    if world.main:
        told = {"optimisation": asdict(run.optimisation), "stages": run.stages, "batch": run.batch}
        told |= {"lora": run.lora, "weights": str(weights.folder), "dataset": str(dataset or "playhouse")}
        (machine.out / "tuning.json").write_text(
            json.dumps({**asdict(run.choices), **told, "processes": world.size}, indent=1, default=str) + "\n"
        )
    result = Trainer(task, run.optimisation, options, world).run(progress)
    trainable = sum(p.numel() for p in task.model.parameters() if p.requires_grad)
    return {
        "part": "keyframes",
        "preset": run.choices.preset,
        "trained_parameters": trainable,
        "unreadable": task.unreadable.found,
        **result,
    }
