"""Twenty kills at random moments while two workers film: the film equals the undisturbed one, bit for bit."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from filmmaking import CAPTIONS


def test_twenty_kills_of_two_workers_change_no_frame(tmp_path: Path) -> None:
    driver = Path(__file__).parent / "shoot_kill_driver.py"
    command = [sys.executable, str(driver), str(tmp_path), "20", "11"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["kills"] == 20
    assert told["files"] == 2 * len(CAPTIONS) + 3
    assert told["unequal"] == []
