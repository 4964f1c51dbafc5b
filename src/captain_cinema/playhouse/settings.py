"""The sixteen settings: from a place, an hour and the weather to a painted backdrop."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from captain_cinema.playhouse.backdrop import Sheet
from captain_cinema.playhouse.nature import NATURE
from captain_cinema.playhouse.rooms import ROOMS
from captain_cinema.playhouse.town import TOWN
from captain_cinema.playhouse.world import Place

_PAINTERS = {**NATURE, **TOWN, **ROOMS}


def backdrop(place: Place, hour: str, weather: str, height: int) -> np.ndarray:
    """The painted sheet of a place: uint8 RGB at `backdrop.OVERSIZE` times the frame's scale, read-only."""
    painted = _recent if height <= 512 else _recent_large
    return painted(place, hour, weather, height)


def _paint(place: Place, hour: str, weather: str, height: int) -> np.ndarray:
    sheet = Sheet(place, hour, weather, height)
    _PAINTERS[place.setting](sheet)
    sheet.veil()
    sheet.image.setflags(write=False)
    return sheet.image


# A film comes back to few places, a cross-cut to several at once. Large sheets take tens of megabytes each.
_recent = lru_cache(maxsize=48)(_paint)
_recent_large = lru_cache(maxsize=4)(_paint)


def forget_backdrops() -> None:
    """Empty the cache of painted backdrops (they are painted again when needed, the same)."""
    _recent.cache_clear()
    _recent_large.cache_clear()
