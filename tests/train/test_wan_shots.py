"""Tuning Wan: clips as it reads them, joined sequences, runs that resume, exports that film."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch

from captain_cinema.errors import CinemaError
from captain_cinema.films.records import Crop, FilmRecord, KeyframeRecord, Picture
from captain_cinema.films.settings import FilmSettings
from captain_cinema.films.store.writer import FilmWriter, create_dataset
from captain_cinema.shots.conditioning import SlotBatch, attempt
from captain_cinema.shots.open_wan import load_open_shots
from captain_cinema.shots.request import ShotRequest
from captain_cinema.shots.windows import Traits
from captain_cinema.train.loop import RunOptions
from captain_cinema.train.sharing import Share
from captain_cinema.train.state import load_checkpoint
from captain_cinema.train.wan_clips import bucket, fit, open_clips
from captain_cinema.train.wan_shots import WanShotTask, WanTraining, add_lora
from captain_cinema.train.wan_start import SHOT_TUNING, ShotChoices, resolve_shots, tune_shots
from tests.shots.published_wan import CHANNELS, TXT_DIM, tiny_wan, write_wan

AREA = 64 * 32
FRAMES = (13, 9, 17, 13, 13)
"""Frames of the film's shots."""


# ------------------------------------------------------------------------------------------------- clips


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        ((400, 800), (352, 704)),
        ((1080, 1920), (352, 640)),
        ((804, 1920), (320, 768)),
        ((480, 640), (416, 544)),
    ],
)
def test_buckets_have_about_230400_pixels_at_the_films_own_aspect_ratio(frame, size):
    height, width = bucket(*frame)
    assert (height, width) == size
    assert height % 32 == width % 32 == 0
    assert 0.85 < height * width / 230_400 < 1.15
    assert 0.94 < (width / height) / (frame[1] / frame[0]) < 1.06


def test_frames_are_cut_as_much_on_either_side():
    frames = np.zeros((2, 40, 120, 3), np.uint8)
    frames[:, :, 30:90] = 200
    made = fit(frames, 40, 60)
    assert made.shape == (2, 40, 60, 3)
    assert (made == 200).all()
    assert fit(frames, 64, 96).shape == (2, 64, 96, 3)


