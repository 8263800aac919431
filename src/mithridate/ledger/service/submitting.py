"""Operations that add to the log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from mithridate.ledger.entry import read_entry
from mithridate.ledger.receipt import Receipt
from mithridate.ledger.sealed import SALT_SIZE
from mithridate.ledger.service.access import may
from mithridate.ledger.service.audit_event import Kind
from mithridate.ledger.service.context import Audited, Context, context_of
from mithridate.ledger.service.problems import ProblemError, answers
from mithridate.ledger.service.roles import Permission, Principal
from mithridate.ledger.service.wire import (
    EnrolmentBody,
    EntryBody,
    ReceiptBody,
    RevocationBody,
    digests,
    from_base64,
)

router = APIRouter(prefix="/v1", tags=["submit"])

Submitter = Annotated[Principal, Depends(may(Permission.SUBMIT))]
Enroller = Annotated[Principal, Depends(may(Permission.ENROLL))]
Revoker = Annotated[Principal, Depends(may(Permission.REVOKE))]

_ANSWERS = answers(401, 403, 409, 422, 503)
_IMAGE = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.post("/entries", status_code=201, responses=_ANSWERS, summary="Submit a signed record")
async def submit_entry(body: EntryBody, request: Request, response: Response, principal: Submitter) -> ReceiptBody:
    """Answers once the record is durable and covered by a signed checkpoint.  The same bytes again give the receipt
    that they gave, so a request whose answer was lost is sent again."""
    context = context_of(request)
    async with context.audited(request, principal, Kind.SUBMISSION) as audited:
        entry = from_base64(body.entry, "entry")
        salt = from_base64(body.salt, "salt") if body.salt is not None else None
        if salt is not None and len(salt) != SALT_SIZE:
            raise ProblemError(422, "invalid", f"the salt has {len(salt)} bytes instead of {SALT_SIZE}")
        if body.identity is not None and salt is None:
            raise ProblemError(422, "invalid", "identity comes with the salt that opens it: send both or neither")
        record, _ = read_entry(entry)
        if record.body.kind not in ("capture", "derivation"):
            raise ProblemError(422, "refused", f"a {record.body.kind} is not submitted here: see its own operation")
        _check_device(principal, record.device)
        identity = digests(body.identity) if body.identity is not None else None
        receipt = await context.call(context.ledger.submit, entry, salt=salt, identity=identity)
        return _created(context, receipt, audited, response, record.body.kind)


@router.post("/images", status_code=201, responses=_ANSWERS, summary="Submit an image", openapi_extra=_IMAGE)
async def submit_image(
    request: Request,
    response: Response,
    principal: Submitter,
    station: Annotated[str, Query(min_length=1, max_length=200, description="A station of this host.")],
    name: Annotated[str, Query(max_length=200, description="What messages call the image.")] = "the image",
) -> ReceiptBody:
    """Fingerprints the image in the body and signs its record as a station of this host.  The image is not kept."""
    context = context_of(request)
    data = await request.body()
    async with context.audited(request, principal, Kind.SUBMISSION) as audited:
        if station not in await context.call(context.ledger.stations):
            raise ProblemError(422, "refused", f"this host has no station {station!r}: GET /v1/log lists them")
        signer = await context.call(context.ledger.station, station)
        _check_device(principal, signer.device_id)
        receipt = await context.call(context.ledger.capture, data, name, station=signer, channel="http")
        return _created(context, receipt, audited, response, "capture")


@router.post("/enrolments", status_code=201, responses=_ANSWERS, summary="Enroll a device")
async def enroll(body: EnrolmentBody, request: Request, response: Response, principal: Enroller) -> ReceiptBody:
    """Logs a signed enrolment, by the operator or by the device itself."""
    context = context_of(request)
    async with context.audited(request, principal, Kind.ENROLMENT) as audited:
        entry = from_base64(body.entry, "entry")
        receipt = await context.call(context.ledger.enroll, entry)
        return _created(context, receipt, audited, response, "enrolment")


@router.post("/revocations", status_code=201, responses=_ANSWERS, summary="Revoke a device or a record")
async def revoke(body: RevocationBody, request: Request, response: Response, principal: Revoker) -> ReceiptBody:
    """Logs a revocation, signed by the operator.  It counts from its own index on."""
    context = context_of(request)
    async with context.audited(request, principal, Kind.REVOCATION) as audited:
        target = bytes.fromhex(body.target)
        receipt = await context.call(context.ledger.revoke, body.scope, target, body.reason)
        return _created(context, receipt, audited, response, "revocation")


def _check_device(principal: Principal, device: bytes) -> None:
    if principal.device is not None and principal.device != device:
        raise ProblemError(403, "forbidden", f"{principal.name!r} may submit for one device only, and this is another")


def _created(context: Context, receipt: Receipt, audited: Audited, response: Response, kind: str) -> ReceiptBody:
    audited.entry = receipt.index
    context.metrics.entries.labels(kind).inc()
    response.headers["location"] = f"/v1/entries/{receipt.index}/proof"
    return ReceiptBody.of(receipt)
