"""Randomness that is a function of (seed, step), so that a resumed run takes the identical next step."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch

SEEDS_AFTER = 1 << 20
"""Seeds of runs that go on from weights lie from here to twice here, far from those that people give."""


def step_rng(*key: int) -> np.random.Generator:
    """NumPy's generator for a key such as (seed, stream, step)."""
    return np.random.default_rng(list(key))


def step_generator(*key: int) -> torch.Generator:
    """PyTorch's generator (on the CPU, the same everywhere) for a key such as (seed, stream, step)."""
    state = np.random.SeedSequence(list(key)).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state))


def seed_after(seed: int, weights: Path) -> int:
    """The seed of a run that goes on from weights: another one for other weights, the same for the same.

    A run draws its films from its seed. One that went on with the seed of the run before saw the very same
    films again, which by then the model knew by heart (docs/log.md).

    Args:
        seed: what the user gave.
        weights: folder of the part's safetensors files.
    """
    digest = hashlib.sha256(str(seed).encode())
    for path in sorted(weights.rglob("*.safetensors")):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return SEEDS_AFTER + int.from_bytes(digest.digest()[:8], "big") % SEEDS_AFTER
