import torch

from captain_cinema.backbone.mmdit import MMDiT, MMDiTConfig, init_weights
from captain_cinema.backbone.text import split_phrases
from captain_cinema.keyframes.pairs import build_groups
from captain_cinema.playhouse import render, story
from captain_cinema.train.binding import (
    SHOWN,
    TRAITS,
    UNKNOWN,
    LookReader,
    Taps,
    film_labels,
    shown_labels,
    trait_labels,
)


def small_model(blocks: int = 3) -> MMDiT:
    config = MMDiTConfig(
        in_channels=8,
        num_layers=2,
        num_single_layers=blocks,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=12,
        timestep_guidance_channels=8,
        axes_dims_rope=(2, 2, 2, 2),
        guidance_embeds=False,
    )
    return init_weights(MMDiT(config), torch.Generator().manual_seed(0))


def test_labels_say_whose_look_each_token_is_about() -> None:
    film = story.film(5, shots=8, cast=2)
    phrases = [split_phrases(shot.caption) for shot in film.shots]
    labels = film_labels(film, phrases, txt_len=16)
    looks = {member.name: trait_labels(member.look) for member in film.cast}
    named = 0
    for row, shot in zip(labels, phrases, strict=True):
        for token, phrase in zip(row, shot, strict=False):
            if phrase.subject is None:
                assert (token == UNKNOWN).all()
            else:
                named += 1
                assert torch.equal(token, looks[phrase.subject])
        assert (row[len(shot) :] == UNKNOWN).all()
    assert named > 8


def test_every_look_has_a_class_for_every_trait() -> None:
    for seed in range(40):
        for member in story.film(seed, shots=4).cast:
            found = {
                t: c[int(i)] for (t, c), i in zip(TRAITS.items(), trait_labels(member.look), strict=True)
            }
            assert found == {trait: getattr(member.look, trait) for trait in TRAITS}


def test_taps_give_each_pair_its_own_text_tokens_in_story_order() -> None:
    """A pair's local state depends on that pair alone; its fetched state on the others too."""
    model, rows = small_model(), (2, 4, 2, 4)
    torch.manual_seed(0)
    tokens = [torch.randn(1, r * 2 * r, 8) for r in rows]
    txt = torch.randn(1, 4, 3, 12)

    def tapped(txt: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        with torch.no_grad(), Taps(model, rows, 3) as taps:
            model(build_groups(tokens, txt, torch.full((1, 4), 0.5), rows, full=(4, 8)))
        return taps.local(), taps.fetched()

    local, fetched = tapped(txt)
    assert local.shape == fetched.shape == (1, 4, 3, 16)
    other = txt.clone()
    other[:, 1] += 1
    local_2, fetched_2 = tapped(other)
    changed = (local - local_2).abs().amax(dim=(0, 2, 3)) > 0
    assert changed.tolist() == [False, True, False, False]
    assert ((fetched - fetched_2).abs().amax(dim=(0, 2, 3)) > 0).all()


def test_a_token_of_a_picture_is_labelled_with_the_figure_that_covers_it() -> None:
    held = 0
    for seed in range(6):
        for shot in story.film(seed, shots=6, cast=2).shots:
            labels = shown_labels(shot.state, rows=8, height=128)
            masks = [render.figure_mask(shot.state, i, held=True) for i in range(len(shot.state.poses))]
            for token, label in enumerate(labels):
                row, col = divmod(token, 16)
                square = slice(16 * row, 16 * row + 16), slice(16 * col, 16 * col + 16)
                covers = [float(mask[square].mean()) for mask in masks]
                if not covers or max(covers) < 0.25 - 1e-6:
                    assert (label == UNKNOWN).all()
                    continue
                pose = shot.state.poses[covers.index(max(covers))]
                assert torch.equal(label[:-2], trait_labels(pose.character.look))
                assert SHOWN["holds"][int(label[-2])] == pose.holds
                assert SHOWN["action"][int(label[-1])] == pose.action
                held += pose.holds != "none"
    assert held > 100


def test_taps_give_the_pictures_to_be_drawn() -> None:
    """A picture's late state comes from its own place, and knows the words of all pairs."""
    model, rows = small_model(blocks=5), (2, 4, 4)
    torch.manual_seed(0)
    tokens = [torch.randn(1, r * 2 * r, 8) for r in rows]
    txt = torch.randn(1, 3, 3, 12)
    caught: list[torch.Tensor] = []
    model.single_blocks[3].register_forward_hook(lambda _m, _a, result: caught.append(result[0]))

    def tapped(txt: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), Taps(model, rows, 3) as taps:
            model(build_groups(tokens, txt, torch.full((1, 3), 0.5), rows, full=(4, 8)))
        return taps.shown(range(1, 3))

    shown = tapped(txt)
    first = 3 + 2 * 4  # the small pair's tokens come first: its words, then its picture
    assert torch.equal(shown[0, 0], caught[0].flatten(1, 2)[0, first + 3 : first + 3 + 32])
    assert torch.equal(shown[0, 1], caught[0].flatten(1, 2)[0, first + 3 + 32 + 3 :])
    other = txt.clone()
    other[:, 0] += 1
    assert ((shown - tapped(other)).abs().amax(dim=(0, 2, 3)) > 0).all()


def test_taps_leave_nothing_behind() -> None:
    model = small_model()
    with Taps(model, (2,), 3):
        pass
    assert not any(block._forward_hooks for block in [*model.double_blocks, *model.single_blocks])


def test_a_look_can_be_read_off_hidden_states_that_hold_it() -> None:
    torch.manual_seed(0)
    reader = LookReader(32)
    labels = torch.stack([trait_labels(m.look) for s in range(20) for m in story.film(s, shots=4).cast])
    hidden = torch.randn(len(labels), 32)
    optimiser = torch.optim.Adam(reader.parameters(), lr=0.05)
    first, _ = reader.loss(reader.local, hidden, labels)
    for _ in range(60):
        optimiser.zero_grad()
        loss, right = reader.loss(reader.local, hidden, labels)
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.5 * first.item()
    assert right.item() > 0.9
    nobody, share = reader.loss(reader.local, hidden[:2], torch.full((2, len(TRAITS)), UNKNOWN))
    assert share.item() == 0
    assert torch.isfinite(nobody)
