from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_codec import tiny_codec

from captain_cinema.backbone.mmdit import MMDiT, MMDiTConfig
from captain_cinema.backbone.text import TEXT_DIM, PhraseEncoder
from captain_cinema.errors import AbilityError
from captain_cinema.keyframes.goldenmem import Memory
from captain_cinema.keyframes.pairs import build_groups, group_places, ungroup
from captain_cinema.keyframes.planner import HistoryFrame, KeyframePlanner, SamplingSettings
from captain_cinema.keyframes.retrieval import RetrieverConfig, new_retriever

QUICK = SamplingSettings(steps=2, context_frames=5, memory=Memory(groups=2, images=2))
CAPTIONS = (
    "<Ada> waves in the forest",
    "<Bo> runs left on the beach. Wide shot",
    "<Ada> and <Bo> sit down",
    "An empty street at night",
    "<Cy> dances in the kitchen",
    "<Bo> bows",
    "Snow falls on the mountains",
)
NEXT = "<Ada> walks right in the forest"


@pytest.fixture(scope="module")
def planner() -> KeyframePlanner:
    torch.manual_seed(11)
    config = MMDiTConfig(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=TEXT_DIM,
        timestep_guidance_channels=16,
        mlp_ratio=2.0,
        axes_dims_rope=(4, 4, 4, 4),
        rope_theta=2000.0,
        guidance_embeds=False,
    )
    model = MMDiT(config)
    for parameter in model.parameters():
        parameter.data = torch.randn_like(parameter) * 0.15
    text = PhraseEncoder()
    small = RetrieverConfig(image_size=32, hidden=24, layers=1, heads=2, projection=16, text_hidden=32)
    return KeyframePlanner(model, tiny_codec(), text, new_retriever(small, text), QUICK)


@pytest.fixture(scope="module")
def history() -> list[HistoryFrame]:
    rng = np.random.default_rng(4)
    return [
        HistoryFrame(
            number=number,
            caption=caption,
            frame=np.kron(rng.integers(0, 256, (4, 8, 3)), np.ones((32, 32, 1))).astype(np.uint8),
        )
        for number, caption in enumerate(CAPTIONS, start=1)
    ]


def using(planner: KeyframePlanner, **changes: object) -> KeyframePlanner:
    settings = replace(QUICK, **changes)  # pyright: ignore[reportArgumentType]
    return KeyframePlanner(planner.model, planner.codec, planner.text, planner.retriever, settings)


def test_the_first_keyframe_has_no_memory(planner: KeyframePlanner):
    drawn = planner.draw(NEXT, [], seed=1)
    assert drawn.frame.shape == (128, 256, 3)
    assert drawn.frame.dtype == np.uint8
    assert drawn.memory == ()
    assert np.array_equal(drawn.embedding, planner.retriever.embed_frame(drawn.frame))


def test_the_memory_record_is_true(planner: KeyframePlanner, history: list[HistoryFrame]):
    memory = planner.draw(NEXT, history, seed=1, pins=[2]).memory
    numbers = [use.number for use in memory]
    assert numbers == sorted(numbers)
    assert len(numbers) == 5
    assert {7, 2, 3} <= set(numbers)  # the last one, the pin, the latest clear one of Ada
    assert [use.rows for use in memory] == [1, 1, 2, 2, 4]  # 2 a scale, of which the drawn frame is one
    assert [use.tokens for use in memory] == [2, 2, 8, 8, 32]
    assert [use.number for use in memory if use.pinned] == [2]
    assert all(-1 <= use.score <= 1.5 for use in memory)


def test_relevance_may_decide_who_is_large(planner: KeyframePlanner, history: list[HistoryFrame]):
    memory = using(planner, rank="relevance").draw(NEXT, history, seed=1, pins=[1]).memory
    rows = {use.number: use.rows for use in memory}
    assert rows[7] == 4
    assert rows[1] == 2


def test_a_shrunk_memory_costs_fewer_tokens(planner: KeyframePlanner, history: list[HistoryFrame]):
    whole = using(planner, memory=None).draw(NEXT, history, seed=1).memory
    golden = planner.draw(NEXT, history, seed=1).memory
    assert [use.number for use in whole] == [use.number for use in golden]
    assert sum(use.tokens for use in golden) < sum(use.tokens for use in whole) == 5 * 32


