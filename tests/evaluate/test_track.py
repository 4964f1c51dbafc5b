"""The tracker against clips whose motion is known: a figure of paper before a patterned wall."""

import cv2
import numpy as np
import pytest

from captain_cinema.evaluate.track import travel

HEIGHT, WIDTH, FRAMES = 128, 256, 13
COLOURS = np.array([[200, 60, 40], [240, 220, 60], [40, 60, 160]], np.uint8)


def wall() -> np.ndarray:
    """Twice as wide as the frame, so that a pan has somewhere to go."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(90, 200, (16, 64, 3)).astype(np.float32)
    return (
        cv2.resize(coarse, (2 * WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    )


def figure_mask(left: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40:115, max(0, left) : max(0, left + 30)] = True
    return mask


def clip(*, speed: float, pan: float = 0.0, zoom: float = 1.0, start: int = 110) -> np.ndarray:
    """Speeds in pixels over the whole clip; the figure moves within the scene."""
    frames = []
    for number in range(FRAMES):
        done = number / (FRAMES - 1)
        offset = WIDTH // 2 - round(pan * done)
        frame = wall()[:, offset : offset + WIDTH].copy()
        left = start + round((speed + pan) * done)
        for band, colour in enumerate(COLOURS):
            frame[40 + 25 * band : 65 + 25 * band, max(0, left) : max(0, left + 30)] = colour
        scale = 1 + (zoom - 1) * done
        matrix = np.array([[scale, 0, (1 - scale) * WIDTH / 2], [0, scale, (1 - scale) * HEIGHT / 2]])
        frames.append(cv2.warpAffine(frame, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE))
    return np.stack(frames)


@pytest.mark.parametrize("speed", [-70, -20, 0, 20, 70])
@pytest.mark.parametrize("pan", [-50, 0, 50])
def test_travel_is_the_figures_own(speed: int, pan: int) -> None:
    found = travel(clip(speed=speed, pan=pan), figure_mask(110), figure_mask(110))
    assert found == pytest.approx(speed / HEIGHT, abs=0.05)


@pytest.mark.parametrize("start", [20, 200])
def test_a_push_in_is_no_walk(start: int) -> None:
    mask = figure_mask(start)
    assert travel(clip(speed=0, zoom=1.25, start=start), mask, mask) == pytest.approx(0, abs=0.04)


def test_leaving_the_picture_counts_as_far() -> None:
    assert travel(clip(speed=200, start=110), figure_mask(110), figure_mask(110)) > 1


def test_a_clip_of_one_frame_has_no_travel() -> None:
    with pytest.raises(ValueError, match="at least 2 frames, got 1"):
        travel(clip(speed=0)[:1], figure_mask(110), figure_mask(110))


def test_a_figure_must_be_there() -> None:
    nothing = np.zeros((HEIGHT, WIDTH), bool)
    with pytest.raises(ValueError, match="not in the first frame"):
        travel(clip(speed=0), nothing, nothing)
