"""The picture-text encoder pair of semantic retrieval (paper, section 3.2): a small CLIP.

`selection` chooses with what this module embeds. Pictures go through transformers' CLIP image tower, captions
through the frozen sentence encoder that the keyframe model reads too and a projection of two layers. Names
are stripped from captions: no picture tells a name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Bool, Float, UInt8
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

from captain_cinema.backbone.text import MEANING_DIM, PhraseEncoder
from captain_cinema.errors import WeightsError
from captain_cinema.keyframes.selection import MODES, Mode, Seen, Selection, Wanted, select_context

__all__ = [
    "MODES",
    "Mode",
    "Retriever",
    "RetrieverConfig",
    "Seen",
    "Selection",
    "Wanted",
    "contrastive_loss",
    "load_retriever",
    "new_retriever",
    "save_retriever",
    "select_context",
]

IMAGE_FOLDER, TEXT_FOLDER = "image_encoder", "text_projection"
START_SCALE = float(np.log(1 / 0.07))
"""Logarithm of the factor on cosines that training starts with, CLIP's own."""


@dataclass(frozen=True, kw_only=True)
class RetrieverConfig:
    """Size of the encoder pair; the defaults are the embedded preset's."""

    image_size: int = 64
    patch_size: int = 16
    hidden: int = 96
    layers: int = 3
    heads: int = 3
    projection: int = 64
    text_hidden: int = 256


class Retriever(nn.Module):
    """Embeds frames and captions into one space, as unit vectors.

    Args:
        image_encoder: The image tower.
        text_projection: From sentence embeddings to the common space.
        text: The sentence encoder; it has no trained parts here.
    """

    def __init__(
        self,
        image_encoder: CLIPVisionModelWithProjection,
        text_projection: nn.Sequential,
        text: PhraseEncoder,
    ) -> None:
        super().__init__()
        self.image_encoder = image_encoder
        self.text_projection = text_projection
        self.image_size: int = image_encoder.config.image_size  # pyright: ignore[reportAttributeAccessIssue]
        self.logit_scale = nn.Parameter(torch.tensor(START_SCALE))
        self.text = text

    def image_features(self, pixels: Float[Tensor, "n 3 size size"]) -> Float[Tensor, "n projection"]:
        """Unit vectors of pictures that `to_pixels` made."""
        return functional.normalize(self.image_encoder(pixel_values=pixels).image_embeds, dim=-1)

    def text_features(self, sentences: Float[Tensor, "n meaning_dim"]) -> Float[Tensor, "n projection"]:
        """Unit vectors of sentence embeddings, which come from `PhraseEncoder.sentence`."""
        return functional.normalize(self.text_projection(sentences), dim=-1)

    def to_pixels(self, frames: Sequence[UInt8[np.ndarray, "h w 3"]]) -> Float[Tensor, "n 3 size size"]:
        """Frames as the image tower reads them: squeezed to a small square, numbers from -1 to 1."""
        side = self.image_size
        small = [cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA) for frame in frames]
        pixels = torch.from_numpy(np.stack(small)).to(self.logit_scale.device)
        return rearrange(pixels.float() / 127.5 - 1.0, "n h w c -> n c h w")

    @torch.no_grad()
    def embed_frame(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " projection"]:
        """The embedding of one frame."""
        return self.image_features(self.to_pixels([frame]))[0].float().cpu().numpy()

    @torch.no_grad()
    def embed_caption(self, caption: str) -> Float[np.ndarray, " projection"]:
        """The embedding of one caption."""
        sentence = self.text.sentence([caption]).to(self.logit_scale.device)
        return self.text_features(sentence)[0].float().cpu().numpy()


def contrastive_loss(
    image: Float[Tensor, "n projection"],
    text: Float[Tensor, "n projection"],
    logit_scale: Float[Tensor, ""],
    *,
    same: Bool[Tensor, "n n"] | None = None,
) -> Float[Tensor, ""]:
    """CLIP's loss: every picture should find its caption among all, and every caption its picture.

    Args:
        image: Unit vectors of pictures.
        text: Unit vectors of their captions.
        logit_scale: Logarithm of the factor on cosines.
        same: Pairs (picture, caption) off the diagonal that fit as well and shall not count as wrong.
    """
    logits = logit_scale.clamp(max=float(np.log(100.0))).exp() * image @ text.T
    if same is not None:
        own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
        logits = logits.masked_fill(same & ~own, float("-inf"))
    target = torch.arange(len(logits), device=logits.device)
    return (functional.cross_entropy(logits, target) + functional.cross_entropy(logits.T, target)) / 2


def new_retriever(config: RetrieverConfig | None = None, text: PhraseEncoder | None = None) -> Retriever:
    """An untrained encoder pair; its first weights come from torch's global generator."""
    config = config or RetrieverConfig()
    vision = CLIPVisionConfig(
        image_size=config.image_size,
        patch_size=config.patch_size,
        hidden_size=config.hidden,
        intermediate_size=4 * config.hidden,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        projection_dim=config.projection,
    )
    projection = _text_projection(config.text_hidden, config.projection)
    retriever = Retriever(CLIPVisionModelWithProjection(vision), projection, text or PhraseEncoder())
    return retriever.eval()


def save_retriever(retriever: Retriever, folder: Path) -> None:
    """Write `image_encoder` in transformers' layout and `text_projection` beside it."""
    image, text = folder / IMAGE_FOLDER, folder / TEXT_FOLDER
    image.mkdir(parents=True, exist_ok=True)
    text.mkdir(parents=True, exist_ok=True)
    retriever.image_encoder.config.save_pretrained(image)
    first, last = retriever.text_projection[0], retriever.text_projection[-1]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    sizes = TextSizes(hidden=first.out_features, projection=last.out_features)
    (text / "config.json").write_text(json.dumps(asdict(sizes), indent=2) + "\n", encoding="utf-8")
    state = {**retriever.text_projection.state_dict(), "logit_scale": retriever.logit_scale.detach()}
    save_file(_on_cpu(retriever.image_encoder.state_dict()), image / "model.safetensors", {"format": "pt"})
    save_file(_on_cpu(state), text / "model.safetensors", {"format": "pt"})


def load_retriever(folder: Path, text: PhraseEncoder | None = None) -> Retriever:
    """Read what `save_retriever` wrote; only safetensors are read.

    Raises:
        WeightsError: A file is missing, damaged or of another layout.
    """
    image, texts = folder / IMAGE_FOLDER, folder / TEXT_FOLDER
    try:
        vision = CLIPVisionConfig.from_json_file(image / "config.json")
        sizes = TextSizes(**json.loads((texts / "config.json").read_text(encoding="utf-8")))
        encoder = CLIPVisionModelWithProjection(vision)
        encoder.load_state_dict(load_file(image / "model.safetensors"))
        state = load_file(texts / "model.safetensors")
        scale = state.pop("logit_scale")
        projection = _text_projection(sizes.hidden, sizes.projection)
        projection.load_state_dict(state)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, SafetensorError) as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise WeightsError(
            f"the retrieval weights in {folder} cannot be read ({first}); install them again"
        ) from error
    retriever = Retriever(encoder, projection, text or PhraseEncoder())
    retriever.logit_scale.data.copy_(scale)
    return retriever.eval()


@dataclass(frozen=True, kw_only=True)
class TextSizes:
    """What config.json of the text projection says."""

    hidden: int
    projection: int


def _text_projection(hidden: int, projection: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(MEANING_DIM, hidden), nn.GELU(), nn.Linear(hidden, projection))


def _on_cpu(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: value.detach().cpu().contiguous() for key, value in state.items()}
