"""What a command hands back: an object for scripts and lines for people."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Printed at the end on standard output: `data` with --json, else `text`."""

    data: dict[str, Any] = field(default_factory=dict)
    text: str = ""
