"""What a tuning run is told: presets, stages, contexts; and what it says to what cannot be."""

from __future__ import annotations

import json
import logging
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "backbone"))  # published.py

import published
from tuning_process import CHOICES, write_films

from captain_cinema.backbone.config import Flux1Config, to_json
from captain_cinema.backbone.lora import merge_lora, save_lora
from captain_cinema.backbone.mmdit import MMDiT, load_mmdit, save_mmdit
from captain_cinema.cli import main
from captain_cinema.commands.train import TUNED
from captain_cinema.commands.training_memory import check_memory, step_bytes
from captain_cinema.errors import AbilityError, CinemaError
from captain_cinema.evaluate.cost_memory import GIB
from captain_cinema.films.store.paths import DatasetError
from captain_cinema.presets import weights_folder
from captain_cinema.train.loop import learning_rate
from captain_cinema.train.sharing import Share, Unreadable, by_length
from captain_cinema.train.state import load_checkpoint, read_metrics
from captain_cinema.train.stride import consecutive_sequences, supply
from captain_cinema.train.tuning.presets import TUNING, Choices, layouts, resolve, training_of
from captain_cinema.train.tuning.start import (
    LORA_FILE,
    Machine,
    Weights,
    find_weights,
    load_model,
    new_tuning,
    tune,
)
from captain_cinema.train.world import ALONE, open_world

RUN = {"rows": 25, "height": 400, "published": True, "shift": 2.0, "guidance": None}


def test_presets_are_those_of_the_design() -> None:
    assert tuple(TUNING) == TUNED
    section4, appendix, table4 = (TUNING[name] for name in ("section4", "appendix-a", "table4"))
    assert (section4.optimisation.steps, section4.batch) == (40_000, 32)
    assert (appendix.optimisation.steps, appendix.optimisation.lr, appendix.batch) == (2_500, 2e-4, 32)
    assert appendix.stages == ((2, 3, 4, 5, 6, 7, 8),)
    assert table4.optimisation.steps / len(table4.stages) == 20_000
    assert (table4.optimisation.lr, table4.optimisation.warmup, table4.batch) == (4e-4, 500, 16)
    assert (table4.optimisation.betas, table4.optimisation.clip) == ((0.9, 0.999), 1.0)
    assert section4.stages == table4.stages == ((1,), (8,), (16,), (32,))
    assert [preset.lora for preset in TUNING.values()] == [32, 0, 0, 0]


def test_each_stage_of_table_4_has_a_warm_up_and_a_cosine_of_its_own() -> None:
    whole, third = resolve(Choices(preset="table4")), resolve(Choices(preset="table4", stage=3))
    assert third.optimisation.steps == 20_000
    assert third.stages == ((16,),)
    for step in (0, 499, 10_000, 19_999):
        rate = learning_rate(step, third.optimisation)
        assert learning_rate(40_000 + step, whole.optimisation) == pytest.approx(rate)
    assert learning_rate(20_500, whole.optimisation) == pytest.approx(4e-4)


def test_contexts_grow_as_one_run() -> None:
    training = training_of(resolve(Choices(preset="section4", steps=400)), **RUN)
    assert [stage.until for stage in training.stages] == [0.25, 0.5, 0.75, 1.0]
    for stage, pairs in zip(training.stages, (1, 8, 16, 32), strict=True):
        assert {layout.pairs for layout in stage.layouts} == {pairs}


def test_given_frames_lie_as_in_a_golden_memory() -> None:
    joint, golden = layouts(32, 25, "both")
    assert (joint.scales, joint.targets) == ((), 32)
    assert golden.scales == (3,) * 4 + (5,) * 7 + (9,) * 7 + (15,) * 7 + (25,) * 4
    assert golden.targets == 3
    assert layouts(1, 25, "golden") == layouts(1, 25, "joint")
    assert {rows for layout in layouts(8, 2, "golden") for rows in layout.scales} == {1, 2}


def test_noise_of_the_context_causality_and_checkpointing_reach_the_task() -> None:
    training = training_of(resolve(Choices(preset="klein", noise="strong", causal=True)), **RUN)
    assert (training.context_floor, training.context_noise) == (0.501, 0.75)
    assert training.causal
    assert training.drop_text == 0.1
    with pytest.raises(CinemaError, match="no noise band 'loud'; use one of light, moderate"):
        training_of(resolve(Choices(preset="klein", noise="loud")), **RUN)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"preset": "large"}, "no tuning preset 'large'; use one of klein, section4"),
        ({"stage": 5}, "klein has 4 stages, not 5: 1, 8, 16, 32 pairs"),
        ({"batch": 0}, "--batch 0 trains nothing"),
        ({"pairs": (0,)}, "--pairs 0 holds no sequence"),
        ({"lora": -1}, "--lora -1 is no rank"),
    ],
)
def test_choices_that_cannot_be_are_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(CinemaError, match=said):
        resolve(replace(Choices(preset="klein"), **changes))


# --- sequences ---


