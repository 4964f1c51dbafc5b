"""Where shots begin: PySceneDetect's detectors or TransNetV2, joined with fades and dissolves.

Frames are decoded once, by the caller, and shown to everything that wants to see them. So a detector gets
them as :meth:`CutFinder.feed` hands them on, and finds what it would find in a film that it opened itself.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from jaxtyping import UInt8

from captain_cinema.films.blends import Blend, BlendFinder
from captain_cinema.films.decode import Decoding, Frame, decode
from captain_cinema.films.media import probe
from captain_cinema.films.records import Cut
from captain_cinema.films.settings import Detector, FilmSettings

if TYPE_CHECKING:
    from scenedetect import FrameTimecode, SceneDetector

SIDE = 256
"""Longer side of the pictures that detectors see, as PySceneDetect reduces them."""
DEFAULT_FPS = 25.0
ADAPTIVE_RATIO, ADAPTIVE_WINDOW, ADAPTIVE_CONTENT = 1.7, 3, 22.0
CONTENT_THRESHOLD = 27.0
FADE_THRESHOLD = 12.0
HASH_THRESHOLD = 0.35
HISTOGRAM_THRESHOLD = 0.20
SHORTEST_SHOT: dict[Detector, float] = {
    "adaptive": 0.2,
    "content": 0.5,
    "threshold": 0.2,
    "hash": 0.5,
    "histogram": 0.5,
    "transnetv2": 0.0,
}
"""What the detectors were tuned to: docs/films.md says on which films, and how much it matters. Flashes and
wild motion look like many cuts to some, so that a longer shortest shot suits them."""
ROUNDING = 0.002
"""Seconds by which stamps in whole milliseconds may make a shot look too short."""
TICK = Fraction(1, 1_000_000)
SECONDS_A_TICK = float(TICK)


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


def shortest_shot(settings: FilmSettings) -> float:
    """Seconds of the shortest shot: what the settings say, or else what suits the detector."""
    own = settings.shortest_shot
    return SHORTEST_SHOT[settings.detector] if own is None else own


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


def reduced(frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
    """The frame in RGB with a longer side of at most `SIDE`."""
    longer = max(frame.width, frame.height)
    return frame.small(max(1, round(frame.width * min(1.0, SIDE / longer))))


class Looker:
    """Frames as detectors see them: of one size, whatever the film does, and without damaged ones."""

    def __init__(self) -> None:
        self._last: UInt8[np.ndarray, "h w 3"] | None = None

    def look(self, frame: Frame) -> UInt8[np.ndarray, "h w 3"]:
        """The frame, reduced; in the place of a damaged one the last sound one, which hides the damage."""
        if frame.flagged and self._last is not None:
            return self._last
        image = reduced(frame)
        if self._last is not None and image.shape != self._last.shape:
            height, width = self._last.shape[:2]
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        self._last = image
        return image


def scene_detector(settings: FilmSettings) -> SceneDetector:
    """PySceneDetect's detector for the settings, with thresholds tuned on real films."""
    from scenedetect import detectors

    shortest = max(0.0, shortest_shot(settings) - ROUNDING)
    own = settings.threshold
    match settings.detector:
        case "adaptive":
            return detectors.AdaptiveDetector(
                adaptive_threshold=ADAPTIVE_RATIO if own is None else own,
                window_width=ADAPTIVE_WINDOW,
                min_content_val=ADAPTIVE_CONTENT,
                min_scene_len=shortest,
            )
        case "content":
            return detectors.ContentDetector(
                CONTENT_THRESHOLD if own is None else own, min_scene_len=shortest
            )
        case "threshold":
            # The cut is where the picture comes back: what lies before is black.
            return detectors.ThresholdDetector(
                FADE_THRESHOLD if own is None else own, min_scene_len=shortest, fade_bias=1.0
            )
        case "hash":
            return detectors.HashDetector(HASH_THRESHOLD if own is None else own, min_scene_len=shortest)
        case "histogram":
            return detectors.HistogramDetector(
                HISTOGRAM_THRESHOLD if own is None else own, min_scene_len=shortest
            )
        case other:
            raise ValueError(f"PySceneDetect has no detector {other}")


