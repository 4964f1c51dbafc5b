"""Second thoughts about a finished film: other verdicts, captions or characters, the same pictures."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from captain_cinema.films.records import FilmRecord, KeyframeRecord
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.index import read_index
from captain_cinema.films.store.paths import DatasetError
from captain_cinema.films.store.pictures import EncodedPicture, decode_jpeg, jpeg_digest, preview
from captain_cinema.films.store.records import keyframe_key, keyframe_of, place_of
from captain_cinema.films.store.shards import ShardFiles
from captain_cinema.films.store.tar import members
from captain_cinema.films.store.writer import SHARD_BYTES, FilmWriter, film_path, stored_film


def film_keyframes(dataset: Path, film: str) -> list[KeyframeRecord]:
    """A finished film's keyframes, kept and dropped, out of its own index."""
    stored = stored_film(film_path(dataset, film))
    return [keyframe_of(row) for row in read_index(dataset / stored.index).to_pylist()]


def revise_film(
    dataset: Path,
    film: str,
    keyframes: Sequence[KeyframeRecord],
    *,
    record: FilmRecord | None = None,
    shard_bytes: int = SHARD_BYTES,
) -> FilmRecord:
    """Put other records in the place of a finished film's, without decoding it again.

    The stored bytes of the pictures stay as they are, so the result is that of a film that was written with
    these records in the first place. At once or not at all, as everything that is written.

    Args:
        dataset: the dataset's folder.
        film: the film's id.
        keyframes: one for every keyframe that the film has.
        record: the film's own record, if that changes too.
        shard_bytes: a shard's size at most.

    Raises:
        DatasetError: a picture that was dropped cannot come back, since only its preview is there.
    """
    stored = stored_film(film_path(dataset, film))
    rows = {row["key"]: row for row in read_index(dataset / stored.index).to_pylist()}
    given = {keyframe_key(k.film, k.shot, k.role): k for k in keyframes}
    if given.keys() != rows.keys():
        raise ValueError(f"film {film} has {len(rows)} keyframes; all of them are revised, or none")
    record = record or stored.record
    if record == stored.record and all(keyframe_of(rows[key]) == given[key] for key in rows):
        return record
    small = read_previews(dataset, stored.files)
    shards = ShardFiles(dataset)
    try:
        with FilmWriter(dataset, record, FilmSettings(), shard_bytes=shard_bytes) as writer:
            for key, row in rows.items():
                keyframe, place = given[key], place_of(row)
                if keyframe.verdict == "kept" and not place.file:
                    raise DatasetError(f"keyframe {key} was dropped and is not stored; build its film again")
                jpeg = shards.read(place.file, place.offset, place.size) if place.file else b""
                if jpeg and jpeg_digest(jpeg) != place.digest:
                    raise DatasetError(f"the shard {place.file} is damaged; build its film again")
                picture = EncodedPicture(
                    jpeg=jpeg,
                    width=keyframe.width,
                    height=keyframe.height,
                    small=small.get(f"{key}.jpg") or preview(decode_jpeg(jpeg)),
                    whole=small.get(f"{key}.whole.jpg", b""),
                )
                writer.add_encoded(picture, keyframe)
            return writer.finish(replace(record))
    finally:
        shards.close()


def read_previews(dataset: Path, files: Iterable[str]) -> dict[str, bytes]:
    """The small pictures of a film, by their names in the tar; those that can be read."""
    found: dict[str, bytes] = {}
    for name in files:
        if not name.startswith("previews/"):
            continue
        try:
            places = list(members(dataset / name))
            with (dataset / name).open("rb") as file:
                for place in places:
                    file.seek(place.offset)
                    found[place.name] = file.read(place.size)
        except (OSError, tarfile.TarError):
            continue
    return found
