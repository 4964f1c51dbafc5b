"""The dataset in the hands of PyTorch and of Hugging Face `datasets`."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import CinemaError
from captain_cinema.films.records import Role
from captain_cinema.films.store.index import ROWS
from captain_cinema.films.store.paths import CACHE
from captain_cinema.films.store.reader import Dataset, read_jpeg
from captain_cinema.films.store.records import place_of
from captain_cinema.films.store.shards import ShardFiles

if TYPE_CHECKING:
    import datasets

    from captain_cinema.films.store.torch_keyframes import TorchKeyframes


def as_torch(dataset: Dataset, *, height: int | None = None, role: Role | None = None) -> TorchKeyframes:
    """All kept keyframes as a map-style PyTorch dataset in film order; a DataLoader's workers may share it.

    A sample has `image` (uint8 [h, w, 3], RGB), `caption`, `film`, `shot`, `role` and `seconds`.

    Args:
        dataset: the dataset.
        height: of every picture, which is twice as wide, so that samples can be stacked; None leaves the
            stored sizes.
        role: keyframes of this role alone.
    """
    from captain_cinema.films.store.torch_keyframes import TorchKeyframes

    return TorchKeyframes(dataset, height=height, role=role)


class WithPicture:
    """Adds `image` to rows of the index, as PIL pictures; a function that pickles."""

    def __init__(self, path: Path) -> None:
        self.shards = ShardFiles(path)

    def __call__(self, rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """A batch as `datasets` hands it over, by columns."""
        from PIL import Image

        count = len(next(iter(rows.values()), []))
        pictures = []
        for index in range(count):
            place = place_of({name: rows[name][index] for name in ("file", "offset", "size", "digest")})
            pictures.append(Image.open(io.BytesIO(read_jpeg(self.shards, place))))
        return {**rows, "image": pictures}


def as_hf(path: Path) -> datasets.Dataset:
    """The kept keyframes as a `datasets.Dataset`: the index is mapped, pictures are read when asked for.

    Raises:
        CinemaError: `datasets` is not installed.
        DatasetError: no dataset, or one that cannot be opened.
    """
    try:
        import datasets
        from datasets.table import InMemoryTable
    except ImportError as error:
        raise CinemaError(
            'Hugging Face `datasets` is not installed: run `pip install "captain-cinema[datasets]"`'
        ) from error
    dataset = Dataset(path)
    joined = path / CACHE / ROWS
    if joined.exists():
        found = datasets.Dataset.from_file(str(joined))
    else:  # a dataset that may only be read
        found = datasets.Dataset(InMemoryTable(dataset.table))
    return found.select(dataset.kept).with_transform(WithPicture(path))
