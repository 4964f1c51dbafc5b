"""Shots as H.264 mp4: written and read a frame at a time, never a whole film in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from captain_cinema.errors import ProjectError
from captain_cinema.project.pictures import SOURCE_TYPE, SYNTHETIC
from captain_cinema.project.sound import SoundWriter

if TYPE_CHECKING:
    import numpy as np

CLIP_QUALITY = 12
"""x264's constant rate factor of a shot's clip: it is the master, so nearly lossless."""

FILM_QUALITY = 18
"""Of the cut film: no difference to be seen."""

ENCODING = f"libx264 crf {CLIP_QUALITY} medium 1"
"""What decides a clip's bytes besides its frames; part of what a clip is made from."""


def write_clip(
    path: Path,
    frames: Iterable[np.ndarray],
    *,
    fps: int,
    quality: int = CLIP_QUALITY,
    title: str = "",
    sound: Iterable[np.ndarray] | None = None,
) -> int:
    """Write uint8 RGB frames [h, w, 3] as an mp4 that browsers play; same frames, same bytes. Returns their
    count. `sound` comes in blocks of float32 [2, samples] at `sound.SAMPLE_RATE`, and is written as AAC.

    One encoder thread: with more, x264 may cut the frame into other slices on another machine. No macroblock
    tree: on small frames its vector code reads past what was written, and one film in ten came out otherwise.
    """
    from av.error import FFmpegError

    try:
        return _encode(path, frames, fps, quality, title, sound)
    except FFmpegError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _encode(
    path: Path,
    frames: Iterable[np.ndarray],
    fps: int,
    quality: int,
    title: str,
    sound: Iterable[np.ndarray] | None,
) -> int:
    import av

    count = 0
    options = {"movflags": "+faststart+use_metadata_tags", "fflags": "+bitexact"}
    with av.open(str(path), "w", format="mp4", options=options) as container:
        container.metadata["comment"] = f"{SYNTHETIC} {SOURCE_TYPE}"
        if title:
            container.metadata["title"] = title
        stream: Any = None
        writer: SoundWriter | None = None
        for frame in frames:
            if stream is None:
                stream = _new_stream(container, frame, fps, quality)
                writer = None if sound is None else SoundWriter(container, iter(sound))
            picture = av.VideoFrame.from_ndarray(frame, format="rgb24")
            picture = picture.reformat(format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG")
            picture.pts = count
            picture.time_base = Fraction(1, fps)
            container.mux(stream.encode(picture))
            count += 1
            if writer is not None:
                writer.upto(count / fps)
        if stream is None:
            raise ValueError("a clip without frames")
        container.mux(stream.encode())
        if writer is not None:
            writer.close()
    return count


def _new_stream(container: Any, frame: np.ndarray, fps: int, quality: int) -> Any:
    stream = container.add_stream("libx264", rate=fps)
    stream.height, stream.width = frame.shape[:2]
    stream.pix_fmt = "yuv420p"
    stream.time_base = Fraction(1, fps)
    stream.codec_context.thread_count = 1
    stream.options = {
        "crf": str(quality),
        "preset": "medium",
        "x264-params": "threads=1:mbtree=0:colorprim=bt709:transfer=bt709:colormatrix=bt709",
    }
    return stream


def read_clip(path: Path) -> Iterator[tuple[float, np.ndarray]]:
    """The frames of a clip with their times in seconds from the first, decoded one by one.

    Raises:
        ProjectError: when the file is damaged or has no pictures.
    """
    import av
    from av.error import FFmpegError

    hint = f"{path} is damaged or not a clip; 'cinema shoot FOLDER' makes it again"
    count, declared, start = 0, 0, 0.0
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ProjectError(hint)
            stream = container.streams.video[0]
            stream.codec_context.options = {"err_detect": "explode"}
            declared = stream.frames
            for frame in container.decode(stream):
                if frame.is_corrupt:
                    raise ProjectError(hint)
                time = float(frame.time) if frame.time is not None else 0.0
                start = time if count == 0 else start
                count += 1
                yield time - start, frame.to_ndarray(format="rgb24")
    except (FFmpegError, ValueError) as error:
        if isinstance(error, PermissionError | FileNotFoundError):
            raise
        raise ProjectError(hint) from error
    if count == 0 or count < declared:
        raise ProjectError(hint)


def is_clip(path: Path) -> bool:
    """Whether the file decodes to its last frame."""
    try:
        for _ in read_clip(path):
            pass
    except ProjectError:
        return False
    return True
