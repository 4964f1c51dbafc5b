"""Hybrid attention without masks equals attention with the paper's masks; contexts, groups, bad folders."""

import contextlib
import copy
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from captain_cinema.backbone import layers
from captain_cinema.backbone.mmdit import (
    Flux1Config,
    MMDiT,
    MMDiTConfig,
    PairGroup,
    init_weights,
    load_mmdit,
    pair_ids,
    save_mmdit,
)
from captain_cinema.errors import WeightsError

SIZES: dict[str, Any] = {
    "in_channels": 6,
    "num_layers": 2,
    "num_single_layers": 3,
    "attention_head_dim": 16,
    "num_attention_heads": 2,
    "joint_attention_dim": 10,
    "guidance_embeds": False,
}
TINY = {
    "FLUX.1": Flux1Config(**SIZES, axes_dims_rope=(4, 6, 6), pooled_projection_dim=5),
    "FLUX.2": MMDiTConfig(**SIZES, axes_dims_rope=(4, 4, 4, 4), timestep_guidance_channels=16),
}
MakeGroup = Callable[..., PairGroup]


@pytest.fixture(scope="module", params=list(TINY))
def tiny(request) -> MMDiTConfig:
    """Every property holds in both layouts."""
    return TINY[request.param]


@pytest.fixture(scope="module")
def model(tiny) -> MMDiT:
    """Random weights in float64, none of them zero, so that every path shows in the output."""
    generator = torch.Generator().manual_seed(0)
    model = init_weights(MMDiT(tiny), generator)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return model.double().eval().requires_grad_(False)


@pytest.fixture(scope="module")
def make_group(tiny) -> MakeGroup:
    """`new_group` with what the layout reads."""
    return partial(new_group, pooled_dim=tiny.pooled_dim)


def new_group(
    index: Sequence[int | float],
    rows: int = 2,
    cols: int = 3,
    txt_len: int = 4,
    seed: int = 0,
    *,
    pooled_dim: int = 0,
) -> PairGroup:
    generator = torch.Generator().manual_seed(seed)
    pairs = len(index)
    img_ids, txt_ids = pair_ids(index, rows, cols, txt_len, full_rows=2, full_cols=3)
    return PairGroup(
        img=torch.randn(2, pairs, rows * cols, 6, generator=generator).double(),
        txt=torch.randn(2, pairs, txt_len, 10, generator=generator).double(),
        timestep=torch.rand(2, pairs, generator=generator).double(),
        img_ids=img_ids,
        txt_ids=txt_ids,
        pooled=torch.randn(2, pairs, pooled_dim, generator=generator).double() if pooled_dim else None,
    )


def to_float(group: PairGroup, dtype: torch.dtype = torch.float32) -> PairGroup:
    pooled = None if group.pooled is None else group.pooled.to(dtype)
    return replace(group, img=group.img.to(dtype), txt=group.txt.to(dtype), pooled=pooled)


def take(group: PairGroup, which: Sequence[int]) -> PairGroup:
    pick = list(which)
    return PairGroup(
        img=group.img[:, pick],
        txt=group.txt[:, pick],
        timestep=group.timestep[:, pick],
        img_ids=group.img_ids[pick],
        txt_ids=group.txt_ids[pick],
        pooled=None if group.pooled is None else group.pooled[:, pick],
    )


