"""A playhouse film as files: keyframes, moving film, script, and the truth about all of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from captain_cinema.errors import AbilityError, ProjectError
from captain_cinema.playhouse import render
from captain_cinema.playhouse.looks import describe, split_of_look
from captain_cinema.playhouse.names import split_of_name
from captain_cinema.playhouse.story import PlayhouseFilm, PlayhouseShot, film, frame_state, split_of_place
from captain_cinema.script import CastMember, Script, Shot, dump_script

FRAME_RATE = 12
MAKER = "captain-cinema playhouse"
TRUTH_VERSION = 1
MIN_HEIGHT, MAX_HEIGHT = 32, 1080

SYNTHETIC = (
    "Drawn by Captain Cinema's playhouse from a seed: this is synthetic media. "
    "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
)
"""The mark that every film made carries (design section 10)."""

_CONTAINER = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
_ENCODER = {
    "crf": "16",
    "preset": "veryfast",
    "x264-params": "threads=1:colorprim=bt709:transfer=bt709:colormatrix=bt709",
}
"""One thread: with more, x264 may cut a frame into other slices on another machine."""

Progress = Callable[[int, int], None]
"""Called with the shots done and all of them."""


def write_film(
    folder: Path,
    *,
    seed: int,
    shots: int,
    split: str = "train",
    height: int = 256,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write the film of a seed into a folder: frames/, film.mp4, script.yaml, truth.json.

    Args:
        folder: A new or empty one, or one that an earlier call wrote.
        seed: The film's.
        shots: How many.
        split: "train" or "held-out".
        height: Of the frames in pixels, even; they are twice as wide.
        progress: Told after every shot.

    Returns:
        What was made, for scripts: title, paths, numbers of shots and frames, seconds.

    Raises:
        AbilityError: A height that no film can have.
        ProjectError: The folder holds something else, or cannot be written.
    """
    if height % 2 or not MIN_HEIGHT <= height <= MAX_HEIGHT:
        raise AbilityError(
            f"frames {height} pixels high cannot become a film; "
            f"choose an even height from {MIN_HEIGHT} to {MAX_HEIGHT}"
        )
    folder = Path(folder)
    made = film(seed, shots=shots, split=split)
    try:
        _claim(folder)
        known = json.dumps(truth(made, height=height), ensure_ascii=False, indent=1)
        _write_text(folder / "truth.json", known + "\n")  # first: it says that the folder is ours
        _write_text(folder / "script.yaml", dump_script(script_of(made)))
        frames = _write_pictures(folder, made, height=height, progress=progress)
    except OSError as error:
        reason = error.strerror or error
        raise ProjectError(
            f"{folder}: cannot write the film ({reason}); check the disk and permissions"
        ) from error
    return {
        "title": made.title,
        "folder": str(folder),
        "film": str(folder / "film.mp4"),
        "script": str(folder / "script.yaml"),
        "truth": str(folder / "truth.json"),
        "shots": len(made.shots),
        "frames": frames,
        "seconds": frames / FRAME_RATE,
    }


def script_of(made: PlayhouseFilm) -> Script:
    """The script: looks in the cast list, framing and camera in their fields, neither in the captions."""
    rng = np.random.default_rng(made.seed)
    return Script(
        title=made.title,
        caption=made.caption,
        cast=tuple(
            CastMember(name=member.name, description=describe(member.look, rng)) for member in made.cast
        ),
        shots=tuple(
            Shot(
                caption=shot.plain_caption,
                seconds=shot.seconds,
                camera=shot.state.camera,
                framing=shot.state.framing,
            )
            for shot in made.shots
        ),
    )


