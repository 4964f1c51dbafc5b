import pytest
import torch

from captain_cinema.keyframes.noisy_context import BANDS, CLEAN, LIGHT, Band, add_noise


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(5)


def test_the_papers_bands_cover_the_thousand_steps():
    steps = [step for band in BANDS.values() for step in range(band.low, band.high + 1)]
    assert steps == list(range(1, 1001))


@pytest.mark.parametrize("band", BANDS.values(), ids=list(BANDS))
def test_every_frame_has_its_own_level_from_the_band(band: Band):
    _, t = add_noise(torch.zeros(400, 1, 1), band, generator())
    assert t.min() >= band.low / 1000
    assert t.max() <= band.high / 1000
    assert t.unique().numel() > 100
    assert t.mean() == pytest.approx((band.low + band.high) / 2000, abs=0.02)


def test_noise_is_mixed_as_the_path_says():
    x_t, t = add_noise(torch.full((50, 32, 64), 2.0), LIGHT, generator())
    assert x_t.mean((1, 2)) == pytest.approx(2 * (1 - t), abs=0.05)
    assert x_t.std((1, 2)) == pytest.approx(t, abs=0.02)


def test_the_lightest_band_is_the_default():
    x = torch.ones(3, 4, 5)
    assert torch.equal(add_noise(x, generator=generator()).x_t, add_noise(x, LIGHT, generator()).x_t)


def test_clean_context_is_untouched():
    x = torch.ones(3, 4, 5)
    noisy = add_noise(x, CLEAN, generator())
    assert torch.equal(noisy.x_t, x)
    assert noisy.t.tolist() == [0, 0, 0]


def test_a_band_beyond_the_steps_is_refused():
    with pytest.raises(ValueError, match="between 0 and 1000"):
        Band(name="too far", low=900, high=1001)