def dense_forward(model: Any, group: PairGroup, *, causal: bool) -> torch.Tensor:
    """The same network the slow way: all tokens in one sequence in every block, with dense masks.

    Tokens are [all txt; all img]; the weights are the model's, the masks are the paper's.
    """
    config = model.config
    _, pairs, img_len, _ = group.img.shape
    txt_len = group.txt.shape[2]
    txt_pair = torch.arange(pairs).repeat_interleave(txt_len)
    img_pair = torch.arange(pairs).repeat_interleave(img_len)
    pair = torch.cat([txt_pair, img_pair])
    index = group.img_ids[:, 0, 0][pair]
    local = pair[:, None] == pair[None]
    everyone = index[:, None] >= index[None] if causal else torch.ones_like(local)
    ids = torch.cat([group.txt_ids.flatten(0, 1), group.img_ids.flatten(0, 1)]).double()
    angle = torch.cat(
        [
            ids[:, axis, None] * config.rope_theta ** (-torch.arange(0, d, 2).double() / d)
            for axis, d in enumerate(config.axes_dims_rope)
        ],
        dim=-1,
    )
    cos, sin = angle.cos()[:, None], angle.sin()[:, None]

    def turn(x):
        even, odd = x[..., 0::2], x[..., 1::2]
        return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)

    def heads(x):
        return rearrange(x, "b l (h d) -> b l h d", h=config.num_attention_heads)

    def norm(x, weight):
        return x * (x.square().mean(-1, keepdim=True) + config.eps).rsqrt() * weight

    def attend(q, k, v, mask):
        q, k, v = (rearrange(x, "b l h d -> b h l d") for x in (turn(q), turn(k), v))
        return rearrange(F.scaled_dot_product_attention(q, k, v, attn_mask=mask), "b h l d -> b l (h d)")

    def modulate(x, shift, scale):
        return F.layer_norm(x, x.shape[-1:], eps=config.eps) * (1 + scale) + shift

    def qkv_of(stream, x):
        q, k, v = (heads(z) for z in stream.qkv(x).chunk(3, dim=-1))
        return norm(q, stream.norm.q), norm(k, stream.norm.k), v

    def gated(x):
        if model.img_mod is None:  # FLUX.1
            return F.gelu(x, approximate="tanh")
        gate, up = x.chunk(2, dim=-1)
        return F.silu(gate) * up

    vec = model.time_in(group.timestep)
    if group.pooled is not None:
        vec = vec + model.pooled_in(group.pooled)
    img, txt = model.img_in(group.img).flatten(1, 2), model.txt_in(group.txt).flatten(1, 2)
    for block in model.double_blocks:
        mods = {
            "img": (model.img_mod or block.img.mod)(vec)[:, img_pair].chunk(6, -1),
            "txt": (model.txt_mod or block.txt.mod)(vec)[:, txt_pair].chunk(6, -1),
        }
        x = {"txt": txt, "img": img}
        parts = [qkv_of(getattr(block, s), modulate(x[s], *mods[s][:2])) for s in ("txt", "img")]
        seen = attend(*(torch.cat(z, dim=1) for z in zip(*parts, strict=True)), local)
        for s, mine in zip(("txt", "img"), seen.split([len(txt_pair), len(img_pair)], dim=1), strict=True):
            stream, (_, _, gate, shift, scale, mlp_gate) = getattr(block, s), mods[s]
            x[s] = x[s] + gate * stream.proj(mine)
            hidden = gated(stream.mlp.lin_in(modulate(x[s], shift, scale)))
            x[s] = x[s] + mlp_gate * stream.mlp.lin_out(hidden)
        txt, img = x["txt"], x["img"]
    x = torch.cat([txt, img], dim=1)
    for block in model.single_blocks:
        shift, scale, gate = (model.single_mod or block.mod)(vec)[:, pair].chunk(3, -1)
        y = block.lin_in(modulate(x, shift, scale))
        q, k, v = (heads(z) for z in y[..., : 3 * config.dim].chunk(3, dim=-1))
        seen = attend(norm(q, block.norm.q), norm(k, block.norm.k), v, everyone)
        x = x + gate * block.lin_out(torch.cat([seen, gated(y[..., 3 * config.dim :])], dim=-1))
    scale, shift = model.final.mod(F.silu(vec))[:, img_pair].chunk(2, -1)
    out = model.final.lin(modulate(x[:, len(txt_pair) :], shift, scale))
    return rearrange(out, "b (pairs l) c -> b pairs l c", pairs=pairs)


