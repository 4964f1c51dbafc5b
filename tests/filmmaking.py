"""A backend that draws without weights, and small films for the tests of project, pipeline and command line.

Every frame is a function of the seed, the words and the frames in memory, as with the real models: a change
shows in every frame that was conditioned on it, and in no other.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from captain_cinema.presets import PresetFacts

FACTS = PresetFacts(
    name="embedded",
    revision="fake-1",
    licence="Apache-2.0",
    height=16,
    width=32,
    fps=12,
    min_seconds=1.0,
    max_seconds=4.0,
)


@dataclass(frozen=True, kw_only=True)
class Use:
    number: int
    rows: int
    tokens: int
    score: float
    pinned: bool


@dataclass(frozen=True, kw_only=True)
class Drawn:
    frame: np.ndarray
    memory: tuple[Use, ...]
    embedding: np.ndarray


def words(caption: str) -> set[str]:
    return set(re.findall(r"<[^>]+>", caption))


def noise(*parts: object) -> np.random.Generator:
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))


def picture(rng: np.random.Generator, *, height: int = FACTS.height) -> np.ndarray:
    blocks = rng.integers(0, 256, (4, 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((height // 4, height // 4, 1), np.uint8))


@dataclass(kw_only=True)
class FakePlanner:
    """Its memory: pins, the last frame that shares a <Name> for each name, and nothing else."""

    pause: float = 0.0
    drawn: list[str] = field(default_factory=list)
    selected: list[str] = field(default_factory=list)

    def select(self, caption: str, history: Sequence[Any], *, pins: Sequence[int] = ()) -> tuple[Use, ...]:
        self.selected.append(caption)
        return self._choose(caption, history, pins)

    def _choose(self, caption: str, history: Sequence[Any], pins: Sequence[int]) -> tuple[Use, ...]:
        chosen = {}
        for name in words(caption):
            for frame in reversed(history):
                if name in words(frame.caption):
                    chosen[frame.number] = frame
                    break
        for frame in history:
            if frame.number in pins:
                chosen[frame.number] = frame
        kept = [frame for frame in history if frame.number in chosen]
        return tuple(
            Use(
                number=frame.number,
                rows=4 if frame is kept[-1] else 2,
                tokens=32 if frame is kept[-1] else 8,
                score=float(frame.embedding[0]) if frame.embedding is not None else 0.5,
                pinned=frame.number in pins,
            )
            for frame in kept
        )

    def draw(
        self,
        caption: str,
        history: Sequence[Any],
        *,
        seed: int,
        pins: Sequence[int] = (),
        progress: Any = None,
    ) -> Drawn:
        memory = self._choose(caption, history, pins)
        self.drawn.append(caption)
        time.sleep(self.pause)
        frames = {frame.number: frame for frame in history}
        seen = [(use.rows, frames[use.number].frame.tobytes(), frames[use.number].caption) for use in memory]
        frame = picture(noise(seed, caption, seen))
        return Drawn(frame=frame, memory=memory, embedding=frame[0, :, 0].astype(np.float32) / 7)


@dataclass(kw_only=True)
class FakeShots:
    pause: float = 0.0
    shot: list[str] = field(default_factory=list)

    def generate(self, requests: Sequence[Any], *, progress: Any = None) -> Iterator[np.ndarray]:
        for request in requests:
            self.shot.append(request.caption)
            time.sleep(self.pause)
            context = [frame.tobytes() for frame in request.context]
            rng = noise(request.seed, request.caption, request.film_caption, context)
            count = round(request.seconds * FACTS.fps)
            yield np.stack([request.keyframe, *(picture(rng) for _ in range(count - 1))])


@dataclass(kw_only=True)
class FakeBackend:
    planner: FakePlanner
    shots: FakeShots
    facts: PresetFacts = FACTS


def fake_backend(pause: float = 0.0) -> FakeBackend:
    return FakeBackend(planner=FakePlanner(pause=pause), shots=FakeShots(pause=pause))


@dataclass(kw_only=True)
class Studio:
    """Runs the command line inside this process, in a folder of its own, over the fake backend."""

    home: Path
    capsys: Any
    backends: list[FakeBackend] = field(default_factory=list)
    facts: PresetFacts = FACTS

    @staticmethod
    def open(home: Path, monkeypatch: Any, capsys: Any) -> Studio:
        from captain_cinema import presets
        from captain_cinema.cut import film

        studio = Studio(home=home, capsys=capsys)
        monkeypatch.chdir(home)
        monkeypatch.setattr(film, "FILM_HEIGHT", FACTS.height)
        monkeypatch.setattr(presets, "describe", lambda name: studio.facts)
        monkeypatch.setattr(presets, "load_backend", lambda name: studio.load())
        return studio

    def load(self) -> FakeBackend:
        self.backends.append(fake_backend())
        return self.backends[-1]

    def run(self, *arguments: object) -> Run:
        """Run `cinema ...`; what was drawn and shot in this run is in the result."""
        from captain_cinema import cli

        before = len(self.backends)
        self.capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        said = self.capsys.readouterr()
        return Run(code=code, out=said.out, err=said.err, backends=self.backends[before:])

    def film(self, name: str = "film", captions: Sequence[str] = ()) -> Path:
        """A film folder with a script and nothing else."""
        folder = self.home / name
        folder.mkdir()
        (folder / "script.yaml").write_text(script_text(*(captions or CAPTIONS)), "utf-8")
        return folder

    def made_film(self, name: str = "film", captions: Sequence[str] = ()) -> Path:
        folder = self.film(name, captions)
        assert self.run("make", folder).code == 0
        return folder


@dataclass(frozen=True, kw_only=True)
class Run:
    code: int
    out: str
    err: str
    backends: list[FakeBackend]

    @property
    def data(self) -> dict[str, Any]:
        return json.loads(self.out)

    @property
    def drawn(self) -> list[str]:
        return [caption for backend in self.backends for caption in backend.planner.drawn]

    @property
    def shot(self) -> list[str]:
        return [caption for backend in self.backends for caption in backend.shots.shot]

    @property
    def fault(self) -> str:
        """The one line of a fault of the user's."""
        assert self.code == 2, (self.code, self.err)
        lines = self.err.strip().splitlines()
        faults = [line for line in lines if line.startswith("cinema: ")]
        assert len(faults) == 1
        assert lines[-1] == faults[0], "nothing comes after the fault"
        assert "Traceback" not in self.err
        return faults[0]


STORY = """\
<Mara>, a fox in a blue coat, stands in a forest.

<Bo> waves on a beach.

<Mara> walks left through the forest.

<Bo> sits down.

A quiet street at night.

<Mara> and <Bo> dance on the street.
"""


def script_text(*captions: str, seconds: float = 1) -> str:
    shots = "".join(f"  - caption: {caption!r}\n    seconds: {seconds:g}\n" for caption in captions)
    return f"title: Test\nshots:\n{shots}"


CAPTIONS = (
    "<Mara> stands in a forest.",
    "<Bo> waves on a beach.",
    "<Mara> walks left.",
    "<Bo> sits down.",
    "A quiet street.",
    "<Mara> and <Bo> dance.",
)


def frames_of(folder: Path) -> dict[str, str]:
    """Relative path -> hash of every picture and film in a film folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".png", ".mp4", ".otio") and "takes" not in path.parts:
            found[path.relative_to(folder).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def record(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / name).read_text("utf-8"))


def states(studio: Studio, folder: Path) -> list[str]:
    data = studio.run("status", folder, "--json").data
    return [f"{shot['keyframe']['state']}/{shot['clip']['state']}" for shot in data["shots"]]


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return sorted(name for name in before | after if before.get(name) != after.get(name))
