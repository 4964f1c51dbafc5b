"""Names of the playhouse: invented ones from syllables, real ones from many cultures.

Names, looks and places are split for training and testing by a hash of what they are, not by a list: whoever
draws one at random knows at once whether training may see it, today and in every later version.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import TypeVar

import numpy as np

SPLITS = ("train", "held-out")
HELD_OUT_SHARE = 0.15
"""Of all names, looks and places, what training never sees."""

REAL_SHARE = 0.4
"""Of the names drawn, how many are real first names."""

Thing = TypeVar("Thing")

_REAL = """
Abena Adaeze Aiko Aisha Akira Alba Alejandro Amara Amélie Amina Anahit Ananya Anders Anouk Antoine Anya
Aoife Arjun Arta Astrid Atsuko Ayla Ayşe Bao Beatriz Bilal Birgit Bogdan Brigid Caetano Carlos Carmen
Cedric Chidi Chiara Chloé Ciara Clara Cosmin Dagny Dalia Daniela Darya Dessa Diego Dilnoza Dmitri Ebba
Edda Efua Eilidh Einar Elif Elio Emeka Emre Enzo Esi Eszter Eun Fadi Farah Fatou Femi Fergus Finn Fleur
Freya Gabor Georgi Gilda Giulia Goran Greta Gudrun Gulnara Habiba Hana Hans Haruki Hassan Hedda Hugo
Ibrahim Ida Ileana Imani Ines Ingrid Irina Isamu Ishaan Ivo Iwona Jamila Jana Jelena Jin Joaquín José
Juma Jussi Kaito Kaja Kamala Karim Katya Kenji Kerstin Khadija Kiran Kofi Kwame Lakshmi Lars Latifa
Leila Lena Leszek Lilja Ling Linh Lior Livia Lucía Ludmila Łukasz Maeve Malik Manon Marek Mariam Marisol
Mateo Matilda Maya Meera Mei Mikael Mina Minh Miriam Mirza Moana Mohan Nadia Naima Nanami Nasrin Nayeli
Ngozi Niamh Nikolai Nilufar Nina Noor Nuria Oana Odile Olga Olu Omar Orla Oskar Otis Paloma Paulo Pavel
Petra Pia Pilar Priya Qiang Quinn Rahul Ravi Renata Rin Robin Rohan Rosa Ruslan Sadia Sakura Salma Samir
Sanjay Sariya Selma Seo Signe Simone Siobhan Sofía Sólveig Søren Stefan Sunita Svetlana Tadeo Tala Tamar
Tariq Teodora Thabo Théo Thora Tiago Tomasz Tova Uli Ulla Uma Ursula Valeria Vasil Viggo Vikram Vivek
Wanjiru Wei Wen Wiktor Xanthe Ximena Xiu Yael Yara Yasmin Yosef Yuki Yusuf Zahra Zara Zeynep Zhen Zofia
Zoltan Zora Zoë Žofie Аня Борис Дарья Иван Катя Мила Олег Юлія Αλέξης Ελένη Νίκος Σοφία
さくら はると 美咲 小明 玉兰 민준 서연 ליאור נועה أمل ليلى سمير अनिल मीरा ทองดี
"""
REAL_NAMES = tuple(_REAL.split())
"""First names as they are written at home; the text encoder reads any script."""

ONSETS = (
    "B",
    "D",
    "F",
    "G",
    "H",
    "J",
    "K",
    "L",
    "M",
    "N",
    "P",
    "R",
    "S",
    "T",
    "V",
    "Z",
    "Br",
    "Dr",
    "Kl",
    "Tr",
)
VOWELS = ("a", "e", "i", "o", "u", "ai", "ei", "ou")
MIDDLES = ("b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "z", "ll", "nd", "rn", "st")
ENDINGS = ("a", "e", "i", "o", "an", "el", "en", "ia", "in", "is", "on", "or", "u", "y")
"""An invented name is onset, vowel, middle and ending, or has one more vowel and middle before the ending."""


def pick(rng: np.random.Generator, things: Sequence[Thing]) -> Thing:
    """One of `things`, each equally likely (several times faster than `rng.choice`)."""
    return things[int(rng.random() * len(things))]


def weighted(rng: np.random.Generator, weights: dict[Thing, float]) -> Thing:
    """One of the keys, as likely as its weight says."""
    left = rng.random() * sum(weights.values())
    for thing, weight in weights.items():
        left -= weight
        if left < 0:
            return thing
    return max(weights, key=lambda thing: weights[thing])


def split_of(key: str) -> str:
    """The split of the thing that `key` describes: "train", or "held-out" for about 15 % of all keys."""
    digest = hashlib.blake2b(key.encode(), digest_size=4).digest()
    return SPLITS[int.from_bytes(digest, "big") < HELD_OUT_SHARE * 2**32]


def check_split(split: str) -> None:
    """Raise ValueError unless `split` is one of SPLITS."""
    if split not in SPLITS:
        raise ValueError(f"split {split!r}: must be one of {', '.join(SPLITS)}")


def split_of_name(name: str) -> str:
    """The split of a name, whatever its case and unicode form."""
    return split_of("name:" + unicodedata.normalize("NFKC", name).casefold())


@cache
def _real_names(split: str) -> tuple[str, ...]:
    return tuple(name for name in REAL_NAMES if split_of_name(name) == split)


def invented_names() -> int:
    """How many names the syllables make (real names come on top)."""
    two = len(ONSETS) * len(VOWELS) * len(MIDDLES) * len(ENDINGS)
    return two * (1 + len(VOWELS) * len(MIDDLES))


def random_name(rng: np.random.Generator, *, split: str) -> str:
    """A first name of the split, real or invented.

    Args:
        rng: Where the choice comes from.
        split: "train" or "held-out".
    """
    check_split(split)
    if rng.random() < REAL_SHARE:
        return pick(rng, _real_names(split))
    while True:
        name = pick(rng, ONSETS) + pick(rng, VOWELS) + pick(rng, MIDDLES)
        if rng.random() < 0.3:
            name += pick(rng, VOWELS) + pick(rng, MIDDLES)
        name += pick(rng, ENDINGS)
        if split_of_name(name) == split:
            return name
