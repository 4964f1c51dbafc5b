"""The backends that can film shots, as they declare themselves (docs/shots.md shows the table).

Nothing here loads a model: what a script asks for is held against this before any work starts.
"""

from __future__ import annotations

from captain_cinema.errors import AbilityError
from captain_cinema.shots.abilities import EMBEDDED_ABILITIES, Abilities

_APACHE = "Apache-2.0"

WAN_TI2V_5B = Abilities(
    name="wan2.2-ti2v-5b",
    weights="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
    licence=_APACHE,
    height=704,
    width=1280,
    size_step=32,
    max_pixels=1280 * 704,
    fps=24,
    frame_step=4,
    min_seconds=1.0,
    max_seconds=5.0,
    max_shots_together=8,
    max_context=32,
    gpu_gib=24,
)

WAN_I2V_A14B = Abilities(
    name="wan2.2-i2v-a14b",
    weights="Wan-AI/Wan2.2-I2V-A14B-Diffusers",
    licence=_APACHE,
    height=480,
    width=832,
    size_step=16,
    max_pixels=1280 * 720,
    fps=16,
    frame_step=4,
    min_seconds=1.0,
    max_seconds=5.0,
    max_shots_together=1,
    max_context=0,
    keyframes="first and last",
    conditioning=("first frame", "last frame", "caption", "film caption"),
    gpu_gib=48,
)

WAN_VACE = Abilities(
    name="wan2.1-vace-14b",
    weights="Wan-AI/Wan2.1-VACE-14B-diffusers",
    licence=_APACHE,
    height=480,
    width=832,
    size_step=16,
    max_pixels=1280 * 720,
    fps=16,
    frame_step=4,
    min_seconds=1.0,
    max_seconds=5.0,
    max_shots_together=1,
    max_context=0,
    keyframes="any",
    conditioning=("any frame", "caption", "film caption"),
    gpu_gib=48,
)

LTX_2 = Abilities(
    name="ltx-2",
    weights="Lightricks/LTX-2",
    licence="LTX-2 Community License",
    limits="free below 10 million USD of revenue a year; forbids the uses it lists",
    height=512,
    width=768,
    size_step=32,
    max_pixels=1920 * 1088,
    fps=24,
    frame_step=8,
    min_seconds=1.0,
    max_seconds=20.0,
    max_shots_together=1,
    max_context=0,
    keyframes="any",
    conditioning=("any frame", "caption", "film caption", "sound in words"),
    audio=True,
    gpu_gib=48,
)

BACKENDS: dict[str, Abilities] = {
    able.name: able for able in (EMBEDDED_ABILITIES, WAN_TI2V_5B, WAN_I2V_A14B, WAN_VACE, LTX_2)
}

PRESET_BACKENDS = {"embedded": "embedded", "open": "wan2.2-ti2v-5b", "paper": "wan2.2-ti2v-5b"}
"""The backend that each preset films with unless another is named."""


def backend_named(name: str) -> Abilities:
    """A backend's declaration.

    Raises:
        AbilityError: there is none of that name.
    """
    if name not in BACKENDS:
        raise AbilityError(f"there is no shot backend '{name}'; use {' or '.join(BACKENDS)}")
    return BACKENDS[name]


def table() -> str:
    """The table of docs/shots.md, a backend a row, as Markdown."""
    head = (
        "backend",
        "weights",
        "GPU memory",
        "licence",
        "keyframes",
        "length",
        "frames a second",
        "sizes",
        "sound",
        "shots together",
    )
    rows = [
        (
            able.name,
            able.weights or "in the package",
            f"{able.gpu_gib} GB" if able.gpu_gib else "no GPU needed",
            able.licence + (f": {able.limits}" if able.limits else ""),
            able.keyframes,
            f"{able.min_seconds:g} to {able.max_seconds:g} s",
            str(able.fps),
            able.sizes,
            "yes" if able.audio else "no",
            str(able.max_shots_together),
        )
        for able in BACKENDS.values()
    ]
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
