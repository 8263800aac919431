"""What is refused: everything that is not proved, for the reason that is told, with nothing handed over."""

from __future__ import annotations

import dataclasses
import io
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ledger.dicom_files import FOLDER
from ledger.gate.ledgers import CT, CT_INDEX, CT_PATIENT, CT_UID, altered, capture, copied, cosign, edited, witness
from mithridate.errors import MithridateError
from mithridate.ledger.bundle import ProofBundle
from mithridate.ledger.fingerprint import Fingerprint, Verdict
from mithridate.ledger.gate import (
    Decision,
    Expected,
    Gate,
    GateDatabase,
    GateRefusal,
    Policy,
    Preprocessing,
    RefusalCode,
    TwoIdentitiesAlert,
)
from mithridate.ledger.judgement import LogJudgement
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.log import Ledger
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.receipt import LedgerFailure
from mithridate.ledger.tile_reader import TileReader

NOW = 1_800_000_000


class Liar:
    """A ledger that changes what it says."""

    def __init__(
        self,
        ledger: Ledger,
        judge: Callable[[LogJudgement], LogJudgement] = lambda found: found,
        prove: Callable[[ProofBundle], ProofBundle] = lambda bundle: bundle,
        reader: Callable[[TileReader], TileReader] = lambda tiles: tiles,
    ) -> None:
        self.ledger, self.change_judgement, self.change_proof, self.change_tiles = ledger, judge, prove, reader

    def judge_fingerprint(self, fingerprint: Fingerprint, *, entry: int | None = None) -> LogJudgement:
        return self.change_judgement(self.ledger.judge_fingerprint(fingerprint, entry=entry))

    def prove(self, index: int, *, with_salt: bool = True) -> ProofBundle:
        return self.change_proof(self.ledger.prove(index, with_salt=with_salt))

    def reader(self) -> TileReader:
        return self.change_tiles(self.ledger.reader())


def refusal(gate: Gate, image: bytes | Path, **options: object) -> GateRefusal:
    with pytest.raises(GateRefusal) as refused:
        gate.admit(image, **options)  # type: ignore[arg-type]
    return refused.value


def with_policy(gate: Gate, **values: object) -> Gate:
    known = gate.policy.model_dump()
    return dataclasses.replace(gate, policy=Policy.model_validate(known | values))


def test_what_was_never_logged_is_unknown(gate: Gate) -> None:
    refused = refusal(gate, (FOLDER / "MR_small.dcm").read_bytes())
    assert (refused.code, refused.verdict) == (RefusalCode.UNKNOWN, Verdict.UNKNOWN)


def test_one_changed_bit_of_one_pixel_is_refused(gate: Gate) -> None:
    refused = refusal(gate, altered())
    assert (refused.code, refused.index) == (RefusalCode.MISMATCH, CT_INDEX)


@pytest.mark.parametrize(
    ("keyword", "value"), [("PatientID", "other"), ("RescaleSlope", 2), ("WindowCenter", 1), ("ImageLaterality", "L")]
)
def test_an_edited_attribute_is_named(keyword: str, value: object, gate: Gate) -> None:
    refused = refusal(gate, edited(**{keyword: value}))
    assert (refused.code, refused.attributes) == (RefusalCode.METADATA_EDITED, (keyword,))


@pytest.mark.parametrize("scope", ["record", "device"])
def test_what_was_revoked_is_refused(scope: str, gate: Gate, ledger: Ledger) -> None:
    leaf = ledger.reader().leaf(CT_INDEX)
    target = leaf if scope == "record" else ledger.station("CT1").device_id
    gate.admit(CT)
    ledger.revoke(scope, target, "stolen")
    still_counts = scope == "device"  # what a device signed before it was revoked was signed by the device
    if still_counts:
        assert gate.admit(CT).size == ledger.size
    else:
        assert refusal(gate, CT).code is RefusalCode.REVOKED


@pytest.mark.parametrize(
    "expected",
    [
        Expected(patient="another"),
        Expected(patient=CT_PATIENT, accession="17"),
        Expected(patient=CT_PATIENT, sop_instance_uid="1.2.3"),
        Expected(patient=""),
        Expected(patient=CT_PATIENT.lower()),
        Expected(patient=CT_PATIENT + "\\" + CT_PATIENT),
    ],
)
def test_a_genuine_image_of_somebody_else_is_refused(expected: Expected, gate: Gate) -> None:
    refused = refusal(gate, CT, expected=expected)
    assert refused.code is RefusalCode.UNEXPECTED_IDENTITY
    assert CT_PATIENT not in refused.reason  # the caller may have no right to know whose it is