@pytest.mark.parametrize("mode", ["continuation", "causal"])
def test_the_same_seed_gives_the_same_frame(planner: KeyframePlanner, history: list[HistoryFrame], mode: str):
    planner = using(planner, mode=mode)
    first = planner.draw(NEXT, history, seed=9).frame
    torch.rand(3)  # the global generator plays no part
    assert np.array_equal(planner.draw(NEXT, history, seed=9).frame, first)
    assert not np.array_equal(planner.draw(NEXT, history, seed=10).frame, first)


def test_known_embeddings_change_nothing(planner: KeyframePlanner, history: list[HistoryFrame]):
    known = [replace(frame, embedding=planner.retriever.embed_frame(frame.frame)) for frame in history]
    first, second = (planner.draw(NEXT, frames, seed=2) for frames in (history, known))
    assert np.array_equal(first.frame, second.frame)
    assert first.memory == second.memory


def test_what_another_encoder_saw_is_of_no_use(planner: KeyframePlanner, history: list[HistoryFrame]):
    strange = [replace(frame, embedding=np.ones(3, np.float32)) for frame in history]
    assert planner.select(NEXT, strange) == planner.select(NEXT, history)


def test_captions_alone_find_everybody(planner: KeyframePlanner, history: list[HistoryFrame]):
    memory = using(planner, retrieval="text+names", context_frames=2).select(NEXT, history)
    assert [use.number for use in memory] == [3, 7]  # the latest clear frame of Ada, and the last one


@pytest.mark.parametrize("mode", ["continuation", "causal"])
def test_context_caption_and_guidance_reach_the_frame(
    planner: KeyframePlanner, history: list[HistoryFrame], mode: str
):
    planner = using(planner, mode=mode)
    frame = planner.draw(NEXT, history, seed=9).frame
    others = [
        planner.draw(NEXT, history[:4], seed=9).frame,
        planner.draw("An umbrella", history, seed=9).frame,
        using(planner, mode=mode, guidance=1.0).draw(NEXT, history, seed=9).frame,
    ]
    assert all(not np.array_equal(frame, other) for other in others)


def test_guidance_is_linear_in_the_two_velocities(planner: KeyframePlanner):
    both = torch.tensor([[3.0], [1.0]])
    assert using(planner, guidance=2.5)._guided(both).item() == pytest.approx(1 + 2.5 * 2)


def test_captions_are_padded_as_in_training_and_never_cut(planner: KeyframePlanner):
    short, long = planner._encode_text([NEXT]), planner._encode_text([", ".join(["a fox"] * 40)])
    assert short.tokens.shape == (1, 1, 16, TEXT_DIM)
    assert short.tokens[0, 0].abs().sum(1).count_nonzero() == 3
    assert long.tokens.shape == (1, 1, 40, TEXT_DIM)


def test_causal_and_continuation_agree_without_context(planner: KeyframePlanner):
    frames = [using(planner, mode=mode).draw(NEXT, [], seed=3).frame for mode in ("continuation", "causal")]
    assert np.array_equal(*frames)


