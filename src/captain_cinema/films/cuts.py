"""Where shots begin: PySceneDetect's detectors or TransNetV2, joined with fades and dissolves.

Frames are decoded once, by the caller, and shown to everything that wants to see them. So a detector gets
them as :meth:`CutFinder.feed` hands them on, and finds what it would find in a film that it opened itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from captain_cinema.films.blends import Blend, BlendFinder
from captain_cinema.films.decode import Decoding, Frame, decode
from captain_cinema.films.looking import Looker
from captain_cinema.films.media import probe
from captain_cinema.films.records import Cut
from captain_cinema.films.scene_detect import SceneDetectFinder, scene_detector, shortest_shot
from captain_cinema.films.settings import FilmSettings

DEFAULT_FPS = 25.0


class CutFinder(Protocol):
    """Finds cuts in frames that come in order."""

    @property
    def lag(self) -> int:
        """How many frames after a cut it is known at most."""
        ...

    def feed(self, frame: Frame) -> list[Cut]:
        """The next frame; returns the cuts that are now certain, in order."""
        ...

    def finish(self) -> list[Cut]:
        """There are no more frames; returns the remaining cuts."""
        ...


class HardCutFinder(CutFinder, Protocol):
    """Finds cuts without regard to blends, and says up to where it is through."""

    @property
    def decided(self) -> int:
        """Every cut before this frame has been told."""
        ...


def cut_finder(settings: FilmSettings, fps: float) -> CutFinder:
    """The finder that the settings ask for.

    Args:
        fps: frames a second of the film, 0 if unknown.

    Raises:
        CinemaError: the detector is an extra that is not installed.
    """
    rate = fps if fps > 0 else DEFAULT_FPS
    if settings.detector == "transnetv2":
        from captain_cinema.films.transnet import TransNetFinder

        hard: HardCutFinder = TransNetFinder(threshold=settings.threshold, shortest=shortest_shot(settings))
    else:
        hard = SceneDetectFinder(scene_detector(settings), rate, shortest=shortest_shot(settings))
    return JoinedFinder(hard, BlendFinder(rate))


def find_cuts(path: Path, settings: FilmSettings) -> tuple[list[Cut], Decoding]:
    """The cuts of a film, and what became of decoding it.

    Raises:
        MediaError: the film cannot be read, or gives no frame.
        CinemaError: the detector is an extra that is not installed.
    """
    facts = probe(path)
    finder = cut_finder(settings, facts.fps)
    frames, decoding = decode(path, facts)
    cuts = [cut for frame in frames for cut in finder.feed(frame)]
    return [*cuts, *finder.finish()], decoding


class JoinedFinder:
    """Hard cuts and blends in one order.

    A cut that was seen inside a fade or dissolve is part of it. A fade out and the fade in or cut that
    follows it soon are one transition, black frames between them included.
    """

    def __init__(self, hard: HardCutFinder, blends: BlendFinder) -> None:
        self._hard, self._blends = hard, blends
        self._wait = blends.lag
        self.lag = max(hard.lag, blends.lag) + blends.lag
        self._looker = Looker()
        self._cuts: deque[Cut] = deque()
        self._told: deque[Blend] = deque()
        self._faded: Blend | None = None
        self._begin = self._newest = -1
        self._last = -1

    def feed(self, frame: Frame) -> list[Cut]:
        """The next frame; returns the cuts that are now certain, in order."""
        if self._begin < 0:
            self._begin = frame.number
        self._newest = frame.number
        self._cuts += self._hard.feed(frame)
        self._told += self._blends.feed(frame.number, frame.seconds, self._looker.look(frame))
        return self._decide(self._hard.decided)

    def finish(self) -> list[Cut]:
        """There are no more frames."""
        self._cuts += self._hard.finish()
        self._told += self._blends.finish()
        cuts = self._decide(self._newest + 1, over=True)
        if self._faded is not None and self._newest - self._faded.end > self._wait // 4:
            cuts += self._leave()
        return cuts

    def _decide(self, decided: int, *, over: bool = False) -> list[Cut]:
        cuts: list[Cut] = []
        while self._told and decided > self._told[0].end + self._blends.stride:
            blend = self._told.popleft()
            while self._cuts and self._cuts[0].frame < blend.start:
                cuts += self._hard_cut(self._cuts.popleft())
            kept = self._inside(blend)
            if kept is not None:
                cuts += self._hard_cut(kept)
            else:
                cuts += self._blend(blend)
        limit = self._told[0].start if self._told else None
        while self._cuts and (limit is None or self._cuts[0].frame < limit):
            cut = self._cuts[0]
            if not over and not self._is_settled(cut.frame):
                break
            cuts += self._hard_cut(self._cuts.popleft())
        if self._faded is not None and not self._cuts and not self._told:
            gone = self._newest - self._faded.end
            if gone > self._wait // 2 and self._blends.plain_between(self._faded.end, self._newest):
                cuts += self._leave()
        return cuts

    def _is_settled(self, number: int) -> bool:
        age = self._newest - number
        if self._blends.jumps(number):
            return True
        if age > 3 * self._wait:
            return True
        return age > self._wait // 2 and not self._blends.may_blend(number)

    def _inside(self, blend: Blend) -> Cut | None:
        """Take the cuts inside a blend away; returns one that is too sudden to be part of it."""
        sudden = None
        while self._cuts and self._cuts[0].frame <= blend.end + 2 * self._blends.stride:
            cut = self._cuts.popleft()
            if cut.frame <= blend.end and self._blends.jumps(cut.frame):
                sudden = cut
        return sudden

    def _hard_cut(self, cut: Cut) -> list[Cut]:
        if cut.frame <= self._last or self._blends.same_plain(cut.frame):
            return []
        if self._faded is not None:
            cut = replace(cut, gradual=True, blend_frame=self._faded.start)
            self._faded = None
        self._last = cut.frame
        return [cut]

    def _blend(self, blend: Blend) -> list[Cut]:
        if blend.to_plain:
            cuts = [] if self._faded is None else self._leave()
            self._faded = blend
            return cuts
        start = blend.start
        if self._faded is not None:
            start, self._faded = self._faded.start, None
        elif blend.from_plain and self._begin == 0 and self._last < 0 and self._blends.first_picture >= start:
            start = 0
        if blend.end <= self._last or blend.end > self._newest:
            return []
        start = max(start, self._last + 1)
        self._last = blend.end
        return [Cut(frame=blend.end, seconds=blend.seconds, gradual=True, blend_frame=start)]

    def _leave(self) -> list[Cut]:
        """A fade out that nothing follows: what comes after it is a shot of its own, of one colour."""
        blend, self._faded = self._faded, None
        if blend is None or blend.end <= self._last:
            return []
        self._last = blend.end
        return [Cut(frame=blend.end, seconds=blend.seconds, gradual=True, blend_frame=blend.start)]
