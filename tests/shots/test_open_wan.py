"""A Wan folder as a shot backend: what it films untuned and tuned, and what is wrong with a folder."""

import importlib.util
import json
import shutil
import sys
import types
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from captain_cinema.errors import AbilityError, WeightsError
from captain_cinema.shots import open_wan, wan_latents
from captain_cinema.shots.open_wan import (
    add_trained_lora,
    in_a_block,
    load_open_shots,
    offload_parts,
    quantise_blocks,
)
from captain_cinema.shots.request import ShotRequest
from tests.shots.published_wan import HEIGHT, TXT_DIM, WIDTH, tiny_wan, write_wan

SHORT = 1.0
"""24 frames are 7 slots."""


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return write_wan(tmp_path_factory.mktemp("wan"))


@pytest.fixture
def folder(published, tmp_path):
    """A folder of one's own to damage."""
    return shutil.copytree(published, tmp_path / "own")


def load(folder, **changes):
    options = {"device": "cpu", "dtype": torch.float32, "offload": False, "steps": 2, "guidance": 1.0}
    return load_open_shots(folder, **(options | changes))


@pytest.fixture(scope="module")
def untuned(published):
    return load(published)


@pytest.fixture(scope="module")
def tuned(published, tmp_path_factory):
    folder = shutil.copytree(published, tmp_path_factory.mktemp("tuned") / "wan")
    (folder / "shots.json").write_text('{"cross_shot": true, "context": 3}')
    return load(folder)


def picture(seed: int, *, height: int = HEIGHT) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, WIDTH, 3), dtype=np.uint8)


def request(seed: int = 0, **changes) -> ShotRequest:
    fields = {
        "keyframe": picture(seed),
        "caption": f"a fox runs {'on ' * seed}",
        "film_caption": "a day",
        "seconds": SHORT,
        "seed": seed,
    }
    return ShotRequest(**(fields | changes))


def test_untuned_weights_film_each_shot_by_itself(untuned):
    assert untuned.abilities.max_shots_together == 1
    assert untuned.abilities.max_context == 0
    assert not untuned.settings.cross_shot
    alone = [next(untuned.generate([request(seed)])) for seed in (0, 1)]
    among = list(untuned.generate([request(0), request(1)]))
    assert all(np.array_equal(a, b) for a, b in zip(alone, among, strict=True))
    assert alone[0].shape == (24, HEIGHT, WIDTH, 3)
    with pytest.raises(AbilityError, match="2 shots asked for together"):
        untuned.generate_together([request(0), request(1)])
    with pytest.raises(AbilityError, match="1 context keyframes given"):
        untuned.generate([request(context=(picture(5),))])


def test_tuned_weights_join_shots_and_switched_off_each_is_as_if_alone(tuned):
    pair = [request(0), request(1, seconds=1.5)]
    alone = [next(tuned.generate([one])) for one in pair]
    joined = list(tuned.generate_together(pair))
    tuned.settings = replace(tuned.settings, cross_shot=False)
    apart = list(tuned.generate_together(pair))
    tuned.settings = replace(tuned.settings, cross_shot=True)
    for one, together, off in zip(alone, joined, apart, strict=True):
        assert np.abs(one.astype(int) - off.astype(int)).max() <= 1
        assert np.abs(one.astype(int) - together.astype(int)).max() > 1
        # Whatever the others do, the first frame is the keyframe.
        assert np.abs(one[0].astype(int) - together[0].astype(int)).max() <= 1


def test_every_keyframe_of_the_film_informs_a_tuned_shot(tuned):
    (plain,) = tuned.generate([request(context=(picture(5),))])
    (other,) = tuned.generate([request(context=(picture(6),))])
    assert np.abs(plain.astype(int) - other.astype(int)).max() > 1
    with pytest.raises(AbilityError, match="4 context keyframes given"):
        tuned.generate([request(context=(picture(5),) * 4)])


