"""A published CLIP embeds frames and captions; tiny and random here."""

import shutil
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from captain_cinema.errors import WeightsError
from captain_cinema.keyframes.clip import ClipRetriever, load_clip
from tests.backbone.published import write_clip


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """transformers warns about what is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clip")
    write_clip(place)
    return place


@pytest.fixture(scope="module")
def clip(folder: Path) -> ClipRetriever:
    return load_clip(folder)


def test_captions_are_embedded_as_transformers_does(clip: ClipRetriever):
    ids = clip.tokenizer(["waits in the rain"], return_tensors="pt")
    with torch.no_grad():
        wanted = clip.model.get_text_features(**ids)
    wanted = getattr(wanted, "pooler_output", wanted)[0].numpy()
    got = clip.embed_caption("<Mara> waits in the rain")  # no picture tells a name
    np.testing.assert_allclose(got, wanted / np.linalg.norm(wanted), rtol=1e-5)


def test_frames_are_embedded_whole(clip: ClipRetriever):
    frame = np.random.default_rng(0).integers(0, 256, (64, 128, 3), dtype=np.uint8)
    edge = frame.copy()
    edge[:, :8] = 255  # outside the middle square that CLIP's own preprocessing cuts out
    before, after = clip.embed_frame(frame), clip.embed_frame(edge)
    assert np.linalg.norm(before) == pytest.approx(1)
    assert np.linalg.norm(after - before) > 1e-3


def test_long_captions_are_cut(clip: ClipRetriever):
    assert clip.embed_caption("rain " * 200).shape == (6,)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tokenizer.json", "no tokenizer of the picture encoder"),
        ("model.safetensors", "no safetensors of the picture encoder"),
    ],
)
def test_a_missing_file_is_one_line(folder: Path, tmp_path: Path, name: str, message: str):
    place = Path(shutil.copytree(folder, tmp_path / "clip"))
    (place / name).unlink()
    with pytest.raises(WeightsError, match=message) as caught:
        load_clip(place)
    assert "\n" not in str(caught.value)
