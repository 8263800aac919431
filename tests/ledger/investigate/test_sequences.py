"""Holes in the numbers: every one is found, whatever the order, and none is made up."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mithridate.errors import UserError
from mithridate.ledger.entry import sign_record
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.investigate.findings import DeviceFinding
from mithridate.ledger.investigate.sequences import count_sequences
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.record import Record, Revocation

KEY = FileSigner.from_seed(b"\x01" * 32)
DEVICE = DeviceIdentity("CT1", "", "", "", "", KEY.public_key)
OTHER_KEY = FileSigner.from_seed(b"\x02" * 32)
OTHER = DeviceIdentity("CT2", "", "", "", "", OTHER_KEY.public_key)
IDENTITIES = {device.device_id: device for device in (DEVICE, OTHER)}


def entry(number: int, device: DeviceIdentity = DEVICE, key: FileSigner = KEY) -> bytes:
    record = Record(device.device_id, number, 0, Revocation("record", b"t" * 32, ""))
    return sign_record(record, device, key)


def count(numbers: list[int]) -> DeviceFinding:
    (found,) = count_sequences((entry(number) for number in numbers), len(numbers), IDENTITIES)
    return found


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=25))
def test_gaps_and_repeats_are_those_that_a_set_shows(numbers: list[int]) -> None:
    found = count(numbers)
    missing = {number for first, last in found.gaps for number in range(first, last + 1)}
    assert missing == set(range(max(numbers))) - set(numbers)
    assert set(found.repeats) == {number for number in numbers if numbers.count(number) > 1}
    assert (found.records, found.first, found.last) == (len(numbers), min(numbers), max(numbers))
    assert found.missing == len(missing)


def test_each_device_counts_for_itself() -> None:
    entries = [entry(0), entry(0, OTHER, OTHER_KEY), entry(1), entry(3), entry(1, OTHER, OTHER_KEY)]
    first, second = count_sequences(entries, len(entries), IDENTITIES)
    assert (first.name, first.gaps, second.name, second.gaps) == ("CT1", ((2, 2),), "CT2", ())


def test_what_a_device_made_last_and_nobody_logged_is_missed() -> None:
    entries = [entry(0), entry(1)]
    first, second = count_sequences(entries, 2, IDENTITIES, {"CT1": 5, "CT2": 2})
    assert (first.missing, first.gaps) == (3, ())
    assert (second.name, second.records, second.missing) == ("CT2", 0, 2)
    with pytest.raises(UserError, match="CT9"):
        count_sequences(entries, 2, IDENTITIES, {"CT9": 1})
