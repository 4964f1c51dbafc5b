"""Shots of a dataset as Wan reads them: latents and captions, encoded once and kept on disk (section 3.3).

A clip is brought to about 230,400 pixels at its own aspect ratio, both sides multiples of 32, at Wan's 24
frames a second. While the transformer trains, neither VAE nor text encoder is in memory.
"""

from __future__ import annotations

import hashlib
import io
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from captain_cinema.errors import CinemaError
from captain_cinema.shots.wan_latents import WanCodec
from captain_cinema.shots.windows import Traits, names_in
from captain_cinema.train.tensor_cache import TensorCache

logger = logging.getLogger(__name__)

AREA, STEP = 230_400, 32
"""Pixels of a frame (paper, section 4), and what its sides are multiples of."""
FPS, MOST_FRAMES, FEWEST_FRAMES = 24, 121, 5
LIMIT = 1 << 44
"""Bytes on disk: a cache that forgets would encode for ever."""


@dataclass(frozen=True, kw_only=True)
class FilmedShot:
    """A shot of a film in motion."""

    key: str
    """Names it among all shots."""
    caption: str
    frames: Callable[[], UInt8[np.ndarray, "frames h w 3"]]
    """Reads it, 24 frames a second."""


@dataclass(frozen=True, kw_only=True)
class FilmedFilm:
    """A film's shots in order."""

    caption: str
    shots: tuple[FilmedShot, ...]


class EncodedFilm(Protocol):
    """A film as the transformer reads it."""

    @property
    def traits(self) -> Sequence[Traits]:
        """Who appears in which shot."""
        ...

    def slots(self, shot: int) -> Float[Tensor, "channels slots h w"]:
        """A shot's latents, its keyframe's slot first."""
        ...

    def txt(self, shot: int) -> Float[Tensor, "txt_len txt_dim"]:
        """What a shot's cross-attention reads: the film's caption, then its own."""
        ...


def bucket(height: int, width: int, *, area: int = AREA, step: int = STEP) -> tuple[int, int]:
    """The size, in multiples of `step`, that is nearest to `area` pixels at a frame's aspect ratio.

    A wrong aspect ratio costs what is cut off, so it counts twice as much as a wrong area.
    """

    def cost(size: tuple[int, int]) -> float:
        ratio, pixels = size[1] / size[0] * height / width, size[0] * size[1] / area
        return 2 * abs(math.log(ratio)) + abs(math.log(pixels))

    most = max(2, int(2 * math.sqrt(area * max(height / width, width / height)) / step))
    sides = [step * count for count in range(1, most + 1)]
    return min(((rows, cols) for rows in sides for cols in sides), key=cost)


def fit(
    frames: UInt8[np.ndarray, "frames h w 3"], height: int, width: int
) -> UInt8[np.ndarray, "frames to_h to_w 3"]:
    """Scale frames until they cover a size, and cut off what juts out, as much on either side."""
    rows, cols = frames.shape[1:3]
    scale = max(height / rows, width / cols)
    size = (max(width, round(cols * scale)), max(height, round(rows * scale)))
    top, left = (size[1] - height) // 2, (size[0] - width) // 2
    kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    made = [cv2.resize(frame, size, interpolation=kind) for frame in frames]
    return np.stack([frame[top : top + height, left : left + width] for frame in made])


def open_clips(path: Path) -> list[FilmedFilm]:
    """The films of a dataset with their captioned shots in motion.

    Raises:
        CinemaError: there is no dataset, or its clips have another frame rate than Wan.
    """
    from captain_cinema.films.store.clips import Clip, ClipSettings, clip_frames, clips
    from captain_cinema.films.store.reader import Dataset, read_jpeg

    dataset = Dataset(path)
    settings = ClipSettings(height=384, fps=FPS, seconds=MOST_FRAMES / FPS)

    def read(clip: Clip) -> UInt8[np.ndarray, "frames h w 3"]:
        if clip.stored is not None:
            with av.open(io.BytesIO(read_jpeg(dataset.shards, clip.stored)), "r") as container:
                rate = float(container.streams.video[0].average_rate or 0)
            if abs(rate - FPS) > 0.5:
                raise CinemaError(
                    f"the clips in {path} have {rate:g} frames a second, Wan films {FPS}: "
                    f"cinema dataset clips {path} --fps {FPS} --height 384"
                )
        return clip_frames(dataset, clip, settings)[:MOST_FRAMES]

    found = []
    for film in dataset.film_ids():
        captions = {keyframe.shot: keyframe.caption for keyframe in dataset.keyframes(film)}
        shots = tuple(
            FilmedShot(
                key=f"{film}-{clip.shot}-{clip.start:.3f}-{clip.end:.3f}-{clip.frames}",
                caption=captions[clip.shot],
                frames=lambda clip=clip: read(clip),
            )
            for clip in clips(dataset, film)
            if captions.get(clip.shot) and (clip.end - clip.start) * FPS >= FEWEST_FRAMES
        )
        if shots:
            found.append(FilmedFilm(caption=dataset.film(film).caption, shots=shots))
    return found


