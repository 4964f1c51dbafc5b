"""Films longer than one denoising can hold (section 3.3): windows of shots that carry the film's keyframes.

The keyframes are the film's backbone, all known before the first shot is filmed. So a window needs no frames
of the windows before it: it carries the other shots' keyframes as context, and windows can be filmed in any
order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from captain_cinema.shots.abilities import check_request
from captain_cinema.shots.conditioning import slots_for
from captain_cinema.shots.generator import Progress, ShotGenerator, part_of
from captain_cinema.shots.request import ShotRequest, frame_count


@dataclass(frozen=True, kw_only=True)
class Window:
    """Shots filmed together. Numbers count the film's shots from 0."""

    shots: tuple[int, ...]
    carried: tuple[tuple[int, ...], ...]
    """For each of `shots`, the outside shots whose keyframes it brings in; the whole window sees them."""


def plan_windows(
    lengths: Sequence[int], *, budget: int, max_together: int, max_context: int
) -> tuple[Window, ...]:
    """Cut a film into windows of consecutive shots, each with the keyframes of as much of the film as fits.

    A shot costs its slots and a carried keyframe one slot. The longest shot of a window sets the cost of all,
    as they share a tensor. Shots come first: a window takes as many as fit with its neighbours' keyframes.

    Args:
        lengths: slots of every shot of the film.
        budget: slots that one denoising may hold.
        max_together: shots that one denoising may hold.
        max_context: keyframes that one shot may bring in.
    """
    if lengths and max(lengths) > budget:
        raise ValueError(f"a shot of {max(lengths)} slots does not fit a budget of {budget}")
    windows, start = [], 0
    while start < len(lengths):
        end = start + 1
        while end < min(len(lengths), start + max_together):
            neighbours = min(2, len(lengths) - (end + 1 - start))
            if (end + 1 - start) * max(lengths[start : end + 1]) + neighbours > budget:
                break
            end += 1
        shots = tuple(range(start, end))
        room = min(budget - len(shots) * max(lengths[start:end]), max_context * len(shots))
        windows.append(
            Window(shots=shots, carried=_deal(carried_keyframes(len(lengths), shots, room), len(shots)))
        )
        start = end
    return tuple(windows)


def carried_keyframes(film: int, shots: Sequence[int], room: int) -> tuple[int, ...]:
    """Choose which outside keyframes a window carries: its neighbours first, then evenly over the film.

    Args:
        film: shots of the film.
        shots: the window's shots, consecutive, counted from 0.
        room: keyframes that fit.
    """
    outside = [shot for shot in range(film) if shot not in shots]
    if len(outside) <= room:
        return tuple(outside)
    chosen = [shot for shot in (shots[0] - 1, shots[-1] + 1) if 0 <= shot < film][: max(room, 0)]
    rest = [shot for shot in outside if shot not in chosen]
    wanted = max(room, 0) - len(chosen)
    chosen += [rest[(2 * i + 1) * len(rest) // (2 * wanted)] for i in range(wanted)]
    return tuple(sorted(chosen))


def generate_film(
    generator: ShotGenerator,
    requests: Sequence[ShotRequest],
    *,
    budget: int,
    progress: Progress | None = None,
) -> Iterator[UInt8[np.ndarray, "frames h w 3"]]:
    """Film all shots of a film window by window, and hand each over when its window is done.

    Args:
        generator: the backend.
        requests: all shots of the film in order; their own `context` is replaced by the film's keyframes.
        budget: slots that one denoising may hold.
        progress: told of the steps of all windows.

    Raises:
        AbilityError: a request asks for what the backend cannot do.
    """
    abilities = generator.abilities
    for place, request in enumerate(requests, start=1):
        # Their context is about to be replaced, so it is not held against the backend.
        check_request(replace(request, context=()), abilities, number=request.number or place)
    lengths = [slots_for(frame_count(request.seconds, abilities.fps)) for request in requests]
    windows = plan_windows(
        lengths, budget=budget, max_together=abilities.max_shots_together, max_context=abilities.max_context
    )
    return _film_windows(generator, requests, windows, progress)


def _film_windows(
    generator: ShotGenerator,
    requests: Sequence[ShotRequest],
    windows: Sequence[Window],
    progress: Progress | None,
) -> Iterator[np.ndarray]:
    steps = generator.settings.steps
    for place, window in enumerate(windows):
        told = part_of(progress, place * steps, len(windows) * steps)
        yield from generator.generate_together(window_requests(requests, window), progress=told)


def window_requests(requests: Sequence[ShotRequest], window: Window) -> list[ShotRequest]:
    """A window's requests, each with the keyframes it brings in."""
    return [
        replace(
            requests[shot],
            context=tuple(requests[other].keyframe for other in carried),
            number=requests[shot].number or shot + 1,
        )
        for shot, carried in zip(window.shots, window.carried, strict=True)
    ]


def _deal(keyframes: Sequence[int], hands: int) -> tuple[tuple[int, ...], ...]:
    """Split into runs of nearly equal length, the longer ones first."""
    each, longer = divmod(len(keyframes), hands)
    starts = [hand * each + min(hand, longer) for hand in range(hands + 1)]
    return tuple(tuple(keyframes[starts[hand] : starts[hand + 1]]) for hand in range(hands))
