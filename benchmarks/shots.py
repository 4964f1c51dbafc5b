"""What filming costs: folding against diffusers' own pipeline, shots joined, films long and short.

    python -m benchmarks.shots [--device cpu] [--repeats 5] [--only steps,joined,films] [--output FILE]

steps: one shot filmed from a Wan folder against diffusers' WanImageToVideoPipeline on the same weights, step
by step, taking turns; the goal is at most 1.05 times its time.
joined: seconds a step and peak memory of 1, 4 and 8 shots of 5 s in one denoising. On an NVIDIA GPU at
Wan2.2-TI2V-5B's true size (random weights, bfloat16, 352x704); elsewhere much smaller, which the result says.
films: the embedded preset's films of 8, 12, 24 and 64 shots in windows, each in a process of its own. Goals:
64 shots in at most 1.1 times the memory of 8, 24 in under twice the time of 12.

On a CPU times are processor time of one thread, so that they hold on a busy machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from PIL import Image

from benchmarks.hardware import hardware, peak_memory_gib
from captain_cinema.shots.generator import ShotSettings
from captain_cinema.shots.open_wan import Learnt, WanShotGenerator, open_abilities
from captain_cinema.shots.request import ShotRequest
from captain_cinema.shots.wan_folder import WanParts

TRUE_SIZE: dict[str, Any] = {
    "num_attention_heads": 24,
    "attention_head_dim": 128,
    "in_channels": 48,
    "out_channels": 48,
    "text_dim": 4096,
    "freq_dim": 256,
    "ffn_dim": 14336,
    "num_layers": 30,
}
"""Wan2.2-TI2V-5B's transformer."""

REDUCED: dict[str, Any] = TRUE_SIZE | {
    "num_attention_heads": 4,
    "attention_head_dim": 48,
    "text_dim": 64,
    "ffn_dim": 768,
    "num_layers": 4,
}

FILMS, WINDOW = (8, 12, 24, 64), 24
SHOTS_TOGETHER = (1, 4, 8)
WARM_UP, STEPS = 1, 4


