"""What goes into the MM-DiT: its sizes, the pairs of a film, and what is kept of the pairs before them."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class MMDiTConfig:
    """Sizes of the network: the fields and defaults of a FLUX.2 config.json."""

    patch_size: int = 1
    in_channels: int = 128  # numbers a latent token
    out_channels: int | None = None  # None: as many as in_channels
    num_layers: int = 8  # double-stream blocks
    num_single_layers: int = 48
    attention_head_dim: int = 128
    num_attention_heads: int = 48
    joint_attention_dim: int = 15360  # numbers a text token
    timestep_guidance_channels: int = 256
    mlp_ratio: float = 3.0
    axes_dims_rope: tuple[int, ...] = (32, 32, 32, 32)  # head channels for pair, row, column, text place
    rope_theta: int | float = 2000
    eps: float = 1e-6
    guidance_embeds: bool = True  # a guidance-distilled model reads the guidance strength

    def __post_init__(self):
        if sum(self.axes_dims_rope) != self.attention_head_dim or any(d % 2 for d in self.axes_dims_rope):
            raise ValueError(
                f"axes_dims_rope must be even and sum to attention_head_dim {self.attention_head_dim},"
                f" got {tuple(self.axes_dims_rope)}"
            )

    @property
    def dim(self) -> int:
        """Width of the network."""
        return self.num_attention_heads * self.attention_head_dim


@dataclass(frozen=True, kw_only=True)
class PairGroup:
    """Pairs whose frames have the same number of tokens: one scale of GoldenMem."""

    img: Float[Tensor, "b pairs img_len channels"]  # noisy latents
    txt: Float[Tensor, "b pairs txt_len txt_dim"]
    timestep: Float[Tensor, "b pairs"]  # noise level, 0 (clean) to 1; float32 even if the model is bfloat16
    img_ids: Float[Tensor, "pairs img_len 4"]  # (pair index, row, column, text place)
    txt_ids: Float[Tensor, "pairs txt_len 4"]

    def __post_init__(self):
        b, pairs, img_len, _ = self.img.shape
        wanted = {
            "txt": (b, pairs, self.txt.shape[2]),
            "timestep": (b, pairs),
            "img_ids": (pairs, img_len),
            "txt_ids": (pairs, self.txt.shape[2]),
        }
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
