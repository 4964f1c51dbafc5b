"""Ray started for real: the same stage functions, the same dataset."""

from pathlib import Path

import pytest
from building import content, die, double, fail, leftovers, make_films, run
from ray_cluster import local_ray

from captain_cinema.errors import CinemaError
from captain_cinema.films.on_ray import RayCrew
from captain_cinema.films.workers import WorkerDied


@pytest.fixture(scope="module")
def cluster():
    with local_ray(Path(__file__).parent):
        yield


@pytest.mark.filterwarnings("ignore")  # Ray's own, of which there are many
def test_ray_makes_the_same_dataset(cluster, tmp_path) -> None:
    films = make_films(tmp_path / "films")
    run(films, tmp_path / "alone")
    report = run(films, tmp_path / "ray", crew=RayCrew())
    assert report.code == 0
    assert content(tmp_path / "ray") == content(tmp_path / "alone")
    assert leftovers(tmp_path / "ray") == []


@pytest.mark.filterwarnings("ignore")
def test_errors_and_deaths_are_told_as_by_processes(cluster, tmp_path) -> None:
    crew = RayCrew()
    assert crew.free == 2
    once, always = tmp_path / "once", tmp_path / "always"
    once.write_text("once")
    always.write_text("always")
    tried, lost = crew.submit(die, once), crew.submit(die, always)
    assert tried.result() == "lived"
    assert isinstance(lost.exception(), WorkerDied)
    assert isinstance(crew.submit(fail, "disk").exception(), OSError)
    assert crew.submit(double, 2).result() == 4
    assert crew.free == 2


@pytest.mark.filterwarnings("ignore")
def test_no_cluster_is_an_error_of_the_user(tmp_path) -> None:
    import ray

    ray.shutdown()
    with pytest.raises(CinemaError, match="no Ray cluster answers at auto"):
        RayCrew("auto")
