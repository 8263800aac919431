"""Operations that say what an image or a receipt is, and prove it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from mithridate.ledger.judgement import LogJudgement
from mithridate.ledger.service.access import may
from mithridate.ledger.service.audit_event import Kind
from mithridate.ledger.service.context import Audited, Context, context_of
from mithridate.ledger.service.problems import ProblemError, answers
from mithridate.ledger.service.receipts import check_receipt
from mithridate.ledger.service.roles import Permission, Principal
from mithridate.ledger.service.wire import CheckedBody, FingerprintBody, JudgementBody, ReceiptBody

router = APIRouter(prefix="/v1", tags=["verify"])

Verifier = Annotated[Principal, Depends(may(Permission.JUDGE))]
Prover = Annotated[Principal, Depends(may(Permission.PROVE))]
Reader = Annotated[Principal, Depends(may(Permission.READ_LOG))]

Wanted = Annotated[int | None, Query(ge=0, lt=2**63, description="The one record to judge by.")]

_NAME = "the image"

BUNDLE_TYPE = "application/vnd.mithridate.proof"
_BINARY = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/verify",
    responses=answers(401, 403, 422, 503),
    summary="Judge an image",
    openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}}},
)
async def verify(
    request: Request,
    principal: Verifier,
    name: Annotated[str, Query(max_length=200, description="What messages call the image: its file name.")] = _NAME,
    entry: Wanted = None,
) -> JudgementBody:
    """Says what became of the image in the body since it was recorded.  The image is not kept.

    An altered PNG, JPEG or TIFF file, which bears no identity, is found by its file's name or by the entry."""
    context = context_of(request)
    data = await request.body()
    async with context.audited(request, principal, Kind.JUDGE) as audited:
        return _judged(context, await context.call(context.ledger.judge, data, name, entry=entry), audited)


@router.post("/verify/fingerprint", responses=answers(401, 403, 422, 503), summary="Judge a fingerprint")
async def verify_fingerprint(
    body: FingerprintBody, request: Request, principal: Verifier, entry: Wanted = None
) -> JudgementBody:
    """`/v1/verify` for a caller, such as a gate, that has fingerprinted the image itself."""
    context = context_of(request)
    async with context.audited(request, principal, Kind.JUDGE) as audited:
        found = await context.call(context.ledger.judge_fingerprint, body.fingerprint(), entry=entry)
        return _judged(context, found, audited)


@router.get(
    "/entries/{index}/proof",
    response_class=Response,
    responses={200: {"content": {BUNDLE_TYPE: _BINARY}}, **answers(401, 403, 404, 422, 503)},
    summary="Take a proof",
)
async def prove(
    request: Request,
    principal: Prover,
    index: Annotated[int, Path(ge=0, lt=2**63)],
    salt: Annotated[bool, Query(description="With the salt, which opens the record's commitments.")] = True,
) -> Response:
    """The offline proof of one entry, as `mithridate ledger check-proof` takes it.  With the salt it is as private as
    the image."""
    context = context_of(request)
    async with context.audited(request, principal, Kind.PROOF) as audited:
        size = await context.call(lambda: context.ledger.size)
        if index >= size:
            raise ProblemError(404, "not-found", f"the log has {size} entries and no entry {index}")
        audited.entry = index
        bundle = await context.call(context.ledger.prove, index, with_salt=salt)
        return Response(bundle.encode(), media_type=BUNDLE_TYPE, headers={"cache-control": "no-store"})


@router.post("/receipts/check", responses=answers(401, 403, 422, 503), summary="Check a receipt")
async def check(body: ReceiptBody, request: Request, principal: Reader) -> CheckedBody:
    """Whether this log gave the receipt and still stands by it; 422 says what is wrong with one that is forged."""
    context = context_of(request)
    size = await context.call(check_receipt, context.ledger, body.receipt())
    return CheckedBody(genuine=True, size=size)


def _judged(context: Context, found: LogJudgement, audited: Audited) -> JudgementBody:
    context.metrics.verdicts.labels(found.verdict.value).inc()
    if found.others:
        context.metrics.two_identities.inc()
    audited.entry = found.index
    audited.detail = found.verdict.value
    return JudgementBody.of(found)
