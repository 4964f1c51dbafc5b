"""How should a dataset be stored: tar shards with a Parquet index, or Lance? And how long does it take to
open?

    python -m benchmarks.dataset [--keyframes 6000] [--rows 300000] [--output FILE]

Writes the same generated 400 x 800 JPEG keyframes both ways and reads 16 of them at random, as a training
sequence does: of one film, and of all. Warm reads come from the system's memory; before every cold one the
system is told to forget the files, by `posix_fadvise`. Reads of the two take turns. Then the index, at full
scale and at a tenth of it, over a few pictures that all its rows share: opening it for the first time and
again in a fresh process, 16 keyframes at random, and counting it all as `cinema dataset stats` does
(`--only index`: this alone; the rest of the result stays as it was).
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.hardware import hardware, peak_memory_gib
from captain_cinema.films.records import Crop, FilmRecord, KeyframeRecord
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.paths import FORMAT
from captain_cinema.films.store.pictures import EncodedPicture, decode_jpeg, encode_jpeg, jpeg_digest
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.records import (
    NOWHERE,
    ROLES,
    Place,
    film_dict,
    keyframe_row,
    rows_table,
)
from captain_cinema.films.store.stats import stats
from captain_cinema.films.store.writer import FilmWriter, create_dataset

HEIGHT, WIDTH = 400, 800
READS = 16
FILMS = 10
SHARED = "shards/shared.tar"
"""Where the rows of a generated index have their pictures."""
CROP = Crop(left=0, top=140, width=1600, height=800)


@dataclass(frozen=True, kw_only=True)
class Taken:
    """Seconds that something took."""

    wall: float
    cpu: float
    """Of all threads of this process: what holds on a machine that others use too."""


class Clock:
    """Starts when it is made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def taken(self) -> Taken:
        """Since then."""
        return Taken(wall=time.perf_counter() - self.wall, cpu=time.process_time() - self.cpu)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keyframes", type=int, default=6000)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--only", choices=["index"])
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder if left out")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "dataset-cpu.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        if options.only:
            before = json.loads(options.output.read_text("utf-8")) if options.output.exists() else {}
            result = {**before, **measure_index(Path(folder), options.rows)}
        else:
            result = measure(Path(folder), options.keyframes, options.rows, options.repeats)
    text = json.dumps(result, indent=2)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text + "\n", "utf-8")
    print(text)


def measure(folder: Path, keyframes: int, rows: int, repeats: int) -> dict[str, Any]:
    """Everything, in a folder of its own."""
    jpegs = folder / "jpegs.npz"
    sizes = generate(jpegs, keyframes)
    tar, lance = folder / "tar", folder / "lance"
    written = {"tar": alone(write_tar, tar, jpegs), "lance": alone(write_lance, lance, jpegs)}
    opened = {"tar": alone(open_tar, tar), "lance": alone(open_lance, lance)}
    read = alone(read_in_turns, tar, lance, repeats)
    return {
        "hardware": {
            **hardware(),
            "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
            "pyarrow": pa.__version__,
            "pylance": metadata.version("pylance"),
        },
        "keyframes": {
            "count": keyframes,
            "jpeg_mb": sum(sizes) / 1e6,
            "mean_kb": statistics.mean(sizes) / 1e3,
        },
        "written": written,
        "opened": opened,
        "random_reads_of_16": read,
        **measure_index(folder, rows),
    }


