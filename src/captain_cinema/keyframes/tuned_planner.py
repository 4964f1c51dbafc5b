"""Keyframes from tuned FLUX weights: the interleaved planner of section 3.2 at the paper's size.

The same planner as the embedded one. Only the reading differs: published text encoders, without their
padding, and an empty caption where the embedded model has none at all. Training reads captions the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from captain_cinema.backbone.flux_latents import Codec
from captain_cinema.backbone.mmdit import MMDiT
from captain_cinema.backbone.open_text import Flux1Text, KleinText
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.keyframes.memory import Embedder
from captain_cinema.keyframes.planner import KeyframePlanner, SamplingSettings, Words


class TunedPlanner(KeyframePlanner):
    """Draws keyframes with weights that `cinema train keyframes` has tuned.

    Args:
        model: FLUX.1 or FLUX.2, tuned.
        codec: Frames to tokens and back.
        reader: Captions to tokens, the published way.
        retriever: A CLIP; None where captions alone decide.
        settings: How to draw.
        text: Sentence embeddings, for where captions alone decide.
    """

    def __init__(
        self,
        model: MMDiT,
        codec: Codec,
        reader: KleinText | Flux1Text,
        retriever: Embedder | None,
        settings: SamplingSettings,
        *,
        text: PhraseEncoder | None = None,
    ) -> None:
        super().__init__(model, codec, text or PhraseEncoder(), retriever, settings)
        self.reader = reader

    def _encode_text(self, captions: Sequence[str]) -> Words:
        read = [self._read(caption) for caption in captions]
        longest = max(len(tokens) for tokens, _ in read)
        tokens = torch.stack([functional.pad(t, (0, 0, 0, longest - len(t))) for t, _ in read])
        pooled = [vector for _, vector in read if vector is not None]
        return Words(tokens=tokens[None], pooled=torch.stack(pooled)[None] if pooled else None)

    def _silenced(self, words: Words, targets: slice) -> Words:
        """The empty caption in the place of those of some pairs."""
        nothing, vector = self._read("")
        length = words.tokens.shape[2]
        tokens = words.tokens.clone()
        tokens[:, targets] = functional.pad(nothing[:length], (0, 0, 0, max(0, length - len(nothing))))
        pooled = words.pooled
        if pooled is not None and vector is not None:
            pooled = pooled.clone()
            pooled[:, targets] = vector
        return Words(tokens=tokens, pooled=pooled)

    def _read(
        self, caption: str
    ) -> tuple[Float[Tensor, "txt_len txt_dim"], Float[Tensor, " pooled_dim"] | None]:
        """A caption's tokens without padding, and what is pooled of it."""
        count = self.reader.count(caption)
        tokens = self.reader.encode([caption])[0, :count].to(self.device, torch.float32)
        if not isinstance(self.reader, Flux1Text):
            return tokens, None
        return tokens, self.reader.pool([caption])[0].to(self.device, torch.float32)
