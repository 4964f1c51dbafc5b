"""The published models of the `open` and `paper` presets: where they are, under which licence.

Nothing here loads a model library: a film is planned and told about without one. Weights come from a folder
of the user's, or from the Hugging Face hub.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captain_cinema.backbone.folders import first_line
from captain_cinema.errors import AbilityError, WeightsError

_LOG = logging.getLogger(__name__)

PERMISSIVE = ("apache-2.0", "mit", "bsd-3-clause", "not stated")
"""Licences that let one do as one likes; whoever wrote weights of their own need not state one."""

HUB_FILES = (
    "*.json",
    "*/*.json",
    "*/*.safetensors",
    "*/*.txt",
    "*/*.jinja",
    "*/*.model",
    "README.md",
    "LICENSE*",
)
"""What is downloaded of a pipeline: no pickles, and not the same weights again in another layout."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A model as it is published."""

    name: str
    repo: str
    licence: str
    revision: str = "main"
    gigabytes: int
    files: tuple[str, ...] = HUB_FILES

    @property
    def page(self) -> str:
        """Where its terms can be read."""
        return f"https://huggingface.co/{self.repo}"


_BFL = "flux-non-commercial-license"
KLEIN_BASE_4B = Published(
    name="FLUX.2-klein-base-4B",
    repo="black-forest-labs/FLUX.2-klein-base-4B",
    licence="apache-2.0",
    gigabytes=16,
)
FLUX1_DEV = Published(
    name="FLUX.1-dev",
    repo="black-forest-labs/FLUX.1-dev",
    licence="flux-1-dev-non-commercial-license",
    gigabytes=34,
)
CLIP = Published(
    name="CLIP ViT-L/14",
    repo="openai/clip-vit-large-patch14",
    licence="mit",
    gigabytes=2,
    files=("*.json", "merges.txt", "model.safetensors", "README.md"),
)
WAN = Published(
    name="Wan2.2-TI2V-5B",
    repo="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    licence="apache-2.0",
    gigabytes=32,
)
MODELS = (
    KLEIN_BASE_4B,
    Published(
        name="FLUX.2-klein-4B",
        repo="black-forest-labs/FLUX.2-klein-4B",
        licence="apache-2.0",
        gigabytes=16,
    ),
    Published(
        name="FLUX.2-klein-base-9B",
        repo="black-forest-labs/FLUX.2-klein-base-9B",
        licence=_BFL,
        gigabytes=35,
    ),
    Published(name="FLUX.2-klein-9B", repo="black-forest-labs/FLUX.2-klein-9B", licence=_BFL, gigabytes=35),
    Published(
        name="FLUX.2-klein-9b-kv", repo="black-forest-labs/FLUX.2-klein-9b-kv", licence=_BFL, gigabytes=35
    ),
    FLUX1_DEV,
    CLIP,
    WAN,
)
"""All that a preset or the docs name; licences by the names on their model cards."""

_BY_SIZE = {(24, 7680): "apache-2.0", (32, 12288): _BFL, (48, 15360): _BFL, (24, 4096): FLUX1_DEV.licence}
"""Heads and text width of a published transformer -> its licence, for a folder without a model card."""


