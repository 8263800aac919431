"""Records: read as written, signed by the one device, and never accepted with a byte changed."""

from __future__ import annotations

import contextlib
import dataclasses
import hmac

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutations import mutated
from mithridate.ledger import canonical
from mithridate.ledger.entry import MAX_ENTRY_BYTES, open_entry, read_entry, sign_record
from mithridate.ledger.errors import RecordError
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.record import Body, Capture, Derivation, Enrolment, Record, Revocation
from mithridate.ledger.sealed import SealedFingerprint, commit

KEY = FileSigner.from_seed(b"\x01" * 32)
OTHER_KEY = FileSigner.from_seed(b"\x02" * 32)
DEVICE = DeviceIdentity("CT1", "Maker", "Model", "0001", "1.2.3", KEY.public_key)
OTHER = DeviceIdentity("CT2", "Maker", "Model", "0002", "1.2.3", OTHER_KEY.public_key)

DIGESTS = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(0, 2**63 - 1)
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)
LISTS = st.lists(st.none() | DIGESTS, max_size=5).map(tuple)
FINGERPRINTS = st.builds(
    SealedFingerprint, TEXTS, TEXTS, NUMBERS, DIGESTS, DIGESTS, st.none() | DIGESTS, LISTS, LISTS, LISTS
)
BODIES = st.one_of(
    st.builds(Capture, FINGERPRINTS, TEXTS),
    st.builds(Derivation, DIGESTS, TEXTS, TEXTS, FINGERPRINTS),
    st.builds(Revocation, st.sampled_from(Revocation.SCOPES), DIGESTS, TEXTS),
    st.just(Enrolment.create(OTHER, OTHER_KEY)),
)
RECORDS = st.builds(Record, st.just(DEVICE.device_id), NUMBERS, NUMBERS, BODIES)

SEALED = SealedFingerprint("dicom", "dicom/1", 1, b"f" * 32, b"s" * 32, b"p" * 32, (None,), (b"a" * 32, None), ())
RECORD = Record(DEVICE.device_id, 7, 1_700_000_000_000_000, Capture(SEALED))


@given(RECORDS)
def test_records_are_read_as_written(record: Record) -> None:
    assert Record.decode(record.encode()) == record
    entry = sign_record(record, DEVICE, KEY)
    assert open_entry(entry, DEVICE) == record
    assert read_entry(entry)[0] == record


@pytest.mark.parametrize(
    "body",
    [Capture(SEALED), Revocation("record", b"t" * 32, "stolen"), Enrolment.create(OTHER, OTHER_KEY)],
    ids=lambda body: body.kind,
)
def test_no_changed_byte_is_ever_accepted(body: Body) -> None:
    entry = sign_record(dataclasses.replace(RECORD, body=body), DEVICE, KEY)
    for place in range(len(entry)):
        for change in (0x01, 0x80):
            changed = entry[:place] + bytes([entry[place] ^ change]) + entry[place + 1 :]
            with pytest.raises(RecordError):
                open_entry(changed, DEVICE)


@settings(max_examples=150)
@given(RECORDS, st.data())
def test_a_changed_byte_is_refused_or_makes_another_record(record: Record, data: st.DataObject) -> None:
    encoded = record.encode()
    place, change = data.draw(st.integers(0, len(encoded) - 1)), data.draw(st.integers(1, 255))
    changed = encoded[:place] + bytes([encoded[place] ^ change]) + encoded[place + 1 :]
    with contextlib.suppress(RecordError):
        assert Record.decode(changed) != record


ENCODED = tuple(
    dataclasses.replace(RECORD, body=body).encode()
    for body in (
        Capture(dataclasses.replace(SEALED, attributes=(None, b"a" * 32) * 20)),
        Derivation(b"o" * 32, "resampled", "program", SEALED),
        Revocation("record", b"t" * 32, "stolen"),
        Enrolment.create(OTHER, OTHER_KEY),
    )
)


def assert_canonical(data: bytes) -> bool:
    """Whether the bytes are read as a record; if so, they are its one encoding."""
    try:
        record = Record.decode(data)
    except RecordError:
        return False
    assert record.encode() == data
    return True


@settings(max_examples=500)
@given(mutated(ENCODED))
def test_bytes_that_are_read_are_the_one_encoding_of_what_was_read(data: bytes) -> None:
    assert_canonical(data)
    assert assert_canonical(ENCODED[0])


@settings(max_examples=500)
@given(st.sampled_from(ENCODED), st.data())
def test_a_value_put_in_place_of_another_is_refused_or_kept(encoded: bytes, data: st.DataObject) -> None:
    """Also where the encoding stays canonical: true for 1, a text for bytes, a list for a map, another number."""
    value = canonical.decode(encoded)
    path = []
    part = value
    while isinstance(part, dict | tuple) and part:
        keys = sorted(part) if isinstance(part, dict) else range(len(part))
        path.append(data.draw(st.sampled_from(keys)))
        part = part[path[-1]]
    scalars = st.none() | st.booleans() | st.integers(-2, 2**64 - 1) | st.text(max_size=3) | st.binary(max_size=2)
    other = data.draw(scalars | DIGESTS | st.just(()) | st.just({}))
    assert_canonical(canonical.encode(_replaced(value, path, other)))


