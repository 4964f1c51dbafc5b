"""What of a film is done, what is not, and why (design section 7); no model is loaded to know it.

A keyframe is made from its prompt, seed, pins, the preset's weights, and the frames its visual memory held.
It stays valid while all of these are the same. If any *other* earlier keyframe changed, the choice of the
memory might come out differently: only the models can tell, so the verdict is "check".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from captain_cinema.project.clips import is_clip
from captain_cinema.project.files import Finding, look, record_of, sha256_file, sha256_text
from captain_cinema.project.methods import FROM_KEYFRAMES, OURS
from captain_cinema.project.pictures import is_picture
from captain_cinema.project.plans import ShotPlan, clip_inputs, keyframe_inputs
from captain_cinema.script import Script

if TYPE_CHECKING:
    from captain_cinema.presets import PresetFacts
    from captain_cinema.project.folder import FilmFolder

CLIP_CONTEXT = 3
"""At most so many other keyframes are shown to the shot model beside the shot's own."""

REASONS = {
    "prompt": "its words changed",
    "seed": "its seed changed",
    "pins": "its pins changed",
    "preset": "another preset",
    "revision": "other weights",
    "height": "another size",
    "width": "another size",
    "fps": "another frame rate",
    "seconds": "its length changed",
    "film_caption": "the film's caption changed",
    "keyframe": "its keyframe changed",
    "context": "a keyframe it was shown changed",
    "encoding": "the clip format changed",
    "method": "another method",
    "together": "a shot it is filmed with changed",
    "last_keyframe": "its last keyframe changed",
    "sound": "its sound changed",
}

UNSAID: Mapping[str, Any] = {"method": OURS, "together": "", "last_keyframe": "", "sound": ""}
"""What a record means that does not say: clips made before there was a choice."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether a file is what the script asks for, and if not, why."""

    state: Literal["done", "by hand", "missing", "stale", "check", "damaged"]
    why: str = ""

    @property
    def settled(self) -> bool:
        """Nothing is to be done."""
        return self.state in ("done", "by hand")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """An earlier keyframe as a later one may have it in its memory."""

    number: int
    identity: int
    sha256: str
    prompt_sha256: str
    verdict: Verdict


@dataclass(kw_only=True)
class History:
    """The keyframes before the one that is looked at, and one digest of them all."""

    seen: dict[int, Seen] = field(default_factory=dict)
    digest: str = ""
    waiting: bool = False
    """Whether any of them is still to be made or checked."""

    def add(self, plan: ShotPlan, sha256: str, verdict: Verdict) -> None:
        """Go one shot further; a missing keyframe is not in anybody's memory."""
        words = sha256_text(plan.prompt)
        self.waiting = self.waiting or not verdict.settled
        self.seen[plan.identity] = Seen(
            number=plan.number,
            identity=plan.identity,
            sha256=sha256,
            prompt_sha256=words,
            verdict=verdict,
        )
        if sha256:
            self.digest = hashlib.sha256(f"{self.digest}/{sha256}/{words}".encode()).hexdigest()


def judge_keyframe(finding: Finding, inputs: Mapping[str, Any], history: History) -> Verdict:
    """Whether a keyframe on disk is the one that the script asks for now."""
    early = _judge_file(finding, is_picture)
    if early is not None:
        return early
    record = finding.record or {}
    if why := _differences(record, inputs):
        return Verdict(state="stale", why=why)
    uses = memory_of(record)
    if uses is None:
        return Verdict(state="stale", why="its record is damaged")
    doubt = False
    for use in uses:
        earlier = history.seen.get(use["id"])
        if earlier is None:
            return Verdict(state="stale", why="a shot it saw is gone")
        if earlier.verdict.state in ("missing", "stale", "damaged"):
            return Verdict(
                state="stale", why=f"it saw shot {earlier.number}, which is {earlier.verdict.state}"
            )
        if (earlier.sha256, earlier.prompt_sha256) != (use["sha256"], use["prompt_sha256"]):
            return Verdict(state="stale", why=f"it saw shot {earlier.number}, which changed")
        doubt = doubt or earlier.verdict.state == "check"
    if doubt or history.waiting or record.get("history") != history.digest:
        return Verdict(
            state="check", why="an earlier shot changed; the next run looks whether it matters here"
        )
    return Verdict(state="done")


def judge_clip(finding: Finding, inputs: Mapping[str, Any], keyframe: Verdict) -> Verdict:
    """Whether a clip on disk is the one that the script asks for now."""
    early = _judge_file(finding, is_clip)
    if early is not None:
        return early
    if keyframe.state in ("missing", "stale", "damaged"):
        return Verdict(state="stale", why=f"its keyframe is {keyframe.state}")
    if why := _differences(finding.record or {}, inputs):
        return Verdict(state="stale", why=why)
    if keyframe.state == "check":
        return Verdict(state="check", why="its keyframe is to be checked")
    return Verdict(state="done")


