"""The shots in motion, for the shot model (section 3.3): by reference, or encoded again, small, for training.

A clip by reference is the film's own file and two time codes. `encode_clips` reads a film once, from front to
end, and writes every shot as a small H.264 film into tars of bounded size, so that training needs no seek
into a long film, nor the film itself.

    clips/<film id>-<generation>-00000.tar   one mp4 a shot
    clips/<film id>.parquet                  the last one written: what it does not name is a leftover
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import UInt8

from captain_cinema.films.decode import decode
from captain_cinema.films.frame import Frame
from captain_cinema.films.media import MediaError, digest, probe
from captain_cinema.films.records import Crop, FilmRecord
from captain_cinema.films.store.paths import PARTS, DatasetError, file_digest, flush, written_aside
from captain_cinema.films.store.pictures import resize
from captain_cinema.films.store.reader import Dataset, read_jpeg
from captain_cinema.films.store.records import Place
from captain_cinema.films.store.tar import ShardWriter
from captain_cinema.films.store.writer import SHARD_BYTES, film_path, stored_film

SCHEMA = pa.schema(
    [
        ("shot", pa.int32()),
        ("frames", pa.int32()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("digest", pa.string()),
    ]
)
MARK = b"made_of"
ENCODER = {"crf": "18", "preset": "veryfast", "x264-params": "threads=1"}


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A shot in motion."""

    film: str
    shot: int
    path: str
    """The film's own file."""
    start: float
    """Seconds after the film's first frame."""
    end: float
    crop: Crop
    """The 2:1 part of the upright frame."""
    stored: Place | None = None
    """Where the shot lies encoded again."""
    frames: int = 0
    """Of the shot as it is stored."""


@dataclass(frozen=True, kw_only=True)
class ClipSettings:
    """How shots are encoded again."""

    height: int = 128
    """They are twice as wide."""
    fps: int = 12
    seconds: float = 10.0
    """Of a shot at most, from its start."""

    def __post_init__(self) -> None:
        if self.height < 64 or self.height % 64 or self.fps < 1 or self.seconds <= 0:
            # Of other sizes x264 was seen to make other bytes of the same pictures from run to run.
            raise DatasetError("clips have a height that is a multiple of 64, at least 1 frame a second")


def clips(dataset: Dataset, film: str) -> list[Clip]:
    """The shots of a film that kept a keyframe, by reference, and as they are stored if they were encoded."""
    record = dataset.film(film)
    stored = _stored(dataset.path, film)
    found: dict[int, Clip] = {}
    for keyframe in dataset.keyframes(film):
        place, frames = stored.get(keyframe.shot, (None, 0))
        found.setdefault(
            keyframe.shot,
            Clip(
                film=film,
                shot=keyframe.shot,
                path=record.path,
                start=keyframe.start,
                end=keyframe.end,
                crop=keyframe.crop,
                stored=place,
                frames=frames,
            ),
        )
    return [found[shot] for shot in sorted(found)]


def clip_frames(
    dataset: Dataset, clip: Clip, settings: ClipSettings | None = None
) -> UInt8[np.ndarray, "frames h w 3"]:
    """A shot's frames, RGB: as they are stored, or out of the film itself.

    Args:
        dataset: the dataset.
        clip: the shot.
        settings: size, rate and length of a clip by reference; a stored one comes as it was stored.

    Raises:
        DatasetError: the stored bytes are damaged, or the film is not there any more.
    """
    if clip.stored is not None:
        with av.open(io.BytesIO(read_jpeg(dataset.shards, clip.stored)), "r") as container:
            return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
    path = Path(clip.path)
    settings = settings or ClipSettings()
    try:
        frames, _ = decode(path, probe(path), start=clip.start, end=clip.end)
        # Counted from the film's start or from `start`, the first frame that comes is the shot's first.
        found = list(_thinned(frames, clip.end - clip.start, clip.crop, settings))
    except (MediaError, OSError) as error:
        raise DatasetError(
            f"the film {clip.path} cannot be read ({error}); clips were not encoded"
        ) from error
    if not found:
        raise DatasetError(f"the film {clip.path} has no frame of shot {clip.shot} any more; build it again")
    return np.stack(found)


