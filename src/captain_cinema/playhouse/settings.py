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


@lru_cache(maxsize=48)
def backdrop(place: Place, hour: str, weather: str, height: int) -> np.ndarray:
    """The painted sheet of a place: uint8 RGB at `backdrop.OVERSIZE` times the frame's scale, read-only."""
    sheet = Sheet(place, hour, weather, height)
    _PAINTERS[place.setting](sheet)
    sheet.veil()
    sheet.image.setflags(write=False)
    return sheet.image