def test_the_number_of_valid_sequences() -> None:
    """The paper speaks of 100 and of thousands of times; under its own rule a short film has very few."""
    assert [consecutive_sequences(length, 16) for length in (15, 16, 27, 28, 32, 200)] == [0, 1, 1, 2, 2, 16]
    short, long = supply([(1, 32)], 16), supply([(1, 400), (2, 10)], 16)
    assert short.strided <= 3  # no four sets of 16 out of 32 share 4 or fewer, pair by pair
    assert long.films == 1
    assert long.strided > 8 * long.consecutive
    assert str(long).startswith(
        "16 pairs: 1 films are long enough; valid sequences (25 % overlap): 33 consec"
    )


def test_shares_hold_all_sequences_once_and_neighbours_together() -> None:
    order = list(range(10))
    shares = [Share(index=i, count=4).of(order) for i in range(4)]
    assert [n for share in shares for n in share] == order
    assert {len(share) for share in shares} == {2, 3}
    with pytest.raises(CinemaError, match="2 sequences cannot be divided into 3 shares"):
        Share(index=0, count=3).of([0, 1])


def test_sequences_of_like_length_come_together() -> None:
    class Shot:
        def __init__(self, caption: str) -> None:
            self.caption = caption

    class Film:
        def __init__(self, *lengths: int) -> None:
            self.film = type("Seen", (), {"shots": [Shot("x" * n) for n in lengths]})

    films = [Film(3, 90), Film(5, 5), Film(80, 1), Film(4, 6)]
    assert by_length(films, [(0, 1), (0, 1), (0, 1), (0, 1)]) == [0, 2, 3, 1]
    assert by_length(films, [(0,), (1,), (1,), (1,)]) == [3, 1, 0, 2]


def test_unreadable_samples_are_named_counted_and_stop_at_a_limit(caplog: pytest.LogCaptureFixture) -> None:
    unreadable = Unreadable(2)
    for _ in range(2):
        unreadable.count(DatasetError("the shard 3.tar is damaged at byte 7"))
    assert caplog.text.count("shard 3.tar") == 1
    with pytest.raises(CinemaError, match="3 samples could not be read, the last: no such frame"):
        unreadable.count(DatasetError("no such frame"))


# --- weights, datasets, memory ---


@pytest.fixture(scope="module")
def klein(tmp_path_factory: pytest.TempPathFactory) -> Weights:
    folder = tmp_path_factory.mktemp("klein")
    published.write_pipeline(folder, "FLUX.2", distilled=False)
    return find_weights(folder)