def test_an_identity_that_several_values_state_is_nobodys(gate: Gate, ledger: Ledger) -> None:
    data = edited(PatientID=["a", "b"], SOPInstanceUID="1.2.3.4")
    capture(ledger, data)
    for patient in ("a", "b", "a\\b", "['a', 'b']"):
        assert refusal(gate, data, expected=Expected(patient=patient)).code is RefusalCode.UNEXPECTED_IDENTITY


def test_who_is_meant_must_be_said_unless_the_policy_leaves_it_open(gate: Gate) -> None:
    strict = with_policy(gate, identity="required")
    assert refusal(strict, CT).code is RefusalCode.IDENTITY_MISSING
    assert strict.admit(CT, expected=Expected(sop_instance_uid=CT_UID)).verdict is Verdict.IDENTICAL


def test_a_file_that_names_nobody_cannot_be_anybodys(gate: Gate, ledger: Ledger) -> None:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(buffer, "PNG")
    capture(ledger, buffer.getvalue())
    refused = refusal(gate, buffer.getvalue(), expected=Expected(patient=CT_PATIENT))
    assert refused.code is RefusalCode.IDENTITY_MISSING


def test_devices_that_the_policy_does_not_list_do_not_count(gate: Gate, ledger: Ledger) -> None:
    device = ledger.station("CT1").device_id.hex()
    assert with_policy(gate, devices=[device]).admit(CT).index == CT_INDEX
    assert refusal(with_policy(gate, devices=["00" * 32]), CT).code is RefusalCode.DEVICE
    assert refusal(with_policy(gate, devices=[]), CT).code is RefusalCode.DEVICE


def test_lossy_images_can_be_ruled_out_and_their_decoder_pinned(gate: Gate, ledger: Ledger) -> None:
    data = (FOLDER / "SC_rgb_small_odd_jpeg.dcm").read_bytes()
    capture(ledger, data)
    decoder = gate.admit(data).decoder
    assert with_policy(gate, decoder=decoder).admit(data).decoder == decoder
    assert refusal(with_policy(gate, decoder="other 1.0"), data).code is RefusalCode.DECODER
    assert refusal(with_policy(gate, lossy=False), data).code is RefusalCode.LOSSY
    assert with_policy(gate, lossy=False, decoder="other 1.0").admit(CT).decoder == "exact"


