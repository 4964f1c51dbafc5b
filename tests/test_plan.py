"""`cinema plan` and `cinema evaluate compute`: what they print, quickly and without models, and bad input."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from captain_cinema import cli


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(arguments) == 0
    return capsys.readouterr().out


def data(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    return json.loads(said(capsys, *arguments, "--json"))


def test_the_plan_of_the_issue(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = ("--preset", "paper", "--pairs", "32", "--goldenmem", "3x8", "--train")
    text = said(capsys, "plan", *wanted)
    for word in ("11.90 B", "15,296", "16,384", "disk", "PFLOPs", "H200", "RTX 4090", "optimiser states"):
        assert word in text
    plan = data(capsys, "plan", *wanted)
    assert plan["ok"] is True
    assert plan["parameters"]["transformer"] == 11_901_408_320
    assert plan["tokens"]["image"] == 8 * (1250 + 450 + 162 + 50)
    assert plan["pflops"]["of_full_context"] < 0.45
    assert plan["pflops"]["training_step_full"] > 3.5 * plan["pflops"]["forward"]
    assert plan["memory_bytes"]["training_full"]["optimiser states"] == 8 * 11_901_408_320
    assert {"drawing", "training_full_gpus", "training_lora_gpus"} <= set(plan["gpus"][0])


@pytest.mark.parametrize("preset", ["embedded", "open", "klein", "klein-9b", "flux2-dev", "paper"])
def test_every_preset(capsys: pytest.CaptureFixture[str], preset: str) -> None:
    plan = data(capsys, "plan", "--preset", preset, "--pairs", "8")
    assert plan["pairs"] == 8
    assert sum(scale["pairs"] for scale in plan["tokens"]["scales"]) == 8
    assert plan["memory_bytes"]["drawing"]["apart"] <= plan["memory_bytes"]["drawing"]["together"]


def test_sizes_and_text_can_be_others(capsys: pytest.CaptureFixture[str]) -> None:
    plan = data(
        capsys, "plan", "--height", "512", "--width", "1024", "--txt-len", "128", "--goldenmem", "none"
    )
    assert plan["tokens"] == {
        "image": 32 * 32 * 64,
        "text": 32 * 128,
        "scales": [{"rows": 32, "cols": 64, "pairs": 32, "image": 32 * 32 * 64, "text": 32 * 128}],
    }
    short = data(capsys, "plan", "--old-txt-len", "100")
    assert short["tokens"]["text"] < 32 * 512
    assert short["pflops"]["forward"] < data(capsys, "plan")["pflops"]["forward"]


def test_no_model_library_is_loaded() -> None:
    code = (
        "import sys\nfrom captain_cinema import cli\ncli.main(['plan', '--train'])\n"
        "print(sorted({'torch', 'diffusers', 'transformers'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--pairs", "0"), "--pairs 0"),
        (("--pairs", "-3"), "--pairs -3"),
        (("--goldenmem", "3x"), "groups x images"),
        (("--goldenmem", "lots"), "groups x images"),
        (("--goldenmem", "0x0"), "groups x images"),
        (("--goldenmem", "6x8"), "at most 5 groups"),
        (("--preset", "embedded", "--goldenmem", "3x8"), "at most 2 groups"),
        (("--goldenmem", "3x4"), "use 3x8"),
        (("--preset", "huge"), "no preset 'huge'"),
        (("--height", "410"), "give 416"),
        (("--height", "0"), "give 16"),
        (("--txt-len", "0"), "--txt-len 0"),
        (("--old-txt-len", "9999"), "--old-txt-len 9999"),
        (("--steps", "0"), "--steps 0"),
        (("--batch", "0"), "--batch 0"),
    ],
)
def test_bad_input_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert cli.main(("plan", *arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


# --- table 3 and figure 4 ---


def test_table_3(capsys: pytest.CaptureFixture[str]) -> None:
    table = data(capsys, "evaluate", "compute")
    rows = {(row["pairs"], row["memory"]): row for row in table["rows"]}
    assert {pairs for pairs, _ in rows} == {16, 32, 48, 96}
    assert rows[32, "3x8"]["paper_of_full"] == pytest.approx(35 / 55)
    assert rows[16, "3x4"]["paper_pflops"] == 21
    assert rows[32, "default: 4x7"]["of_full"] <= 0.45
    assert rows[32, "3x8"]["image_tokens"] == 8 * (1250 + 450 + 162 + 50)
    text = said(capsys, "evaluate", "compute")
    assert "3x12" in text
    assert "OOM" in text


def test_the_figure_is_drawn(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    drawn = data(capsys, "evaluate", "compute", "--preset", "embedded", "-o", str(tmp_path / "new"))
    picture = Path(drawn["figure"]).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(("compute", "--preset", "huge"), "no preset 'huge'"), (("identity", "-o", "x"), "evaluate compute")],
)
def test_bad_input_to_the_table(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    assert cli.main(("evaluate", *arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1
