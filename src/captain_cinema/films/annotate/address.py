"""Where an annotator is and which key opens it; neither ever shows a key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from captain_cinema.errors import CinemaError
from captain_cinema.script.reading import one_line

if TYPE_CHECKING:
    import httpx

KEY_VARIABLE = "CINEMA_ANNOTATOR_KEY"
MODEL_VARIABLE = "CINEMA_ANNOTATOR_MODEL"
_GEMINI = "generativelanguage.googleapis.com"


def parse_address(url: str) -> httpx.URL:
    """The endpoint's base, without "/chat/completions" and with "/v1" if it has no path.

    Raises:
        CinemaError: It is no address, or holds what does not belong in one.
    """
    import httpx

    try:
        parsed = httpx.URL(url.strip())
    except (httpx.InvalidURL, TypeError, ValueError):
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        # Not quoted when long: it may be a key in the wrong place.
        said = f" '{one_line(url)}'" if len(url) <= 16 else " of that name"
        raise CinemaError(
            f"there is no annotator{said}; give none, sidecar, or an address such as http://localhost:8000/v1"
        )
    if parsed.userinfo or parsed.query or parsed.fragment:
        raise CinemaError(
            f"the annotator's address holds more than host and path; give the key in {KEY_VARIABLE} instead"
        )
    path = parsed.path.rstrip("/").removesuffix("/chat/completions") or "/v1"
    return parsed.copy_with(path=path)


def key_from(variable: str) -> str:
    """The key in a variable of the environment that the user names.

    Raises:
        CinemaError: It is not set. The name is not quoted: it may be the key itself, in the wrong place.
    """
    key = os.environ.get(variable, "").strip()
    if not key:
        raise CinemaError(
            "the environment has no variable of the name that --key-variable gives, or it is empty; give the"
            " variable's name, never the key, and export it before"
        )
    return key


def find_key(address: httpx.URL, api_key: str | None) -> str:
    """The key that was given, or the user's from the environment.

    A provider's own variable counts over https alone, and Google is not sent another provider's key.

    Raises:
        CinemaError: It cannot be a key.
    """
    key = api_key
    if key is None:
        key = os.environ.get(KEY_VARIABLE, "").strip()
        if not key and address.scheme == "https":
            key = os.environ.get("GEMINI_API_KEY" if address.host == _GEMINI else "OPENAI_API_KEY", "")
    key = key.strip()
    if not key.isascii() or not key.isprintable():
        raise CinemaError(f"the annotator's key holds characters that no key has; check {KEY_VARIABLE}")
    return key