def test_damaged_frames_are_replaced_by_others(
    klein: Weights, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = write_films(tmp_path / "films", (5, 4))
    shard = max((dataset / "shards").rglob("*.tar"), key=lambda path: path.stat().st_size)
    spoiled = bytearray(shard.read_bytes())
    spoiled[600 : len(spoiled) // 2] = bytes(len(spoiled) // 2 - 600)
    shard.write_bytes(spoiled)
    run = resolve(replace(CHOICES, pairs=(2,), steps=6))
    task = new_tuning(run, klein, dataset=dataset, device="cpu", world=ALONE)
    losses = [task.loss(step)[0].item() for step in range(6)]
    assert all(loss > 0 for loss in losses)
    assert task.unreadable.found > 0
    assert "a sample cannot be read and is replaced (1 so far)" in caplog.text


def test_no_film_is_long_enough(klein: Weights, tmp_path: Path) -> None:
    dataset = write_films(tmp_path / "films", (5, 4))
    run = resolve(replace(CHOICES, pairs=(1, 8)))
    said = (
        "is long enough for a context of 8 pairs: the longest has 5 shots with a keyframe; .* --pairs up to 5"
    )
    with pytest.raises(CinemaError, match=said):
        new_tuning(run, klein, dataset=dataset, device="cpu", world=ALONE)


def test_a_stage_goes_on_from_what_another_exported(klein: Weights, tmp_path: Path) -> None:
    def model_of(**changes: Any) -> MMDiT:
        return load_model(klein, resolve(replace(CHOICES, **changes)), device="cpu")

    first = model_of()
    with torch.no_grad():
        for name, value in first.named_parameters():
            if "lora_B" in name:
                value.fill_(0.5)
    save_lora(first, tmp_path / "lora" / LORA_FILE)
    second = model_of(start=tmp_path / "lora")
    updates = [value for name, value in second.named_parameters() if "lora_B" in name]
    assert updates
    assert all(value.requires_grad and (value == 0.5).all() for value in updates)
    merged = merge_lora(first)
    save_mmdit(merged, tmp_path / "full" / "transformer")
    third = model_of(start=tmp_path / "full", lora=0).state_dict()
    assert all(torch.equal(third[name], value) for name, value in merged.state_dict().items())
    with pytest.raises(CinemaError, match="holds adapters; go on with --lora"):
        model_of(start=tmp_path / "lora", lora=0)
    with pytest.raises(CinemaError, match="nor a transformer; name the export"):
        model_of(start=tmp_path)


def flux1_dev(folder: Path) -> Weights:
    (folder / "transformer").mkdir(parents=True)
    config = {"_class_name": "FluxTransformer2DModel", **to_json(Flux1Config(guidance_embeds=True))}
    (folder / "transformer" / "config.json").write_text(json.dumps(config))
    (folder / "model_index.json").write_text("{}")
    return find_weights(folder)


def test_memory_that_does_not_suffice_names_what_fits(tmp_path: Path) -> None:
    weights = flux1_dev(tmp_path)
    section4 = resolve(Choices(preset="section4"))
    one: dict[str, Any] = {"device": "cuda", "processes": 1, "fsdp": False, "sequence": 1}
    assert 180 * GIB < step_bytes(weights, section4, **one) < 230 * GIB
    with pytest.raises(CinemaError) as caught:
        check_memory(weights, section4, **one, free=75 * GIB)
    said = str(caught.value)
    assert "a context of 32 pairs is over the budget: a step takes" in said
    assert "what fits: --lora 32 (" in said
    assert "8 GPUs with --fsdp" in said
    unchecked = resolve(Choices(preset="klein", checkpointing=False))
    with pytest.raises(CinemaError, match="what fits: without --no-checkpointing"):
        check_memory(weights, unchecked, **one, free=75 * GIB)
    with pytest.raises(CinemaError, match="no setting of this preset fits"):
        check_memory(weights, section4, **one, free=1 * GIB)
    check_memory(weights, section4, **{**one, "processes": 8, "fsdp": True}, free=75 * GIB)
    check_memory(weights, resolve(Choices(preset="klein")), **one, free=75 * GIB)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--preset", "klein", "--install"], "--install is not for the tuning preset klein; leave it out"),
        (["--pairs", "4"], "--pairs is for the tuning presets klein, section4, appendix-a, table4"),
        (["--preset", "klein", "--weights", "nowhere"], "there is no folder nowhere"),
        (["--preset", "klein", "--sequence-parallel", "2"], "start a multiple: accelerate launch --num_proc"),
        (["--preset", "klein", "--fsdp"], "FSDP shards weights over processes: accelerate launch"),
        (["--look-weight", "0.2"], "--look-weight is for the tuning presets klein, section4"),
        (["--preset", "section4", "--look-weight", "nan"], "--look-weight nan is no weight; give 0.2"),
        (
            ["--preset", "section4", "--look-weight", "0.2", "--dataset", "films"],
            "--look-weight needs films whose looks are known: the embedded weights on the playhouse",
        ),
        (["--preset", "klein", "--log-to", "paper"], "no tracker 'paper'; use one of trackio, wandb"),
    ],
)
def test_the_command_refuses_in_one_line(
    options: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger().setLevel(logging.INFO)
    assert main(["train", "keyframes", "--out", str(tmp_path / "run"), *options]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("cinema: ") == 1
    assert not (tmp_path / "run" / "checkpoint.pt").exists()


def test_a_tracker_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(AbilityError, match="--log-to wandb needs a package: pip install wandb"):
        open_world("cpu", out=tmp_path, trackers=["wandb"])


def test_a_run_alone_needs_no_launcher(tmp_path: Path) -> None:
    world = open_world("cpu", out=tmp_path)
    assert (world.size, world.replicas, world.main, world.accelerator) == (1, 1, True, None)
    layer = torch.nn.Linear(2, 1)
    layer(torch.ones(1, 2)).sum().backward()
    before = layer.weight.grad
    world.average_gradients(list(layer.parameters()))
    assert layer.weight.grad is before


def test_looks_are_asked_for_on_the_playhouse_and_not_exported(tmp_path: Path) -> None:
    run = tmp_path / "run"
    options = ["--preset", "section4", "--pairs", "2", "--batch", "2", "--micro", "2", "--sheet-every", "0"]
    options += ["--contexts", "joint", "--look-weight", "0.2", "--log-every", "1", "--device", "cpu"]
    assert main(["train", "keyframes", "--out", str(run), "--steps", "1", *options]) == 0
    (row,) = read_metrics(run)
    assert 0 <= row["read"] <= 1
    assert 0 <= row["fetched"] <= 1
    state = load_checkpoint(run)
    assert state is not None
    assert any(name.startswith("looks.") for name in state["model"])
    tuned, shipped = (
        load_mmdit(f / "keyframes/transformer") for f in (run / "export", weights_folder("embedded"))
    )
    assert tuned.state_dict().keys() == shipped.state_dict().keys()


def test_looks_are_not_asked_of_words_in_other_processes(tmp_path: Path) -> None:
    choices = Choices(preset="section4", pairs=(2,), batch=2, look_weight=0.2)
    two = replace(ALONE, size=2, sequence=2)
    with pytest.raises(CinemaError, match="not for --fsdp and --sequence-parallel"):
        tune(
            resolve(choices),
            find_weights(weights_folder("embedded")),
            Machine(out=tmp_path),
            dataset=None,
            device="cpu",
            world=two,
        )
