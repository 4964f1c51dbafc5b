"""Frames and captions as published models read them, each encoded once and kept on disk.

During training the text encoders and the VAE are not in memory: all that a dataset holds is encoded before,
and what is asked for later, such as a picture for a sample sheet, loads them again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor

from captain_cinema.backbone.flux_latents import FluxCodec, load_flux_codec
from captain_cinema.backbone.latents import PATCH
from captain_cinema.backbone.open_text import (
    Flux1Text,
    KleinText,
    load_flux1_text,
    load_klein_text,
    plain_names,
)
from captain_cinema.errors import CinemaError, WeightsError
from captain_cinema.keyframes.goldenmem import shrink
from captain_cinema.train.dataset_source import PIXELS_VERSION, DatasetSource, Encoders
from captain_cinema.train.tensor_cache import TensorCache
from captain_cinema.train.world import ALONE, World

logger = logging.getLogger(__name__)

LIMIT = 1 << 44
"""Bytes on disk: a cache that forgets would encode for ever. 300,000 keyframes of FLUX.2 take 150 GB."""
TXT_LEN = 512


class Words(NamedTuple):
    """A caption without padding."""

    tokens: Float[Tensor, "txt_len txt_dim"]
    pooled: Float[Tensor, " pooled_dim"] | None


def folder_digest(*folders: Path) -> str:
    """First digits of a digest that changes with the weights in some folders, without reading them whole."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((*folder.glob("*.safetensors"), *folder.glob("*.json"))):
            digest.update(f"{path.name} {path.stat().st_size}\n".encode())
            with path.open("rb") as file:
                digest.update(file.read(1 << 20))
                file.seek(-min(path.stat().st_size, 1 << 20), 2)
                digest.update(file.read())
    return digest.hexdigest()[:16]


class LazyCodec:
    """A published VAE that is loaded when it is needed.

    Args:
        folder: of the VAE.
        device: where it works.
    """

    def __init__(self, folder: Path, *, device: str) -> None:
        try:
            config = json.loads((folder / "config.json").read_text())
            stages, channels = len(config["block_out_channels"]), int(config["latent_channels"])
        except (OSError, ValueError, KeyError, TypeError):
            raise WeightsError(f"no VAE of a FLUX pipeline in {folder}; is the folder complete?") from None
        self.folder, self.device = folder, device
        self.token_size = 2 ** (stages - 1) * PATCH
        self.token_dim = channels * PATCH * PATCH
        self._codec: FluxCodec | None = None

    def _loaded(self) -> FluxCodec:
        if self._codec is None:
            self._codec = load_flux_codec(self.folder, device=self.device)
        return self._codec

    def encode(self, frames: UInt8[Tensor, "n h w 3"]) -> Float[Tensor, "n img_len dim"]:
        """Frames to tokens."""
        return self._loaded().encode(frames)

    def decode(
        self, tokens: Float[Tensor, "n img_len dim"], *, rows: int, cols: int
    ) -> UInt8[Tensor, "n h w 3"]:
        """Tokens to frames."""
        return self._loaded().decode(tokens, rows=rows, cols=cols)

    def release(self) -> None:
        """Take it out of memory."""
        self._codec = None


class LazyText:
    """Published text encoders that are loaded when they are needed.

    Args:
        pipeline: the folder of the whole pipeline.
        device: where they work.
        length: text tokens a caption at most.
    """

    def __init__(self, pipeline: Path, *, device: str, length: int = TXT_LEN) -> None:
        self.pipeline, self.device, self.length = pipeline, device, length
        self.folders = [pipeline / "text_encoder", pipeline / "text_encoder_2", pipeline / "tokenizer"]
        self._text: KleinText | Flux1Text | None = None

    def _loaded(self) -> KleinText | Flux1Text:
        if self._text is None:
            flux1 = (self.pipeline / "text_encoder_2").is_dir()
            load = load_flux1_text if flux1 else load_klein_text
            dtype = torch.bfloat16 if self.device.startswith("cuda") else torch.float32
            self._text = load(self.pipeline, device=self.device, dtype=dtype, length=self.length)
        return self._text

    def read(self, caption: str) -> Words:
        """A caption's tokens without padding, and what is pooled of it."""
        text = self._loaded()
        plain = plain_names(caption)
        said = text._as_message(plain) if isinstance(text, KleinText) else plain
        count = min(len(text.tokenizer(said)["input_ids"]), text.length)
        tokens = text.encode([caption])[0, : max(1, count)].clone()
        pooled = text.pool([caption])[0].clone() if isinstance(text, Flux1Text) else None
        return Words(tokens=tokens, pooled=pooled)

    def release(self) -> None:
        """Take them out of memory."""
        self._text = None


