"""Slots, places and the loss of the shot model (section 3.3)."""

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from captain_cinema.flow.schedule import sample_t
from captain_cinema.shots import conditioning
from captain_cinema.shots.conditioning import (
    ShotBatch,
    attempt,
    beside_every_slot,
    clean_slots,
    keyframe_slots,
    shot_places,
    slot_timesteps,
    slots_for,
    stack_frames,
    unstack_frames,
    velocity,
)
from captain_cinema.shots.model import embedded_shot_config, new_shot_model

CHANNELS, HEIGHT, WIDTH, TXT = 2, 4, 4, 6


def tiny_model(seed: int = 0) -> WanTransformer3DModel:
    config = embedded_shot_config(latent_channels=CHANNELS, txt_dim=TXT)
    config |= {
        "num_attention_heads": 2,
        "attention_head_dim": 12,
        "ffn_dim": 32,
        "freq_dim": 16,
        "num_layers": 2,
    }
    model = new_shot_model(config, seed=seed).eval()
    torch.nn.init.normal_(model.proj_out.weight, generator=torch.Generator().manual_seed(seed))
    return model


def tiny_batch(*, b: int = 2, frames: int = 9, pairs: int = 2, **changes) -> ShotBatch:
    generator = torch.Generator().manual_seed(5)
    fields = {
        "latents": torch.randn(b, frames, CHANNELS, HEIGHT, WIDTH, generator=generator),
        "context": torch.randn(b, pairs, CHANNELS, HEIGHT, WIDTH, generator=generator),
        "txt": torch.randn(b, 3, TXT, generator=generator),
    }
    return ShotBatch(**(fields | changes))


def held(keyframe: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
    return keyframe_slots(torch.cat([context, keyframe[:, None]], dim=1))


def loss_of(model: WanTransformer3DModel, batch: ShotBatch, **settings) -> torch.Tensor:
    with torch.no_grad():
        return attempt(model, batch, torch.Generator().manual_seed(1), txt_dropout=0.0, **settings).loss


@pytest.mark.parametrize(("frames", "slots"), [(1, 1), (2, 2), (5, 2), (6, 3), (24, 7), (25, 7), (48, 13)])
def test_slots_hold_one_and_four_k_frames(frames, slots):
    assert slots_for(frames) == slots


def test_a_clip_without_its_keyframe_is_refused():
    with pytest.raises(ValueError, match="at least its keyframe"):
        slots_for(0)


def test_slot_j_holds_frames_4j_minus_3_to_4j():
    clip = torch.arange(1.0, 9.0).reshape(1, 8, 1, 1, 1).expand(1, 8, 2, 1, 1)  # frames 1 to 8
    slots = stack_frames(clip)
    assert slots.shape == (1, 8, 2, 1, 1)
    assert slots[0, :, 0, 0, 0].tolist() == [1, 1, 2, 2, 3, 3, 4, 4]
    assert slots[0, :, 1, 0, 0].tolist() == [5, 5, 6, 6, 7, 7, 8, 8]
    assert torch.equal(unstack_frames(slots), clip)


def test_a_keyframe_slot_is_four_times_the_keyframe():
    keyframe = torch.randn(2, 3, CHANNELS, HEIGHT, WIDTH)
    unstacked = unstack_frames(keyframe_slots(keyframe))
    assert torch.equal(unstacked, keyframe.repeat_interleave(4, dim=1))


def test_a_single_shot_stands_where_wan_puts_it():
    assert shot_places(2, 0, 5).tolist() == [[0, 1, 2, 3, 4]] * 2


def test_context_keyframes_open_stretches_before_the_shot():
    assert shot_places(1, 2, 3).tolist() == [[0, 16, 32, 33, 34]]


def test_joined_shots_never_share_a_place():
    places = shot_places(6, 2, 16, shots=3)
    assert places.shape == (6, 18)
    assert torch.equal(places[:3], places[3:])
    assert places[:3].unique().numel() == places[:3].numel()
    # Shots follow each other in order, all context before them.
    assert places[:3, :2].max() < places[:3, 2:].min()
    assert (places[:3, 2].diff() == 16).all()


def test_clean_slots_have_timestep_zero_and_the_rest_wans_scale():
    timestep = slot_timesteps(torch.tensor([0.25, 1.0]), clean=2, slots=3, tokens=2)
    assert timestep.tolist() == [[0, 0, 0, 0, 250, 250], [0, 0, 0, 0, 1000, 1000]]


def test_the_embedded_configuration_is_small():
    """In float16 it must leave room for the other parts in the 40 MB of the package."""
    model = new_shot_model(embedded_shot_config(), seed=0)
    assert 4e6 < sum(parameter.numel() for parameter in model.parameters()) < 8e6


def test_every_slot_is_shown_a_keyframe_beside_it():
    """Context slots their own, the shot's slots the shot's; a model that reads no more shows none."""
    model, plain = new_shot_model(embedded_shot_config(), seed=0), tiny_model(1)
    keyframe, context = torch.randn(2, 16, 4, 4), torch.randn(2, 3, 16, 4, 4)
    clean = clean_slots(held(keyframe, context), torch.randn(2, 24, 448), slots=4)
    beside = beside_every_slot(model, clean, 7)
    assert beside.shape == (2, 16, 7, 4, 4)
    assert torch.equal(beside[:, :, :3], context.transpose(1, 2))
    assert torch.equal(beside[:, :, 3:], keyframe[:, :, None].expand(-1, -1, 4, -1, -1))
    plain.register_to_config(in_channels=plain.config.out_channels)
    assert beside_every_slot(plain, clean, 7).shape[1] == 0


def test_new_weights_depend_on_the_seed_alone():
    state = torch.random.get_rng_state()
    first, again, other = tiny_model(1), tiny_model(1), tiny_model(2)
    assert torch.equal(torch.random.get_rng_state(), state)
    names = first.state_dict()
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in names.items())
    assert not torch.equal(names["patch_embedding.weight"], other.state_dict()["patch_embedding.weight"])


