"""A whole Wan folder in the published layout of Wan2.2-TI2V-5B, all parts tiny and random."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers' own imports warn on some versions
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

HEIGHT, WIDTH = 32, 64
"""Two tokens a slot: the VAE is 16 times smaller a side, a token two latents a side."""

CHANNELS, TXT_DIM = 4, 12

TRANSFORMER: dict[str, Any] = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 2,
    "attention_head_dim": 12,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "text_dim": TXT_DIM,
    "freq_dim": 16,
    "ffn_dim": 32,
    "num_layers": 2,
    "cross_attn_norm": True,
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 1024,
}

VAE: dict[str, Any] = {
    "base_dim": 4,
    "decoder_base_dim": 4,
    "z_dim": CHANNELS,
    "dim_mult": [1, 2, 2, 2],
    "num_res_blocks": 1,
    "attn_scales": [],
    "temperal_downsample": [False, True, True],
    "latents_mean": [0.1, -0.2, 0.3, 0.0],
    "latents_std": [0.5, 0.8, 1.2, 1.0],
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": 16,
    "scale_factor_temporal": 4,
}


def tiny_wan(seed: int = 0, **changes: Any) -> WanTransformer3DModel:
    """The transformer with weights that do something."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = WanTransformer3DModel(**(TRANSFORMER | changes)).eval()
        with torch.no_grad():
            for weight in model.parameters():
                if weight.ndim > 1:
                    weight.normal_(std=0.2)
    return model


def tiny_text() -> dict[str, Any]:
    """UMT5 and a tokenizer of single letters."""
    from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

    letters = "abcdefghijklmnopqrstuvwxyz,."
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0), *((x, -2.0) for x in letters)]
    config = UMT5Config(
        vocab_size=len(pieces) + 100, d_model=TXT_DIM, d_kv=6, d_ff=8, num_layers=1, num_heads=2
    )
    return {"text_encoder": UMT5EncoderModel(config).eval(), "tokenizer": T5Tokenizer(vocab=pieces)}


def write_wan(folder: Path) -> Path:
    """Write the folder as it is published: model_index.json names the text-to-video pipeline."""
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0, num_train_timesteps=1000
    )
    with torch.random.fork_rng():
        torch.manual_seed(1)
        vae, text = AutoencoderKLWan(**VAE).eval(), tiny_text()
    WanImageToVideoPipeline(
        vae=vae, scheduler=scheduler, transformer=tiny_wan(), expand_timesteps=True, **text
    ).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    index["_class_name"] = "WanPipeline"
    (folder / "model_index.json").write_text(json.dumps(index))
    return folder
