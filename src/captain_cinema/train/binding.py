"""Whose look is it? An auxiliary loss that teaches the keyframe model to carry looks from pair to pair.

Drawing a character that the caption only names takes two steps: the words about it in an earlier pair read
its look off that pair's picture (local attention), and the words in the new pair fetch it from them by the
name (global attention). A third step carries it from there to the tokens of the picture that the character
covers. The loss of the pixels says little about any of them, so in training a linear layer names the look
after each step, and the playhouse knows the answer. The layers are thrown away afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.backbone.text import Phrase, normal_name
from captain_cinema.keyframes.pairs import group_places
from captain_cinema.playhouse import render, world
from captain_cinema.playhouse.story import PlayhouseFilm
from captain_cinema.playhouse.world import FrameState

TRAITS: dict[str, tuple[str, ...]] = {
    "kind": world.KINDS,
    "skin": tuple(dict.fromkeys((*world.FUR_COLOURS, *world.SKIN_COLOURS))),
    "hair": ("none", *world.HAIR_COLOURS),
    "coat": world.COAT_STYLES,
    "coat_colour": world.COAT_COLOURS,
    "hat": world.HATS,
    "hat_colour": ("none", *world.HAT_COLOURS),
    "accessory": world.ACCESSORIES,
    "accessory_colour": ("none", *world.ACCESSORY_COLOURS),
    "height": world.HEIGHTS,
}
"""What of a look is asked for, and the answers there are."""

SHOWN: dict[str, tuple[str, ...]] = {**TRAITS, "holds": ("none", *world.PROPS), "action": world.ACTIONS}
"""What is asked of a token of the picture that a figure covers."""

UNKNOWN = -1
FETCHED_AFTER = 3
"""Single-stream blocks after which a drawn pair's words should have fetched the look."""
SHOWN_AFTER = 4
"""Single-stream blocks after which the tokens of a drawn picture should know whom they show."""
COVERED = 0.25
"""Share of a token that a figure must cover."""


def trait_labels(look: world.Look) -> Int[Tensor, " traits"]:
    """A look as one class number a trait."""
    return torch.tensor([classes.index(getattr(look, trait)) for trait, classes in TRAITS.items()])


def film_labels(
    film: PlayhouseFilm, phrases: Sequence[Sequence[Phrase]], *, txt_len: int
) -> Int[Tensor, "shots txt_len traits"]:
    """The look that each text token of a film's captions is about; UNKNOWN where it is about nobody.

    Args:
        film: the film.
        phrases: of every shot's caption.
        txt_len: tokens a caption.
    """
    looks = {normal_name(member.name): trait_labels(member.look) for member in film.cast}
    labels = torch.full((len(phrases), txt_len, len(TRAITS)), UNKNOWN)
    for row, shot in zip(labels, phrases, strict=True):
        for token, phrase in zip(row, shot, strict=False):
            if phrase.subject is not None and normal_name(phrase.subject) in looks:
                token[:] = looks[normal_name(phrase.subject)]
    return labels


def shown_labels(state: FrameState, *, rows: int, height: int) -> Int[Tensor, "img_len shown"]:
    """Whom each token of a picture shows, what that figure holds and does; UNKNOWN where it shows nobody.

    Args:
        state: what is in the picture.
        rows: token rows.
        height: of the picture, pixels.
    """
    labels = torch.full((2 * rows * rows, len(SHOWN)), UNKNOWN)
    most = np.full(2 * rows * rows, COVERED, np.float32)
    for index, pose in enumerate(state.poses):
        mask = render.figure_mask(state, index, height=height, held=True).astype(np.float32)
        cover = cv2.resize(mask, (2 * rows, rows), interpolation=cv2.INTER_AREA).reshape(-1)
        does = torch.tensor([SHOWN["holds"].index(pose.holds), SHOWN["action"].index(pose.action)])
        labels[torch.from_numpy(cover >= most)] = torch.cat([trait_labels(pose.character.look), does])
        most = np.maximum(most, cover)
    return labels


