"""The two published layouts of the network, and the sizes a config.json gives them."""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, get_args


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What FLUX.1 and FLUX.2 do differently. All else (pairs, masks, contexts, groups) is one network."""

    name: str
    class_name: str  # the diffusers class whose folders have this layout
    bias: bool  # linear layers have biases
    gated: bool  # feed-forward: silu(gate) * up, or else gelu
    shared_modulation: bool  # one modulation for all blocks of a kind, or else one in every block


FLUX1 = Layout(
    name="FLUX.1", class_name="FluxTransformer2DModel", bias=True, gated=False, shared_modulation=False
)
FLUX2 = Layout(
    name="FLUX.2", class_name="Flux2Transformer2DModel", bias=False, gated=True, shared_modulation=True
)


@dataclass(frozen=True, kw_only=True)
class MMDiTConfig:
    """Sizes of the network: the fields and defaults of a FLUX.2 config.json."""

    layout: ClassVar[Layout] = FLUX2

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

    @property
    def hidden(self) -> int:
        """Width of the feed-forward layers."""
        return int(self.dim * self.mlp_ratio)

    @property
    def pooled_dim(self) -> int:
        """Numbers in a caption's pooled embedding; 0 where the layout reads none."""
        return 0


@dataclass(frozen=True, kw_only=True)
class Flux1Config(MMDiTConfig):
    """Sizes of a FLUX.1 network: the fields and defaults of its config.json; the rest is fixed.

    Text tokens have a pair index but no place in the caption (T5 has put order into them), so the fourth
    axis of the positions is not read. A caption also comes as one pooled CLIP embedding, added to `vec`.
    """

    layout: ClassVar[Layout] = FLUX1

    in_channels: int = 64
    num_layers: int = 19
    num_single_layers: int = 38
    num_attention_heads: int = 24
    joint_attention_dim: int = 4096
    pooled_projection_dim: int = 768
    guidance_embeds: bool = False
    axes_dims_rope: tuple[int, ...] = (16, 56, 56)  # head channels for pair, row, column
    timestep_guidance_channels: int = field(default=256, init=False)
    mlp_ratio: float = field(default=4.0, init=False)
    rope_theta: int | float = field(default=10000, init=False)
    eps: float = field(default=1e-6, init=False)

    @property
    def pooled_dim(self) -> int:
        """Numbers in a caption's pooled embedding."""
        return self.pooled_projection_dim


CONFIGS: dict[str, type[MMDiTConfig]] = {kind.layout.class_name: kind for kind in (MMDiTConfig, Flux1Config)}


def to_json(config: MMDiTConfig) -> dict[str, Any]:
    """Give the fields that diffusers keeps in config.json."""
    return {item.name: getattr(config, item.name) for item in fields(config) if item.init}


def from_json(kind: type[MMDiTConfig], given: dict[str, Any]) -> MMDiTConfig:
    """Make a configuration of what config.json says.

    Raises:
        ValueError: a field is unknown or has a value that no model has.
    """
    known = {item.name: _types_of(item) for item in fields(kind) if item.init}
    for name, value in given.items():
        if name not in known:
            raise ValueError(f"has the unknown field {name!r}; is it a {kind.layout.name} model?")
        if not isinstance(value, known[name]):
            raise ValueError(f"has {name} = {value!r}, which cannot describe a model")
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in given.items()
    }
    try:
        return kind(**values)
    except ValueError as error:
        raise ValueError(f"cannot describe a model: {error}") from None


def _types_of(item: Any) -> tuple[type, ...]:
    """What a field may hold in JSON, which has no tuples and may write 3.0 as 3."""
    kind = type(item.default)
    if kind is tuple:
        return (list, tuple)
    return (int, float) if kind is float else get_args(item.type) or (kind,)
