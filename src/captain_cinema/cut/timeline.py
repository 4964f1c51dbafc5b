"""The cut as an OpenTimelineIO timeline, for editing programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from captain_cinema.project.pictures import SOURCE_TYPE


@dataclass(frozen=True, kw_only=True)
class TimelineClip:
    """A shot in the cut."""

    number: int
    caption: str
    scene: str
    media: str
    """Path of the clip, seen from the timeline's folder."""
    frames: int
    facts: dict[str, Any]
    """What made it: seed, preset and the like."""


def timeline_text(clips: Sequence[TimelineClip], *, title: str, fps: int) -> str:
    """The timeline as .otio text: one video track, media named relatively so that the folder can move."""
    import opentimelineio as otio

    timeline = otio.schema.Timeline(name=title)
    timeline.metadata["captain_cinema"] = {"synthetic": True, "digital_source_type": SOURCE_TYPE}
    track = otio.schema.Track(name="shots", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(track)
    for clip in clips:
        whole = otio.opentime.TimeRange(
            otio.opentime.RationalTime(0, fps), otio.opentime.RationalTime(clip.frames, fps)
        )
        reference = otio.schema.ExternalReference(target_url=clip.media, available_range=whole)
        item = otio.schema.Clip(name=_name(clip), media_reference=reference, source_range=whole)
        item.metadata["captain_cinema"] = {
            "shot": clip.number,
            "caption": clip.caption,
            "scene": clip.scene,
            **clip.facts,
        }
        track.append(item)
    return otio.adapters.otio_json.write_to_string(timeline) + "\n"


def _name(clip: TimelineClip) -> str:
    words = " ".join(clip.caption.replace("<", "").replace(">", "").split())
    return f"{clip.number:03d} {words[:60]}".strip()


def relative_media(clip: Path, folder: Path) -> str:
    """Path of a clip as a timeline in `folder` names it."""
    return clip.relative_to(folder).as_posix()