class LookReader(nn.Module):
    """Names looks from the hidden states of an MM-DiT's tokens.

    Args:
        dim: width of the transformer.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.classes = [len(answers) for answers in SHOWN.values()]
        said = sum(self.classes[: len(TRAITS)])
        self.local = nn.Linear(dim, said)
        self.fetched = nn.Linear(dim, said)
        self.shown = nn.Linear(dim, sum(self.classes))

    def loss(
        self, layer: nn.Linear, hidden: Float[Tensor, "n dim"], labels: Int[Tensor, "n traits"]
    ) -> tuple[Tensor, Tensor]:
        """Mean cross-entropy over traits, and how often one of them is named right.

        That one is the coat's colour, or with the layer `shown`, whose labels are of SHOWN, the kind.
        """
        known = labels[:, 0] != UNKNOWN
        hidden, labels = hidden[known].float(), labels[known]
        if not len(labels):
            return hidden.sum(), hidden.new_zeros(())
        with torch.autocast(hidden.device.type, enabled=False):
            parts = layer(F.layer_norm(hidden, hidden.shape[-1:])).split(
                self.classes[: labels.shape[1]], dim=1
            )
        losses = [F.cross_entropy(part, labels[:, i]) for i, part in enumerate(parts)]
        asked = list(TRAITS).index("kind" if layer is self.shown else "coat_colour")
        right = (parts[asked].argmax(dim=1) == labels[:, asked]).float().mean()
        return torch.stack(losses).mean(), right


class Taps:
    """Hidden states caught while the transformer runs.

    Use as a context around one forward pass; `local` and `fetched` then give the text tokens' states,
    [b, pairs, txt_len, dim], and `shown` the pictures'.
    """

    def __init__(self, model: MMDiT, rows: Sequence[int], txt_len: int) -> None:
        self.model, self.rows, self.txt_len = model, rows, txt_len
        self.places = group_places(rows)
        self._local: list[Tensor] = []
        self._global: Tensor | None = None
        self._late: Tensor | None = None

    def __enter__(self) -> Taps:
        blocks = self.model.single_blocks
        fetched, shown = (min(after, len(blocks)) - 1 for after in (FETCHED_AFTER, SHOWN_AFTER))
        self._handles = [
            self.model.double_blocks[-1].register_forward_hook(self._catch_local),
            blocks[fetched].register_forward_hook(self._catch_global),
            blocks[shown].register_forward_hook(self._catch_late),
        ]
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            handle.remove()

    def _catch_local(self, _module: nn.Module, _args: tuple, result: tuple[Tensor, Tensor]) -> None:
        self._local.append(result[1])

    def _catch_global(self, _module: nn.Module, _args: tuple, result: tuple[Tensor, object]) -> None:
        self._global = result[0]

    def _catch_late(self, _module: nn.Module, _args: tuple, result: tuple[Tensor, object]) -> None:
        self._late = result[0]

    def local(self) -> Float[Tensor, "b pairs txt_len dim"]:
        """After the double-stream blocks: each pair by itself."""
        return self._in_order([group.unbind(1) for group in self._local])

    def fetched(self) -> Float[Tensor, "b pairs txt_len dim"]:
        """After some single-stream blocks: each pair having seen the others."""
        return self._in_order(
            [[pair[:, : self.txt_len] for pair in group] for group in self._parted(self._global)]
        )

    def shown(self, places: Sequence[int]) -> Float[Tensor, "b places img_len dim"]:
        """The pictures at some places of the sequence, all of one size, after SHOWN_AFTER blocks."""
        return self._in_order(
            [[pair[:, self.txt_len :] for pair in group] for group in self._parted(self._late)], places
        )

    def _parted(self, caught: Tensor | None) -> list[list[Float[Tensor, "b pair_len dim"]]]:
        """The pairs of each group."""
        assert caught is not None, "the model has not run yet"
        x, groups, start = caught.flatten(1, 2), [], 0
        for group in self.places:
            cols = 2 * self.rows[group[0]]
            length = self.txt_len + self.rows[group[0]] * cols
            part = x[:, start : start + len(group) * length].unflatten(1, (len(group), length))
            groups.append(list(part.unbind(1)))
            start += len(group) * length
        return groups

    def _in_order(self, groups: Sequence[Sequence[Tensor]], places: Sequence[int] | None = None) -> Tensor:
        found = {
            place: tensor
            for group, tensors in zip(self.places, groups, strict=True)
            for place, tensor in zip(group, tensors, strict=True)
        }
        return torch.stack([found[place] for place in places or range(len(self.rows))], dim=1)
