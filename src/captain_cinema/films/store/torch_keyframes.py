"""The dataset's keyframes as a PyTorch dataset; apart, so that reading needs no PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.data import Dataset as TorchDataset

from captain_cinema.films.records import Role
from captain_cinema.films.store.pictures import resize
from captain_cinema.films.store.reader import Dataset


class TorchKeyframes(TorchDataset[dict[str, Any]]):
    """See `loaders.as_torch`."""

    def __init__(self, dataset: Dataset, *, height: int | None, role: Role | None) -> None:
        self.dataset, self.height = dataset, height
        self.rows = dataset.kept_rows(role)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = int(self.rows[index])
        record = self.dataset.record_at(row)
        image = self.dataset.image_at(row)
        if self.height is not None:
            image = resize(image, 2 * self.height, self.height)
        return {
            "image": torch.from_numpy(image),
            "caption": record.caption,
            "film": record.film,
            "shot": record.shot,
            "role": record.role,
            "seconds": record.seconds,
        }
