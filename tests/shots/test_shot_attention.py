"""The joined self-attention against diffusers' own forward."""

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from captain_cinema.shots.attention import ShotAttention, ShotLayout, joined_forward, shot_attention
from captain_cinema.shots.conditioning import shot_places
from captain_cinema.shots.model import embedded_shot_config, new_shot_model

CHANNELS, SLOTS, HEIGHT, WIDTH, TXT = 8, 3, 4, 6, 6
TOKENS = SLOTS * (HEIGHT // 2) * (WIDTH // 2)


@pytest.fixture(scope="module")
def config() -> dict:
    config = embedded_shot_config(latent_channels=CHANNELS // 4, txt_dim=TXT)
    return config | {
        "in_channels": CHANNELS,
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "ffn_dim": 32,
        "freq_dim": 16,
        "num_layers": 2,
    }


def fresh(config: dict) -> WanTransformer3DModel:
    model = new_shot_model(config, seed=0).eval()
    torch.nn.init.normal_(model.proj_out.weight, generator=torch.Generator().manual_seed(0))
    return model


def inputs(b: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    latents = torch.randn(b, CHANNELS, SLOTS, HEIGHT, WIDTH, generator=generator)
    timestep = torch.rand(b, TOKENS, generator=generator) * 1000
    return latents, timestep, torch.randn(b, 5, TXT, generator=generator)


@torch.no_grad()
def joined(model, latents, timestep, txt, **layout):
    return joined_forward(model, latents, timestep, txt, ShotLayout(**layout))


@torch.no_grad()
def test_one_shot_equals_wans_plain_forward(config):
    latents, timestep, txt = inputs(2)
    plain = fresh(config)(latents, timestep, txt, return_dict=False)[0]
    ours = joined(fresh(config), latents, timestep, txt, places=shot_places(2, 0, SLOTS))
    assert torch.allclose(ours, plain, atol=1e-5)


def test_only_distances_in_time_matter(config):
    latents, timestep, txt = inputs(2)
    model = fresh(config)
    here = joined(model, latents, timestep, txt, places=shot_places(2, 0, SLOTS))
    later = joined(model, latents, timestep, txt, places=shot_places(2, 0, SLOTS) + 96)
    apart = joined(model, latents, timestep, txt, places=shot_places(2, 0, SLOTS) * 3)
    assert torch.allclose(here, later, atol=1e-4)
    assert not torch.allclose(here, apart, atol=1e-2)


def test_switched_off_shots_equal_shots_made_alone(config):
    latents, timestep, txt = inputs(3)
    model, places = fresh(config), shot_places(3, 0, SLOTS, shots=3)
    off = joined(model, latents, timestep, txt, places=places, shots=1)
    alone = [
        joined(
            model, *(part[i : i + 1] for part in (latents, timestep, txt)), places=shot_places(1, 0, SLOTS)
        )
        for i in range(3)
    ]
    assert torch.allclose(off, torch.cat(alone), atol=1e-4)
    on = joined(model, latents, timestep, txt, places=places, shots=3)
    assert not torch.allclose(on, off, atol=1e-2)


def test_joined_groups_do_not_see_each_other(config):
    latents, timestep, txt = inputs(4)
    model, places = fresh(config), shot_places(4, 0, SLOTS, shots=2)
    both = joined(model, latents, timestep, txt, places=places, shots=2)
    first = joined(model, latents[:2], timestep[:2], txt[:2], places=places[:2], shots=2)
    assert torch.allclose(both[:2], first, atol=1e-5)


def test_a_shot_sees_the_other_shots_pictures_and_its_own_caption_alone(config):
    latents, timestep, txt = inputs(2)
    model = fresh(config)
    calls: list[torch.Tensor] = []
    handle = model.blocks[0].attn2.register_forward_hook(lambda _, args, out: calls.append(out))
    places = shot_places(2, 0, SLOTS, shots=2)
    joined(model, latents, timestep, txt, places=places, shots=2)
    retold = torch.stack([txt[0], txt[1] + 1.0])
    joined(model, latents, timestep, retold, places=places, shots=2)
    handle.remove()
    # The first block's cross-attention of shot 0 reads nothing of shot 1's caption ...
    assert torch.equal(calls[0][0], calls[1][0])
    assert not torch.allclose(calls[0][1], calls[1][1])
    # ... while its self-attention sees shot 1's tokens.
    repainted = torch.stack([latents[0], latents[1] + 1.0])
    base = joined(model, latents, timestep, txt, places=places, shots=2)
    changed = joined(model, repainted, timestep, txt, places=places, shots=2)
    assert not torch.allclose(base[0], changed[0], atol=1e-3)


def test_joined_equals_one_long_sequence_of_wan(config):
    """Two implementations of one thing: two joined shots with places in a row are one longer video."""
    latents, _, txt = inputs(1)
    model = fresh(config)
    timestep = torch.full((1, 2 * TOKENS), 400.0)
    video = torch.cat([latents, latents.flip(2)], dim=2)
    with torch.no_grad():
        whole = fresh(config)(video, timestep, txt, return_dict=False)[0]
    halves = torch.cat([latents, latents.flip(2)])
    places = torch.stack([torch.arange(SLOTS), torch.arange(SLOTS, 2 * SLOTS)])
    pieces = joined(model, halves, timestep.reshape(2, -1), txt.repeat(2, 1, 1), places=places, shots=2)
    assert torch.allclose(torch.cat([pieces[:1], pieces[1:]], dim=2), whole, atol=1e-5)


def test_invalid_slots_are_as_if_absent(config):
    latents, timestep, txt = inputs(2)
    model, places = fresh(config), shot_places(2, 0, SLOTS)
    valid = torch.tensor([[True, True, False]] * 2)
    masked = joined(model, latents, timestep, txt, places=places, valid=valid)
    cut = joined(model, latents[:, :, :2], timestep[:, : TOKENS * 2 // 3], txt, places=places[:, :2])
    assert torch.allclose(masked[:, :, :2], cut, atol=1e-5)


def test_without_a_layout_the_processor_is_wans(config):
    latents, timestep, txt = inputs(2)
    model = fresh(config)
    joined(model, latents, timestep, txt, places=shot_places(2, 0, SLOTS, shots=2), shots=2)
    shot_attention(model).arrange(None, model.rope, 2, 3)
    with torch.no_grad():
        ours = model(latents, timestep, txt, return_dict=False)[0]
        assert torch.equal(ours, fresh(config)(latents, timestep, txt, return_dict=False)[0])


def test_cross_attention_keeps_its_own_processor(config):
    model = fresh(config)
    processor = shot_attention(model)
    assert shot_attention(model) is processor
    assert all(block.attn1.processor is processor for block in model.blocks)
    assert not any(isinstance(block.attn2.processor, ShotAttention) for block in model.blocks)


def test_gradient_checkpointing_gives_the_same_gradients(config):
    latents, timestep, txt = inputs(2)
    gradients = []
    for checkpointed in (False, True):
        model = fresh(config).train()
        if checkpointed:
            model.enable_gradient_checkpointing()
        layout = ShotLayout(places=shot_places(2, 0, SLOTS, shots=2), shots=2)
        joined_forward(model, latents, timestep, txt, layout).square().mean().backward()
        gradients.append(model.blocks[0].attn1.to_q.weight.grad)
    assert torch.allclose(*gradients, atol=1e-6)


@pytest.mark.parametrize(
    ("places", "shots", "message"),
    [
        (shot_places(2, 0, SLOTS) + 1022, 1, "outside 0..1023"),
        (shot_places(2, 0, SLOTS) - 1, 1, "outside"),
        (shot_places(2, 0, SLOTS + 1), 1, "layout has places"),
        (shot_places(3, 0, SLOTS), 2, "layout has places"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(config, places, shots, message):
    with pytest.raises(ValueError, match=message):
        joined(fresh(config), *inputs(2), places=places, shots=shots)


def test_items_must_divide_into_groups(config):
    with pytest.raises(ValueError, match="3 items cannot be joined 2"):
        joined(fresh(config), *inputs(3), places=shot_places(3, 0, SLOTS), shots=2)
