"""What goes into the MM-DiT: its sizes, the pairs of a film, and what is kept of the pairs before them."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class PairGroup:
    """Pairs whose frames have the same number of tokens: one scale of GoldenMem."""

    img: Float[Tensor, "b pairs img_len channels"]  # noisy latents
    txt: Float[Tensor, "b pairs txt_len txt_dim"]
    timestep: Float[Tensor, "b pairs"]  # noise level, 0 (clean) to 1; float32 even if the model is bfloat16
    img_ids: Float[Tensor, "pairs img_len 4"]  # (pair index, row, column, text place)
    txt_ids: Float[Tensor, "pairs txt_len 4"]
    pooled: Float[Tensor, "b pairs pooled_dim"] | None = None  # FLUX.1: each caption as one vector

    def __post_init__(self):
        b, pairs, img_len, _ = self.img.shape
        wanted = {
            "txt": (b, pairs, self.txt.shape[2]),
            "timestep": (b, pairs),
            "img_ids": (pairs, img_len),
            "txt_ids": (pairs, self.txt.shape[2]),
        }
        if self.pooled is not None:
            wanted["pooled"] = (b, pairs)
        for name, shape in wanted.items():
            got = tuple(getattr(self, name).shape)
            if got[: len(shape)] != shape:
                raise ValueError(
                    f"{name} should start with {shape} to fit img {(b, pairs, img_len)}, got {got}"
                )

    @property
    def pair_len(self) -> int:
        """Tokens of one pair, text and image."""
        return self.txt.shape[2] + self.img.shape[2]


@dataclass(frozen=True, kw_only=True)
class Context:
    """Keys and values of earlier pairs in each single-stream block, rotated: computed once, read often."""

    blocks: tuple[tuple[Float[Tensor, "b len heads head_dim"], Float[Tensor, "b len heads head_dim"]], ...]
    last_index: float  # the largest pair index inside

    @property
    def tokens(self) -> int:
        """How many tokens the context holds."""
        return self.blocks[0][0].shape[1] if self.blocks else 0