def truth(made: PlayhouseFilm, *, height: int) -> dict[str, Any]:
    """All that is known of a film; boxes are x0, y0, x1, y1 in pixels of a keyframe `height` pixels high."""
    places = dict.fromkeys(shot.state.place for shot in made.shots)
    return {
        "maker": MAKER,
        "version": TRUTH_VERSION,
        "seed": made.seed,
        "split": made.split,
        "title": made.title,
        "caption": made.caption,
        "height": height,
        "width": 2 * height,
        "frame_rate": FRAME_RATE,
        "cast": [
            {
                "name": member.name,
                "look": asdict(member.look),
                "splits": {"name": split_of_name(member.name), "look": split_of_look(member.look)},
            }
            for member in made.cast
        ],
        "places": [asdict(place) | {"split": split_of_place(place)} for place in places],
        "shots": [_shot_truth(shot, number, height) for number, shot in enumerate(made.shots)],
    }


def _shot_truth(shot: PlayhouseShot, number: int, height: int) -> dict[str, Any]:
    state = asdict(shot.state)
    for index, pose in enumerate(state["poses"]):
        pose["character"] = shot.state.poses[index].character.name
        pose["box"] = render.figure_box(shot.state, index, height=height)
    return {
        "number": number + 1,
        "frame": f"frames/{number:03d}.png",
        "caption": shot.caption,
        "bare_caption": shot.bare_caption,
        "seconds": shot.seconds,
        "scene": shot.scene,
        "names": shot.names,
        "introduces": shot.introduces,
        "matters": [index + 1 for index in shot.matters],
        "state": state,
    }


def _claim(folder: Path) -> None:
    """Make sure that the folder is new, empty, or ours: nobody's files are ever overwritten."""
    if folder.exists() and not folder.is_dir():
        raise ProjectError(f"{folder} is a file; choose a new folder for the film")
    if folder.is_dir() and any(folder.iterdir()) and not _is_ours(folder):
        raise ProjectError(f"{folder} holds other files; choose a new or empty folder for the film")
    folder.mkdir(parents=True, exist_ok=True)


def _is_ours(folder: Path) -> bool:
    try:
        found = json.loads((folder / "truth.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.get("maker") == MAKER


def _write_pictures(folder: Path, made: PlayhouseFilm, *, height: int, progress: Progress | None) -> int:
    """Keyframes and the moving film; the number of frames."""
    (folder / "frames").mkdir(exist_ok=True)
    for old in (folder / "frames").glob("[0-9][0-9][0-9]*.png"):
        old.unlink()
    count = 0
    part = folder / "film.part.mp4"
    try:
        with av.open(str(part), "w", options=_CONTAINER) as container:
            container.metadata.update({"title": made.title, "comment": SYNTHETIC})
            stream: Any = container.add_stream("libx264", rate=FRAME_RATE)
            stream.width, stream.height, stream.pix_fmt = 2 * height, height, "yuv420p"
            stream.options = _ENCODER
            stream.codec_context.thread_count = 1
            for number, shot in enumerate(made.shots):
                for index in range(round(shot.seconds * FRAME_RATE)):
                    frame = render.draw(frame_state(shot, index / FRAME_RATE), height=height)
                    if index == 0:
                        _write_png(folder / "frames" / f"{number:03d}.png", frame)
                    picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
                    picture = picture.reformat(
                        format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
                    )
                    picture.pts, picture.time_base = count, Fraction(1, FRAME_RATE)
                    container.mux(stream.encode(picture))
                    count += 1
                if progress is not None:
                    progress(number + 1, len(made.shots))
            container.mux(stream.encode())
        os.replace(part, folder / "film.mp4")
    finally:
        part.unlink(missing_ok=True)
    return count


def _write_png(path: Path, frame: np.ndarray) -> None:
    done, data = cv2.imencode(".png", cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"OpenCV cannot encode a frame of shape {frame.shape} as PNG")
    _write(path, data.tobytes())


def _write_text(path: Path, text: str) -> None:
    _write(path, text.encode())


def _write(path: Path, data: bytes) -> None:
    """Write beside and rename: a file is there whole or not at all."""
    part = path.with_name(path.name + ".part")
    try:
        part.write_bytes(data)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
