"""What one caller may ask of the service: bytes in a body, requests in a second."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

import anyio
from fastapi.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mithridate.ledger.service.problems import problem_response

_CLOSE = {"connection": "close"}

MAX_CALLERS = 10_000
"""Callers remembered at once; the one that has been silent for longest is forgotten."""


class _BodyRefused(Exception):
    """More of a body came than may, or no more of it came."""


class BodyLimit:
    """Refuses bodies above a limit, by what they say they have and by what comes, and bodies that stop coming.

    A path that starts with one of `exempt` has a limit of its own.
    """

    def __init__(self, app: ASGIApp, limit: int, exempt: tuple[str, ...] = (), stall: float = 60) -> None:
        self._app = app
        self._limit = limit
        self._exempt = exempt
        self._stall = stall

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(self._exempt):
            await self._app(scope, receive, send)
            return
        refusal: JSONResponse | None = None
        taken, is_whole, has_started = 0, False, False

        async def bounded() -> Message:
            nonlocal refusal, taken, is_whole
            if is_whole:  # what may still come is that the caller goes away
                return await receive()
            with anyio.move_on_after(self._stall):
                message = await receive()
                taken += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if taken <= self._limit:
                    return message
                refusal = self._too_large()
                raise _BodyRefused
            refusal = problem_response(408, "stalled", f"nothing came for {self._stall:g} s: send it again", _CLOSE)
            raise _BodyRefused

        async def watched(message: Message) -> None:
            nonlocal has_started
            if refusal is None or has_started:  # else the application has taken the refusal for an error of its own
                has_started = True
                await send(message)

        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > self._limit:
            await self._too_large()(scope, receive, send)
            return
        try:
            await self._app(scope, bounded, watched)
        except _BodyRefused:
            if has_started:
                raise
        if refusal is not None and not has_started:
            await refusal(scope, receive, send)

    def _too_large(self) -> JSONResponse:
        detail = f"the body is above the limit of {self._limit:,} bytes: send less, or have the limit raised"
        return problem_response(413, "too-large", detail, _CLOSE)


@dataclass
class _Bucket:
    tokens: float
    filled: float


@dataclass
class RateLimit:
    """A token bucket for each caller: `rate` requests a second in the long run, `burst` at once.  Thread-safe."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _buckets: OrderedDict[str, _Bucket] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def take(self, caller: str) -> float:
        """0 when a request may be made now, else the seconds until one may."""
        now = self.clock()
        with self._lock:
            bucket = self._buckets.setdefault(caller, _Bucket(self.burst, now))
            self._buckets.move_to_end(caller)
            if len(self._buckets) > MAX_CALLERS:
                self._buckets.popitem(last=False)
            bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.filled) * self.rate)
            bucket.filled = now
            if bucket.tokens >= 1:
                bucket.tokens -= 1
                return 0.0
            return (1 - bucket.tokens) / self.rate
