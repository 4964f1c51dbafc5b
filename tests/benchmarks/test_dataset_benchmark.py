"""The dataset's benchmark writes what it says it reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import dataset as benchmark
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.reader import Dataset
from captain_cinema.films.store.writer import create_dataset


def test_the_dataset_holds_the_generated_pictures(tmp_path: Path) -> None:
    sizes = benchmark.generate(tmp_path / "jpegs.npz", 12)
    jpegs = benchmark.load_jpegs(tmp_path / "jpegs.npz")
    assert [len(jpeg) for jpeg in jpegs] == sizes
    assert len(set(jpegs)) == 12
    written = benchmark.write_tar(tmp_path / "tar", tmp_path / "jpegs.npz")
    assert written["mb"] > sum(sizes) / 1e6
    opened = Dataset(tmp_path / "tar")
    assert sorted(opened.jpeg_at(row) for row in range(len(opened))) == sorted(jpegs)


def test_a_synthetic_index_opens_as_a_real_one(tmp_path: Path) -> None:
    create_dataset(tmp_path, FilmSettings())
    template = benchmark.index_table(20, benchmark.write_pictures(tmp_path, 3))
    for number in range(3):
        benchmark.write_index(tmp_path, benchmark.film_record(number), template)
    found = benchmark.open_index(tmp_path)
    assert (found["keyframes"], found["shots_of_the_film"]) == (60, 10)
    assert found["open_seconds"] > 0
    assert benchmark.read_at_scale(tmp_path, 2)["runs"] == 2
    assert benchmark.count_at_scale(tmp_path)["kept"] == 60


def test_times_are_told_in_milliseconds() -> None:
    taken = [benchmark.Taken(wall=wall, cpu=wall / 2) for wall in (0.001, 0.002, 0.003)]
    spread = benchmark.spread_of(taken)
    assert spread["median_ms"] == pytest.approx(2)
    assert spread["median_cpu_ms"] == pytest.approx(1)
    assert spread["p95_ms"] == pytest.approx(2.9)
    assert spread["runs"] == 3
