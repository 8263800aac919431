"""The model behind the gate: what it is sent, and what of its answer goes back."""

from __future__ import annotations

import io

import httpx
import numpy as np
from fastapi import Response

from mithridate.ledger.gate.admission import Admitted
from mithridate.ledger.gate.proxy_settings import ProxySettings
from mithridate.ledger.service.problems import ProblemError

NPY_TYPE = "application/x-npy"
_BYTES_TYPE = "application/octet-stream"


class Upstream:
    """Sends admitted images to the model."""

    def __init__(self, settings: ProxySettings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._client = httpx.AsyncClient(
            timeout=settings.model_timeout, follow_redirects=False, trust_env=False, transport=transport
        )

    async def close(self) -> None:
        """End the connections."""
        await self._client.aclose()

    async def ask(self, admitted: Admitted) -> Response:
        """The model's answer: status, type and body, with the gate's findings as headers.

        Raises ProblemError when the model does not answer, or with something that is no answer.
        """
        findings = finding_headers(admitted)
        content, kind = (_npy(admitted), NPY_TYPE) if self._settings.forward == "npy" else (admitted.data, _BYTES_TYPE)
        limit = self._settings.max_answer
        body = bytearray()
        try:
            async with self._client.stream(
                "POST", self._settings.model, content=content, headers={"content-type": kind, **findings}
            ) as answer:
                async for chunk in answer.aiter_bytes():
                    body += chunk
                    if len(body) > limit:
                        raise ProblemError(502, "model", f"the model's answer is above the limit of {limit:,} bytes")
        except httpx.TimeoutException:
            raise ProblemError(504, "model", "the model did not answer in time: try again") from None
        except httpx.HTTPError as error:
            raise ProblemError(502, "model", f"the model cannot be reached ({type(error).__name__})") from error
        if answer.is_redirect or answer.is_informational:
            raise ProblemError(502, "model", f"the model answers {answer.status_code}, which is no answer: correct it")
        media_type = answer.headers.get("content-type", _BYTES_TYPE)
        return Response(bytes(body), answer.status_code, headers=findings, media_type=media_type)


def finding_headers(admitted: Admitted) -> dict[str, str]:
    """What the gate found, as headers that nobody but the gate sets."""
    headers = {
        "mithridate-verdict": admitted.verdict.value,
        "mithridate-index": str(admitted.index),
        "mithridate-tensor": admitted.tensor.hex(),
        "mithridate-preprocessing": admitted.preprocessing,
        "mithridate-decoder": admitted.decoder,
    }
    if admitted.size is not None:
        headers["mithridate-log-size"] = str(admitted.size)
    if admitted.alerts:
        headers["mithridate-alert"] = "two-identities"
    return headers


def _npy(admitted: Admitted) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, admitted.array, allow_pickle=False)
    return buffer.getvalue()
