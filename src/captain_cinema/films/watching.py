"""The one pass over a film or stretch: every frame is decoded once, for cuts, borders and keyframes alike.

Which shot a frame belongs to is known a little after it was decoded, and its borders only at the end. So the
keyframes of a shot leave this pass uncropped, as JPEG of high quality in a spool.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from jaxtyping import Int64, UInt8

from captain_cinema.films.ahead import ahead
from captain_cinema.films.borders import BorderFinder
from captain_cinema.films.cuts import cut_finder
from captain_cinema.films.decode import Decoding, Frame, decode
from captain_cinema.films.keyframes import Choice, ClosedShot, Holding, frames_to_hold
from captain_cinema.films.looking import reduced
from captain_cinema.films.media import Probe
from captain_cinema.films.records import Cut
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.spool import Place, Spool, SpoolError, SpoolWriter
from captain_cinema.films.stretches import BrokenStretchError, Stretch
from captain_cinema.films.survey import FileState, has_changed

SPOOL_QUALITY = 97
DEFAULT_LAG = 32


@dataclass(frozen=True, kw_only=True)
class WatchTask:
    """A stretch of a film to be watched."""

    path: Path
    digest: str
    state: FileState | None
    probe: Probe
    settings: FilmSettings
    stretch: Stretch
    stamps: Path | None
    """Where the stamps of all frames are kept, for a film in stretches."""
    out: Path
    threads: int = 1
    """Of the decoder."""


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What became of it."""

    outcome: Literal["done", "changed", "broken"]
    """`changed`: the file is another one now; `broken`: the film must be worked on unbroken."""
    spent: dict[str, float] = field(default_factory=dict)
    """Seconds by kind of work."""


def watch(task: WatchTask) -> Watched:
    """Watch a stretch and leave its spool in `task.out`; what is there already is kept.

    Raises:
        MediaError: the film cannot be read, or gives no frame.
    """
    try:
        Spool(task.out)
    except SpoolError:
        pass
    else:
        return Watched(outcome="done")
    with SpoolWriter(task.out) as spool:
        watcher = _Watcher(task, spool)
        try:
            index = watcher.run()
        except BrokenStretchError:
            return Watched(outcome="broken")
        if has_changed(task.path, task.state, task.digest):
            return Watched(outcome="changed")
        spool.finish(index)
    return Watched(outcome="done", spent=dict(watcher.spent))