@pytest.mark.parametrize("pairs", [1, 2, 5])
def test_folded_pairs_equal_the_block_diagonal_mask(model, pairs, make_group):
    group = make_group(range(pairs))
    torch.testing.assert_close(
        model([group])[0], dense_forward(model, group, causal=False), rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("index", [(0, 1, 2, 3), (5, 2, 9, 3), (0, 1, 1, 2), (4,)])
def test_causal_equals_the_dense_causal_mask(model, index, make_group):
    group = make_group(index)
    got = model([group], causal=True)[0]
    torch.testing.assert_close(got, dense_forward(model, group, causal=True), rtol=1e-10, atol=1e-12)
    if len(index) > 1:
        assert not torch.allclose(got, model([group])[0])


def test_local_blocks_do_not_leak_between_pairs(model, make_group, tiny):
    local = MMDiT(replace(tiny, num_single_layers=0)).double()
    local.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("single_blocks")})
    group = make_group(range(3))
    other = make_group(range(3), seed=1)
    mixed = replace(group, img=torch.cat([group.img[:, :1], other.img[:, 1:]], dim=1))
    before, after = local([group])[0], local([mixed])[0]
    assert torch.equal(before[:, 0], after[:, 0])
    assert not torch.allclose(before[:, 1:], after[:, 1:])


def test_later_pairs_do_not_change_earlier_ones_when_causal(model, make_group):
    group = make_group(range(4))
    changed = replace(group, txt=torch.cat([group.txt[:, :3], 1 + group.txt[:, 3:]], dim=1))
    before, after = model([group], causal=True)[0], model([changed], causal=True)[0]
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(model([group])[0][:, :3], model([changed])[0][:, :3])


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 2e-4)])
def test_context_reuse_equals_the_whole_causal_forward(model, dtype, bound, make_group, tiny):
    group = make_group([0, 2, 3, 7])
    group = replace(to_float(group, dtype), timestep=group.timestep.to(dtype))
    model = MMDiT(tiny).to(dtype).requires_grad_(False) if dtype != torch.float64 else model
    if dtype != torch.float64:
        init_weights(model, torch.Generator().manual_seed(0))
        model.final.lin.weight.normal_(generator=torch.Generator().manual_seed(1))
    whole = model([group], causal=True)[0]
    context = model.encode_context([take(group, [0, 1])])
    context = model.encode_context([take(group, [2])], context=context)
    assert context.tokens == 3 * group.pair_len
    assert context.last_index == 3
    got = model([take(group, [3])], causal=True, context=context)[0]
    torch.testing.assert_close(got, whole[:, 3:], rtol=bound, atol=bound)


def test_context_pairs_may_see_each_other(model, make_group):
    group = make_group([0, 1, 2])
    both = [model.encode_context([take(group, [0, 1])], causal=causal) for causal in (True, False)]
    got = [model([take(group, [2])], context=context)[0] for context in both]
    assert not torch.allclose(*got)
    # The first block's keys come before any attention to other pairs, so only they agree.
    torch.testing.assert_close(both[0].blocks[0][0], both[1].blocks[0][0])


def test_a_context_that_is_not_earlier_is_refused(model, make_group):
    context = model.encode_context([make_group([4])])
    with pytest.raises(ValueError, match="ends at pair 4; pair 3 is not after it"):
        model([make_group([3])], causal=True, context=context)


