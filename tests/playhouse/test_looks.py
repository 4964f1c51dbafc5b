"""Looks and names: how many there are, how they are split, what is said of them."""

import numpy as np
import pytest

from captain_cinema.playhouse import looks, names, world


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def look(**changes: str) -> world.Look:
    fields = {
        "kind": "fox",
        "skin": "orange",
        "hair": "none",
        "hair_style": "none",
        "coat": "coat",
        "coat_colour": "blue",
        "hat": "top hat",
        "hat_colour": "red",
        "accessory": "none",
        "accessory_colour": "none",
        "height": "tall",
    }
    return world.Look(**(fields | changes))


def test_there_are_many_looks_and_the_count_is_exact() -> None:
    # A body, then coat, hat or none, accessory or none, height, multiplied out by hand.
    animals = 6 * 8
    people = 4 * 5 * 6 * 4
    assert looks.count_looks() == (animals + people) * (5 * 11) * (1 + 5 * 7) * (1 + 5 * 7) * 3
    assert looks.count_looks() >= 1e5


def test_random_looks_keep_the_rules_of_the_world() -> None:
    source = rng()
    for _ in range(2000):
        drawn = looks.random_look(source, split="train")
        animal = drawn.kind in world.ANIMALS
        assert drawn.skin in (world.FUR_COLOURS if animal else world.SKIN_COLOURS)
        assert (drawn.hair == "none") == (drawn.hair_style == "none") == animal
        assert (drawn.hat == "none") == (drawn.hat_colour == "none")
        assert (drawn.accessory == "none") == (drawn.accessory_colour == "none")


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("kind", world.KINDS),
        ("hair", ("none", *world.HAIR_COLOURS)),
        ("hair_style", ("none", *world.HAIR_STYLES)),
        ("coat", world.COAT_STYLES),
        ("coat_colour", world.COAT_COLOURS),
        ("hat", world.HATS),
        ("hat_colour", ("none", *world.HAT_COLOURS)),
        ("accessory", world.ACCESSORIES),
        ("accessory_colour", ("none", *world.ACCESSORY_COLOURS)),
        ("height", world.HEIGHTS),
    ],
)
def test_every_part_of_a_look_is_reached_in_both_splits(field: str, values: tuple[str, ...]) -> None:
    for split in names.SPLITS:
        source = rng()
        seen = {getattr(looks.random_look(source, split=split), field) for _ in range(600)}
        assert seen == set(values)


def test_about_15_percent_are_held_out() -> None:
    source = rng()
    drawn = [looks._any_look(source) for _ in range(4000)]
    share = np.mean([looks.split_of_look(one) == "held-out" for one in drawn])
    assert 0.13 < share < 0.17
    share = np.mean([names.split_of_name(name) == "held-out" for name in names.REAL_NAMES])
    assert 0.1 < share < 0.2


@pytest.mark.parametrize("split", names.SPLITS)
def test_what_is_drawn_belongs_to_its_split(split: str) -> None:
    source = rng()
    for _ in range(300):
        assert looks.split_of_look(looks.random_look(source, split=split)) == split
        assert names.split_of_name(looks.random_name(source, split=split)) == split


def test_the_splits_are_stable() -> None:
    """Trained weights depend on them: whoever changes these values has to train again."""
    assert looks.split_of_look(look()) == "train"
    held_out = [
        height
        for height in world.HEIGHTS
        for coat in world.COAT_COLOURS
        if looks.split_of_look(look(height=height, coat_colour=coat)) == "held-out"
    ]
    assert len(held_out) == 3
    assert names.split_of_name("Mara") == names.split_of_name("MARA") == names.split_of_name("Ｍara")


def test_an_unknown_split_is_named() -> None:
    with pytest.raises(ValueError, match="held-out"):
        looks.random_look(rng(), split="test")
    with pytest.raises(ValueError, match="held-out"):
        looks.random_name(rng(), split="test")


def test_names_are_many() -> None:
    assert names.invented_names() >= 20_000
    assert len(set(names.REAL_NAMES)) == len(names.REAL_NAMES) > 200
    source = rng()
    drawn = [names.random_name(source, split="train") for _ in range(3000)]
    assert len(set(drawn)) > 1800
    assert not any(set(name) & set("<> \n.;") for name in drawn)


def test_a_description_says_every_part_and_nothing_else() -> None:
    source = rng()
    for _ in range(500):
        drawn = looks.random_look(source, split="train")
        said = looks.describe(drawn, source)
        for words in looks.look_words(drawn):
            assert words in said
        assert (drawn.height in said.split()) == (drawn.height != "medium" or drawn.hair_style == "medium")
        assert "none" not in said
        assert " a o" not in said, said
        assert " an " not in f" {said}".replace(" an orange", "")


def test_a_description_has_several_phrasings() -> None:
    source = rng()
    assert len({looks.describe(look(), source) for _ in range(100)}) >= 8
    assert "an orange fox" in {looks.describe(look(height="medium"), source)[:13] for _ in range(50)}


def test_very_different_needs_another_coat_and_another_body() -> None:
    assert not looks.very_different(look(), look(kind="cat"))
    assert not looks.very_different(look(), look(coat_colour="red"))
    assert looks.very_different(look(), look(coat_colour="red", kind="cat"))
    assert looks.very_different(look(), look(coat_colour="red", skin="grey"))


def test_weighted_follows_the_weights() -> None:
    source = rng()
    drawn = [names.weighted(source, {"a": 3.0, "b": 1.0, "c": 0.0}) for _ in range(2000)]
    assert 0.71 < drawn.count("a") / 2000 < 0.79
    assert "c" not in drawn
