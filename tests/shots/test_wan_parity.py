"""One shot filmed from a Wan folder equals diffusers' own image-to-video pipeline on the same folder."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from diffusers.pipelines.wan import pipeline_wan_i2v
from PIL import Image

from captain_cinema.shots.open_wan import WanShotGenerator, load_open_shots
from captain_cinema.shots.request import ShotRequest, frame_count
from tests.shots.published_wan import CHANNELS, HEIGHT, WIDTH, write_wan

STEPS, GUIDANCE, FRAMES = 4, 3.0, 25
CAPTION, NEGATIVE = "a fox runs over the hill, fast", "blur, noise"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture(scope="module")
def ours(folder) -> WanShotGenerator:
    made = load_open_shots(
        folder, device="cpu", dtype=torch.float32, offload=False, steps=STEPS, guidance=GUIDANCE
    )
    made.wan.negative = NEGATIVE
    return made


def picture(seed: int = 0) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 8, 3), dtype=np.uint8)
    return np.array(Image.fromarray(coarse).resize((WIDTH, HEIGHT)))


def request(**changes) -> ShotRequest:
    fields = {
        "keyframe": picture(),
        "caption": CAPTION,
        "film_caption": "",
        "seconds": FRAMES / 24,
        "seed": 5,
        "number": 1,
    }
    return ShotRequest(**(fields | changes))


def noise_of(ours: WanShotGenerator, seed: int) -> torch.Tensor:
    """The noise that ours starts from, with a first slot that the pipeline draws and never looks at."""
    slots = (FRAMES - 1) // 4
    clean = ours._clean([request()], [1 + slots])
    noise = ours._noise(seed, slots, clean)[None]
    return torch.cat([torch.full((1, CHANNELS, 1, HEIGHT // 16, WIDTH // 16), 9.0), noise], dim=2)


def theirs(folder, ours, monkeypatch, output_type: str, **prompt):
    # Without ftfy, which mends broken letters, the pipeline cannot read a caption.
    monkeypatch.setattr(pipeline_wan_i2v, "ftfy", SimpleNamespace(fix_text=lambda text: text), raising=False)
    pipeline = pipeline_wan_i2v.WanImageToVideoPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline(
        image=Image.fromarray(picture()),
        negative_prompt=NEGATIVE,
        height=HEIGHT,
        width=WIDTH,
        num_frames=FRAMES,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=noise_of(ours, 5),
        output_type=output_type,
        **({"prompt": CAPTION} | prompt),
    ).frames[0]


def test_latents_of_a_whole_denoising_are_the_pipelines(folder, ours, monkeypatch):
    wanted = theirs(folder, ours, monkeypatch, "latent")
    got = ours._denoise([request()], [7], None)[0]
    assert (got - wanted).norm() / wanted.norm() < 1e-5
    # The noise has been worked on: the first slot is the keyframe's, the others are not what they were.
    assert (wanted[:, 1:] - noise_of(ours, 5)[0, :, 1:]).norm() > 1


def test_the_whole_video_is_the_pipelines(folder, ours, monkeypatch):
    wanted = (theirs(folder, ours, monkeypatch, "np") * 255).round().astype(int)
    (got,) = ours.generate([request()])
    assert got.shape == (FRAMES, HEIGHT, WIDTH, 3)
    assert frame_count(request().seconds, 24) == FRAMES
    assert np.abs(got.astype(int) - wanted).max() <= 1
    assert (got == wanted).mean() > 0.999


def test_a_films_caption_goes_first_as_if_its_tokens_were_given(folder, ours, monkeypatch):
    film = "a long day in the hills"
    told = ours.wan.texts([CAPTION], [film])
    own, before = ours.wan.texts([CAPTION], [""]), ours.wan.texts([film], [""])
    tokens = int((before[0].abs().sum(-1) > 0).sum())
    assert torch.equal(told[0, :tokens], before[0, :tokens])
    assert torch.equal(told[0, tokens:], own[0, : 512 - tokens])
    wanted = theirs(folder, ours, monkeypatch, "latent", prompt=None, prompt_embeds=told)
    got = ours._denoise([request(film_caption=film)], [7], None)[0]
    assert (got - wanted).norm() / wanted.norm() < 1e-5


def test_the_first_frame_is_the_keyframe_within_the_vaes_own_error(ours):
    """And so for a shot that is joined with others: its first slot is held clean to the end."""
    for keyframe in (picture(0), picture(3)):
        (shot,) = ours.generate([request(keyframe=keyframe)])
        slot = ours.wan.encode(torch.from_numpy(keyframe)[None])
        through = ours.wan.pictures(keyframe, slot, 1)[0].astype(int)
        assert np.abs(shot[0].astype(int) - through).max() <= 1
        assert np.abs(shot[0].astype(int) - shot[-1].astype(int)).max() > 1


def test_offload_on_a_cpu_changes_nothing(folder, ours):
    again = load_open_shots(
        folder, device="cpu", dtype=torch.float32, offload=True, steps=STEPS, guidance=3.0
    )
    again.wan.negative = NEGATIVE
    assert np.array_equal(next(again.generate([request()])), next(ours.generate([request()])))
