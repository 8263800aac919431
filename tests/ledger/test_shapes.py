"""Captures that are read at once: the same as item by item, and nothing that item by item is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutations import mutated
from ledger.samples import Device, capture
from mithridate.ledger import shapes
from mithridate.ledger.entry import read_entry
from mithridate.ledger.errors import RecordError
from mithridate.ledger.record import Capture, Record, Revocation
from mithridate.ledger.sealed import SealedFingerprint
from mithridate.ledger.shapes import MAX_LENGTHS, PATIENCE, SHAPES_OF_A_LENGTH, Range, Shape, ShapeMemory

DIGEST = st.binary(min_size=32, max_size=32)
NUMBERS = st.integers(24, 2**63 - 1) | st.sampled_from([24, 255, 256, 65_535, 65_536, 2**32 - 1, 2**32, 2**63 - 1])
DIGESTS = st.lists(st.none() | DIGEST, max_size=20).map(tuple)
FINGERPRINTS = st.builds(
    SealedFingerprint,
    st.just("dicom"),
    st.just("dicom/1"),
    st.integers(0, 300),
    DIGEST,
    DIGEST,
    st.none() | DIGEST,
    DIGESTS,
    DIGESTS,
    DIGESTS,
)
RECORDS = st.builds(Record, DIGEST, NUMBERS, NUMBERS, st.builds(Capture, FINGERPRINTS, st.sampled_from(["file", "é"])))

BODY = capture(1)
SAMPLES = tuple(
    Record(b"d" * 32, sequence, time, body)
    for sequence, time in ((24, 1_700_000_000_000_000), (255, 2**63 - 1), (65_535, 2**32), (2**32 - 1, 256))
    for body in (
        BODY,
        Capture(replace(BODY.fingerprint, pixels=None, identity=()), "dimse"),
        # Digests that look like what may stand between them.
        Capture(replace(BODY.fingerprint, coding=(None, b"\xf6" * 32, b"\x58\x20" * 16), attributes=(b"\x00" * 32,))),
    )
)


def outcome(data: bytes, memory: ShapeMemory) -> Record | str:
    """The record, or why there is none, with what the memory holds."""
    try:
        return memory.decode(data)
    except RecordError as error:
        return str(error)


def primed(*records: Record) -> ShapeMemory:
    memory = ShapeMemory()
    for record in records:
        assert memory.decode(record.encode()) == record
    return memory


@given(RECORDS, st.data())
def test_a_record_of_a_known_shape_is_read_with_its_own_values(record: Record, data: st.DataObject) -> None:
    shape = Shape.of(record)
    assert shape is not None
    assert shape.read(record.encode()) == record
    digest = st.binary(min_size=32, max_size=32)
    digests = iter(lambda: data.draw(digest), b"")
    numbers = [data.draw(st.integers(own.least, own.most)) for own in (shape.sequences, shape.times)]
    other = shapes._varied(record, digests, *numbers)
    assert shape.read(other.encode()) == other == Record.decode(other.encode())


@settings(max_examples=500)
@given(mutated(tuple(record.encode() for record in SAMPLES)))
def test_with_every_shape_known_nothing_is_read_otherwise(data: bytes) -> None:
    assert outcome(data, primed(*SAMPLES)) == outcome(data, ShapeMemory())


@pytest.mark.parametrize("record", SAMPLES[:6])
@pytest.mark.parametrize("change", [0x01, 0x20, 0x80])
def test_no_changed_byte_is_overlooked(record: Record, change: int) -> None:
    encoded, shape = record.encode(), Shape.of(record)
    assert shape is not None
    accepted = 0
    for place in range(len(encoded)):
        changed = encoded[:place] + bytes([encoded[place] ^ change]) + encoded[place + 1 :]
        found = shape.read(changed)
        if found is not None:
            accepted += 1
            assert found.encode() == changed
            assert found == Record.decode(changed)
    assert accepted >= 32 * 3, "digests may be others"


@pytest.mark.parametrize("width", [1, 2, 4, 8])
def test_numbers_in_a_longer_form_than_they_need_are_refused(width: int) -> None:
    least = 24 if width == 1 else 1 << 4 * width
    record = Record(b"d" * 32, least, 1_700_000_000_000_000, BODY)
    encoded, shape = record.encode(), Shape.of(record)
    assert shape is not None
    written = least.to_bytes(width, "big")
    assert encoded.endswith(written), "the sequence number comes last"
    for number in (least - 1, 0, 1 << 8 * width - 1 if width == 8 else 0):
        changed = encoded[:-width] + number.to_bytes(width, "big")
        assert shape.read(changed) is None
        with pytest.raises(RecordError):
            Record.decode(changed)
    highest = encoded[:-width] + Range.around(least).most.to_bytes(width, "big")  # type: ignore[union-attr]
    assert shape.read(highest) == Record.decode(highest)


def test_other_records_have_no_shape() -> None:
    assert Shape.of(Record(b"d" * 32, 23, 10**15, BODY)) is None
    assert Shape.of(Record(b"d" * 32, 10**3, 10**15, Revocation("record", b"t" * 32, "why"))) is None
    many = replace(BODY.fingerprint, coding=(None,) * (shapes.MAX_DIGESTS + 1))
    assert Shape.of(Record(b"d" * 32, 10**3, 10**15, Capture(many))) is None


def test_entries_are_read_by_the_shape_of_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device()
    first = device.sign(capture(1), sequence=100)
    assert read_entry(first)[0].sequence == 100

    def fail(data: bytes) -> Record:
        raise AssertionError("read item by item")

    monkeypatch.setattr(Record, "decode", fail)
    assert read_entry(device.sign(capture(2), sequence=101))[0].body == capture(2)


def long(length: int, channel: str = "c") -> Record:
    """A record whose length goes with `length` and not with the channel of one letter."""
    return Record(b"d" * 32, 1000, 10**15, Capture(replace(BODY.fingerprint, coding=(None,) * length), channel))


def learned(memory: ShapeMemory, record: Record) -> bool:
    data = record.encode()
    return any(shape.read(data) == record for shape in memory._known.get(len(data), ()))


def test_memory_is_bounded_and_learns_what_keeps_coming() -> None:
    memory = primed(*(long(length) for length in range(1, MAX_LENGTHS + PATIENCE)))
    assert len(memory._known) == MAX_LENGTHS
    late = long(MAX_LENGTHS + PATIENCE)
    for _ in range(PATIENCE):
        assert memory.decode(late.encode()) == late
    assert learned(memory, late)
    assert len(memory._known) == MAX_LENGTHS


def test_many_shapes_of_one_length_are_known_at_once_and_no_more() -> None:
    memory = ShapeMemory()
    letters = "abcdefghijklmnopqrstuvwxyz"
    for channel in letters:
        memory.decode(long(9, channel).encode())
    known = "".join(channel for channel in letters if learned(memory, long(9, channel)))
    assert known == letters[:SHAPES_OF_A_LENGTH]
    for _ in range(PATIENCE):
        assert memory.decode(long(9, "z").encode()) == long(9, "z")
    assert learned(memory, long(9, "z"))
    assert len(memory._known[len(long(9).encode())]) == SHAPES_OF_A_LENGTH


def test_more_shapes_than_there_is_room_for_are_not_learned_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    of = Shape.of
    monkeypatch.setattr(Shape, "of", lambda record: made.append(record) or of(record))
    memory = ShapeMemory()
    for _ in range(10):
        for channel in "abcdefghijklmnopqrstuvwxyz":
            memory.decode(long(9, channel).encode())
    assert len(made) <= SHAPES_OF_A_LENGTH + 260 // PATIENCE