def _judge_file(finding: Finding, sound: Any) -> Verdict | None:
    """The verdicts that need only the file itself, or None."""
    if not finding.exists:
        return Verdict(state="missing")
    record = finding.record
    if finding.finished and record is not None:
        return Verdict(state="by hand") if record.get("by_hand") else None
    if finding.spoilt_record:
        return Verdict(state="damaged", why=f"{record_of(finding.path).name} cannot be read")
    # Same length and another hash is no work of an editor: bytes went bad.
    rotten = record is not None and record.get("bytes") == finding.path.stat().st_size
    if rotten or not sound(finding.path):
        return Verdict(state="damaged", why=f"{finding.path.name} cannot be read")
    return Verdict(state="by hand")


def _differences(record: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    before = record.get("inputs")
    if not isinstance(before, Mapping):
        return "nothing tells what made it"
    changed = [REASONS[key] for key, value in inputs.items() if before.get(key, UNSAID.get(key)) != value]
    return ", ".join(dict.fromkeys(changed))


def memory_of(record: Mapping[str, Any]) -> list[Mapping[str, Any]] | None:
    """The memory a keyframe's record tells of, or None when the record cannot be understood."""
    uses = record.get("memory")
    if not isinstance(uses, list) or not all(isinstance(use, Mapping) for use in uses):
        return None
    kinds = {
        "id": int,
        "number": int,
        "sha256": str,
        "prompt_sha256": str,
        "rows": int,
        "score": (int, float),
    }
    if not all(isinstance(use.get(key), kind) for use in uses for key, kind in kinds.items()):
        return None
    return uses


def clip_context(
    plan: ShotPlan, picture: Finding, history: History, *, most: int = CLIP_CONTEXT
) -> list[Seen]:
    """The other keyframes shown to the shot model: the best of its keyframe's memory, in story order.

    A keyframe made by hand has no memory; it is given the ones right before it.
    """
    uses = memory_of(picture.record) if picture.finished and picture.record else None
    if uses is not None:
        best = sorted(uses, key=lambda use: (use["score"], use["number"]), reverse=True)
        chosen = [history.seen[use["id"]] for use in best if use["id"] in history.seen]
    else:
        chosen = [seen for seen in reversed(history.seen.values()) if seen.number < plan.number]
    usable = [
        seen
        for seen in chosen
        if seen.sha256 and seen.verdict.state != "damaged" and seen.identity != plan.identity
    ]
    return sorted(usable[:most], key=lambda seen: seen.number)


@dataclass(frozen=True, kw_only=True)
class ShotStatus:
    """What `cinema status` tells of a shot."""

    plan: ShotPlan
    keyframe: Verdict
    keyframe_file: Finding
    context: Sequence[Seen]
    """Other keyframes that the shot model is shown."""
    clip: Verdict
    clip_file: Finding
    clip_inputs: Mapping[str, Any]
    """What the clip is to be made from."""


@dataclass(frozen=True, kw_only=True)
class Filming:
    """What films the shots, as far as the state of a clip depends on it."""

    facts: PresetFacts
    """Of the shot backend, which may be another than draws the keyframes."""
    context: int = CLIP_CONTEXT
    """At most so many other keyframes are shown to it."""


def survey(
    folder: FilmFolder,
    script: Script,
    plans: Sequence[ShotPlan],
    facts: PresetFacts,
    filming: Filming | None = None,
) -> list[ShotStatus]:
    """Every shot of the film, done or not; reads files and changes none.

    Args:
        folder: the film.
        script: its script.
        plans: the shots.
        facts: the preset that draws the keyframes.
        filming: what films the shots; the same preset if left out.
    """
    filming = filming or Filming(facts=facts)
    history = History()
    statuses = []
    for plan in plans:
        picture = look(folder.keyframe(plan.place))
        keyframe = judge_keyframe(picture, keyframe_inputs(plan, plans, facts), history)
        shown = filming.context if plan.method == OURS else 0
        context = clip_context(plan, picture, history, most=shown)
        from_keyframe = plan.method in FROM_KEYFRAMES
        inputs = clip_inputs(
            plan,
            script,
            filming.facts,
            keyframe=picture.sha256 if from_keyframe else "",
            context=[seen.sha256 for seen in context],
            last_keyframe=_digest(folder, plan.shot.last_keyframe),
        )
        footage = look(folder.clip(plan.place))
        statuses.append(
            ShotStatus(
                plan=plan,
                keyframe=keyframe,
                keyframe_file=picture,
                context=context,
                clip=judge_clip(footage, inputs, keyframe if from_keyframe else Verdict(state="done")),
                clip_file=footage,
                clip_inputs=inputs,
            )
        )
        history.add(plan, picture.sha256, keyframe)
    return statuses


def _digest(folder: FilmFolder, name: str) -> str:
    """Of a picture in the film's folder; a missing one is told of before it is needed."""
    if not name:
        return ""
    try:
        return sha256_file(folder.path / name)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "missing"
