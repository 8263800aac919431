"""Proof bundles: judged offline with only the log's key, and worth nothing once a byte of them is changed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ledger.dicom_files import FOLDER
from ledger.samples import ORIGIN, fingerprint
from mithridate.ledger.bundle import (
    MAX_PROOF_HASHES,
    Membership,
    ProofBundle,
    check_bundle,
    judge_checked,
    judge_offline,
)
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Verdict, fingerprint_image
from mithridate.ledger.log import Ledger
from mithridate.ledger.note_keys import VerifierKey

MR = (FOLDER / "MR_small.dcm").read_bytes()
RLE = (FOLDER / "MR_small_RLE.dcm").read_bytes()
CT = (FOLDER / "CT_small.dcm").read_bytes()
RLE_IMAGE = fingerprint_image(RLE, "RLE")


@dataclasses.dataclass(frozen=True)
class Case:
    good: ProofBundle
    other: ProofBundle
    revoked: ProofBundle
    key: VerifierKey
    foreign: ProofBundle


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder: Path = tmp_path_factory.mktemp("bundles")
    with Ledger.create(folder / "a", origin=ORIGIN) as ledger, Ledger.create(folder / "b", origin=ORIGIN) as foreign:
        station = ledger.add_station("CT1")
        index = ledger.capture(MR, "MR", station=station).index
        for number in range(7):
            ledger.capture_fingerprint(fingerprint(number), "x", station=station)
        other = ledger.capture(CT, "CT", station=station)
        good, another = ledger.prove(index), ledger.prove(other.index)
        ledger.revoke("record", other.leaf, "wrong patient")
        revoked = ledger.prove(other.index)
        foreign_index = foreign.capture(MR, "MR", station=foreign.add_station("CT1")).index
        return Case(good, another, revoked, ledger.verifier(), foreign.prove(foreign_index))


def test_a_bundle_is_read_as_written(case: Case) -> None:
    for bundle in (case.good, case.other, case.revoked, case.foreign):
        assert ProofBundle.decode(bundle.encode()) == bundle


def test_a_file_is_judged_offline(case: Case) -> None:
    assert judge_offline(case.good, case.key, MR, "x").verdict is Verdict.IDENTICAL
    found = judge_offline(case.good, case.key, RLE, "x")
    assert (found.verdict, found.index) == (Verdict.TRANSCODED, case.good.record.index)
    assert judge_offline(case.good, case.key, CT, "x").verdict is Verdict.MISMATCH
    assert judge_offline(case.good, case.key, b"no image", "x").verdict is Verdict.UNKNOWN
    revoked = judge_offline(case.revoked, case.key, CT, "x")
    assert (revoked.verdict, revoked.is_accepted) == (Verdict.REVOKED, False)


def test_without_the_salt_only_the_same_bytes_are_accepted(case: Case) -> None:
    bundle = dataclasses.replace(case.good, salt=None)
    assert judge_offline(bundle, case.key, MR, "x").verdict is Verdict.IDENTICAL
    assert not judge_offline(bundle, case.key, RLE, "x").is_accepted


def test_another_logs_bundle_is_refused(case: Case) -> None:
    with pytest.raises(EvidenceError):
        judge_offline(case.foreign, case.key, MR, "x")


def test_parts_of_other_bundles_do_not_fit(case: Case) -> None:
    for name in ("record", "enrolment", "checkpoint", "status", "revocation"):
        for source in (case.foreign, case.revoked, case.other):
            mixed = dataclasses.replace(case.good, **{name: getattr(source, name)})
            if mixed == case.good:
                continue
            if name == "record" and source is case.other:  # a true record of the same log, under another's status
                with pytest.raises(EvidenceError, match="status"):
                    check_bundle(mixed, case.key)
            elif getattr(source, name) is not None:
                with pytest.raises(EvidenceError):
                    check_bundle(mixed, case.key)
    hidden = dataclasses.replace(case.revoked, revocation=None)
    with pytest.raises(EvidenceError, match="the entry is not there"):
        check_bundle(hidden, case.key)
    passed_off = dataclasses.replace(case.revoked, revocation=case.revoked.enrolment)
    with pytest.raises(EvidenceError, match="given as a revocation"):
        check_bundle(passed_off, case.key)


def test_the_record_of_another_device_does_not_pass_under_an_enrolment(case: Case) -> None:
    mixed = dataclasses.replace(case.good, record=case.good.enrolment)
    with pytest.raises(EvidenceError):
        check_bundle(mixed, case.key)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_no_changed_bundle_is_accepted(case: Case, data: st.DataObject) -> None:
    """But for the salt, which can only turn a match away, and the time stamp, which has its own check."""
    whole = case.good.encode()
    place = data.draw(st.integers(0, len(whole) - 1))
    change = data.draw(st.integers(1, 255))
    changed = whole[:place] + bytes([whole[place] ^ change]) + whole[place + 1 :]
    try:
        bundle = ProofBundle.decode(changed)
        found = judge_checked(check_bundle(bundle, case.key), RLE_IMAGE)
    except EvidenceError:
        return
    assert not found.is_accepted
    assert dataclasses.replace(bundle, salt=case.good.salt) == case.good


@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_crash_the_parser(data: bytes, titled: bool) -> None:
    with pytest.raises(EvidenceError):
        ProofBundle.decode(b"mithridate/bundle/1\n" * titled + data)


def test_an_endless_proof_is_refused(case: Case) -> None:
    record = case.good.record
    long = Membership(record.index, record.entry, (bytes(32),) * (MAX_PROOF_HASHES + 1))
    with pytest.raises(EvidenceError, match="hashes"):
        ProofBundle.decode(dataclasses.replace(case.good, record=long).encode())
