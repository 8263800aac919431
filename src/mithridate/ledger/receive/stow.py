"""The web door: DICOMweb Store, "STOW-RS" (PS3.18 10.5), as a router to mount in a service or to run alone.

An instance is in the Referenced SOP Sequence of the answer only once it is logged and durable.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import anyio
from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.requests import ClientDisconnect

from mithridate.ledger.receive.intake import Arrival, Intake, state
from mithridate.ledger.receive.multipart import DICOM_TYPE, MultipartError, Part, PartReader, read_content_type
from mithridate.ledger.receive.part10 import Stated, is_dicom
from mithridate.ledger.receive.refusal import Kind, Refused

_log = logging.getLogger("mithridate.ledger.receive")

DICOM_JSON = "application/dicom+json"
_PROBLEM = "application/problem+json"
_ACCEPTED = {DICOM_JSON, "application/json", "application/*", "*/*"}
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
_AT_ONCE = 8


@dataclass
class _Store:
    """One request: where its instances go and what became of each, in the order of the parts."""

    intake: Intake
    peer: str
    study: str
    outcomes: dict[int, tuple[Stated, Refused | None]] = field(default_factory=dict)
    slots: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(_AT_ONCE))

    async def take(self, number: int, part: Part) -> None:
        """Log the instance in one part; the caller has acquired a slot."""
        try:
            self.outcomes[number] = await to_thread.run_sync(self._take, number, part)
        finally:
            self.slots.release()

    def _take(self, number: int, part: Part) -> tuple[Stated, Refused | None]:
        name = f"part {number} of the request"
        data = part.body.take()
        stated = state(data, self.intake.limits.fingerprint)
        arrival = Arrival(data, name, self.peer, "stow", Stated(study=self.study))
        try:
            refused = self._refused_unread(part, data, name)
            if refused is not None:
                raise self.intake.refuse(arrival, refused)
            self.intake.take(arrival)
        except Refused as error:
            return stated, error
        return stated, None

    def _refused_unread(self, part: Part, data: bytes, name: str) -> Refused | None:
        if part.body.fault is not None:
            return Refused(Kind.OUT_OF_RESOURCES, f"{name} is refused: {part.body.fault}")
        if part.content_type not in ("", DICOM_TYPE):
            return Refused(Kind.CANNOT_UNDERSTAND, f"{name} is of the type {part.content_type}: send {DICOM_TYPE}")
        if not is_dicom(data):
            return Refused(Kind.CANNOT_UNDERSTAND, f"{name} is no DICOM file")
        return None


def stow_router(intake: Intake) -> APIRouter:
    """The Store transaction in front of an intake: POST /studies and POST /studies/{study}."""
    router = APIRouter(tags=["DICOMweb"])
    answers: dict[int | str, dict[str, Any]] = {
        200: {"description": "Every instance is logged", "content": {DICOM_JSON: {}}},
        202: {
            "description": "Some instances are logged; the others have a failure reason",
            "content": {DICOM_JSON: {}},
        },
        400: {"description": "The body is not multipart/related as it says", "content": {_PROBLEM: {}}},
        406: {"description": "No media type of the answer is acceptable", "content": {_PROBLEM: {}}},
        409: {"description": "No instance is logged; each has a failure reason", "content": {DICOM_JSON: {}}},
        413: {"description": "The request is too large", "content": {_PROBLEM: {}}},
        415: {"description": "Not multipart/related of application/dicom", "content": {_PROBLEM: {}}},
        503: {"description": "Nothing can be logged now: send it again later", "content": {DICOM_JSON: {}}},
    }
    body = {
        "requestBody": {
            "required": True,
            "content": {"multipart/related": {"schema": {"type": "string", "format": "binary"}}},
        }
    }
    options: dict[str, Any] = {"responses": answers, "openapi_extra": body, "response_class": Response}

    @router.post("/studies", summary="Store instances", **options)
    async def store(request: Request) -> Response:
        return await _store(intake, request, "")

    @router.post("/studies/{study}", summary="Store instances of one study", **options)
    async def store_in_study(request: Request, study: str) -> Response:
        if len(study) > 64 or not _UID.fullmatch(study):
            return _problem(HTTPStatus.BAD_REQUEST, "the study in the address is no Study Instance UID")
        return await _store(intake, request, study)

    return router


def stow_app(intake: Intake) -> FastAPI:
    """A service that does nothing but store."""
    app = FastAPI(title="mithridate STOW-RS")
    app.include_router(stow_router(intake))
    return app


async def _store(intake: Intake, request: Request, study: str) -> Response:
    accepted = {kind.partition(";")[0].strip().lower() for kind in request.headers.get("accept", "*/*").split(",")}
    if not accepted & _ACCEPTED:
        return _problem(HTTPStatus.NOT_ACCEPTABLE, f"answers are given as {DICOM_JSON}")
    media, kind, boundary = read_content_type(request.headers.get("content-type", ""))
    if media != "multipart/related" or kind not in ("", DICOM_TYPE):
        wanted = f'multipart/related; type="{DICOM_TYPE}"'
        return _problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send instances as {wanted}")
    transaction = _Store(intake, request.client.host if request.client else "unknown", study)
    try:
        reader = PartReader(boundary, intake.limits.object_bytes, intake.folder)
        await _read(transaction, reader, _bounded(request, intake.limits.request_bytes))
    except MultipartError as error:
        return _problem(HTTPStatus.BAD_REQUEST, str(error), transaction)
    except ClientDisconnect:
        _log.warning("%s broke off in the middle of a request: what was complete is logged", transaction.peer)
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody reads it
    except _TooLarge:
        limit = f"{intake.limits.request_bytes:,}"
        return _problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request may have {limit} bytes: divide it", transaction
        )
    if not transaction.outcomes:
        return _problem(HTTPStatus.BAD_REQUEST, "the request holds no instance")
    return _answer([transaction.outcomes[number] for number in sorted(transaction.outcomes)])


class _TooLarge(Exception):
    """The request has more bytes than one may have."""


async def _bounded(request: Request, limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _TooLarge
        yield chunk


async def _read(transaction: _Store, reader: PartReader, chunks: AsyncIterator[bytes]) -> None:
    """Log parts while later ones still stream in; returns when all of them are settled."""
    failure: Exception | None = None
    number = 0
    async with anyio.create_task_group() as tasks:
        try:
            async for chunk in chunks:
                for part in reader.feed(chunk):
                    number += 1
                    await transaction.slots.acquire()
                    tasks.start_soon(transaction.take, number, part)
            reader.finish()
        except Exception as error:  # raised again once the parts already begun are settled
            failure = error
        finally:
            reader.close()
    if failure is not None:
        raise failure


def _answer(outcomes: list[tuple[Stated, Refused | None]]) -> Response:
    """The Store Instances Response Module (PS3.18 annex I) as DICOM JSON; reasons in words stand in the header."""
    nowhere = {"00081190": {"vr": "UR"}}  # there is nothing to retrieve here
    stored = [_item(stated) | nowhere for stated, refused in outcomes if refused is None]
    failures = [(stated, refused) for stated, refused in outcomes if refused is not None]
    failed: list[dict[str, Any]] = []
    others: list[dict[str, Any]] = []  # of which not even the UIDs can be read
    for stated, refused in failures:
        reason = {"00081197": {"vr": "US", "Value": [refused.kind.value]}}
        (failed if stated.sop_instance else others).append((_item(stated) if stated.sop_instance else {}) | reason)
    content: dict[str, Any] = dict(nowhere)
    for tag, items in (("00081198", failed), ("00081199", stored), ("0008119A", others)):
        if items:
            content[tag] = {"vr": "SQ", "Value": items}
    status = HTTPStatus.OK if not failures else HTTPStatus.ACCEPTED if stored else HTTPStatus.CONFLICT
    if failures and not stored and all(refused.kind.may_pass_later for _, refused in failures):
        status = HTTPStatus.SERVICE_UNAVAILABLE
    headers = {"Warning": _warning(failures[0][1])} if failures else None
    return JSONResponse(content, status, headers, DICOM_JSON)


def _item(stated: Stated) -> dict[str, Any]:
    """A SOP instance reference (PS3.3 table 10-11)."""
    return {
        "00081150": {"vr": "UI", "Value": [stated.sop_class]},
        "00081155": {"vr": "UI", "Value": [stated.sop_instance]},
    }


def _warning(refused: Refused) -> str:
    text = str(refused).encode("ascii", "replace").decode("ascii")
    return '299 mithridate "' + "".join(letter for letter in text if letter.isprintable() and letter not in '"\\') + '"'


def _problem(status: HTTPStatus, detail: str, transaction: _Store | None = None) -> Response:
    """An error of the whole request (RFC 9457), which says how many instances were logged before it."""
    logged = sum(refused is None for _, refused in transaction.outcomes.values()) if transaction is not None else 0
    if logged:
        detail += f"; {logged} instances were logged before that, and sending them again is harmless"
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return JSONResponse(content, status.value, media_type=_PROBLEM)
