"""Filming with a tiny model: what a shot depends on, and what is refused."""

import numpy as np
import pytest
import torch

from captain_cinema.errors import AbilityError, WeightsError
from tests.shots.tiny_shots import frame, generator, request


def film(requests, **settings) -> list[np.ndarray]:
    return list(generator(**settings).generate(requests))


def test_a_shot_has_its_frames_and_starts_with_the_keyframe_itself():
    for seconds, frames in ((1.0, 4), (1.25, 5), (1.5, 6), (4.0, 16)):
        (shot,) = film([request(seconds=seconds)])
        assert shot.shape == (frames, 4, 8, 3)
        assert shot.dtype == np.uint8
        assert np.array_equal(shot[0], frame(0))


def test_a_model_that_sees_no_change_films_a_still():
    maker = generator()
    torch.nn.init.zeros_(maker.model.proj_out.weight)
    (shot,) = maker.generate([request()])
    assert np.abs(shot.astype(int) - frame(0).astype(int)).max() <= 1


def test_the_same_request_gives_the_same_shot():
    assert np.array_equal(film([request()])[0], film([request()])[0])


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 4},
        {"caption": "fox sleeps"},
        {"film_caption": "a night"},
        {"keyframe": frame(1)},
        {"context": (frame(2),)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_shot_depends_on_each_part_of_its_request(change):
    (base,), (changed,) = film([request()]), film([request(**change)])
    assert not np.array_equal(base[1:], changed[1:])


def test_a_shot_does_not_depend_on_the_other_requests():
    mine = request(context=(frame(5), frame(6)))
    alone = film([mine])[0]
    among = film([request(seed=8, keyframe=frame(9)), mine, request(seed=9, caption="bear sits")])[1]
    assert np.array_equal(alone, among)


def test_together_shots_inform_each_other_and_switched_off_they_do_not():
    pair = [request(), request(keyframe=frame(1), caption="bear sits", seed=5)]
    alone = film(pair)
    joined = list(generator().generate_together(pair))
    apart = list(generator(cross_shot=False).generate_together(pair))
    for one, with_other, without in zip(alone, joined, apart, strict=True):
        assert not np.array_equal(one, with_other)
        assert np.abs(one.astype(int) - without.astype(int)).max() <= 1


def test_together_shots_may_differ_in_length_and_context():
    three = [
        request(seconds=1.0, context=(frame(3), frame(4))),
        request(seconds=3.0, seed=5),
        request(seed=6, context=(frame(7),)),
    ]
    shots = list(generator(cross_shot=False).generate_together(three))
    assert [len(shot) for shot in shots] == [4, 12, 6]
    # Filling up and masking leaves each what it would be alone.
    for shot, alone in zip(shots, film(three), strict=True):
        assert np.abs(shot.astype(int) - alone.astype(int)).max() <= 1


def test_a_longer_shot_begins_with_the_noise_of_a_shorter_one():
    maker = generator()
    clean = maker._clean([request()], [3])
    assert torch.equal(maker._noise(3, 2, clean), maker._noise(3, 4, clean)[:, :2])


def test_guidance_of_one_is_the_told_velocity_and_more_departs_from_it():
    base = film([request()])[0]
    assert np.array_equal(base, film([request()], guidance=1.0)[0])
    assert not np.array_equal(base, film([request()], guidance=3.0)[0])
    mute = request(caption="", film_caption="")
    # Without text there is nothing to guide towards.
    assert np.abs(film([mute])[0].astype(int) - film([mute], guidance=3.0)[0].astype(int)).max() <= 1


def test_frames_are_decoded_a_few_at_a_time():
    maker = generator()
    list(maker.generate([request(seconds=3.0)]))
    assert maker.codec.decoded == [3, 3, 3, 2]  # 11 frames after the keyframe


def test_shots_are_handed_over_as_they_are_done_and_progress_counts_all_steps():
    told: list[tuple[int, int]] = []
    shots = generator().generate([request(), request()], progress=lambda *steps: told.append(steps))
    assert told == []
    next(shots)
    assert told == [(1, 6), (2, 6), (3, 6)]
    next(shots)
    assert told[-1] == (6, 6)


def test_no_requests_no_shots():
    assert film([]) == []
    assert list(generator().generate_together([])) == []


def test_any_integer_is_a_seed():
    (shot,) = film([request(seed=-(2**70))])
    assert len(shot) == 6


def test_broken_weights_are_named():
    maker = generator()
    with torch.no_grad():
        maker.model.proj_out.bias.fill_(float("nan"))
    with pytest.raises(WeightsError, match=r"shot 7: .*damaged"):
        list(maker.generate([request(number=7)]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seconds": 0.5}, r"shot 2: 0.5 seconds asked, tiny films 1 to 4; .*split"),
        ({"seconds": 60.0}, r"shot 2: 60 seconds asked, tiny films 1 to 4"),
        ({"seconds": float("nan")}, r"shot 2: nan seconds"),
        ({"keyframe": np.zeros((8, 8, 3), np.uint8)}, r"shot 2: its keyframe is 8x8, tiny films 4x8"),
        ({"keyframe": np.zeros((4, 8, 4), np.uint8)}, r"its keyframe is 4x8 and not RGB"),
        ({"keyframe": np.zeros((4,), np.uint8)}, r"its keyframe is no picture"),
        ({"keyframe": np.zeros((4, 8, 3), np.float32)}, r"float32 numbers; give it as uint8"),
        ({"context": (frame(1),) * 4}, r"shot 2: 4 context keyframes given, tiny reads at most 3"),
        ({"context": (frame(1), np.zeros((2, 4, 3), np.uint8))}, r"shot 2: context keyframe 2 is 2x4"),
    ],
)
def test_what_the_backend_cannot_do_is_refused_before_anything_is_filmed(change, message):
    with pytest.raises(AbilityError, match=message) as caught:
        generator().generate([request(), request(**change)])
    assert "\n" not in str(caught.value)


def test_refusals_name_the_shot_of_the_script():
    with pytest.raises(AbilityError, match="shot 41:"):
        generator().generate([request(seconds=9.0, number=41)])


def test_too_many_shots_together_are_refused():
    with pytest.raises(AbilityError, match="9 shots asked for together, tiny joins at most 8"):
        generator().generate_together([request()] * 9)
