"""What every operation of the ledger's service needs: the ledger, threads to wait in, a place to say what was done."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import ParamSpec, TypeVar

import anyio
from anyio import to_thread
from fastapi import Request

from mithridate.ledger.log import Ledger
from mithridate.ledger.service.access import caller_address
from mithridate.ledger.service.audit_event import Kind, Outcome
from mithridate.ledger.service.audit_trail import AuditTrail
from mithridate.ledger.service.credentials import Credentials
from mithridate.ledger.service.metrics import Metrics
from mithridate.ledger.service.problems import ProblemError, describe
from mithridate.ledger.service.roles import Principal
from mithridate.ledger.service.settings import Settings

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass
class Audited:
    """What an operation finds out for its audit event."""

    detail: str = ""
    entry: int | None = None


@dataclass
class Context:
    """The service's parts."""

    ledger: Ledger
    settings: Settings
    credentials: Credentials
    trail: AuditTrail
    metrics: Metrics = field(default_factory=Metrics)
    _threads: anyio.CapacityLimiter | None = None

    async def call(self, function: Callable[_P, _T], *arguments: _P.args, **options: _P.kwargs) -> _T:
        """Run what blocks in a thread, of which only so many run at once."""
        if self._threads is None:  # made in the event loop that it belongs to
            self._threads = anyio.CapacityLimiter(self.settings.threads)
        return await to_thread.run_sync(functools.partial(function, *arguments, **options), limiter=self._threads)

    @asynccontextmanager
    async def audited(self, request: Request, principal: Principal, kind: Kind) -> AsyncIterator[Audited]:
        """Write an audit event of what is done inside, however it ends."""
        found, outcome = Audited(), Outcome.SUCCESS
        try:
            yield found
        except Exception as error:
            status = error.status if isinstance(error, ProblemError) else describe(error)[0]
            outcome = Outcome.MINOR_FAILURE if status < 500 else Outcome.SERIOUS_FAILURE
            found.detail = str(error)
            raise
        finally:
            record = functools.partial(
                self.trail.record, kind, outcome, principal.name, caller_address(request), found.detail, found.entry
            )
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(record)


def context_of(request: Request) -> Context:
    """The context of the application that answers."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context
