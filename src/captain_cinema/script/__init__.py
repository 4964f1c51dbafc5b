"""The script: title, cast and shots, what passes from the writer to the storyboard (design section 7)."""

from captain_cinema.script.file import dump_script, load_script, parse_script
from captain_cinema.script.model import (
    CAMERAS,
    DEFAULT_SECONDS,
    FRAMINGS,
    MAX_CAPTION,
    MAX_CAST,
    MAX_NAME,
    MAX_SECONDS,
    MAX_SEED,
    MAX_SHOTS,
    MIN_SECONDS,
    TRANSITIONS,
    CastMember,
    Script,
    Shot,
    check_name,
    filmed_seconds,
    shot_prompt,
)
from captain_cinema.script.names import name_key, names_in

__all__ = [
    "CAMERAS",
    "DEFAULT_SECONDS",
    "FRAMINGS",
    "MAX_CAPTION",
    "MAX_CAST",
    "MAX_NAME",
    "MAX_SECONDS",
    "MAX_SEED",
    "MAX_SHOTS",
    "MIN_SECONDS",
    "TRANSITIONS",
    "CastMember",
    "Script",
    "Shot",
    "check_name",
    "dump_script",
    "filmed_seconds",
    "load_script",
    "name_key",
    "names_in",
    "parse_script",
    "shot_prompt",
]
