"""Wan2.2-I2V-A14B, Wan2.1-VACE and LTX-2 as they are published, all parts tiny and random."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch

from tests.shots.published_wan import TRANSFORMER, VAE, tiny_text

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # diffusers' own imports warn on some versions
    from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
    from diffusers.models.autoencoders.autoencoder_kl_ltx2_audio import AutoencoderKLLTX2Audio
    from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
    from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
    from diffusers.models.transformers.transformer_wan_vace import WanVACETransformer3DModel
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2ConditionPipeline
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
    from diffusers.pipelines.wan.pipeline_wan_vace import WanVACEPipeline
    from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

HEIGHT, WIDTH = 32, 64

VAE_2_1 = VAE | {
    "decoder_base_dim": None,
    "is_residual": False,
    "in_channels": 3,
    "out_channels": 3,
    "patch_size": None,
    "scale_factor_spatial": 8,
}
"""Wan 2.1's VAE, which A14B and VACE have: 8 times smaller a side."""

CHANNELS = VAE["z_dim"]


def _scheduler() -> Any:
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0, num_train_timesteps=1000
    )


def write_a14b(folder: Path) -> Path:
    """Two experts; each reads the noise, a mask of four channels and the given frames."""
    sizes = TRANSFORMER | {"in_channels": 2 * CHANNELS + 4}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        WanImageToVideoPipeline(
            vae=AutoencoderKLWan(**VAE_2_1).eval(),
            scheduler=_scheduler(),
            transformer=WanTransformer3DModel(**sizes).eval(),
            transformer_2=WanTransformer3DModel(**sizes).eval(),
            boundary_ratio=0.9,
            **tiny_text(),
        ).save_pretrained(folder)
    return folder


def write_vace(folder: Path) -> Path:
    """A control branch reads kept and free frames, and the mask of 8 x 8 pixels a latent."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        WanVACEPipeline(
            vae=AutoencoderKLWan(**VAE_2_1).eval(),
            scheduler=_scheduler(),
            transformer=WanVACETransformer3DModel(
                **TRANSFORMER, vace_layers=[0], vace_in_channels=2 * CHANNELS + 64
            ).eval(),
            **tiny_text(),
        ).save_pretrained(folder)
    return folder


def tiny_gemma() -> dict[str, Any]:
    """Gemma 3 and a tokenizer of whole words."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3TextConfig,
        PreTrainedTokenizerFast,
        SiglipVisionConfig,
    )

    vocab = {
        word: n for n, word in enumerate(["<pad>", "<eos>", "<bos>", "<unk>", "a", "fox", "runs", "sound"])
    }
    tokens = Tokenizer(WordLevel(vocab, unk_token="<unk>"))
    tokens.pre_tokenizer = Whitespace()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=tokens, pad_token="<pad>", eos_token="<eos>", bos_token="<bos>", unk_token="<unk>"
    )
    text = Gemma3TextConfig(
        vocab_size=len(vocab),
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=4,
    )
    vision = SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
    )
    config = Gemma3Config(
        text_config=text.to_dict(), vision_config=vision.to_dict(), mm_tokens_per_image=4, image_token_index=7
    )
    return {"text_encoder": Gemma3ForConditionalGeneration(config).eval(), "tokenizer": tokenizer}


def write_ltx2(folder: Path) -> Path:
    """LTX-2 under the name it is published by; the VAE is 32 times smaller a side and 8 in time."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        text = tiny_gemma()
        transformer = LTX2VideoTransformer3DModel(
            in_channels=4,
            out_channels=4,
            num_attention_heads=2,
            attention_head_dim=8,
            cross_attention_dim=16,
            audio_in_channels=4,
            audio_out_channels=4,
            audio_num_attention_heads=2,
            audio_attention_head_dim=4,
            audio_cross_attention_dim=8,
            num_layers=2,
            caption_channels=8,
            rope_double_precision=False,
            rope_type="split",
        )
        connectors = LTX2TextConnectors(
            caption_channels=8,
            text_proj_in_factor=3,
            video_connector_num_attention_heads=2,
            video_connector_attention_head_dim=4,
            video_connector_num_layers=1,
            video_connector_num_learnable_registers=None,
            audio_connector_num_attention_heads=2,
            audio_connector_attention_head_dim=4,
            audio_connector_num_layers=1,
            audio_connector_num_learnable_registers=None,
            connector_rope_base_seq_len=32,
            rope_theta=10000.0,
            rope_double_precision=False,
            causal_temporal_positioning=False,
            rope_type="split",
        )
        vae = AutoencoderKLLTX2Video(
            latent_channels=4,
            block_out_channels=(8, 16, 32, 64),
            decoder_block_out_channels=(8, 16, 32),
            layers_per_block=(1, 1, 1, 1, 1),
            decoder_layers_per_block=(1, 1, 1, 1),
            patch_size=4,
            patch_size_t=1,
            spatial_compression_ratio=32,
            temporal_compression_ratio=8,
        )
        audio_vae = AutoencoderKLLTX2Audio(
            base_channels=4,
            output_channels=2,
            ch_mult=(1,),
            num_res_blocks=1,
            attn_resolutions=None,
            in_channels=2,
            resolution=32,
            latent_channels=2,
            norm_type="pixel",
            causality_axis="height",
            dropout=0.0,
            mid_block_add_attention=False,
            sample_rate=16000,
            mel_hop_length=160,
            is_causal=True,
            mel_bins=8,
        )
        vocoder = LTX2Vocoder(
            in_channels=16,
            hidden_channels=16,
            out_channels=2,
            upsample_kernel_sizes=[4, 4],
            upsample_factors=[2, 2],
            resnet_kernel_sizes=[3],
            resnet_dilations=[[1, 3, 5]],
            leaky_relu_negative_slope=0.1,
            output_sampling_rate=16000,
        )
        LTX2ConditionPipeline(
            scheduler=FlowMatchEulerDiscreteScheduler(),
            vae=vae.eval(),
            audio_vae=audio_vae.eval(),
            connectors=connectors.eval(),
            transformer=transformer.eval(),
            vocoder=vocoder.eval(),
            **text,
        ).save_pretrained(folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": "LTX2Pipeline"}))
    return folder
