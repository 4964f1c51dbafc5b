"""The measures run with the real classes, at a size that takes seconds; fresh weights cannot do well."""

from dataclasses import dataclass, replace

import pytest
import torch
from tiny_codec import tiny_codec

from captain_cinema.backbone.mmdit import MMDiT, MMDiTConfig
from captain_cinema.backbone.text import TEXT_DIM, PhraseEncoder
from captain_cinema.evaluate import identity, motion
from captain_cinema.keyframes.planner import KeyframePlanner, SamplingSettings
from captain_cinema.keyframes.retrieval import RetrieverConfig, new_retriever
from captain_cinema.shots.abilities import EMBEDDED_ABILITIES
from captain_cinema.shots.generator import ShotGenerator, ShotSettings
from captain_cinema.shots.model import embedded_shot_config, new_shot_model


@dataclass(frozen=True, kw_only=True)
class Backend:
    planner: KeyframePlanner
    shots: ShotGenerator


@pytest.fixture(scope="module")
def backend() -> Backend:
    torch.manual_seed(5)
    codec = tiny_codec()
    config = MMDiTConfig(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=1,
        joint_attention_dim=TEXT_DIM,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    text = PhraseEncoder()
    small = RetrieverConfig(image_size=32, hidden=24, layers=1, heads=2, projection=16, text_hidden=32)
    planner = KeyframePlanner(
        MMDiT(config), codec, text, new_retriever(small, text), SamplingSettings(steps=1, guidance=1.0)
    )
    shot_config = embedded_shot_config(latent_channels=4) | {"num_layers": 1, "ffn_dim": 32}
    shots = ShotGenerator(
        new_shot_model(shot_config, seed=0),
        codec,
        text,
        ShotSettings(steps=1),
        abilities=replace(EMBEDDED_ABILITIES, fps=4, max_seconds=1.0),
    )
    return Backend(planner=planner, shots=shots)


@pytest.mark.parametrize("rollout", [False, True])
def test_identity_of_fresh_weights_is_near_chance(backend: Backend, rollout: bool) -> None:
    result = identity.run(backend, 1, 2, 4, rollout)
    counts = {condition: result.share(condition).total for condition in identity.CONDITIONS}
    main, other = (identity.ROLLOUT, identity.CONTEXT) if rollout else (identity.CONTEXT, identity.ROLLOUT)
    assert counts.pop(other) == 0
    assert set(counts.values()) == {result.headline.total} != {0}
    assert result.headline == result.share(main)
    assert result.headline.rate < 0.7


def test_motion_is_measured_beside_its_bounds(backend: Backend) -> None:
    """Of fresh weights nothing is expected; true clips are right and still ones wrong, as many of each."""
    result = motion.run(backend, 2, 4, 4)
    assert result.headline.total == result.share(motion.TRUTH).total > 0
    assert result.share(motion.TRUTH).rate == 1
    assert result.share(motion.STILL).correct == 0
