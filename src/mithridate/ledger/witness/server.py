"""The witness over HTTP (C2SP tlog-witness): one call for logs, one for monitors, one for whoever configures either.

POST /add-checkpoint              a log asks for cosignatures
GET  /<log_path(origin)>/checkpoint   monitors see what the witness last let pass
GET  /witness.v0.json             name and public keys
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mithridate import __version__
from mithridate.errors import MissingExtra
from mithridate.ledger.witness.core import Witness, WitnessRefusal
from mithridate.ledger.witness.state import WitnessFailure
from mithridate.ledger.witness.wire import ADD_CHECKPOINT_PATH, MAX_REQUEST_BYTES, SIZE_TYPE

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

_CONCURRENT = 64
_KEEP_ALIVE = 30


def witness_app(witness: Witness) -> Starlette:
    """The ASGI application of a witness."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    async def add_checkpoint(request: Request) -> Response:
        body = await _bounded_body(request)
        if body is None:
            return PlainTextResponse(f"a request has at most {MAX_REQUEST_BYTES} bytes\n", 413)
        try:
            return Response(
                await run_in_threadpool(witness.add_checkpoint, body), media_type="text/plain; charset=utf-8"
            )
        except WitnessRefusal as refusal:
            if refusal.size is not None:
                return Response(f"{refusal.size}\n", refusal.status, {"content-type": SIZE_TYPE})
            return PlainTextResponse(f"{refusal}\n", refusal.status)
        except WitnessFailure:
            return PlainTextResponse("the witness cannot keep its state and signs nothing; try again later\n", 503)

    async def checkpoint(request: Request) -> Response:
        try:
            found = await run_in_threadpool(witness.latest, request.path_params["log"])
        except WitnessFailure:
            return PlainTextResponse("the witness cannot read its state; try again later\n", 503)
        if found is None:
            return PlainTextResponse("no checkpoint of this log has passed here\n", 404)
        return Response(found, media_type="text/plain; charset=utf-8", headers={"cache-control": "no-store"})

    async def description(_request: Request) -> Response:
        keys = [str(key) for key in witness.verifiers]
        software = {"name": "mithridate", "version": __version__}
        return JSONResponse({"name": witness.verifiers[0].name, "verifier_keys": keys, "software": software})

    return Starlette(
        routes=[
            Route(ADD_CHECKPOINT_PATH, add_checkpoint, methods=["POST"]),
            Route("/{log}/checkpoint", checkpoint, methods=["GET"]),
            Route("/witness.v0.json", description, methods=["GET"]),
        ]
    )


def serve_witness(
    witness: Witness, *, host: str, port: int, certificate: str | None = None, key: str | None = None
) -> None:
    """Serve until told to stop; with a certificate and its key, over TLS.  Port 0 takes a free one and says which.

    Raises MissingExtra without uvicorn and starlette.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError:
        raise MissingExtra("Serving a witness", "service") from None
    uvicorn.run(
        witness_app(witness),
        host=host,
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        limit_concurrency=_CONCURRENT,
        timeout_keep_alive=_KEEP_ALIVE,
        server_header=False,
        log_level="info",
    )


async def _bounded_body(request: Request) -> bytes | None:
    """The whole body, None as soon as it is too long."""
    parts, total = [], 0
    async for part in request.stream():
        total += len(part)
        if total > MAX_REQUEST_BYTES:
            return None
        parts.append(part)
    return b"".join(parts)
