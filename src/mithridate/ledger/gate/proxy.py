"""The gate as a reverse proxy: in front of a model that speaks HTTP and knows nothing of ledgers.

The clinical request is multipart: the file `image`, and the fields `patient`, `accession`, `sop_instance_uid`, `entry`
and `nonce`, and for a gate without a ledger the file `bundle`.  The model gets the verified array or the verified bytes
and nothing else of the request: no header, no name.  Its answer goes back with what the gate found in headers of its
own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated

import anyio
from anyio import to_thread
from fastapi import APIRouter, Depends, FastAPI, File, Form, Request, Response, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from mithridate import __version__
from mithridate.ledger.bundle import MAX_BUNDLE_BYTES
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.gate.admission import Admitted, Gate
from mithridate.ledger.gate.expected import Expected
from mithridate.ledger.gate.proxy_metrics import GateMetrics
from mithridate.ledger.gate.proxy_settings import ProxySettings
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode
from mithridate.ledger.gate.upstream import Upstream
from mithridate.ledger.service.access import Access, access_of, caller_address, may
from mithridate.ledger.service.audit_event import Kind, Outcome
from mithridate.ledger.service.limits import BodyLimit
from mithridate.ledger.service.metrics import MEDIA_TYPE
from mithridate.ledger.service.problems import MEDIA_TYPE as PROBLEM_TYPE
from mithridate.ledger.service.problems import Problem, ProblemError, answers, handle_problems
from mithridate.ledger.service.roles import Permission, Principal
from mithridate.ledger.service.wire import StatusBody

Asker = Annotated[Principal, Depends(may(Permission.JUDGE))]

_FORM_OVERHEAD = 64 << 10

# 403 where the image is not to be used, 409 for a nonce that was used, 422 for a request that cannot be decided.
_STATUSES = {
    RefusalCode.UNREADABLE: 422,
    RefusalCode.IDENTITY_MISSING: 422,
    RefusalCode.NONCE: 409,
    RefusalCode.LEDGER: 503,
    RefusalCode.FAILURE: 503,
}


class GateProblem(Problem):
    """Why an image was not admitted."""

    verdict: Verdict | None = Field(default=None, description="The ledger's verdict, if it came to one.")
    attributes: list[str] = Field(default=[], description="Attributes that differ, by name.")
    index: int | None = Field(default=None, description="The entry that the image was judged against.")


class NonceBody(BaseModel):
    """A nonce for one request."""

    nonce: str
    expires: int = Field(description="Seconds since 1970.")


class ExpectedBody(BaseModel):
    """What the request that the nonce is for will expect; a nonce without it is good for any."""

    patient: str | None = Field(default=None, max_length=200)
    accession: str | None = Field(default=None, max_length=200)
    sop_instance_uid: str | None = Field(default=None, max_length=200)
    entry: int | None = Field(default=None, ge=0, lt=2**63)


def create_proxy(
    gate: Gate, settings: ProxySettings, upstream: Upstream, access: Access, metrics: GateMetrics
) -> FastAPI:
    """The proxy in front of one model; `metrics` is one of the gate's listeners."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.threads = anyio.CapacityLimiter(settings.threads)
        access.trail.record(Kind.START, Outcome.SUCCESS, settings.audit_source, None)
        yield
        await upstream.close()
        access.trail.record(Kind.STOP, Outcome.SUCCESS, settings.audit_source, None)

    app = FastAPI(title="mithridate gate", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.access = access
    app.include_router(_router(gate, settings, upstream, metrics))
    handle_problems(app)
    app.add_exception_handler(GateRefusal, _refused)
    limit = gate.policy.max_bytes + MAX_BUNDLE_BYTES + _FORM_OVERHEAD
    app.add_middleware(BodyLimit, limit=limit)
    return app


def _router(gate: Gate, settings: ProxySettings, upstream: Upstream, metrics: GateMetrics) -> APIRouter:
    router = APIRouter()
    refusals = answers(401, 403, 409, 422, 502, 503, 504)

    @router.post(
        settings.path,
        response_class=Response,
        responses=refusals,
        summary="Ask the model, through the gate",
    )
    async def predict(
        request: Request,
        principal: Asker,
        image: Annotated[UploadFile, File(description="A DICOM, PNG, JPEG or TIFF file.")],
        patient: Annotated[str | None, Form(max_length=200)] = None,
        accession: Annotated[str | None, Form(max_length=200)] = None,
        sop_instance_uid: Annotated[str | None, Form(max_length=200)] = None,
        entry: Annotated[int | None, Form(ge=0, lt=2**63)] = None,
        nonce: Annotated[str | None, Form(max_length=200)] = None,
        bundle: Annotated[UploadFile | None, File(description="The image's proof bundle.")] = None,
    ) -> Response:
        """The model's own answer for an admitted image; a problem document for any other."""
        data = await image.read()
        proof = await bundle.read() if bundle is not None else None
        expected = Expected(patient, accession, sop_instance_uid, entry)
        admit = partial(gate.admit, data, expected=expected, nonce=nonce, bundle=proof)
        try:
            admitted = await to_thread.run_sync(admit, limiter=request.app.state.threads)
        except GateRefusal as refusal:
            await audit_decision(request, principal, refusal)
            raise
        await audit_decision(request, principal, admitted)
        return await upstream.ask(admitted)

    @router.post(
        "/nonces",
        dependencies=[Depends(may(Permission.JUDGE))],
        status_code=201,
        responses=answers(401, 403, 409, 422),
        summary="Take a nonce",
    )
    async def nonce(body: ExpectedBody) -> NonceBody:
        """A nonce that opens the gate once, within its lifetime, for a request that expects exactly this."""
        expected = Expected(body.patient, body.accession, body.sop_instance_uid, body.entry)
        issued = await to_thread.run_sync(gate.nonces.issue, None if expected.is_empty else expected)
        return NonceBody(nonce=issued.text, expires=issued.expires)

    @router.get("/health/live", responses=answers(), summary="Whether the process answers")
    async def live() -> StatusBody:
        return StatusBody(status="live")

    @router.get("/health/ready", responses=answers(503), summary="Whether audit events are delivered")
    async def ready(request: Request) -> StatusBody:
        if not access_of(request).trail.is_whole:
            raise ProblemError(503, "audit-lost", "the last audit event could not be delivered: see the proxy's log")
        return StatusBody(status="ready")

    @router.get(
        "/metrics",
        dependencies=[Depends(may(Permission.MONITOR))],
        response_class=Response,
        responses=answers(401, 403),
        summary="Figures for Prometheus",
    )
    async def figures() -> Response:
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return router


async def audit_decision(request: Request, principal: Principal, decision: Admitted | GateRefusal) -> None:
    """Leave an audit event of what the gate decided, and for whom; the model is asked only after it."""
    if isinstance(decision, GateRefusal):
        is_failure = decision.code in (RefusalCode.LEDGER, RefusalCode.FAILURE)
        outcome = Outcome.SERIOUS_FAILURE if is_failure else Outcome.MINOR_FAILURE
        detail = f"refused, {decision.code}: {decision.reason}"
    else:
        outcome, detail = Outcome.SUCCESS, f"admitted, {decision.verdict.value}: {decision.reason}"
    trail, address = access_of(request).trail, caller_address(request)
    record = partial(trail.record, Kind.JUDGE, outcome, principal.name, address, detail, decision.index)
    with anyio.CancelScope(shield=True):
        await to_thread.run_sync(record)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, GateRefusal)
    status = _STATUSES.get(error.code, 403)
    problem = GateProblem(
        title="Not admitted",
        status=status,
        detail=error.reason,
        code=str(error.code),
        verdict=error.verdict,
        attributes=list(error.attributes),
        index=error.index,
    )
    headers = {"mithridate-verdict": error.verdict.value} if error.verdict is not None else {}
    return JSONResponse(problem.model_dump(mode="json", exclude_none=True), status, headers, PROBLEM_TYPE)
