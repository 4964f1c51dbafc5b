"""Words that the embedded preset can and cannot draw."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest

from captain_cinema.playhouse import captions, world
from captain_cinema.playhouse.story import film
from captain_cinema.script import CastMember, Script, Shot
from captain_cinema.writer.vocabulary import undrawable


def script_of(*told: str, scene: str = "", description: str = "") -> Script:
    shots = tuple(Shot(caption=caption, scene=scene) for caption in told)
    return Script(
        title="t", caption="", cast=(CastMember(name="Mara", description=description),), shots=shots
    )


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from (text for pair in value.items() for part in pair for text in texts(part))
    elif isinstance(value, tuple):
        yield from (text for part in value for text in texts(part))


@pytest.mark.parametrize("module", [world, captions])
def test_every_word_of_the_playhouse_is_known(module: Any) -> None:
    told = [text for name, value in vars(module).items() if name.isupper() for text in texts(value)]
    assert len(told) > 50
    assert undrawable(script_of(*told)) == []


def test_the_playhouse_draws_its_own_captions() -> None:
    told = [shot.caption for seed in range(20) for shot in film(seed, shots=8).shots]
    assert undrawable(script_of(*told)) == []


def test_unknown_words_come_with_the_most_frequent_first() -> None:
    script = script_of(
        "A dragon swims.", "A dragon eats cake.", scene="INT. SPACESHIP", description="a blue robot"
    )
    assert undrawable(script)[0] == "dragon"
    assert set(undrawable(script)) == {"dragon", "swims", "eats", "cake", "spaceship", "robot"}


@pytest.mark.parametrize(
    "caption",
    [
        "<Dragon> waves.",
        "The kitten naps in the woodland by the ocean, in a crimson cloak.",
        "“A dragon!” she says.",
        "Mara's hats; the rabbits are hopping, walked slowly and carried kites.",
        "She doesn't know that we've gone.",
        "",
    ],
)
def test_what_need_not_be_drawn(caption: str) -> None:
    script = script_of(caption.replace("Mara", "<Mara>"))
    assert undrawable(script) == []


def test_words_near_a_known_one_are_within_reach() -> None:
    vectors = {
        "fox": (1.0, 0.0),
        "forest": (0.0, 1.0),
        "thicket": (0.5, 0.866),
        "engine": (0.8, 0.6),
        "tax": (0.6, 0.0),
    }

    def sentence(words: Sequence[str]) -> np.ndarray:
        return np.array([vectors[word] for word in words])

    script = script_of("A thicket. An engine. A tax.")
    assert undrawable(script, sentence=sentence, known=["fox", "forest"]) == ["tax (nearest: fox)"]


def test_the_real_encoder_knows_what_words_mean() -> None:
    from captain_cinema.backbone.text import PhraseEncoder

    found = undrawable(
        script_of("The foxes sleep in the timberland. A spaceship and a dragon land."),
        sentence=PhraseEncoder().sentence,
        known=["fox", "frog", "forest", "woods", "sleep", "moon"],
    )
    names = [re.sub(r" \(.*", "", word) for word in found]
    assert {"spaceship", "dragon"} <= set(names)
    assert "timberland" not in names
