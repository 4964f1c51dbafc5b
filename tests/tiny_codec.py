"""A VAE with hardly any weights, for tests of what stands on it."""

from diffusers.models.autoencoders.autoencoder_dc import AutoencoderDC

from captain_cinema.backbone.latents import FrameCodec


def tiny_codec() -> FrameCodec:
    vae = AutoencoderDC(
        latent_channels=4,
        encoder_block_types="ResBlock",
        decoder_block_types="ResBlock",
        encoder_block_out_channels=(8,) * 5,
        decoder_block_out_channels=(8,) * 5,
        encoder_layers_per_block=(0, 1, 1, 1, 1),  # pyright: ignore[reportArgumentType]
        decoder_layers_per_block=(0, 1, 1, 1, 1),  # pyright: ignore[reportArgumentType]
        encoder_qkv_multiscales=((),) * 5,
        decoder_qkv_multiscales=((),) * 5,
    )
    return FrameCodec(vae)