class OpenEncoders(Encoders):
    """The frozen models of a published pipeline, and what they said before.

    Args:
        pipeline: its folder.
        height: of a full frame.
        folder: where latents and embeddings are kept, by the digest of what made them.
        device: where the models work.
    """

    def __init__(self, pipeline: Path, *, height: int, folder: Path, device: str) -> None:
        self.open_codec = LazyCodec(pipeline / "vae", device=device)
        self.open_text = LazyText(pipeline, device=device)
        self.height = height
        self.rows = height // self.open_codec.token_size
        if height % self.open_codec.token_size or not self.rows:
            size = self.open_codec.token_size
            raise CinemaError(
                f"--height {height} is no whole number of {size}-pixel tokens; give {25 * size}"
            )
        vae = folder_digest(pipeline / "vae")
        self.places = (
            folder / "latents" / f"{vae}-{PIXELS_VERSION}",
            folder / "text" / folder_digest(*self.open_text.folders),
        )
        self.open_caches()

    def open_caches(self) -> None:
        """Open what all processes have written."""
        self.latents: TensorCache = TensorCache(self.places[0], limit=LIMIT)
        self.captions: TensorCache = TensorCache(self.places[1], limit=LIMIT)

    def tokens(
        self, digest: str, rows: int, frame: Callable[[], UInt8[np.ndarray, "h w 3"]]
    ) -> Float[Tensor, "img_len dim"]:
        """See `Encoders`; half precision is kept, of numbers that have about unit variance."""
        name = f"{digest}-{self.height}-{rows}"
        known = self.latents.get(name)
        if known is None:
            pixels = torch.from_numpy(shrink(frame(), rows, token_size=self.open_codec.token_size))
            known = self.open_codec.encode(pixels[None])[0].half().cpu().clone()
            self.latents.put(name, known)
        return known.float()

    def read(self, caption: str) -> Words:
        """A caption's tokens and what is pooled of it; bfloat16 is kept, as encoders have large outliers."""
        name = hashlib.sha256(caption.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        tokens, pooled = self.captions.get(name), self.captions.get(f"{name}-pooled")
        if tokens is None:
            said = self.open_text.read(caption)
            tokens, pooled = said.tokens.bfloat16().cpu(), said.pooled
            if pooled is not None:
                pooled = pooled.bfloat16().cpu()
                self.captions.put(f"{name}-pooled", pooled)
            self.captions.put(name, tokens)
        return Words(tokens=tokens.float(), pooled=None if pooled is None else pooled.float())

    def captions_of(
        self, captions: Sequence[str]
    ) -> tuple[Float[Tensor, "pairs txt_len txt_dim"], Float[Tensor, "pairs pooled_dim"] | None]:
        """See `Encoders`: padded to the longest of them only."""
        words = [self.read(caption) for caption in captions]
        longest = max(len(word.tokens) for word in words)
        padded = [torch.nn.functional.pad(w.tokens, (0, 0, 0, longest - len(w.tokens))) for w in words]
        pooled = [word.pooled for word in words if word.pooled is not None]
        return torch.stack(padded), torch.stack(pooled) if pooled else None

    def silenced(
        self, txt: Tensor, pooled: Tensor | None, dropped: Bool[Tensor, "b pairs"]
    ) -> tuple[Tensor, Tensor | None]:
        """See `FilmSource`: the empty caption in the place of those that are left out."""
        if not dropped.any():
            return txt, pooled
        nothing = self.read("")
        length = min(len(nothing.tokens), txt.shape[2])
        txt = txt.clone()
        txt[dropped] = torch.nn.functional.pad(nothing.tokens[:length], (0, 0, 0, txt.shape[2] - length)).to(
            txt
        )
        if pooled is not None and nothing.pooled is not None:
            pooled = pooled.clone()
            pooled[dropped] = nothing.pooled.to(pooled)
        return txt, pooled

    def release(self) -> None:
        """Take the models out of memory; what is asked for later loads them again."""
        self.open_codec.release()
        self.open_text.release()


def encode_all(
    source: DatasetSource, encoders: OpenEncoders, scales: Iterable[int], *, world: World = ALONE
) -> None:
    """Encode all that a dataset holds, each process its share; what is on disk already is not done again.

    Args:
        source: the dataset.
        encoders: its encoders.
        scales: token rows that frames are wanted at.
        world: the processes.
    """
    missed: set[str] = set()
    rows, numbers = sorted(set(scales)), range(world.rank, len(source.ids), world.size)
    for done, number in enumerate(numbers):
        film = source.film(number)
        for index, caption in enumerate(film.keyframes.captions):
            encoders.read(caption)
            for scale in rows:
                try:
                    encoders.tokens(film.keyframes.digest(index), scale, partial(film.frame, index))
                except (CinemaError, OSError) as error:
                    missed.add(str(error))
        if (done + 1) % 10 == 0:
            logger.info("encoded: %d of %d films", done + 1, len(numbers))
    encoders.read("")
    for error in sorted(missed)[:5]:
        logger.warning("a keyframe cannot be encoded: %s", error)
    encoders.latents.flush()
    encoders.captions.flush()
    encoders.release()
    world.wait()
    encoders.open_caches()
