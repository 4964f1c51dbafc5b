"""Bringing a story into a film folder as script.yaml, and never over what the user wrote there."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

from captain_cinema.errors import ProjectError, StoryError
from captain_cinema.progress import Reporter
from captain_cinema.project.files import keep_take, sha256_file, sha256_text, write_text
from captain_cinema.project.folder import FilmFolder
from captain_cinema.script import Script, dump_script

WRITER_KEYS = ("CINEMA_API_KEY", "OPENAI_API_KEY")
"""Environment variables that may hold the key of a writer's endpoint."""

IDEA_SHOTS = 12
"""Shots that a writer is asked for unless told."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Writer:
    """Who turns the story into shots: the offline writer, or a language model behind an endpoint."""

    url: str | None = None
    shots: int | None = None

    def read(self, story: Path) -> Script:
        """The script of a story."""
        if self.url is None:
            from captain_cinema.writer import read_story

            return read_story(story, limit=self.shots)
        from captain_cinema.script.reading import read_text
        from captain_cinema.writer.endpoint import write_with_endpoint

        key = next((os.environ[name] for name in WRITER_KEYS if os.environ.get(name)), None)
        idea = read_text(story, what="story")
        return write_with_endpoint(idea, self.url, shots=self.shots or IDEA_SHOTS, api_key=key)


def write_script(
    folder: FilmFolder, story: Path, writer: Writer, report: Reporter, *, overwrite: bool = False
) -> bool:
    """Write script.yaml from a story, unless it is written already. Returns whether anything was written.

    An unchanged story leaves script.yaml alone, with all that the user edited in it. A changed story replaces
    it, but not when the user edited it as well.

    Raises:
        StoryError: the story cannot be read.
        ProjectError: both the story and script.yaml changed, and `overwrite` is not given.
    """
    if story.is_dir():
        raise StoryError(f"{story} is a folder; name a text file, a screenplay or a script.yaml")
    if not story.exists():
        raise StoryError(f"{story} is not there; name a text file, a screenplay or a script.yaml")
    if folder.script.exists() and folder.script.samefile(story):
        return False
    state = folder.load_state()
    digest = sha256_text(f"{sha256_file(story)} {writer.url or ''} {writer.shots or ''}")
    if folder.script.is_file() and digest == state.story_sha256 and not overwrite:
        report.say(f"the story has not changed: going on with {folder.script}")
        return False
    script = writer.read(story)
    text = dump_script(script)
    if folder.script.is_file() and (present := sha256_file(folder.script)) != sha256_text(text):
        if present != state.script_sha256 and not overwrite:
            raise ProjectError(
                f"{folder.script} was edited, and the story is not the one it was written from; go on with "
                f"'cinema make {folder.path}', or let the story win with "
                f"'cinema write {story} -o {folder.path} --overwrite' (the edited script is kept in takes)"
            )
        keep_take(folder.script, folder.takes)
    write_text(folder.script, text)
    state = dataclasses.replace(state, story_sha256=digest, script_sha256=sha256_text(text))
    folder.save_state(state)
    report.say(f"{len(script.shots)} shots written to {folder.script}")
    return True


def warn_undrawable(script: Script, preset: str, report: Reporter) -> list[str]:
    """Name in one line the words that the embedded preset cannot draw; returns them."""
    if preset != "embedded":
        return []
    from captain_cinema.writer.vocabulary import undrawable

    words = undrawable(script)
    if words:
        named = ", ".join(words[:20]) + (f" and {len(words) - 20} more" if len(words) > 20 else "")
        report.say(f"the embedded preset draws the playhouse only; it has no picture for: {named}")
    return words
