"""A LoRA trained on the MM-DiT works in diffusers, theirs work here, and bad files are one line."""

from dataclasses import replace

import pytest
import torch
from published import LAYOUTS, new_reference, one_pair, randomise, relative_error, run_reference, tiny_config
from safetensors.torch import load_file, save_file

from captain_cinema.backbone.lora import LORA_FILE, TARGETS, add_lora, load_lora, merge_lora, save_lora
from captain_cinema.backbone.mmdit import MMDiT, load_mmdit, save_mmdit
from captain_cinema.errors import WeightsError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:peft")


@pytest.fixture(params=LAYOUTS)
def layout(request) -> str:
    return request.param


@pytest.fixture
def folder(tmp_path, layout):
    new_reference(layout, guidance=True).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def tuned(folder, *, rank: int = 3, alpha: float = 5.0, seed: int = 2) -> MMDiT:
    """A model whose LoRA does something, as after training."""
    model = add_lora(load_mmdit(folder), torch.Generator().manual_seed(seed), rank=rank, alpha=alpha)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.requires_grad:
                weight.add_(0.3 * torch.randn(weight.shape, generator=generator))
    return model


def run(model: MMDiT, layout: str) -> torch.Tensor:
    with torch.no_grad():
        return model([one_pair(layout, torch.float32)], guidance=3.5)[0][:, 0]


def run_theirs(reference, layout: str) -> torch.Tensor:
    with torch.no_grad():
        return run_reference(reference, one_pair(layout, torch.float32), torch.full((2,), 3.5))


def test_a_new_lora_changes_nothing_and_is_all_that_trains(folder, layout):
    model = load_mmdit(folder)
    before = run(model, layout)
    add_lora(model, torch.Generator().manual_seed(0), rank=2)
    # Not bit for bit: a layer with a LoRA is called whole, others are split for speed.
    assert relative_error(run(model, layout), before) < 1e-6
    model([one_pair(layout, torch.float32)], guidance=3.5)[0].square().sum().backward()
    trained = {name for name, weight in model.named_parameters() if weight.grad is not None}
    assert trained == {name for name in dict(model.named_parameters()) if ".lora_" in name}
    assert len(trained) == 2 * (2 * 8 + 2 * 2)  # A and B; 8 layers in a double block, 2 in a single one
    # B starts at zero, so A has no gradient yet; every B has one: no layer is called past its LoRA.
    reached = {
        name for name, weight in model.named_parameters() if weight.grad is not None and weight.grad.any()
    }
    assert reached == {name for name in trained if ".lora_B." in name}


def test_diffusers_gives_the_same_with_our_lora(tmp_path, folder, layout):
    model = tuned(folder)
    save_lora(model, tmp_path / LORA_FILE)
    reference = new_reference(layout, guidance=True)
    plain = run_theirs(reference, layout)
    reference.load_lora_adapter(tmp_path, weight_name=LORA_FILE, use_safetensors=True)
    wanted = run_theirs(reference, layout)
    error = relative_error(run(model, layout), wanted)
    print(f"{layout} with a LoRA against diffusers: relative error {error:.1e}")
    assert error < 1e-5
    assert relative_error(plain, wanted) > 0.1


def test_keys_are_those_of_diffusers_and_comfyui(tmp_path, folder, layout):
    save_lora(tuned(folder), tmp_path / LORA_FILE)
    stored = load_file(tmp_path / LORA_FILE)
    layers = dict(new_reference(layout, guidance=True).named_modules())
    for name, weight in stored.items():
        prefix, _, rest = name.partition(".")
        module, half = rest.rsplit(".lora_", 1)
        assert prefix == "transformer"
        if half == "A.weight":
            assert weight.shape == (3, layers[module].in_features)
        else:
            assert half == "B.weight"
            assert weight.shape == (layers[module].out_features, 3)
    assert "transformer.transformer_blocks.1.attn.add_k_proj.lora_B.weight" in stored


