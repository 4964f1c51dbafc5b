"""The benchmark of cuts finds what is known of a film, and says what was published."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from benchmarks import cuts
from captain_cinema.errors import CinemaError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one film of three shots, two of which it is known that they begin with a cut."""
    levels = np.repeat([40, 120, 200], 20)
    with av.open(tmp_path / "film.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 54, "yuv420p"
        for number, level in enumerate(levels):
            image = np.full((54, 96, 3), level, np.uint8)
            image[number % 20 :: 9] = 255 - level
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode(None))
    known = {"hard": [20, 40, 55], "gradual": []}
    entries = [{"file": "film.mp4", "cuts": known}, {"file": "of which nothing is known.mp4"}]
    (tmp_path / "manifest.json").write_text(json.dumps(entries))
    return tmp_path


def test_a_table_and_a_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    output = folder / "results" / "cuts.json"
    given = f"cuts {folder} --output {output} --sweep --detectors adaptive threshold"
    monkeypatch.setattr(sys, "argv", given.split(" "))
    cuts.main()
    result = json.loads(output.read_text())
    film = result["films"]["film.mp4"]
    assert (film["frames"], film["cuts"]) == (60, 3)
    found = film["scores"]["adaptive"]["build"]
    assert (found["hits"], found["false"], found["missed"]) == (2, [], [55])
    assert result["all"]["adaptive"]["build"] == found
    assert film["scores"]["threshold"]["alone"]["recall"] == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 6
    assert shown[5].startswith("adaptive: 1.3 ")
    assert result["sweep"]["adaptive"]["1.7"] == found
    assert shown[2].startswith("| adaptive | 100.0 / 66.7 / 80.0 | 100.0 / 66.7 / 80.0 |")
    assert shown[2].endswith("| BBC 91.6, ClipShots 55.8 |")
    assert len({line.count("|") for line in shown[:4]}) == 1


def test_folders_without_known_cuts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CinemaError, match=r"manifest\.json is not there"):
        cuts.films_with_known_cuts(tmp_path)
    (tmp_path / "manifest.json").write_text('[{"file": "film.mp4"}]')
    with pytest.raises(CinemaError, match="no film"):
        cuts.films_with_known_cuts(tmp_path)