def measure_index(folder: Path, rows: int) -> dict[str, Any]:
    """The index at full scale, and at a tenth of it: what is linear takes a tenth of the time."""
    head = {**hardware(), "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None}
    shapes = {"few_long_films": (rows, 250), "many_short_films": (rows, 10_000)}
    shapes |= {
        "a_tenth_of_few_long_films": (rows // 10, 25),
        "a_tenth_of_many_short_films": (rows // 10, 1000),
    }
    return {
        "index_hardware": head,
        "index_alone": {
            name: alone(index_at_scale, folder / name, count, films)
            for name, (count, films) in shapes.items()
        },
    }


def alone(run: Callable[..., Any], *arguments: Any) -> Any:
    """Run in a fresh process, so that neither memory nor what is open is shared."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(run, *arguments).result()


def generate(path: Path, count: int) -> list[int]:
    """Pictures with soft shapes and film grain, about as many bytes as real keyframes have; no two alike."""
    rng = np.random.default_rng(0)
    jpegs: list[np.ndarray] = []
    for _ in range(count):
        rough = rng.integers(0, 256, (10, 20, 3)).astype(np.float32)
        image = cv2.resize(rough, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
        grain = cv2.resize(rng.normal(0, 8, (HEIGHT // 2, WIDTH // 2)).astype(np.float32), (WIDTH, HEIGHT))
        jpeg = encode_jpeg((image + grain[..., None]).clip(0, 255).astype(np.uint8), FilmSettings().quality)
        jpegs.append(np.frombuffer(jpeg, np.uint8))
    np.savez(path, data=np.concatenate(jpegs), sizes=[len(jpeg) for jpeg in jpegs])
    return [len(jpeg) for jpeg in jpegs]


def load_jpegs(path: Path) -> list[bytes]:
    """What `generate` made."""
    with np.load(path) as found:
        data, sizes = found["data"].tobytes(), found["sizes"]
    ends = np.cumsum(sizes)
    return [data[int(end - size) : int(end)] for end, size in zip(ends, sizes, strict=True)]


def film_record(number: int) -> FilmRecord:
    """A film of the generated dataset."""
    name = f"film {number:05d}.mp4"
    return FilmRecord(
        id=f"{number:016x}",
        name=name,
        path=f"films/{name}",
        digest=f"{number:064x}",
        size=1 << 30,
        verdict="ok",
    )


def keyframe_record(film: str, index: int) -> KeyframeRecord:
    """Keyframe `index` of a film."""
    shot, role = index // 2 + 1, ROLES[index % 2]
    return KeyframeRecord(
        film=film,
        shot=shot,
        role=role,
        frame=96 * shot,
        seconds=4.0 * shot,
        start=4.0 * shot - 2,
        end=4.0 * shot + 2,
        border=CROP,
        crop=CROP,
        width=WIDTH,
        height=HEIGHT,
        verdict="kept",
        caption=f"A wide shot at dusk. <Mara> walks along the harbour wall with a lantern, number {shot}; "
        "behind her the boats lie still, and <Old Tom> looks on from the door of the chandlery.",
        characters=("Mara", "Old Tom"),
        annotator="sidecar",
        hash=f"{index:016x}",
        luma=90.0,
        sharpness=12.0,
    )


def lance_library() -> Any:
    """Lance, which the project does not depend on."""
    try:
        return importlib.import_module("lance")
    except ImportError:
        raise SystemExit("this benchmark compares with Lance: run `pip install pylance`") from None


def write_tar(path: Path, jpegs: Path) -> dict[str, float]:
    """The project's dataset."""
    pictures = load_jpegs(jpegs)
    clock = Clock()
    settings = FilmSettings()
    create_dataset(path, settings)
    for number, part in enumerate(np.array_split(np.arange(len(pictures)), FILMS)):
        record = film_record(number)
        with FilmWriter(path, record, settings) as writer:
            for index, picture in enumerate(part):
                encoded = EncodedPicture(jpeg=pictures[picture], width=WIDTH, height=HEIGHT, small=b"")
                writer.add_encoded(encoded, keyframe_record(record.id, index))
            writer.finish(record)
    return {**asdict(clock.taken()), "mb": folder_bytes(path) / 1e6}


def write_lance(path: Path, jpegs: Path) -> dict[str, float]:
    """The same rows with the pictures in a column, a fragment a film, as a build by films appends them."""
    lance = lance_library()
    pictures = load_jpegs(jpegs)
    clock = Clock()
    for number, part in enumerate(np.array_split(np.arange(len(pictures)), FILMS)):
        record = film_record(number)
        rows = [keyframe_row(keyframe_record(record.id, index), NOWHERE) for index in range(len(part))]
        column = pa.array([pictures[picture] for picture in part], pa.large_binary())
        table = rows_table(rows).append_column("image", column)
        lance.write_dataset(table, str(path), mode="append" if number else "create")
    return {**asdict(clock.taken()), "mb": folder_bytes(path) / 1e6}


def folder_bytes(path: Path) -> int:
    """Bytes of all files."""
    return sum(p.stat().st_size for p in path.rglob("*") if p.is_file())


def open_tar(path: Path) -> dict[str, float]:
    """To the first picture: once as it was written, once with the joined index in place."""
    times: dict[str, float] = {}
    for name in ("first", "again"):
        forget(path)
        clock = Clock()
        dataset = Dataset(path)
        dataset.jpeg_at(len(dataset) // 2)
        times |= {f"{name}_{kind}_seconds": value for kind, value in asdict(clock.taken()).items()}
        dataset.close()
    return times


def open_lance(path: Path) -> dict[str, float]:
    """To the first picture, with the columns in memory that the choice of a sequence needs."""
    lance = lance_library()
    times: dict[str, float] = {}
    for name in ("first", "again"):
        forget(path)
        clock = Clock()
        dataset = lance.dataset(str(path))
        dataset.to_table(columns=["film", "shot", "role", "verdict"])
        dataset.take([dataset.count_rows() // 2], columns=["image"])
        times |= {f"{name}_{kind}_seconds": value for kind, value in asdict(clock.taken()).items()}
    return times


def forget(path: Path) -> None:
    """Ask the system to drop a folder's files from its memory."""
    for file in path.rglob("*"):
        if file.is_file() and hasattr(os, "posix_fadvise"):
            descriptor = os.open(file, os.O_RDONLY)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)


def read_in_turns(tar: Path, lance_path: Path, repeats: int) -> dict[str, Any]:
    """Milliseconds for 16 keyframes, read and checked, and decoded."""
    lance = lance_library()
    dataset, other = Dataset(tar), lance.dataset(str(lance_path))
    total = len(dataset)
    a_film = total // FILMS

    def from_tar(rows: Sequence[int]) -> list[bytes]:
        return [dataset.jpeg_at(row) for row in rows]

    def from_lance(rows: Sequence[int]) -> list[bytes]:
        return other.take(list(rows), columns=["image"])["image"].to_pylist()

    readers: dict[str, Callable[[Sequence[int]], list[bytes]]] = {"tar": from_tar, "lance": from_lance}
    check = sorted(range(0, total, max(1, total // READS)))[:READS]
    if from_tar(check) != from_lance(check):
        raise ValueError("the two hold different pictures")
    spreads = {"of_one_film": a_film, "of_all_films": total}
    result: dict[str, Any] = {}
    for spread, span in spreads.items():
        rng = np.random.default_rng(1)
        times: dict[str, list[Taken]] = {}
        for turn in range(repeats):
            base = int(rng.integers(total - span + 1))
            rows = sorted(int(i) for i in base + rng.choice(span, READS, replace=False))
            for name, read in readers.items():
                for warmth in ("cold", "warm"):
                    if warmth == "cold":
                        if turn % 10:
                            continue
                        forget(tar if name == "tar" else lance_path)
                    clock = Clock()
                    pictures = read(rows)
                    times.setdefault(f"{name}_{warmth}", []).append(clock.taken())
                clock = Clock()
                for picture in pictures:
                    decode_jpeg(picture)
                times.setdefault(f"{name}_decoding_alone", []).append(clock.taken())
        result[spread] = {name: spread_of(taken) for name, taken in times.items()}
    for name in readers:
        found = result["of_all_films"]
        both = [found[f"{name}_{part}"]["median_cpu_ms"] for part in ("warm", "decoding_alone")]
        result[f"{name}_keyframes_a_cpu_second"] = READS * 1000 / both[0]
        result[f"{name}_keyframes_a_cpu_second_decoded"] = READS * 1000 / sum(both)
    return result


def spread_of(times: Sequence[Taken]) -> dict[str, float]:
    """Median and 95th percentile, in milliseconds, and the median of the processor's time alone."""
    walls = [taken.wall for taken in times]
    return {
        "median_ms": statistics.median(walls) * 1000,
        "p95_ms": float(np.percentile(walls, 95)) * 1000,
        "median_cpu_ms": statistics.median(taken.cpu for taken in times) * 1000,
        "runs": len(walls),
    }


def index_at_scale(path: Path, rows: int, films: int) -> dict[str, Any]:
    """Opening an index of so many rows in so many films; they share a few pictures."""
    create_dataset(path, FilmSettings())
    each = rows // films
    template = index_table(each, write_pictures(path))
    for number in range(films):
        write_index(path, film_record(number), template)
    first = alone(open_index, path)
    return {
        "rows": each * films,
        "films": films,
        "index_mb": folder_bytes(path / "index") / 1e6,
        "joined_mb": folder_bytes(path / "cache") / 1e6,
        "first": first,
        "again": alone(open_index, path),
        "reads_of_16": alone(read_at_scale, path),
        "stats": alone(count_at_scale, path),
    }


def write_pictures(path: Path, count: int = 64) -> list[Place]:
    """A few pictures in one file."""
    (path / "cache").mkdir(exist_ok=True)
    generate(path / "cache" / "pictures.npz", count)
    places: list[Place] = []
    with (path / SHARED).open("wb") as file:
        for jpeg in load_jpegs(path / "cache" / "pictures.npz"):
            places.append(Place(file=SHARED, offset=file.tell(), size=len(jpeg), digest=jpeg_digest(jpeg)))
            file.write(jpeg)
    return places


def index_table(rows: int, places: Sequence[Place] = (NOWHERE,)) -> pa.Table:
    """The rows of one film, whose pictures lie in these places, again and again."""
    return rows_table(
        [keyframe_row(keyframe_record("FILM", i), places[i % len(places)]) for i in range(rows)]
    )


def read_at_scale(path: Path, turns: int = 50) -> dict[str, Any]:
    """16 keyframes of all films at random, read, checked and decoded."""
    dataset, rng = Dataset(path), np.random.default_rng(0)
    times: list[Taken] = []
    for _ in range(turns):
        rows = sorted(rng.integers(0, len(dataset), READS).tolist())
        clock = Clock()
        for row in rows:
            dataset.image_at(row)
        times.append(clock.taken())
    return spread_of(times)


def count_at_scale(path: Path) -> dict[str, Any]:
    """What `cinema dataset stats` takes, and what it finds."""
    clock = Clock()
    found = stats(path)
    return {**asdict(clock.taken()), "kept": found.kept, "peak_memory_gib": peak_memory_gib()}


def write_index(path: Path, record: FilmRecord, template: pa.Table) -> None:
    """A film's record and index, as the writer makes them, without shards."""
    table = template
    for column in ("key", "film"):
        values = [value.replace("FILM", record.id) for value in table[column].to_pylist()]
        table = table.set_column(table.schema.get_field_index(column), column, pa.array(values))
    name = f"index/{record.id}-0.parquet"
    pq.write_table(table, path / name, compression="zstd", write_statistics=False)
    listed = [{"path": name, "bytes": (path / name).stat().st_size, "sha256": "0" * 64}]
    value = {"format": FORMAT, "record": film_dict(record), "files": listed}
    (path / "films" / f"{record.id}.json").write_text(json.dumps(value, indent=1) + "\n", "ascii")


def open_index(path: Path) -> dict[str, float]:
    """Seconds to open and to the first record of the middle film, and the most memory held."""
    before = peak_memory_gib()
    clock = Clock()
    dataset = Dataset(path)
    opened = clock.taken()
    ids = dataset.film_ids()
    found = dataset.shots(ids[len(ids) // 2])
    return {
        "open_seconds": opened.wall,
        "open_cpu_seconds": opened.cpu,
        "first_film_seconds": clock.taken().wall - opened.wall,
        "keyframes": len(dataset),
        "shots_of_the_film": len(found),
        "peak_memory_gib": peak_memory_gib(),
        "peak_memory_before_gib": before,
    }


if __name__ == "__main__":
    main()