def write_film(path: Path, *, fps: int = 24) -> Path:
    """A film whose shots are boxes that move over their own colours."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 128, 64, "yuv420p"
        for shot, count in enumerate(FRAMES):
            for index in range(count):
                frame = np.full((64, 128, 3), 40 * shot + 30, np.uint8)
                frame[16:48, 4 * index : 4 * index + 32] = (250, 200 - 40 * shot, 20)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> Path:
    """One film, as `cinema dataset build` stores it."""
    folder = tmp_path_factory.mktemp("films")
    film = write_film(folder / "film.mp4")
    path = folder / "dataset"
    create_dataset(path, FilmSettings())
    whole = Crop(left=0, top=0, width=128, height=64)
    record = FilmRecord(
        id="f" * 16,
        name=film.name,
        path=str(film),
        digest="",
        size=film.stat().st_size,
        verdict="ok",
        caption="a day of boxes",
    )
    starts = np.concatenate([[0], np.cumsum(FRAMES)])
    with FilmWriter(path, record, FilmSettings()) as writer:
        for shot in range(len(FRAMES)):
            place: dict[str, Any] = {"shot": shot + 1, "role": "middle", "frame": int(starts[shot])}
            place |= {"seconds": starts[shot] / 24, "border": whole, "crop": whole}
            picture = Picture(image=np.zeros((64, 128, 3), np.uint8), **place)
            row = KeyframeRecord(
                film=record.id,
                start=float(starts[shot] / 24),
                end=float(starts[shot + 1] / 24),
                width=128,
                height=64,
                verdict="kept",
                caption=f"<{'mara' if shot in (0, 4) else 'otto'}> slides",
                **place,
            )
            writer.add(picture, row)
        writer.finish(record)
    return path


def test_shots_of_a_dataset_come_in_motion_with_their_captions(dataset):
    (film,) = open_clips(dataset)
    assert film.caption == "a day of boxes"
    assert [shot.caption for shot in film.shots][:2] == ["<mara> slides", "<otto> slides"]
    assert len({shot.key for shot in film.shots}) == len(FRAMES)
    assert [len(shot.frames()) for shot in film.shots] == list(FRAMES)
    # The box has moved between first and last frame.
    frames = film.shots[0].frames().astype(int)
    assert np.abs(frames[0] - frames[-1]).max() > 100


# ------------------------------------------------------------------------------------------------- task


class Film:
    """Encoded shots of noise; counts what is read."""

    def __init__(self, lengths=(4, 3, 5, 4, 4, 4), names=()) -> None:
        self.traits = [Traits(names=tuple(names[i].split()) if names else ()) for i in range(len(lengths))]
        self.lengths = lengths

    def slots(self, shot):
        generator = torch.Generator().manual_seed(shot)
        return torch.randn(CHANNELS, self.lengths[shot], 2, 4, generator=generator)

    def txt(self, shot):
        return torch.randn(6, TXT_DIM, generator=torch.Generator().manual_seed(100 + shot))


def task(model=None, **training) -> WanShotTask:
    options = {"batch": 4, "together": (2,), "context": 1, "drop_text": 0.0} | training
    return WanShotTask(model or tiny_wan(), [Film()], torch.zeros(6, TXT_DIM), WanTraining(**options), seed=3)


def test_a_sequence_is_consecutive_shots_with_keyframes_of_others():
    made = task(batch=8, context=2)
    seen = set()
    for number in range(8):
        batch = made.sequence(0, number)
        assert batch.shots == len(batch.keyframe) == 2
        assert batch.lengths is not None
        assert batch.moving.shape[2] == max(batch.lengths) - 1
        film = Film()
        first = next(i for i in range(6) if torch.equal(film.slots(i)[:, 0], batch.keyframe[0]))
        assert torch.equal(film.slots(first + 1)[:, 0], batch.keyframe[1])
        assert batch.lengths == film.lengths[first : first + 2]
        assert batch.context_valid is not None
        shown = batch.context[batch.context_valid]
        others = [film.slots(i)[:, 0] for i in range(6) if i not in (first, first + 1)]
        assert all(any(torch.equal(frame, other) for other in others) for frame in shown)
        seen.add((first, len(shown)))
    assert len(seen) > 3
    again = task(batch=8, context=2).sequence(0, 5)
    assert torch.equal(again.moving, made.sequence(0, 5).moving)


def test_numbers_of_joined_shots_take_turns():
    made = task(together=(1, 3))
    assert [made.sequence(step, 0).shots for step in range(4)] == [1, 3, 1, 3]


def test_the_steps_loss_is_the_mean_of_its_shares():
    made = task()
    with torch.no_grad():
        whole, _ = made.loss(2)
        shares = [made.loss(2, Share(index=i, count=4))[0] for i in range(4)]
    assert torch.allclose(whole, torch.stack(shares).mean(), rtol=1e-5)
    assert len({float(loss) for loss in shares}) == 4
    assert made.parts(0) == 4
    made.replicas = 2
    assert made.parts(0) == 2
    made.replicas = 3
    with pytest.raises(CinemaError, match="cannot be divided among 3"):
        made.parts(0)


def gradients(model, **options) -> list[torch.Tensor]:
    made = task(model, **options)
    made.loss(0, Share(index=1, count=4))[0].backward()
    return [weight.grad.clone() for weight in model.parameters() if weight.grad is not None]


def test_gradient_checkpointing_changes_nothing():
    plain, checkpointed = tiny_wan().train(), tiny_wan().train()
    checkpointed.enable_gradient_checkpointing()
    for a, b in zip(gradients(plain), gradients(checkpointed), strict=True):
        assert torch.allclose(a, b, atol=1e-6)
    with pytest.raises(ValueError, match="a share is one sequence"):
        task(checkpointed).loss(0)


def test_what_only_fills_up_the_tensor_is_neither_seen_nor_learnt():
    model, made = tiny_wan(), task()
    batch = made.sequence(0, 0)
    long = replace(batch, lengths=(2, 3), moving=torch.randn(2, CHANNELS, 2, 2, 4))
    filled_otherwise = replace(long, moving=long.moving.clone())
    filled_otherwise.moving[0, :, 1:] += 5.0

    def loss(clips: SlotBatch) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            return attempt(model, clips, generator, txt_dropout=0.0, prediction="velocity").loss

    assert torch.allclose(loss(long), loss(filled_otherwise), atol=1e-5)
    assert not torch.allclose(loss(long), loss(replace(filled_otherwise, lengths=(3, 3))), atol=1e-2)


def test_an_even_weight_and_full_lengths_change_nothing():
    model, clips = tiny_wan(), task().sequence(0, 0)
    clips = replace(clips, moving=clips.moving[:, :, :2], lengths=None)

    def loss(clips: SlotBatch) -> torch.Tensor:
        with torch.no_grad():
            return attempt(model, clips, torch.Generator().manual_seed(0), prediction="velocity").loss

    assert torch.allclose(loss(clips), loss(replace(clips, lengths=(3, 3))), rtol=1e-5)


def test_a_lora_changes_nothing_at_first_and_freezes_the_rest():
    plain, tuned = tiny_wan(), add_lora(tiny_wan(), rank=2, seed=1)
    made = task()
    with torch.no_grad():
        assert torch.allclose(task(plain).loss(0)[0], task(tuned).loss(0)[0], atol=1e-6)
    names = [name for name, weight in tuned.named_parameters() if weight.requires_grad]
    assert len(names) == 2 * 2 * 10  # two blocks, ten layers each, two halves
    assert all(".lora_" in name for name in names)
    again = dict(add_lora(tiny_wan(), rank=2, seed=1).named_parameters())
    assert all(torch.equal(weight, again[name]) for name, weight in tuned.named_parameters())
    assert made.model is not tuned


def test_no_film_that_is_long_enough():
    with pytest.raises(CinemaError, match="no film has 3 shots"):
        WanShotTask(tiny_wan(), [Film((4, 4))], torch.zeros(6, TXT_DIM), WanTraining(together=(3,)))


# ------------------------------------------------------------------------------------------------- runs


def test_presets_say_what_the_papers_sources_say():
    said = {
        name: (p.optimisation.steps, p.optimisation.lr, p.training.batch) for name, p in SHOT_TUNING.items()
    }
    assert said["section4"][0] == 15_000
    assert said["appendix-a"] == (20_000, 1e-5, 64)
    assert said["table4"] == (10_000, 1e-4, 64)
    table = SHOT_TUNING["table4"].optimisation
    assert (table.warmup, table.betas, table.final_lr) == (1_000, (0.9, 0.95), 0.0)
    assert SHOT_TUNING["appendix-a"].optimisation.final_lr == 1.0  # constant
    assert SHOT_TUNING["wan"].training.lora > 0


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"preset": "nothing"}, "no preset 'nothing'"),
        ({"preset": "wan", "batch": 0}, "--batch 0 trains nothing"),
        ({"preset": "wan", "lora": -1}, "--lora -1 is no rank"),
        ({"preset": "wan", "together": (9,)}, "1 to 8 shots can be joined"),
    ],
)
def test_choices_that_do_not_exist(choices, said):
    with pytest.raises(CinemaError, match=said):
        resolve_shots(ShotChoices(**choices))


@pytest.fixture(scope="module")
def wan(tmp_path_factory) -> Path:
    return write_wan(tmp_path_factory.mktemp("wan"))


def run(wan: Path, dataset: Path | None, out: Path, *, steps: int = 4, minutes=None, **changes):
    fields: dict[str, Any] = {
        "preset": "wan",
        "steps": steps,
        "batch": 2,
        "lora": 2,
        "lr": 1e-2,
        "area": AREA,
    }
    options = RunOptions(out=out, minutes=minutes, log_every=1, save_every=2, sheet_every=4)
    return tune_shots(ShotChoices(**(fields | changes)), wan, dataset, options)


def test_a_run_needs_films(wan, tmp_path):
    with pytest.raises(CinemaError, match="give --dataset FOLDER"):
        run(wan, None, tmp_path)


def test_a_lora_run_resumes_bit_for_bit_and_its_export_films_joined_shots(wan, dataset, tmp_path):
    assert run(wan, dataset, tmp_path / "whole")["step"] == 4
    stopped = run(wan, dataset, tmp_path / "parts", minutes=0.0)
    assert stopped["step"] < 4
    while run(wan, dataset, tmp_path / "parts", minutes=0.0)["step"] < 4:
        pass
    whole, parts = (load_checkpoint(tmp_path / name) for name in ("whole", "parts"))
    assert whole is not None
    assert parts is not None
    assert all(torch.equal(weight, parts["model"][name]) for name, weight in whole["model"].items())
    assert (tmp_path / "whole" / "samples").is_dir()
    export = tmp_path / "whole" / "export"
    made = load_open_shots(
        wan, device="cpu", dtype=torch.float32, offload=False, tuned=export, steps=2, guidance=1.0
    )
    assert made.settings.cross_shot
    assert made.abilities.max_context == 3
    picture = np.random.default_rng(0).integers(0, 256, (32, 64, 3), dtype=np.uint8)
    shots = [
        ShotRequest(keyframe=picture, caption="a", film_caption="b", seconds=1.0, seed=n, context=(picture,))
        for n in range(2)
    ]
    assert [len(shot) for shot in made.generate_together(shots)] == [24, 24]
    plain = load_open_shots(wan, device="cpu", dtype=torch.float32, offload=False, steps=2, guidance=1.0)
    name = "blocks.0.attn1.to_q.weight"
    assert not torch.equal(made.model.state_dict()[name], plain.model.state_dict()[name])


def test_a_full_run_exports_the_whole_transformer(wan, dataset, tmp_path):
    result = run(wan, dataset, tmp_path, steps=2, lora=0, together=(1,))
    assert result["trained_parameters"] == sum(p.numel() for p in tiny_wan().parameters())
    made = load_open_shots(
        wan, device="cpu", dtype=torch.float32, offload=False, tuned=tmp_path / "export", steps=2
    )
    assert not made.settings.cross_shot
    trained = load_checkpoint(tmp_path)
    assert trained is not None
    weights = made.model.state_dict()
    assert all(torch.equal(weight, weights[name]) for name, weight in trained["model"].items())


def test_encoded_films_are_not_encoded_again(wan, dataset, tmp_path, monkeypatch):
    run(wan, dataset, tmp_path / "first", steps=1)
    monkeypatch.setattr(
        "captain_cinema.train.wan_start.load_text_encoder", lambda *_: pytest.fail("loaded again")
    )
    assert run(wan, dataset, tmp_path / "second", steps=1)["step"] == 1
