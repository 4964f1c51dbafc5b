"""Tiny random models and whole pipeline folders in the published layouts, to compare with diffusers."""

import warnings
from pathlib import Path
from typing import Any

import torch

from captain_cinema.backbone.config import to_json
from captain_cinema.backbone.mmdit import Flux1Config, MMDiTConfig, PairGroup, pair_ids

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers' own imports warn on some versions
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
    from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
    from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
    from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
    from diffusers.pipelines.flux.pipeline_flux import FluxPipeline
    from diffusers.pipelines.flux2.pipeline_flux2_klein import Flux2KleinPipeline
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

LAYOUTS = ["FLUX.1", "FLUX.2"]
CLASSES: dict[str, Any] = {"FLUX.1": FluxTransformer2DModel, "FLUX.2": Flux2Transformer2DModel}


def tiny_config(layout: str, *, guidance: bool) -> MMDiTConfig:
    sizes: dict[str, Any] = {
        "in_channels": 8,
        "num_layers": 2,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
        "joint_attention_dim": 12,
        "guidance_embeds": guidance,
    }
    if layout == "FLUX.1":
        return Flux1Config(**sizes, axes_dims_rope=(4, 6, 6), pooled_projection_dim=10)
    return MMDiTConfig(**sizes, axes_dims_rope=(4, 4, 4, 4), timestep_guidance_channels=32)


def randomise(model: torch.nn.Module, seed: int = 0, scale: float = 0.3) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(scale * noise if weight.ndim > 1 or "bias" in name else 1 + 0.2 * noise)


def new_reference(layout: str, *, guidance: bool) -> Any:
    reference = CLASSES[layout](**to_json(tiny_config(layout, guidance=guidance))).eval()
    randomise(reference)
    return reference


def one_pair(layout: str, dtype: torch.dtype) -> PairGroup:
    generator = torch.Generator().manual_seed(1)
    img_ids, txt_ids = pair_ids([3], 2, 4, 5)
    return PairGroup(
        img=torch.randn(2, 1, 8, 8, generator=generator).to(dtype),
        txt=torch.randn(2, 1, 5, 12, generator=generator).to(dtype),
        timestep=torch.tensor([[0.3], [0.85]], dtype=dtype),
        img_ids=img_ids,
        txt_ids=txt_ids,
        pooled=torch.randn(2, 1, 10, generator=generator).to(dtype) if layout == "FLUX.1" else None,
    )


def run_reference(reference: Any, pair: PairGroup, guidance: torch.Tensor | None) -> torch.Tensor:
    axes = len(reference.config.axes_dims_rope)
    pooled = {} if pair.pooled is None else {"pooled_projections": pair.pooled[:, 0]}
    return reference(
        hidden_states=pair.img[:, 0],
        encoder_hidden_states=pair.txt[:, 0],
        timestep=pair.timestep[:, 0],
        img_ids=pair.img_ids[0, :, :axes],
        txt_ids=pair.txt_ids[0, :, :axes],
        guidance=guidance,
        **pooled,
    ).sample


