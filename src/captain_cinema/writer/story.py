"""From a file to a script: which format it is, what is one shot, who is in it, how it is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from captain_cinema.errors import StoryError
from captain_cinema.script import (
    MAX_CAPTION,
    MAX_CAST,
    MAX_SHOTS,
    CastMember,
    Script,
    Shot,
    check_name,
    name_key,
    parse_script,
)
from captain_cinema.script.reading import one_line, read_text
from captain_cinema.writer import staging
from captain_cinema.writer.cast import Tagger, guess_names, tagged_names
from captain_cinema.writer.plain import Block, Story, read_plain
from captain_cinema.writer.screenplay import looks_like_screenplay, read_screenplay
from captain_cinema.writer.sentences import cut_long, split_sentences

ONE_SHOT = 240
"""Characters of a paragraph that is still one shot; a longer one is cut into its sentences."""

_MAX_TITLE = 200
_SCRIPT_KEY = re.compile(r"^shots:\s*(?:\[|$)", re.MULTILINE)


def read_story(path: Path, *, limit: int | None = None) -> Script:
    """Read a story, a Fountain screenplay or a script.yaml; the content decides where the name does not.

    Args:
        path: plain text, Markdown, Fountain or YAML, in UTF-8 or UTF-16.
        limit: keep only the first shots.

    Raises:
        StoryError: with one line that says what is wrong and what would help.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"a limit of {limit} shots")
    path = Path(path)
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix in (".yaml", ".yml") or (suffix != ".md" and _SCRIPT_KEY.search(text)):
        script = parse_script(text, source=path.name)
    else:
        try:
            script = write_script(text, screenplay=suffix in (".fountain", ".spmd"), name=path.stem)
        except StoryError as error:
            raise StoryError(f"{one_line(path.name)}: {error}") from None
    return script if limit is None else replace(script, shots=script.shots[:limit])


def write_script(text: str, *, screenplay: bool | None = None, name: str = "") -> Script:
    """The script of a story given as text; `name` is its title if it names none itself."""
    is_screenplay = screenplay or looks_like_screenplay(text)
    story = read_screenplay(text) if is_screenplay else read_plain(text)
    if not story.blocks:
        hint = (
            "add action or dialogue under a scene heading"
            if is_screenplay
            else "add a sentence under the headings"
        )
        raise StoryError(f"there is nothing to make a shot of; {hint}")
    blocks = list(_pieces(story.blocks))
    if len(blocks) > MAX_SHOTS:
        raise StoryError(
            f"{len(blocks):,} shots are more than one film holds ({MAX_SHOTS:,}); split the story"
        )
    cast = _cast(story, blocks, guess=not is_screenplay)
    tagger = Tagger(member.name for member in cast)
    shots = tuple(_shot(block, tagger) for block in blocks)
    title = story.title or " ".join(re.sub(r"[\W_]+", " ", name).split()) or "Untitled"
    return Script(
        title=title[:_MAX_TITLE].strip(), caption=story.caption[:MAX_CAPTION], cast=cast, shots=shots
    )


def _pieces(blocks: list[Block]) -> Iterator[Block]:
    """A block a shot; sentences where there is but one paragraph or where it is long."""
    for block in blocks:
        text = " ".join(block.text.split())
        split = not block.speaker and (len(blocks) == 1 or len(text) > ONE_SHOT)
        for place, piece in enumerate(split_sentences(text) if split else cut_long(text)):
            if any(char.isalnum() for char in piece):
                yield replace(block, text=piece, opens_scene=block.opens_scene and place == 0)


def _cast(story: Story, blocks: list[Block], *, guess: bool) -> tuple[CastMember, ...]:
    """Those listed, then those tagged; only a story without either is searched for names."""
    members: dict[str, CastMember] = {}
    for name, description in story.cast:
        if problem := check_name(name):
            raise StoryError(
                f"the name '{one_line(name)}' in the cast list {problem}; write '- Name: how they look'"
            )
        if name_key(name) in members:
            raise StoryError(f"the cast list has '{one_line(name)}' twice; give each its own name")
        members[name_key(name)] = CastMember(name=name, description=description[:MAX_CAPTION])
    for block in blocks:
        for name in tagged_names(block.text):
            members.setdefault(name_key(name), CastMember(name=name))
    if not members or not guess:
        for name in guess_names(block.text for block in blocks) if guess or not members else []:
            members.setdefault(name_key(name), CastMember(name=name))
    if len(members) > MAX_CAST:
        raise StoryError(
            f"a cast of {len(members):,} is too large; list at most {MAX_CAST:,} under '## Cast'"
        )
    return tuple(members.values())


def _shot(block: Block, tagger: Tagger) -> Shot:
    caption = tagger.tag(block.text)
    return Shot(
        caption=caption,
        seconds=staging.seconds(caption),
        camera=staging.camera(block.text),
        framing=staging.framing(caption, opens_scene=block.opens_scene, speech=bool(block.speaker)),
        scene=block.scene[:_MAX_TITLE].strip(),
    )
