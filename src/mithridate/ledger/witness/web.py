"""HTTP as logs, witnesses and mirrors need it: bounded answers, time limits, connections kept open, patient retries."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Self

from mithridate import __version__
from mithridate.errors import MissingExtra, MithridateError, UserError

if TYPE_CHECKING:
    import httpx

_SECONDS = 20.0
_ATTEMPTS = 4
_FIRST_PAUSE = 0.25
_PASSING = (429, 500, 502, 503, 504)


class WebFailure(MithridateError):
    """The other side cannot be reached, or does not answer as it should; nothing is wrong with what was asked."""


@dataclass(frozen=True)
class Reply:
    """An answer: its status, its media type without parameters, and its body."""

    status: int
    media_type: str
    body: bytes


class Web:
    """Requests below one address, "http://" or "https://"; certificates are checked against the system's authorities,
    or against the file that the environment variable SSL_CERT_FILE names."""

    def __init__(self, prefix: str, *, seconds: float = _SECONDS, pause: Callable[[float], None] = time.sleep) -> None:
        if not prefix.startswith(("http://", "https://")):
            raise UserError(f"{prefix!r} is no address: it starts with http:// or https://")
        try:
            import httpx
        except ImportError:
            raise MissingExtra("Talking to another server", "http") from None
        self.prefix = prefix.rstrip("/")
        self._pause = pause
        self._client = httpx.Client(timeout=seconds, headers={"user-agent": f"mithridate/{__version__}"})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, limit: int) -> bytes | None:
        """The body at a path, None when there is nothing.  Tried again while the failure may pass.

        Raises WebFailure when it does not, and for an answer of more than `limit` bytes.
        """
        reply = self._patiently(lambda: self._once("GET", path, limit))
        if reply.status in (404, 410):
            return None
        if reply.status != 200:
            raise WebFailure(f"{self.prefix}/{path} answers with status {reply.status}")
        return reply.body

    def post(self, path: str, body: bytes, limit: int, headers: Mapping[str, str] | None = None) -> Reply:
        """The answer to a request, whatever its status.  Never sent twice unless the first cannot have arrived.

        Raises WebFailure when there is no answer, or one of more than `limit` bytes.
        """
        return self._once("POST", path, limit, body, headers)

    def _patiently(self, ask: Callable[[], Reply]) -> Reply:
        for attempt in range(_ATTEMPTS - 1):
            try:
                reply = ask()
                if reply.status not in _PASSING:
                    return reply
            except WebFailure:
                pass
            self._pause(_FIRST_PAUSE * 2**attempt)
        return ask()

    def _once(
        self, method: str, path: str, limit: int, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        import httpx

        url = f"{self.prefix}/{path.lstrip('/')}" if path else self.prefix
        try:
            with self._client.stream(method, url, content=body, headers=dict(headers or {})) as response:
                return Reply(response.status_code, _media_type(response), _bounded(response, limit, url))
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            raise WebFailure(f"{url} does not answer ({str(error) or type(error).__name__})") from error


def _bounded(response: httpx.Response, limit: int, url: str) -> bytes:
    parts, total = [], 0
    for part in response.iter_bytes():
        total += len(part)
        if total > limit:
            raise WebFailure(f"{url} answers with more than {limit:,} bytes")
        parts.append(part)
    return b"".join(parts)


def _media_type(response: httpx.Response) -> str:
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
