"""The commands that make a film: write, storyboard, shoot, cut, make, retake, status."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from captain_cinema.commands.models import NO_OPTIONS, ModelOptions, Options
from captain_cinema.commands.outcome import Outcome, cut_data, cut_text, facts, told
from captain_cinema.errors import ProjectError

if TYPE_CHECKING:
    from captain_cinema.pipeline.production import Production

Positional = tyro.conf.Positional
Folder = Annotated[Path, tyro.conf.arg(metavar="FOLDER")]
Story = Annotated[Path, tyro.conf.arg(metavar="STORY")]
Seed = Annotated[int | None, tyro.conf.arg(metavar="N")]
Limit = Annotated[int | None, tyro.conf.arg(metavar="N")]
Url = Annotated[str | None, tyro.conf.arg(metavar="URL")]
Preset = Annotated[str | None, tyro.conf.arg(metavar="NAME")]
Film = Annotated[Path | None, tyro.conf.arg(metavar="FILM.mp4")]


def write(
    story: Positional[Story],
    /,
    output: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="FOLDER")] = None,
    writer: Url = None,
    shots: Limit = None,
    overwrite: bool = False,
    json: bool = False,
) -> Outcome:
    """Turn a story into a script that can be read and edited.

    Args:
        story: plain text, Markdown, a Fountain screenplay or a script.yaml.
        output: the film folder; named after the story if left out.
        writer: an OpenAI-compatible endpoint that turns a short idea into shots (key: CINEMA_API_KEY).
        shots: with --writer, how many shots to ask for; without, write the first N shots only.
        overwrite: let the story win over a script.yaml that was edited.
        json: print one JSON object at the end.
    """
    from captain_cinema.pipeline.write import Writer, warn_undrawable, write_script
    from captain_cinema.progress import Reporter
    from captain_cinema.project.folder import started

    _check_limit(shots, "--shots")
    report = Reporter()
    with started(_folder_for(story, output)) as folder:
        written = write_script(folder, story, Writer(url=writer, shots=shots), report, overwrite=overwrite)
        script, preset = folder.load_script(), folder.load_state().preset
        words = warn_undrawable(script, preset, report)
    data = {
        "script": str(folder.script),
        "written": written,
        "title": script.title,
        "shots": len(script.shots),
        "seconds": sum(shot.seconds for shot in script.shots),
        "cast": [member.name for member in script.cast],
        "undrawable": words,
    }
    return Outcome(data=data, text=f"script: {folder.script} ({len(script.shots)} shots)")


def storyboard(
    folder: Positional[Folder],
    /,
    preset: Preset = None,
    models: Options = NO_OPTIONS,
    seed: Seed = None,
    limit: Limit = None,
    json: bool = False,
) -> Outcome:
    """Draw the keyframes that are missing or stale.

    Args:
        folder: the film folder.
        preset: the models to draw with (embedded or open); kept for later runs.
        models: which weights.
        seed: of the film; kept for later runs.
        limit: draw the first N shots only.
        json: print one JSON object at the end.
    """
    from captain_cinema.pipeline.storyboard import make_storyboard

    _check_limit(limit)
    with _production(folder, seed=seed, preset=preset, models=models) as production:
        _before_drawing(production, limit)
        made = make_storyboard(production, limit=limit)
    data = {**facts(production), "keyframes": dataclasses.asdict(made)}
    return Outcome(data=data, text=told("keyframe", made))


def shoot(
    folder: Positional[Folder],
    /,
    method: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    backend: Annotated[str | None, tyro.conf.arg(metavar="NAME")] = None,
    shot_weights: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None,
    accept_licence: bool = False,
    workers: Annotated[int, tyro.conf.arg(metavar="N")] = 1,
    ray: Annotated[str | None, tyro.conf.arg(metavar="ADDRESS")] = None,
    limit: Limit = None,
    json: bool = False,
) -> Outcome:
    """Turn the keyframes into moving shots, those that are missing or stale.

    Args:
        folder: the film folder.
        method: ours, or a baseline: alone, lct, ic-lora-i2v; kept for later runs.
        backend: what films, one of docs/shots.md; kept for later runs.
        shot_weights: the folder of the backend's weights.
        accept_licence: agree to the backend's licence without being asked.
        workers: processes that film side by side.
        ray: spread the shots over a Ray cluster: its address, or "local".
        limit: shoot the first N shots only.
        json: print one JSON object at the end.
    """
    from captain_cinema.pipeline.camera import Choice, choose
    from captain_cinema.pipeline.production import check_abilities
    from captain_cinema.pipeline.shoot import Hands, make_shots

    _check_limit(limit)
    hands = Hands(workers=workers, ray=ray)
    choice = Choice(method=method, backend=backend, weights=shot_weights, accept_licence=accept_licence)
    with _production(folder) as production:
        production = choose(production, choice, limit)
        check_abilities(production, limit)
        made = make_shots(production, limit=limit, hands=hands)
    data = {**facts(production), "clips": dataclasses.asdict(made)}
    return Outcome(data=data, text=told("shot", made))


def cut(
    folder: Positional[Folder], /, output: Film = None, limit: Limit = None, json: bool = False
) -> Outcome:
    """Cut the shots into a film, with a contact sheet and a timeline for editing programs.

    Args:
        folder: the film folder.
        output: a second place for the film; it is always in the folder.
        limit: cut the first N shots only.
        json: print one JSON object at the end.
    """
    from captain_cinema.pipeline.cut import make_cut

    _check_limit(limit)
    with _production(folder) as production:
        done = make_cut(production, limit=limit, output=output)
    return Outcome(data={**facts(production), **cut_data(done)}, text=cut_text(done))


def make(
    story: Positional[Story],
    /,
    project: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER")] = None,
    output: Film = None,
    preset: Preset = None,
    models: Options = NO_OPTIONS,
    seed: Seed = None,
    limit: Limit = None,
    writer: Url = None,
    json: bool = False,
) -> Outcome:
    """Make a film of a story: write, storyboard, shoot and cut; what is done already is kept.

    Args:
        story: a text, screenplay or script, or a film folder to go on with.
        project: the film folder; named after the story if left out.
        output: a second place for the film; it is always in the folder.
        preset: the models to make it with (embedded or open); kept for later runs.
        models: which weights.
        seed: of the film; kept for later runs.
        limit: make the first N shots only.
        writer: an OpenAI-compatible endpoint that turns a short idea into shots (key: CINEMA_API_KEY).
        json: print one JSON object at the end.
    """
    from captain_cinema.pipeline.write import Writer, write_script
    from captain_cinema.progress import Reporter
    from captain_cinema.project.folder import check_output, started

    _check_limit(limit)
    start, report = time.monotonic(), Reporter()
    with started(_folder_for(story, project)) as folder:
        for place in (folder.film, *([output] if output else [])):
            check_output(folder, folder.load_state(), place)
        if not story.is_dir():
            write_script(folder, story, Writer(url=writer), report)
        return _make(
            folder.path, report, start, seed=seed, preset=preset, models=models, limit=limit, output=output
        )


def _make(
    path: Path,
    report: Any,
    start: float,
    *,
    seed: int | None,
    preset: str | None,
    models: ModelOptions,
    limit: int | None,
    output: Path | None,
) -> Outcome:
    from captain_cinema.pipeline.cut import make_cut
    from captain_cinema.pipeline.production import open_production
    from captain_cinema.pipeline.shoot import make_shots
    from captain_cinema.pipeline.storyboard import make_storyboard
    from captain_cinema.project.folder import FilmFolder

    production = open_production(
        FilmFolder(path=path), report, seed=seed, preset=preset, models=models.chosen()
    )
    words = _before_drawing(production, limit)
    keyframes = make_storyboard(production, limit=limit)
    clips = make_shots(production, limit=limit)
    done = make_cut(production, limit=limit, output=output)
    data = {
        **facts(production),
        "keyframes": dataclasses.asdict(keyframes),
        "clips": dataclasses.asdict(clips),
        **cut_data(done),
        "undrawable": words,
        "seconds_taken": round(time.monotonic() - start, 3),
    }
    if not (keyframes.made or clips.made or done.written):
        return Outcome(data=data, text=f"nothing to do: everything is up to date\n{cut_text(done)}")
    text = f"{told('keyframe', keyframes)}\n{told('shot', clips)}\n{cut_text(done)}"
    return Outcome(data=data, text=text)


def retake(
    folder: Positional[Folder],
    /,
    shot: Annotated[int, tyro.conf.arg(metavar="N")],
    caption: Annotated[str | None, tyro.conf.arg(metavar="WORDS")] = None,
    seed: Seed = None,
    take: Annotated[int | None, tyro.conf.arg(metavar="N")] = None,
    keyframe: Annotated[Path | None, tyro.conf.arg(metavar="PICTURE")] = None,
    motion: bool = False,
    only: bool = False,
    json: bool = False,
) -> Outcome:
    """Make one shot again, and whatever was conditioned on it; what it replaces is kept in takes.

    Args:
        folder: the film folder.
        shot: its number.
        caption: new words for it.
        seed: a seed of its own; left out, the next take.
        take: bring an earlier take back (1 is the first).
        keyframe: a picture of your own in the place of the drawn keyframe.
        motion: keep the keyframe, shoot its motion again.
        only: leave the shots that depend on it as they are; 'cinema status' lists them.
        json: print one JSON object at the end.
    """
    from captain_cinema.pipeline.cut import make_cut
    from captain_cinema.pipeline.production import Made
    from captain_cinema.pipeline.retake import Wish, prepare_retake, reach
    from captain_cinema.pipeline.shoot import make_shots
    from captain_cinema.pipeline.storyboard import make_storyboard

    wish = Wish(shot=shot, caption=caption, seed=seed, take=take, keyframe=keyframe, motion=motion)
    with _production(folder) as production:
        far = reach(production, shot)
        production = prepare_retake(production, wish)
        _before_drawing(production, far.keyframes)
        alone = shot if only else None
        keyframes = make_storyboard(production, limit=far.keyframes, only=alone)
        clips = make_shots(production, limit=far.clips, only=alone) if far.clips else Made()
        done = make_cut(production, limit=far.film) if far.film else None
    data = {
        **facts(production),
        "keyframes": dataclasses.asdict(keyframes),
        "clips": dataclasses.asdict(clips),
        **(cut_data(done) if done else {}),
    }
    text = f"{told('keyframe', keyframes)}\n{told('shot', clips)}"
    return Outcome(data=data, text=f"{text}\n{cut_text(done)}" if done else text)


def status(folder: Positional[Folder], /, json: bool = False) -> Outcome:
    """List every shot: done, by hand, missing or stale, and why.

    Args:
        folder: the film folder.
        json: print one JSON object at the end.
    """
    from captain_cinema.commands.report import status_outcome
    from captain_cinema.pipeline.production import inspect_production
    from captain_cinema.progress import Reporter
    from captain_cinema.project.folder import open_film

    return status_outcome(inspect_production(open_film(folder), Reporter()))


@contextmanager
def _production(
    path: Path,
    *,
    seed: int | None = None,
    preset: str | None = None,
    models: ModelOptions = NO_OPTIONS,
) -> Iterator[Production]:
    from captain_cinema.pipeline.production import open_production
    from captain_cinema.progress import Reporter
    from captain_cinema.project.folder import locked, open_film

    folder, report = open_film(path), Reporter()
    with locked(folder):
        yield open_production(folder, report, seed=seed, preset=preset, models=models.chosen())


def _before_drawing(production: Production, limit: int | None) -> list[str]:
    """What the user should know before hours of work: what will be made, and what cannot be."""
    from captain_cinema.pipeline.production import check_abilities, tell_plan
    from captain_cinema.pipeline.write import warn_undrawable

    check_abilities(production, limit)
    if not tell_plan(production, limit):
        return []
    return warn_undrawable(production.script, production.facts.name, production.report)


def _folder_for(story: Path, project: Path | None) -> Path:
    """The film folder of a story: as named, the one that holds the script.yaml, or a new one here."""
    if project is not None:
        return project
    if story.is_dir():
        return story
    if story.name == "script.yaml":
        return story.parent
    return Path(story.stem if story.suffix else f"{story.name}-film")


def _check_limit(limit: int | None, name: str = "--limit") -> None:
    if limit is not None and limit < 1:
        raise ProjectError(f"{name} {limit} makes no film; give 1 or more")
