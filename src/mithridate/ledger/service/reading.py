"""The log itself: its checkpoint and its tiles, as C2SP tlog-tiles lays them out."""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias

from fastapi import APIRouter, Depends, Request, Response

from mithridate.ledger.errors import TileError
from mithridate.ledger.service.access import may
from mithridate.ledger.service.context import Context, context_of
from mithridate.ledger.service.problems import ProblemError, answers
from mithridate.ledger.service.roles import Permission, Principal
from mithridate.ledger.service.wire import LogBody
from mithridate.ledger.tiles import CHECKPOINT_PATH, parse_path

router = APIRouter(tags=["log"])

Reader = Annotated[Principal, Depends(may(Permission.READ_LOG))]

_Answers: TypeAlias = "dict[int | str, dict[str, Any]]"

_NOTE: _Answers = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}
_TILE: _Answers = {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}}
_A_YEAR = 31_536_000


@router.get("/v1/log", responses=answers(401, 403, 503), summary="About the log")
async def about(request: Request, principal: Reader) -> LogBody:
    """Origin, public key and size."""
    context = context_of(request)
    return await context.call(_about, context)


@router.get(
    f"/{CHECKPOINT_PATH}", response_class=Response, responses={**_NOTE, **answers(401, 403, 503)}, summary="Checkpoint"
)
async def checkpoint(request: Request, principal: Reader) -> Response:
    """The last published checkpoint, a signed note with the witnesses' cosignatures."""
    context = context_of(request)
    note = await context.call(context.ledger.checkpoint)
    return Response(note, media_type="text/plain; charset=utf-8", headers={"cache-control": "no-cache"})


@router.get(
    "/tile/{path:path}",
    response_class=Response,
    responses={**_TILE, **answers(401, 403, 404, 422, 503)},
    summary="Tile or entry bundle",
)
async def tile(request: Request, principal: Reader, path: str) -> Response:
    """A tile of hashes, `tile/<level>/<index>[.p/<width>]`, or a bundle of entries, `tile/entries/...`.  It never
    changes, so it may be kept for good."""
    context = context_of(request)
    content = await context.call(_tile, context, f"tile/{path}")
    if content is None:
        raise ProblemError(404, "not-found", "the log has no such tile; of a partial one, ask for the full one")
    scope = "public" if context.settings.public_log else "private"
    headers = {"cache-control": f"{scope}, max-age={_A_YEAR}, immutable"}
    return Response(content, media_type="application/octet-stream", headers=headers)


def _about(context: Context) -> LogBody:
    ledger = context.ledger
    return LogBody(origin=ledger.origin, key=str(ledger.verifier()), size=ledger.size, stations=list(ledger.stations()))


def _tile(context: Context, path: str) -> bytes | None:
    try:
        place = parse_path(path).path  # the one spelling of a tile's path, so it cannot lead anywhere else
        return (context.ledger.tiles_folder / place).read_bytes()
    except (TileError, FileNotFoundError, NotADirectoryError):
        return None
