"""MS-DRG: the grouper of `drgpy` with the FY2026 weights of `drg` (its tables only; its own grouper is not used)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import Any

from mithridate.claims.claim import Claim
from mithridate.errors import MissingExtra

GROUPER_VERSION = "v43.1"
"""Effective April 2026; pinned, whatever the claim's date, since the weights are of one year."""

VINTAGE = f"MS-DRG {GROUPER_VERSION} (drgpy), FY2026 final rule Table 5 weights with the 10% cap on decreases (drg)"
INVALID = frozenset({"000", "998", "999"})
"""No group: nothing is paid."""

_NO_ROLE = 0
_ROLES_LIMIT = 1_000_000


@dataclass(frozen=True)
class Group:
    """A group and its relative weight; an invalid group weighs 0."""

    drg: str
    weight: float


class DrgGrouper:
    """Groups claims, and keeps the answer for each pattern of codes that can matter.

    A secondary code acts on the group through the value sets that name it, its severity level, and what cancels that
    level; codes that act alike are interchangeable, those that do not act are no part of the pattern, and neither is
    their order.  Not safe to share between threads.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[object, ...], Group] = {}
        self._roles: dict[tuple[str, str, bool, bool], int] = {}
        self._numbers: dict[tuple[object, ...], int] = {}
        self._severity_only: set[int] = {_NO_ROLE}

    def group(self, claim: Claim) -> Group:
        """The group of an inpatient stay.  Raises MissingExtra without `drgpy` and `drg`."""
        principal, alive = claim.billed.principal.code, claim.alive
        present = {item.code: item.poa not in ("N", "U") for item in reversed(claim.billed.diagnoses)}
        once: set[int] = set()
        counted: list[int] = []
        for code, was_present in present.items():
            if code == principal:
                continue
            role = self._role(code, principal, alive, was_present)
            if role in self._severity_only:
                once.add(role)
            else:
                counted.append(role)
        counted.sort()
        key = (
            principal,
            len(present) > 1,
            frozenset(once),
            tuple(counted),
            claim.billed.procedures,
            claim.sex,
            claim.discharge_status,
        )
        known = self._known.get(key)
        if known is None:
            poa = {code: "Y" if was_present else "N" for code, was_present in present.items()}
            procedures = list(claim.billed.procedures)
            drg = self._engine.get_drg(list(claim.codes), procedures, claim.sex, alive, poa, claim.discharge_status)
            known = self._known[key] = Group(drg, 0.0 if drg in INVALID else self._weights.get(drg, 0.0))
        return known

    def _role(self, code: str, principal: str, alive: bool, present: bool) -> int:
        """A number for how a secondary code acts beside this principal one: equal numbers act alike."""
        key = (code, principal, alive, present)
        role = self._roles.get(key)
        if role is None:
            if len(self._roles) >= _ROLES_LIMIT:
                self._roles.clear()
            role = self._roles[key] = self._find_role(code, principal, alive, present)
        return role

    def _find_role(self, code: str, principal: str, alive: bool, present: bool) -> int:
        engine = self._engine
        labels = tuple(sorted(label for label in engine.dxmap.get(code, ()) if _counts_secondary(label)))
        level, cancelled = "", frozenset[str]()
        severity = engine.ccmap.get(code)
        if severity is not None:
            # Grouped at first by its own principal code; drgpy drops the last character of one that it does not know.
            principals = {principal} if engine.dxmap.get(principal) else {principal[:-1]}
            excluded = not principals.isdisjoint(engine.exmap.get(severity["pdx"], ()))
            died = severity["aowa"] and not alive
            acquired = severity.get("hac") is not None and not present
            if not (excluded or died or acquired):
                level = severity["level"]
                cancelled = frozenset(drg for drg, codes in engine.drg_exclusions.items() if code in codes)
        acts = (labels, level, cancelled)
        if acts == ((), "", frozenset()):
            return _NO_ROLE
        number = self._numbers.setdefault(acts, len(self._numbers) + 1)
        if not labels:
            self._severity_only.add(number)
        return number

    def clear(self) -> None:
        """Forget every group; the roles of codes stay, whose numbers are part of nothing else."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)

    @cached_property
    def _engine(self) -> Any:
        try:
            from drgpy.msdrg import DRGEngine
        except ModuleNotFoundError:
            raise MissingExtra("grouping stays into MS-DRGs", "claims") from None
        return DRGEngine(GROUPER_VERSION)

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        try:
            table = files("drg") / "data" / "cms" / "drg_weights.txt"
        except ModuleNotFoundError:
            raise MissingExtra("the weights of MS-DRGs", "claims") from None
        rows = (line.split("\t") for line in table.read_text(encoding="cp1252").splitlines())
        groups = {row[0].strip(): row[7].strip() for row in rows if len(row) > 9}
        return {drg: float(weight) for drg, weight in groups.items() if drg.isdigit() and drg not in INVALID}


def _counts_secondary(label: str) -> bool:
    """Whether drgpy looks at this label on a secondary diagnosis."""
    return "PDX OR SDX" in label or ("PDX" not in label and "_MDC" not in label)
