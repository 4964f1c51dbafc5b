"""The `open` preset on tiny random weights in the published layout: storyboards, and what can be wrong."""

from __future__ import annotations

import json
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from captain_cinema import cli, presets
from captain_cinema.backbone import published
from captain_cinema.errors import AbilityError, CinemaError, WeightsError
from captain_cinema.keyframes.open_planner import HistoryFrame, OpenPlanner, say_who
from captain_cinema.keyframes.opening import load_open_planner, memory_for
from captain_cinema.presets import Models
from captain_cinema.project.pictures import read_picture
from tests.backbone.published import write_clip, write_pipeline
from tests.shots.published_wan import write_wan

SCRIPT = """\
title: Test
caption: ink on paper
size: 128x64
cast:
  - {name: Mara, description: a fox in a blue coat}
  - {name: Bo, description: a heron}
shots:
  - {caption: <Mara> waits., seconds: 2}
  - {caption: <Bo> lands., seconds: 2}
  - {caption: <Mara> greets <Bo>., seconds: 2, pins: [1]}
"""
FRAME = (64, 128, 3)


@pytest.fixture(scope="module", autouse=True)
def quiet() -> Iterator[None]:
    """transformers and diffusers warn about what is none of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def published_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    write_pipeline(folder / "keyframes", "FLUX.2")
    write_clip(folder / "clip")
    return folder


@pytest.fixture
def weights(published_weights: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(published_weights, tmp_path / "weights"))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    folder = tmp_path / "film"
    folder.mkdir()
    (folder / "script.yaml").write_text(SCRIPT, "utf-8")
    return folder


Run = Callable[..., tuple[int, dict[str, Any], str]]


@pytest.fixture
def cinema(capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: object) -> tuple[int, dict[str, Any], str]:
        code = cli.main([*map(str, arguments), "--json"])
        said = capsys.readouterr()
        return code, json.loads(said.out), said.err

    return run


def record(film: Path, number: int) -> dict[str, Any]:
    return json.loads((film / "storyboard" / f"{number:03d}.json").read_text("utf-8"))


def change_weights(folder: Path, part: str = "keyframes") -> None:
    path = folder / part / "transformer" / "diffusion_pytorch_model.safetensors"
    save_file({name: weight * 1.5 for name, weight in load_file(path).items()}, path, {"format": "pt"})


def test_a_storyboard_from_published_weights(film: Path, weights: Path, cinema: Run) -> None:
    """Drawn, recorded, kept; drawn again when the weights are others."""
    code, data, err = cinema("storyboard", film, "--preset", "open", "--weights", weights)
    assert code == 0, err
    assert data["keyframes"]["made"] == [1, 2, 3]
    revision = data["revision"]
    frames = [read_picture(film / "storyboard" / f"{number:03d}.png") for number in (1, 2, 3)]
    assert [frame.shape for frame in frames] == [FRAME] * 3
    assert all(frame.std() > 1 for frame in frames)
    for number in (1, 2, 3):
        made = record(film, number)
        assert made["inputs"]["preset"] == "open"
        assert made["inputs"]["revision"] == revision
        assert made["licence"] == "not stated"
        assert len(made["memory"]) == number - 1
    memory = record(film, 3)["memory"]
    assert [use["pinned"] for use in memory] == [True, False]
    assert [(use["rows"], use["tokens"]) for use in memory] == [(2, 8), (4, 32)]
    assert len(record(film, 3)["embedding"]) == 32  # 6 numbers of 4 bytes, in base64

    code, data, err = cinema("storyboard", film)
    assert (code, data["keyframes"]["made"], data["keyframes"]["kept"]) == (0, [], [1, 2, 3])
    assert (data["preset"], data["revision"]) == ("open", revision)
    assert "loading" not in err
    assert [shot["keyframe"]["state"] for shot in cinema("status", film)[1]["shots"]] == ["done"] * 3

    change_weights(weights)
    code, data, err = cinema("storyboard", film)
    assert data["keyframes"]["made"] == [1, 2, 3]
    assert data["revision"] != revision
    assert "other weights" in err
    again = read_picture(film / "storyboard" / "003.png")
    assert not np.array_equal(again, frames[2])


def test_a_film_is_told_of_without_its_weights(film: Path, weights: Path, cinema: Run) -> None:
    cinema("storyboard", film, "--preset", "open", "--weights", weights, "--limit", 1)
    weights.rename(weights.with_name("moved"))
    assert cinema("status", film)[1]["shots"][0]["keyframe"]["state"] == "done"
    code, data, _ = cinema("storyboard", film)
    assert code == 2
    assert "there is no folder" in data["error"]
    code, data, _ = cinema("storyboard", film, "--weights", weights.with_name("moved"))
    assert (code, data["keyframes"]["made"], data["keyframes"]["kept"]) == (0, [2, 3], [1])


def test_a_whole_film_from_published_weights(film: Path, weights: Path, cinema: Run) -> None:
    """Keyframe, shot and film; another shot model makes the shot again and leaves the keyframe."""
    write_wan(weights / "shots")
    (film / "script.yaml").write_text(SCRIPT.replace("seconds: 2", "seconds: 1"), "utf-8")
    options = ("--preset", "open", "--weights", weights, "--limit", 1)
    code, data, err = cinema("make", film, *options)
    assert code == 0, err
    assert (data["keyframes"]["made"], data["clips"]["made"]) == ([1], [1])
    assert data["seconds"] == 1
    assert (film / "film.mp4").stat().st_size > 0
    clip = json.loads((film / "shots" / "001.json").read_text())
    assert clip["inputs"]["fps"] == 24
    assert clip["inputs"]["revision"] != record(film, 1)["inputs"]["revision"]

    card = weights / "shots" / "transformer" / "config.json"
    card.write_text(card.read_text() + "\n")
    data = cinema("status", film)[1]
    assert [data["shots"][0][part]["state"] for part in ("keyframe", "clip")] == ["done", "stale"]


def test_tuned_shots_and_eight_bits_are_chosen_on_the_command_line(
    film: Path, weights: Path, cinema: Run, tmp_path: Path, monkeypatch: Any
) -> None:
    """What the tuning of shots wrote makes other clips, from the same keyframes."""
    from captain_cinema.shots import open_wan

    write_wan(weights / "shots")
    (film / "script.yaml").write_text(SCRIPT.replace("seconds: 2", "seconds: 1"), "utf-8")
    options = ("--preset", "open", "--weights", weights, "--limit", 1)
    cinema("make", film, *options)
    untuned = (film / "shots" / "001.mp4").read_bytes()

    tuned = tmp_path / "tuned"
    shutil.copytree(weights / "shots" / "transformer", tuned / "transformer")
    change_weights(tuned, part=".")
    (tuned / "shots.json").write_text('{"cross_shot": true, "context": 2}')
    code, data, err = cinema("make", film, "--tuned-shots", tuned, "--limit", 1)
    assert code == 0, err
    assert (data["keyframes"]["made"], data["clips"]["made"]) == ([], [1])
    assert (film / "shots" / "001.mp4").read_bytes() != untuned
    status = cinema("status", film)[1]["shots"][0]
    assert [status[part]["state"] for part in ("keyframe", "clip")] == ["done", "done"]

    asked: list[str] = []
    monkeypatch.setattr(open_wan, "quantise_blocks", lambda model, kind: asked.append(kind))
    code, data, err = cinema("make", film, "--quantised", "int8", "--limit", 1)
    assert code == 0, err
    assert (data["clips"]["made"], asked) == ([1], ["int8", "int8"])  # the film remembers the tuned weights


def open_planner(weights: Path, **changes: Any) -> OpenPlanner:
    models = Models(weights=str(weights), **changes)
    planner = presets.load_backend("open", models=models, size=FRAME[:2]).planner
    assert isinstance(planner, OpenPlanner)
    return planner


def history() -> list[HistoryFrame]:
    rng = np.random.default_rng(2)
    captions = ("<Mara> waits.", "<Bo> lands.", "Rain.", "<Bo> sleeps.", "<Mara> sings.", "Snow.")
    return [
        HistoryFrame(number=number, caption=caption, frame=rng.integers(0, 256, FRAME, dtype=np.uint8))
        for number, caption in enumerate(captions, start=1)
    ]


def test_memory_pins_and_seeds(published_weights: Path) -> None:
    planner = open_planner(published_weights)
    drawn = planner.draw("<Mara> greets <Bo>.", history(), seed=4, pins=[3])
    assert {6, 3} <= {use.number for use in drawn.memory}
    assert len(drawn.memory) == 4
    assert [use.rows for use in drawn.memory] == [1, 2, 2, 4]  # the newest is the largest
    assert planner.select("<Mara> greets <Bo>.", history(), pins=[3]) == drawn.memory
    again = planner.draw("<Mara> greets <Bo>.", history(), seed=4, pins=[3])
    assert np.array_equal(again.frame, drawn.frame)
    others = [
        planner.draw("<Mara> greets <Bo>.", history(), seed=5, pins=[3]).frame,
        planner.draw("<Mara> runs.", history(), seed=4, pins=[3]).frame,
        planner.draw("<Mara> greets <Bo>.", history()[:5], seed=4, pins=[3]).frame,
    ]
    assert not any(np.array_equal(other, drawn.frame) for other in others)
    with pytest.raises(AbilityError, match="shot 9 cannot be pinned"):
        planner.draw("<Mara> runs.", history(), seed=4, pins=[9])


def test_captions_alone_may_choose(published_weights: Path, weights: Path) -> None:
    shutil.rmtree(weights / "clip")
    with pytest.raises(WeightsError, match="--retrieval text"):
        open_planner(weights)
    drawn = open_planner(weights, retrieval="text").draw("<Bo> wakes.", history(), seed=4)
    assert drawn.embedding is None
    assert {6, 4} <= {use.number for use in drawn.memory}
    assert revision(weights, retrieval="text") != revision(published_weights)


def test_what_klein_is_told(published_weights: Path, film: Path, cinema: Run, monkeypatch: Any) -> None:
    from captain_cinema.backbone.open_text import KleinText, plain_names

    told: list[str] = []
    encode = KleinText.encode

    def listen(self: KleinText, captions: Any) -> Any:
        told.extend(plain_names(caption) for caption in captions)
        return encode(self, captions)

    monkeypatch.setattr(KleinText, "encode", listen)
    cinema("storyboard", film, "--preset", "open", "--weights", published_weights)
    assert told[0] == "Mara is a fox in a blue coat. Mara waits. Ink on paper."
    assert told[2] == (
        "Mara is a fox in a blue coat. Bo is a heron. Mara greets Bo. Ink on paper. "
        "Mara looks as in image 1. Bo looks as in image 2."
    )


def test_who_is_said_once_for_every_name() -> None:
    frames = history()
    assert (
        say_who("<Bo> and <Cy> meet.", frames) == "<Bo> and <Cy> meet. <Bo> looks as in image 2 and image 4."
    )
    assert say_who("Rain.", frames) == "Rain."


def revision(folder: Path, **changes: Any) -> str:
    models = Models(weights=str(folder), **changes)
    return presets.describe("open", models, size=FRAME[:2]).revision


def test_all_that_changes_a_frame_is_in_the_revision(weights: Path) -> None:
    same = revision(weights)
    assert revision(weights, device="cpu", offload=True, accept_licence="x") == same
    changed = [revision(weights, steps=9), revision(weights, references="cached")]
    change_weights(weights)
    changed.append(revision(weights))
    assert len({same, *changed}) == 4


def test_a_fingerprint_sees_a_change_anywhere_in_a_large_file(tmp_path: Path) -> None:
    path, size = tmp_path / "model.safetensors", 3 * published.SAMPLES * published.SAMPLE_BYTES
    content = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    path.write_bytes(content.tobytes())
    before = published.fingerprint(tmp_path)
    assert published.fingerprint(tmp_path) == before
    path.write_bytes((content + 1).astype(np.uint8).tobytes())
    assert published.fingerprint(tmp_path) != before
    path.write_bytes(content.tobytes() + b"0")
    assert published.fingerprint(tmp_path) != before


def test_offloaded_parts_draw_the_same(published_weights: Path, monkeypatch: Any) -> None:
    planner, offloaded = open_planner(published_weights), open_planner(published_weights, offload=True)
    moved: list[str] = []
    move = type(offloaded.model).to

    def watch(self: Any, *args: Any, **kwargs: Any) -> Any:
        moved.append(str(args[0]))
        return move(self, *args, **kwargs)

    monkeypatch.setattr(type(offloaded.model), "to", watch)
    drawn = [each.draw("<Mara> sings.", history()[:2], seed=1).frame for each in (planner, offloaded)]
    assert np.array_equal(*drawn)
    assert moved == ["cpu", "cpu"]  # to the device, which is the processor here, and back


def test_a_gpu_that_is_too_small_is_one_line(published_weights: Path, monkeypatch: Any) -> None:
    from captain_cinema.keyframes import open_planner as module

    def full(*args: Any, **kwargs: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 MiB")

    planner = open_planner(published_weights)
    monkeypatch.setattr(module, "sample_tokens", full)
    with pytest.raises(AbilityError, match="give --offload, or a smaller 'size'") as caught:
        planner.draw("<Mara> sings.", [], seed=1)
    assert "\n" not in str(caught.value)


def test_a_lora_changes_the_frame(weights: Path, tmp_path: Path) -> None:
    from captain_cinema.backbone.lora import add_lora, save_lora
    from captain_cinema.backbone.mmdit import load_mmdit

    model = add_lora(load_mmdit(weights / "keyframes" / "transformer"), torch.Generator(), rank=2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.2)
    file = tmp_path / "style.safetensors"
    save_lora(model, file)
    plain, styled = open_planner(weights), open_planner(weights, lora=str(file))
    frames = [each.draw("<Mara> sings.", [], seed=1).frame for each in (plain, styled)]
    assert not np.array_equal(*frames)
    assert revision(weights, lora=str(file)) != revision(weights)


@pytest.mark.parametrize("rows", range(1, 27))
def test_four_references_fit_every_size(rows: int) -> None:
    from captain_cinema.keyframes.goldenmem import assign_scales

    scales = assign_scales(4, memory_for(rows), rows)
    assert scales == sorted(scales, reverse=True)
    assert min(scales) >= 1


def spoil_pickle(folder: Path) -> None:
    path = folder / "keyframes" / "text_encoder" / "model.safetensors"
    path.rename(path.with_name("pytorch_model.bin"))


def spoil_shard(folder: Path) -> None:
    place = folder / "keyframes" / "transformer"
    names = load_file(place / "diffusion_pytorch_model.safetensors")
    (place / "diffusion_pytorch_model.safetensors").unlink()
    index = {"weight_map": dict.fromkeys(names, "diffusion_pytorch_model-00001-of-00002.safetensors")}
    (place / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def spoil_partial(folder: Path) -> None:
    path = folder / "keyframes" / "text_encoder" / "model.safetensors"
    kept = {name: weight for name, weight in load_file(path).items() if ".layers.5." not in name}
    save_file(kept, path, {"format": "pt"})


def spoil_cut(folder: Path) -> None:
    path = folder / "keyframes" / "vae" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:-9])


def spoil_class(folder: Path) -> None:
    config = folder / "keyframes" / "vae" / "config.json"
    config.write_text(json.dumps({"_class_name": "AutoencoderDC"}))


def spoil_flux1(folder: Path) -> None:
    index = folder / "keyframes" / "model_index.json"
    index.write_text(json.dumps({"_class_name": "FluxPipeline"}))


def spoil_part(folder: Path) -> None:
    shutil.rmtree(folder / "keyframes" / "tokenizer")


def spoil_layout(folder: Path) -> None:
    shutil.rmtree(folder / "keyframes")
    (folder / "flux-2-klein-base-4b.safetensors").write_bytes(b"")


def spoil_clip(folder: Path) -> None:
    (folder / "clip" / "config.json").write_text(json.dumps({"architectures": ["SiglipModel"]}))


def spoil_nothing_left(folder: Path) -> None:
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (spoil_pickle, "pickle alone.*convert it to safetensors"),
        (spoil_shard, "00001-of-00002.safetensors is missing; download"),
        (spoil_partial, "the text encoder in .* lacks .*layers.5.*download"),
        (spoil_cut, "the VAE in .* cannot be read .*download"),
        (spoil_class, "holds a AutoencoderDC; as VAE a AutoencoderKL"),
        (spoil_flux1, "holds FLUX.1, which looks at no references.*FLUX.2-klein"),
        (spoil_part, "lacks tokenizer; a whole diffusers pipeline was expected"),
        (spoil_layout, "one file of another layout; a diffusers pipeline folder was expected"),
        (spoil_clip, "holds a SiglipModel; as picture encoder a CLIPModel was expected"),
        (spoil_nothing_left, "there is no folder .*--weights"),
    ],
    ids=lambda value: value.__name__.removeprefix("spoil_") if callable(value) else "",
)
def test_bad_weights_are_one_line(
    weights: Path, film: Path, cinema: Run, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(weights)
    code, data, err = cinema("storyboard", film, "--preset", "open", "--weights", weights)
    assert code == 2
    assert "Traceback" not in err
    with pytest.raises(CinemaError, match=message) as caught:
        raise CinemaError(data["error"])
    assert "\n" not in str(caught.value)
    assert not list(film.glob("storyboard/*.png"))


def test_a_restricted_licence_is_asked_for_once(weights: Path, film: Path, cinema: Run) -> None:
    card = "---\nlicense: other\nlicense_name: flux-non-commercial-license\n---\n# FLUX.2\n"
    (weights / "keyframes" / "README.md").write_text(card)
    options = ("--preset", "open", "--weights", weights, "--limit", 1)
    code, data, _ = cinema("storyboard", film, *options)
    assert code == 2
    assert "--accept-licence flux-non-commercial-license" in data["error"]
    code, data, _ = cinema("storyboard", film, *options, "--accept-licence", "some-other-one")
    assert code == 2
    accept = ("--accept-licence", "flux-non-commercial-license")
    assert cinema("storyboard", film, *options, *accept)[0] == 0
    assert record(film, 1)["licence"] == "flux-non-commercial-license"
    assert cinema("storyboard", film, "--limit", 2)[0] == 0  # the film remembers


def test_a_licence_is_asked_for_at_the_terminal() -> None:
    def check(answer: str) -> str:
        return published.check_licence("strict", (), page="there", ask=lambda question: answer)

    assert check("y\n") == "strict"
    with pytest.raises(AbilityError, match="--accept-licence strict"):
        check("\n")
    assert published.check_licence("Apache-2.0", (), page="there", ask=None) == ""


@pytest.mark.parametrize(
    ("heads", "width", "licence"), [(24, 7680, "apache-2.0"), (32, 12288, "flux-non-commercial-license")]
)
def test_a_folder_without_a_card_is_known_by_its_size(
    tmp_path: Path, heads: int, width: int, licence: str
) -> None:
    (tmp_path / "transformer").mkdir()
    config = {"num_attention_heads": heads, "joint_attention_dim": width}
    (tmp_path / "transformer" / "config.json").write_text(json.dumps(config))
    assert published.licence_of(tmp_path) == licence


def test_the_hub_out_of_reach_is_one_line(film: Path, cinema: Run) -> None:
    """The tests run with the hub off, so nothing is patched here."""
    code, data, _ = cinema("storyboard", film, "--preset", "open")
    assert code == 2
    assert "the hub cannot be reached; connect to the network, or download" in data["error"]
    assert cinema("status", film)[1]["preset"] == "embedded"  # what failed is not remembered


@pytest.mark.parametrize("kind", ["GatedRepoError", "RepositoryNotFoundError", "HfHubHTTPError"])
def test_a_hub_that_refuses_is_one_line(monkeypatch: Any, kind: str) -> None:
    import httpx
    import huggingface_hub
    from huggingface_hub import errors

    def refuse(*args: Any, **kwargs: Any) -> str:
        request = httpx.Request("GET", "https://huggingface.co")
        raise getattr(errors, kind)("no\nno", response=httpx.Response(403, request=request))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(WeightsError, match=r"hf auth login|try again") as caught:
        published.hub_folder(published.KLEIN_BASE_4B, download=True)
    assert "\n" not in str(caught.value)


def test_a_hub_that_gives(monkeypatch: Any, weights: Path, film: Path, cinema: Run) -> None:
    """Without a folder, keyframes and picture encoder come from the hub, and no pickles with them."""
    import huggingface_hub

    asked: list[tuple[str, bool]] = []

    def give(repo: str, *, allow_patterns: list[str], local_files_only: bool, **_: Any) -> str:
        asked.append((repo, local_files_only))
        assert not {"*", "*.bin", "*/*.bin", "*.safetensors"} & set(allow_patterns)
        return str(weights / ("clip" if "clip" in repo else "keyframes"))

    monkeypatch.setattr(huggingface_hub, "snapshot_download", give)
    code, data, err = cinema("storyboard", film, "--preset", "open", "--limit", 1)
    assert code == 0, err
    assert data["licence"] == "apache-2.0"
    assert (published.KLEIN_BASE_4B.repo, False) in asked
    assert (published.CLIP.repo, False) in asked
    assert (published.WAN.repo, False) not in asked  # a storyboard needs no shot model


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--preset", "paper"), "until it is tuned on films.*--preset open"),
        (("--preset", "embedded", "--steps", 3), "--steps is for --preset open"),
        (("--preset", "huge"), "no preset 'huge'; use embedded, open or paper"),
        (("--preset", "open", "--lora", "no.safetensors"), "there is no .*no.safetensors.*--lora"),
        (("--preset", "open", "--tuned-shots", "none"), "there is no .*none.*--tuned-shots"),
        (("--preset", "embedded", "--tuned-shots", "."), "--tuned-shots is for --preset open"),
        (("--preset", "open", "--steps", 0), "--steps 0 draws nothing; give 1 or more"),
        (("--preset", "open", "--device", "cuda:77"), "no device 'cuda:77' here; leave --device out"),
    ],
)
def test_what_cannot_be_is_one_line(
    film: Path, weights: Path, cinema: Run, arguments: tuple[object, ...], message: str
) -> None:
    folder = ("--weights", weights) if "open" in arguments else ()
    code, data, _ = cinema("storyboard", film, *arguments, *folder)
    assert code == 2
    with pytest.raises(CinemaError, match=message):
        raise CinemaError(data["error"])


def test_sizes_that_cannot_be_drawn_are_refused(published_weights: Path) -> None:
    from captain_cinema.keyframes.opening import find_keyframes

    found = find_keyframes("open", published_weights)
    assert found is not None
    with pytest.raises(AbilityError, match=r"100x50 is no multiple of 16 pixels; change 'size'.*96x48"):
        load_open_planner(found, height=50, width=100)


def test_the_environment_may_name_the_weights(
    film: Path, weights: Path, cinema: Run, monkeypatch: Any
) -> None:
    monkeypatch.setenv(presets.WEIGHTS_VARIABLE, str(weights))
    assert cinema("storyboard", film, "--preset", "open", "--limit", 1)[0] == 0
    monkeypatch.delenv(presets.WEIGHTS_VARIABLE)
    assert cinema("storyboard", film, "--limit", 1)[1]["keyframes"]["kept"] == [1]


def test_keyframes_do_not_need_the_shot_model(weights: Path) -> None:
    backend = presets.load_backend("open", models=Models(weights=str(weights)), size=FRAME[:2])
    assert isinstance(backend.planner, OpenPlanner)
    with pytest.raises(WeightsError, match=r"no shot model in .*shots: put Wan-AI/Wan2.2-TI2V-5B-Diffusers"):
        _ = backend.shots
    assert backend.loaded == {}  # the one makes room for the other


def test_a_preset_that_changes_forgets_its_weights(film: Path, weights: Path, cinema: Run) -> None:
    cinema("storyboard", film, "--preset", "open", "--weights", weights, "--limit", 1)
    (film / "script.yaml").write_text(SCRIPT.replace("size: 128x64\n", ""), "utf-8")
    code, data, err = cinema("storyboard", film, "--preset", "embedded", "--limit", 1)
    assert code == 0, err
    assert (data["preset"], data["keyframes"]["made"]) == ("embedded", [1])
    assert json.loads((film / ".cinema.json").read_text())["models"] == {}


def test_the_table_in_the_docs_is_the_code() -> None:
    text = (Path(__file__).parents[1] / "docs" / "open.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| black-forest-labs/")]
    told = {line.split()[1]: line.split("|")[2].strip() for line in rows}
    assert told == {model.repo: model.licence for model in published.MODELS if "FLUX" in model.name}
