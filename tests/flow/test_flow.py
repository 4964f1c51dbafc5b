"""Identities of rectified flow: the straight path, the time shift, Euler's rule."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from captain_cinema.flow.path import SMALLEST_T, clean_from, interpolate, velocity_to
from captain_cinema.flow.sampler import euler
from captain_cinema.flow.schedule import sample_t, time_shift, timesteps

unit = st.floats(0, 1)
shifts = st.floats(0.1, 10)
relaxed = settings(max_examples=50, deadline=None)  # a busy machine is no failure


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_path_runs_from_the_frame_to_the_noise():
    x_0, eps = noise(2, 3, 4), noise(2, 3, 4, seed=1)
    assert torch.equal(interpolate(x_0, eps, torch.zeros(2, 3)).x_t, x_0)
    assert torch.equal(interpolate(x_0, eps, torch.ones(2, 3)).x_t, eps)


@given(t=unit, dt=st.floats(1e-3, 0.1))
@relaxed
def test_the_target_is_the_derivative_of_the_path(t, dt):
    x_0, eps = noise(5), noise(5, seed=1)
    here, there = (interpolate(x_0, eps, torch.tensor(level, dtype=torch.float64)) for level in (t, t + dt))
    torch.testing.assert_close((there.x_t - here.x_t) / dt, here.target, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(clean_from(here.x_t, here.target, here.t), x_0)


def test_every_frame_may_have_its_own_level():
    x_0, eps = noise(2, 3, 4, 5), noise(2, 3, 4, 5, seed=1)
    t = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.25, 0.0]])
    path = interpolate(x_0, eps, t)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(path.x_t[i, j], (1 - t[i, j]) * x_0[i, j] + t[i, j] * eps[i, j])
    torch.testing.assert_close(clean_from(path.x_t, path.target, t), x_0)


@given(t=unit)
@relaxed
def test_a_predicted_frame_gives_a_bounded_velocity_back(t):
    x_0, eps = noise(5), noise(5, seed=1)
    path = interpolate(x_0, eps, torch.tensor(t, dtype=torch.float64))
    velocity = velocity_to(path.x_t, x_0, path.t)
    if t >= SMALLEST_T:
        torch.testing.assert_close(velocity, path.target)
    else:
        assert velocity.norm() <= path.target.norm() + 1e-9


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 4, 1)])
def test_levels_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="do not fit x_0"):
        interpolate(noise(2, 3, 4), noise(2, 3, 4), torch.zeros(shape))


@given(num_steps=st.integers(1, 40), shift=shifts)
@relaxed
def test_euler_is_exact_on_a_straight_path(num_steps, shift):
    x_0, eps = noise(3, 4), noise(3, 4, seed=1)
    path = interpolate(x_0, eps, torch.ones(3))
    got = euler(lambda x, t: path.target, path.x_t, timesteps(num_steps, shift))
    torch.testing.assert_close(got, x_0)


def test_euler_converges_on_a_curved_path():
    """dx/dt = x from t = 1 to 0 divides by e; the error falls with the number of steps."""
    errors = [
        abs(float(euler(lambda x, t: x, torch.ones(1).double(), timesteps(n))) - 1 / math.e)
        for n in (10, 20, 40)
    ]
    assert errors[0] > 1.8 * errors[1] > 1.8**2 * errors[2]


def test_euler_reports_progress_and_passes_the_level():
    levels, done = [], []
    euler(
        lambda x, t: levels.append(t) or x,
        torch.ones(1),
        timesteps(4),
        progress=lambda *args: done.append(args),
    )
    assert levels == [1.0, 0.75, 0.5, 0.25]
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


@given(shift=shifts)
@relaxed
def test_the_shift_keeps_both_ends_and_the_order(shift):
    t = time_shift(torch.linspace(0, 1, 101, dtype=torch.float64), shift)
    assert t[0] == 0
    assert t[-1] == pytest.approx(1)
    assert (t.diff() > 0).all()


@given(t=st.floats(0.001, 0.999), first=shifts, second=shifts)
@relaxed
def test_shifts_multiply_the_ratio_of_noise_to_signal(t, first, second):
    shifted = time_shift(t, first)
    assert shifted / (1 - shifted) == pytest.approx(first * t / (1 - t), rel=1e-6)
    assert time_shift(shifted, second) == pytest.approx(time_shift(t, first * second), rel=1e-9)
    assert time_shift(t, 1.0) == pytest.approx(t)


def test_flux_own_numbers():
    """FLUX writes the shift as exp(mu) / (exp(mu) + 1/t - 1)."""
    for mu in (0.5, 1.15):
        for t in (0.1, 0.5, 0.9):
            assert time_shift(t, math.exp(mu)) == pytest.approx(math.exp(mu) / (math.exp(mu) + 1 / t - 1))


@given(num_steps=st.integers(1, 100), shift=shifts)
@relaxed
def test_timesteps_run_from_noise_to_the_frame(num_steps, shift):
    steps = timesteps(num_steps, shift)
    assert len(steps) == num_steps + 1
    assert steps[0] == pytest.approx(1)
    assert steps[-1] == 0
    assert (steps.diff() < 0).all()


@pytest.mark.parametrize(
    ("num_steps", "shift", "message"), [(0, 1.0, "num_steps"), (4, 0.0, "shift"), (4, -1.0, "shift")]
)
def test_impossible_schedules_are_refused(num_steps, shift, message):
    with pytest.raises(ValueError, match=message):
        timesteps(num_steps, shift)


def test_training_levels_are_logit_normal_and_repeatable():
    draw = [sample_t((20000,), shift=3.0, generator=torch.Generator().manual_seed(5)) for _ in range(2)]
    assert torch.equal(*draw)
    t = draw[0].double()
    assert t.min() > 0
    assert t.max() < 1
    logit = (t / (1 - t)).log()
    assert float(logit.mean()) == pytest.approx(math.log(3), abs=0.03)
    assert float(logit.std()) == pytest.approx(1, abs=0.03)
    assert sample_t((2, 3), generator=torch.Generator().manual_seed(0)).shape == (2, 3)
