"""A dataset's films for training: whole, at random access, behind the interface in `frame_source`.

Only the frames that a sequence takes are read, encoded at the scale it wants, and kept on disk
(`tensor_cache`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from captain_cinema.backbone.latents import FrameCodec
from captain_cinema.backbone.text import ENCODER_SHA256, PhraseEncoder, names_in
from captain_cinema.errors import CinemaError
from captain_cinema.films.records import Role
from captain_cinema.films.store.paths import CACHE
from captain_cinema.films.store.reader import Dataset, KeyframeFilm
from captain_cinema.keyframes.goldenmem import shrink
from captain_cinema.train.binding import SHOWN, TRAITS, UNKNOWN
from captain_cinema.train.frame_source import FilmSequence, SourceFilm, without_words
from captain_cinema.train.tensor_cache import TensorCache, weights_digest

logger = logging.getLogger(__name__)

LATENTS_LIMIT, TEXT_LIMIT = 16 << 30, 8 << 30
"""Bytes on disk: 300,000 keyframes of the embedded preset at three scales take 3 GB."""
FILMS_OPEN = 64
PIXELS_VERSION = 1
"""Counts up when frames are resized or shrunk in another way."""


@dataclass(frozen=True, kw_only=True)
class CaptionedShot:
    """A shot of a dataset's film; see `sequences.SeenShot`."""

    caption: str
    names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class CaptionedFilm:
    """A dataset's film; see `sequences.SeenFilm`."""

    seed: int
    shots: tuple[CaptionedShot, ...]


def read_film(film: KeyframeFilm) -> CaptionedFilm:
    """What the choice of frames must know. The names are those tagged in the captions, as the model reads
    them.
    """
    shots = tuple(CaptionedShot(caption=caption, names=names_in(caption)) for caption in film.captions)
    seed = int.from_bytes(hashlib.sha256(film.id.encode()).digest()[:8], "big")
    return CaptionedFilm(seed=seed, shots=shots)


class Encoders:
    """The frozen models that read a dataset's frames and captions, and what they said before.

    Every frame is encoded alone, so that its tokens never depend on what it was encoded with.

    Args:
        codec: of the frames.
        text: of the captions.
        height: of a full frame.
        txt_len: tokens of a caption.
        folder: where latents and embeddings are kept, by the digest of what made them; None keeps nothing.
        limits: bytes on disk at most, of latents and of embeddings.
    """

    def __init__(
        self,
        codec: FrameCodec,
        text: PhraseEncoder,
        *,
        height: int,
        txt_len: int,
        folder: Path | None,
        limits: tuple[int, int] = (LATENTS_LIMIT, TEXT_LIMIT),
    ) -> None:
        self.codec, self.text, self.height, self.txt_len = codec, text, height, txt_len
        self.rows = height // codec.token_size
        self.latents: TensorCache | None = None
        self.captions: TensorCache | None = None
        if folder is not None:
            vae = weights_digest(codec.vae, codec.scale, PIXELS_VERSION)
            self.latents = TensorCache(folder / "latents" / vae, limit=limits[0])
            self.captions = TensorCache(folder / "text" / ENCODER_SHA256[:16], limit=limits[1])

    def tokens(
        self, digest: str, rows: int, frame: Callable[[], UInt8[np.ndarray, "h w 3"]]
    ) -> Float[Tensor, "img_len dim"]:
        """Tokens of a frame at a scale.

        Args:
            digest: of the frame's content.
            rows: token rows.
            frame: reads the frame at full size, if it must be encoded.
        """
        name = f"{digest}-{self.height}-{rows}"
        known = self.latents.get(name) if self.latents is not None else None
        if known is not None:
            return known
        pixels = torch.from_numpy(shrink(frame(), rows, token_size=self.codec.token_size))
        tokens = self.codec.encode(pixels[None])[0].float().cpu().clone()
        if self.latents is not None:
            self.latents.put(name, tokens)
        return tokens

    def words(self, caption: str) -> Float[Tensor, "txt_len txt_dim"]:
        """Tokens of a caption, padded."""
        phrases = self.text.phrases(caption)[: self.txt_len]
        name = hashlib.sha256(repr(phrases).encode("utf-8", "surrogatepass")).hexdigest()[:32]
        known = self.captions.get(name) if self.captions is not None else None
        if known is None:
            known = self.text.encode([caption], length=max(1, len(phrases)))[0].cpu()
            if self.captions is not None:
                self.captions.put(name, known)
        return torch.nn.functional.pad(known, (0, 0, 0, self.txt_len - len(known)))

    def captions_of(
        self, captions: Sequence[str]
    ) -> tuple[Float[Tensor, "pairs txt_len txt_dim"], Float[Tensor, "pairs pooled_dim"] | None]:
        """Tokens of a sequence's captions, padded to one length, and each caption as one vector."""
        return torch.stack([self.words(caption) for caption in captions]), None

    def silenced(
        self, txt: Tensor, pooled: Tensor | None, dropped: Bool[Tensor, "b pairs"]
    ) -> tuple[Tensor, Tensor | None]:
        """See `FilmSource`."""
        return without_words(txt, dropped), pooled


