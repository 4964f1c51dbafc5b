"""Figure 5 of the paper: does the chosen context show what the next shot needs?

A shot needs its characters and its place, as far as they were seen before; playhouse films know both. A need
is covered if one of the chosen frames shows it. The paper compares picture embeddings (CLIP) with text
embeddings (T5); here the embedded preset's own encoders stand for them, beside the last frames and beside
both with the names in the captions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from captain_cinema.errors import CinemaError
from captain_cinema.evaluate.shares import Share
from captain_cinema.keyframes.memory import HistoryFrame, choose
from captain_cinema.keyframes.planner import KeyframePlanner
from captain_cinema.keyframes.selection import MODES, Mode
from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot

LATEST = "latest"
"""The last frames, whatever they show: what a model without retrieval sees."""
WAYS = (LATEST, "text", "clip", "text+names", "clip+names")
SEEDS_A_RUN = 100_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class CoverageResult:
    """Needs covered, by how the context was chosen and how many frames it had."""

    films: int
    seed: int
    shots: int
    shares: dict[tuple[str, int], Share]
    """(way, frames) -> covered of all needs."""

    def depths(self) -> list[int]:
        """Numbers of context frames."""
        return sorted({depth for _, depth in self.shares})

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "measure": "retrieval",
            "films": self.films,
            "seed": self.seed,
            "shots": self.shots,
            "shares": [
                {"way": way, "frames": depth, **share.as_dict()}
                for (way, depth), share in self.shares.items()
            ],
        }

    def table(self) -> str:
        """For people: a row a way, a column a number of frames."""
        depths = self.depths()
        total = next(iter(self.shares.values())).total
        made = f"{self.films} held-out films of {self.shots} shots, seed {self.seed}, n = {total}"
        lines = [
            f"needs covered: {made}",
            "frames      " + "".join(f"{depth:>7}" for depth in depths),
        ]
        for way in WAYS:
            rates = "".join(f"{self.shares[way, depth].rate:>7.3f}" for depth in depths)
            lines.append(f"{way:<12}{rates}")
        return "\n".join(lines)


def needs_of(film: PlayhouseFilm, number: int) -> list[frozenset[int]]:
    """For each thing that a shot needs and that was seen before: the earlier shots that show it.

    Args:
        film: the film.
        number: the shot's index.
    """
    shot, before = film.shots[number], film.shots[:number]

    def showing(test: Callable[[PlayhouseShot], bool]) -> frozenset[int]:
        return frozenset(index for index, earlier in enumerate(before) if test(earlier))

    places = showing(lambda earlier: earlier.state.place == shot.state.place)
    found = [places, *(showing(lambda earlier, name=name: name in earlier.names) for name in shot.names)]
    return [need for need in found if need]


def run(
    planner: KeyframePlanner,
    films: int,
    seed: int,
    shots: int = 24,
    depths: Sequence[int] = (1, 2, 3, 4, 6, 8),
    progress: Progress | None = None,
    *,
    height: int = 128,
) -> CoverageResult:
    """Choose contexts for every shot of held-out films and count the needs that they cover.

    Args:
        planner: whose encoders compare.
        films: how many films.
        seed: of the run: films of run seed s have seeds from s times 100,000 on.
        shots: of a film; long ones tell the ways apart.
        depths: numbers of context frames, the last frame among them.
        progress: called after each film.
        height: of the frames, pixels.
    """
    counts = {(way, depth): [0, 0] for way in WAYS for depth in depths}
    for index in range(films):
        film = story.film(seed * SEEDS_A_RUN + index, shots=shots, split="held-out")
        history = _history(planner, film, height)
        for number in range(1, shots):
            needs = needs_of(film, number)
            for (way, depth), count in counts.items():
                chosen = chosen_by(planner, way, film.shots[number].caption, history[:number], depth)
                count[0] += sum(bool(need & chosen) for need in needs)
                count[1] += len(needs)
        if progress is not None:
            progress(index + 1, films)
    shares = {key: Share(correct=covered, total=total) for key, (covered, total) in counts.items()}
    return CoverageResult(films=films, seed=seed, shots=shots, shares=shares)


def chosen_by(
    planner: KeyframePlanner, way: str, caption: str, history: Sequence[HistoryFrame], depth: int
) -> set[int]:
    """Indices of the frames that one of the WAYS chooses."""
    if way == LATEST:
        return set(range(max(0, len(history) - depth), len(history)))
    modes: dict[str, Mode] = {mode: mode for mode in MODES}
    selection = choose(
        caption,
        history,
        (),
        mode=modes[way],
        count=depth,
        embedder=planner.retriever,
        sentences=lambda texts: planner.text.sentence(texts).cpu().numpy(),
    )
    return set(selection.indices)


def _history(planner: KeyframePlanner, film: PlayhouseFilm, height: int) -> list[HistoryFrame]:
    if planner.retriever is None:
        raise CinemaError(
            "retrieval is measured on presets that compare pictures; this one has captions only"
        )
    found = []
    for number, shot in enumerate(film.shots, start=1):
        frame = render.draw(shot.state, height=height)
        embedding = planner.retriever.embed_frame(frame)
        found.append(HistoryFrame(number=number, caption=shot.caption, frame=frame, embedding=embedding))
    return found
