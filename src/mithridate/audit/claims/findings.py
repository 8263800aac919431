"""Findings on claims: what the audit, never the attack, established about one claim under one attack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mithridate.claims.attacks.oracle import Decider, Decisions
from mithridate.claims.attacks.terms import Terms
from mithridate.claims.budget import CodeEdits, measure
from mithridate.claims.claim import Claim
from mithridate.claims.codes import category
from mithridate.claims.detector import Detector

SCHEMA = pa.schema(
    [
        pa.field("cell", pa.string()),
        pa.field("claim", pa.string()),
        pa.field("provider", pa.string()),
        pa.field("payer_model", pa.string()),
        pa.field("fraud", pa.bool_()),
        pa.field("denied_before", pa.bool_()),
        pa.field("denied_after", pa.bool_()),
        pa.field("paid_before", pa.float64()),  # dollars received: 0 for a denied claim
        pa.field("paid_after", pa.float64()),
        pa.field("asked_before", pa.float64()),  # dollars asked for
        pa.field("asked_after", pa.float64()),
        pa.field("margin_before", pa.float64()),  # of the detector inside the defense
        pa.field("margin_after", pa.float64()),
        pa.field("flagged_1", pa.bool_()),  # at 1% false positives; null for a model of labels only
        pa.field("flagged_5", pa.bool_()),
        pa.field("edits", pa.int64()),
        pa.field("classes", pa.string()),  # one letter an edit
        pa.field("families", pa.string()),  # "J18>A41": categories given up and taken up
        pa.field("supported", pa.float64()),  # share of the diagnoses that the record supports, after
        pa.field("violation", pa.float64()),
        pa.field("lawful", pa.bool_()),
        pa.field("queries", pa.int64()),
        pa.field("seconds", pa.float64()),  # the claim's share of its shard; the only column that may vary
    ]
)


def judge(
    *,
    cell: str,
    model: Decider,
    detector: Detector,
    terms: Terms,
    claims: Sequence[Claim],
    fraud: NDArray[np.bool_],
    candidates: Sequence[Claim],
    budget: CodeEdits,
    oracle: Decisions,
    seconds: float,
) -> pa.Table:
    """Decisions and payments recomputed on the model under audit, edits measured on the two claims, one row a claim."""
    denied = [model.denies(claims), model.denies(candidates)]
    asked = [terms.payments(claims), terms.payments(candidates)]
    margins = [detector.margins(claims), detector.margins(candidates)]
    measured = [measure(old, new) for old, new in zip(claims, candidates, strict=True)]
    columns: dict[str, Any] = {
        "cell": [cell] * len(claims),
        "claim": [claim.id for claim in claims],
        "provider": [claim.provider for claim in claims],
        "payer_model": [claim.payer_model for claim in claims],
        "fraud": fraud,
        "denied_before": denied[0],
        "denied_after": denied[1],
        "paid_before": np.where(denied[0], 0.0, asked[0]),
        "paid_after": np.where(denied[1], 0.0, asked[1]),
        "asked_before": asked[0],
        "asked_after": asked[1],
        "margin_before": margins[0],
        "margin_after": margins[1],
        "flagged_1": _flagged(margins[1], detector.ceilings[0]),
        "flagged_5": _flagged(margins[1], detector.ceilings[1]),
        "edits": [item.edits for item in measured],
        "classes": [item.classes for item in measured],
        "families": [families(old, new) for old, new in zip(claims, candidates, strict=True)],
        "supported": [_supported(claim) for claim in candidates],
        "violation": [budget.violation(old, new) for old, new in zip(claims, candidates, strict=True)],
        "lawful": [bool(terms.lawful(old, [new])[0]) for old, new in zip(claims, candidates, strict=True)],
        "queries": oracle.queries,
        "seconds": np.full(len(claims), seconds / max(1, len(claims))),
    }
    return pa.table(columns, schema=SCHEMA)


def _flagged(margins: NDArray[np.float64], ceiling: float) -> list[bool | None]:
    return [None] * len(margins) if np.isnan(ceiling) else (margins >= ceiling).tolist()


def families(original: Claim, candidate: Claim) -> str:
    """Categories of diagnoses and services given up and taken up: "J18>A41+R65"; empty when there are none."""
    old = {category(c) for c in original.codes} | {line.hcpcs for line in original.billed.lines}
    new = {category(c) for c in candidate.codes} | {line.hcpcs for line in candidate.billed.lines}
    gone, come = "+".join(sorted(old - new)), "+".join(sorted(new - old))
    return f"{gone}>{come}" if gone or come else ""


def _supported(claim: Claim) -> float:
    return float(np.mean([claim.documentation.supports(code) for code in claim.codes]))