def test_causal_is_a_causal_pass_over_all_pairs(planner: KeyframePlanner, history: list[HistoryFrame]):
    planner = using(planner, mode="causal", guidance=1.0)
    given = planner._encode_context(history[:3], [1, 2, 4], seed=5)
    txt = planner._encode_text([*CAPTIONS[:3], NEXT])
    x = torch.randn(1, 32, 16, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        cached = planner._causal(given, txt)(x, 0.7)
        level = torch.cat([given.timestep, torch.full((1, 1), 0.7)], dim=1)
        rows = [*given.rows, 4]
        groups = build_groups([*given.tokens, x], txt.tokens, level, rows)
        whole = ungroup(planner.model(groups, causal=True), rows)[-1]
    torch.testing.assert_close(cached, whole, atol=1e-5, rtol=1e-4)


def test_context_noise_depends_on_the_frame_alone(planner: KeyframePlanner, history: list[HistoryFrame]):
    together = planner._encode_context(history[:3], [4, 4, 4], seed=5)
    alone = planner._encode_context(history[1:2], [4], seed=5)
    assert torch.equal(together.timestep[:, 1], alone.timestep[:, 0])
    torch.testing.assert_close(together.tokens[1], alone.tokens[0])
    assert together.timestep.unique().numel() == 3


def test_joint_drawing_gives_a_frame_a_caption(planner: KeyframePlanner):
    frames = planner.draw_joint(CAPTIONS[:3], seed=4)
    assert [frame.shape for frame in frames] == [(128, 256, 3)] * 3
    again = planner.draw_joint(CAPTIONS[:3], seed=4)
    assert all(np.array_equal(a, b) for a, b in zip(frames, again, strict=True))
    other = planner.draw_joint([*CAPTIONS[:2], "An umbrella"], seed=4)
    assert not np.array_equal(frames[0], other[0])  # they see each other
    assert planner.draw_joint([], seed=4) == []


def test_progress_counts_the_steps(planner: KeyframePlanner):
    calls: list[tuple[int, int]] = []
    planner.draw(NEXT, [], seed=1, progress=lambda done, all_: calls.append((done, all_)))
    assert calls == [(1, 2), (2, 2)]


def test_text_retrieval_needs_no_pictures(planner: KeyframePlanner, history: list[HistoryFrame]):
    memory = using(planner, retrieval="text", context_frames=2).draw(NEXT, history, seed=1).memory
    assert [use.number for use in memory] == [1, 7]  # the other forest


def test_pins_of_no_earlier_shot_are_refused(planner: KeyframePlanner, history: list[HistoryFrame]):
    with pytest.raises(AbilityError, match="shot 9 cannot be pinned: the earlier shots are 1 to 7"):
        planner.draw(NEXT, history, seed=1, pins=[9])
    with pytest.raises(AbilityError, match="pin at most 4"):
        planner.draw(NEXT, history, seed=1, pins=[1, 2, 3, 4, 5])


def test_a_keyframe_of_another_size_is_refused(planner: KeyframePlanner, history: list[HistoryFrame]):
    odd = replace(history[0], frame=np.zeros((64, 128, 3), np.uint8))
    with pytest.raises(AbilityError, match="keyframe 1 is 64x128 pixels, but this preset draws 128x256"):
        planner.draw(NEXT, [odd], seed=1)


def test_settings_that_cannot_be():
    with pytest.raises(ValueError, match="memory holds 3 frames, fewer than the 7"):
        SamplingSettings(memory=Memory(groups=1, images=2))
    with pytest.raises(ValueError, match="0 steps"):
        SamplingSettings(steps=0)


def test_a_memory_deeper_than_the_frame_is_refused(planner: KeyframePlanner):
    with pytest.raises(ValueError, match="4 rows can be shrunk 2 times"):
        using(planner, memory=Memory(groups=3, images=2))


def test_pairs_are_grouped_by_scale_and_keep_their_places():
    rows = [1, 4, 2, 4]
    tokens = [torch.full((3, 2 * r * r, 16), float(place)) for place, r in enumerate(rows)]
    txt = torch.arange(4.0)[None, :, None, None].expand(3, 4, 5, TEXT_DIM)
    level = torch.arange(4.0).expand(3, 4) / 10
    groups = build_groups(tokens, txt, level, rows)
    assert group_places(rows) == [(0,), (1, 3), (2,)]
    assert [tuple(group.img.shape) for group in groups] == [(3, 1, 2, 16), (3, 2, 32, 16), (3, 1, 8, 16)]
    full = groups[1]
    assert full.img[0, :, 0, 0].tolist() == full.txt[0, :, 0, 0].tolist() == [1, 3]
    assert full.img_ids[:, 0, 0].tolist() == full.txt_ids[:, 0, 0].tolist() == [1, 3]
    assert full.timestep[0].tolist() == pytest.approx([0.1, 0.3])
    assert groups[0].img_ids[0, :, 1:3].tolist() == [[1.5, 1.5], [1.5, 5.5]]  # spread over 4 x 8
    for place, frame in enumerate(ungroup([group.img for group in groups], rows)):
        assert torch.equal(frame, tokens[place])


def test_pairs_that_do_not_fit_are_refused():
    frame, txt = torch.zeros(1, 8, 16), torch.zeros(1, 1, 2, TEXT_DIM)
    with pytest.raises(ValueError, match="2 sizes"):
        build_groups([frame], txt, torch.zeros(1, 1), [2, 2])
    with pytest.raises(ValueError, match="do not have"):
        build_groups([frame], txt, torch.zeros(1, 1), [3])
