"""Reading folders that diffusers and transformers write: what can be wrong with them, said in one line."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from captain_cinema.errors import CinemaError, WeightsError

PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")
"""Endings of files that may run code when they are read."""

VOCABULARIES = ("tokenizer.json", "vocab.json", "spiece.model", "tokenizer.model")
"""Files of which a tokenizer has at least one."""


def read_json(path: Path, what: str) -> dict[str, Any]:
    """Read a JSON object of a model's folder.

    Raises:
        WeightsError: it is missing or damaged.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise WeightsError(
            f"no {path.name} of the {what} in {path.parent}; is the folder complete?"
        ) from None
    except (OSError, ValueError) as error:
        raise WeightsError(
            f"{path} cannot be read ({first_line(error)}); download the folder again"
        ) from None
    if not isinstance(value, dict):
        raise WeightsError(f"{path} is not a JSON object; download the folder again")
    return value


def read_class(folder: Path, what: str, known: Sequence[str]) -> str:
    """The class that a folder's config.json names, which must be one of those known.

    Raises:
        WeightsError: missing, damaged, or of another layout.
    """
    config = read_json(folder / "config.json", what)
    names = config.get("architectures")
    name = config.get("_class_name") or (names[0] if isinstance(names, list) and names else None)
    if name not in known:
        raise WeightsError(f"{folder} holds a {name}; as {what} a {' or a '.join(known)} was expected")
    return str(name)


def check_weights(folder: Path, what: str) -> None:
    """See that a folder has all its safetensors, before a model library looks.

    Raises:
        WeightsError: it has none, only pickles, or only some of its files.
    """
    files = sorted(folder.glob("*.safetensors"))
    for index in folder.glob("*.safetensors.index.json"):
        weight_map = read_json(index, what).get("weight_map")
        if not isinstance(weight_map, dict):
            raise WeightsError(f"{index} has no weight_map; download the folder again")
        for name in sorted({str(file) for file in weight_map.values()}):
            if not (folder / name).is_file():
                raise WeightsError(f"{folder / name} is missing; download the folder again")
    if files:
        return
    if any(path.suffix in PICKLES for path in folder.glob("*")):
        raise WeightsError(
            f"{folder} holds the {what} as a pickle alone, which may run code and is refused; "
            "convert it to safetensors"
        )
    raise WeightsError(f"no safetensors of the {what} in {folder}; is the folder complete?")


@contextmanager
def refusing(folder: Path, what: str) -> Iterator[None]:
    """Turn whatever a model library says of a folder into one line, and keep it quiet meanwhile.

    Raises:
        WeightsError: the folder cannot be read.
    """
    check_weights(folder, what)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (CinemaError, MemoryError, KeyboardInterrupt):
        raise
    except Exception as error:  # OSError, ValueError, RuntimeError, SafetensorError, TypeError ...
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise WeightsError(
            f"the {what} in {folder} cannot be read ({first_line(error)}); download the folder again"
        ) from error


def load_tokenizer(folder: Path, what: str) -> Any:
    """Read a tokenizer of transformers'.

    Raises:
        WeightsError: it is missing or damaged; transformers would make an empty one of nothing.
    """
    from transformers import AutoTokenizer

    if not any((folder / name).is_file() for name in VOCABULARIES):
        raise WeightsError(f"no tokenizer of the {what} in {folder}; is the folder complete?")
    try:
        return AutoTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # OSError, ValueError, KeyError, JSON errors
        raise WeightsError(
            f"the {what}'s tokenizer in {folder} cannot be read ({first_line(error)}); download it again"
        ) from error


def first_line(error: BaseException) -> str:
    """What an exception says first, short enough for a line."""
    text = str(error).strip() or type(error).__name__
    line = " ".join(text.splitlines()[0].split())
    return line if len(line) <= 160 else f"{line[:157]}..."
