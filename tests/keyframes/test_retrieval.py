import json

import numpy as np
import pytest
import torch

from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.errors import WeightsError
from captain_cinema.keyframes.retrieval import (
    Retriever,
    RetrieverConfig,
    contrastive_loss,
    load_retriever,
    new_retriever,
    save_retriever,
)

SMALL = RetrieverConfig(image_size=32, hidden=24, layers=1, heads=2, projection=16, text_hidden=32)


@pytest.fixture(scope="module")
def retriever() -> Retriever:
    torch.manual_seed(3)
    return new_retriever(SMALL, PhraseEncoder())


def frame(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (128, 256, 3), dtype=np.uint8)


def test_the_embedded_encoder_is_small():
    model = new_retriever()
    assert sum(p.numel() for p in model.parameters()) < 700_000
    assert model.embed_frame(frame(0)).shape == (64,)


def test_embeddings_are_unit_vectors_that_repeat(retriever: Retriever):
    for vector in (retriever.embed_frame(frame(1)), retriever.embed_caption("a cave at night")):
        assert vector.shape == (16,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(retriever.embed_frame(frame(1)), retriever.embed_frame(frame(1)))
    assert not np.allclose(retriever.embed_frame(frame(1)), retriever.embed_frame(frame(1) // 2))


def test_captions_are_embedded_without_names(retriever: Retriever):
    assert np.array_equal(
        retriever.embed_caption("<Ada> waves in a cave"), retriever.embed_caption("<Bo> waves in a cave")
    )


def test_saved_and_loaded_it_is_the_same(retriever: Retriever, tmp_path):
    save_retriever(retriever, tmp_path)
    loaded = load_retriever(tmp_path, retriever.text)
    assert np.array_equal(loaded.embed_frame(frame(1)), retriever.embed_frame(frame(1)))
    assert np.array_equal(loaded.embed_caption("a cave"), retriever.embed_caption("a cave"))
    assert torch.equal(loaded.logit_scale, retriever.logit_scale)


@pytest.mark.parametrize("file", ["image_encoder/model.safetensors", "text_projection/model.safetensors"])
@pytest.mark.parametrize("harm", ["cut", "remove"])
def test_damaged_weights_get_one_line(retriever: Retriever, tmp_path, file: str, harm: str):
    save_retriever(retriever, tmp_path)
    path = tmp_path / file
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        path.unlink()
    with pytest.raises(WeightsError, match="retrieval weights") as caught:
        load_retriever(tmp_path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_size_are_refused(retriever: Retriever, tmp_path):
    save_retriever(retriever, tmp_path)
    sizes = tmp_path / "text_projection" / "config.json"
    sizes.write_text(json.dumps({"hidden": 8, "projection": 16}))
    with pytest.raises(WeightsError, match="retrieval weights"):
        load_retriever(tmp_path)


def test_the_loss_is_clips():
    scale = torch.tensor(2.0).log()
    right = torch.eye(3)
    value = contrastive_loss(right, right, scale)
    assert value == pytest.approx(float(np.log(np.e**2 + 2) - 2), abs=1e-5)
    assert contrastive_loss(right, right.roll(1, 0), scale) > value


def test_pictures_that_fit_as_well_do_not_count_as_wrong():
    scale = torch.tensor(1.0)
    twins = torch.eye(3)[[0, 0, 2]]
    same = torch.zeros(3, 3, dtype=torch.bool)
    same[0, 1] = same[1, 0] = True
    assert contrastive_loss(twins, twins, scale, same=same) < contrastive_loss(twins, twins, scale)


def test_it_learns_which_picture_fits():
    torch.manual_seed(0)
    model = new_retriever(SMALL, PhraseEncoder())
    colours = {"red": (220, 30, 30), "green": (30, 200, 60), "blue": (30, 60, 220), "white": (240, 240, 240)}
    pixels = model.to_pixels([np.full((64, 128, 3), rgb, np.uint8) for rgb in colours.values()])
    sentences = model.text.sentence([f"a {name} wall" for name in colours])
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(60):
        loss = contrastive_loss(
            model.image_features(pixels), model.text_features(sentences), model.logit_scale
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    scores = model.image_features(pixels) @ model.text_features(sentences).T
    assert scores.argmax(1).tolist() == [0, 1, 2, 3]
