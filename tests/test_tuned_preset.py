"""Tuned weights of both layouts draw with the interleaved planner: tiny, random, in the published layout."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from captain_cinema import cli, presets
from captain_cinema.backbone.lora import LORA_FILE, add_lora, save_lora
from captain_cinema.backbone.mmdit import load_mmdit, save_mmdit
from captain_cinema.errors import CinemaError, WeightsError
from captain_cinema.keyframes.goldenmem import assign_scales
from captain_cinema.keyframes.memory import HistoryFrame
from captain_cinema.keyframes.opening import tuned_memory, tuned_part
from captain_cinema.keyframes.tuned_planner import TunedPlanner
from captain_cinema.presets import Models
from tests.backbone.published import write_clip, write_pipeline

SIZE = (64, 128)
LAYOUTS = {"open": "FLUX.2", "paper": "FLUX.1"}
SCRIPT = """\
title: Test
caption: ink on paper
size: 128x64
cast:
  - {name: Mara, description: a fox in a blue coat}
shots:
  - {caption: <Mara> waits.}
  - {caption: <Mara> leaves., pins: [1]}
"""


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """transformers and diffusers warn about what is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module", params=list(LAYOUTS))
def tuned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A preset, and its weights with a tuning run's LoRA in `run`."""
    folder = tmp_path_factory.mktemp("weights")
    write_pipeline(folder / "keyframes", LAYOUTS[request.param], distilled=False)
    write_clip(folder / "clip")
    model = add_lora(load_mmdit(folder / "keyframes" / "transformer"), torch.Generator(), rank=2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.05)
    save_lora(model, folder / "run" / LORA_FILE)
    return request.param, folder


def planner_of(where: tuple[str, Path], /, **changes: Any) -> TunedPlanner:
    preset, folder = where
    models = Models(**{"weights": str(folder), "tuned": str(folder / "run"), "steps": 2, **changes})
    planner = presets.load_backend(preset, models=models, size=SIZE).planner
    assert isinstance(planner, TunedPlanner)
    return planner


def history(count: int) -> list[HistoryFrame]:
    rng = np.random.default_rng(2)
    shape = (*SIZE, 3)
    return [
        HistoryFrame(number=n, caption=f"<Mara> {n}", frame=rng.integers(0, 256, shape, dtype=np.uint8))
        for n in range(1, count + 1)
    ]


def test_a_storyboard_from_tuned_weights(
    tuned: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    preset, folder = tuned
    film = tmp_path / "film"
    film.mkdir()
    (film / "script.yaml").write_text(SCRIPT, "utf-8")
    options = ("--preset", preset, "--weights", folder, "--tuned", folder / "run", "--steps", 2)
    code = cli.main([str(part) for part in ("storyboard", film, *options, "--json")])
    said = capsys.readouterr()
    assert code == 0, said.err
    assert json.loads(said.out)["keyframes"]["made"] == [1, 2]
    record = json.loads((film / "storyboard" / "002.json").read_text())
    assert record["inputs"]["preset"] == preset
    assert record["inputs"]["prompt"] == "<Mara> leaves."  # tuned weights look the name up
    assert [(use["number"], use["pinned"]) for use in record["memory"]] == [(1, True)]


def test_context_caption_and_guidance_reach_the_frame(tuned: tuple[str, Path]) -> None:
    planner = planner_of(tuned)
    drawn = planner.draw("<Mara> sings", history(3), seed=1)
    assert len(drawn.memory) == 3
    assert np.array_equal(planner.draw("<Mara> sings", history(3), seed=1).frame, drawn.frame)
    others = [
        planner.draw("<Mara> sings", history(2), seed=1).frame,
        planner.draw("Rain", history(3), seed=1).frame,
    ]
    assert not any(np.array_equal(other, drawn.frame) for other in others)
    guidance = {"open": (4.0, None), "paper": (1.0, 3.5)}[tuned[0]]
    embedded = planner.settings.embedded_guidance
    assert (planner.settings.guidance, embedded) == guidance


def test_captions_are_read_without_padding(tuned: tuple[str, Path]) -> None:
    planner = planner_of(tuned)
    words = planner._encode_text(["fox", "a longer caption"])
    alone = planner._encode_text(["fox"])
    short, long = alone.tokens.shape[2], words.tokens.shape[2]
    assert 1 <= short < long < 100
    torch.testing.assert_close(words.tokens[0, 0, :short], alone.tokens[0, 0])
    assert words.tokens[0, 0, short:].count_nonzero() == 0
    assert (words.pooled is None) == (tuned[0] == "open")
    silent = planner._silenced(words, slice(-1, None))
    assert torch.equal(silent.tokens[:, 0], words.tokens[:, 0])
    nothing = planner._encode_text([""]).tokens
    torch.testing.assert_close(silent.tokens[:, 1, : nothing.shape[2]], nothing[:, 0])
    if words.pooled is not None and silent.pooled is not None:
        assert torch.equal(silent.pooled[:, 0], words.pooled[:, 0])
        assert not torch.equal(silent.pooled[:, 1], words.pooled[:, 1])


def test_a_whole_transformer_may_be_tuned(tuned: tuple[str, Path], tmp_path: Path) -> None:
    model = load_mmdit(tuned[1] / "keyframes" / "transformer")
    plain = planner_of(tuned).draw("Rain", [], seed=1).frame
    save_mmdit(model, tmp_path / "transformer")
    untouched = planner_of(tuned, tuned=str(tmp_path)).draw("Rain", [], seed=1).frame
    assert not np.array_equal(untouched, plain)  # the LoRA is not in it


def test_what_is_no_tuning_is_one_line(tuned: tuple[str, Path], tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds neither pytorch_lora_weights\..* nor a transformer"):
        tuned_part(tmp_path)
    with pytest.raises(WeightsError, match=r"there is no .*nowhere; name what is there with --tuned"):
        planner_of(tuned, tuned=str(tmp_path / "nowhere"))
    with pytest.raises(CinemaError, match="--lora is for untuned weights"):
        planner_of(tuned, lora=str(tuned[1] / "run" / LORA_FILE))
    other = "paper" if tuned[0] == "open" else "open"
    with pytest.raises(WeightsError, match="FLUX"):
        planner_of((other, tuned[1]))


@pytest.mark.parametrize("rows", range(1, 27))
def test_eight_pairs_fit_every_size(rows: int) -> None:
    memory = tuned_memory(rows)
    assert memory.pairs >= 8
    assert min(assign_scales(memory.context_frames, memory, rows)) >= 1
