"""Payment: published figures, closed forms, and the libraries asked one claim at a time."""

from __future__ import annotations

import random
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.claims.claim import Billed, Claim, Diagnosis, Enrollment, ServiceLine
from mithridate.claims.evaluation import evaluate
from mithridate.claims.payment import Pricer, Rates
from mithridate.claims.payments.anesthesia import BaseUnits
from mithridate.claims.payments.drg import GROUPER_VERSION
from mithridate.claims.payments.fees import FIXTURE_FACTOR, FeeSchedule
from mithridate.claims.rules import Rules
from mithridate.errors import UserError

DAY = date(2026, 2, 1)
PRICER = Pricer()


def claim(model: str, *codes: str, lines: tuple[ServiceLine, ...] = (), age: int = 72, sex: str = "F") -> Claim:
    diagnoses = tuple(map(Diagnosis, codes or ("I10",)))
    return Claim("c", "p", age, sex, model, DAY, Billed(diagnoses[0], diagnoses[1:], (), lines))


@pytest.mark.parametrize(
    ("model", "codes", "units"),
    [
        ("cms-hcc-v28", ["I10"], 0.395),
        ("cms-hcc-v28", ["I11.0"], 0.755),
        ("cms-hcc-v28", ["F32.9"], 0.395),
        ("cms-hcc-v28", ["F32.2"], 0.694),
        ("ms-drg", ["J18.9"], 0.6285),
        ("ms-drg", ["J18.9", "J96.01"], 1.3144),
    ],
)
def test_the_known_figures(model: str, codes: list[str], units: float) -> None:
    price = PRICER.price(claim(model, *codes))
    assert price.units == pytest.approx(units, abs=1e-9)
    rate = PRICER.rates.stay if model == "ms-drg" else PRICER.rates.member_year
    assert price.amount == pytest.approx(units * rate)


def test_a_stay_that_fits_no_group_pays_nothing() -> None:
    for codes in (["O80"], ["QQQ"]):
        assert PRICER.price(claim("ms-drg", *codes)).amount == 0


def test_the_grouper_agrees_with_drgpy_asked_claim_by_claim() -> None:
    """Codes of every role, mixed; the cache must never merge two claims that drgpy tells apart."""
    from drgpy.msdrg import DRGEngine

    engine, draw = DRGEngine(GROUPER_VERSION), random.Random(3)
    severe = draw.sample(sorted(engine.ccmap), 25)
    trauma = draw.sample(sorted(code for code, labels in engine.dxmap.items() if "TRAUMA" in " ".join(labels)), 10)
    paired = draw.sample(sorted(code for code, labels in engine.dxmap.items() if "SDX" in " ".join(labels)), 15)
    pool = [*severe, *trauma, *paired, "I10", "E785"]
    procedures = draw.sample(sorted(engine.prmap), 10)
    pricer, different = Pricer(), set()
    for _ in range(1500):
        codes = draw.choices(pool, k=draw.randint(1, 6))
        marks = draw.choices("YNUW1", k=len(codes))
        done = tuple(draw.sample(procedures, draw.choice([0, 0, 1])))
        sex, discharged = draw.choice("FM"), draw.choice(["01", "20", "02"])
        diagnoses = tuple(map(Diagnosis, codes, marks))
        billed = Billed(diagnoses[0], diagnoses[1:], done)
        stay = Claim("c", "p", 60, sex, "ms-drg", DAY, billed, discharge_status=discharged)
        first = dict(reversed(list(zip(codes, marks, strict=True))))
        wanted = engine.get_drg(codes, list(done), sex, discharged != "20", first, discharged)
        assert pricer.price(stay).signature == f"DRG {wanted}", billed
        different.add(wanted)
    assert len(different) > 25


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["I10", "I110", "I5022", "E119", "E1122", "N184", "F322", "D66", "J449", "Z853"]), min_size=1
    ),
    st.sampled_from("FM"),
    st.integers(20, 99),
    st.booleans(),
    st.sampled_from(["NA", "02", "01"]),
)
def test_risk_is_that_of_hccinfhir_whatever_was_asked_before(
    codes: list[str], sex: str, age: int, institutional: bool, dual: str
) -> None:
    from hccinfhir.model_calculate import calculate_raf

    diagnoses = tuple(map(Diagnosis, codes))
    enrollment = Enrollment(dual, "1" if age < 65 else "0", institutional)
    billed = Billed(diagnoses[0], diagnoses[1:])
    member = Claim("c", "p", age, sex, "cms-hcc-v28", DAY, billed, enrollment=enrollment)
    wanted = calculate_raf(
        codes, age=age, sex=sex, dual_elgbl_cd=dual, orec=enrollment.entitlement, lti=institutional
    ).risk_score
    assert PRICER.price(member).units == pytest.approx(wanted, abs=1e-9)