@pytest.mark.parametrize("causal", [False, True])
def test_groups_of_equal_size_equal_one_group(model, causal, make_group):
    group = make_group([0, 1, 2, 3, 4])
    whole = model([group], causal=causal)[0]
    parts = [[3, 0], [4], [1, 2]]
    got = model([take(group, part) for part in parts], causal=causal)
    for part, velocity in zip(parts, got, strict=True):
        torch.testing.assert_close(velocity, whole[:, part], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_groups_of_several_sizes_see_each_other_in_story_order(model, causal, make_group):
    old, new = make_group([0, 3], rows=1, cols=2, txt_len=2), make_group([1, 2], seed=1)
    got = model([old, new], causal=causal)
    assert [x.shape for x in got] == [old.img.shape, new.img.shape]
    changed = replace(old, img=old.img + torch.tensor([0.0, 1.0])[:, None, None])  # pair 3 only
    after = model([changed, new], causal=causal)
    assert torch.allclose(got[1], after[1]) == causal
    assert torch.allclose(got[0][:, 0], after[0][:, 0]) == causal
    assert not torch.allclose(got[0][:, 1], after[0][:, 1])


def test_every_pair_has_its_own_noise_level(model, make_group, tiny):
    group = make_group([0, 1, 2])
    other = group.timestep.clone()
    other[:, 1] = 1 - other[:, 1]
    local = MMDiT(replace(tiny, num_single_layers=0)).double().requires_grad_(False)
    local.load_state_dict({k: v for k, v in model.state_dict().items() if not k.startswith("single_blocks")})
    before, after = local([group])[0], local([replace(group, timestep=other)])[0]
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.allclose(before[:, 1], after[:, 1])


@given(
    index=st.lists(st.integers(0, 50), min_size=1, max_size=4),
    rows=st.integers(1, 4),
    cols=st.integers(1, 6),
    scale=st.integers(1, 4),
)
@settings(max_examples=40, deadline=None)
def test_shrunk_positions_keep_the_frame_s_centre_and_stay_inside(index, rows, cols, scale):
    img_ids, txt_ids = pair_ids(index, rows, cols, 3, full_rows=rows * scale, full_cols=cols * scale)
    assert img_ids.shape == (len(index), rows * cols, 4)
    assert torch.equal(img_ids[:, 0, 0], torch.tensor(index, dtype=torch.float32))
    assert torch.equal(txt_ids[0, :, 3], torch.arange(3.0))
    for axis, full in ((1, rows * scale), (2, cols * scale)):
        torch.testing.assert_close(img_ids[..., axis].mean(), torch.tensor((full - 1) / 2))
        assert img_ids[..., axis].min() >= 0
        assert img_ids[..., axis].max() <= full - 1


def test_attention_depends_on_the_distance_of_pairs_only(model, make_group):
    group, later = make_group([0, 1, 2]), make_group([10, 11, 12])
    torch.testing.assert_close(model([group])[0], model([later])[0], rtol=1e-8, atol=1e-10)


def test_init_starts_at_zero_and_matches_heads(make_group, tiny):
    model = init_weights(MMDiT(tiny), torch.Generator().manual_seed(3), match_heads=True)
    again = init_weights(MMDiT(tiny), torch.Generator().manual_seed(3), match_heads=True)
    weights = again.state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in model.state_dict().items())
    group = make_group([0, 1])
    group = to_float(group)
    assert not model([group])[0].any()
    dim = tiny.dim
    weights = [weights[f"single_blocks.{number}.lin_in.weight"][: 2 * dim] for number in range(3)]
    matches = [torch.equal(*weight.chunk(2)) for weight in weights]
    assert matches == [True, True, False]


def test_matching_heads_let_a_name_find_itself(tiny):
    """A token's copy in another pair gets far more attention than any other token of that pair."""
    generator = torch.Generator().manual_seed(0)
    config = replace(
        tiny, num_layers=0, attention_head_dim=32, num_attention_heads=4, axes_dims_rope=(8,) * 4
    )
    block = init_weights(MMDiT(config), generator, match_heads=True).single_blocks[0]
    assert isinstance(block, layers.SingleBlock)
    tokens = torch.randn(1, 2, 6, 128, generator=generator)
    tokens[0, 1, 2] = tokens[0, 0, 4]  # the name
    q, k, *_ = block.lin_in(F.layer_norm(tokens, (128,))).split(block.sizes, -1)
    q, k = block.norm(q.unflatten(-1, (4, 32)), k.unflatten(-1, (4, 32)))
    logits = torch.einsum("hd,lhd->hl", q[0, 1, 2], k[0, 0]) / 32**0.5
    assert (logits.softmax(-1)[:, 4] > 0.8).all()


def test_training_reaches_every_weight(make_group, tiny):
    model = init_weights(MMDiT(tiny), torch.Generator().manual_seed(0))
    torch.nn.init.ones_(model.final.lin.weight)
    group = make_group([0, 1])
    group = to_float(group)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = (model([group])[0] - 1).square().mean()
    loss.backward()
    # The last single block's text tokens are dropped, yet they were keys; nothing is without a gradient.
    assert not [
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
    ]


def test_half_precision_stays_close(model, make_group, tiny):
    """The open weights are bfloat16: three digits, through context and causal attention alike."""
    group = make_group([0, 1, 2])
    wanted = model([group], causal=True)[0][:, 2:]
    half = MMDiT(tiny).bfloat16().requires_grad_(False)
    half.load_state_dict(model.state_dict())
    group = to_float(group, torch.bfloat16)
    context = half.encode_context([take(group, [0, 1])])
    got = half([take(group, [2])], causal=True, context=context)[0]
    assert got.dtype == torch.bfloat16
    assert (got - wanted).norm() < 0.1 * wanted.norm()


