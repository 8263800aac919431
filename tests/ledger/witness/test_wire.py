"""The request's bytes: one form, read back as written, and nothing else accepted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithridate.ledger.errors import NoteError
from mithridate.ledger.witness.wire import MAX_REQUEST_BYTES, AddCheckpoint, log_path, parse_size

HASHES = st.lists(st.binary(min_size=32, max_size=32), max_size=63).map(tuple)
REQUESTS = st.builds(AddCheckpoint, st.integers(0, 2**63 - 1), HASHES, st.binary(max_size=200))


@given(REQUESTS)
def test_requests_are_read_as_written(request: AddCheckpoint) -> None:
    assert AddCheckpoint.decode(request.encode()) == request


@given(st.binary(max_size=300))
def test_other_bytes_are_refused_or_are_the_one_form(data: bytes) -> None:
    try:
        request = AddCheckpoint.decode(data)
    except NoteError:
        return
    assert request.encode() == data


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"old 1",
        b"old 01\n\n",
        b"old +1\n\n",
        b"old -1\n\n",
        b"old  1\n\n",
        b"Old 1\n\n",
        b"old 1 \n\n",
        b"old 1\r\n\r\n",
        b"old 9223372036854775808\n\n",
        b"old \xd9\xa1\n\n",
        b"old 1\nnot-base64\n\n",
        b"old 1\nAAAA\n\n",
        b"\nold 1\n\n",
    ],
)
def test_malformed_heads_are_refused(head: bytes) -> None:
    with pytest.raises(NoteError):
        AddCheckpoint.decode(head + b"note")


def test_limits() -> None:
    with pytest.raises(NoteError, match="64 proof lines"):
        AddCheckpoint.decode(AddCheckpoint(1, (bytes(32),) * 64, b"").encode())
    with pytest.raises(NoteError, match="limit"):
        AddCheckpoint.decode(bytes(MAX_REQUEST_BYTES + 1))
    assert parse_size("9223372036854775807") == 2**63 - 1


def test_a_log_is_served_below_the_hash_of_its_origin() -> None:
    # The folder in which the public test mirror of sunlight keeps this log.
    expected = "000de184301123b9278c086a7d9f68c9577e83872224c197058fd90784ea9706"
    assert log_path("rome2026h1.example.org") == expected
