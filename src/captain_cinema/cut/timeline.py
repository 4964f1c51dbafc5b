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
    """As long it is in the film."""
    facts: dict[str, Any]
    """What made it: seed, preset and the like."""
    available: int = 0
    """Frames of the clip, handles included; 0 for no more than the film has."""
    cross_fade: int = 0
    """Frames at its start that are blended over from the shot before."""
    fade_in: int = 0
    fade_out: int = 0
    sound: bool = False
    """The clip has a sound track."""


def timeline_text(clips: Sequence[TimelineClip], *, title: str, fps: int) -> str:
    """The timeline as .otio text: the shots on a video track, their sound, if any, on an audio track.

    Media is named relatively so that the folder can move.
    """
    import opentimelineio as otio

    timeline = otio.schema.Timeline(name=title)
    timeline.metadata["captain_cinema"] = {"synthetic": True, "digital_source_type": SOURCE_TYPE}
    video = otio.schema.Track(name="shots", kind=otio.schema.TrackKind.Video)
    timeline.tracks.append(video)
    for clip in clips:
        if clip.cross_fade:
            video.append(_dissolve(clip, fps))
        video.append(_item(clip, fps))
    if any(clip.sound for clip in clips):
        audio = otio.schema.Track(name="sound", kind=otio.schema.TrackKind.Audio)
        timeline.tracks.append(audio)
        for clip in clips:
            if clip.cross_fade:
                audio.append(_dissolve(clip, fps))
            audio.append(_item(clip, fps) if clip.sound else _gap(clip, fps))
    return otio.adapters.otio_json.write_to_string(timeline) + "\n"


def _item(clip: TimelineClip, fps: int) -> Any:
    import opentimelineio as otio

    reference = otio.schema.ExternalReference(
        target_url=clip.media, available_range=_range(max(clip.available, clip.frames), fps)
    )
    item = otio.schema.Clip(
        name=_name(clip), media_reference=reference, source_range=_range(clip.frames, fps)
    )
    fades = {"fade_in": clip.fade_in, "fade_out": clip.fade_out}
    item.metadata["captain_cinema"] = {
        "shot": clip.number,
        "caption": clip.caption,
        "scene": clip.scene,
        **clip.facts,
        **{key: frames for key, frames in fades.items() if frames},
    }
    return item


def _range(frames: int, fps: int) -> Any:
    import opentimelineio as otio

    return otio.opentime.TimeRange(
        otio.opentime.RationalTime(0, fps), otio.opentime.RationalTime(frames, fps)
    )


def _gap(clip: TimelineClip, fps: int) -> Any:
    import opentimelineio as otio

    return otio.schema.Gap(source_range=_range(clip.frames, fps))


def _dissolve(clip: TimelineClip, fps: int) -> Any:
    """A dissolve that begins at the cut: the shot before runs on into its handles."""
    import opentimelineio as otio

    return otio.schema.Transition(
        transition_type=otio.schema.TransitionTypes.SMPTE_Dissolve,
        in_offset=otio.opentime.RationalTime(0, fps),
        out_offset=otio.opentime.RationalTime(clip.cross_fade, fps),
    )


def _name(clip: TimelineClip) -> str:
    words = " ".join(clip.caption.replace("<", "").replace(">", "").split())
    return f"{clip.number:03d} {words[:60]}".strip()


def relative_media(clip: Path, folder: Path) -> str:
    """Path of a clip as a timeline in `folder` names it."""
    return clip.relative_to(folder).as_posix()
