"""Changing one shot in script.yaml and leaving the rest of the user's file, comments and all, as it is."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from captain_cinema.errors import StoryError
from captain_cinema.script import Script, Shot, dump_script, parse_script


def edit_shot(text: str, script: Script, number: int, **changes: Any) -> str:
    """The script's text with fields of shot `number` changed; `text` must be that of `script`.

    Values are replaced where they stand. Should that not give the wanted script (a value in a style that does
    not allow it), the whole file is written anew.
    """
    shot: Shot = dataclasses.replace(script.shots[number - 1], **changes)
    shots = (*script.shots[: number - 1], shot, *script.shots[number:])
    wanted = dataclasses.replace(script, shots=shots)
    edited = text
    for key, value in changes.items():
        edited = _replace_value(edited, number, key, value)
    try:
        if parse_script(edited) == wanted:
            return edited
    except StoryError:
        pass
    return dump_script(wanted)


def _replace_value(text: str, number: int, key: str, value: object) -> str:
    import yaml

    written = json.dumps(value, ensure_ascii=False)
    try:
        fields = _field(yaml.compose(text, Loader=yaml.SafeLoader), "shots").value[number - 1]
        node = _field(fields, key)
        if node is not None:
            return text[: node.start_mark.index] + written + text[node.end_mark.index :]
        caption = _field(fields, "caption")
        first = fields.value[0][0]
        end = caption.end_mark.index
        indent = " " * first.start_mark.column
        return f"{text[:end]}\n{indent}{key}: {written}{text[end:]}"
    except (AttributeError, IndexError, TypeError, yaml.YAMLError):
        return text


def _field(node: Any, key: str) -> Any:
    return next((value for name, value in node.value if name.value == key), None)