def test_guidance_must_fit_the_model(model, make_group, tiny):
    with pytest.raises(ValueError, match="takes no guidance"):
        model([make_group([0])], guidance=3.0)
    with pytest.raises(ValueError, match="takes a guidance"):
        MMDiT(replace(tiny, guidance_embeds=True)).double()([make_group([0])])


def test_pooled_captions_must_fit_the_model(model, make_group):
    group = make_group([0, 1])
    wrong = torch.zeros(2, 2, 5).double() if group.pooled is None else None
    wanted = "no pooled captions" if group.pooled is None else "a pooled caption for every pair"
    with pytest.raises(ValueError, match=f"this model takes {wanted}"):
        model([make_group([2]), replace(group, pooled=wrong)])


def test_groups_that_do_not_fit_are_refused(make_group, tiny):
    group = make_group([0, 1])
    with pytest.raises((ValueError, TypeError), match="timestep"):  # TypeError: the shape checks of the tests
        replace(group, timestep=group.timestep[:, :1])
    with pytest.raises(ValueError, match="sum to attention_head_dim"):
        replace(tiny, axes_dims_rope=(4, 4, 4))


def test_attend_ignores_how_pairs_are_cut():
    q, k, v = (torch.randn(1, 6, 2, 4, generator=torch.Generator().manual_seed(i)) for i in range(3))
    whole = layers.attend_causally(q, k, v, [6])
    torch.testing.assert_close(whole, layers.attend(q, k, v))
    one_by_one = layers.attend_causally(q, k, v, [1] * 6)
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    wanted = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(one_by_one, rearrange(wanted, "b h l d -> b l (h d)"))


# What can be wrong with a checkpoint folder.


