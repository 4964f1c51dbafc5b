"""Which frames make a training sequence: strides, overlap, recall, pools."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from captain_cinema.backbone.text import MEANING_DIM, PhraseEncoder
from captain_cinema.playhouse import story
from captain_cinema.train.film_pool import Pool, film_seed
from captain_cinema.train.keyframes import rename
from captain_cinema.train.sequences import (
    Layout,
    introduction_indices,
    recall_indices,
    sequence_indices,
)
from captain_cinema.train.stride import stride_sequence, valid_sequences


@given(st.integers(2, 60), st.data())
def test_stride_sequences_rise_within_the_film(length: int, data: st.DataObject) -> None:
    pairs = data.draw(st.integers(1, length))
    chosen = stride_sequence(length, pairs, np.random.default_rng(data.draw(st.integers(0, 99))))
    assert len(chosen) == pairs
    assert list(chosen) == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < length


def test_film_too_short_for_the_context_is_named() -> None:
    with pytest.raises(ValueError, match="a film of 3 keyframes has no sequence of 8 pairs"):
        stride_sequence(3, 8, np.random.default_rng(0))


def test_no_two_sequences_of_a_film_share_more_than_a_quarter() -> None:
    sequences = valid_sequences(200, 16, np.random.default_rng(0), tries=400)
    shared = [len(set(a) & set(b)) for i, a in enumerate(sequences) for b in sequences[:i]]
    assert max(shared) == 4
    consecutive = (200 - 16) // 12 + 1
    assert len(sequences) > 5 * consecutive


def test_recall_sequences_show_every_character_that_was_seen_before() -> None:
    layout = Layout(scales=(2, 4, 4, 4), targets=2)
    rng = np.random.default_rng(0)
    for seed in range(20):
        film = story.film(seed, shots=16, cast=2)
        chosen = recall_indices(film, layout, rng)
        assert len(set(chosen)) == layout.pairs
        given, targets = chosen[:4], chosen[4:]
        assert max(given) < min(targets)
        shown = {name for index in given for name in film.shots[index].names}
        before = {name for index in range(min(targets)) for name in film.shots[index].names}
        assert {name for index in targets for name in film.shots[index].names} & before <= shown


def test_the_mix_holds_both_kinds() -> None:
    layout = Layout(scales=(4, 4, 4), targets=2)
    film, rng = story.film(1, shots=16), np.random.default_rng(0)
    always = {sequence_indices(film, layout, rng, recall=0.0) for _ in range(200)}
    own = set(valid_sequences(16, 5, np.random.default_rng([1, 5])))
    assert always == own


@given(st.integers(1, 9), st.integers(1, 5), st.integers(0, 200))
def test_a_pool_is_a_function_of_the_step(size: int, period: int, step: int) -> None:
    def make(number: int) -> int:
        return number

    straight = Pool(make, make, size=size, period=period)
    for at in range(step + 1):
        for slot in range(size):
            straight.get(slot, at)
    fresh = Pool(make, make, size=size, period=period)
    held = [fresh.get(slot, step) for slot in range(size)]
    assert held == [straight.get(slot, step) for slot in range(size)]
    assert len(set(held)) == size
    assert max(held) == size - 1 + step // period


def test_workers_change_nothing_but_who_draws() -> None:
    with ThreadPoolExecutor(2) as workers:
        alone = Pool(str, len, size=5, period=2)
        helped = Pool(str, len, size=5, period=2, workers=workers)
        rng = np.random.default_rng(0)
        for step in range(0, 400, 3):
            slot = int(rng.integers(5))
            assert helped.get(slot, step) == alone.get(slot, step) == len(str(alone.item_number(slot, step)))


def test_training_never_meets_the_seeds_of_the_evaluation() -> None:
    assert min(film_seed(seed, 0) for seed in range(10)) >= 2**32


def test_an_introduction_sequence_draws_a_first_frame_that_no_given_one_shows() -> None:
    rng = np.random.default_rng(0)
    layout, found = Layout(scales=(4, 4), targets=3), 0
    for seed in range(30):
        film = story.film(seed, shots=12, cast=3)
        chosen = introduction_indices(film, layout, rng)
        if chosen is None:
            continue
        found += 1
        given, drawn = chosen[:2], chosen[2:]
        shown = {name for i in given for name in film.shots[i].names}
        earlier = {name for i in range(drawn[0]) for name in film.shots[i].names}
        assert set(film.shots[drawn[0]].names) - earlier - shown
        assert list(given) == sorted(set(given))
        assert list(drawn) == sorted(set(drawn))
        assert max(given) < drawn[0]
    assert found > 15


def test_single_frames_can_be_introductions_alone() -> None:
    rng = np.random.default_rng(1)
    layout = Layout(scales=(), targets=1)
    for seed in range(20):
        film = story.film(seed, shots=12, cast=2)
        (index,) = sequence_indices(film, layout, rng, recall=0.7, introduce=1.0)
        assert film.shots[index].introduces


def test_renaming_keeps_equal_names_equal_and_changes_nothing_else() -> None:
    encoder = PhraseEncoder()
    txt = encoder.encode(["<Mira> waves. <Tom> bows.", "<Tom> sees <Mira>.", "Rain falls."], length=8)
    both = torch.stack([txt, txt])
    new = rename(both, torch.Generator().manual_seed(0))
    assert torch.equal(new[..., :MEANING_DIM], both[..., :MEANING_DIM])
    old_codes, codes = both[..., MEANING_DIM:], new[..., MEANING_DIM:]
    assert torch.equal(codes.abs(), old_codes.abs())
    for item in range(2):
        before, after = old_codes[item].flatten(0, 1), codes[item].flatten(0, 1)
        assert torch.equal(before @ before.T, after @ after.T)
    assert not torch.equal(codes[0], codes[1])
