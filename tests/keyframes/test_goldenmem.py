import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from captain_cinema.keyframes.goldenmem import (
    COST_BOUND,
    Memory,
    assign_scales,
    frame_tokens,
    golden_rows,
    memory_tokens,
    relative_cost,
    shrink,
)


def test_the_papers_inverse_fibonacci_rows():
    assert golden_rows(25, 4) == (25, 15, 9, 5, 3)
    assert golden_rows(25, 0) == (25,)


def test_the_embedded_rows():
    assert golden_rows(4, 2) == (4, 2, 1)


def test_depth_past_the_last_row_is_refused():
    assert golden_rows(25, 5)[-1] == 1
    with pytest.raises(ValueError, match="25 rows can be shrunk 5 times, not 6"):
        golden_rows(25, 6)
    with pytest.raises(ValueError, match="4 rows can be shrunk 2 times, not 3"):
        golden_rows(4, 3)


def test_the_true_cost_of_2_to_1_frames_stays_below_the_bound():
    memory = Memory(groups=4, images=1)
    assert frame_tokens(25) == 1250
    assert memory_tokens(memory, 25) == 1250 + 450 + 162 + 50 + 18
    assert relative_cost(memory, 25) == pytest.approx(1.544)
    assert round(COST_BOUND, 3) == 1.618


@given(rows=st.integers(1, 400), depth=st.integers(0, 12))
def test_every_memory_costs_less_than_the_bound(rows: int, depth: int):
    try:
        golden_rows(rows, depth)
    except ValueError:
        return
    assert relative_cost(Memory(groups=depth, images=1), rows) < COST_BOUND


@pytest.mark.parametrize(("memory", "pairs"), [((3, 4), 16), ((3, 8), 32), ((3, 12), 48)])
def test_the_memories_of_table_3(memory: tuple[int, int], pairs: int):
    groups, images = memory
    assert Memory(groups=groups, images=images).pairs == pairs


def test_the_newest_frames_are_large_and_every_scale_serves_its_images():
    memory = Memory(groups=3, images=4)
    scales = assign_scales(15, memory, 25)
    assert scales == [25] * 3 + [15] * 4 + [9] * 4 + [5] * 4
    assert assign_scales(4, Memory(groups=4, images=1), 25) == [15, 9, 5, 3]
    assert assign_scales(5, memory, 25) == scales[:5]
    assert sum(map(frame_tokens, scales)) + frame_tokens(25) == memory_tokens(memory, 25)


def test_without_memory_all_frames_are_full_size():
    assert assign_scales(40, None, 4) == [4] * 40


def test_more_frames_than_the_memory_holds_are_refused():
    with pytest.raises(ValueError, match="a 2x4 memory holds 11 frames, not 12"):
        assign_scales(12, Memory(groups=2, images=4), 4)


def test_shrinking_averages_areas():
    frame = np.zeros((128, 256, 3), np.uint8)
    frame[:64, :128] = (200, 100, 50)
    small = shrink(frame, 2)
    assert small.shape == (64, 128, 3)
    assert (small[:32, :64] == (200, 100, 50)).all()
    assert small[32:].max() == 0
    assert abs(shrink(frame, 1).mean() - frame.mean()) < 1
    assert shrink(frame, 4) is frame


def test_a_frame_never_grows():
    with pytest.raises(ValueError, match="4 token rows cannot be shrunk to 5"):
        shrink(np.zeros((128, 256, 3), np.uint8), 5)
    with pytest.raises(ValueError, match="multiple of 32"):
        shrink(np.zeros((120, 256, 3), np.uint8), 2)