def main() -> None:
    """Measure, print and write the result."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="steps,joined,films")
    parser.add_argument("--film", type=int, help="film so many shots and print what it cost (used inside)")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    if options.device == "cpu":
        torch.set_num_threads(1)
    if options.film:
        print(json.dumps(film(options.film)))
        return
    output = options.output or Path(__file__).parent / "results" / f"shots-{options.device}.json"
    result: dict[str, Any] = json.loads(output.read_text()) if output.exists() else {}
    result["hardware"] = hardware()
    wanted = options.only.split(",")
    if "steps" in wanted:
        result["steps"] = compare_steps(options.device, options.repeats)
    if "joined" in wanted:
        result["joined"] = [measure_joined(shots, options.device) for shots in SHOTS_TOGETHER]
    if "films" in wanted:
        result["films"] = measure_films()
    print(json.dumps(result, indent=2))
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def is_true_size(device: str) -> bool:
    """Only a GPU has the memory and the speed for five billion weights."""
    return device.startswith("cuda")


def size_in_words(device: str) -> str:
    """What the transformer is, for the result."""
    return "Wan2.2-TI2V-5B, random weights" if is_true_size(device) else f"reduced, not 5B: {REDUCED}"


def new_generator(device: str, *, learnt: Learnt, steps: int) -> WanShotGenerator:
    """A generator with random weights and no text encoder; captions are noise of the right shape."""
    config = TRUE_SIZE if is_true_size(device) else REDUCED
    dtype = torch.bfloat16 if is_true_size(device) else torch.float32
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            model = WanTransformer3DModel(**config)
    finally:
        torch.set_default_dtype(before)
    # Made in float32 whatever the default is, as a real folder's are.
    shallow: dict[str, Any] = config | {"num_layers": 0, "ffn_dim": 8}
    tables = WanTransformer3DModel(**shallow).rope
    model.rope.freqs_cos, model.rope.freqs_sin = (
        table.to(device, torch.float32) for table in (tables.freqs_cos, tables.freqs_sin)
    )
    channels = config["in_channels"]
    sizes: dict[str, Any] = {
        "base_dim": 8,
        "decoder_base_dim": 8,
        "z_dim": channels,
        "dim_mult": [1, 2, 2, 2],
        "num_res_blocks": 1,
        "latents_mean": [0.0] * channels,
        "latents_std": [1.0] * channels,
        "is_residual": True,
        "in_channels": 12,
        "out_channels": 12,
        "patch_size": 2,
        "scale_factor_spatial": 16,
    }
    vae: Any = AutoencoderKLWan(**sizes)
    vae.to(device)
    scheduler = UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0
    )
    parts = WanParts(
        transformer=model.requires_grad_(False),
        vae=vae.eval(),
        text_encoder=None,
        tokenizer=None,
        scheduler=scheduler,
    )
    settings = ShotSettings(steps=steps, guidance=1.0, cross_shot=learnt.cross_shot)
    made = WanShotGenerator(parts, settings, abilities=open_abilities(learnt), device=device)
    text = torch.randn(1, 512, config["text_dim"], device=device, dtype=dtype)
    made.wan.texts = lambda captions, film_captions: text.expand(len(captions), -1, -1)
    return made


def new_request(number: int, device: str, seconds: float) -> ShotRequest:
    height, width = (352, 704) if is_true_size(device) else (96, 192)
    rng = np.random.default_rng(number)
    picture = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    return ShotRequest(keyframe=picture, caption="", film_caption="", seconds=seconds, seed=number)


class Laps:
    """Times between calls, the first ones left out."""

    def __init__(self, device: str) -> None:
        self.device, self.marks = device, []

    def __call__(self, *_: Any) -> None:
        """A step is done."""
        if self.device.startswith("cuda"):
            torch.cuda.synchronize()
        self.marks.append(time.perf_counter() if self.device.startswith("cuda") else time.process_time())

    @property
    def seconds(self) -> list[float]:
        """Of every step but the first ones."""
        return [b - a for a, b in zip(self.marks, self.marks[1:], strict=False)][WARM_UP - 1 :]


def compare_steps(device: str, repeats: int) -> dict[str, Any]:
    """Seconds of a step of ours and of the pipeline's, taking turns."""
    ours = new_generator(device, learnt=Learnt(), steps=STEPS)
    parts, request = ours.parts, new_request(0, device, 5.0)
    pipeline: Any = WanImageToVideoPipeline(
        tokenizer=None,  # pyright: ignore[reportArgumentType]
        text_encoder=None,  # pyright: ignore[reportArgumentType]
        vae=parts.vae,
        scheduler=parts.scheduler,
        transformer=parts.transformer,
        expand_timesteps=True,
    )
    pipeline.set_progress_bar_config(disable=True)
    slots = 1 + -(-(round(request.seconds * 24) - 1) // 4)

    def theirs() -> list[float]:
        laps = Laps(device)

        def lap(_pipeline: Any, _step: int, _t: Any, kept: dict[str, Any]) -> dict[str, Any]:
            laps()
            return kept

        with plain_attention(parts.transformer):
            pipeline(
                image=Image.fromarray(request.keyframe),
                height=request.keyframe.shape[0],
                width=request.keyframe.shape[1],
                num_frames=4 * (slots - 1) + 1,
                num_inference_steps=STEPS,
                guidance_scale=1.0,
                prompt_embeds=ours.wan.texts([""], [""]),
                output_type="latent",
                callback_on_step_end=lap,
            )
        return laps.seconds

    def mine() -> list[float]:
        laps = Laps(device)
        ours._denoise([request], [slots], laps)
        return laps.seconds

    taken: dict[str, list[float]] = {"ours": [], "diffusers": []}
    for _ in range(repeats):
        for name, run in turns(mine, theirs):
            taken[name] += run()
    mine_s, theirs_s = (statistics.median(taken[name]) for name in ("ours", "diffusers"))
    return {
        "model": size_in_words(device),
        "tokens": slots * (request.keyframe.shape[0] // 32) * (request.keyframe.shape[1] // 32),
        "steps_measured_of_each": len(taken["ours"]),
        "ours_seconds_a_step": round(mine_s, 4),
        "diffusers_seconds_a_step": round(theirs_s, 4),
        "times_diffusers": round(mine_s / theirs_s, 3),
        "goal": 1.05,
    }


def turns(mine: Callable[[], list[float]], theirs: Callable[[], list[float]]) -> list[tuple[str, Any]]:
    """Both, in the order of the moment: neither is always the one that finds the caches cold."""
    both = [("ours", mine), ("diffusers", theirs)]
    return both if time.time_ns() // 1000 % 2 else both[::-1]


class plain_attention:
    """The pipeline runs with diffusers' own attention, not with ours switched off."""

    def __init__(self, model: WanTransformer3DModel) -> None:
        self.model = model

    def __enter__(self) -> None:
        from diffusers.models.transformers.transformer_wan import WanAttnProcessor

        self.kept = [block.attn1.processor for block in self.model.blocks]  # pyright: ignore
        for block in self.model.blocks:
            block.attn1.set_processor(WanAttnProcessor())  # pyright: ignore

    def __exit__(self, *_: object) -> None:
        for block, processor in zip(self.model.blocks, self.kept, strict=True):
            block.attn1.set_processor(processor)  # pyright: ignore


def measure_joined(shots: int, device: str) -> dict[str, Any]:
    """Seconds a step and peak memory of several shots in one denoising."""
    made = new_generator(device, learnt=Learnt(cross_shot=True, context=3), steps=STEPS)
    seconds = 5.0
    requests = [new_request(number, device, seconds) for number in range(shots)]
    slots = 1 + -(-(round(seconds * 24) - 1) // 4)
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    laps = Laps(device)
    made._denoise(requests, [slots] * shots, laps)
    peak = torch.cuda.max_memory_allocated() / 2**30 if device.startswith("cuda") else peak_memory_gib()
    height, width = requests[0].keyframe.shape[:2]
    return {
        "model": size_in_words(device),
        "shots": shots,
        "seconds_a_shot": seconds,
        "pixels": f"{width}x{height}",
        "tokens": shots * slots * (height // 32) * (width // 32),
        "seconds_a_step": round(statistics.median(laps.seconds), 3),
        "peak_memory_gib": round(peak, 2),
        "memory_is": "of the GPU" if device.startswith("cuda") else "of the process so far",
    }


def film(shots: int) -> dict[str, Any]:
    """Film so many shots of one second with the embedded preset, in windows; nothing is kept."""
    start = time.process_time()
    from captain_cinema import presets
    from captain_cinema.playhouse import render, story
    from captain_cinema.shots.windows import generate_film

    maker = presets.load_backend("embedded").shots
    loaded = time.process_time() - start
    drawn = story.film(11, shots=shots)
    requests = [
        ShotRequest(
            keyframe=render.draw(shot.state, height=maker.abilities.height),
            caption=shot.caption,
            film_caption=drawn.caption,
            seconds=1.0,
            seed=number,
            number=number + 1,
        )
        for number, shot in enumerate(drawn.shots)
    ]
    begun = time.process_time()
    frames = sum(len(clip) for clip in generate_film(maker, requests, budget=WINDOW))
    return {
        "shots": shots,
        "frames": frames,
        "loading_seconds": round(loaded, 2),
        "filming_seconds": round(time.process_time() - begun, 2),
        "peak_memory_gib": peak_memory_gib(),
    }


def measure_films() -> dict[str, Any]:
    """Films of several lengths, each in a process of its own."""
    rows = {}
    for shots in FILMS:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.shots", "--film", str(shots)],
            check=True,
            capture_output=True,
            text=True,
        )
        rows[shots] = json.loads(done.stdout.splitlines()[-1])
        print(rows[shots], flush=True)

    def whole(shots: int) -> float:
        return rows[shots]["loading_seconds"] + rows[shots]["filming_seconds"]

    return {
        "rows": list(rows.values()),
        "memory_of_64_over_8": round(rows[64]["peak_memory_gib"] / rows[8]["peak_memory_gib"], 3),
        "memory_goal": 1.1,
        "filming_of_24_over_12": round(rows[24]["filming_seconds"] / rows[12]["filming_seconds"], 3),
        "with_loading_24_over_12": round(whole(24) / whole(12), 3),
        "time_goal": 2.0,
    }


if __name__ == "__main__":
    main()