class _Watcher:
    """One pass, and a second one for keyframes that could not be held."""

    def __init__(self, task: WatchTask, spool: SpoolWriter) -> None:
        self.task, self.spool = task, spool
        self.stretch = task.stretch
        self.stamps: Int64[np.ndarray, " frames"] | None = (
            np.load(task.stamps) if task.stamps is not None else None
        )
        self.finder = cut_finder(task.settings, task.probe.fps)
        self.borders = BorderFinder()
        self.holding: Holding | None = None
        self.owns = self.stretch.begin == 0
        """Whether the shot under way began in this stretch."""
        self.over = False
        self.cuts: list[Cut] = []
        self.shots: list[dict[str, Any]] = []
        self.starts = 0.0
        self.frames = self.flagged = 0
        self.closing: int | None = None
        self.spent: defaultdict[str, float] = defaultdict(float)

    def run(self) -> dict[str, Any]:
        """Watch the stretch; returns what is to be known of it besides its pictures."""
        frames, decoding = self._decode()
        last: Frame | None = None
        with closing(frames):
            for frame in self._numbered(frames):
                last = frame
                self._see(frame)
                if self.over:
                    break
        if not self.over:
            with self._timed("detect"):
                cuts = self.finder.finish()
            for cut in cuts:
                self._cut(cut)
            if last is not None and self.holding is not None and not self.over:
                self._end(last, decoding)
        self._fetch_missing()
        return {
            "cuts": [asdict(cut) for cut in self.cuts],
            "shots": self.shots,
            "closing": self.closing,
            "frames": self.frames,
            "flagged": self.flagged,
            "decoding": None if self.over else asdict(decoding),
            "borders": self.borders.evidence(),
        }

    @contextmanager
    def _timed(self, kind: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.spent[kind] += time.perf_counter() - start

    def _decode(self) -> tuple[Generator[Frame, None, None], Decoding]:
        """The film from the stretch's key frame on; with cores to spare, in a thread of its own."""
        task = self.task
        frames, decoding = decode(task.path, task.probe, start=self.stretch.seek, threads=task.threads)
        reduced = (_reduced(frame) for frame in frames)
        return reduced if task.threads == 1 else ahead(reduced), decoding

    def _numbered(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """Frames from the first one that the detector is to see, numbered as in the whole film."""
        expected = self.stretch.feed
        while True:
            with self._timed("decode"):
                frame = next(frames, None)
            if frame is None:
                return
            if self.stamps is not None:
                stamp = frame.raw.pts
                number = -1 if stamp is None else int(np.searchsorted(self.stamps, stamp))
                if 0 <= number < self.stretch.feed:
                    continue
                if number != expected or self.stamps[number : number + 1].tolist() != [stamp]:
                    raise BrokenStretchError
                frame.number = number
                expected += 1
            yield frame

    def _see(self, frame: Frame) -> None:
        if self.holding is None:
            size = sum(plane.buffer_size for plane in frame.raw.planes)
            self.holding = Holding(
                start=frame.number,
                lag=getattr(self.finder, "lag", DEFAULT_LAG),
                most=frames_to_hold(size),
                black=self.task.settings.black_luma,
            )
        if frame.number >= self.stretch.begin and (
            self.stretch.end is None or frame.number < self.stretch.end
        ):
            self.frames += 1
            self.flagged += frame.flagged
            with self._timed("borders"):
                self.borders.feed(frame)
        self.holding.add(frame)
        with self._timed("detect"):
            cuts = self.finder.feed(frame)
        for cut in cuts:
            self._cut(cut)

    def _cut(self, cut: Cut) -> None:
        """A shot is over, and the next one begins."""
        if self.holding is None or self.over or cut.frame <= self.holding.start:
            return
        only_blend = cut.blend_frame is not None and cut.blend_frame <= self.holding.start
        closed = self.holding.close(cut.frame, clean_end=cut.blend_frame)
        if self.owns and not only_blend:
            self._keep(closed, end=cut.seconds)
        after = self.stretch.end is not None and cut.frame >= self.stretch.end
        self.starts = cut.seconds
        if after:
            self.closing, self.over = cut.frame, True
        elif cut.frame >= self.stretch.begin:
            self.owns = True
            self.cuts.append(cut)

    def _end(self, last: Frame, decoding: Decoding) -> None:
        """The film is over."""
        assert self.holding is not None
        closed = self.holding.close(last.number + 1)
        if self.owns:
            self._keep(closed, end=decoding.seconds)

    def _keep(self, closed: ClosedShot, *, end: float) -> None:
        with self._timed("crop"):
            self.shots.append(
                {
                    "start_frame": closed.start,
                    "end_frame": closed.end,
                    "start": self.starts,
                    "end": end,
                    "choices": self._store(closed.choices),
                }
            )

    def _store(self, choices: Iterable[Choice]) -> list[dict[str, Any]]:
        stored: dict[int, dict[str, Any]] = {}
        listed = []
        for choice in choices:
            if choice.number not in stored:
                stored[choice.number] = {"number": choice.number} | (
                    {} if choice.frame is None else self._picture(choice.frame)
                )
            listed.append(
                {
                    "role": choice.role,
                    "rank": choice.rank,
                    "replaced": choice.replaced,
                    **stored[choice.number],
                }
            )
        return listed

    def _picture(self, frame: Frame) -> dict[str, Any]:
        # Far larger than keyframes are, a frame is reduced by a whole factor on its way.
        factor = max(1, min(frame.height, frame.width) // (2 * self.task.settings.short_side))
        return {
            "seconds": frame.seconds,
            "width": frame.width,
            "height": frame.height,
            "place": self.spool.put(encode_whole(frame.full(factor))),
        }

    def _fetch_missing(self) -> None:
        """Keyframes that could not be held: one more sequential pass."""
        missing: dict[int, list[dict[str, Any]]] = {}
        for shot in self.shots:
            for choice in shot["choices"]:
                if "place" not in choice:
                    missing.setdefault(choice["number"], []).append(choice)
        if not missing:
            return
        frames, _ = self._decode()
        last = max(missing)
        with closing(frames):
            for frame in self._numbered(frames):
                if frame.number in missing:
                    found = self._picture(frame)
                    for choice in missing[frame.number]:
                        choice.update(found)
                if frame.number >= last:
                    break
        for shot in self.shots:
            shot["choices"] = [choice for choice in shot["choices"] if "place" in choice]


def _reduced(frame: Frame) -> Frame:
    """A frame that has been made small, as all that look at it will want it."""
    reduced(frame)
    return frame


def encode_whole(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    """An uncropped frame for the spool."""
    options = [
        cv2.IMWRITE_JPEG_QUALITY,
        SPOOL_QUALITY,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise ValueError(f"a frame of shape {image.shape} cannot be kept as JPEG")
    return data.tobytes()


def place_of(choice: dict[str, Any]) -> Place:
    """Where a choice's picture lies."""
    offset, size = choice["place"]
    return offset, size
