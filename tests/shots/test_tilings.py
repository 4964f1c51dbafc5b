"""Shots tiled with patches more than once."""

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from captain_cinema.shots.attention import (
    TILINGS,
    ShotLayout,
    _tile,
    _untile,
    joined_forward,
    place_rotary,
)
from captain_cinema.shots.conditioning import shot_places
from captain_cinema.shots.model import embedded_shot_config, new_shot_model

SLOTS, HEIGHT, WIDTH, TXT = 3, 4, 6, 6
TOKENS = SLOTS * (HEIGHT // 2) * (WIDTH // 2)


@pytest.fixture(scope="module")
def model() -> WanTransformer3DModel:
    config = embedded_shot_config(latent_channels=2, txt_dim=TXT)
    config |= {
        "in_channels": 8,
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "ffn_dim": 32,
        "freq_dim": 16,
        "num_layers": 2,
    }
    model = new_shot_model(config, seed=0).eval()
    torch.nn.init.normal_(model.proj_out.weight, generator=torch.Generator().manual_seed(0))
    return model


def inputs(b: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    latents = torch.randn(b, 8, SLOTS, HEIGHT, WIDTH, generator=generator)
    timestep = torch.rand(b, TOKENS, generator=generator) * 1000
    return latents, timestep, torch.randn(b, 5, TXT, generator=generator)


@torch.no_grad()
def film(model, latents, timestep, txt, *, tilings, **layout):
    return joined_forward(model, latents, timestep, txt, ShotLayout(**layout), tilings=tilings)


def test_a_second_tiling_stands_half_a_patch_further(model):
    """Twice half a place is one place, and the first tiling's factors are those of a single one."""
    places = shot_places(1, 0, SLOTS)
    one = torch.complex(*(part[0, :, 0] for part in place_rotary(model.rope, places, 2, 3)))
    cos, sin = place_rotary(model.rope, places.repeat(4, 1), 2, 3, tilings=4)
    torch.testing.assert_close(torch.complex(cos[0, :, 0], sin[0, :, 0]), one)
    one = one.unflatten(0, (SLOTS, 2, 3))
    sizes = [model.rope.t_dim, model.rope.h_dim, model.rope.w_dim]
    for tiling, (down, right) in enumerate(TILINGS):
        moved = torch.complex(cos[tiling, :, 0], sin[tiling, :, 0]).unflatten(0, (SLOTS, 2, 3))
        time, row, col = (moved * one.conj()).split(sizes, dim=-1)
        torch.testing.assert_close(time, torch.ones_like(time))
        _, rows, cols = one.split(sizes, dim=-1)
        next_row = (rows[:, 1:] * rows[:, :1].conj())[:, :1].expand_as(row)
        next_col = (cols[:, :, 1:2] * cols[:, :, :1].conj()).expand_as(col)
        torch.testing.assert_close(row.square(), next_row if down else torch.ones_like(row))
        torch.testing.assert_close(col.square(), next_col if right else torch.ones_like(col))


def test_every_latent_gets_the_mean_of_what_is_said_of_it():
    latents = inputs(2)[0]
    for tilings in (2, 3, 4):
        torch.testing.assert_close(_untile(_tile(latents, tilings), tilings), latents)
    said = torch.stack([torch.zeros_like(latents), torch.ones_like(latents)], dim=1).flatten(0, 1)
    mean = _untile(said, 2)
    assert (mean[..., 1:, 1:] == 0.5).all()
    assert (mean[..., 0, :] == 0).all()
    assert (mean[..., 0] == 0).all()


def test_a_second_tiling_sees_patches_of_its_own(model):
    latents, timestep, txt = inputs(1)
    places = shot_places(1, 0, SLOTS)
    one, two, four = (film(model, latents, timestep, txt, tilings=n, places=places) for n in (1, 2, 4))
    assert one.shape == two.shape == four.shape
    assert not torch.allclose(one, two, atol=1e-2)
    assert not torch.allclose(two, four, atol=1e-2)


def test_shots_of_other_films_and_hidden_slots_are_not_seen(model):
    latents, timestep, txt = inputs(4)
    places = shot_places(4, 0, SLOTS, shots=2)
    all_of_them = film(model, latents, timestep, txt, tilings=2, places=places, shots=2)
    first = film(model, *(x[:2] for x in (latents, timestep, txt)), tilings=2, places=places[:2], shots=2)
    assert torch.allclose(all_of_them[:2], first, atol=1e-4)
    apart = film(model, latents, timestep, txt, tilings=2, places=places)
    assert not torch.allclose(all_of_them, apart, atol=1e-2)
    valid = torch.ones(4, SLOTS, dtype=torch.bool)
    valid[:, 0] = False
    other = latents.clone()
    other[:, :, 0] += 1
    seen, unseen = (
        [
            film(model, x, timestep, txt, tilings=2, places=places, valid=mask)[:, :, 1:]
            for x in (latents, other)
        ]
        for mask in (None, valid)
    )
    assert not torch.allclose(*seen, atol=1e-2)
    assert torch.allclose(*unseen, atol=1e-4)