@pytest.fixture
def folder(tmp_path, tiny):
    save_mmdit(init_weights(MMDiT(tiny), torch.Generator().manual_seed(0)), tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def damage(folder, how):
    weights = folder / "diffusion_pytorch_model.safetensors"
    match how:
        case "no folder":
            return folder / "elsewhere"
        case "no weights":
            weights.unlink()
        case "pickle":
            weights.rename(folder / "diffusion_pytorch_model.bin")
        case "cut short":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "empty":
            weights.write_bytes(b"")
        case "config is no JSON":
            (folder / "config.json").write_text("{")
        case "config is a list":
            (folder / "config.json").write_text("[]")
        case "the other layout's weights":
            other = "FLUX.1" if "Flux2" in (folder / "config.json").read_text() else "FLUX.2"
            save_mmdit(MMDiT(TINY[other]), folder / "other")
            (folder / "other" / weights.name).replace(weights)
        case "the other layout's config":
            other = "FLUX.1" if "Flux2" in (folder / "config.json").read_text() else "FLUX.2"
            edit_config(folder, _class_name=TINY[other].layout.class_name)
        case "another project's names":
            save_file({"double_blocks.0.img_attn.qkv.weight": torch.zeros(1)}, weights)
        case "a LoRA":
            save_file({"transformer.x_embedder.lora_A.weight": torch.zeros(1)}, weights)
        case "a pipeline":
            (folder / "config.json").rename(folder / "model_index.json")
        case "another class":
            edit_config(folder, _class_name="WanTransformer3DModel")
        case "unknown field":
            edit_config(folder, num_experts=4)
        case "bad sizes":
            edit_config(folder, attention_head_dim=24)
        case "bad type":
            edit_config(folder, num_layers="two")
        case "more layers":
            edit_config(folder, num_single_layers=4)
        case "fewer layers":
            edit_config(folder, num_layers=1)
        case "wider":
            edit_config(folder, in_channels=7)
        case "index without a map":
            weights.rename(folder / "a.safetensors")
            (folder / "diffusion_pytorch_model.safetensors.index.json").write_text("{}")
        case "index that climbs":
            index = {"weight_map": {"x_embedder.weight": "../a.safetensors"}}
            weights.unlink()
            (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
        case "shard without its weights":
            weights.rename(folder / "a.safetensors")
            names = ["x_embedder.weight", "elsewhere.weight"]
            index = {"weight_map": dict.fromkeys(names, "a.safetensors")}
            (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
        case "shard missing":
            index = {"weight_map": {"x_embedder.weight": "a.safetensors"}}
            weights.unlink()
            (folder / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("no folder", "no config.json in"),
        ("no weights", "no diffusion_pytorch_model.safetensors"),
        ("pickle", "convert them to safetensors"),
        ("cut short", "is damaged"),
        ("empty", "is damaged"),
        ("config is no JSON", "cannot read"),
        ("config is a list", "not a JSON object"),
        ("another class", "describes a WanTransformer3DModel; a Flux2.* or a FluxTransformer2DModel was exp"),
        ("the other layout's weights", r"describes FLUX\.., the weights are FLUX\.."),
        ("the other layout's config", r"unknown field '\w+'; is it a FLUX\.. model"),
        ("another project's names", "the weights are Black Forest Labs' own layout, not diffusers'"),
        ("a LoRA", "the weights are a LoRA"),
        ("a pipeline", "whole pipeline; the transformer is in"),
        ("unknown field", "'num_experts'"),
        ("bad sizes", "axes_dims_rope must be even and sum to"),
        ("bad type", "cannot describe a model"),
        ("more layers", "lack single_transformer_blocks.3"),
        ("fewer layers", "unknown weights, such as transformer_blocks.1"),
        ("wider", r"gives \(32, 6\), config.json asks for \(32, 7\)"),
        ("index without a map", "no weight_map"),
        ("index that climbs", "same folder was expected"),
        ("shard missing", "a.safetensors is missing"),
        ("shard without its weights", "a.safetensors lacks elsewhere.weight"),
    ],
)
def test_bad_folders_are_one_clear_line(folder, how, message):
    with pytest.raises(WeightsError, match=message) as raised:
        load_mmdit(damage(folder, how))
    assert "\n" not in str(raised.value)


# --- gradient checkpointing ---


@pytest.mark.parametrize("causal", [False, True])
def test_recomputing_blocks_changes_neither_outputs_nor_gradients(model, make_group, causal):
    groups = [make_group([0, 2]), make_group([1], rows=1, cols=2, seed=1)]
    results = []
    for checkpointing in (False, True):
        learner = copy.deepcopy(model).requires_grad_(True)
        learner.gradient_checkpointing = checkpointing
        drawn = learner(groups, causal=causal)
        torch.cat([x.flatten() for x in drawn]).square().sum().backward()
        results.append((drawn, [weight.grad for weight in learner.parameters()]))
    for plain, recomputed in zip(*(drawn for drawn, _ in results), strict=True):
        assert torch.equal(plain, recomputed)
    for plain, recomputed in zip(*(gradients for _, gradients in results), strict=True):
        assert torch.equal(plain, recomputed)


def test_recomputing_runs_every_block_twice_where_gradients_are_wanted(model, make_group):
    learner = copy.deepcopy(model).requires_grad_(True)
    learner.gradient_checkpointing = True
    runs = []
    for block in (*learner.double_blocks, *learner.single_blocks):
        block.register_forward_pre_hook(lambda *_: runs.append(1))
    with torch.no_grad():
        learner([make_group([0])])
    blocks = len(learner.double_blocks) + len(learner.single_blocks)
    assert len(runs) == blocks
    learner([make_group([0])])[0].sum().backward()
    assert len(runs) == 3 * blocks


def test_recomputing_happens_in_the_context_that_it_is_given(model, make_group):
    """Such as a precision that autocast alone does not know of."""
    learner = copy.deepcopy(model).requires_grad_(True)
    learner.gradient_checkpointing = True
    entered = []

    @contextlib.contextmanager
    def context():
        entered.append(torch.is_grad_enabled())
        yield

    learner.recompute_in = context
    loss = learner([make_group([0])])[0].sum()
    assert not entered
    loss.backward()
    assert len(entered) == len(learner.double_blocks) + len(learner.single_blocks)
