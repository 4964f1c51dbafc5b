"""Captions by a vision-language model behind an OpenAI-compatible endpoint (section 3.1, appendix B).

Gemini, vLLM and llama.cpp speak it. Several frames go in one request, each with a code made of its content;
what comes back is held to a schema, to these codes and to the cast. A batch that gives no usable reply is
asked once more with its fault, then frame by frame, so that one frame a model refuses does not cost the
others; what is still without a reply is kept without a caption, and asked for again by the next run.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from jaxtyping import UInt8

from captain_cinema.errors import CinemaError
from captain_cinema.films.annotate import prompt
from captain_cinema.films.annotate.address import MODEL_VARIABLE, find_key, parse_address
from captain_cinema.films.annotate.cache import AnswerCache, frame_key
from captain_cinema.films.annotate.cast import NAMING_VERSION, NameList, cast_of
from captain_cinema.films.annotate.kinds import About, Annotation, BrokenOff, Usage, film_cast
from captain_cinema.films.annotate.line import Line, Time, Trouble
from captain_cinema.films.annotate.pace import Pace
from captain_cinema.films.annotate.reply import MAX_REASON, FrameReply, read_reply
from captain_cinema.films.annotation_options import EndpointSettings
from captain_cinema.films.records import FilmRecord, Picture
from captain_cinema.script import CastMember
from captain_cinema.script.reading import one_line

if TYPE_CHECKING:
    import httpx

JPEG_QUALITY = 90
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Question:
    """A frame to be asked about."""

    key: str
    read: Callable[[], UInt8[np.ndarray, "h w 3"]]
    """The picture, which may come from a disk; those of a long film do not fit into memory."""

    @property
    def code(self) -> str:
        return self.key[:8]


_Outcome = FrameReply | str
"""An answer, or why there is none."""


class EndpointAnnotator:
    """Asks a vision-language model. See :class:`captain_cinema.films.annotate.Annotator`."""

    is_settled = False

    def __init__(
        self,
        url: str,
        *,
        cast: dict[str, list[CastMember]],
        cache: Path,
        api_key: str | None = None,
        model: str | None = None,
        settings: EndpointSettings | None = None,
        report: Callable[[Usage], None] | None = None,
        client: httpx.Client | None = None,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Get ready to ask; the endpoint hears of it only if it must be asked for its model.

        Args:
            url: The endpoint's base, for example "http://localhost:8000/v1".
            cast: From :func:`captain_cinema.films.annotate.load_cast`.
            cache: A folder for the answers; workers and runs share it.
            api_key: None takes it from the environment (address.py).
            model: None takes CINEMA_ANNOTATOR_MODEL or else the only model that the endpoint lists.
            settings: None for the defaults.
            report: Told what was done and spent, after every batch, from the thread that called `annotate`.
            client: For tests and special transports.
            sleep: For tests: how to wait.
            clock: For tests: seconds since 1970.

        Raises:
            CinemaError: Not an address, a bad key, no folder for answers, or no telling which model.
        """
        self.settings = settings or EndpointSettings()
        self._cast, self._report = cast, report
        address = parse_address(url)
        key = find_key(address, api_key)
        self.cache = AnswerCache(cache)
        self._halted = threading.Event()
        sleep = sleep or self._halted.wait
        self._line = Line(
            address,
            key=key,
            patience=self.settings.patience,
            pace=Pace(
                self.cache.folder / "pace" / hashlib.sha256(str(address).encode()).hexdigest()[:16],
                per_minute=self.settings.per_minute,
                longest=self.settings.patience.longest_wait,
                clock=clock,
                sleep=sleep,
            ),
            client=client,
            time=Time(sleep=sleep, clock=clock, halted=self._halted),
            spend=self._spend,
        )
        self._lock = threading.Lock()
        self._usage = Usage()
        try:
            self.model = model or os.environ.get(MODEL_VARIABLE, "").strip() or self._only_model()
            if not self.model.isprintable():
                raise CinemaError(f"'{one_line(self.model)}' cannot be the name of a model; check --model")
        except CinemaError:
            self.close()
            raise
        host = address.netloc.decode("ascii", "replace")
        self.name = f"{one_line(self._line.without_key(self.model), 80)}@{host}"

    def __repr__(self) -> str:
        return f"EndpointAnnotator({self.name!r})"

    @property
    def usage(self) -> Usage:
        """What was done and spent so far."""
        with self._lock:
            return self._usage

    def check(self) -> None:
        """See :class:`Annotator`: the endpoint answers, takes the key, and lists the model if any."""
        names = self._line.models()
        plain_names = {name.removeprefix("models/") for name in names}
        if names and self.model.removeprefix("models/") not in plain_names:
            some = ", ".join(one_line(name, 40) for name in sorted(plain_names)[:4])
            raise CinemaError(
                f"{self._line.shown} does not list the model '{one_line(self.model)}' (it lists {some}); "
                "name another"
            )

    def about(self, film: FilmRecord) -> About:
        """See :class:`Annotator`: the cast file's cast."""
        return About(cast=film_cast(cast_of(self._cast, film)))

    def fingerprint(self, film: FilmRecord) -> str:
        """See :class:`Annotator`."""
        versions = f"{prompt.PROMPT_VERSION} {NAMING_VERSION}"
        asked = f"{versions}\n{self.model}\n{prompt.task(cast_of(self._cast, film))}"
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    def close(self) -> None:
        """See :class:`Annotator`."""
        self._halted.set()
        self._line.close()

    def annotate(self, film: FilmRecord, pictures: Sequence[Picture]) -> list[Annotation]:
        """See :class:`Annotator`."""
        members = cast_of(self._cast, film)
        names, instruction = NameList(member.name for member in members), prompt.task(members)
        self._tell(frames=len(pictures))
        reading = threading.Lock()

        def read(place: int) -> UInt8[np.ndarray, "h w 3"]:
            with reading:  # whoever keeps the pictures need not expect several threads
                return pictures[place].image

        keys: list[str] = []
        known: dict[str, _Outcome] = {}
        fresh: dict[str, _Question] = {}
        for place in range(len(pictures)):
            key = frame_key(read(place), instruction=instruction, model=self.model)
            keys.append(key)
            if key in known or key in fresh:
                continue
            if (answer := self.cache.get(key)) is not None:
                known[key] = answer
            else:
                fresh[key] = _Question(key=key, read=partial(read, place))
        self._count(known.values(), cached=True)
        known |= self._ask_all(list(fresh.values()), instruction)
        again = Counter(keys) - Counter(list(known))
        self._count([known[key] for key in again.elements()], cached=True)
        return [_annotation(known[key], names) for key in keys]

    def _ask_all(self, questions: list[_Question], instruction: str) -> dict[str, _Outcome]:
        """Ask in batches, some at a time. Broken off, it leaves at once what nobody would wait for."""
        size = self.settings.frames
        batches = [questions[begin : begin + size] for begin in range(0, len(questions), size)]
        outcomes: dict[str, _Outcome] = {}
        if not batches:
            return outcomes
        workers = ThreadPoolExecutor(min(self.settings.parallel, len(batches)), thread_name_prefix="annotate")
        try:
            for done in as_completed([workers.submit(self._work, batch, instruction) for batch in batches]):
                found, cached = done.result()
                outcomes |= found | cached
                self._count(cached.values(), cached=True)
                self._count(found.values())
        except BaseException:
            self._halted.set()
            raise
        finally:
            workers.shutdown(wait=True, cancel_futures=True)
        if self._halted.is_set():
            raise BrokenOff("the annotator was closed while it was at work; the next run goes on")
        return outcomes

    def _work(
        self, batch: list[_Question], instruction: str
    ) -> tuple[dict[str, _Outcome], dict[str, _Outcome]]:
        """A batch: what was asked, and what another process had asked meanwhile."""
        keys = [question.key for question in batch]
        with self.cache.claim(keys, given_up=self._halted.is_set):
            cached: dict[str, _Outcome] = {}
            for key in keys:
                if (answer := self.cache.get(key)) is not None:
                    cached[key] = answer
            found = self._ask([question for question in batch if question.key not in cached], instruction)
            return found, cached

    def _ask(self, questions: list[_Question], instruction: str) -> dict[str, _Outcome]:
        """Ask about frames until each has an answer or a reason why not: twice together, then one by one."""
        outcomes: dict[str, _Outcome] = {}
        fault, together = "", 2
        while questions and together:
            together -= 1
            try:
                fault = self._ask_once(questions, instruction, fault, outcomes)
            except Trouble as trouble:
                if trouble.kind in ("busy", "refused"):
                    return outcomes | {question.key: str(trouble) for question in questions}
                fault, together = str(trouble), 0 if len(questions) > 1 else together
            questions = [question for question in questions if question.key not in outcomes]
        for question in questions:
            try:
                fault = self._ask_once([question], instruction, "", outcomes)
            except Trouble as trouble:
                fault = str(trouble)
            if question.key not in outcomes:
                outcomes[question.key] = f"{self._line.shown}: no usable reply ({fault})"
        return outcomes

    def _ask_once(
        self, questions: list[_Question], instruction: str, fault: str, outcomes: dict[str, _Outcome]
    ) -> str:
        """One request; answers go to `outcomes` and the cache. Returns what was wrong with the reply."""
        by_code = {question.code: question for question in questions}
        stills = [prompt.Still(code=code, jpeg=_jpeg(question.read())) for code, question in by_code.items()]
        body = {"model": self.model, "messages": prompt.messages(instruction, stills, fault)}
        reply = self._line.chat(body, prompt.reply_forms())
        reading = read_reply(reply.text, list(by_code))
        if reading.fault:
            cut = " (it was cut off at the token limit)" if reply.why_ended == "length" else ""
            _LOG.info("a reply of %s cannot be used whole: %s%s", self._line.shown, reading.fault, cut)
        for code, answer in reading.found.items():
            outcomes[by_code[code].key] = answer
            try:
                self.cache.put(by_code[code].key, answer, model=self._line.without_key(self.model))
            except OSError as error:
                # What cannot be kept would be paid for again: use what has come, and ask no more.
                reason = error.strerror or type(error).__name__
                self._line.shut(f"answers cannot be kept in the cache ({reason}), so no more are asked for")
        return reading.fault

    def _only_model(self) -> str:
        """The model of an endpoint that has but one, as local servers do."""
        names = self._line.models()
        if len(names) != 1:
            some = ", ".join(one_line(name, 30) for name in names[:4])
            listed = f"it lists {some}" if names else "it lists none"
            raise CinemaError(
                f"{self._line.shown}: which model? ({listed}); set {MODEL_VARIABLE} to its name"
            )
        return names[0]

    def _spend(self, tokens_in: int, tokens_out: int) -> None:
        prices = self.settings.input_price, self.settings.output_price
        cost = None
        if prices != (None, None):
            cost = (tokens_in * (prices[0] or 0.0) + tokens_out * (prices[1] or 0.0)) / 1e6
        with self._lock:
            self._usage += Usage(requests=1, input_tokens=tokens_in, output_tokens=tokens_out, cost=cost)

    def _count(self, outcomes: Iterable[_Outcome], *, cached: bool = False) -> None:
        outcomes = list(outcomes)
        if not outcomes:
            return
        answers = [outcome for outcome in outcomes if isinstance(outcome, FrameReply)]
        captioned = sum(answer.keep for answer in answers)
        self._tell(
            captioned=captioned,
            dropped=len(answers) - captioned,
            missing=len(outcomes) - len(answers),
            cached=len(answers) if cached else 0,
        )

    def _tell(self, **more: Any) -> None:
        with self._lock:
            self._usage += Usage(**more)
            usage = self._usage
        if self._report is not None:
            self._report(usage)


def _annotation(outcome: _Outcome, names: NameList) -> Annotation:
    if isinstance(outcome, str):
        return Annotation(keep=True, error=one_line(outcome, 300))
    if not outcome.keep:
        reason = one_line(outcome.reason, MAX_REASON)
        return Annotation(keep=False, reason=reason or "the annotator gives no reason")
    tagged = names.tag(outcome.caption, outcome.characters)
    if not tagged.caption:
        return Annotation(keep=True, error="the caption holds nothing but brackets")
    return Annotation(keep=True, reason=tagged.reason, caption=tagged.caption, characters=tagged.characters)


def _jpeg(image: UInt8[np.ndarray, "h w 3"]) -> bytes:
    done, data = cv2.imencode(
        ".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )
    if not done:
        raise ValueError(f"OpenCV cannot encode a frame of shape {image.shape} as JPEG")
    return data.tobytes()
