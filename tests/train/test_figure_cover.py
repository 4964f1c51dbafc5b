"""Where the keyframe model's loss weighs more, and along what."""

from dataclasses import replace

import numpy as np
import torch

from captain_cinema.playhouse import render, story
from captain_cinema.playhouse.world import ANIMALS, PEOPLE, TRAVELLING, FrameState
from captain_cinema.train.contrast import contrast_loss, even
from captain_cinema.train.film_pool import DETAIL_WEIGHT, counterfactual, figure_cover

HEIGHT, ROWS = 128, 4


def cover(shot: story.PlayhouseShot) -> np.ndarray:
    frame = render.draw(shot.state, height=HEIGHT)
    other = render.draw(counterfactual(shot.state), height=HEIGHT)
    return figure_cover(shot.state, frame, other, rows=ROWS).reshape(ROWS, 2 * ROWS)


def shots() -> list[story.PlayhouseShot]:
    return [shot for seed in range(3) for shot in story.film(seed, shots=8).shots]


def test_places_without_characters_weigh_nothing() -> None:
    (shot, *_) = (shot for shot in shots() if shot.names)
    empty = replace(shot, state=replace(shot.state, poses=()))
    assert not cover(empty).any()
    side = HEIGHT // ROWS
    for shot in shots():
        masks = [render.figure_mask(shot.state, i, height=HEIGHT) for i in range(len(shot.state.poses))]
        covered = np.logical_or.reduce([np.zeros((HEIGHT, 2 * HEIGHT), bool), *masks])
        share = covered.reshape(ROWS, side, 2 * ROWS, side).mean(axis=(1, 3))
        assert (cover(shot) >= share - 1e-3).all()
        assert (cover(shot) <= share + DETAIL_WEIGHT + 1e-3).all()


def test_heads_and_things_in_hand_weigh_more_than_coats() -> None:
    """Of a close figure, what tells a kind lies in the upper half; with something in hand, there too."""
    found = [s for s in shots() if len(s.state.poses) == 1 and s.state.framing == "medium"]
    found = [s for s in found if changes(s.state) == ["kind"]]
    assert found
    for shot in found:
        weights = cover(shot)
        assert weights.max() > 1  # which cover alone never is
        holder = replace(shot.state.poses[0], holds="umbrella")
        bare = replace(shot.state.poses[0], holds="none")
        held, empty = (replace(shot, state=replace(shot.state, poses=(p,))) for p in (holder, bare))
        assert cover(held).sum() > cover(empty).sum()


def changes(state: FrameState) -> list[str]:
    """What a counterfactual changes about each figure; nothing else is changed."""
    other, said, restored = counterfactual(state), [], []
    for pose, changed in zip(state.poses, other.poses, strict=True):
        look, new = pose.character.look, changed.character.look
        if new.kind != look.kind:
            said.append("kind")
            assert (new.kind in ANIMALS) == (look.kind in ANIMALS)
            assert (changed.holds == "none") == (pose.holds == "none")
            assert changed.holds == "none" or changed.holds != pose.holds
            changed = replace(changed, holds=pose.holds)
            new = replace(new, kind=look.kind)
        elif changed.action != pose.action:
            said.append("action")
            assert (changed.action in TRAVELLING) == (pose.action in TRAVELLING)
            changed = replace(changed, action=pose.action)
        else:
            said.append("hat")
            assert new.hat != look.hat
            assert new.accessory != look.accessory
            new = replace(new, hat=look.hat, hat_colour=look.hat_colour)
            new = replace(new, accessory=look.accessory, accessory_colour=look.accessory_colour)
        restored.append(replace(changed, character=replace(changed.character, look=new)))
    assert replace(other, poses=tuple(restored)) == state
    return said


def test_a_counterfactual_changes_one_thing_about_everybody() -> None:
    pairs, said = set(), []
    for shot in (shot for seed in range(100) for shot in story.film(seed, shots=8).shots):
        said += changes(shot.state)
        for pose, changed in zip(shot.state.poses, counterfactual(shot.state).poses, strict=True):
            pairs.add((pose.character.look.kind, changed.character.look.kind))
    others = {(a, b) for a, b in pairs if a != b}
    assert len(others) == len(ANIMALS) * (len(ANIMALS) - 1) + len(PEOPLE) * (len(PEOPLE) - 1)
    shares = {what: said.count(what) / len(said) for what in ("kind", "action", "hat")}
    assert 0.45 < shares["kind"] < 0.55
    assert 0.2 < shares["action"] < 0.3
    assert 0.2 < shares["hat"] < 0.3


def test_the_contrast_loss_sees_errors_towards_the_counterfactual_alone() -> None:
    torch.manual_seed(0)
    contrast = torch.randn(2, 3, 8, 16)
    contrast[0, 0] = 0  # nobody is there
    contrast[:, :, 5:] = 0
    length = contrast.square().sum(dim=-1, keepdim=True)
    loss, told = contrast_loss(0.4 * contrast, contrast)
    torch.testing.assert_close(loss, 0.16 * length.square().sum() / length.sum())
    assert told == 1.0
    assert contrast_loss(0.6 * contrast, contrast)[1] == 0.0
    half = torch.where(torch.arange(2).view(2, 1, 1, 1) == 0, 0.6, 0.4) * contrast
    # Of the five frames that show somebody, the second three.
    assert abs(contrast_loss(half, contrast)[1] - 0.6) < 1e-6
    across = torch.randn_like(contrast)
    across -= (across * contrast).sum(dim=-1, keepdim=True) / length.clamp(min=1e-6) * contrast
    assert across.square().sum() > 100
    assert contrast_loss(across, contrast)[0] < 1e-9
    nobody = contrast_loss(across, torch.zeros_like(contrast))
    assert (float(nobody[0]), nobody[1]) == (0.0, 0.0)


def test_even_scales_bring_a_nod_and_a_walk_to_one_size() -> None:
    torch.manual_seed(0)
    walk = torch.randn(1, 1, 8, 16) * 4
    both = torch.cat([walk, walk / 3, torch.zeros_like(walk)])
    scaled = both * even(both)
    torch.testing.assert_close(scaled[1], scaled[0], rtol=0.05, atol=0.05)
    assert not scaled[2].any()
