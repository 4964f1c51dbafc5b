"""A picture sampled through our transformer and our loop is the one that diffusers' pipelines draw."""

import math
import warnings
from typing import Any

import pytest
import torch
from published import PIPELINES, relative_error, write_pipeline

from captain_cinema.backbone.latents import patchify, unpatchify
from captain_cinema.backbone.mmdit import MMDiT, PairGroup, load_mmdit, pair_ids
from captain_cinema.flow.sampler import euler
from captain_cinema.flow.schedule import timesteps

CAPTION = "a fox in a red coat"
ROWS, COLS, STEPS = 4, 8, 3
TXT_LEN = 32


@pytest.fixture(scope="module", autouse=True)
def quiet():
    """transformers and diffusers warn about what is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load_pipeline(folder) -> Any:
    kind = PIPELINES["FLUX.1" if (folder / "text_encoder_2").is_dir() else "FLUX.2"]
    pipeline = kind.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def noise() -> torch.Tensor:
    return torch.randn(1, 4, 2 * ROWS, 2 * COLS, generator=torch.Generator().manual_seed(3))


def one_pair(img: torch.Tensor, t: float, txt: torch.Tensor, pooled: torch.Tensor | None = None) -> PairGroup:
    img_ids, txt_ids = pair_ids([0], ROWS, COLS, txt.shape[1])
    return PairGroup(
        img=img,
        txt=txt[:, None],
        timestep=torch.full((1, 1), t),
        img_ids=img_ids,
        txt_ids=txt_ids,
        pooled=None if pooled is None else pooled[:, None],
    )


def same_picture(got: torch.Tensor, wanted: torch.Tensor) -> None:
    error = relative_error(got, wanted)
    print(f"whole picture: relative error {error:.1e}")
    assert got.std() > 0.01
    assert error < 1e-5


@pytest.mark.parametrize("distilled", [True, False])
@torch.no_grad()
def test_klein_draws_the_same_picture(tmp_path, distilled):
    write_pipeline(tmp_path, "FLUX.2", distilled=distilled)
    pipeline = load_pipeline(tmp_path)
    wanted = pipeline(
        prompt=CAPTION,
        height=16 * ROWS,
        width=16 * COLS,
        num_inference_steps=STEPS,
        guidance_scale=4.0,
        latents=patchify(noise()).transpose(1, 2).unflatten(2, (ROWS, COLS)),
        max_sequence_length=TXT_LEN,
        output_type="pt",
    ).images
    model: MMDiT = load_mmdit(tmp_path / "transformer")
    txt, empty = (pipeline.encode_prompt(text, max_sequence_length=TXT_LEN)[0] for text in (CAPTION, ""))

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        given = model([one_pair(x, t, txt)])[0]
        if distilled:
            return given
        free = model([one_pair(x, t, empty)])[0]
        return free + 4.0 * (given - free)

    from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

    shift = math.exp(compute_empirical_mu(ROWS * COLS, STEPS))
    x = euler(velocity, patchify(noise())[:, None], timesteps(STEPS, shift))[:, 0]
    vae = pipeline.vae
    x = x * (vae.bn.running_var + vae.config.batch_norm_eps).sqrt() + vae.bn.running_mean
    pixels = vae.decode(unpatchify(x, rows=ROWS, cols=COLS)).sample
    same_picture((pixels / 2 + 0.5).clamp(0, 1), wanted)


@torch.no_grad()
def test_flux1_draws_the_same_picture(tmp_path):
    write_pipeline(tmp_path, "FLUX.1")
    pipeline = load_pipeline(tmp_path)
    wanted = pipeline(
        prompt=CAPTION,
        height=16 * ROWS,
        width=16 * COLS,
        num_inference_steps=STEPS,
        guidance_scale=3.5,
        latents=patchify(noise()),
        max_sequence_length=TXT_LEN,
        output_type="pt",
    ).images
    model = load_mmdit(tmp_path / "transformer")
    txt, pooled, _ = pipeline.encode_prompt(CAPTION, None, max_sequence_length=TXT_LEN)

    def velocity(x: torch.Tensor, t: float) -> torch.Tensor:
        return model([one_pair(x, t, txt, pooled)], guidance=3.5)[0]

    from diffusers.pipelines.flux.pipeline_flux import calculate_shift

    shift = math.exp(calculate_shift(ROWS * COLS))
    x = euler(velocity, patchify(noise())[:, None], timesteps(STEPS, shift))[:, 0]
    vae = pipeline.vae
    latents = unpatchify(x, rows=ROWS, cols=COLS) / vae.config.scaling_factor + vae.config.shift_factor
    same_picture((vae.decode(latents).sample / 2 + 0.5).clamp(0, 1), wanted)
