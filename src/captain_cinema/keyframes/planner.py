"""Drawing keyframes: choose, shrink and noise the context, denoise the new frame (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from captain_cinema.backbone.flux_latents import Codec
from captain_cinema.backbone.mmdit import MMDiT, PairGroup
from captain_cinema.backbone.text import PhraseEncoder
from captain_cinema.errors import AbilityError
from captain_cinema.flow.path import velocity_to
from captain_cinema.flow.sampler import euler
from captain_cinema.flow.schedule import timesteps
from captain_cinema.keyframes.goldenmem import assign_scales, shrink
from captain_cinema.keyframes.memory import (
    DrawnKeyframe,
    Embedder,
    HistoryFrame,
    MemoryUse,
    Planner,
    Progress,
    Sentences,
    choose,
    scales_of,
    uses_of,
)
from captain_cinema.keyframes.noisy_context import add_noise
from captain_cinema.keyframes.pairs import build_groups, ungroup
from captain_cinema.keyframes.retrieval import Retriever
from captain_cinema.keyframes.selection import Selection
from captain_cinema.keyframes.settings import SamplingSettings

__all__ = [
    "DrawnKeyframe",
    "HistoryFrame",
    "KeyframePlanner",
    "MemoryUse",
    "Planner",
    "Progress",
    "SamplingSettings",
    "build_groups",
]


@dataclass(frozen=True, kw_only=True)
class _Given:
    """Context frames as tokens, in story order."""

    tokens: list[Float[Tensor, "1 _ channels"]]
    rows: list[int]
    timestep: Float[Tensor, "1 pairs"]


@dataclass(frozen=True, kw_only=True)
class Words:
    """Captions as the transformer reads them."""

    tokens: Float[Tensor, "b pairs txt_len txt_dim"]
    pooled: Float[Tensor, "b pairs pooled_dim"] | None = None
    """Each caption as one vector, which FLUX.1 reads beside the tokens."""

    def of(self, pairs: slice) -> Words:
        """Those of some pairs."""
        return Words(
            tokens=self.tokens[:, pairs], pooled=None if self.pooled is None else self.pooled[:, pairs]
        )

    def __len__(self) -> int:
        return len(self.tokens)


class KeyframePlanner:
    """Draws the keyframes of a film, one after another or all together.

    Args:
        model: The interleaved transformer.
        codec: Frames to tokens and back.
        text: Captions to tokens.
        retriever: Embeds frames and captions for the choice of the context; None where captions alone decide.
        settings: How to draw.
    """

    def __init__(
        self,
        model: MMDiT,
        codec: Codec,
        text: PhraseEncoder,
        retriever: Embedder | None,
        settings: SamplingSettings | None = None,
    ) -> None:
        self.model, self.codec, self.text, self.retriever = model.eval(), codec, text, retriever
        if isinstance(retriever, Retriever):
            retriever.eval()
        self.settings = settings or SamplingSettings()
        size = codec.token_size
        self.rows, self.cols = self.settings.height // size, self.settings.width // size
        if (self.rows * size, self.cols * size) != (self.settings.height, self.settings.width):
            raise ValueError(f"{self.settings.height}x{self.settings.width} is no multiple of {size} pixels")
        assign_scales(self.settings.context_frames, self.settings.memory, self.rows)

    @property
    def device(self) -> torch.device:
        """Where the transformer is."""
        return next(self.model.parameters()).device

    @torch.inference_mode()
    def draw(
        self,
        caption: str,
        history: Sequence[HistoryFrame],
        *,
        seed: int,
        pins: Sequence[int] = (),
        progress: Progress | None = None,
    ) -> DrawnKeyframe:
        """Draw the next keyframe.

        The same arguments give the same frame, bit for bit, on the same machine.

        Args:
            caption: What it shows.
            history: All keyframes before it, in story order.
            seed: Of its noise and the context's.
            pins: Numbers of earlier shots that must be in its memory.
            progress: Called after every step.

        Raises:
            AbilityError: A pin is no earlier shot, there are too many pins, or a frame has another size.
        """
        chosen = self._select(caption, history, pins)
        frames = [history[index] for index in chosen.indices]
        given = self._encode_context(frames, self._scales(chosen), seed)
        txt = self._encode_text([*(frame.caption for frame in frames), caption])
        x = torch.randn((1, self.rows * self.cols, self.codec.token_dim), generator=_generator(seed, 0))
        velocity = self._causal if self.settings.mode == "causal" and frames else self._continue
        x = euler(velocity(given, txt), x.to(self.device), self._levels(), progress)
        frame = self.codec.decode(x, rows=self.rows, cols=self.cols)[0].cpu().numpy()
        memory = tuple(
            MemoryUse(
                number=seen.number, rows=rows, tokens=tokens.shape[1], score=score, pinned=seen.number in pins
            )
            for seen, rows, tokens, score in zip(frames, given.rows, given.tokens, chosen.scores, strict=True)
        )
        embedding = None if self.retriever is None else self.retriever.embed_frame(frame)
        return DrawnKeyframe(frame=frame, memory=memory, embedding=embedding)

    @torch.inference_mode()
    def select(
        self, caption: str, history: Sequence[HistoryFrame], *, pins: Sequence[int] = ()
    ) -> tuple[MemoryUse, ...]:
        """The memory that `draw` would give to the next keyframe, in story order; nothing is drawn.

        A keyframe whose memory would be the same need not be drawn again.

        Raises:
            AbilityError: A pin is no earlier shot, or there are too many pins.
        """
        chosen = self._select(caption, history, pins)
        return uses_of(
            chosen,
            history,
            pins,
            self._scales(chosen),
            lambda rows: rows * max(1, round(self.cols * rows / self.rows)),
        )

    @torch.inference_mode()
    def draw_joint(
        self, captions: Sequence[str], *, seed: int, progress: Progress | None = None
    ) -> list[UInt8[np.ndarray, "h w 3"]]:
        """Draw all keyframes of a film at once, each seeing all others while they are still noise."""
        if not captions:
            return []
        pairs, rows = len(captions), [self.rows] * len(captions)
        words = self._with_unconditional(self._encode_text(captions), targets=slice(None))
        shape = (1, pairs, self.rows * self.cols, self.codec.token_dim)
        x = torch.randn(shape, generator=_generator(seed, 0)).to(self.device)

        def velocity(x: Tensor, t: float) -> Tensor:
            tokens = list(x.expand(len(words), -1, -1, -1).unbind(1))
            level = torch.full((len(words), pairs), t, device=x.device)
            groups = self._groups(tokens, words, level, rows)
            said = self._guided(self.model(groups, guidance=self.settings.embedded_guidance)[0])
            return self._velocity(said, x, t)

        x = euler(velocity, x, self._levels(), progress)
        frames = self.codec.decode(rearrange(x, "1 n l c -> n l c"), rows=self.rows, cols=self.cols)
        return list(frames.cpu().numpy())

    def _select(self, caption: str, history: Sequence[HistoryFrame], pins: Sequence[int]) -> Selection:
        """Choose the context by meaning."""
        return choose(
            caption,
            history,
            pins,
            mode=self.settings.retrieval,
            count=self.settings.context_frames,
            embedder=self.retriever,
            sentences=self._sentences(),
        )

    def _sentences(self) -> Sentences:
        return lambda texts: self.text.sentence(texts).cpu().numpy()

    def _scales(self, chosen: Selection) -> list[int]:
        """Token rows of the chosen frames, in story order."""
        settings = self.settings
        return scales_of(chosen, memory=settings.memory, rows=self.rows, rank=settings.rank)

    def _encode_context(self, frames: Sequence[HistoryFrame], scales: Sequence[int], seed: int) -> _Given:
        """Shrink, encode and noise the context. A frame's noise depends on its number, not on its company."""
        tokens, levels = [], []
        wanted = (self.settings.height, self.settings.width, 3)
        for frame, rows in zip(frames, scales, strict=True):
            if frame.frame.shape != wanted:
                height, width = frame.frame.shape[:2]
                raise AbilityError(
                    f"keyframe {frame.number} is {height}x{width} pixels, but this preset draws"
                    f" {wanted[0]}x{wanted[1]}; resize it"
                )
            small = np.ascontiguousarray(shrink(frame.frame, rows, token_size=self.codec.token_size))
            clean = self.codec.encode(torch.from_numpy(small)[None]).to(self.device)
            noisy = add_noise(clean, self.settings.band, _generator(seed, frame.number))
            tokens.append(noisy.x_t)
            levels.append(noisy.t)
        timestep = torch.stack(levels, dim=1) if levels else torch.zeros(1, 0, device=self.device)
        return _Given(tokens=tokens, rows=list(scales), timestep=timestep)

    def _encode_text(self, captions: Sequence[str]) -> Words:
        txt = self.text.encode(captions).to(self.device)[None]
        return Words(tokens=functional.pad(txt, (0, 0, 0, max(0, self.settings.text_tokens - txt.shape[2]))))

    def _groups(
        self,
        tokens: Sequence[Float[Tensor, "b _ channels"]],
        words: Words,
        level: Float[Tensor, "b pairs"],
        rows: Sequence[int],
        *,
        index: Sequence[int] | None = None,
    ) -> list[PairGroup]:
        """Pairs as the transformer reads them, in its precision."""
        dtype = self.model.img_in.weight.dtype
        return build_groups(
            [frame.to(dtype) for frame in tokens],
            words.tokens.to(dtype),
            level,
            rows,
            index=index,
            full=(self.rows, self.cols),
            pooled=None if words.pooled is None else words.pooled.to(dtype),
        )

    def _levels(self) -> Float[Tensor, " steps"]:
        return timesteps(self.settings.steps, self.settings.shift)

    def _with_unconditional(self, words: Words, *, targets: slice) -> Words:
        """The captions, and with guidance a second row in which the frames to draw have none."""
        if self.settings.guidance == 1:
            return words
        without = self._silenced(words, targets)
        pooled = None
        if words.pooled is not None and without.pooled is not None:
            pooled = torch.cat([words.pooled, without.pooled])
        return Words(tokens=torch.cat([words.tokens, without.tokens]), pooled=pooled)

    def _silenced(self, words: Words, targets: slice) -> Words:
        """The captions without those of some pairs."""
        tokens = words.tokens.clone()
        tokens[:, targets] = 0
        return Words(tokens=tokens, pooled=words.pooled)

    def _guided(self, velocity: Tensor) -> Tensor:
        """Classifier-free guidance: away from what would be drawn without a caption."""
        if self.settings.guidance == 1:
            return velocity
        conditional, unconditional = velocity.chunk(2)
        return unconditional + self.settings.guidance * (conditional - unconditional)

    def _velocity(self, said: Tensor, x: Tensor, t: float) -> Tensor:
        """The velocity at x that the model's prediction means."""
        if self.settings.prediction == "velocity":
            return said.to(x.dtype)
        return velocity_to(x, said, torch.tensor(t, dtype=x.dtype, device=x.device))

    def _continue(self, given: _Given, words: Words) -> Callable[[Tensor, float], Tensor]:
        """The new frame's velocity with all pairs seeing each other."""
        words = self._with_unconditional(words, targets=slice(-1, None))
        rows, b = [*given.rows, self.rows], len(words)
        context = [frame.expand(b, -1, -1) for frame in given.tokens]
        levels = given.timestep.expand(b, -1)

        def velocity(x: Tensor, t: float) -> Tensor:
            level = torch.cat([levels, levels.new_full((b, 1), t)], dim=1)
            tokens = [*context, x.expand(b, -1, -1)]
            groups = self._groups(tokens, words, level, rows)
            drawn = ungroup(self.model(groups, guidance=self.settings.embedded_guidance), rows)
            return self._velocity(self._guided(drawn[-1]), x, t)

        return velocity

    def _causal(self, given: _Given, words: Words) -> Callable[[Tensor, float], Tensor]:
        """The new frame's velocity with the context's keys and values computed once."""
        guidance, pairs = self.settings.embedded_guidance, len(given.rows)
        words = self._with_unconditional(words, targets=slice(-1, None))
        b = len(words)
        before = self._groups(
            [frame.expand(b, -1, -1) for frame in given.tokens],
            words.of(slice(None, -1)),
            given.timestep.expand(b, -1),
            given.rows,
        )
        context = self.model.encode_context(before, guidance=guidance)

        def velocity(x: Tensor, t: float) -> Tensor:
            level = torch.full((b, 1), t, device=x.device)
            alone = words.of(slice(-1, None))
            target = self._groups([x.expand(b, -1, -1)], alone, level, [self.rows], index=[pairs])
            drawn = self.model(target, causal=True, context=context, guidance=guidance)[0][:, 0]
            return self._velocity(self._guided(drawn), x, t)

        return velocity


def _generator(seed: int, stream: int) -> torch.Generator:
    """Random numbers for one purpose: stream 0 is the new frame's noise, stream n that of context frame n."""
    state = np.random.SeedSequence([seed % 2**64, stream]).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(state[0]))
