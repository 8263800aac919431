"""One value, one encoding: the part of CBOR (RFC 8949) that records need, in its core deterministic form (4.2.1).

Integers of 64 bits, byte strings, texts, arrays, maps with text keys, true, false and null.  Shortest lengths, keys in
the order of their encodings, nothing indefinite, no tags, no floats, nothing after the end.  Any CBOR library can read
the bytes; this decoder accepts no others, so two different byte strings are never the same value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import TypeAlias

from mithridate.ledger.errors import RecordError

Value: TypeAlias = "bool | int | bytes | str | Sequence[Value] | Mapping[str, Value] | None"

MAX_DEPTH = 16

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _SIMPLE = 0, 1, 2, 3, 4, 5, 7
_FALSE, _TRUE, _NULL = 20, 21, 22
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_SHORT_TEXTS = tuple(bytes((_TEXT << 5 | length,)) for length in range(24))
_SIMPLE_VALUES = {_FALSE: False, _TRUE: True, _NULL: None}

DIGEST_SIZE = 32
_DIGEST_HEAD = bytes((_BYTES << 5 | 24, DIGEST_SIZE))
_NULL_HEAD = bytes((_SIMPLE << 5 | _NULL,))


def encode(value: Value) -> bytes:
    """The value's bytes.  Raises RecordError for a value that has none: a float, an integer beyond 64 bits, ..."""
    out = bytearray()
    _encode(value, out, 0)
    return bytes(out)


def decode(data: bytes) -> Value:
    """The value of these bytes; arrays become tuples and maps dicts.

    Raises RecordError unless the data are the one encoding of a value: `encode(decode(data)) == data`.
    """
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise RecordError(f"the encoded value has {len(data) - end} bytes after its end")
    return value


def _encode(value: Value, out: bytearray, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise RecordError(f"the value is nested more than {MAX_DEPTH} deep")
    if isinstance(value, str):
        out += _text(value)
    elif value is None or isinstance(value, bool):
        out.append(_SIMPLE << 5 | (_NULL if value is None else _TRUE if value else _FALSE))
    elif isinstance(value, int):
        _head(_UNSIGNED, value, out) if value >= 0 else _head(_NEGATIVE, -1 - value, out)
    elif isinstance(value, bytes):
        _head(_BYTES, len(value), out)
        out += value
    elif isinstance(value, (list, tuple)):
        _encode_array(value, out, depth + 1)
    elif isinstance(value, Mapping):
        _head(_MAP, len(value), out)
        for key, item in sorted(((_text(key), item) for key, item in value.items()), key=itemgetter(0)):
            out += key
            _encode(item, out, depth + 1)
    else:
        raise RecordError(f"a value of type {type(value).__name__} has no canonical encoding")


def _encode_array(items: Sequence[Value], out: bytearray, depth: int) -> None:
    _head(_ARRAY, len(items), out)
    for item in items:
        if depth > MAX_DEPTH:
            _encode(item, out, depth)
        elif item is None:  # a record is mostly digests and what is absent: both are worth a short way
            out += _NULL_HEAD
        elif type(item) is bytes and len(item) == DIGEST_SIZE:
            out += _DIGEST_HEAD
            out += item
        else:
            _encode(item, out, depth)


def _head(major: int, number: int, out: bytearray) -> None:
    if number < 24:
        out.append(major << 5 | number)
        return
    for code, width in _WIDTHS.items():
        if number < 1 << 8 * width:
            out.append(major << 5 | code)
            out += number.to_bytes(width, "big")
            return
    raise RecordError("an integer of more than 64 bits has no canonical encoding")


def _text(value: object) -> bytes:
    if not isinstance(value, str):
        raise RecordError(f"a map's key of type {type(value).__name__} has no canonical encoding: use texts")
    try:
        content = value.encode("utf-8")
    except UnicodeEncodeError:
        raise RecordError("a text with a lone surrogate has no canonical encoding") from None
    if len(content) < 24:
        return _SHORT_TEXTS[len(content)] + content
    out = bytearray()
    _head(_TEXT, len(content), out)
    return bytes(out) + content


def _decode(data: bytes, place: int, depth: int) -> tuple[Value, int]:
    """The value that starts at `place`, and where it ends."""
    if depth > MAX_DEPTH:
        raise RecordError(f"the encoded value is nested more than {MAX_DEPTH} deep")
    if place >= len(data):
        raise RecordError("the encoded value ends early")
    major, number = data[place] >> 5, data[place] & 31
    place += 1
    if number >= 24 and major <= _MAP:
        number, place = _read_number(data, place, number)
    if major in (_TEXT, _BYTES):
        end = place + number
        if end > len(data):
            raise RecordError("the encoded value ends early")
        return (data[place:end] if major == _BYTES else _to_text(data[place:end])), end
    if major == _MAP:
        return _decode_map(data, place, number, depth)
    if major == _ARRAY:
        return _decode_array(data, place, number, depth)
    if major == _UNSIGNED:
        return number, place
    if major == _NEGATIVE:
        return -1 - number, place
    if major == _SIMPLE and number in _SIMPLE_VALUES:
        return _SIMPLE_VALUES[number], place
    raise _unknown(data[place - 1])


def _read_number(data: bytes, place: int, code: int) -> tuple[int, int]:
    """The number that follows a head with this code, and where it ends; refuses all but the shortest form."""
    width = _WIDTHS.get(code)
    if width is None:
        raise _unknown(data[place - 1])
    end = place + width
    if end > len(data):
        raise RecordError("the encoded value ends early")
    number = int.from_bytes(data[place:end], "big")
    if number < (24 if width == 1 else 1 << 4 * width):
        raise RecordError("the encoded value holds a number that is not in its shortest form")
    return number, end


def _unknown(first: int) -> RecordError:
    return RecordError(f"the encoded value holds the byte {first:#04x}, which no canonical value starts with")


def _decode_array(data: bytes, place: int, count: int, depth: int) -> tuple[Value, int]:
    items: list[Value] = []
    is_deepest = depth >= MAX_DEPTH
    while len(items) < count:  # a false count ends at the data's end: every item takes at least a byte
        head = b"" if is_deepest else data[place : place + 2]
        if head[:1] == _NULL_HEAD:  # the short ways of `_encode_array`
            items.append(None)
            place += 1
        elif head == _DIGEST_HEAD and place + 2 + DIGEST_SIZE <= len(data):
            items.append(data[place + 2 : place + 2 + DIGEST_SIZE])
            place += 2 + DIGEST_SIZE
        else:
            item, place = _decode(data, place, depth + 1)
            items.append(item)
    return tuple(items), place


def _decode_map(data: bytes, place: int, count: int, depth: int) -> tuple[Value, int]:
    entries: dict[str, Value] = {}
    previous = b""
    for _ in range(count):
        start = place
        key, place = _decode(data, place, depth + 1)
        spelled = data[start:place]
        if not isinstance(key, str) or spelled <= previous:
            raise RecordError("the encoded map's keys are not texts in ascending order, each once")
        previous = spelled
        entries[key], place = _decode(data, place, depth + 1)
    return entries, place


def _to_text(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        raise RecordError("the encoded value holds a text that is not UTF-8") from None
