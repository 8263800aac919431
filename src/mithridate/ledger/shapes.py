"""Captures that differ from one read before only in digests and numbers, read at once.

A device commits to the same attributes in every record.  So where each digest stands is the same each time, and all
that must be looked at are the bytes between them: where those are those of a record, the whole is one.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, repeat
from operator import itemgetter
from struct import Struct
from typing import Any

from mithridate.ledger.fields import MAX_INTEGER
from mithridate.ledger.record import Capture, Record

MAX_DIGESTS = 1024
MAX_LENGTHS = 128
SHAPES_OF_A_LENGTH = 16

PATIENCE = 64
"""Where the memory is full, only every so many-th record of an unknown shape is learned: to learn one takes longer than
to read it item by item, and a log of more shapes than there is room for would learn without end."""

Digests = tuple[bytes | None, ...]

_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclass(frozen=True)
class Range:
    """The numbers whose encodings are as long as that of one number."""

    least: int
    most: int

    @classmethod
    def around(cls, number: int) -> Range | None:
        """None for numbers so small that they are encoded in less than a byte."""
        for width in _FORMATS:
            if number < 1 << 8 * width:
                least = 24 if width == 1 else 1 << 4 * width
                return cls(least, min((1 << 8 * width) - 1, MAX_INTEGER)) if number >= least else None
        return None


@dataclass(frozen=True)
class Shape:
    """What all captures of one length have in common that differ only in digests and numbers."""

    mask: int
    common: int
    fields: Struct
    sequences: Range
    times: Range
    record: Record
    scalars: Callable[[Sequence[Any]], tuple[Any, ...]]
    lists: tuple[Callable[[Sequence[Any]], Digests], ...]

    @classmethod
    def of(cls, record: Record) -> Shape | None:
        """The shape of a record that `Record.decode` gave; None where none is worth remembering."""
        sequences, times = Range.around(record.sequence), Range.around(record.time)
        if not isinstance(record.body, Capture) or sequences is None or times is None:
            return None
        fingerprint = record.body.fingerprint
        if sum(map(len, (fingerprint.coding, fingerprint.attributes, fingerprint.identity))) > MAX_DIGESTS:
            return None
        lowest = _varied(record, repeat(b"\x00" * 32), sequences.least, times.least).encode()
        highest = _varied(record, repeat(b"\xff" * 32), sequences.most, times.most).encode()
        mask = bytes(0xFF if low == high else 0 for low, high in zip(lowest, highest, strict=True))
        # In this one every digest and number is another, which tells where each of them stands.
        marks = (hashlib.sha256(b"%d" % number).digest() for number in count())
        marked = _varied(record, marks, sequences.least, times.most)
        fields = Struct(">" + "".join(_format(value, sum(1 for _ in run)) for value, run in groupby(mask)))
        place = {value: number for number, value in enumerate(fields.unpack(marked.encode()))}
        place[None] = -1  # what `read` puts behind the last field
        assert isinstance(marked.body, Capture)
        own = marked.body.fingerprint
        return cls(
            int.from_bytes(mask, "big"),
            int.from_bytes(mask, "big") & int.from_bytes(lowest, "big"),
            fields,
            sequences,
            times,
            record,
            itemgetter(
                *(place[value] for value in (marked.device, marked.sequence, marked.time)),
                *(place[value] for value in (own.file, own.stream, own.pixels)),
            ),
            tuple(_picker([place[item] for item in items]) for items in (own.coding, own.attributes, own.identity)),
        )

    def read(self, data: bytes, number: int | None = None) -> Record | None:
        """What `Record.decode` gives for these bytes, as many as the shape's; None when they are of another shape.

        `number` is the bytes as a number, where the caller has made it for several shapes.
        """
        if (int.from_bytes(data, "big") if number is None else number) & self.mask != self.common:
            return None
        values = (*self.fields.unpack(data), None)
        device, sequence, time, file, stream, pixels = self.scalars(values)
        in_range = (
            self.sequences.least <= sequence <= self.sequences.most and self.times.least <= time <= self.times.most
        )
        if not in_range:
            return None
        body = self.record.body
        assert isinstance(body, Capture)
        own = body.fingerprint
        lists = [pick(values) for pick in self.lists]
        fingerprint = type(own)(own.media, own.schema, own.frames, file, stream, pixels, *lists)
        return Record(device, sequence, time, Capture(fingerprint, body.channel))


class ShapeMemory:
    """The shapes that were read last, by the length of their records."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, tuple[Shape, ...]] = OrderedDict()
        self._misses = 0

    def decode(self, data: bytes) -> Record:
        """`Record.decode`."""
        known = self._known.get(len(data), ())
        number = int.from_bytes(data, "big") if known else 0
        for shape in known:
            if (record := shape.read(data, number)) is not None:
                return record
        record = Record.decode(data)
        self._misses += 1
        has_room = len(known) < SHAPES_OF_A_LENGTH and (bool(known) or len(self._known) < MAX_LENGTHS)
        if has_room or self._misses % PATIENCE == 0:
            self._learn(record, len(data))
        return record

    def _learn(self, record: Record, length: int) -> None:
        new = Shape.of(record)
        if new is None:
            return
        self._known[length] = (new, *self._known.get(length, ()))[:SHAPES_OF_A_LENGTH]
        while len(self._known) > MAX_LENGTHS:
            self._known.popitem(last=False)


def _varied(record: Record, digests: Iterator[bytes], sequence: int, time: int) -> Record:
    """The record with other digests, one after another, and numbers."""
    body = record.body
    assert isinstance(body, Capture)
    own = body.fingerprint

    def other(items: Digests) -> Digests:
        return tuple(None if item is None else next(digests) for item in items)

    file, stream, pixels = other((own.file, own.stream, own.pixels))
    assert file is not None
    assert stream is not None
    fingerprint = replace(
        own,
        file=file,
        stream=stream,
        pixels=pixels,
        coding=other(own.coding),
        attributes=other(own.attributes),
        identity=other(own.identity),
    )
    return Record(next(digests), sequence, time, Capture(fingerprint, body.channel))


def _format(masked: int, length: int) -> str:
    if masked:
        return f"{length}x"
    return _FORMATS.get(length) or f"{length}s"


def _picker(places: Sequence[int]) -> Callable[[Sequence[Any]], Digests]:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple(values[place] for place in places)
