"""Who is asking, and whether they may: API keys as bearer tokens, or client certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from anyio import to_thread
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from mithridate.ledger.service.audit_event import Kind, Outcome
from mithridate.ledger.service.audit_trail import AuditTrail
from mithridate.ledger.service.credentials import Credentials
from mithridate.ledger.service.limits import RateLimit
from mithridate.ledger.service.problems import ProblemError
from mithridate.ledger.service.roles import ANYBODY, Permission, Principal

PEER_CERTIFICATE = "peer_certificate"
"""Where the server puts the client's certificate, in DER form, in the connection's state."""

_CHALLENGE = {"www-authenticate": 'Bearer realm="mithridate"'}
_bearer = HTTPBearer(auto_error=False, description="An API key, as `mithridate ledger api-key create` prints it.")


@dataclass(frozen=True)
class Access:
    """What decides: the credentials that are known, how often anybody may ask, and where denials are written down.

    `open_to_all` are the permissions that need no credential.
    """

    credentials: Credentials
    rates: RateLimit
    trail: AuditTrail
    open_to_all: frozenset[Permission] = frozenset()

    async def deny(self, request: Request, user: str, detail: str) -> None:
        """Write down that somebody was turned away."""
        address = caller_address(request)
        await to_thread.run_sync(self.trail.record, Kind.DENIED, Outcome.MINOR_FAILURE, user, address, detail)


def access_of(request: Request) -> Access:
    """The access rules of the application that answers."""
    access = request.app.state.access
    assert isinstance(access, Access)
    return access


def caller_address(request: Request) -> str | None:
    """The address that the connection comes from; headers that claim another are not believed."""
    return request.client.host if request.client is not None else None


async def authenticate(
    request: Request, bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Principal | None:
    """Who is asking, None for somebody who shows nothing.  Raises ProblemError for a key or certificate of nobody's,
    and for a caller who asks too often."""
    access = access_of(request)
    certificate = getattr(request.state, PEER_CERTIFICATE, None)
    principal = None
    if bearer is not None:
        principal = access.credentials.recognize_key(bearer.credentials)
    elif certificate is not None:
        principal = access.credentials.recognize_certificate(certificate)
    address = caller_address(request) or "unknown"
    wait = access.rates.take(f"principal {principal.name}" if principal is not None else f"address {address}")
    if wait:
        detail = f"too many requests: try again in {wait:.1f} s"
        raise ProblemError(429, "too-many-requests", detail, {"retry-after": str(int(wait) + 1)})
    if principal is None and (bearer is not None or certificate is not None):
        await access.deny(request, "somebody", "an API key or certificate that nobody holds, or not any more")
        raise ProblemError(401, "unauthenticated", "this API key or certificate is not known", _CHALLENGE)
    return principal


Caller = Annotated[Principal | None, Depends(authenticate)]


def may(permission: Permission) -> Callable[..., object]:
    """A dependency that gives the principal, once it may do this."""

    async def check(request: Request, principal: Caller) -> Principal:
        access = access_of(request)
        if principal is None:
            if permission in access.open_to_all:
                return ANYBODY
            raise ProblemError(401, "unauthenticated", "show an API key or a client certificate", _CHALLENGE)
        if not principal.may(permission):
            await access.deny(request, principal.name, f"the role {principal.role} does not include {permission}")
            detail = f"{principal.name!r} has the role {principal.role}, which does not include {permission}"
            raise ProblemError(403, "forbidden", detail)
        return principal

    return check
