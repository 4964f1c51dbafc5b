"""Is a place still itself when a film comes back to it? Judged by the background alone, no learnt model.

A caption names the setting, never its layout and tints: those a film makes up in the scene's first shot and
has to keep. So the measure asks no truth of the film but agreement with itself. For a scene that comes back,
nine variants of its setting are drawn (the true one and eight others), each in the state of either shot. The
variant that the first shot's background is nearest to and the one that the later shot's is nearest to should
be the same. What agreement comes about by chance is measured, with shots drawn without any memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from captain_cinema.evaluate.colour import SATURATION, working_lab, working_mask
from captain_cinema.playhouse import render
from captain_cinema.playhouse.story import PlayhouseFilm
from captain_cinema.playhouse.world import FrameState, Place

VARIANTS = 9
"""Candidates: the true variant and eight others."""

MAX_VARIANT = 2**31 - 1


def variants(film: PlayhouseFilm, scene: int, place: Place) -> tuple[Place, ...]:
    """The true place of a scene, then others of the same setting; the same for every shot and method."""
    rng = np.random.default_rng([film.seed, scene, VARIANTS])
    others = rng.integers(0, MAX_VARIANT, VARIANTS - 1)
    return (place, *(Place(setting=place.setting, variant=int(variant)) for variant in others))


def background(state: FrameState, *, height: int) -> Bool[np.ndarray, "rows cols"]:
    """Pixels that no figure covers, at the size frames are compared at."""
    covered = [render.figure_mask(state, index, height=height) for index in range(len(state.poses))]
    if not covered:
        return working_mask(np.ones((height, 2 * height), bool))
    return working_mask(~np.logical_or.reduce(covered))


def nearest_place(
    frame: UInt8[np.ndarray, "h w 3"], state: FrameState, places: Sequence[Place], *, height: int
) -> int:
    """Which of several places the background of a frame is nearest to.

    Args:
        frame: drawn.
        state: the truth of that moment: framing, camera, who stands where.
        places: candidates.
        height: of frames, pixels.

    Raises:
        ValueError: figures cover the whole frame, or there is nothing to choose from.
    """
    where = background(state, height=height)
    if len(places) < 2 or not where.any():
        raise ValueError("a place is judged among two or more, by a background that can be seen")
    seen = working_lab(frame)[where]
    apart: list[float] = []
    for place in places:
        true: Float[np.ndarray, "points 3"] = working_lab(
            render.draw(replace(state, place=place), height=height)
        )[where]
        apart.append(float(np.minimum(np.linalg.norm(seen - true, axis=1), SATURATION).mean()))
    # Of equals the last, so that a tie never favours the true one.
    return len(apart) - 1 - int(np.argmin(apart[::-1]))


def first_shots(film: PlayhouseFilm) -> dict[int, int]:
    """For every shot whose scene was there before, the scene's first shot; both count from 0."""
    first: dict[int, int] = {}
    found: dict[int, int] = {}
    for number, shot in enumerate(film.shots):
        if shot.scene in first:
            found[number] = first[shot.scene]
        first.setdefault(shot.scene, number)
    return found