def test_eight_shots_with_all_their_context_stay_on_the_time_axis(tuned):
    places = 8 * (1 + tuned.abilities.max_context) * tuned.slots.stretch
    assert places <= tuned.model.rope.max_seq_len
    assert tuned.slots.stretch >= 1 + -(-(tuned.abilities.max_seconds * 24 - 1) // 4)


def test_pictures_of_several_sizes_are_refused_by_name(tuned):
    tall = picture(2, height=64)
    with pytest.raises(AbilityError, match=r"shot 9: pictures of 64x32 and of 64x64"):
        tuned.generate_together([request(0), request(1, keyframe=tall, number=9)])
    with pytest.raises(AbilityError, match=r"shot 4: pictures of"):
        tuned.generate([request(context=(tall,), number=4)])
    assert [shot.shape[1] for shot in tuned.generate([request(0), request(1, keyframe=tall)])] == [32, 64]


def test_a_size_between_tokens_is_refused(untuned):
    with pytest.raises(AbilityError, match="multiples of 32"):
        untuned.generate([request(keyframe=picture(0, height=40))])


def test_a_caption_that_is_too_long_is_refused_before_anything_is_filmed(untuned):
    with pytest.raises(AbilityError, match=r"shot 2: its caption has \d+ tokens .* Wan reads 512"):
        untuned.generate([request(), request(caption="fox " * 300)])


def test_names_are_read_without_their_tags(untuned):
    tagged, plain = (untuned.wan.texts([caption], [""]) for caption in ("<mara>  waits", "mara waits"))
    assert torch.equal(tagged, plain)
    assert tagged.shape == (1, 512, TXT_DIM)


def test_keyframes_and_captions_are_encoded_once(untuned):
    list(untuned.generate([request(3)]))
    slots, texts = len(untuned.wan._slots), len(untuned.wan._texts)
    list(untuned.generate([request(3)]))
    assert (len(untuned.wan._slots), len(untuned.wan._texts)) == (slots, texts)


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(wan_latents, "REMEMBERED", 3)
    store = OrderedDict()
    for key in (b"a", b"b", b"a", b"c", b"d"):
        wan_latents.remembered(store, key, lambda: torch.zeros(1))
    assert list(store) == [b"a", b"c", b"d"]


# ----------------------------------------------------------------------------------------------- folders


def refused(folder, **changes) -> str:
    with pytest.raises(WeightsError) as caught:
        load(folder, **changes)
    message = str(caught.value)
    assert "\n" not in message
    return message


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_no_folder(tmp_path):
    assert "model_index.json" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_class_name": "FluxPipeline"}, "holds a FluxPipeline, not Wan"),
        ({"expand_timesteps": False}, "no keyframe stays clean"),
    ],
)
def test_another_pipeline(folder, changes, said):
    edit(folder / "model_index.json", **changes)
    assert said in refused(folder)


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_a_missing_part_is_named(folder, part):
    shutil.rmtree(folder / part)
    assert part in refused(folder)


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder"])
def test_damaged_weights_are_named(folder, part):
    (file,) = (folder / part).glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:500])
    assert part in refused(folder)


@pytest.mark.parametrize("part", ["vae", "text_encoder"])
def test_a_pickle_is_refused(folder, part):
    (file,) = (folder / part).glob("*.safetensors")
    file.rename(file.with_suffix(".bin"))
    assert "pickle" in refused(folder)


def test_an_unknown_scheduler(folder):
    edit(folder / "scheduler" / "scheduler_config.json", _class_name="NoScheduler")
    assert "NoScheduler" in refused(folder)


def test_parts_of_two_models(folder):
    tiny_wan(in_channels=6, out_channels=6).save_pretrained(folder / "transformer")
    assert "not of one model" in refused(folder)


def test_a_damaged_mark(folder):
    (folder / "shots.json").write_text('{"cross_shot": true}')
    assert "'context'" in refused(folder)


# ------------------------------------------------------------------------------------------------ extras


def hide(monkeypatch, name):
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda wanted, *rest: None if wanted == name else found(wanted, *rest)
    )


def test_eight_bits_without_torchao(monkeypatch, published):
    hide(monkeypatch, "torchao")
    with pytest.raises(AbilityError, match=r'torchao is missing; pip install "captain-cinema\[quantised'):
        load(published, quantised="int8")


