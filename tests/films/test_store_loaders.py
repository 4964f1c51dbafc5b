"""The dataset in other hands: PyTorch's DataLoader, Hugging Face `datasets`, WebDataset readers."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from stored import film_record, make_dataset

from captain_cinema.films.store.export import export_webdataset
from captain_cinema.films.store.loaders import as_hf, as_torch
from captain_cinema.films.store.paths import DatasetError
from captain_cinema.films.store.reader import Dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset(make_dataset(tmp_path_factory.mktemp("loaders") / "data"))


def read_webdataset(folder: Path) -> list[dict[str, Any]]:
    """All samples of a folder of tars, as others read them."""
    from datasets import load_dataset

    files = [str(path) for path in sorted(folder.glob("*.tar"))]
    return list(load_dataset("webdataset", data_files=files, streaming=True, split="train"))


def test_pytorch_reads_it_with_worker_processes(dataset: Dataset) -> None:
    from torch.utils.data import DataLoader

    keyframes = as_torch(dataset, height=32)
    here = [keyframes[index] for index in range(len(keyframes))]  # opens the shards in this process first
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of newer Pythons, about forks beside threads
        batches = list(DataLoader(keyframes, batch_size=4, num_workers=2, shuffle=False))
    assert len(here) == 16
    assert [tuple(batch["image"].shape) for batch in batches] == [(4, 32, 64, 3)] * 4
    images = np.concatenate([batch["image"].numpy() for batch in batches])
    assert all(np.array_equal(image, one["image"].numpy()) for image, one in zip(images, here, strict=True))
    assert [caption for batch in batches for caption in batch["caption"]] == [one["caption"] for one in here]


def test_pytorch_takes_one_role_at_its_own_size(dataset: Dataset) -> None:
    middles = as_torch(dataset, role="middle")
    assert [middles[index]["role"] for index in range(len(middles))] == ["middle"] * 8
    assert tuple(middles[0]["image"].shape) == (60, 120, 3)
    assert as_torch(dataset, role="first")[0]["role"] == "first"


def test_hugging_face_maps_the_index_and_reads_pictures_when_asked(dataset: Dataset) -> None:
    found = as_hf(dataset.path)
    assert len(found) == 16
    row = found[9]
    assert (row["film"], row["shot"], row["caption"]) == (
        film_record(1).id,
        1,
        "<Mara> waits; first of shot 1.",
    )
    assert np.array_equal(np.asarray(row["image"]), dataset.image(dataset.keyframe(9)))
    assert set(found["verdict"]) == {"kept"}
    again = pickle.loads(pickle.dumps(found))
    assert again[3]["image"].size == (120, 60)
    shuffled = found.shuffle(seed=1)
    assert sorted(shuffled["key"]) == sorted(found["key"]) != list(shuffled["key"])


def test_hugging_face_loads_the_files_themselves(dataset: Dataset, tmp_path: Path) -> None:
    from datasets import load_dataset

    rows = load_dataset(
        "parquet",
        data_files=str(dataset.path / "index" / "*.parquet"),
        cache_dir=str(tmp_path),
        split="train",
    )
    assert sum(row["verdict"] == "kept" for row in rows) == 16
    found = read_webdataset(dataset.path / "shards")
    assert len(found) == 16
    assert found[0]["jpg"].size == (120, 60)
    assert found[0]["json"]["caption"] == dataset.keyframe(0).caption


def test_an_export_holds_every_kept_keyframe_once(dataset: Dataset, tmp_path: Path) -> None:
    done = export_webdataset(dataset, tmp_path / "out", shard_bytes=20_000)
    shards = sorted(str(path) for path in (tmp_path / "out").iterdir())
    assert (done.shards, done.samples, done.keyframes) == (len(shards), 16, 16)
    assert len(shards) > 2
    assert max(Path(shard).stat().st_size for shard in shards) <= 20_000
    read = read_webdataset(tmp_path / "out")
    assert [sample["__key__"] for sample in read] == [
        sample["key"] for sample in as_hf(dataset.path).with_format(None)
    ]
    for index, sample in enumerate(read):
        assert np.array_equal(np.asarray(sample["jpg"]), dataset.image(dataset.keyframe(index)))
        assert sample["json"]["film_caption"].startswith("<Mara> looks for her lantern")


def test_an_interleaved_export_keeps_story_order(dataset: Dataset, tmp_path: Path) -> None:
    done = export_webdataset(dataset, tmp_path / "out", shots=3, seed=1)
    assert (done.samples, done.keyframes) == (4, 12)
    first, second, *_ = read_webdataset(tmp_path / "out")
    said = first["json"]
    assert [record["shot"] for record in said["keyframes"]] == [1, 2, 4]
    assert said["captions"][0] == "<Mara> waits; middle of shot 1."
    assert [member["name"] for member in said["cast"]] == ["Mara", "Old Tom"]
    assert {"00.jpg", "01.jpg", "02.jpg"} <= first.keys()
    assert [record["shot"] for record in second["json"]["keyframes"]] == [4, 5, 6]


def test_an_export_never_mixes_with_other_files(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(DatasetError, match="holds other files"):
        export_webdataset(dataset, tmp_path)
    with pytest.raises(DatasetError, match="samples of 0 shots"):
        export_webdataset(dataset, tmp_path / "out", shots=0)


def test_an_export_that_fails_leaves_nothing(tmp_path: Path) -> None:
    opened = Dataset(make_dataset(tmp_path / "data"))
    shard = next((tmp_path / "data" / "shards").glob(f"{film_record(1).id}-*"))
    shard.unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        export_webdataset(opened, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]
