"""Tests of judgements on real pictures need the real films, which are not in the repository.

Without them (`CAPTAIN_CINEMA_FILMS`, or ../shared/films) drawn stand-ins would say nothing about thresholds
tuned on real pictures, so those modules are left out, and pytest says so in its header.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILMS = Path(os.environ.get("CAPTAIN_CINEMA_FILMS", ROOT.parent / "shared" / "films"))
REAL = ["test_borders.py", "test_cuts.py", "test_quality.py", "test_transnet.py"]

collect_ignore = [] if (FILMS / "manifest.json").is_file() else REAL


def pytest_report_header() -> str:
    """What was left out, if anything."""
    return (
        f"real films: none in {FILMS}, left out {', '.join(REAL)}"
        if collect_ignore
        else f"real films: {FILMS}"
    )
