"""Motion beside appearance: fields of cells, and pictures made from them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from captain_cinema.shots.motion_field import (
    CELLS,
    KINDS,
    MOTION_CHANNELS,
    carry,
    compose,
    layers,
    pack,
    picture,
    still,
    unmoved,
    unpack,
)
from captain_cinema.shots.slot_codec import FrameSlots
from tests.shots.tiny_shots import LetterEncoder, PixelCodec

HEIGHT, WIDTH, CELL = 32, 64, 4
ROWS, COLS = HEIGHT // CELL, WIDTH // CELL


def noise_picture() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH))).float()


def field(frames: int = 1) -> torch.Tensor:
    return torch.zeros(frames, KINDS, ROWS, COLS)


def pixels(count: float) -> float:
    """Pixels as latents."""
    return count / (CELL * CELLS)


def test_a_field_comes_back_from_its_channels() -> None:
    generator = torch.Generator().manual_seed(0)
    given = torch.rand(5, KINDS, ROWS, COLS, generator=generator)
    given[:, :4] = 20 * given[:, :4] - 10
    channels = pack(given)
    assert channels.shape == (5, MOTION_CHANNELS, ROWS // CELLS, COLS // CELLS)
    torch.testing.assert_close(unpack(channels), given, atol=1e-4, rtol=1e-4)


def test_nothing_moved_is_the_keyframe_itself() -> None:
    picture = noise_picture()
    carried, landed = carry(picture, field(2))
    torch.testing.assert_close(carried, picture.expand(2, -1, -1, -1), atol=0.1, rtol=0)
    torch.testing.assert_close(landed, torch.ones(2, 1, HEIGHT, WIDTH), atol=1e-3, rtol=0)
    held = still(torch.randn(2, 3, 2, 4), picture.permute(1, 2, 0).expand(2, -1, -1, -1).to(torch.uint8))
    assert held[:, 3:].any()  # the colours of the cells, until the field is asked for
    assert not unpack(unmoved(held[:, :, None], 1)[:, 3:, 0]).any()


@pytest.mark.parametrize(("right", "down"), [(5, 0), (0, -3), (-7, 2)])
def test_a_picture_moves_by_whole_pixels_unchanged(right: int, down: int) -> None:
    picture, moved = noise_picture(), field()
    moved[:, 0], moved[:, 1] = pixels(right), pixels(down)
    carried, landed = carry(picture, moved)
    expected = torch.roll(picture, (down, right), dims=(1, 2))
    inside = torch.roll(torch.ones(HEIGHT, WIDTH), (down, right), dims=(0, 1)).bool()
    inside[: max(0, down)] = inside[HEIGHT + min(0, down) :] = False
    inside[:, : max(0, right)] = inside[:, WIDTH + min(0, right) :] = False
    torch.testing.assert_close(carried[0][:, inside], expected[:, inside], atol=0.5, rtol=0)
    assert (landed[0, 0][~inside] < 0.01).all()


def test_what_is_in_front_hides_what_is_behind() -> None:
    picture = torch.zeros(3, HEIGHT, WIDTH)
    picture[0], picture[1, 8:24, 8:24] = 200.0, 200.0
    picture[0, 8:24, 8:24] = 0.0
    moved = field()
    moved[:, 0, 2:6, 2:6], moved[:, 4, 2:6, 2:6] = pixels(20), 1.0
    carried, landed = carry(picture, moved)
    assert (carried[0, 1, 9:23, 29:43] > 190).all()
    assert (carried[0, 0, 9:23, 29:43] < 10).all()
    assert (landed[0, 0, 10:22, 10:22] < 0.01).all()  # and leaves a hole
    moved[:, 4] = 1 - moved[:, 4]
    behind, _ = carry(picture, moved)
    assert (behind[0, 0, 9:23, 29:43] > 190).all()


def test_cells_that_turn_do_not_fall_into_squares() -> None:
    picture = torch.full((3, HEIGHT, WIDTH), 100.0)
    y, x = torch.meshgrid(torch.arange(ROWS) - 3.5, torch.arange(COLS) - 7.5, indexing="ij")
    angle = 0.4
    moved = field()
    moved[:, 0] = pixels(CELL) * ((np.cos(angle) - 1) * x - np.sin(angle) * y)
    moved[:, 1] = pixels(CELL) * (np.sin(angle) * x + (np.cos(angle) - 1) * y)
    _, landed = carry(picture, moved)
    middle = landed[0, 0, 8:24, 16:48]
    assert middle.min() > 0.6
    assert middle.max() < 1.5


def test_errors_in_proportion_do_not_tear_what_runs() -> None:
    shown = torch.full((3, HEIGHT, WIDTH), 30.0)
    shown[:, 8:24, 8:24] = 200.0
    moved = field()
    generator = torch.Generator().manual_seed(0)
    moved[:, 0, 2:6, 2:6] = pixels(32) * (1 + 0.3 * torch.randn(4, 4, generator=generator))
    moved[:, 4, 2:6, 2:6] = 1.0
    torn, _ = carry(shown, moved)
    carried, landed = carry(shown, layers(moved).field)
    there = (slice(10, 22), slice(42, 54))
    assert (torn[0, 0][there] < 40).float().mean() > 0.1
    assert (landed[0, 0][there] > 0.5).all()
    assert (carried[0, 0][there] > 190).all()
    assert (carried[0, 0, 10:22, 26:34] < 40).all()  # the mean of the errors is left


def test_layers_are_the_backdrop_and_every_figure_of_its_own() -> None:
    frames = 6
    generator = torch.Generator().manual_seed(0)
    given = field(frames)
    time = torch.arange(1, frames + 1)[:, None, None] / frames
    x = torch.arange(COLS) / COLS - 0.5
    camera = time * (pixels(6) * x + pixels(2)).expand(ROWS, -1)
    given[:, 0] = camera
    given[:, 0, 2:6, 2:6] = time * pixels(24)
    given[:, 0, 2:6, 9:12] = time * -pixels(20)
    given[:, 4, 2:6, 2:6] = given[:, 4, 2:6, 9:12] = 0.7
    noisy = given.clone()
    noisy[:, :2] *= 1 + 0.2 * torch.randn(frames, 2, ROWS, COLS, generator=generator)
    found = layers(noisy)
    assert (found.figures == (given[0, 4] > 0)).all()
    assert (found.backdrop[:, 0] - camera).abs().max() < pixels(0.5)  # behind the figures too
    assert (found.backdrop[:, 1]).abs().max() < pixels(0.5)
    assert (found.field[:, 0] - given[:, 0]).abs().max() < pixels(3)
    assert (found.field[:, 0] - given[:, 0]).abs().max() < 0.5 * (noisy - given)[:, 0].abs().max()
    assert (found.field[:, 2:] == noisy[:, 2:]).all()


def test_whole_frames_of_figures_have_layers() -> None:
    given = field(2)
    given[:, 4] = 1.0
    given[:, 0] = pixels(5)
    found = layers(given)
    assert found.figures.all()
    torch.testing.assert_close(found.field, given, atol=1e-4, rtol=1e-4)
    assert not found.backdrop.any()


def test_behind_a_figure_that_leaves_is_the_backdrop() -> None:
    keyframe = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
    keyframe[8:24, 8:24] = 200
    moved = field()
    moved[:, 0, 2:6, 2:6], moved[:, 4, 2:6, 2:6] = pixels(24), 1.0
    moved[:, 5, 2:6, 2:6] = 1.0  # truly new, and yet not decoded
    made = picture(keyframe, moved, torch.full((1, 3, HEIGHT, WIDTH), 250.0))[0, 0]
    assert (made[10:22, 34:46] > 190).all()
    assert ((made[10:22, 10:22] - 60).abs() < 5).all()


def test_what_is_clearly_new_is_decoded() -> None:
    carried, decoded = torch.zeros(1, 3, 8, 8), torch.full((1, 3, 8, 8), 200.0)
    behind, landed, new = torch.full((1, 3, 8, 8), 90.0), torch.ones(1, 1, 8, 8), torch.zeros(1, 2, 2)
    landed[..., :4] = 0
    made = compose(carried, landed, behind, new, decoded)
    assert (made[..., :4] == 90).all()
    assert (made[..., 4:] == 0).all()
    made = compose(carried, landed, behind, new + 1, decoded)
    assert (made[..., :2] == 90).all()
    assert (made[..., 6:] == 200).all()
    assert (compose(carried, landed, behind, new + 0.3, decoded)[..., 4:] == 0).all()


class BlockCodec(PixelCodec):
    """A latent is the mean colour of 16x16 pixels."""

    def encode_latents(self, frames):
        return F.avg_pool2d(super().encode_latents(frames), CELL * CELLS)

    def decode_latents(self, latents):
        return super().decode_latents(F.interpolate(latents, scale_factor=CELL * CELLS))


def test_slots_hold_motion_beside_latents() -> None:
    codec = BlockCodec()
    slots = FrameSlots(codec, LetterEncoder(), decode_batch=3, motion=True)
    keyframe = noise_picture().to(torch.uint8).permute(1, 2, 0).numpy()
    held = slots.keyframes([keyframe])[0]
    assert held.shape == (4 * (codec.channels + MOTION_CHANNELS), 2, 4)
    # Whatever the latents of a frame in which nothing moved, the keyframe's own pixels are shown.
    four = unmoved(held[None, :, None], 4)[0, :, 0].unflatten(0, (4, -1))
    four[:, : codec.channels] = 0
    made = slots.pictures(keyframe, torch.stack([held, four.flatten(0, 1)], dim=1), 4)
    assert made.shape == (4, HEIGHT, WIDTH, 3)
    assert np.abs(made.astype(int) - keyframe).max() <= 1
    # What is new is decoded.
    four[:, -MOTION_CHANNELS // KINDS :] = 1
    made = slots.pictures(keyframe, torch.stack([held, four.flatten(0, 1)], dim=1), 5)
    assert len(made) == 5
    assert (made[0] == keyframe).all()
    assert (made[1:] == 128).all()
    assert codec.decoded == [3, 3, 1]
