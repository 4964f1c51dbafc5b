"""Randomness that is a function of (seed, step), so that a resumed run takes the identical next step."""

from __future__ import annotations

import numpy as np
import torch


def step_rng(*key: int) -> np.random.Generator:
    """NumPy's generator for a key such as (seed, stream, step)."""
    return np.random.default_rng(list(key))


def step_generator(*key: int) -> torch.Generator:
    """PyTorch's generator (on the CPU, the same everywhere) for a key such as (seed, stream, step)."""
    state = np.random.SeedSequence(list(key)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))
