"""Whether the service lives, is ready, and what it has done."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from mithridate.ledger.service.access import may
from mithridate.ledger.service.context import Context, context_of
from mithridate.ledger.service.metrics import MEDIA_TYPE
from mithridate.ledger.service.problems import ProblemError, answers
from mithridate.ledger.service.roles import Permission, Principal
from mithridate.ledger.service.wire import StatusBody

router = APIRouter(tags=["health"])

Monitor = Annotated[Principal, Depends(may(Permission.MONITOR))]

_TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


@router.get("/health/live", responses=answers(), summary="Whether the process answers")
async def live() -> StatusBody:
    """Needs no key."""
    return StatusBody(status="live")


@router.get("/health/ready", responses=answers(503), summary="Whether the ledger answers")
async def ready(request: Request) -> StatusBody:
    """Reads the checkpoint; 503 while the ledger does not answer or audit events are lost.  Needs no key."""
    context = context_of(request)
    if not context.trail.is_whole:
        raise ProblemError(503, "audit-lost", "the last audit event could not be delivered: see the service's log")
    await context.call(context.ledger.checkpoint)
    return StatusBody(status="ready")


@router.get(
    "/metrics", response_class=Response, responses={**_TEXT, **answers(401, 403, 503)}, summary="Figures for Prometheus"
)
async def metrics(request: Request, principal: Monitor) -> Response:
    """In Prometheus' text form."""
    context = context_of(request)
    return Response(await context.call(_figures, context), media_type=MEDIA_TYPE)


def _figures(context: Context) -> bytes:
    context.metrics.size.set(context.ledger.size)
    context.metrics.audit_failures.set(context.trail.failures)
    return context.metrics.text()