def relative_error(got: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((got - wanted).norm() / wanted.norm())


CHAT = "{% for message in messages %}<|im_start|>{{ message.content }}<|im_end|>{% endfor %}"
PIPELINES: dict[str, Any] = {"FLUX.1": FluxPipeline, "FLUX.2": Flux2KleinPipeline}


def write_pipeline(folder: Path, layout: str, *, distilled: bool = True) -> None:
    """Write FLUX.1-dev or FLUX.2-klein as they are published, all parts tiny and random.

    A token is 16 numbers, a picture's sides are multiples of 16. `distilled` is klein's own flag: without it
    the pipeline guides by a second, empty caption.
    """
    scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    sizes: dict[str, Any] = {
        "in_channels": 16,
        "num_layers": 1,
        "num_single_layers": 2,
        "attention_head_dim": 16,
        "num_attention_heads": 2,
    }
    vae_sizes: dict[str, Any] = {
        "block_out_channels": (8, 8, 8, 8),
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 1,
        "latent_channels": 4,
        "norm_num_groups": 4,
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        if layout == "FLUX.1":
            config: MMDiTConfig = Flux1Config(
                **sizes,
                joint_attention_dim=12,
                pooled_projection_dim=8,
                guidance_embeds=True,
                axes_dims_rope=(4, 6, 6),
            )
            vae: Any = AutoencoderKL(**vae_sizes, scaling_factor=0.3611, shift_factor=0.1159)
            parts = flux1_text()
        else:
            config = MMDiTConfig(
                **sizes, joint_attention_dim=24, guidance_embeds=False, axes_dims_rope=(4, 4, 4, 4)
            )
            vae = AutoencoderKLFlux2(**vae_sizes)
            vae.bn.running_mean.normal_()
            vae.bn.running_var.uniform_(0.5, 2.0)
            parts = klein_text() | {"is_distilled": distilled}
        transformer = CLASSES[layout](**to_json(config))
    # With larger weights the last bit of a noise level, which the schedulers round their own way, is seen.
    randomise(transformer, scale=0.1)
    PIPELINES[layout](scheduler=scheduler, vae=vae, transformer=transformer, **parts).save_pretrained(folder)


def write_clip(folder: Path) -> None:
    """Write a tiny random CLIP as openai/clip-vit-large-patch14 is published."""
    from transformers import CLIPConfig, CLIPModel

    sizes: dict[str, Any] = {
        "hidden_size": 8,
        "intermediate_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = sizes | {"vocab_size": 54, "bos_token_id": 52, "eos_token_id": 53, "max_position_embeddings": 77}
    config = CLIPConfig(
        text_config=text, vision_config=sizes | {"image_size": 32, "patch_size": 16}, projection_dim=6
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = CLIPModel(config).eval()
    randomise(model)
    model.save_pretrained(folder)
    clip_tokenizer().save_pretrained(folder)


def clip_tokenizer() -> Any:
    """A tokenizer of single letters."""
    from transformers import CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    vocab = {letter: number for number, letter in enumerate([*letters, *(f"{x}</w>" for x in letters)])}
    vocab |= {"<|startoftext|>": 52, "<|endoftext|>": 53}
    return CLIPTokenizer(vocab=vocab, merges=[], model_max_length=77)


def klein_text() -> dict[str, Any]:
    """Qwen3 with as many layers as klein reads from (9, 18 and 27), and a tokenizer of single bytes."""
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

    vocab = {letter: number for number, letter in enumerate(sorted(ByteLevel.alphabet()))}
    vocab |= {special: 256 + i for i, special in enumerate(("<|endoftext|>", "<|im_start|>", "<|im_end|>"))}
    tokenizer = Qwen2Tokenizer(vocab=vocab, merges=[])
    tokenizer.chat_template = CHAT
    config = Qwen3Config(
        vocab_size=259,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=28,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
    )
    return {"text_encoder": Qwen3ForCausalLM(config).eval(), "tokenizer": tokenizer}


def flux1_text() -> dict[str, Any]:
    """CLIP for one vector a caption and T5 for one a token, with tokenizers of single letters."""
    from transformers import (
        CLIPTextConfig,
        CLIPTextModel,
        T5Config,
        T5EncoderModel,
        T5Tokenizer,
    )

    clip = CLIPTextConfig(
        vocab_size=54,
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=77,
        bos_token_id=52,
        eos_token_id=53,
    )
    letters = "abcdefghijklmnopqrstuvwxyz"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0), *((x, -2.0) for x in letters)]
    t5 = T5Config(
        vocab_size=len(pieces) + 100,
        d_model=12,
        d_kv=6,
        d_ff=8,
        num_layers=1,
        num_heads=2,
    )
    return {
        "text_encoder": CLIPTextModel(clip).eval(),
        "tokenizer": clip_tokenizer(),
        "text_encoder_2": T5EncoderModel(t5).eval(),
        "tokenizer_2": T5Tokenizer(vocab=pieces),
    }
