"""How an endpoint is used; nothing here changes which question is asked about a frame."""

from __future__ import annotations

from dataclasses import dataclass, field

from captain_cinema.errors import CinemaError


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long an endpoint is waited for.

    Raises:
        CinemaError: That cannot be.
    """

    tries: int = 6
    """Requests for one reply while the endpoint is busy."""
    reply_seconds: float = 180.0
    """For one reply, from dialling to its last byte."""
    longest_wait: float = 300.0
    """Seconds between two tries. An endpoint that asks for more is left alone as long as it asks; meanwhile
    frames stay without caption."""

    def __post_init__(self) -> None:
        if not 1 <= self.tries <= 100:
            raise CinemaError("a busy endpoint is asked 1 to 100 times for one reply")
        if not 0 < self.reply_seconds <= 86_400:
            raise CinemaError("a reply may take more than 0 and at most 86,400 seconds")


@dataclass(frozen=True, kw_only=True)
class EndpointSettings:
    """How an endpoint is used.

    Raises:
        CinemaError: That cannot be.
    """

    frames: int = 8
    """In one request."""
    parallel: int = 4
    """Requests in flight, of one worker."""
    per_minute: float | None = None
    """Requests, of all workers that share the cache folder; None for as many as are answered."""
    patience: Patience = field(default_factory=Patience)
    input_price: float | None = None
    """Of a million tokens; the cost is told if either price is known."""
    output_price: float | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.frames <= 64 or not 1 <= self.parallel <= 64:
            raise CinemaError("an annotator takes 1 to 64 frames a request and 1 to 64 requests at a time")
        if self.per_minute is not None and not 0.01 <= self.per_minute <= 1e6:
            raise CinemaError("requests a minute are 0.01 to 1,000,000; leave the limit out if there is none")
        if not all(price is None or 0 <= price < 1e6 for price in (self.input_price, self.output_price)):
            raise CinemaError("a price is what a million tokens cost, 0 or more")
