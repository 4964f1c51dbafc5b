"""A dataset as a WebDataset: numbered tars that stream in film order.

A sample is one keyframe (`KEY.jpg`, `KEY.json`), or an interleaved document of several shots of one film in
story order (`KEY.00.jpg`, `KEY.01.jpg`, ..., `KEY.json` with their captions).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from captain_cinema.films.records import Role
from captain_cinema.films.store.paths import DatasetError, flush
from captain_cinema.films.store.reader import Dataset, StoredKeyframes
from captain_cinema.films.store.records import keyframe_key
from captain_cinema.films.store.tar import ShardWriter
from captain_cinema.films.store.writer import SHARD_BYTES

Members = list[tuple[str, bytes]]


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What an export wrote."""

    folder: str
    shards: int
    samples: int
    keyframes: int
    bytes: int


def export_webdataset(
    dataset: Dataset,
    out: Path,
    *,
    shots: int | None = None,
    role: Role | None = None,
    seed: int | None = None,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> Exported:
    """Write a dataset's kept keyframes into numbered tars in a new folder, at once or not at all.

    Args:
        dataset: the dataset.
        out: a folder that is not there yet, or empty.
        shots: keyframes of a sample, one a shot, in story order; None makes every keyframe a sample.
        role: keyframes of this role; None takes both (of a sample of several shots: the middle ones).
        seed: shuffles the films; None keeps the order of their names.
        shard_bytes: a tar's size at most.
        progress: told of films done and all of them.

    Raises:
        DatasetError: the folder holds something, or the dataset is damaged.
    """
    if shots is not None and shots < 1:
        raise DatasetError(f"samples of {shots} shots cannot be; give 1 or more")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DatasetError(f"{out} holds other files; name a new folder for the export")
    part = out.with_name(f".{out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    writer = ShardWriter(part, limit=shard_bytes)
    samples = keyframes = 0
    try:
        total = len(dataset.film_ids())
        for done, film in enumerate(dataset.stream(seed=seed, role=role or "middle"), start=1):
            made = single_samples(dataset, film.id, role) if shots is None else interleaved(film, shots)
            for count, members in made:
                writer.add(members)
                samples, keyframes = samples + 1, keyframes + count
            if progress is not None:
                progress(done, total)
        writer.close()
        size = sum(path.stat().st_size for path in writer.paths)
        for path in writer.paths:
            flush(path)
        if out.exists():
            out.rmdir()
        part.rename(out)
        flush(out.parent)
    except BaseException:
        writer.discard()
        shutil.rmtree(part, ignore_errors=True)
        raise
    return Exported(
        folder=str(out), shards=len(writer.paths), samples=samples, keyframes=keyframes, bytes=size
    )


def single_samples(dataset: Dataset, film: str, role: Role | None) -> Iterator[tuple[int, Members]]:
    """Every kept keyframe of a film, with all that the index says of it."""
    caption = dataset.film(film).caption
    for record in dataset.keyframes(film):
        if role is None or record.role == role:
            key = keyframe_key(record.film, record.shot, record.role)
            said = _json({"key": key, "film_caption": caption, **asdict(record)})
            yield 1, [(f"{key}.jpg", dataset.jpeg_at(dataset.row(record))), (f"{key}.json", said)]


def interleaved(film: StoredKeyframes, shots: int) -> Iterator[tuple[int, Members]]:
    """A film's shots in documents of so many. The last one reaches back, so that all are of one length, which
    some readers insist on; only a film with fewer shots gives a shorter one.
    """
    whole = film.dataset.film(film.id)
    for start in range(0, len(film), shots):
        end = min(start + shots, len(film))
        indices = range(max(0, end - shots), end)
        key = f"{film.id}-{start:05d}"
        records = [asdict(film.record(index)) for index in indices]
        said = _json(
            {
                "key": key,
                "film": film.id,
                "film_caption": whole.caption,
                "cast": [{"name": name, "description": text} for name, text in whole.cast],
                "captions": [record["caption"] for record in records],
                "keyframes": records,
            }
        )
        pictures = [
            (f"{key}.{place:02d}.jpg", film.dataset.jpeg_at(int(film.rows[index])))
            for place, index in enumerate(indices)
        ]
        yield len(records), [*pictures, (f"{key}.json", said)]


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
