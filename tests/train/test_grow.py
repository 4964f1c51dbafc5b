"""A grown model computes what the small one did; a wide one's halves part in training."""

from __future__ import annotations

import torch

from captain_cinema.backbone.mmdit import MMDiT, MMDiTConfig, PairGroup, init_weights, pair_ids
from captain_cinema.shots.model import embedded_shot_config, new_shot_model
from captain_cinema.shots.motion_field import MOTION_CHANNELS
from captain_cinema.train.grow import deepen, widen, with_motion


def small() -> MMDiT:
    config = MMDiTConfig(
        in_channels=8,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=12,
        timestep_guidance_channels=32,
        mlp_ratio=3.0,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    generator = torch.Generator().manual_seed(0)
    model = init_weights(MMDiT(config), generator, match_heads=True)
    with torch.no_grad():
        model.final.lin.weight.normal_(generator=generator)
    return model.double()


def pairs() -> PairGroup:
    generator = torch.Generator().manual_seed(1)
    img_ids, txt_ids = pair_ids([0, 1, 2], 2, 4, 5)
    return PairGroup(
        img=torch.randn(2, 3, 8, 8, generator=generator, dtype=torch.float64),
        txt=torch.randn(2, 3, 5, 12, generator=generator, dtype=torch.float64),
        timestep=torch.rand(2, 3, generator=generator, dtype=torch.float64),
        img_ids=img_ids,
        txt_ids=txt_ids,
    )


def test_a_wider_model_computes_the_same() -> None:
    narrow = small()
    wide = widen(narrow, torch.Generator().manual_seed(2)).double()
    assert wide.config.dim == 2 * narrow.config.dim
    (said,), (expected,) = wide([pairs()]), narrow([pairs()])
    assert expected.std() > 0.1
    torch.testing.assert_close(said, expected, rtol=1e-6, atol=1e-6)


def test_its_halves_part_in_training() -> None:
    wide = widen(small(), torch.Generator().manual_seed(2)).double()
    (said,) = wide([pairs()])
    said.square().mean().backward()
    gradient = wide.txt_in.weight.grad
    assert gradient is not None
    first, second = gradient.chunk(2)
    assert (first - second).norm() > 0.1 * first.norm()


def test_a_deeper_model_computes_the_same_and_its_new_blocks_learn() -> None:
    shallow = small()
    deep = deepen(shallow, 4).double()
    assert (len(shallow.single_blocks), len(deep.single_blocks)) == (2, 4)
    (said,), (expected,) = deep([pairs()]), shallow([pairs()])
    assert expected.std() > 0.1
    torch.testing.assert_close(said, expected)
    said.square().mean().backward()
    for block in deep.single_blocks[2:]:
        gradient = block.lin_out.weight.grad
        assert gradient is not None
        assert gradient.norm() > 0


def test_a_shot_model_with_motion_says_the_same_and_that_nothing_moves() -> None:
    config = embedded_shot_config(latent_channels=3, txt_dim=6) | {"num_layers": 1, "ffn_dim": 32}
    old = new_shot_model(config, seed=0)
    generator = torch.Generator().manual_seed(0)
    torch.nn.init.normal_(old.proj_out.weight, generator=generator)
    grown = with_motion(old, 3)
    assert with_motion(grown, 3) is grown
    frame = 3 + MOTION_CHANNELS
    read = torch.randn(1, 5 * frame, 2, 4, 4, generator=generator)
    appearance = read.unflatten(1, (5, frame))[:, :, :3].flatten(1, 2)
    t, txt = torch.tensor([500.0]), torch.randn(1, 7, 6, generator=generator)
    with torch.no_grad():
        before = old(appearance, t, txt, return_dict=False)[0]
        after = grown(read, t, txt, return_dict=False)[0].unflatten(1, (4, frame))
    assert before.abs().mean() > 0.1
    torch.testing.assert_close(after[:, :, :3].flatten(1, 2), before, atol=1e-5, rtol=1e-5)
    assert not after[:, :, 3:].any()