def test_a_model_that_knows_the_answer_has_no_loss(monkeypatch):
    batch = tiny_batch()

    def oracle(model, noisy, t, clean, prediction):
        x_0 = stack_frames(batch.latents[:, 1:])
        return (noisy - x_0) / t[:, None, None, None, None]  # eps - x_0, from x_t = (1 - t) x_0 + t eps

    monkeypatch.setattr(conditioning, "velocity", oracle)
    assert loss_of(tiny_model(), batch) < 1e-8


def silent_model() -> WanTransformer3DModel:
    model = tiny_model()
    torch.nn.init.zeros_(model.proj_out.weight)
    return model


def test_a_silent_velocity_misses_the_whole_target():
    # Noise and these latents have unit variance each.
    loss = loss_of(silent_model(), tiny_batch(b=16), prediction="velocity")
    assert loss == pytest.approx(2.0, rel=0.1)


def test_no_change_after_the_keyframe_is_right_for_a_shot_that_stands_still():
    still = tiny_batch().latents[:, :1].expand(-1, 9, -1, -1, -1)
    # Noise on the keyframe that the model sees does not move what the change is counted from.
    assert loss_of(silent_model(), tiny_batch(latents=still), context_noise=0.5) < 1e-8
    assert loss_of(silent_model(), tiny_batch()) > 1.0


def test_a_predicted_change_is_the_velocity_to_keyframe_plus_change():
    model, batch = tiny_model(), tiny_batch()
    clean = clean_slots(held(batch.latents[:, 0], batch.context), batch.txt, slots=3)
    noisy = torch.randn(2, 4 * CHANNELS, 2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))
    t = torch.tensor([0.5, 0.8])
    with torch.no_grad():
        change = velocity(model, noisy, t, clean, prediction="velocity")  # the bare output
        straight = velocity(model, noisy, t, clean, prediction="change")
    x_0 = noisy - t[:, None, None, None, None] * straight
    assert torch.allclose(x_0, keyframe_slots(batch.latents[:, :1]) + change, atol=1e-5)


def test_an_even_weight_changes_nothing():
    model, batch = tiny_model(), tiny_batch()
    plain = loss_of(model, batch)
    for parts in (1, CHANNELS):
        even = loss_of(model, tiny_batch(weight=torch.full((2, 9, parts, HEIGHT, WIDTH), 3.0)))
        assert torch.allclose(plain, even)


