"""What a run tells while it works: bars with the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TextIO

BAR = "{desc}: {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}s [{elapsed}, {remaining} left{postfix}]"


@dataclass(kw_only=True)
class Stage:
    """One stage under way: `total` things to make."""

    name: str
    total: int
    stream: TextIO
    bar: Any = None
    done: int = 0
    begun_at: int = 0
    """Things that an earlier run had made, which say nothing of this run's speed."""
    started: float = field(default_factory=time.monotonic)

    def at(self, done: int, what: str) -> None:
        """So many things are finished; the first call says how many were before."""
        if not self.done:
            self.begun_at, self.started = done, time.monotonic()
        if self.bar is not None and done > self.done:
            self.bar.update(done - 1 - self.done)
        self.done = done - 1
        self.step(what)

    def begin(self) -> None:
        """The first thing is begun: what came before, such as loading models, is no measure of the rest."""
        if self.done == 0:
            self.started = time.monotonic()
            if self.bar is not None:
                self.bar.reset()

    def part(self, done: int, total: int) -> None:
        """How far the thing under way is; shown on a terminal only."""
        if self.bar is not None:
            self.bar.set_postfix_str(f"step {done} of {total}")

    def step(self, what: str) -> None:
        """One thing is finished."""
        self.done += 1
        if self.bar is not None:
            self.bar.set_postfix_str(what, refresh=False)
            self.bar.update(1)
            return
        spent = time.monotonic() - self.started
        made = self.done - self.begun_at
        left = spent / made * (self.total - self.done) if made else None
        ending = f", {spoken_time(spent)}"
        if self.done < self.total:
            ending = "" if left is None else f", about {spoken_time(left)} left"
        print(f"{self.name} {self.done}/{self.total}: {what}{ending}", file=self.stream, flush=True)


class Reporter:
    """Speaks to the user on one stream, standard error by default; results never go through it."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = sys.stderr if stream is None else stream
        self._bar: Any = None

    def say(self, text: str) -> None:
        """One line."""
        if self._bar is not None:
            self._bar.write(text, file=self.stream)
        else:
            print(text, file=self.stream, flush=True)

    @contextmanager
    def stage(self, name: str, total: int, *, unit: str = "shot") -> Iterator[Stage]:
        """Run a stage of `total` steps."""
        if total == 0 or not self.stream.isatty():
            yield Stage(name=name, total=total, stream=self.stream)
            return
        from tqdm import tqdm

        with tqdm(
            total=total, desc=name, file=self.stream, dynamic_ncols=True, unit=unit, bar_format=BAR
        ) as bar:
            self._bar = bar
            try:
                yield Stage(name=name, total=total, stream=self.stream, bar=bar)
            finally:
                self._bar = None


def spoken_time(seconds: float) -> str:
    """A length of time as people say it: "40 s", "3 min 20 s", "2 h 5 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