def test_offload_without_accelerate(monkeypatch, untuned):
    hide(monkeypatch, "accelerate")
    with pytest.raises(AbilityError, match="accelerate is missing; pip install accelerate"):
        offload_parts(untuned.parts, torch.device("cuda"))


@pytest.mark.parametrize("kind", ["int8", "fp8"])
def test_only_the_linear_layers_of_blocks_are_quantised(monkeypatch, kind, untuned):
    """torchao is not needed to run the tests: what it would be told is looked at."""
    told = []
    fake = types.ModuleType("torchao.quantization")
    fake.Int8WeightOnlyConfig = lambda: "int8"
    fake.Float8WeightOnlyConfig = lambda: "fp8"
    fake.quantize_ = lambda model, config, filter_fn: told.append((model, config, filter_fn))
    monkeypatch.setitem(sys.modules, "torchao", types.ModuleType("torchao"))
    monkeypatch.setitem(sys.modules, "torchao.quantization", fake)
    monkeypatch.setattr(open_wan, "_need", lambda *_: None)
    quantise_blocks(untuned.parts.transformer, kind)
    ((model, config, _),) = told
    assert (model, config) == (untuned.parts.transformer, kind)
    named = [name for name, module in model.named_modules() if in_a_block(module, name)]
    assert "blocks.0.attn1.to_q" in named
    assert "blocks.1.ffn.net.2" in named
    assert not {"proj_out", "condition_embedder.time_proj"} & set(named)
    encoder = untuned.parts.text_encoder
    assert any(in_a_block(module, name) for name, module in encoder.named_modules())


def lora_of(model, *, rank: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    out, into = model.blocks[0].attn1.to_q.weight.shape
    stem = "transformer.blocks.0.attn1.to_q"
    return {
        f"{stem}.lora_A.weight": torch.randn(rank, into, generator=generator),
        f"{stem}.lora_B.weight": torch.randn(out, rank, generator=generator),
    }


def test_a_lora_is_merged_and_says_what_it_has_learnt(published, tmp_path):
    plain = load(published)
    weights = lora_of(plain.model)
    save_file(weights, tmp_path / "pytorch_lora_weights.safetensors")
    (tmp_path / "shots.json").write_text('{"cross_shot": true, "context": 2}')
    made = load(published, tuned=tmp_path)
    assert (made.settings.cross_shot, made.abilities.max_context) == (True, 2)
    a, b = weights.values()
    merged = dict(made.model.named_parameters())["blocks.0.attn1.to_q.weight"]
    before = dict(plain.model.named_parameters())["blocks.0.attn1.to_q.weight"]
    assert torch.allclose(merged, before + b @ a, atol=1e-5)
    assert made.model.state_dict().keys() == plain.model.state_dict().keys()


def test_a_tuned_transformer_takes_the_place_of_the_folders_own(published, tmp_path):
    tiny_wan(seed=7).save_pretrained(tmp_path / "transformer")
    (tmp_path / "shots.json").write_text('{"cross_shot": true, "context": 1}')
    made, wanted = load(published, tuned=tmp_path), tiny_wan(seed=7).state_dict()
    assert made.abilities.max_context == 1
    assert all(torch.equal(weight, wanted[name]) for name, weight in made.model.state_dict().items())


def test_a_lora_that_is_not_there_or_not_of_this_model(tmp_path):
    model = tiny_wan()
    with pytest.raises(WeightsError, match="no LoRA at"):
        add_trained_lora(model, tmp_path)
    file = tmp_path / "pytorch_lora_weights.safetensors"
    save_file({name: weight[:, :1].contiguous() for name, weight in lora_of(model).items()}, file)
    with pytest.raises(WeightsError, match="does not fit the model"):
        add_trained_lora(model, tmp_path)
    save_file({"something.else": torch.zeros(1)}, file)
    with pytest.raises(WeightsError, match="does not fit the model"):
        add_trained_lora(model, tmp_path)