@pytest.mark.parametrize("channel", [slice(None), 1])
def test_the_weight_picks_the_places_that_count(monkeypatch, channel):
    """An error only in frame 6, row 1: a weight on it alone sees it whole, a weight elsewhere not at all."""

    def wrong_in_one_place(model, noisy, t, clean, prediction):
        frames = unstack_frames(target.clone())
        frames[:, 5, channel, 1] += 2.0
        return stack_frames(frames)

    batch, model = tiny_batch(), tiny_model()
    generator = torch.Generator().manual_seed(1)
    sample_t((2,), shift=3.0, generator=generator)
    x_0 = stack_frames(batch.latents[:, 1:])
    target = torch.randn(x_0.shape, generator=generator) - x_0
    monkeypatch.setattr(conditioning, "velocity", wrong_in_one_place)
    parts = 1 if channel == slice(None) else CHANNELS
    there, elsewhere = (torch.full((2, 9, parts, HEIGHT, WIDTH), value) for value in (0.0, 1.0))
    at = channel if parts > 1 else 0
    there[:, 6, at, 1], elsewhere[:, 6, at, 1] = 1.0, 0.0
    assert loss_of(model, tiny_batch(weight=there)) == pytest.approx(4.0, abs=1e-5)
    assert loss_of(model, tiny_batch(weight=elsewhere)) == pytest.approx(0.0, abs=1e-8)


def test_keyframe_and_context_inform_but_are_not_predicted():
    model, batch = tiny_model(), tiny_batch()
    base = loss_of(model, batch)
    keyframe = batch.latents.clone()
    keyframe[:, 0] += 1.0
    # Noise and target stay the same, so a change of the loss can only come through the conditioning.
    assert not torch.allclose(loss_of(model, tiny_batch(latents=keyframe)), base)
    assert not torch.allclose(loss_of(model, tiny_batch(context=batch.context + 1.0)), base)


def test_a_masked_context_keyframe_is_not_seen():
    model, batch = tiny_model(), tiny_batch()
    given = torch.tensor([[True, False], [True, False]])
    wild = batch.context.clone()
    wild[:, 1] += 100.0
    masked = loss_of(model, tiny_batch(context_valid=given))
    assert torch.allclose(masked, loss_of(model, tiny_batch(context=wild, context_valid=given)))
    assert not torch.allclose(masked, loss_of(model, batch))


def test_hidden_tail_slots_are_not_seen():
    model, batch = tiny_model(), tiny_batch(pairs=0)
    noisy = torch.randn(2, 4 * CHANNELS, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(3))
    t = torch.tensor([0.5, 0.5])
    with torch.no_grad():
        short = clean_slots(held(batch.latents[:, 0], batch.context), batch.txt, slots=3, shots=2)
        long = clean_slots(
            held(batch.latents[:, 0], batch.context), batch.txt, slots=4, shots=2, lengths=[3, 3]
        )
        assert torch.allclose(
            velocity(model, noisy, t, long)[:, :, :2], velocity(model, noisy[:, :, :2], t, short), atol=1e-5
        )


def test_context_noise_and_text_dropout_are_off_and_on():
    model, batch = tiny_model(), tiny_batch()
    assert not torch.allclose(loss_of(model, batch, context_noise=0.5), loss_of(model, batch))
    mute = attempt(model, batch, torch.Generator().manual_seed(1), txt_dropout=1.0).loss
    other = tiny_batch(txt=batch.txt * 7)
    silent = attempt(model, other, torch.Generator().manual_seed(1), txt_dropout=1.0).loss
    assert torch.equal(mute, silent)


def test_joined_shots_share_their_noise_level(monkeypatch):
    levels = []

    def note(model, noisy, t, clean, prediction):
        levels.append(t)
        return torch.zeros_like(noisy)

    monkeypatch.setattr(conditioning, "velocity", note)
    loss_of(tiny_model(), tiny_batch(b=4, shots=2))
    assert levels[0][0] == levels[0][1]
    assert levels[0][2] == levels[0][3]
    assert levels[0][0] != levels[0][2]


def test_training_lowers_the_loss():
    model, batch = tiny_model().train(), tiny_batch(shots=2)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        loss = attempt(model, batch, torch.Generator().manual_seed(1)).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
