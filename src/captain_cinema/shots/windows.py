"""Films longer than one denoising can hold (section 3.3): windows of shots that carry the film's keyframes.

The keyframes are the film's backbone, all known before the first shot is filmed. So a window needs no frames
of the windows before it: it carries other shots' keyframes as context, and any order of windows will do.
Windows overlap in these keyframes. Which ones a window carries goes by who appears in it (the shot that
introduces a character, however long ago, and the latest one that shows it), then its neighbours, then what
looks most like it. Memory is that of one window, however long the film.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import UInt8

from captain_cinema.shots.abilities import check_request
from captain_cinema.shots.conditioning import slots_for
from captain_cinema.shots.generator import Progress, ShotGenerator, part_of
from captain_cinema.shots.request import ShotRequest, frame_count

_NAME = re.compile(r"<([^<>\n]+)>")

Embed = Callable[[ShotRequest], np.ndarray]
"""A shot as a vector, for retrieval: its keyframe's or its caption's embedding."""


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What tells which keyframes a shot should see."""

    names: tuple[str, ...] = ()
    """Who appears, from the tags in the caption, folded in case."""
    embedding: np.ndarray | None = None


def traits_of(request: ShotRequest, embed: Embed | None = None) -> Traits:
    """Read a shot's traits off its request."""
    return Traits(names=names_in(request.caption), embedding=None if embed is None else embed(request))


def names_in(caption: str) -> tuple[str, ...]:
    """Who appears: the tags of a caption, each once, folded in case."""
    return tuple(dict.fromkeys(" ".join(name.split()).casefold() for name in _NAME.findall(caption)))


@dataclass(frozen=True, kw_only=True)
class Window:
    """Shots filmed together. Numbers count the film's shots from 0."""

    shots: tuple[int, ...]
    carried: tuple[tuple[int, ...], ...]
    """For each of `shots`, the outside shots whose keyframes it brings in; the whole window sees them."""


def plan_windows(
    lengths: Sequence[int],
    *,
    budget: int,
    max_together: int,
    max_context: int,
    traits: Sequence[Traits] | None = None,
) -> tuple[Window, ...]:
    """Cut a film into windows of consecutive shots, each with the keyframes of as much of the film as fits.

    A shot costs its slots and a carried keyframe one slot. The longest shot of a window sets the cost of all,
    as they share a tensor. Shots come first: a window takes as many as fit with its neighbours' keyframes.

    Args:
        lengths: slots of every shot of the film.
        budget: slots that one denoising may hold.
        max_together: shots that one denoising may hold.
        max_context: keyframes that one shot may bring in.
        traits: of every shot; None chooses by place alone.
    """
    film = traits or [Traits()] * len(lengths)
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
        windows.append(Window(shots=shots, carried=deal(carried_keyframes(film, shots, room), len(shots))))
        start = end
    return tuple(windows)


def carried_keyframes(film: Sequence[Traits], shots: Sequence[int], room: int) -> tuple[int, ...]:
    """Choose which outside keyframes a window carries.

    In this order, until there is no room: where each character of the window was introduced; the window's
    neighbours; where each character was last seen before; then the shots most like the window's, or, without
    embeddings, shots evenly over the film.

    Args:
        film: traits of all shots of the film.
        shots: the window's shots, consecutive, counted from 0.
        room: keyframes that fit.

    Returns:
        The chosen shots in film order.
    """
    outside = [shot for shot in range(len(film)) if shot not in shots]
    if len(outside) <= room:
        return tuple(outside)
    wanted = [*_introductions(film, shots), shots[0] - 1, shots[-1] + 1, *_latest(film, shots)]
    chosen = list(dict.fromkeys(shot for shot in wanted if 0 <= shot < len(film) and shot not in shots))
    chosen = chosen[: max(room, 0)]
    rest = [shot for shot in outside if shot not in chosen]
    return tuple(sorted(chosen + _most_alike(film, shots, rest, max(room, 0) - len(chosen))))


def _introductions(film: Sequence[Traits], shots: Sequence[int]) -> list[int]:
    """The film's first shot of each of the window's characters, the window's own ones left out."""
    first: dict[str, int] = {}
    for number, shot in enumerate(film):
        for name in shot.names:
            first.setdefault(name, number)
    names = dict.fromkeys(name for shot in shots for name in film[shot].names)
    return [first[name] for name in names if first[name] not in shots]


def _latest(film: Sequence[Traits], shots: Sequence[int]) -> list[int]:
    """The last shot before the window of each of its characters."""
    last = {name: number for number in range(shots[0]) for name in film[number].names}
    names = dict.fromkeys(name for shot in shots for name in film[shot].names)
    return [last[name] for name in names if name in last]


def _most_alike(film: Sequence[Traits], shots: Sequence[int], rest: Sequence[int], count: int) -> list[int]:
    window = [film[shot].embedding for shot in shots]
    others = [film[shot].embedding for shot in rest]
    if any(vector is None for vector in (*window, *others)):
        return [rest[(2 * i + 1) * len(rest) // (2 * count)] for i in range(count)]

    def unit(vectors: Sequence[np.ndarray | None]) -> np.ndarray:
        stacked = np.stack([np.asarray(vector, dtype=np.float64) for vector in vectors])
        return stacked / np.maximum(np.linalg.norm(stacked, axis=1, keepdims=True), 1e-12)

    closeness = (unit(others) @ unit(window).T).max(axis=1)
    return [rest[i] for i in np.argsort(-closeness, kind="stable")[:count]]


def generate_film(
    generator: ShotGenerator,
    requests: Sequence[ShotRequest],
    *,
    budget: int,
    embed: Embed | None = None,
    progress: Progress | None = None,
) -> Iterator[UInt8[np.ndarray, "frames h w 3"]]:
    """Film all shots of a film window by window, and hand each over the moment it is decoded.

    Args:
        generator: the backend.
        requests: all shots of the film in order; their own `context` is replaced by the film's keyframes. It
            may be a sequence that reads a request when it is asked for it: only a window's are held.
        budget: slots that one denoising may hold.
        embed: a shot as a vector, to carry the keyframes that are most like a window's.
        progress: told of the steps of all windows.

    Raises:
        AbilityError: a request asks for what the backend cannot do.
    """
    abilities = generator.abilities
    lengths, traits = [], []
    for place, request in enumerate(requests, start=1):
        # Their context is about to be replaced, so it is not held against the backend.
        check_request(replace(request, context=()), abilities, number=request.number or place)
        lengths.append(slots_for(frame_count(request.seconds, abilities.fps)))
        traits.append(traits_of(request, embed))
    windows = plan_windows(
        lengths,
        budget=budget,
        max_together=abilities.max_shots_together,
        max_context=abilities.max_context,
        traits=traits,
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

    def filled(shot: int, carried: Sequence[int]) -> ShotRequest:
        own = requests[shot]
        context = tuple(requests[other].keyframe for other in carried)
        return replace(own, context=context, number=own.number or shot + 1)

    return [filled(shot, carried) for shot, carried in zip(window.shots, window.carried, strict=True)]


def deal(keyframes: Sequence[int], hands: int) -> tuple[tuple[int, ...], ...]:
    """Split keyframes into a run for each of a window's shots, of nearly equal length, longer ones first."""
    each, longer = divmod(len(keyframes), hands)
    starts = [hand * each + min(hand, longer) for hand in range(hands + 1)]
    return tuple(tuple(keyframes[starts[hand] : starts[hand + 1]]) for hand in range(hands))
