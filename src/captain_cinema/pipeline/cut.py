"""Cutting the film: shots in a row, the contact sheet, the timeline, and a copy where the user wants one."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from captain_cinema.cut.contact_sheet import Tile, draw_contact_sheet
from captain_cinema.cut.film import ENCODING, FilmShot, clip_ticks, film_size, write_film
from captain_cinema.cut.timeline import TimelineClip, relative_media, timeline_text
from captain_cinema.errors import ProjectError
from captain_cinema.pipeline.production import Production, spoken_numbers
from captain_cinema.project.files import flush, part_of, sha256_file, sha256_text
from captain_cinema.project.folder import check_output, claim_output, output_key
from captain_cinema.project.pictures import read_picture, write_picture
from captain_cinema.project.sound import has_sound
from captain_cinema.project.stale import ShotStatus, Verdict


@dataclass(frozen=True, kw_only=True)
class Cut:
    """The finished film."""

    film: Path
    contact_sheet: Path
    timeline: Path
    shots: tuple[int, ...]
    left_out: tuple[int, ...]
    seconds: float
    written: tuple[str, ...]
    """Names of what was written; what was up to date is not among them."""


def make_cut(production: Production, *, limit: int | None = None, output: Path | None = None) -> Cut:
    """Cut the film of all shots that are there, with its contact sheet and timeline.

    Raises:
        ProjectError: no shot is there, one is damaged, or the film may not be written where it is asked for.
    """
    folder, report = production.folder, production.report
    for place in (folder.film, *([output] if output else [])):
        check_output(folder, production.state, place)
    statuses = production.survey(limit)
    ready = [status for status in statuses if status.clip_file.exists]
    if not ready:
        raise ProjectError(
            f"no shot is there to cut; 'cinema shoot {folder.path}' makes them from the keyframes"
        )
    for status in ready:
        if status.clip.state == "damaged":
            raise ProjectError(
                f"{status.clip_file.path} is damaged; 'cinema shoot {folder.path}' makes it again"
            )
    left_out = tuple(s.plan.number for s in statuses if not s.clip_file.exists)
    if left_out:
        report.say(f"not made yet, so left out of the film: {spoken_numbers(left_out)}")
    shots = film_shots(production, ready)
    written = [
        *_write_film(production, ready, shots),
        *_write_contact_sheet(production, statuses),
        *_write_timeline(production, ready, shots),
    ]
    if output is not None and output.resolve() != folder.film.resolve():
        written += _copy_film(production, output)
    return Cut(
        film=output or folder.film,
        contact_sheet=folder.contact_sheet,
        timeline=folder.timeline,
        shots=tuple(s.plan.number for s in ready),
        left_out=left_out,
        seconds=sum(shot.frames for shot in shots) / production.camera.facts.fps,
        written=tuple(written),
    )


HELD = 8
"""A clip may lack so many frames of what the script asks for: backends make lengths of their own steps, and
the last frame stands still for the rest."""


def film_shots(production: Production, ready: Sequence[ShotStatus]) -> list[FilmShot]:
    """Every clip's place in the film: its length and its transitions, as the script has them."""
    fps = production.camera.facts.fps
    shots: list[FilmShot] = []
    for place, status in enumerate(ready):
        shot, following = status.plan.shot, ready[place + 1].plan.shot if place + 1 < len(ready) else None
        ends_dark = following.transition == "fade" if following else production.script.ending == "fade"
        fading = (following or shot).transition_seconds
        out = round(fading * fps / (2 if following else 1)) if ends_dark else 0
        begins = round(shot.transition_seconds * fps)
        frames = _frame_count(status, fps)
        dark = {"fade_in": begins // 2 if place else begins} if shot.transition == "fade" else {}
        over = {"cross_fade": min(begins, frames)} if shot.transition == "cross-fade" and place else {}
        clip = status.clip_file.path
        shots.append(FilmShot(clip=clip, frames=frames, fade_out=min(out, frames), **dark, **over))
    return shots


def _frame_count(status: ShotStatus, fps: int) -> int:
    """Frames of a shot in the film: as the script asks, if its clip has as many; a clip that was put in by
    hand lasts as long as it does.
    """
    recorded = _recorded(status)
    if recorded is None:
        return clip_ticks(status.clip_file.path, fps)
    return min(max(1, round(status.plan.shot.seconds * fps)), recorded + HELD)


def _recorded(status: ShotStatus) -> int | None:
    """Frames of a clip, handles included; None for one put in by hand."""
    record = status.clip_file.record or {}
    frames = record.get("frames")
    return frames if status.clip_file.finished and isinstance(frames, int) else None


def _write_film(production: Production, ready: Sequence[ShotStatus], shots: Sequence[FilmShot]) -> list[str]:
    facts = production.camera.facts
    height, width = film_size(facts.height, facts.width)
    made_from = _film_inputs(production, ready, shots)

    def write(part: Path) -> None:
        production.report.say(f"cutting {len(shots)} shots into {production.folder.film}")
        write_film(part, shots, fps=facts.fps, height=height, width=width, title=production.script.title)

    return _write_output(production, production.folder.film, made_from, write)


def _film_inputs(
    production: Production, ready: Sequence[ShotStatus], shots: Sequence[FilmShot]
) -> list[object]:
    facts = production.camera.facts
    return [
        ENCODING,
        film_size(facts.height, facts.width),
        facts.fps,
        production.script.title,
        [status.clip_file.sha256 for status in ready],
        [[shot.frames, shot.cross_fade, shot.fade_in, shot.fade_out] for shot in shots],
    ]


def judge_film(production: Production, statuses: Sequence[ShotStatus]) -> Verdict:
    """Whether the film in the folder is the cut of its shots as they are."""
    path = production.folder.film
    if not path.is_file():
        return Verdict(state="missing")
    sha256, key = sha256_file(path), output_key(production.folder, path)
    if sha256 not in production.state.outputs.get(key, ()):
        return Verdict(state="by hand")
    ready = [status for status in statuses if status.clip_file.exists]
    if any(status.clip.state == "damaged" for status in ready):
        return Verdict(state="stale", why="one of its shots is damaged")
    made_from = _film_inputs(production, ready, film_shots(production, ready))
    digest = sha256_text(json.dumps(made_from))
    if production.state.cut.get(key) != {"from": digest, "sha256": sha256}:
        return Verdict(state="stale", why="its shots changed since it was cut")
    if not all(status.clip.settled for status in ready):
        return Verdict(state="stale", why="some of its shots are to be made again")
    return Verdict(state="done")


def _write_contact_sheet(production: Production, statuses: Sequence[ShotStatus]) -> list[str]:
    drawn = [s for s in statuses if s.keyframe_file.exists and s.keyframe.state != "damaged"]
    title, facts = production.script.title, production.facts
    words = [(status.plan.number, status.plan.shot.caption) for status in drawn]
    subtitle = f"{len(statuses)} shots, {sum(s.plan.shot.seconds for s in statuses):g} s"
    made_from = ["sheet 1", title, subtitle, words, [s.keyframe_file.sha256 for s in drawn]]

    def write(part: Path) -> None:
        tiles = [
            Tile(
                number=status.plan.number,
                caption=status.plan.shot.caption,
                frame=read_picture(status.keyframe_file.path, height=facts.height, width=facts.width),
            )
            for status in drawn
        ]
        write_picture(part, draw_contact_sheet(tiles, title=title, subtitle=subtitle))

    return _write_output(production, production.folder.contact_sheet, made_from, write)


def _write_timeline(
    production: Production, ready: Sequence[ShotStatus], shots: Sequence[FilmShot]
) -> list[str]:
    clips = [
        TimelineClip(
            number=status.plan.number,
            caption=status.plan.shot.caption,
            scene=status.plan.shot.scene,
            media=relative_media(status.clip_file.path, production.folder.path),
            frames=shot.frames,
            facts={
                "sha256": status.clip_file.sha256,
                "seed": status.plan.keyframe_seed,
                "take": status.plan.take,
                "preset": production.facts.name,
                "revision": production.facts.revision,
                **({} if production.camera.own else {"backend": production.camera.facts.name}),
            },
            available=_recorded(status) or shot.frames,
            cross_fade=shot.cross_fade,
            fade_in=shot.fade_in,
            fade_out=shot.fade_out,
            sound=has_sound(status.clip_file.path),
        )
        for status, shot in zip(ready, shots, strict=True)
    ]
    title, fps = production.script.title, production.camera.facts.fps
    made_from = ["otio 2", title, fps, [dataclasses.asdict(clip) for clip in clips]]

    def write(part: Path) -> None:
        part.write_text(timeline_text(clips, title=title, fps=fps), "utf-8", newline="\n")

    return _write_output(production, production.folder.timeline, made_from, write)


def _copy_film(production: Production, output: Path) -> list[str]:
    film = production.folder.film
    return _write_output(
        production, output, ["copy", sha256_file(film)], lambda part: shutil.copyfile(film, part)
    )


def _write_output(
    production: Production, path: Path, made_from: object, write: Callable[[Path], object]
) -> list[str]:
    """Write a file that may stand among the user's own: what was changed by hand since is never replaced.

    The state learns the file's hash before the file gets its name, so that no kill makes a stranger of it.
    """
    key, digest = output_key(production.folder, path), sha256_text(json.dumps(made_from))
    present = sha256_file(path) if path.is_file() else ""
    known = production.state.cut.get(key, {})
    if present and known == {"from": digest, "sha256": present}:
        return []
    if present and present not in production.state.outputs.get(key, ()):
        production.report.say(f"{path} was changed by hand: kept; move it away to have a new one")
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        write(part)
        flush(part)
        sha256 = sha256_file(part)
        state = claim_output(production.folder, production.state, path, sha256)
        production.save(
            dataclasses.replace(state, cut={**state.cut, key: {"from": digest, "sha256": sha256}})
        )
        os.replace(part, path)
        flush(path.parent)
    finally:
        part.unlink(missing_ok=True)
    return [path.name]
