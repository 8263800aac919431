"""Every error as a problem document (RFC 9457): a title, a sentence, and a code that programs can rely on."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from mithridate.errors import MithridateError, UserError
from mithridate.ledger.errors import EvidenceError, RecordError
from mithridate.ledger.fingerprint.model import FingerprintError
from mithridate.ledger.receipt import LedgerFailure, LedgerRefusal, SequenceRefusal

MEDIA_TYPE = "application/problem+json"

_REFERENCE = "#/components/schemas/Problem"

_log = logging.getLogger("mithridate.service")


class Problem(BaseModel):
    """A problem document."""

    type: str = Field(default="about:blank", description="Identifies the kind of problem.")
    title: str = Field(description="The meaning of the status.")
    status: int = Field(ge=400, le=599, description="The HTTP status.")
    detail: str = Field(description="One sentence: what is wrong, and what to do.")
    code: str = Field(description="The kind of problem, for programs.")
    expected_sequence: int | None = Field(
        default=None, description="The sequence number that the device's next record needs."
    )


class ProblemError(Exception):
    """Answers a request with a problem."""

    def __init__(self, status: int, code: str, detail: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


# The first class that an error is an instance of decides; what is not here is an error of the program.
_KINDS: tuple[tuple[type[Exception], int, str], ...] = (
    (SequenceRefusal, 409, "sequence"),
    (LedgerRefusal, 422, "refused"),
    (FingerprintError, 422, "unreadable-image"),
    (RecordError, 422, "malformed-record"),
    (LedgerFailure, 503, "ledger-unavailable"),
    (EvidenceError, 500, "ledger-damaged"),
    (UserError, 422, "refused"),
    (MithridateError, 503, "ledger-unavailable"),
)

RESPONSES: dict[int, str] = {
    400: "The request cannot be read",
    401: "Neither an API key nor a client certificate that is known",
    403: "The role does not include this",
    404: "There is no such thing",
    408: "The body stopped coming",
    409: "It does not follow on what is logged already",
    413: "The body is larger than allowed",
    422: "It is refused, for the reason given",
    429: "Too many requests: try again after the time given",
    500: "The ledger is damaged, or the service has an error",
    502: "The model cannot be reached, or gives no answer",
    503: "The ledger cannot answer now: try again",
    504: "The model did not answer in time",
}


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation, for its description; those that any may give are added."""
    return {
        status: {"description": RESPONSES[status], "content": {MEDIA_TYPE: {"schema": {"$ref": _REFERENCE}}}}
        for status in sorted({400, 408, 413, 429, 500, *statuses})
    }


def problem_response(
    status: int,
    code: str,
    detail: str,
    headers: dict[str, str] | None = None,
    *,
    expected_sequence: int | None = None,
) -> JSONResponse:
    """A problem document as a response."""
    title = HTTPStatus(status).phrase
    document = Problem(title=title, status=status, detail=detail, code=code, expected_sequence=expected_sequence)
    return JSONResponse(document.model_dump(exclude_none=True), status, headers, MEDIA_TYPE)


def handle_problems(app: FastAPI) -> None:
    """Have an application answer every error with a problem document, and describe that."""
    describe_app = app.openapi

    def openapi() -> dict[str, Any]:
        document = describe_app()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = Problem.model_json_schema()
        return document

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_exception_handler(ProblemError, _problem)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(MithridateError, _ours)
    app.add_exception_handler(Exception, _unforeseen)


def describe(error: Exception) -> tuple[int, str]:
    """Status and code of one of the program's own errors."""
    return next(((status, code) for kind, status, code in _KINDS if isinstance(error, kind)), (500, "internal"))


async def _problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ProblemError)
    return problem_response(error.status, error.code, error.detail, error.headers)


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower().replace("_", "-")
    return problem_response(error.status_code, code, str(error.detail), dict(error.headers or {}))


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return problem_response(422, "invalid", f"{place}: {first['msg']}")  # without the value, which may be private


async def _ours(request: Request, error: Exception) -> JSONResponse:
    status, code = describe(error)
    if status >= 500:
        _log.error("%s %s: %s", request.method, request.url.path, error)
    expected = error.expected if isinstance(error, SequenceRefusal) else None
    return problem_response(status, code, str(error), expected_sequence=expected)


async def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    _log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(500, "internal", "the service has an error; its log says more")
