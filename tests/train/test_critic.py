"""The critic learns to tell frames apart, and its two losses stay out of each other's way."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC

from captain_cinema.backbone.latents import embedded_vae, load_vae
from captain_cinema.train.critic import PatchCritic
from captain_cinema.train.vae import VAETask


def test_each_loss_reaches_its_own_side() -> None:
    torch.manual_seed(0)
    critic, true = PatchCritic(width=4), torch.rand(2, 3, 32, 64)
    drawn = torch.rand(2, 3, 32, 64, requires_grad=True)
    own, passes = critic.losses(true, drawn)
    own.backward()
    assert drawn.grad is None
    before = [p.grad.clone() for p in critic.parameters() if p.grad is not None]
    passes.backward()
    assert drawn.grad is not None
    assert drawn.grad.abs().sum() > 0
    after = [p.grad for p in critic.parameters()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True) if b is not None)


def test_it_learns_to_tell_blurred_from_sharp() -> None:
    torch.manual_seed(0)
    critic = PatchCritic(width=4)
    optimiser = torch.optim.Adam(critic.parameters(), lr=3e-3)
    for _ in range(40):
        sharp = (torch.rand(4, 3, 32, 64) > 0.5).float() * 2 - 1
        blurred = torch.nn.functional.avg_pool2d(sharp, 3, stride=1, padding=1)
        own, _ = critic.losses(sharp, blurred)
        optimiser.zero_grad()
        own.backward()
        optimiser.step()
    assert float(own.detach()) < 0.5


def test_a_decoder_trained_alone_keeps_the_encoder(tmp_path: Path) -> None:
    torch.manual_seed(0)
    vae = embedded_vae()
    vae.register_to_config(scaling_factor=0.7)
    encoder = {k: v.clone() for k, v in vae.encoder.state_dict().items()}
    decoder = {k: v.clone() for k, v in vae.decoder.state_dict().items()}
    task = VAETask(batch=2, height=64, vae=vae, decoder_only=True)
    trained = [p for p in task.model.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(trained, lr=1e-3)
    loss, figures = task.loss(0)
    loss.backward()
    optimiser.step()
    assert figures["critic"] > 0
    task.export(tmp_path)
    found: AutoencoderDC = load_vae(tmp_path / "vae")
    assert all(torch.equal(v, encoder[k]) for k, v in found.encoder.state_dict().items())
    assert any(not torch.equal(v, decoder[k]) for k, v in found.decoder.state_dict().items())
