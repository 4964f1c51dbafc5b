"""Captions as tokens for the open weights: transformers' encoders, read as the published pipelines read them.

FLUX.2-klein joins three layers of Qwen3 (a token is three hidden states, one after the other) and attends to
its padding too, so every caption is 512 tokens. FLUX.1 takes T5's last layer, and CLIP's summary of the whole
caption as one vector beside it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from captain_cinema.backbone.folders import load_tokenizer, read_class, refusing
from captain_cinema.errors import WeightsError

TXT_LEN = 512
"""Text tokens a caption: what the published pipelines pad to."""
KLEIN_LAYERS = (9, 18, 27)
"""The layers of Qwen3 whose outputs klein reads."""

_NAME = re.compile(r"<([^<>\n]*[^<>\s][^<>\n]*)>")
_LOG = logging.getLogger(__name__)


def plain_names(caption: str) -> str:
    """A caption with `<Mara>` written Mara: published encoders know names, not tags."""
    return _NAME.sub(lambda tag: " ".join(tag[1].split()), caption)


class KleinText:
    """Captions for FLUX.2-klein.

    Args:
        encoder: transformers' Qwen3ForCausalLM.
        tokenizer: its tokenizer, with a chat template.
        length: text tokens a caption; longer ones are cut, with a warning the first time.
    """

    def __init__(self, encoder: Any, tokenizer: Any, *, length: int = TXT_LEN) -> None:
        self.encoder, self.tokenizer, self.length = encoder.eval().requires_grad_(False), tokenizer, length
        self.dim = len(KLEIN_LAYERS) * int(encoder.config.hidden_size)
        self._warned = False

    @torch.inference_mode()
    def encode(self, captions: Sequence[str]) -> Float[Tensor, "n txt_len txt_dim"]:
        """Tokens of captions, whose names are written without tags."""
        texts = [self._as_message(plain_names(caption)) for caption in captions]
        _warn_of_cut(self, [len(self.tokenizer(text)["input_ids"]) for text in texts])
        tokens = self.tokenizer(
            texts, return_tensors="pt", padding="max_length", truncation=True, max_length=self.length
        )
        # The base model alone: the words that a language model would say next are not needed.
        model = self.encoder.model
        device = next(model.parameters()).device
        hidden = model(
            input_ids=tokens["input_ids"].to(device),
            attention_mask=tokens["attention_mask"].to(device),
            output_hidden_states=True,
            use_cache=False,
        ).hidden_states
        return torch.cat([hidden[layer] for layer in KLEIN_LAYERS], dim=-1)

    def count(self, caption: str) -> int:
        """Tokens of a caption without padding, at least one."""
        said = self._as_message(plain_names(caption))
        return max(1, min(len(self.tokenizer(said)["input_ids"]), self.length))

    def _as_message(self, caption: str) -> str:
        return self.tokenizer.apply_chat_template(
            [{"role": "user", "content": caption}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )


class Flux1Text:
    """Captions for FLUX.1.

    Args:
        encoder: transformers' T5EncoderModel.
        tokenizer: its tokenizer.
        pooler: transformers' CLIPTextModel.
        pooler_tokenizer: its tokenizer.
        length: T5 tokens a caption; longer ones are cut, with a warning the first time.
    """

    def __init__(
        self, encoder: Any, tokenizer: Any, pooler: Any, pooler_tokenizer: Any, *, length: int = TXT_LEN
    ) -> None:
        self.encoder, self.tokenizer, self.length = encoder.eval().requires_grad_(False), tokenizer, length
        self.pooler, self.pooler_tokenizer = pooler.eval().requires_grad_(False), pooler_tokenizer
        self.dim = int(encoder.config.d_model)
        self._warned = False

    @torch.inference_mode()
    def encode(self, captions: Sequence[str]) -> Float[Tensor, "n txt_len txt_dim"]:
        """Tokens of captions, whose names are written without tags."""
        texts = [plain_names(caption) for caption in captions]
        _warn_of_cut(self, [len(self.tokenizer(text)["input_ids"]) for text in texts])
        tokens = self.tokenizer(
            texts, return_tensors="pt", padding="max_length", truncation=True, max_length=self.length
        )
        device = next(self.encoder.parameters()).device
        return self.encoder(tokens["input_ids"].to(device)).last_hidden_state

    def count(self, caption: str) -> int:
        """Tokens of a caption without padding, at least one."""
        return max(1, min(len(self.tokenizer(plain_names(caption))["input_ids"]), self.length))

    @torch.inference_mode()
    def pool(self, captions: Sequence[str]) -> Float[Tensor, "n pooled_dim"]:
        """Each caption as one vector; CLIP reads its first 77 tokens."""
        tokens = self.pooler_tokenizer(
            [plain_names(caption) for caption in captions],
            return_tensors="pt",
            padding="max_length",
            truncation=True,
            max_length=self.pooler_tokenizer.model_max_length,
        )
        device = next(self.pooler.parameters()).device
        return self.pooler(tokens["input_ids"].to(device)).pooler_output


def load_klein_text(
    folder: Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    length: int = TXT_LEN,
) -> KleinText:
    """Read `text_encoder` and `tokenizer` of a FLUX.2-klein pipeline folder; only safetensors are read.

    Raises:
        WeightsError: a part is missing, damaged, or another encoder.
    """
    from transformers import Qwen3ForCausalLM

    place = folder / "text_encoder"
    read_class(place, "text encoder", ("Qwen3ForCausalLM",))
    encoder = _load(Qwen3ForCausalLM, place, device, dtype)
    if encoder.config.num_hidden_layers < max(KLEIN_LAYERS):
        raise WeightsError(
            f"{place} has {encoder.config.num_hidden_layers} layers; klein reads layer {max(KLEIN_LAYERS)}"
        )
    tokenizer = load_tokenizer(folder / "tokenizer", "text encoder")
    if not tokenizer.chat_template:
        raise WeightsError(f"the tokenizer in {folder / 'tokenizer'} has no chat template; download it again")
    return KleinText(encoder, tokenizer, length=length)


def load_flux1_text(
    folder: Path,
    *,
    device: str | torch.device = "cpu",
    dtype: torch.dtype | None = None,
    length: int = TXT_LEN,
) -> Flux1Text:
    """Read both text encoders and tokenizers of a FLUX.1 pipeline folder; only safetensors are read.

    Raises:
        WeightsError: a part is missing, damaged, or another encoder.
    """
    from transformers import CLIPTextModel, T5EncoderModel

    pooler, encoder = folder / "text_encoder", folder / "text_encoder_2"
    read_class(pooler, "text encoder", ("CLIPTextModel",))
    read_class(encoder, "text encoder", ("T5EncoderModel",))
    return Flux1Text(
        _load(T5EncoderModel, encoder, device, dtype),
        load_tokenizer(folder / "tokenizer_2", "text encoder"),
        _load(CLIPTextModel, pooler, device, dtype),
        load_tokenizer(folder / "tokenizer", "text encoder"),
        length=length,
    )


def _load(kind: Any, folder: Path, device: str | torch.device, dtype: torch.dtype | None) -> Any:
    with refusing(folder, "text encoder"):
        model, loading = kind.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            dtype=dtype or torch.float32,
            output_loading_info=True,
        )
    lacking = [name for name in loading["missing_keys"] if name != "lm_head.weight"]
    if lacking:
        raise WeightsError(f"the text encoder in {folder} lacks {min(lacking)}; download the folder again")
    return model.to(device)


def _warn_of_cut(text: KleinText | Flux1Text, lengths: Sequence[int]) -> None:
    longest = max(lengths, default=0)
    if longest > text.length and not text._warned:
        text._warned = True
        _LOG.warning(
            "a caption of %d text tokens is cut to %d, and so are all longer ones", longest, text.length
        )