def hub_folder(model: Published, *, download: bool) -> Path | None:
    """The folder of a model in the hub's cache.

    Args:
        model: what is wanted.
        download: fetch it, or what of it is not there yet; else None is given where it is not whole.

    Raises:
        WeightsError: no network, no access, or not enough of it came.
        AbilityError: huggingface_hub is not installed.
    """
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import (
            GatedRepoError,
            HfHubHTTPError,
            LocalEntryNotFoundError,
            OfflineModeIsEnabled,
            RepositoryNotFoundError,
            RevisionNotFoundError,
        )
    except ImportError:
        raise AbilityError("weights from the hub need a package: pip install huggingface_hub") from None
    if download and hub_folder(model, download=False) is None:
        _LOG.info("fetching %s from the hub, %d GB: %s", model.name, model.gigabytes, model.page)
    elsewhere = f"or download {model.page} on another machine and name its folder with --weights"
    try:
        return Path(
            snapshot_download(
                model.repo,
                revision=model.revision,
                allow_patterns=list(model.files),
                local_files_only=not download,
            )
        )
    except (LocalEntryNotFoundError, OfflineModeIsEnabled):
        if not download:
            return None
        raise WeightsError(
            f"{model.name} ({model.gigabytes} GB) is not on this machine and the hub cannot be reached; "
            f"connect to the network, {elsewhere}"
        ) from None
    except GatedRepoError:
        raise WeightsError(
            f"{model.name} asks you to accept its terms: do so on {model.page}, log in with `hf auth login`, "
            "and run this again"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise WeightsError(
            f"the hub does not show {model.repo} at {model.revision!r} to you; log in with `hf auth login`, "
            f"{elsewhere}"
        ) from None
    except (HfHubHTTPError, ConnectionError, TimeoutError) as error:
        raise WeightsError(
            f"the hub refuses {model.name} ({first_line(error)}); try again, {elsewhere}"
        ) from None


def is_pipeline(folder: Path) -> bool:
    """Whether a folder is itself a pipeline as diffusers writes it."""
    return (folder / "model_index.json").is_file() or (folder / "transformer").is_dir()


def keyframes_folder(weights: Path) -> Path:
    """The keyframe pipeline in a folder of the user's: `keyframes` in it, or the folder itself.

    Raises:
        WeightsError: there is none.
    """
    if not weights.is_dir():
        raise WeightsError(
            f"there is no folder {weights}; name one with --weights, or leave it out for the hub"
        )
    for place in (weights, weights / "keyframes"):
        if is_pipeline(place):
            return place
    loose = [path.name for path in weights.glob("*") if path.suffix in (".safetensors", ".ckpt", ".gguf")]
    if loose:
        raise WeightsError(
            f"{weights} holds {loose[0]}, one file of another layout; a diffusers pipeline folder was "
            "expected (model_index.json, transformer, text_encoder, tokenizer, vae)"
        )
    raise WeightsError(
        f"{weights} holds no keyframe pipeline: put a diffusers folder of {KLEIN_BASE_4B.repo} there, or in "
        f"{weights / 'keyframes'}"
    )


def pipeline_class(folder: Path) -> str:
    """The pipeline that model_index.json names, or nothing."""
    return str(_json_or_nothing(folder / "model_index.json").get("_class_name", ""))


def is_distilled(folder: Path) -> bool:
    """Whether a klein pipeline says that it is distilled to few steps."""
    return bool(_json_or_nothing(folder / "model_index.json").get("is_distilled", False))


def licence_of(folder: Path) -> str:
    """The licence of a pipeline's folder: its model card's, else that of the published model of its size."""
    card = folder / "README.md"
    if card.is_file():
        head = card.read_text(encoding="utf-8", errors="replace")[:20_000]
        fields = dict(re.findall(r"^(license|license_name):\s*[\"']?([\w.\-]+)", head, re.MULTILINE))
        stated = fields.get("license_name") or fields.get("license")
        if stated:
            return stated.lower()
    config = _json_or_nothing(folder / "transformer" / "config.json")
    heads, width = config.get("num_attention_heads"), config.get("joint_attention_dim")
    return next((licence for size, licence in _BY_SIZE.items() if size == (heads, width)), "not stated")


def check_licence(
    licence: str, accepted: Sequence[str], *, page: str, ask: Callable[[str], str] | None
) -> str:
    """See that the user has agreed to a licence that is not permissive; gives its name, or nothing.

    Args:
        licence: its name.
        accepted: names that the user agreed to.
        page: where it can be read.
        ask: asks at the terminal; None where nobody sits there.

    Raises:
        AbilityError: it is not accepted.
    """
    if licence.lower() in PERMISSIVE:
        return ""
    if licence.lower() in (name.strip().lower() for name in accepted):
        return licence
    if ask is not None and ask(
        f"These weights are under the {licence} ({page}): it limits what you may do with them and with what "
        "they make. Do you accept it? [y/N] "
    ).strip().lower() in ("y", "yes"):
        return licence
    raise AbilityError(
        f"the {licence} of these weights is not accepted: read it ({page}), then give "
        f"--accept-licence {licence}"
    )


SAMPLES, SAMPLE_BYTES = 64, 4096
"""Of a large file, so many places are looked at for its fingerprint."""


def fingerprint(folder: Path, *, parts: Sequence[str] = ("",)) -> str:
    """A digest that tells one set of weights from another in milliseconds, whatever their size.

    Small files count whole; of a large one its size and 64 places spread over it. Training changes every
    weight, so it cannot miss that; it is no guard against damage, which loading finds.
    """
    whole = hashlib.sha256()
    for part in parts:
        root = folder / part if part else folder
        found = [root] if root.is_file() else root.rglob("*")
        files = (path for path in found if path.suffix in (".json", ".safetensors"))
        for path in sorted(files):
            if path.is_file():
                whole.update(f"{path.relative_to(folder).as_posix()} {_digest(path)}\n".encode())
    return whole.hexdigest()


def _digest(path: Path) -> str:
    digest, size = hashlib.sha256(), path.stat().st_size
    with path.open("rb") as file:
        if size <= SAMPLES * SAMPLE_BYTES:
            digest.update(file.read())
        else:
            digest.update(str(size).encode())
            for number in range(SAMPLES):
                file.seek(number * (size - SAMPLE_BYTES) // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def terminal_question() -> Callable[[str], str] | None:
    """Asks at the terminal, if somebody sits there."""
    import sys

    if not sys.stdin or not sys.stdin.isatty() or os.environ.get("CI"):
        return None
    return _ask


def _ask(question: str) -> str:
    import sys

    print(question, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline()


def _json_or_nothing(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
