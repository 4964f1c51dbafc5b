"""PySceneDetect's detectors, tuned on real films and fed with frames that were decoded for them."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from typing import TYPE_CHECKING

import cv2
import numpy as np

from captain_cinema.films.decode import Frame
from captain_cinema.films.looking import Looker
from captain_cinema.films.records import Cut
from captain_cinema.films.settings import Detector, FilmSettings

if TYPE_CHECKING:
    from scenedetect import FrameTimecode, SceneDetector

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


def shortest_shot(settings: FilmSettings) -> float:
    """Seconds of the shortest shot: what the settings say, or else what suits the detector."""
    own = settings.shortest_shot
    return SHORTEST_SHOT[settings.detector] if own is None else own


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
