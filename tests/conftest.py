"""Every test runs offline, on one thread, with tensor shapes checked against their annotations."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from filmmaking import Studio

# Before torch and the hub client are imported: both read these once.
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the runner starts one process a core
os.environ.setdefault("MPLBACKEND", "Agg")

from jaxtyping import install_import_hook

TENSOR_ROOMS = ["backbone", "flow", "keyframes", "shots"]

install_import_hook([f"captain_cinema.{room}" for room in TENSOR_ROOMS], "beartype.beartype")

# A shell begins background jobs with Ctrl-C ignored, and what tests start and interrupt would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A submission is judged by the same examples every time; at the desk new ones are tried.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Studio:
    """The command line in a folder of its own, over the fake backend."""
    from filmmaking import Studio

    return Studio.open(tmp_path, monkeypatch, capsys)


@pytest.fixture
def story(studio: Studio) -> Path:
    """A story to make a film of."""
    from filmmaking import STORY

    path = studio.home / "story.md"
    path.write_text(STORY, "utf-8")
    return path