def test_saved_loaded_and_merged_it_is_the_same_model(tmp_path, folder, layout):
    model = tuned(folder)
    wanted = run(model, layout)
    save_lora(model, tmp_path / LORA_FILE)
    again = load_lora(load_mmdit(folder), tmp_path / LORA_FILE)
    assert relative_error(run(again, layout), wanted) < 1e-6
    save_lora(again, tmp_path / "again.safetensors")
    first, second = (load_file(tmp_path / name) for name in (LORA_FILE, "again.safetensors"))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    save_mmdit(merge_lora(again), tmp_path / "merged")
    assert relative_error(run(load_mmdit(tmp_path / "merged"), layout), wanted) < 1e-5


def test_a_lora_of_diffusers_with_ranks_and_alphas_of_its_own(tmp_path, layout, folder):
    """As other trainers write them: an A for each projection, not all projections, `.alpha` keys."""
    from peft import LoraConfig

    reference = new_reference(layout, guidance=True)
    targets = ["attn.to_k", "attn.to_v", "attn.add_q_proj", "proj_out", "x_embedder"]
    config = LoraConfig(
        r=2, lora_alpha=2, target_modules=targets, rank_pattern={"to_v": 4}, alpha_pattern={"to_v": 4}
    )
    reference.add_adapter(config)
    generator = torch.Generator().manual_seed(5)
    stored = {}
    with torch.no_grad():
        for name, weight in reference.named_parameters():
            if ".lora_" not in name:
                continue
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
            key = "transformer." + name.replace(".default", "")
            stored[key] = weight.clone()
            if "lora_B" in key:  # alpha of half the rank, undone by twice the weight
                stored[key] *= 2
                stored[key.replace("lora_B.weight", "alpha")] = torch.tensor(weight.shape[1] / 2)
    save_file(stored, tmp_path / "theirs.safetensors")
    model = load_lora(load_mmdit(folder), tmp_path / "theirs.safetensors")
    assert relative_error(run(model, layout), run_theirs(reference, layout)) < 1e-5


def test_a_second_lora_needs_the_first_one_merged(folder):
    model = tuned(folder)
    with pytest.raises(ValueError, match="merge_lora it first"):
        add_lora(model, torch.Generator(), rank=1, targets=TARGETS)
    with pytest.raises(ValueError, match="no LoRA to save"):
        save_lora(merge_lora(model), folder / LORA_FILE)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("missing", "no LoRA at"),
        ("pickle", "pickled weights are refused"),
        ("cut short", "is damaged"),
        ("empty", "it is empty"),
        ("half", r"A and B of \(3, 32\) and None"),
        ("wider", "was it tuned on another model"),
        ("more blocks", r"single_transformer_blocks.2.* has no place in a FLUX"),
        ("kohya", r"lora_unet_single_blocks_0_linear1.* has no place in a FLUX"),
    ],
)
def test_bad_files_are_one_clear_line(tmp_path, folder, layout, how, message):
    path = tmp_path / LORA_FILE
    save_lora(tuned(folder), path)
    stored = load_file(path)
    key = "transformer.transformer_blocks.0.attn.to_k.lora_B.weight"
    match how:
        case "missing":
            path.unlink()
        case "pickle":
            path = path.rename(tmp_path / "lora.bin")
        case "cut short":
            path.write_bytes(path.read_bytes()[:-10])
        case "empty":
            save_file({}, path)
        case "half":
            del stored[key]
            save_file(stored, path)
        case "wider":
            wide = MMDiT(replace(tiny_config(layout, guidance=True), num_attention_heads=3))
            randomise(wide)
            save_lora(add_lora(wide, torch.Generator(), rank=2), path)
        case "more blocks":
            deep = MMDiT(replace(tiny_config(layout, guidance=True), num_single_layers=3))
            randomise(deep)
            save_lora(add_lora(deep, torch.Generator(), rank=2), path)
        case "kohya":
            save_file(stored | {"lora_unet_single_blocks_0_linear1.lora_up.weight": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match=message) as raised:
        load_lora(load_mmdit(folder), path)
    assert "\n" not in str(raised.value)
