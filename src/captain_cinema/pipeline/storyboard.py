"""Drawing the keyframes in story order, each conditioned on a chosen memory of those before it."""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from captain_cinema.pipeline.production import Made, Production, adopt, announce, publish_made
from captain_cinema.progress import Stage, spoken_time
from captain_cinema.project.files import Finding, keep_take, look, record_of, write_json
from captain_cinema.project.pictures import read_picture, write_picture
from captain_cinema.project.plans import ShotPlan, keyframe_inputs
from captain_cinema.project.stale import History, Verdict, judge_keyframe, memory_of, survey

if TYPE_CHECKING:
    from captain_cinema.keyframes.planner import HistoryFrame, MemoryUse


def make_storyboard(production: Production, *, limit: int | None = None, only: int | None = None) -> Made:
    """Draw the keyframes that are missing or stale, each seeing those before it.

    Args:
        production: the film.
        limit: look at the first `limit` shots only.
        only: draw the keyframe of this shot alone, from the earlier ones that are there.
    """
    session = _Session(production=production)
    plans = production.upto(limit if only is None else only)
    statuses = survey(production.folder, production.script, plans, production.facts)
    wanted = [s for s in statuses if only in (None, s.plan.number)]
    with production.report.stage("keyframes", sum(not s.keyframe.settled for s in wanted)) as stage:
        for plan in plans:
            session.visit(plan, stage, draw=only in (None, plan.number))
    return Made(made=tuple(session.made), kept=tuple(session.kept), by_hand=tuple(session.by_hand))


@dataclass(kw_only=True)
class _Session:
    production: Production
    history: History = field(default_factory=History)
    frames: dict[int, HistoryFrame] = field(default_factory=dict)
    """Decoded once, and only when something is to be drawn."""
    made: list[int] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    by_hand: list[int] = field(default_factory=list)

    def visit(self, plan: ShotPlan, stage: Stage, *, draw: bool) -> None:
        """Settle one keyframe and enter it into the history of the next."""
        production = self.production
        finding = look(production.folder.keyframe(plan.number))
        inputs = keyframe_inputs(plan, production.plans, production.facts)
        verdict = judge_keyframe(finding, inputs, self.history)
        if draw:
            finding, verdict = self._settle(plan, finding, verdict, inputs, stage)
        self.history.add(plan, finding.sha256, verdict)

    def _settle(
        self, plan: ShotPlan, finding: Finding, verdict: Verdict, inputs: Mapping[str, Any], stage: Stage
    ) -> tuple[Finding, Verdict]:
        what = f"keyframe {plan.number}"
        if verdict.state == "by hand":
            self.by_hand.append(plan.number)
            return adopt(finding, what, self.production.report), verdict
        if verdict.state == "done":
            self.kept.append(plan.number)
            return finding, verdict
        if verdict.state == "check" and self._memory_is_the_same(plan, finding):
            self.kept.append(plan.number)
            stage.step(f"shot {plan.number} stays: its memory is the same")
        else:
            announce(self.production.report, what, verdict)
            seconds = self._draw(plan, finding, inputs, stage)
            self.made.append(plan.number)
            stage.step(f"shot {plan.number} drawn in {spoken_time(seconds)}")
        return look(finding.path), Verdict(state="done")

    def _memory_is_the_same(self, plan: ShotPlan, finding: Finding) -> bool:
        """Choose the memory again; if it is the recorded one, the keyframe holds and only its record is
        renewed.
        """
        record = dict(finding.record or {})
        planner = self.production.backend.planner
        chosen = self._memory(planner.select(plan.prompt, self._context(plan), pins=self._pins(plan)))
        marks = ("sha256", "prompt_sha256", "rows")
        before = memory_of(record) or []
        if [[use[key] for key in marks] for use in before] != [[use[key] for key in marks] for use in chosen]:
            return False
        record |= {"memory": chosen, "history": self.history.digest}
        write_json(record_of(finding.path), record)
        return True

    def _draw(self, plan: ShotPlan, finding: Finding, inputs: Mapping[str, Any], stage: Stage) -> float:
        production = self.production
        planner = production.backend.planner
        stage.begin()
        started = time.perf_counter()
        drawn = planner.draw(
            plan.prompt,
            self._context(plan),
            seed=plan.keyframe_seed,
            pins=self._pins(plan),
            progress=stage.part,
        )
        record = {
            "stage": "storyboard",
            "shot": plan.number,
            "caption": plan.shot.caption,
            "take": plan.take,
            "inputs": dict(inputs),
            "memory": self._memory(drawn.memory),
            "history": self.history.digest,
            "embedding": _packed(drawn.embedding),
        }
        keep_take(finding.path, production.folder.takes)
        publish_made(
            finding.path, lambda part: write_picture(part, drawn.frame), production.facts, started, record
        )
        return time.perf_counter() - started

    def _memory(self, uses: Sequence[MemoryUse]) -> list[dict[str, Any]]:
        """The planner's choice as the record keeps it: with what each frame was at that time."""
        seen = self.history.seen
        return [
            {
                "number": seen[use.number].number,
                "id": int(use.number),
                "rows": int(use.rows),
                "tokens": int(use.tokens),
                "score": float(use.score) if math.isfinite(use.score) else 0.0,
                "pinned": bool(use.pinned),
                "sha256": seen[use.number].sha256,
                "prompt_sha256": seen[use.number].prompt_sha256,
            }
            for use in uses
        ]

    def _pins(self, plan: ShotPlan) -> tuple[int, ...]:
        return tuple(self.production.plans[pin - 1].identity for pin in plan.shot.pins)

    def _context(self, plan: ShotPlan) -> list[HistoryFrame]:
        """All earlier keyframes as the planner reads them."""
        from captain_cinema.keyframes.planner import HistoryFrame

        facts, found = self.production.facts, []
        for earlier in self.production.plans[: plan.number - 1]:
            path = self.production.folder.keyframe(earlier.number)
            if earlier.number not in self.frames:
                finding = look(path)
                if not finding.exists or self.history.seen[earlier.identity].verdict.state == "damaged":
                    continue
                frame = read_picture(path, height=facts.height, width=facts.width)
                # The identity, not the place: the noise a frame carries in a memory follows from it, so that
                # a shot put in before does not change the later ones.
                self.frames[earlier.number] = HistoryFrame(
                    number=earlier.identity,
                    caption=earlier.prompt,
                    frame=frame,
                    embedding=_embedding(finding),
                )
            found.append(self.frames[earlier.number])
        return found


def _embedding(finding: Finding) -> Any:
    """What the retriever saw in a drawn frame; of one put in by hand it has yet to look."""
    import numpy as np

    packed = (finding.record or {}).get("embedding") if finding.finished else None
    if not isinstance(packed, str):
        return None
    try:
        return np.frombuffer(base64.b64decode(packed, validate=True), dtype="<f4").copy()
    except ValueError:
        return None


def _packed(embedding: Any) -> str | None:
    """The numbers bit for bit: the choice of later memories follows from them."""
    import numpy as np

    return None if embedding is None else base64.b64encode(np.asarray(embedding, "<f4").tobytes()).decode()