def quickened(detector: SceneDetector) -> SceneDetector:
    """The same detector with the same scores, summed up by OpenCV rather than by NumPy.

    Of PySceneDetect's time on a frame, sums of the differences of hue, saturation and brightness take half.
    """
    from scenedetect.detectors import ContentDetector

    if not isinstance(detector, ContentDetector) or detector._weights.delta_edges > 0:
        return detector

    def score(timecode: FrameTimecode, frame_img: np.ndarray) -> float:
        hue, saturation, brightness = cv2.split(cv2.cvtColor(frame_img, cv2.COLOR_BGR2HSV))
        last, detector._last_frame = (
            detector._last_frame,
            ContentDetector._FrameData(hue, saturation, brightness, None),
        )
        if last is None:
            return 0.0
        pairs = ((hue, last.hue), (saturation, last.sat), (brightness, last.lum))
        changes = [cv2.norm(here, there, cv2.NORM_L1) / here.size for here, there in pairs]
        weights = detector._weights
        return sum(change * weight for change, weight in zip((*changes, 0.0), weights, strict=True)) / sum(
            map(abs, weights)
        )

    detector._calculate_frame_score = score
    return detector


class SceneDetectFinder:
    """A detector of PySceneDetect, fed with frames that were decoded for it.

    Args:
        detector: a new one, that has not seen any frame.
        fps: frames a second.
        shortest: seconds of the shortest shot that the detector gives.
    """

    def __init__(self, detector: SceneDetector, fps: float, *, shortest: float) -> None:
        self._detector = quickened(detector)
        self._fps = Fraction(fps).limit_denominator(1_000_000)
        self._step = 1 / float(self._fps)
        # Content cuts that come thick are merged into the last of them, told a shortest shot later.
        self.lag = 2 + max(ADAPTIVE_WINDOW, round(shortest * fps + 0.5))
        self._looker = Looker()
        self._recent: deque[tuple[FrameTimecode, Frame]] = deque(maxlen=4 * self.lag)
        self._clock = 0.0
        self._newest = -1

    @property
    def decided(self) -> int:
        """Every cut before this frame has been told."""
        return self._newest - self.lag

    def feed(self, frame: Frame) -> list[Cut]:
        """The next frame; returns the cuts that are now certain."""
        time = self._time(frame)
        self._recent.append((time, frame))
        image = cv2.cvtColor(self._looker.look(frame), cv2.COLOR_RGB2BGR)
        return self._cuts(self._detector.process_frame(time, np.asarray(image)))

    def finish(self) -> list[Cut]:
        """There are no more frames."""
        if not self._recent:
            return []
        return self._cuts(self._detector.post_process(self._recent[-1][0]))

    def _time(self, frame: Frame) -> FrameTimecode:
        from scenedetect import FrameTimecode
        from scenedetect.common import Timecode

        # A detector's clock never stands still or goes back, as stamps that wrap or are reset do.
        if self._newest < 0 or frame.seconds > self._clock:
            self._clock = frame.seconds
        else:
            self._clock += self._step
        self._newest = frame.number
        ticks = round(self._clock / SECONDS_A_TICK)
        return FrameTimecode(Timecode(pts=ticks, time_base=TICK), fps=self._fps)

    def _cuts(self, times: list[FrameTimecode]) -> list[Cut]:
        cuts = []
        for time in times:
            # The nearest, not the same one: some detectors count frames from seconds.
            _, frame = min(self._recent, key=lambda pair: abs(pair[0].seconds - time.seconds))
            cuts.append(Cut(frame=frame.number, seconds=frame.seconds))
        return cuts


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
