"""A claim: the encounter as it was, what was written down about it, and what the provider bills for it.

The three parts are separate values.  Only the billed one can be replaced (`Claim.with_billed`), so an attack cannot
change the patient, the stay or the documentation, whatever it searches.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date

from mithridate.errors import UserError

PAYER_MODELS = ("ms-drg", "cms-hcc-v28", "physician", "anesthesia")
"""How a claim is paid: by the stay, by the enrollee's risk, by the service, by anesthesia units."""

CONDITION_STATUSES = ("active", "history", "ruled-out")
"""What the record says of a condition.  Only an active one supports a billed code."""

POA_INDICATORS = ("Y", "N", "U", "W", "1", "")
"""Present on admission: yes, no, unknown, clinically undetermined, exempt, not reported (UB-04 FL 67)."""


def plain_code(code: str) -> str:
    """A code as the program holds it: upper case, no dot, no blanks ("i11.0" -> "I110")."""
    return code if code.isalnum() and code.isupper() else code.replace(".", "").replace(" ", "").upper()


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """An ICD-10-CM code as billed (held without its dot), with its present-on-admission indicator."""

    code: str
    poa: str = "Y"

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", plain_code(self.code))


@dataclass(frozen=True, slots=True)
class ServiceLine:
    """One billed service: HCPCS code, modifiers in order, units, anesthesia minutes (else None), charge in dollars."""

    hcpcs: str
    modifiers: tuple[str, ...] = ()
    units: float = 1.0
    minutes: float | None = None
    charge: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hcpcs", plain_code(self.hcpcs))


@dataclass(frozen=True, slots=True)
class Billed:
    """What the provider may write as it pleases: the only part of a claim that an edit can change.

    Attributes: principal (the first-listed diagnosis), secondary (further diagnoses in order), procedures (ICD-10-PCS,
    no dots), lines (services), charges (dollars, the claim's total).
    """

    principal: Diagnosis
    secondary: tuple[Diagnosis, ...] = ()
    procedures: tuple[str, ...] = ()
    lines: tuple[ServiceLine, ...] = ()
    charges: float = 0.0

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """All diagnoses, the principal one first."""
        return (self.principal, *self.secondary)

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all diagnoses, the principal one first."""
        return (self.principal.code, *(diagnosis.code for diagnosis in self.secondary))


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition in the record: ICD-10-CM code (no dot) and status, one of CONDITION_STATUSES."""

    code: str
    status: str = "active"

    def __post_init__(self) -> None:
        object.__setattr__(self, "code", plain_code(self.code))
        if self.status not in CONDITION_STATUSES:
            raise UserError(
                f"the condition {self.code} has the status '{self.status}': use {', '.join(CONDITION_STATUSES)}"
            )


@dataclass(frozen=True, slots=True)
class Measurement:
    """A laboratory value or vital sign: its name ("creatinine", "bmi"), value and unit (UCUM)."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Documentation:
    """What the medical record holds, which no edit of a claim can change.

    Attributes: conditions, labs, vitals, length_of_stay (days; None outside a hospital), anesthesia_minutes (from the
    anesthesia record, else None), encounter_minutes (the clinician's total time on the day of a visit, else None).
    """

    conditions: tuple[Condition, ...] = ()
    labs: tuple[Measurement, ...] = ()
    vitals: tuple[Measurement, ...] = ()
    length_of_stay: int | None = None
    anesthesia_minutes: float | None = None
    encounter_minutes: float | None = None

    def supports(self, code: str) -> bool:
        """Whether an active condition is the code or a more specific one below it."""
        wanted = plain_code(code)
        return any(item.status == "active" and item.code.startswith(wanted) for item in self.conditions)

    @property
    def active_codes(self) -> frozenset[str]:
        """Codes of the active conditions."""
        return frozenset(item.code for item in self.conditions if item.status == "active")

    def measured(self, name: str) -> float | None:
        """The last laboratory value or vital sign of this name; None when it was not taken."""
        values = [item.value for item in (*self.labs, *self.vitals) if item.name == name]
        return values[-1] if values else None


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What the payer knows of the member beside age and sex, in the terms of CMS's risk model.

    Attributes: dual_status ("NA" none, "01" to "08" Medicaid), entitlement (original reason: "0" age, "1" disability,
    "2" ESRD, "3" both), institutional (long-term), new_enrollee.
    """

    dual_status: str = "NA"
    entitlement: str = "0"
    institutional: bool = False
    new_enrollee: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim.

    Attributes: id, provider, patient (names of the caller's own), age (years on the service date), sex ("F" or "M"),
    payer_model (one of PAYER_MODELS), discharge_date (of a stay; else the date of service), admission_date (of a stay,
    else None), discharge_status (two digits, UB-04 FL 17: "01" home, "20" died), enrollment, documentation, billed.
    """

    id: str
    provider: str
    age: int
    sex: str
    payer_model: str
    discharge_date: date
    billed: Billed
    documentation: Documentation = field(default_factory=Documentation)
    patient: str = ""
    admission_date: date | None = None
    discharge_status: str = "01"
    enrollment: Enrollment = field(default_factory=Enrollment)

    @property
    def alive(self) -> bool:
        """False when the discharge status says that the patient died (20, 40, 41, 42)."""
        return self.discharge_status not in {"20", "40", "41", "42"}

    @property
    def codes(self) -> tuple[str, ...]:
        """The codes of all billed diagnoses, the principal one first."""
        return self.billed.codes

    def with_billed(
        self,
        billed: Billed | None = None,
        *,
        principal: Diagnosis | None = None,
        secondary: Iterable[Diagnosis] | None = None,
        procedures: Iterable[str] | None = None,
        lines: Iterable[ServiceLine] | None = None,
        charges: float | None = None,
    ) -> Claim:
        """The same encounter billed otherwise: all of `billed`, or the parts given; the rest stays.

        Nothing else can be changed: patient, stay and documentation are the very same objects in the new claim.
        """
        base = self.billed if billed is None else billed
        edited = Billed(
            base.principal if principal is None else principal,
            base.secondary if secondary is None else tuple(secondary),
            base.procedures if procedures is None else tuple(plain_code(code) for code in procedures),
            base.lines if lines is None else tuple(lines),
            base.charges if charges is None else charges,
        )
        return Claim(
            self.id,
            self.provider,
            self.age,
            self.sex,
            self.payer_model,
            self.discharge_date,
            edited,
            self.documentation,
            self.patient,
            self.admission_date,
            self.discharge_status,
            self.enrollment,
        )

    def same_encounter(self, other: Claim) -> bool:
        """Whether the two claims differ at most in what is billed: the first thing a budget of edits asks."""
        return self.with_billed(other.billed) == other