def encode_clips(
    films: Sequence[FilmedFilm], cache: TensorCache, open_codec: Callable[[], WanCodec], *, area: int = AREA
) -> None:
    """Encode what the cache lacks; the codec is opened only if something is missing, and dropped at the end.

    Args:
        films: what there is.
        cache: where it goes.
        open_codec: loads VAE and text encoder.
        area: pixels of a frame.
    """
    codec: WanCodec | None = None
    for done, film in enumerate(films, start=1):
        texts = ["", film.caption, *(shot.caption for shot in film.shots)]
        for text in texts:
            if text_key(text) not in cache.where and text_key(text) not in cache.pending.tensors:
                codec = codec or open_codec()
                cache.put(text_key(text), codec.tokens_of(text))
        for shot in film.shots:
            if clip_key(shot, area) not in cache.where and clip_key(shot, area) not in cache.pending.tensors:
                codec = codec or open_codec()
                cache.put(clip_key(shot, area), _encode(shot, codec, area))
        if done % 10 == 0:
            logger.info("encoded: %d of %d films", done, len(films))
    cache.flush()


def _encode(shot: FilmedShot, codec: WanCodec, area: int) -> Float[Tensor, "channels slots h w"]:
    frames = shot.frames()
    count = 1 + (len(frames) - 1) // 4 * 4
    height, width = bucket(*frames.shape[1:3], area=area)
    return codec.encode(torch.from_numpy(fit(frames[:count], height, width))).half()


def clip_key(shot: FilmedShot, area: int) -> str:
    """A shot's name in the cache."""
    return f"{shot.key}-{area}"


def text_key(text: str) -> str:
    """A caption's name in the cache."""
    return f"text-{hashlib.sha256(text.encode()).hexdigest()[:24]}"


class CachedFilm:
    """A film out of the cache.

    Args:
        film: its shots.
        cache: holds their encodings.
        txt_len: text tokens that the transformer reads.
        area: pixels of a frame.
    """

    def __init__(self, film: FilmedFilm, cache: TensorCache, *, txt_len: int = 512, area: int = AREA) -> None:
        self.film, self.cache, self.txt_len, self.area = film, cache, txt_len, area
        self.traits = [Traits(names=names_in(shot.caption)) for shot in film.shots]

    def slots(self, shot: int) -> Float[Tensor, "channels slots h w"]:
        """See `EncodedFilm`."""
        return self._get(clip_key(self.film.shots[shot], self.area)).float()

    def txt(self, shot: int) -> Float[Tensor, "txt_len txt_dim"]:
        """See `EncodedFilm`; a shot's own caption is kept whole, the film's is what fits before it."""
        own = self._get(text_key(self.film.shots[shot].caption))[: self.txt_len]
        film = self._get(text_key(self.film.caption))[: self.txt_len - len(own)]
        return filled([film, own] if self.film.caption else [own], self.txt_len)

    def _get(self, name: str) -> Tensor:
        found = self.cache.get(name)
        if found is None:
            raise CinemaError(f"{name} is not in {self.cache.folder} any more; start the same command again")
        return found


def filled(parts: Sequence[Tensor], txt_len: int) -> Float[Tensor, "txt_len txt_dim"]:
    """Tokens one after the other, and zeros after them."""
    tokens = torch.cat(list(parts)).float()
    return torch.cat([tokens, tokens.new_zeros(txt_len - len(tokens), tokens.shape[1])])