def encode_clips(
    dataset: Dataset,
    film: str,
    settings: ClipSettings | None = None,
    *,
    shard_bytes: int = SHARD_BYTES,
    progress: Callable[[int, int], None] | None = None,
) -> int:
    """Encode the shots of a film that kept a keyframe; nothing is done if they are there already.

    Args:
        dataset: the dataset.
        film: the film's id.
        settings: size, rate and length.
        shard_bytes: a tar's size at most.
        progress: told of shots done and all of them.

    Returns:
        Shots that are stored now.

    Raises:
        DatasetError: the film is not where it was, or is another one.
    """
    settings = settings or ClipSettings()
    mark = _mark(dataset.path, film, settings)
    if (known := _stored(dataset.path, film, mark)) or not (wanted := clips(dataset, film)):
        return len(known)
    path = _source(dataset.film(film))
    (dataset.path / PARTS).mkdir(exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{film}-clips-", dir=dataset.path / PARTS))
    shards = ShardWriter(folder, limit=shard_bytes)
    rows: list[dict[str, Any]] = []
    try:
        for clip, made, count in _encoded(path, wanted, settings):
            tar, members = shards.add([(f"{film}-{clip.shot:05d}.mp4", made)])
            place = {"file": tar.name, "offset": members[0].offset, "size": members[0].size}
            short = hashlib.sha256(made).hexdigest()[:16]
            rows.append({"shot": clip.shot, "frames": count, "digest": short, **place})
            if progress is not None:
                progress(len(rows), len(wanted))
        shards.close()
        _commit(dataset.path, film, shards.paths, rows, mark)
    finally:
        shards.discard()
        shutil.rmtree(folder, ignore_errors=True)
    return len(rows)


def _source(record: FilmRecord) -> Path:
    path = Path(record.path)
    try:
        same = path.stat().st_size == record.size and digest(path) == record.digest
    except (OSError, MediaError) as error:
        raise DatasetError(f"the film {record.path} is not there; put it back to encode its clips") from error
    if not same:
        raise DatasetError(f"the film {record.path} is not the one that was read; build the dataset again")
    return path


def _mark(dataset: Path, film: str, settings: ClipSettings) -> bytes:
    """What clips are made of: this state of the film's index, these settings."""
    index = stored_film(film_path(dataset, film)).index
    return f"{index} {settings.height} {settings.fps} {settings.seconds:g}".encode()


def _stored(dataset: Path, film: str, mark: bytes | None = None) -> dict[int, tuple[Place, int]]:
    """Shots that are encoded, of the film as it is in the dataset now."""
    try:
        table = pq.read_table(dataset / "clips" / f"{film}.parquet")
    except (OSError, pa.ArrowInvalid):
        return {}
    found = (table.schema.metadata or {}).get(MARK, b"")
    index = stored_film(film_path(dataset, film)).index
    if found.split(b" ")[0].decode() != index or (mark is not None and found != mark):
        return {}
    rows = table.to_pylist()
    if not all((dataset / name).is_file() for name in {row["file"] for row in rows}):
        return {}
    places = ("file", "offset", "size", "digest")
    return {row["shot"]: (Place(**{name: row[name] for name in places}), row["frames"]) for row in rows}


def _commit(dataset: Path, film: str, tars: list[Path], rows: list[dict[str, Any]], mark: bytes) -> None:
    generation = hashlib.sha256(mark + b"".join(file_digest(tar).encode() for tar in tars)).hexdigest()[:8]
    room = dataset / "clips"
    room.mkdir(exist_ok=True)
    named = {tar.name: f"clips/{film}-{generation}-{tar.name}" for tar in tars}
    for tar in tars:
        flush(tar)
        os.replace(tar, dataset / named[tar.name])
    table = pa.Table.from_pylist([{**row, "file": named[row["file"]]} for row in rows], schema=SCHEMA)
    with written_aside(room / f"{film}.parquet") as part:
        pq.write_table(table.replace_schema_metadata({MARK: mark}), part)
    for old in room.glob(f"{film}-*.tar"):
        if f"clips/{old.name}" not in named.values():
            with suppress(OSError):
                old.unlink()


def unnamed_clips(dataset: Path) -> list[str]:
    """Clips that belong to no film as the dataset has it now."""
    named: set[str] = set()
    for index in (dataset / "clips").glob("*.parquet"):
        with suppress(DatasetError):
            stored = _stored(dataset, index.stem)
            named.update(place.file for place, _ in stored.values())
            named.update([f"clips/{index.name}"] if stored else [])
    return sorted(
        f"clips/{path.name}"
        for path in (dataset / "clips").glob("*.*")
        if f"clips/{path.name}" not in named and not path.name.startswith(".")
    )


def _encoded(path: Path, wanted: list[Clip], settings: ClipSettings) -> Iterator[tuple[Clip, bytes, int]]:
    """Every wanted shot as an mp4, in one pass over the film."""
    frames, _ = decode(path, probe(path))
    waiting = iter(wanted)
    clip = next(waiting, None)
    taken: list[np.ndarray] = []
    for frame in frames:
        while clip is not None and frame.seconds >= clip.end - 1e-6:
            if taken:
                yield clip, _mp4(taken, settings), len(taken)
            clip, taken = next(waiting, None), []
        if clip is None:
            break
        if frame.seconds >= clip.start - 1e-6:
            taken += _due(frame, frame.seconds - clip.start, len(taken), clip.crop, settings)
    if clip is not None and taken:
        yield clip, _mp4(taken, settings), len(taken)


def _thinned(
    frames: Iterable[Frame], length: float, crop: Crop, settings: ClipSettings
) -> Iterator[np.ndarray]:
    first: float | None = None
    count = 0
    for frame in frames:
        first = frame.seconds if first is None else first
        if frame.seconds - first >= length - 1e-6:
            return
        for picture in _due(frame, frame.seconds - first, count, crop, settings):
            count += 1
            yield picture


def _due(frame: Frame, since: float, taken: int, crop: Crop, settings: ClipSettings) -> list[np.ndarray]:
    """The frame, cut out and reduced, as often as the clip's rate asks for it by now."""
    limit = round(settings.seconds * settings.fps)
    due = min(limit, int(since * settings.fps + 1e-6) + 1) - taken
    if due <= 0:
        return []
    image = frame.full()[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    return [resize(np.ascontiguousarray(image), 2 * settings.height, settings.height)] * due


def _mp4(pictures: list[np.ndarray], settings: ClipSettings) -> bytes:
    out = io.BytesIO()
    with av.open(out, "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream: Any = container.add_stream("libx264", rate=settings.fps)
        stream.width, stream.height, stream.pix_fmt = 2 * settings.height, settings.height, "yuv420p"
        stream.options = ENCODER
        stream.codec_context.thread_count = 1
        for number, picture in enumerate(pictures):
            planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, settings.fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return out.getvalue()
