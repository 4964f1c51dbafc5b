"""Records as JSON objects and as rows of the index."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from captain_cinema.films.records import Crop, Cut, FilmRecord, KeyframeRecord, Role

ROLES: tuple[Role, ...] = ("middle", "first")
"""In the order in which the index holds them, within a shot."""

CROP = ("left", "top", "width", "height")

SCHEMA = pa.schema(
    [
        ("key", pa.string()),
        ("film", pa.string()),
        ("shot", pa.int32()),
        ("role", pa.string()),
        ("frame", pa.int64()),
        ("seconds", pa.float64()),
        ("start", pa.float64()),
        ("end", pa.float64()),
        *((f"{name}_{side}", pa.int32()) for name in ("border", "crop") for side in CROP),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("verdict", pa.string()),
        ("reason", pa.string()),
        ("replaced", pa.string()),
        ("caption", pa.string()),
        ("characters", pa.list_(pa.string())),
        ("annotator", pa.string()),
        ("hash", pa.string()),
        ("luma", pa.float32()),
        ("sharpness", pa.float32()),
        ("file", pa.string()),
        ("offset", pa.int64()),
        ("size", pa.int64()),
        ("digest", pa.string()),
    ]
)
"""`file`, `offset` and `size` say where the JPEG's bytes lie, `digest` is the start of their sha256."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the bytes of a picture lie."""

    file: str
    """Relative to the dataset; empty if it was not kept."""
    offset: int
    size: int
    digest: str
    """First 16 digits of the sha256 of the bytes."""


NOWHERE = Place(file="", offset=0, size=0, digest="")


def keyframe_key(film: str, shot: int, role: str) -> str:
    """The name of a keyframe, in the index and in every shard."""
    return f"{film}-{shot:05d}-{role}"


def sort_key(record: KeyframeRecord) -> tuple[int, int]:
    """Story order, within a film."""
    return record.shot, ROLES.index(record.role)


def text(value: str) -> str:
    """Text that any reader takes: what is no Unicode is escaped."""
    return value.encode("utf-8", "backslashreplace").decode()


def keyframe_row(record: KeyframeRecord, place: Place) -> dict[str, Any]:
    """A row of the index."""
    row: dict[str, Any] = {
        name: value for name, value in vars(record).items() if name not in ("border", "crop")
    }
    for name, crop in (("border", record.border), ("crop", record.crop)):
        row |= {f"{name}_{side}": getattr(crop, side) for side in CROP}
    row |= {name: text(row[name]) for name in ("reason", "replaced", "caption", "annotator")}
    row["characters"] = [text(name) for name in record.characters]
    return row | {"key": keyframe_key(record.film, record.shot, record.role)} | asdict(place)


def keyframe_of(row: Mapping[str, Any]) -> KeyframeRecord:
    """The record that a row of the index holds."""
    crops: dict[str, Any] = {
        name: Crop(**{side: row[f"{name}_{side}"] for side in CROP}) for name in ("border", "crop")
    }
    plain: dict[str, Any] = {
        name: row[name] for name in KeyframeRecord.__dataclass_fields__ if name not in ("border", "crop")
    }
    plain["characters"] = tuple(row["characters"] or ())
    return KeyframeRecord(**plain, **crops)


def place_of(row: Mapping[str, Any]) -> Place:
    """Where the bytes of a row's picture lie."""
    return Place(file=row["file"], offset=row["offset"], size=row["size"], digest=row["digest"])


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of the index's schema."""
    return pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)


def film_dict(record: FilmRecord) -> dict[str, Any]:
    """A film's record as JSON holds it."""
    return asdict(record)


def film_of(value: Mapping[str, Any]) -> FilmRecord:
    """The film's record in a JSON object; fields of later versions are passed over.

    Raises:
        TypeError, ValueError, KeyError, AttributeError: it is none.
    """
    known: dict[str, Any] = {name: value[name] for name in FilmRecord.__dataclass_fields__ if name in value}
    known["cuts"] = tuple(Cut(**cut) for cut in value.get("cuts", ()))
    for name in ("cast", "versions"):
        known[name] = tuple((str(key), str(said)) for key, said in value.get(name, ()))
    return FilmRecord(**known)