@settings(deadline=None)
@given(
    st.sampled_from(["00790", "00142"]),
    st.floats(1, 600),
    st.sampled_from(["P1", "P3", "P4", "P5"]),
    st.sampled_from(["AA", "QK"]),
    st.booleans(),
)
def test_anesthesia_by_its_formula(code: str, minutes: float, status: str, directed: str, with_status: bool) -> None:
    base = {"00790": 7, "00142": 4}[code]
    extra = {"P1": 0, "P3": 1, "P4": 2, "P5": 3}[status] if with_status else 0
    wanted = (base + minutes / 15 + extra) / (2 if directed == "QK" else 1)
    pricer = Pricer(Rates(anesthesia=20.0, with_status=with_status))
    line = ServiceLine(code, (directed, status), 1, minutes)
    price = pricer.price(claim("anesthesia", "K80.20", lines=(line,)))
    assert price.units == pytest.approx(wanted)
    assert price.amount == pytest.approx(20 * wanted)


def test_anesthesia_without_minutes_or_of_an_unknown_code_pays_nothing() -> None:
    for line in (ServiceLine("00790"), ServiceLine("01999", minutes=60)):
        assert PRICER.price(claim("anesthesia", lines=(line,))).amount == 0


def test_fees_are_units_times_the_factor() -> None:
    lines = (ServiceLine("99214", ("25",)), ServiceLine("97110", (), 3))
    price = PRICER.price(claim("physician", lines=lines))
    assert price.units == pytest.approx((1.9 + 1.9 + 0.1) + 3 * (0.5 + 0.4))
    assert price.amount == pytest.approx(price.units * FIXTURE_FACTOR)
    assert PRICER.price(claim("physician", lines=(ServiceLine("99999"),))).amount == 0


def test_cms_relative_value_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "PPRRVU.csv"
    blank = [""] * 14
    rows = [
        ["2026 National Physician Fee Schedule Relative Value File"],
        ["", "", "", "STATUS", "NOT USED", "WORK", "NON-FAC", "NON-FAC NA", "FACILITY", "FACILITY NA", "MP"],
        [
            "HCPCS",
            "MOD",
            "DESCRIPTION",
            "CODE",
            "PAYMENT",
            "RVU",
            *["PE RVU", "INDICATOR"] * 2,
            "RVU",
            *blank,
            "FACTOR",
        ],
        ["11111", "", "", "A", "", "1.00", "2.00", "", "0.50", "", "0.10", *blank, "40.0"],
        ["11111", "26", "", "A", "", "0.40", "0.10", "", "0.10", "", "0.05", *blank, "40.0"],
        ["22222", "", "", "I", "", "0.00", "", "NA", "", "NA", "0.00", *blank, "40.0"],
    ]
    path.write_text("\n".join(",".join(row) for row in rows) + "\n")
    office, facility = FeeSchedule.load(path), FeeSchedule.load(path, 50.0, facility=True)
    assert (office.factor, facility.factor) == (40.0, 50.0)
    assert office.line_units(ServiceLine("11111", (), 2)) == pytest.approx(2 * 3.1)
    assert office.line_units(ServiceLine("11111", ("26",))) == pytest.approx(0.55)
    assert facility.line_units(ServiceLine("11111")) == pytest.approx(1.6)
    assert office.line_units(ServiceLine("22222")) == 0


def test_base_units_get_back_their_leading_zeros(tmp_path: Path) -> None:
    path = tmp_path / "base.csv"
    path.write_text("Anesthesia base units\nCode,Base Units\n790,7\n")
    assert BaseUnits.load(path).units == {"00790": 7.0}
    path.write_text("Code,Base Units\n790,seven\n")
    with pytest.raises(UserError, match="line 2: 'seven'"):
        BaseUnits.load(path)


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_rates_are_above_zero(rate: float) -> None:
    with pytest.raises(UserError, match="stay"):
        Rates(stay=rate)


def test_an_unknown_payer_model_is_named() -> None:
    with pytest.raises(UserError, match="claim c has the payer model 'barter'"):
        PRICER.price(claim("barter"))


def test_evaluation_is_the_same_whatever_the_batch_and_the_order() -> None:
    claims = [
        claim("ms-drg", "J18.9", "J96.01"),
        claim("cms-hcc-v28", "I10", "I50.9"),
        claim("physician", lines=(ServiceLine("80053"), ServiceLine("82565"))),
        claim("ms-drg", "O80"),
        claim("anesthesia", lines=(ServiceLine("00790", minutes=60),)),
    ]
    whole = evaluate(claims, Rules(), Pricer())
    rules, pricer = Rules(), Pricer()
    for place in reversed(range(len(claims))):
        single = evaluate([claims[place]], rules, pricer)
        assert single.amount[0] == whole.amount[place]
        assert single.units[0] == whole.units[place]
        assert single.signature[0] == whole.signature[place]
        assert single.broken[0] == whole.broken[place]
        assert single.denied[0] == whole.denied[place]
    assert whole.denied.tolist() == [False, False, True, True, False]
    assert whole.clean.tolist() == [True, False, False, False, True]
    empty = evaluate([], rules, pricer)
    assert empty.amount.shape == empty.denied.shape == (0,)


def test_every_vintage_is_said() -> None:
    assert "v43.1" in PRICER.vintages()["stays"]
    assert "FY2026" in PRICER.vintages()["stays"]
    assert "V28" in PRICER.vintages()["risk"]
    assert "fixture" in PRICER.vintages()["fees"]
    assert "fixture" in PRICER.vintages()["anesthesia"]