def test_the_same_pixels_under_two_identities_raise_an_alert(
    gate: Gate, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    copy = edited(PatientID="another", SOPInstanceUID="1.2.3.4.5")
    index = capture(ledger, copy)
    events: list[object] = []
    gate.listeners = (*gate.listeners, events.append)
    with caplog.at_level(logging.WARNING, "mithridate.gate"):
        admitted = gate.admit(CT)
    (alert,) = admitted.alerts
    assert [(other.index, set(other.attributes)) for other in alert.others] == [
        (index, {"PatientID", "SOPInstanceUID"})
    ]
    assert alert in events
    assert f"entry {index}" in caplog.text
    assert refusal(with_policy(gate, two_identities="refuse"), copy).code is RefusalCode.TWO_IDENTITIES


def test_images_that_share_nothing_raise_none(gate: Gate, ledger: Ledger) -> None:
    capture(ledger, (FOLDER / "MR_small.dcm").read_bytes())
    assert gate.admit(CT).alerts == ()


@pytest.mark.parametrize(
    "data",
    [b"", b"DICM", bytes(132) + b"DICM", CT[:-1], CT[:2000], CT + b"\x00\x01", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"],
    ids=["empty", "word", "header", "cut", "half", "longer", "png", "jpeg"],
)
def test_what_cannot_be_read_is_refused(data: bytes, gate: Gate) -> None:
    refused = refusal(gate, data)
    assert refused.code in (RefusalCode.UNREADABLE, RefusalCode.MISMATCH)
    assert refused.verdict in (Verdict.UNKNOWN, Verdict.MISMATCH)


def test_files_that_are_absent_or_too_large_are_refused(gate: Gate, tmp_path: Path) -> None:
    assert refusal(gate, tmp_path / "absent").code is RefusalCode.UNREADABLE
    assert refusal(gate, tmp_path).code is RefusalCode.UNREADABLE
    small = with_policy(gate, max_bytes=len(CT) - 1)
    path = tmp_path / "image.dcm"
    path.write_bytes(CT)
    for image in (CT, path):
        assert refusal(small, image).code is RefusalCode.UNREADABLE


def test_a_ledger_that_does_not_answer_admits_nothing(gate: Gate, ledger: Ledger) -> None:
    def fail(*arguments: object) -> None:
        raise LedgerFailure("the database is away")

    for liar in (Liar(ledger, judge=fail), Liar(ledger, prove=fail)):  # type: ignore[arg-type]
        assert refusal(Gate(gate.policy, liar), CT).code is RefusalCode.LEDGER


@pytest.mark.parametrize("error", [RuntimeError("broken"), MithridateError("broken"), KeyError("x"), MemoryError()])
def test_whatever_fails_admits_nothing(error: Exception, gate: Gate, ledger: Ledger) -> None:
    def fail(*arguments: object) -> None:
        raise error

    broken = [
        dataclasses.replace(gate, source=Liar(ledger, judge=fail)),  # type: ignore[arg-type]
        dataclasses.replace(gate, preprocessing=Preprocessing("broken", "1", fail)),  # type: ignore[arg-type]
        dataclasses.replace(gate, listeners=(fail,)),
    ]
    for one in broken:
        assert refusal(one, CT).code in (RefusalCode.FAILURE, RefusalCode.LEDGER)


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


_FORGERIES: dict[str, Callable[[ProofBundle], ProofBundle]] = {
    "inclusion proof": lambda b: dataclasses.replace(
        b, record=dataclasses.replace(b.record, proof=tuple(_flip(one) for one in b.record.proof))
    ),
    "entry": lambda b: dataclasses.replace(b, record=dataclasses.replace(b.record, entry=_flip(b.record.entry))),
    "index": lambda b: dataclasses.replace(b, record=dataclasses.replace(b.record, index=1)),
    "enrolment": lambda b: dataclasses.replace(b, enrolment=dataclasses.replace(b.enrolment, index=0)),
    "checkpoint": lambda b: dataclasses.replace(b, checkpoint=b.checkpoint.replace(b"\n3\n", b"\n4\n")),
    "signature": lambda b: dataclasses.replace(b, checkpoint=b.checkpoint[:-6] + b"AAAA=\n"),
    "status": lambda b: dataclasses.replace(b, status=b.checkpoint),
    "salt": lambda b: dataclasses.replace(b, salt=None),
}


@pytest.mark.parametrize("what", _FORGERIES)
def test_a_proof_that_does_not_hold_admits_nothing(what: str, gate: Gate, ledger: Ledger) -> None:
    presented = CT
    if what == "salt":  # without which only the same bytes can be recognized
        capture(ledger, edited(SOPInstanceUID="1.2.3.4", StudyDescription="a text"))
        presented = edited(SOPInstanceUID="1.2.3.4", StudyDescription="another text, which no model sees")
    code = refusal(Gate(gate.policy, Liar(ledger, prove=_FORGERIES[what])), presented).code
    assert code in (RefusalCode.PROOF, RefusalCode.METADATA_EDITED, RefusalCode.MISMATCH)


def test_a_judgement_without_its_proof_admits_nothing(gate: Gate, ledger: Ledger) -> None:
    """A ledger that calls a changed image identical, or proves another entry, is not believed."""
    other = (FOLDER / "MR_small.dcm").read_bytes()
    index = capture(ledger, other)
    claims = LogJudgement(Verdict.IDENTICAL, (), "trust me", CT_INDEX, ledger.station("CT1").device_id, 0)
    assert refusal(Gate(gate.policy, Liar(ledger, judge=lambda _: claims)), altered()).code is RefusalCode.MISMATCH
    assert refusal(Gate(gate.policy, Liar(ledger, prove=lambda _: ledger.prove(index))), CT).code in (
        RefusalCode.PROOF,
        RefusalCode.MISMATCH,
    )
    nowhere = dataclasses.replace(claims, index=None)
    assert refusal(Gate(gate.policy, Liar(ledger, judge=lambda _: nowhere)), CT).code is RefusalCode.PROOF
    trusting = Policy(proof_required=False, identity="optional")
    assert Gate(trusting, Liar(ledger, judge=lambda _: claims)).admit(altered()).proof is None  # as the policy says


def test_a_proof_by_another_logs_key_admits_nothing(gate: Gate, ledger: Ledger) -> None:
    stranger = VerifierKey(ledger.origin, FileSigner.from_seed(b"\x07" * 32).public_key)
    assert refusal(with_policy(gate, log_key=str(stranger)), CT).code is RefusalCode.PROOF


def test_bundles_serve_a_gate_without_a_ledger(gate: Gate, ledger: Ledger) -> None:
    offline = Gate(gate.policy)
    bundle = ledger.prove(CT_INDEX)
    assert offline.admit(CT, bundle=bundle).index == CT_INDEX
    assert offline.admit(CT, bundle=bundle.encode()).index == CT_INDEX
    assert refusal(offline, altered(), bundle=bundle).code is RefusalCode.MISMATCH
    assert refusal(offline, CT).code is RefusalCode.PROOF
    for damaged in (b"", bundle.encode()[:-1], bundle.encode() + b"\x00"):
        assert refusal(offline, CT, bundle=damaged).code is RefusalCode.PROOF


def test_a_bundle_does_not_hide_a_revocation_from_a_gate_with_a_ledger(gate: Gate, ledger: Ledger) -> None:
    bundle = ledger.prove(CT_INDEX)
    ledger.revoke("record", ledger.reader().leaf(CT_INDEX), "wrong patient")
    assert refusal(gate, CT, bundle=bundle).code is RefusalCode.REVOKED


@pytest.fixture
def witnessed(gate: Gate, ledger: Ledger) -> Gate:
    """A gate that asks for two of three witnesses, of which the first two have just cosigned."""
    keys = [witness(number, NOW - 10 * number) for number in (1, 2, 3)]
    cosign(ledger, *keys[:2])
    policy = Policy(
        log_key=gate.policy.log_key,
        identity="optional",
        witness_keys=tuple(str(key.verifier()) for key in keys),
        quorum=2,
        max_checkpoint_age=60,
    )
    return Gate(policy, ledger, clock=lambda: NOW)


def test_a_quorum_of_witnesses_is_enough_and_one_less_is_not(witnessed: Gate, ledger: Ledger) -> None:
    assert witnessed.admit(CT).size == ledger.size
    assert refusal(with_policy(witnessed, quorum=3), CT).code is RefusalCode.QUORUM
    later = (FOLDER / "MR_small.dcm").read_bytes()
    capture(ledger, later)  # the checkpoint that covers it has not been cosigned yet
    assert refusal(witnessed, later).code is RefusalCode.QUORUM
    assert witnessed.admit(CT).size == ledger.size - 1


@pytest.mark.parametrize(
    ("later", "code"), [(40, None), (41, RefusalCode.STALE), (-320, None), (-321, RefusalCode.STALE)]
)
def test_a_checkpoint_counts_until_its_quorum_is_too_old(later: int, code: RefusalCode | None, witnessed: Gate) -> None:
    """The second witness, without whom there is no quorum, cosigned 20 s ago; 60 s are allowed, 300 s of skew."""
    gate = Gate(witnessed.policy, witnessed.source, clock=lambda: NOW + later)
    if code is None:
        assert gate.admit(CT).index == CT_INDEX
    else:
        assert refusal(gate, CT).code is code


def test_a_log_that_is_set_back_is_found_out_after_a_restart_too(
    gate: Gate, ledger: Ledger, template: Path, tmp_path: Path
) -> None:
    later = (FOLDER / "MR_small.dcm").read_bytes()
    capture(ledger, later)
    before = GateDatabase(tmp_path / "gate.sqlite")
    dataclasses.replace(gate, database=before).admit(later)
    before.close()
    with copied(template, tmp_path / "restored") as restored:  # from a backup that was made before
        after = Gate(gate.policy, restored, database=GateDatabase(tmp_path / "gate.sqlite"))
        assert refusal(after, CT).code is RefusalCode.ROLLBACK


def test_a_proof_under_an_older_checkpoint_of_the_same_history_counts(witnessed: Gate, ledger: Ledger) -> None:
    later = (FOLDER / "MR_small.dcm").read_bytes()
    capture(ledger, later)
    gate = with_policy(witnessed, quorum=0, max_checkpoint_age=None)
    sizes = [gate.admit(image).size for image in (later, CT, later)]
    assert sizes == [ledger.size, ledger.size - 1, ledger.size]


def test_two_histories_of_one_log_are_found_out(ledger: Ledger, gate: Gate, template: Path, tmp_path: Path) -> None:
    """A fork: the same log, key and size, with another entry at the end; and a larger one that does not extend it."""
    later = (FOLDER / "MR_small.dcm").read_bytes()
    capture(ledger, later)
    gate.admit(later)
    with copied(template, tmp_path / "fork") as fork:
        capture(fork, edited(SOPInstanceUID="1.2.3"))
        split = dataclasses.replace(gate, source=fork)
        refused = refusal(split, edited(SOPInstanceUID="1.2.3"))
        assert refused.code is RefusalCode.ROLLBACK
        assert "two different histories" in refused.reason
        capture(fork, edited(SOPInstanceUID="1.2.4"))
        assert "cannot prove" in refusal(split, edited(SOPInstanceUID="1.2.4")).reason
    assert gate.admit(later).size == ledger.size


def test_every_decision_is_told_without_the_patient(gate: Gate) -> None:
    told: list[object] = []
    gate.listeners = (told.append,)
    admitted = gate.admit(CT, expected=Expected(patient=CT_PATIENT))
    refusal(gate, altered(), expected=Expected(patient=CT_PATIENT))
    first, second = told
    assert isinstance(first, Decision)
    assert isinstance(second, Decision)
    assert (first.admitted, first.tensor, first.index) == (True, admitted.tensor, CT_INDEX)
    assert (second.admitted, second.code, second.index) == (False, "mismatch", CT_INDEX)
    assert second.tensor is None
    assert CT_PATIENT not in repr(told)
    assert not any(isinstance(event, TwoIdentitiesAlert) for event in told)
