"""The ledger's HTTP service as an ASGI application."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mithridate import __version__
from mithridate.ledger.service import judging, reading, submitting, watching
from mithridate.ledger.service.access import Access, may
from mithridate.ledger.service.audit_event import Kind, Outcome
from mithridate.ledger.service.context import Context
from mithridate.ledger.service.limits import BodyLimit, RateLimit
from mithridate.ledger.service.metrics import Metrics
from mithridate.ledger.service.problems import answers, handle_problems
from mithridate.ledger.service.roles import Permission

STOW_PREFIX = "/dicom-web"

_DESCRIPTION = """
A tamper-evident log of medical images as they were captured.

Every error is a problem document (RFC 9457) whose `code` programs can rely on.  Show an API key as a bearer token, or a
client certificate.  An answer of 201 means that the entry is on disk and covered by a signed checkpoint.
"""


def create_app(context: Context) -> FastAPI:
    """The application in front of an open ledger, which stays the caller's to close."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        context.trail.record(Kind.START, Outcome.SUCCESS, context.settings.audit_source, None)
        yield
        context.trail.record(Kind.STOP, Outcome.SUCCESS, context.settings.audit_source, None)

    app = FastAPI(
        title="mithridate ledger",
        version=__version__,
        description=_DESCRIPTION.strip(),
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.context = context
    app.state.access = Access(
        context.credentials,
        RateLimit(context.settings.rate, context.settings.burst),
        context.trail,
        frozenset({Permission.READ_LOG}) if context.settings.public_log else frozenset(),
    )
    for part in (submitting, judging, reading, watching):
        app.include_router(part.router)
    exempt: tuple[str, ...] = ()
    if context.settings.station is not None:
        _mount_stow(app, context, context.settings.station)
        exempt = (STOW_PREFIX,)  # that door has a limit of its own, for each instance
    handle_problems(app)
    app.add_middleware(BodyLimit, limit=context.settings.max_body, exempt=exempt)
    app.add_middleware(_Measure, metrics=context.metrics)
    return app


class _Measure:
    """Counts and times requests by operation."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.perf_counter()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                name = route.path if isinstance(route, APIRoute) else "other"  # not the path: it may be anything
                self._metrics.requests.labels(name, str(message["status"])).inc()
                self._metrics.seconds.labels(name).observe(time.perf_counter() - begin)
            await send(message)

        await self._app(scope, receive, measured)


def _mount_stow(app: FastAPI, context: Context, station: str) -> None:
    """DICOMweb's store transaction, signed for by a station of this host."""
    from mithridate.ledger.receive.intake import Intake
    from mithridate.ledger.receive.stow import stow_router

    intake = Intake(context.ledger, context.ledger.station(station))
    allowed = [Depends(may(Permission.SUBMIT))]
    app.include_router(stow_router(intake), prefix=STOW_PREFIX, dependencies=allowed, responses=answers(401, 403))


def _operation_id(route: APIRoute) -> str:
    return route.name