def _replaced(value: canonical.Value, path: list[str | int], other: canonical.Value) -> canonical.Value:
    if not path:
        return other
    key, *rest = path
    if isinstance(value, dict):
        return {**value, key: _replaced(value[key], rest, other)}
    assert isinstance(value, tuple)
    return tuple(_replaced(item, rest, other) if place == key else item for place, item in enumerate(value))


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    for parse in (Record.decode, read_entry):
        with pytest.raises(RecordError):
            parse(data)


def test_cut_or_extended_entries_are_refused() -> None:
    entry = sign_record(RECORD, DEVICE, KEY)
    for wrong in [entry[:length] for length in range(len(entry))] + [entry + b"\x00", b"\x00" + entry]:
        with pytest.raises(RecordError):
            open_entry(wrong, DEVICE)


def test_only_the_device_signs_for_itself() -> None:
    entry = sign_record(RECORD, DEVICE, KEY)
    with pytest.raises(RecordError, match="not signed by the device 'CT2'"):
        open_entry(entry, OTHER)
    with pytest.raises(RecordError):
        sign_record(RECORD, DEVICE, OTHER_KEY)
    with pytest.raises(RecordError):
        sign_record(RECORD, OTHER, OTHER_KEY)
    updated = dataclasses.replace(DEVICE, software_version="1.2.4")  # the same key under another identity
    with pytest.raises(RecordError, match="another device"):
        open_entry(entry, updated)


def test_a_signature_over_the_record_alone_signs_nothing() -> None:
    encoded = RECORD.encode()
    for message in (encoded, b"mithridate/possession/1\x00" + encoded):
        with pytest.raises(RecordError, match="not signed"):
            open_entry(canonical.encode((1, encoded, KEY.sign(message))), DEVICE)


def test_an_enrolment_shows_that_the_device_holds_its_key() -> None:
    with pytest.raises(RecordError, match="not that of"):
        Enrolment.create(OTHER, KEY)
    with pytest.raises(RecordError, match="not shown"):
        Enrolment(OTHER, KEY.sign(b"anything"))
    shown = Enrolment.create(OTHER, OTHER_KEY).possession
    with pytest.raises(RecordError, match="not shown"):
        Enrolment(dataclasses.replace(OTHER, serial_number="0003"), shown)


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(DeviceIdentity)])
def test_everything_said_about_a_device_is_in_its_id(field: str) -> None:
    changed = OTHER_KEY.public_key if field == "public_key" else "changed"
    assert dataclasses.replace(DEVICE, **{field: changed}).device_id != DEVICE.device_id


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"kind": "remark"},
        {"kind": "revocation"},
        {"device": b"short"},
        {"sequence": -1},
        {"sequence": 2**63},
        {"sequence": True},
        {"time": None},
        {"body": {}},
        {"extra": 1},
    ],
)
def test_records_of_another_form_are_refused(change: dict[str, canonical.Value]) -> None:
    value = canonical.decode(RECORD.encode())
    assert isinstance(value, dict)
    with pytest.raises(RecordError):
        Record.decode(canonical.encode(value | change))


def test_what_could_not_be_read_back_is_not_signed() -> None:
    for record in (
        dataclasses.replace(RECORD, sequence=-1),
        dataclasses.replace(RECORD, body=Capture(SEALED, "line\nbreak")),
        dataclasses.replace(RECORD, body=Revocation("country", b"t" * 32, "")),
    ):
        with pytest.raises(RecordError):
            sign_record(record, DEVICE, KEY)


def test_an_entry_has_at_most_65535_bytes() -> None:
    def entry(count: int) -> bytes:
        sealed = dataclasses.replace(SEALED, attributes=(b"a" * 32,) * count)
        return sign_record(dataclasses.replace(RECORD, body=Capture(sealed)), DEVICE, KEY)

    most = 1900
    assert len(entry(most)) <= MAX_ENTRY_BYTES
    with pytest.raises(RecordError, match="65,535"):
        entry(most + 100)
    with pytest.raises(RecordError, match="65,535"):
        read_entry(bytes(MAX_ENTRY_BYTES + 1))


def test_commitments_depend_on_the_salt_the_group_the_name_and_the_value() -> None:
    salt = b"\x01" * 32
    base = commit(salt, "identity", {"PatientID": b"1", "AccessionNumber": None})
    assert base == commit(salt, "identity", {"PatientID": b"1", "AccessionNumber": None})
    assert base[1] is None
    others = [
        commit(b"\x02" * 32, "identity", {"PatientID": b"1"}),
        commit(salt, "attributes", {"PatientID": b"1"}),
        commit(salt, "identity", {"PatientName": b"1"}),
        commit(salt, "identity", {"PatientID": b"2"}),
        commit(salt, "identity", {"PatientID": b""}),
    ]
    assert len({base[0], *(digests[0] for digests in others)}) == 6
    with pytest.raises(RecordError, match="salt"):
        commit(b"short", "identity", {})


def test_a_commitment_is_an_hmac_over_domain_group_name_and_value() -> None:
    salt = bytes(range(32))
    message = b"mithridate/commitment/1\x00attributes/Rows\x00" + b"v" * 32
    assert commit(salt, "attributes", {"Rows": b"v" * 32}) == (hmac.digest(salt, message, "sha256"),)
