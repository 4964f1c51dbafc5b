"""A published CLIP for semantic retrieval: pictures against captions (paper, section 3.2)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from einops import rearrange
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from captain_cinema.backbone.folders import load_tokenizer, read_class, read_json, refusing
from captain_cinema.backbone.text import strip_names
from captain_cinema.errors import WeightsError

MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the pixels that CLIP was trained on, where preprocessor_config.json names none."""


class ClipRetriever:
    """Embeds frames and captions into one space, as unit vectors.

    CLIP looks at squares. Its own preprocessing cuts one out of the middle, which of a frame twice as wide as
    high is one half; so frames are squeezed instead, and nobody at the edge is overlooked. Names are stripped
    from captions: no picture tells a name.

    Args:
        model: transformers' CLIPModel.
        tokenizer: its tokenizer.
        mean: of each colour, in the model's training.
        deviation: of each colour.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        mean: tuple[float, ...] = MEAN,
        deviation: tuple[float, ...] = DEVIATION,
    ) -> None:
        self.model, self.tokenizer = model.eval().requires_grad_(False), tokenizer
        self.mean, self.deviation = torch.tensor(mean), torch.tensor(deviation)
        self.image_size = int(model.config.vision_config.image_size)
        self.text_tokens = int(model.config.text_config.max_position_embeddings)

    @torch.inference_mode()
    def embed_frame(self, frame: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, " projection"]:
        """The embedding of one frame."""
        side = self.image_size
        small = torch.from_numpy(cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA))
        pixels = rearrange((small.float() / 255 - self.mean) / self.deviation, "h w c -> 1 c h w")
        pooled = self.model.vision_model(pixel_values=self._like(pixels)).pooler_output
        return _unit(self.model.visual_projection(pooled))

    @torch.inference_mode()
    def embed_caption(self, caption: str) -> Float[np.ndarray, " projection"]:
        """The embedding of one caption; CLIP reads its first 77 tokens."""
        tokens = self.tokenizer(
            [strip_names(caption)], return_tensors="pt", truncation=True, max_length=self.text_tokens
        )
        ids = tokens["input_ids"].to(self.model.device)
        return _unit(self.model.text_projection(self.model.text_model(input_ids=ids).pooler_output))

    def _like(self, x: Tensor) -> Tensor:
        return x.to(self.model.device, self.model.dtype)


def load_clip(folder: Path, *, device: str | torch.device = "cpu") -> ClipRetriever:
    """Read a folder of transformers' CLIPModel; only safetensors are read.

    Raises:
        WeightsError: a part is missing, damaged, or another model.
    """
    from transformers import CLIPModel

    read_class(folder, "picture encoder", ("CLIPModel",))
    with refusing(folder, "picture encoder"):
        model, loading = CLIPModel.from_pretrained(  # pyright: ignore[reportGeneralTypeIssues]
            folder, use_safetensors=True, local_files_only=True, dtype=torch.float32, output_loading_info=True
        )
    lacking = [*loading["missing_keys"]]
    if lacking:
        raise WeightsError(f"the picture encoder in {folder} lacks {min(lacking)}; download the folder again")
    tokenizer = load_tokenizer(folder, "picture encoder")
    config = folder / "preprocessor_config.json"
    seen = read_json(config, "picture encoder") if config.is_file() else {}
    return ClipRetriever(
        model.to(device),  # pyright: ignore[reportArgumentType]
        tokenizer,
        mean=tuple(seen.get("image_mean", MEAN)),
        deviation=tuple(seen.get("image_std", DEVIATION)),
    )


def _unit(vector: Float[Tensor, "1 projection"]) -> Float[np.ndarray, " projection"]:
    return functional.normalize(vector[0].float(), dim=-1).cpu().numpy()
