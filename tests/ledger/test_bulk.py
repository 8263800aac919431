"""Many entries at once: the same answers as one by one, in order, without memory for all of them."""

from __future__ import annotations

import itertools

import pytest

from ledger.samples import Device, capture, station
from mithridate.ledger import bulk
from mithridate.ledger.log import Ledger, LedgerFailure, LedgerRefusal, Receipt, SequenceRefusal
from mithridate.ledger.merkle import leaf_hash


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "MAX_BATCH", 8)


@pytest.mark.parametrize("count", [0, 1, 8, 9, 203])
def test_receipts_come_in_the_order_of_the_entries(ledger: Ledger, device: Device, count: int) -> None:
    size = ledger.size
    entries = [device.sign(capture(number)) for number in range(count)]
    receipts = list(ledger.submit_all(entries))
    assert [receipt.index for receipt in receipts if isinstance(receipt, Receipt)] == [*range(size, size + count)]
    assert [receipt.leaf for receipt in receipts if isinstance(receipt, Receipt)] == [*map(leaf_hash, entries)]
    assert list(ledger.submit_all(entries)) == [ledger.submit(entry) for entry in entries], "submitting again is safe"
    assert ledger.size == size + count
    assert ledger.fsck().is_clean


def test_what_is_refused_is_answered_in_its_place_and_holds_up_no_other(ledger: Ledger, device: Device) -> None:
    stranger = Device(station("CT9", seed=9))
    good = [device.sign(capture(number)) for number in range(20)]
    forged = good[19][:-1] + bytes([good[19][-1] ^ 1])
    entries = [*good[:10], b"nonsense", stranger.sign(capture(1), sequence=0), *good[10:19], forged, good[0]]
    entries += [device.sign(capture(30), sequence=77), good[19]]
    answers = list(ledger.submit_all(entries))
    refused = {place for place, answer in enumerate(answers) if isinstance(answer, LedgerRefusal)}
    assert refused == {10, 11, 21, 23}
    assert "not signed by the device" in str(answers[21])
    assert isinstance(answers[23], SequenceRefusal)
    again = answers[22]
    assert isinstance(again, Receipt)
    assert again.index == ledger.submit(good[0]).index
    assert ledger.fsck().is_clean


def test_entries_are_taken_only_as_answers_are(ledger: Ledger, device: Device) -> None:
    taken = itertools.count()
    size = ledger.size
    answers = ledger.submit_all(device.sign(capture(next(taken))) for _ in range(1000))
    assert isinstance(next(answers), Receipt)
    answers.close()
    assert next(taken) == 8
    assert ledger.size == size + 8, "what was taken is logged"


def test_others_come_between(ledger: Ledger, device: Device) -> None:
    other = Device(station("CT2", seed=2))
    ledger.enroll(other.enrolment())
    answers = ledger.submit_all([device.sign(capture(number)) for number in range(40)])
    found = []
    for answer in answers:
        found += [answer, ledger.submit(other.sign(capture(1000 + len(found))))]
    assert all(isinstance(answer, Receipt) for answer in found)
    assert ledger.fsck().is_clean


def test_a_ledger_that_cannot_answer_says_so(ledger: Ledger, device: Device) -> None:
    entries = [device.sign(capture(number)) for number in range(20)]
    answers = ledger.submit_all(entries)
    ledger.close()
    with pytest.raises(LedgerFailure, match="closed"):
        list(answers)
