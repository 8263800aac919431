"""Models that are not ours: any callable, and any HTTP endpoint, with scores or with labels only."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mithridate.claims.claim import Claim
from mithridate.claims.input.write import claim_record
from mithridate.errors import MithridateError, UserError


@dataclass(frozen=True)
class CallableScorer:
    """A function from claims to suspicion in [0, 1]; claims at `threshold` or above are denied."""

    function: Callable[[Sequence[Claim]], ArrayLike]
    threshold: float

    def score(self, claims: Sequence[Claim]) -> NDArray[np.float64]:
        """Raises UserError when the function does not give one finite number a claim."""
        return _numbers(self.function(claims), len(claims), "the model")

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        return np.asarray(self.score(claims) >= self.threshold)


@dataclass(frozen=True)
class CallableDecider:
    """A function from claims to labels: true for a claim that is denied."""

    function: Callable[[Sequence[Claim]], ArrayLike]

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        return _numbers(self.function(claims), len(claims), "the model").astype(bool)


@dataclass(frozen=True)
class HttpModel:
    """An endpoint that takes {"claims": [...]} as JSON and answers {"denied": [...]} or {"scores": [...]}.

    Claims are sent without their documentation, as a payer receives them.  Use `scorer` when it gives scores.
    """

    url: str
    seconds: float = 30.0

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https"):
            raise UserError(f"'{self.url}' is no HTTP address: give one that starts with http:// or https://")

    def scorer(self, threshold: float) -> CallableScorer:
        """The endpoint as a model with scores."""
        return CallableScorer(lambda claims: self._ask(claims, "scores"), threshold)

    def denies(self, claims: Sequence[Claim]) -> NDArray[np.bool_]:
        return _numbers(self._ask(claims, "denied"), len(claims), self.url).astype(bool)

    def _ask(self, claims: Sequence[Claim], key: str) -> Any:
        records = [{k: v for k, v in claim_record(claim).items() if k != "documentation"} for claim in claims]
        body = json.dumps({"claims": records}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self.seconds) as response:
                answer = json.load(response)
        except (urllib.error.URLError, TimeoutError, json.JSONDecodeError) as error:
            raise MithridateError(
                f"{self.url} did not answer with JSON ({error}): is the model served there?"
            ) from None
        if not isinstance(answer, dict) or key not in answer:
            known = ", ".join(answer) if isinstance(answer, dict) else "no object"
            raise UserError(f"{self.url} answered with {known} and not with '{key}': choose scores or labels to match")
        return answer[key]


def _numbers(answer: Any, many: int, who: str) -> NDArray[np.float64]:
    try:
        found = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{who} answered with something other than numbers") from None
    if found.shape != (many,) or not np.isfinite(found).all():
        raise UserError(f"{who} answered with shape {found.shape} for {many} claims: give one finite number a claim")
    return found
