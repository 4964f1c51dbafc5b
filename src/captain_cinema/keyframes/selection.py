"""Which earlier frames are seen: by meaning, not by age (paper, section 3.2 and figure 5).

Films flash back and return to places. So the context of a new frame is the last frame, the frames that the
user pins, and those whose picture is nearest in meaning to the new caption. A picture-text encoder knows no
proper names, so the default mode also asks who is in the captions: it never leaves out a character who was
seen before.

This module only chooses, with NumPy; `retrieval` makes the embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from captain_cinema.errors import AbilityError

Mode = Literal["clip", "text", "clip+names", "text+names"]
"""What is compared with the new caption: "clip" the frame's picture (the paper's choice), "text" the frame's
caption (the paper's baseline), "clip+names" the picture and the names in the caption (the default), and
"text+names" both from captions alone, where there is no picture encoder."""
MODES: tuple[Mode, ...] = ("clip", "text", "clip+names", "text+names")

NAME_BONUS = 0.5
"""Score that a frame gets for showing everybody in the new caption; cosines of pictures spread over less."""
CROWD = 3
"""So many characters in one frame stand small or hide each other."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What the new caption asks for."""

    picture: Float[np.ndarray, " picture_dim"] | None = None
    """The caption in the space of pictures."""
    text: Float[np.ndarray, " text_dim"] | None = None
    """The caption's sentence embedding."""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What is known of an earlier frame."""

    picture: Float[np.ndarray, " picture_dim"] | None = None
    text: Float[np.ndarray, " text_dim"] | None = None
    names: tuple[str, ...] = ()
    wide: bool = False
    """Its caption says that it was taken from afar."""

    @property
    def clear(self) -> bool:
        """Whether one can probably tell what the characters look like."""
        return not self.wide and len(self.names) < CROWD


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The chosen frames."""

    indices: tuple[int, ...]
    """In story order."""
    scores: tuple[float, ...]
    """How near each of them is to the caption."""
    ranked: tuple[int, ...]
    """The same frames, in the order in which they were chosen: the one that matters most first."""


def select_context(
    wanted: Wanted,
    seen: Sequence[Seen],
    *,
    count: int,
    pins: Sequence[int] = (),
    mode: Mode = "clip+names",
) -> Selection:
    """Choose the frames that a new frame is conditioned on.

    The last frame and the pins are always in. With names the next places go to the latest clear frame
    of every named character who is not shown yet, the rest to the best scores; later frames win ties.

    Args:
        wanted: The new caption.
        seen: Every earlier frame, in story order.
        count: How many may be chosen.
        pins: Indices of frames that the user forces in.
        mode: What is compared.

    Raises:
        AbilityError: The pins and the last frame are more than `count`.
        ValueError: A pin is no frame, or an embedding that the mode needs is missing.
    """
    if any(not 0 <= pin < len(seen) for pin in pins):
        raise ValueError(f"pins {tuple(pins)} must lie between 0 and {len(seen) - 1}")
    if not seen or (count < 1 and not pins):
        return Selection(indices=(), scores=(), ranked=())
    ranked = list(dict.fromkeys([len(seen) - 1, *pins]))
    if len(ranked) > count:
        raise AbilityError(
            f"{len(ranked) - 1} pinned frames and the last one do not fit into a memory of {count};"
            f" pin at most {max(count - 1, 0)}"
        )
    scores = score_frames(wanted, seen, mode=mode)
    if mode.endswith("+names"):
        for name in wanted.names:
            showing = _frame_of(name, seen, ranked)
            if showing is not None and len(ranked) < count:
                ranked.append(showing)
    order = sorted(range(len(seen)), key=lambda index: (-scores[index], -index))
    ranked += [index for index in order if index not in ranked][: count - len(ranked)]
    indices = tuple(sorted(ranked))
    return Selection(
        indices=indices, scores=tuple(float(scores[index]) for index in indices), ranked=tuple(ranked)
    )


def score_frames(wanted: Wanted, seen: Sequence[Seen], *, mode: Mode) -> Float[np.ndarray, " frames"]:
    """How near every earlier frame is to the caption: cosines, and with names the bonus for those."""
    words = mode.startswith("text")
    vectors = [frame.text if words else frame.picture for frame in seen]
    query = wanted.text if words else wanted.picture
    if query is None or any(vector is None for vector in vectors):
        raise ValueError(f"mode {mode!r} needs {'text' if words else 'picture'} embeddings")
    table = np.stack([np.asarray(vector, dtype=np.float64) for vector in vectors])
    lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(query)
    scores = (table @ np.asarray(query, dtype=np.float64)) / np.maximum(lengths, 1e-12)
    if mode.endswith("+names") and wanted.names:
        shared = [len(set(wanted.names) & set(frame.names)) for frame in seen]
        scores = scores + NAME_BONUS * np.array(shared) / len(wanted.names)
    return scores


def _frame_of(name: str, seen: Sequence[Seen], chosen: Sequence[int]) -> int | None:
    """The latest clear frame of a character, or its latest one; None if it is shown already or never was."""
    showing = [index for index, frame in enumerate(seen) if name in frame.names]
    clear = [index for index in showing if seen[index].clear]
    candidates = clear or showing
    if not candidates or any(index in candidates for index in chosen):
        return None
    return candidates[-1]
