"""Who does the work may die: a task is tried again, then given up, and the others never notice."""

import errno
import os
import signal
import threading
import time
from concurrent.futures import wait

import psutil
import pytest
from building import content, die, double, fail, leftovers, make_films, run

from captain_cinema.films.workers import Alone, Processes, WorkerDied


@pytest.fixture(scope="module")
def crew():
    workers = Processes(2)
    yield workers
    workers.close()


def test_one_process_does_it_at_once() -> None:
    alone = Alone()
    assert alone.submit(double, 4).result() == 8
    assert isinstance(alone.submit(fail, "x").exception(), OSError)
    assert alone.free == 1


def test_tasks_go_to_whoever_is_free(crew) -> None:
    assert crew.free == 2
    one, other = crew.submit(double, 1), crew.submit(double, 2)
    with pytest.raises(ValueError, match="busy"):
        crew.submit(double, 3)
    assert (one.result(), other.result()) == (2, 4)
    assert crew.free == 2


def test_an_error_comes_back_as_it_was_raised(crew) -> None:
    error = crew.submit(fail, "disk").exception()
    assert isinstance(error, OSError)
    assert (error.errno, error.filename) == (errno.ENOSPC, "disk")


def test_a_task_whose_worker_dies_is_tried_again(crew, tmp_path) -> None:
    once, always = tmp_path / "once", tmp_path / "always"
    once.write_text("once")
    always.write_text("always")
    tried, lost = crew.submit(die, once), crew.submit(die, always)
    wait([tried, lost])
    assert tried.result() == "lived"
    assert isinstance(lost.exception(), WorkerDied)
    assert "died 2 times" in str(lost.exception())
    assert crew.free == 2
    assert crew.submit(double, 5).result() == 10


def test_a_build_whose_worker_is_killed_ends_well(tmp_path) -> None:
    films = make_films(tmp_path / "films")
    run(films, tmp_path / "whole")
    crew = Processes(2)
    killed = []

    def kill_one() -> None:
        while not killed:
            for folder in (tmp_path / "dataset" / ".work").glob("*/.*.part"):  # a worker is at a film
                victim = psutil.Process().children(recursive=True)
                workers = [process for process in victim if "spawn_main" in " ".join(process.cmdline())]
                os.kill(workers[0].pid, signal.SIGKILL)
                killed.append(folder)
                return
            time.sleep(0.001)

    killer = threading.Thread(target=kill_one, daemon=True)
    killer.start()
    report = run(films, tmp_path / "dataset", crew=crew)
    killer.join()
    assert killed
    assert report.code == 0
    assert content(tmp_path / "dataset") == content(tmp_path / "whole")
    assert leftovers(tmp_path / "dataset") == []


def test_a_worker_does_not_outlive_its_parent(tmp_path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, time; sys.path.insert(0, sys.argv[1]); import building\n"
        "from captain_cinema.films.workers import Processes\n"
        "if __name__ == '__main__':\n"
        "    crew = Processes(1); crew.submit(building.double, 1).result()\n"
        "    print(*next(iter(crew._all))._processes, flush=True); time.sleep(60)\n"
    )
    script = tmp_path / "parent.py"
    script.write_text(code)
    with subprocess.Popen(
        [sys.executable, str(script), os.path.dirname(__file__)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        worker = psutil.Process(int(parent.stdout.readline()))
        assert worker.is_running()
        parent.kill()
    gone, _ = psutil.wait_procs([worker], timeout=20)
    assert gone or worker.status() == psutil.STATUS_ZOMBIE
