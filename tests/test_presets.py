"""The presets: the shipped weights are whole, small, and what the backend loads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from captain_cinema import presets
from captain_cinema.errors import CinemaError, WeightsError

EMBEDDED = presets.weights_folder("embedded")


def test_the_shipped_weights_are_whole_and_under_40_mb() -> None:
    presets.verify_weights(EMBEDDED)
    listed = set(presets.read_manifest(EMBEDDED))
    found = {p.relative_to(EMBEDDED).as_posix() for p in EMBEDDED.rglob("*") if p.is_file()}
    assert found == listed | {presets.MANIFEST}
    assert sum(p.stat().st_size for p in EMBEDDED.rglob("*") if p.is_file()) < 40e6


def test_the_backend_draws_what_its_facts_say() -> None:
    backend = presets.load_backend("embedded")
    frame = backend.planner.draw("<Ada> waves in the forest.", [], seed=1).frame
    assert frame.shape == (backend.facts.height, backend.facts.width, 3)
    assert frame.std() > 5
    abilities = backend.shots.abilities
    assert (abilities.height, abilities.width, abilities.fps) == (128, 256, backend.facts.fps)
    assert abilities.max_seconds == backend.facts.max_seconds


@pytest.mark.parametrize("spoil", ["cut", "remove", "manifest"])
def test_spoilt_weights_are_one_line(tmp_path: Path, spoil: str) -> None:
    folder = tmp_path / "embedded"
    shutil.copytree(EMBEDDED, folder)
    victim = folder / "vae" / "diffusion_pytorch_model.safetensors"
    if spoil == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif spoil == "remove":
        victim.unlink()
    else:
        (folder / presets.MANIFEST).write_text("[]")
    with pytest.raises(WeightsError, match="install the package again") as caught:
        presets.verify_weights(folder)
    assert "\n" not in str(caught.value)


def test_an_unknown_preset_names_what_there_is() -> None:
    with pytest.raises(CinemaError, match="no preset 'huge'; use embedded"):
        presets.describe("huge")


def test_installing_an_export_renews_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(EMBEDDED, tmp_path / "embedded")
    monkeypatch.setattr(presets, "WEIGHTS", tmp_path)
    before = presets.describe("embedded").revision
    export = tmp_path / "export" / "vae"
    export.mkdir(parents=True)
    weights = torch.linspace(-3, 3, 7)
    save_file({"w": weights, "n": torch.tensor([70000])}, export / "diffusion_pytorch_model.safetensors")
    assert presets.install_weights(export.parent) == ["vae/diffusion_pytorch_model.safetensors"]
    assert presets.describe("embedded").revision != before
    presets.verify_weights(tmp_path / "embedded")
    stored = load_file(tmp_path / "embedded" / "vae" / "diffusion_pytorch_model.safetensors")
    assert stored["w"].dtype == torch.float16
    assert torch.equal(stored["w"].float(), weights.half().float())
    assert stored["n"].tolist() == [70000]
    with pytest.raises(WeightsError, match="holds no safetensors"):
        presets.install_weights(tmp_path / "nothing")
    (export / "diffusion_pytorch_model.safetensors").write_bytes(b"other weights")
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        presets.install_weights(export.parent)


def test_shipped_configurations_name_no_folder_of_one_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in EMBEDDED.rglob("config.json"):
        assert "_name_or_path" not in json.loads(path.read_text()), path
    monkeypatch.setattr(presets, "WEIGHTS", tmp_path / "weights")
    shutil.copytree(EMBEDDED, tmp_path / "weights" / "embedded")
    export = tmp_path / "export"
    shutil.copytree(EMBEDDED / "vae", export / "vae")
    config = json.loads((export / "vae" / "config.json").read_text())
    (export / "vae" / "config.json").write_text(json.dumps({**config, "_name_or_path": str(tmp_path)}))
    presets.install_weights(export)
    assert json.loads((tmp_path / "weights" / "embedded" / "vae" / "config.json").read_text()) == config
    presets.verify_weights(tmp_path / "weights" / "embedded")


def test_weights_stored_in_half_are_used_in_float(tmp_path: Path) -> None:
    shutil.copytree(EMBEDDED, tmp_path / "embedded")
    for path in (tmp_path / "embedded").rglob("*.safetensors"):
        save_file({k: v.half() for k, v in load_file(path).items()}, path)
    backend = presets.load_backend("embedded", weights=tmp_path / "embedded")
    models = (backend.planner.model, backend.planner.codec.vae, backend.shots.model)
    assert {p.dtype for model in models for p in model.parameters()} == {torch.float32}
