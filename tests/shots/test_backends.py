"""Backends over diffusers' own pipelines, on tiny random folders in the published layouts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.shots.abilities import Abilities
from captain_cinema.shots.backends import load_shot_backend
from captain_cinema.shots.backends.pipelines import KINDS, PipelineShots, Sampling, load, pipeline_frames
from captain_cinema.shots.request import Footage, ShotRequest
from captain_cinema.shots.table import BACKENDS, LTX_2, WAN_I2V_A14B, WAN_VACE
from tests.shots.published_video import write_a14b, write_ltx2, write_vace

WRITERS = {WAN_I2V_A14B.name: write_a14b, WAN_VACE.name: write_vace, LTX_2.name: write_ltx2}

SAMPLING = Sampling(steps=2, guidance=2.0)


@pytest.fixture(scope="module", params=WRITERS)
def backend(request: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, PipelineShots]:
    folder = WRITERS[request.param](tmp_path_factory.mktemp("published"))
    return request.param, folder, load(request.param, folder, device="cpu", sampling=SAMPLING).shots


def asked(**changes: Any) -> ShotRequest:
    frame = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    fields = {"keyframe": frame, "caption": "a fox runs", "film_caption": "", "seconds": 1.0, "seed": 3}
    return ShotRequest(**(fields | changes))


def frames_of(made: np.ndarray | Footage) -> np.ndarray:
    return made.frames if isinstance(made, Footage) else made


def film(shots: PipelineShots, **changes: Any) -> np.ndarray:
    (made,) = shots.generate([asked(**changes)])
    return frames_of(made)


def test_a_backend_films_what_it_declares(backend: tuple[str, Path, PipelineShots]) -> None:
    name, _, shots = backend
    steps: list[tuple[int, int]] = []
    (made,) = shots.generate([asked()], progress=lambda done, total: steps.append((done, total)))
    assert frames_of(made).shape == (BACKENDS[name].fps, 64, 128, 3)
    assert frames_of(made).dtype == np.uint8
    assert steps == [(1, 2), (2, 2)]
    assert isinstance(made, Footage) == BACKENDS[name].audio
    if isinstance(made, Footage):
        assert made.sound.shape[0] == 2
        assert 0 < made.sound.shape[1] <= made.rate
        assert np.isfinite(made.sound).all()


def test_a_last_keyframe_changes_the_shot_and_is_its_last_frame(
    backend: tuple[str, Path, PipelineShots],
) -> None:
    name, _, shots = backend
    free, bound, other = film(shots), film(shots, last_keyframe=asked().keyframe), None
    other = film(shots, last_keyframe=255 - asked().keyframe)
    step = BACKENDS[name].frame_step
    assert len(bound) == 1 + (BACKENDS[name].fps - 1) // step * step
    assert (bound[: len(bound)] != free[: len(bound)]).any()
    assert (bound != other).any()


def test_the_seed_the_words_and_the_keyframe_decide(backend: tuple[str, Path, PipelineShots]) -> None:
    _, _, shots = backend
    first = film(shots)
    assert (film(shots) == first).all()
    assert (film(shots, seed=4) != first).any()
    assert (film(shots, keyframe=255 - asked().keyframe) != first).any()


def test_what_is_not_declared_is_refused_before_anything_is_filmed(
    backend: tuple[str, Path, PipelineShots],
) -> None:
    name, _, shots = backend
    beyond: dict[str, dict[str, Any]] = {
        "films": {"seconds": 60.0},
        "is 60x120": {"keyframe": np.zeros((60, 120, 3), np.uint8)},
        "context keyframes": {"context": (asked().keyframe,)},
    }
    if not BACKENDS[name].audio:
        beyond["sound is asked for"] = {"sound": "waves"}
    for words, changes in beyond.items():
        with pytest.raises(AbilityError, match=words):
            shots.generate([asked(), asked(**changes)])


def able(step: int) -> Abilities:
    return Abilities(
        name="x",
        licence="",
        height=64,
        width=128,
        fps=16,
        min_seconds=1.0,
        max_seconds=9.0,
        max_shots_together=1,
        max_context=0,
        frame_step=step,
    )


@pytest.mark.parametrize(
    ("step", "seconds", "frames"), [(4, 1.0, 17), (4, 5.0, 81), (8, 2.0, 33), (8, 4.0, 65)]
)
def test_lengths_are_the_next_step_up(step: int, seconds: float, frames: int) -> None:
    assert pipeline_frames(asked(seconds=seconds), able(step)) == frames


def test_a_shot_that_ends_on_a_picture_ends_with_its_length_and_not_with_its_handles() -> None:
    last = asked().keyframe
    assert pipeline_frames(asked(seconds=2.0, last_keyframe=last), able(4)) == 29
    assert pipeline_frames(asked(seconds=3.0, last_keyframe=last, last_at=2.0), able(4)) == 29


def test_other_folders_are_one_line(backend: tuple[str, Path, PipelineShots], tmp_path: Path) -> None:
    name, folder, _ = backend
    with pytest.raises(WeightsError, match=r"model_index\.json is missing; give the folder of"):
        load_shot_backend(name, tmp_path)
    for said, words in (({"_class_name": "FluxPipeline"}, "holds FluxPipeline"), ([], "holds no pipeline")):
        (tmp_path / "model_index.json").write_text(json.dumps(said))
        with pytest.raises(WeightsError, match=words):
            load_shot_backend(name, tmp_path)
    (tmp_path / "model_index.json").write_text("{")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_shot_backend(name, tmp_path)
    broken = tmp_path / "broken"
    shutil.copytree(folder, broken)
    (weights,) = (broken / "transformer").glob("*.safetensors")
    weights.rename(weights.with_suffix(".bin"))
    with pytest.raises(WeightsError) as fault:
        load(name, broken, device="cpu")
    assert "\n" not in str(fault.value), "and a pickle is not read in its place"


def test_presets_own_models_are_not_loaded_here(tmp_path: Path) -> None:
    assert set(KINDS) == set(WRITERS)
    with pytest.raises(AbilityError, match=r"wan2\.2-ti2v-5b is the shot model of a preset"):
        load_shot_backend("wan2.2-ti2v-5b", tmp_path)
