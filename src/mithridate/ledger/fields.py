"""Reading decoded values into typed fields: each reader refuses what it does not expect, and says where."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from mithridate.ledger.canonical import DIGEST_SIZE, Value
from mithridate.ledger.errors import RecordError

MAX_TEXT = 1024
MAX_INTEGER = 2**63 - 1

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def read_map(value: Value, keys: Sequence[str], what: str) -> Mapping[str, Value]:
    """A map with exactly these keys."""
    if not isinstance(value, Mapping) or len(value) != len(keys) or not all(map(value.__contains__, keys)):
        raise RecordError(f"the {what} does not hold exactly {', '.join(keys)}")
    return value


def read_list(value: Value, what: str, length: int | None = None) -> Sequence[Value]:
    """An array, of this length if given."""
    if not isinstance(value, list | tuple) or length not in (None, len(value)):
        raise RecordError(f"the {what} is not an array" + (f" of {length}" if length is not None else ""))
    return value


def read_bytes(value: Value, what: str, size: int = DIGEST_SIZE) -> bytes:
    """A byte string of exactly this size."""
    if not isinstance(value, bytes) or len(value) != size:
        raise RecordError(f"the {what} is not a string of {size} bytes")
    return value


def read_digest_or_none(value: Value, what: str) -> bytes | None:
    """A digest, or null for what is absent."""
    return None if value is None else read_bytes(value, what)


def read_digests(value: Value, what: str) -> tuple[bytes | None, ...]:
    """An array of digests, or null for each that is absent."""
    return tuple(read_digest_or_none(item, what) for item in read_list(value, what))


def read_text(value: Value, what: str) -> str:
    """A text of at most 1,024 printable characters."""
    if not isinstance(value, str) or len(value) > MAX_TEXT or _CONTROL.search(value):
        raise RecordError(f"the {what} is not a text of at most {MAX_TEXT} characters without control characters")
    return value


def read_integer(value: Value, what: str) -> int:
    """A number that is not negative and fits a signed 64-bit integer."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_INTEGER:
        raise RecordError(f"the {what} is not a whole number from 0 to {MAX_INTEGER}")
    return value
