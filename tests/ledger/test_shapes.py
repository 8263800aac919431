"""Arrays of digests that are read at once: the same as item by item, and nothing that item by item is refused."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.mutations import mutated
from mithridate.ledger import canonical
from mithridate.ledger.errors import RecordError
from mithridate.ledger.shapes import LEAST, MAX_SHAPES, MOST, DigestArray, Shape, ShapeMemory

Items = tuple[bytes | None, ...]

ITEMS = st.lists(st.none() | st.binary(min_size=32, max_size=32), min_size=LEAST, max_size=40).map(tuple)
SAMPLES: tuple[Items, ...] = (
    (b"d" * 32,) * LEAST,
    (None,) * LEAST,
    (None, b"\xf6" * 32, b"\x58\x20" * 16) * 8,  # digests that look like what may stand between them
)


def decoded(data: bytes, memory: ShapeMemory) -> canonical.Value | str:
    """The value, or why there is none, with what the memory holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(canonical, "_shapes", memory)
        try:
            return canonical.decode(data)
        except RecordError as error:
            return str(error)


def primed(*arrays: Sequence[bytes | None]) -> ShapeMemory:
    """A memory in which these arrays, each a whole encoding, were read."""
    memory = ShapeMemory()
    for items in arrays:
        decoded(canonical.encode(items), memory)
    return memory


@given(ITEMS, st.data())
def test_an_array_of_a_known_shape_is_read_with_its_own_digests(items: Items, data: st.DataObject) -> None:
    other = tuple(item and data.draw(st.binary(min_size=32, max_size=32)) for item in items)
    encoded = canonical.encode(other)
    memory = primed(items)
    assert memory.read(encoded, 1 if len(items) < 24 else 2, len(items)) == (other, len(encoded))
    assert decoded(encoded, memory) == other


@settings(max_examples=400)
@given(mutated(tuple(map(canonical.encode, SAMPLES))))
def test_with_every_shape_known_nothing_is_read_otherwise(data: bytes) -> None:
    assert decoded(data, primed(*SAMPLES)) == decoded(data, ShapeMemory())


@pytest.mark.parametrize("items", SAMPLES)
def test_no_changed_byte_between_the_digests_is_overlooked(items: Items) -> None:
    encoded, memory = canonical.encode(items), primed(items)
    for place in range(2, len(encoded)):
        changed = encoded[:place] + bytes([encoded[place] ^ 1]) + encoded[place + 1 :]
        assert decoded(changed, memory) == decoded(changed, ShapeMemory())


def test_an_array_that_ends_early_is_refused() -> None:
    items = SAMPLES[0]
    encoded, shape = canonical.encode(items), Shape.of(items)
    assert shape.read(encoded, 1) == items
    assert shape.read(encoded[:-1], 1) is None


def test_arrays_of_other_things_are_not_taken_for_digests() -> None:
    for item in (b"d" * 31, "t" * 32, 7, (b"d" * 32,)):
        value = canonical.decode(canonical.encode((b"d" * 32,) * LEAST + (item,)))
        assert not isinstance(value, DigestArray)


def test_memory_is_bounded_and_holds_what_was_read_last() -> None:
    memory = ShapeMemory()
    for count in range(LEAST, LEAST + 2 * MAX_SHAPES):
        memory.remember(DigestArray((None,) * count), 0, count)
    assert memory.read(b"\xf6" * LEAST, 0, LEAST) is None
    last = LEAST + 2 * MAX_SHAPES - 1
    assert memory.read(b"\xf6" * last, 0, last) == ((None,) * last, last)
    for count in (LEAST - 1, MOST + 1):
        memory.remember(DigestArray((None,) * count), 0, count)
        assert memory.read(b"\xf6" * count, 0, count) is None
