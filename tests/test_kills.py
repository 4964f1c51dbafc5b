"""Twenty kills at random moments of `cinema make`, each followed by a re-run: the same film, bit for bit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filmmaking import CAPTIONS, script_text

HERE = Path(__file__).parent


@pytest.mark.parametrize("way", ["call", "clock"])
def test_twenty_kills_change_no_frame(tmp_path: Path, way: str) -> None:
    command = [sys.executable, str(HERE / "kill_driver.py"), str(tmp_path), way, "20", "7"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == 20
    assert told["files"] == 2 * len(CAPTIONS) + 4
    assert told["unequal"] == []


def start(folder: Path, pause: float) -> subprocess.Popen[str]:
    command = [sys.executable, str(HERE / "fake_cinema.py"), str(pause), "make", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    for _ in range(3000):
        if path.exists():
            return
        time.sleep(0.02)
    raise AssertionError(f"{path} never came")


def test_a_second_run_and_an_interrupt_are_one_line_each(tmp_path: Path) -> None:
    (tmp_path / "script.yaml").write_text(script_text(*CAPTIONS), "utf-8")
    first = start(tmp_path, pause=20)
    wait_for(tmp_path / ".cinema.json")
    second = start(tmp_path, pause=0)
    _, err = second.communicate(timeout=120)
    assert second.returncode == 2
    assert err.count("\n") == 1
    assert "another run is at work" in err
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=120)
    assert first.returncode == 130
    assert err.strip().splitlines()[-1].startswith("cinema: interrupted")
    assert "Traceback" not in err
    assert not list(tmp_path.rglob(".*.part"))


def test_a_disk_that_is_full_is_one_line_and_nothing_is_lost(tmp_path: Path) -> None:
    """A limit on file sizes stands in for the full disk: the same call fails, for real."""
    (tmp_path / "script.yaml").write_text(script_text(*CAPTIONS), "utf-8")
    command = [sys.executable, str(HERE / "fake_cinema.py"), "0", "make", str(tmp_path)]
    limited = ["sh", "-c", 'ulimit -f 8 && exec "$@"', "sh", *command]
    done = subprocess.run(limited, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("cinema: ")
    assert len(list((tmp_path / "storyboard").glob("*.png"))) == len(CAPTIONS), (
        "small files were still written"
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    assert "keyframes 1/" not in done.stderr, "and are not made again"
