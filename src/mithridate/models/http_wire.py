"""Requests to an endpoint: how images travel, how answers are read, when a failed request is tried again."""

from __future__ import annotations

import base64
import io
import os
import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mithridate.errors import MissingExtra, MithridateError, UserError
from mithridate.models.description import HttpPlan

RETRIED = (408, 425, 429, 500, 502, 503, 504)
LONGEST_WAIT = 60.0


class Wire:
    """One connection pool to one endpoint.  Raises UserError for what the plan states wrongly (an address that does not
    exist, credentials, a path in the answer), MithridateError when the endpoint keeps failing.  `turn` says how long to
    wait before a request."""

    def __init__(self, plan: HttpPlan, name: str, turn: Callable[[], float] | None = None) -> None:
        try:
            import httpx
        except ImportError as error:
            raise MissingExtra("an HTTP endpoint", "http") from error
        headers = {}
        for header, variable in plan.headers_from.items():
            if variable not in os.environ:
                raise UserError(f"{name}: the environment variable {variable}, for the header {header}, is not set")
            headers[header] = os.environ[variable]
        self._plan, self._name, self._turn = plan, name, turn
        self._httpx = httpx
        self._client = httpx.Client(timeout=plan.timeout, headers=headers)

    def ask(self, images: NDArray[np.float32]) -> NDArray[np.float64]:
        """The endpoint's answers, N or N x K, to N images as the model takes them."""
        failure = ""
        for attempt in range(self._plan.retries + 1):
            if self._turn is not None:
                time.sleep(self._turn())
            delay = min(LONGEST_WAIT, 0.5 * 2**attempt) * (
                0.5 + random.random() / 2
            )  # apart from other clients' retries
            try:
                response = self._client.post(self._plan.url, **self._request(images))
            except self._httpx.TimeoutException:
                failure = f"did not answer within {self._plan.timeout:g} s"
            except self._httpx.TransportError as error:
                failure = f"cannot be reached ({error})"
            else:
                if response.status_code == 200:
                    return self._read(response, len(images))
                failure = f"answered {response.status_code}"
                if response.status_code not in RETRIED:
                    raise UserError(
                        f"{self._name}: {self._plan.url} {failure}: {response.text[:160]!r}; check the address, the "
                        "encoding and headers_from"
                    )
                delay = max(delay, _retry_after(response))
            if attempt < self._plan.retries:
                time.sleep(delay)
        tries = self._plan.retries + 1
        raise MithridateError(
            f"{self._name}: {self._plan.url} {failure}, {tries} times in a row; what was found is kept"
        )

    def _request(self, images: NDArray[np.float32]) -> dict[str, Any]:
        plan = self._plan
        if plan.encoding == "multipart":
            return {"files": [(plan.field, (f"{i}.png", png(x, plan), "image/png")) for i, x in enumerate(images)]}
        if plan.image_as == "png":
            return {"json": {plan.field: [base64.b64encode(png(x, plan)).decode() for x in images]}}
        return {"json": {plan.field: images.tolist()}}

    def _read(self, response: Any, count: int) -> NDArray[np.float64]:
        try:
            found = response.json()
        except ValueError as error:
            raise UserError(
                f"{self._name}: {self._plan.url} did not answer with JSON: {response.text[:160]!r}"
            ) from error
        for key in self._plan.answers.split("."):
            inside = found.get(key) if isinstance(found, dict) else None
            if inside is None:
                held = ", ".join(map(str, found)) if isinstance(found, dict) else type(found).__name__
                raise UserError(f"{self._name}: the answer has no '{key}' (it holds {held}): mend 'answers'")
            found = inside
        try:
            answers = np.array(found, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise UserError(f"{self._name}: '{self._plan.answers}' holds no table of numbers ({error})") from error
        if answers.ndim not in (1, 2) or len(answers) != count:
            raise UserError(
                f"{self._name}: '{self._plan.answers}' holds shape {answers.shape} for {count} images: one row each"
            )
        if not np.isfinite(answers).all():
            raise MithridateError(
                f"{self._name}: {self._plan.url} answered NaN or infinite values; what was found is kept"
            )
        return answers


def png(image: NDArray[np.float32], plan: HttpPlan) -> bytes:
    """An image in [0, 1] as an 8-bit PNG: the rounding is the endpoint's own, and every attack passes through it."""
    pixels = image if plan.input.layout == "NHWC" else image.transpose(1, 2, 0)
    whole = np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(whole[:, :, 0] if whole.shape[2] == 1 else whole).save(stream, "PNG")
    return stream.getvalue()


def _retry_after(response: Any) -> float:
    """Seconds that the endpoint asks to wait, at most a minute; 0 when it names none."""
    value = response.headers.get("retry-after", "")
    return min(LONGEST_WAIT, float(value)) if value.isdigit() else 0.0
