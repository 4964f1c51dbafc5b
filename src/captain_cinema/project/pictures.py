"""Keyframes as PNG: lossless, marked as synthetic, read back whatever the user put in their place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from captain_cinema.errors import ProjectError

if TYPE_CHECKING:
    import numpy as np

SYNTHETIC = "Made by Captain Cinema, an AI model: this is synthetic media, not a record of real events."
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""The IPTC's word for media made by a trained model; tools that label such media look for it."""

MAX_PIXELS = 64_000_000
"""A picture put in by hand may be this large; more is a mistake or a bomb."""

ANIMATED = ("GIF", "PNG", "WEBP", "AVIF")
"""Formats whose further pictures are an animation; in others they are previews or pages."""


def write_picture(path: Path, frame: np.ndarray, *, synthetic: bool = True) -> None:
    """Write uint8 RGB [h, w, 3] as PNG; same frame, same bytes. What a model drew is marked as synthetic."""
    from PIL import Image, PngImagePlugin

    info = PngImagePlugin.PngInfo()
    if synthetic:
        info.add_text("Comment", SYNTHETIC)
        info.add_itxt("XML:com.adobe.xmp", _xmp())
    with path.open("wb") as file:
        Image.fromarray(frame).save(file, format="PNG", pnginfo=info)


def _xmp() -> str:
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" '
        f'ext:DigitalSourceType="{SOURCE_TYPE}"/></rdf:RDF></x:xmpmeta>'
    )


def read_picture(path: Path, *, height: int = 0, width: int = 0) -> np.ndarray:
    """Read a picture as uint8 RGB [h, w, 3]; with a size given, crop it centrally to that shape and scale it.

    Raises:
        ProjectError: when the file is damaged, is no picture, or is larger than MAX_PIXELS.
    """
    import numpy as np
    from PIL import Image, ImageOps

    try:
        with path.open("rb") as file, Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ProjectError(
                    f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS:,} in all work"
                )
            if (count := getattr(image, "n_frames", 1)) > 1 and image.format in ANIMATED:
                raise ProjectError(
                    f"{path} is an animation of {count} pictures; put a still one in its place"
                )
            image.load()
            colour = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ProjectError(f"{path} is damaged or not a picture; put a sound one in its place") from error
    if height and width and colour.size != (width, height):
        colour = ImageOps.fit(colour, (width, height), Image.Resampling.LANCZOS)
    return np.asarray(colour).copy()


def is_picture(path: Path) -> bool:
    """Whether the file decodes to its last row."""
    try:
        read_picture(path)
    except ProjectError:
        return False
    return True
