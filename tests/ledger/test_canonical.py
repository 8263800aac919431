"""The encoding against the examples of RFC 8949, and against everything that almost is one."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithridate.ledger import canonical
from mithridate.ledger.errors import RecordError

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64), 2**64 - 1),
    st.binary(max_size=300),
    st.binary(min_size=31, max_size=33),  # digests, and what nearly is one
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=40),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=30).map(tuple),
        st.dictionaries(st.text(st.characters(blacklist_categories=["Cs"]), max_size=30), inner, max_size=30),
    ),
    max_leaves=25,
)


@given(VALUES)
def test_values_are_read_as_written(value: canonical.Value) -> None:
    data = canonical.encode(value)
    assert canonical.decode(data) == value
    assert canonical.encode(canonical.decode(data)) == data


@given(st.binary(max_size=60))
def test_bytes_that_are_read_are_written_again_the_same(data: bytes) -> None:
    try:
        value = canonical.decode(data)
    except RecordError:
        return
    assert canonical.encode(value) == data


@given(VALUES, st.data())
def test_no_changed_byte_gives_the_same_value(value: canonical.Value, data: st.DataObject) -> None:
    encoded = canonical.encode(value)
    place, change = data.draw(st.integers(0, len(encoded) - 1)), data.draw(st.integers(1, 255))
    changed = encoded[:place] + bytes([encoded[place] ^ change]) + encoded[place + 1 :]
    with contextlib.suppress(RecordError):
        assert canonical.encode(canonical.decode(changed)) != encoded


@given(st.dictionaries(st.text("ab", max_size=4), st.integers(0, 9), min_size=2, max_size=6))
def test_the_order_in_which_a_map_was_made_is_lost(value: dict[str, int]) -> None:
    assert canonical.encode(dict(reversed(value.items()))) == canonical.encode(value)


@pytest.mark.parametrize(
    ("value", "encoded"),  # RFC 8949 appendix A
    [
        (0, "00"),
        (23, "17"),
        (24, "1818"),
        (1000, "1903e8"),
        (1000000, "1a000f4240"),
        (1000000000000, "1b000000e8d4a51000"),
        (18446744073709551615, "1bffffffffffffffff"),
        (-1, "20"),
        (-1000, "3903e7"),
        (-18446744073709551616, "3bffffffffffffffff"),
        (False, "f4"),
        (True, "f5"),
        (None, "f6"),
        (b"", "40"),
        (b"\x01\x02\x03\x04", "4401020304"),
        ("", "60"),
        ("IETF", "6449455446"),
        ("\u6c34", "63e6b0b4"),
        ((), "80"),
        ((1, (2, 3), (4, 5)), "8301820203820405"),
        ({}, "a0"),
        ({"a": 1, "b": (2, 3)}, "a26161016162820203"),
    ],
)
def test_the_encoding_is_that_of_the_standard(value: canonical.Value, encoded: str) -> None:
    assert canonical.encode(value).hex() == encoded
    assert canonical.decode(bytes.fromhex(encoded)) == value


@pytest.mark.parametrize(
    "encoded",
    [
        "",
        "1817",  # 23 in two bytes
        "190018",
        "1a00000018",
        "1b0000000000000018",
        "5801ff",  # a length not in its shortest form
        "f90000",  # half-precision zero
        "fb3ff0000000000000",
        "f7",  # undefined
        "f820",
        "c11a514b67b0",  # a tag
        "5f42010243030405ff",  # indefinite lengths
        "9fff",
        "bfff",
        "ff",
        "1c",
        "4201",  # ends early
        "8201",
        "9bffffffffffffffff",
        "a16161",
        "a10001",  # a key that is no text
        "a2616201616102",  # keys out of order
        "a2616101616102",  # a key twice
        "61ff",  # not UTF-8
        "63eda080",  # a surrogate
        "0000",  # something after the end
        "81" * 17 + "00",
    ],
)
def test_other_encodings_are_refused(encoded: str) -> None:
    with pytest.raises(RecordError):
        canonical.decode(bytes.fromhex(encoded))


def test_deep_nesting_neither_crashes_nor_is_written() -> None:
    with pytest.raises(RecordError, match="deep"):
        canonical.decode(b"\x81" * 100_000)
    value: canonical.Value = 0
    for _ in range(17):
        value = (value,)
    with pytest.raises(RecordError, match="deep"):
        canonical.encode(value)


@pytest.mark.parametrize("value", [1.5, 2**64, -(2**64) - 1, {1: 2}, {b"a": 1}, {1, 2}, "\ud800", bytearray(b"a")])
def test_values_without_an_encoding_are_refused(value: canonical.Value) -> None:
    with pytest.raises(RecordError):
        canonical.encode(value)