class DatasetFilm:
    """A dataset's film as a `SourceFilm`: whole, and read frame by frame."""

    def __init__(self, keyframes: KeyframeFilm, encoders: Encoders) -> None:
        self.keyframes, self.encoders = keyframes, encoders
        self.film = read_film(keyframes)

    def sequence(self, chosen: Sequence[int], rows: Sequence[int]) -> FilmSequence:
        """See `SourceFilm`."""
        encoders = self.encoders
        tokens = [
            encoders.tokens(self.keyframes.digest(i), r, partial(self.frame, i))
            for i, r in zip(chosen, rows, strict=True)
        ]
        txt, pooled = encoders.captions_of([self.keyframes.captions[i] for i in chosen])
        tokens_each = 2 * encoders.rows * encoders.rows
        return FilmSequence(
            tokens=tuple(tokens),
            txt=txt,
            figures=torch.zeros(len(chosen), tokens_each),
            looks=torch.full((len(chosen), txt.shape[1], len(TRAITS)), UNKNOWN),
            shown=torch.full((len(chosen), tokens_each, len(SHOWN)), UNKNOWN),
            pooled=pooled,
        )

    def frame(self, index: int) -> UInt8[np.ndarray, "h w 3"]:
        """See `SourceFilm`."""
        return self.keyframes.frame(index, self.encoders.height)


class DatasetSource:
    """Films of a dataset, a longer one as much more often as it has keyframes.

    Args:
        dataset: the dataset.
        encoders: read its frames and captions.
        role: the keyframe of a shot that is taken, where both were kept.
    """

    def __init__(self, dataset: Dataset, encoders: Encoders, *, role: Role = "middle") -> None:
        self.dataset, self.encoders = dataset, encoders
        self.role: Role = role
        self.ids = dataset.film_ids()
        self.lengths = dataset.shot_counts()
        self._film = lru_cache(maxsize=FILMS_OPEN)(self._read)

    def film(self, number: int) -> DatasetFilm:
        """The film of a number."""
        return self._film(number)

    def _read(self, number: int) -> DatasetFilm:
        return DatasetFilm(self.dataset.shots(self.ids[number], role=self.role), self.encoders)

    def films(
        self, step: int, count: int, *, pairs: int, casts: tuple[int, ...], rng: np.random.Generator
    ) -> list[SourceFilm]:
        """See `FilmSource`; cast sizes are as the films have them.

        Raises:
            CinemaError: no film is long enough.
        """
        chances = np.where(self.lengths >= pairs, self.lengths, 0).astype(np.float64)
        if not chances.sum():
            longest = int(self.lengths.max(initial=0))
            raise CinemaError(
                f"the longest film in {self.dataset.path} has {longest} shots with a keyframe, the training"
                f" takes sequences of {pairs}; add longer films, or train with a preset of shorter sequences"
            )
        chosen = rng.choice(len(chances), size=count, p=chances / chances.sum())
        return [self._film(int(number)) for number in chosen]

    def samples(self, count: int) -> list[SourceFilm]:
        """See `FilmSource`: the longest films; a dataset keeps none back."""
        longest = np.argsort(-self.lengths, kind="stable")[:count]
        return [self._film(int(number)) for number in longest if self.lengths[number] > 1]

    def silenced(
        self, txt: Tensor, pooled: Tensor | None, dropped: Bool[Tensor, "b pairs"]
    ) -> tuple[Tensor, Tensor | None]:
        """See `FilmSource`."""
        return self.encoders.silenced(txt, pooled, dropped)


def open_source(
    path: Path, codec: FrameCodec, text: PhraseEncoder, *, height: int, txt_len: int
) -> DatasetSource:
    """A dataset's films for training, with latents and embeddings kept in the dataset's own cache.

    Raises:
        CinemaError: no dataset, or one without keyframes.
    """
    return open_dataset(path, Encoders(codec, text, height=height, txt_len=txt_len, folder=path / CACHE))


def open_dataset(path: Path, encoders: Encoders) -> DatasetSource:
    """The same, read by given encoders.

    Raises:
        CinemaError: no dataset, or one without keyframes.
    """
    dataset = Dataset(path)
    if not len(dataset):
        raise CinemaError(f"the dataset in {path} has no keyframes; `cinema dataset stats {path}` says why")
    missing = dataset.without_caption()
    if missing:
        logger.warning(
            "%d of %d keyframes have no caption; the model learns from their pictures alone",
            missing,
            len(dataset),
        )
    return DatasetSource(dataset, encoders)
