"""Arrays of digests and nulls, which records mostly are, read at once when one of the same shape was read before.

A device commits to the same attributes in every record.  So the places of the digests are the same each time, and all
that must be looked at one by one is whether the bytes between them are.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from struct import Struct

DIGEST_SIZE = 32
DIGEST_HEAD = bytes((0x58, DIGEST_SIZE))
NULL_HEAD = b"\xf6"
"""How a byte string of 32 bytes and null begin (RFC 8949)."""

LEAST, MOST = 16, 1024
"""Items of the arrays whose shape is worth remembering."""

MAX_SHAPES = 256

_NULL = re.escape(NULL_HEAD)
_DIGEST = re.escape(DIGEST_HEAD) + b".{%d}" % DIGEST_SIZE


class DigestArray(tuple["bytes | None", ...]):
    """An array of which it is known that it holds only digests of 32 bytes and None."""

    __slots__ = ()


@dataclass(frozen=True)
class Shape:
    """Which items of an array are digests: what the bytes before them are, how to take them out and fill the gaps."""

    pattern: re.Pattern[bytes]
    digests: Struct
    arrange: Callable[[Sequence[bytes | None]], tuple[bytes | None, ...]]

    @classmethod
    def of(cls, items: Sequence[bytes | None]) -> Shape:
        """The shape of an array of at least two items."""
        numbers = iter(range(len(items)))
        places = [-1 if item is None else next(numbers) for item in items]  # -1: the None after the last digest
        return cls(
            re.compile(b"".join(_NULL if item is None else _DIGEST for item in items), re.DOTALL),
            Struct("".join("x" if item is None else "2x32s" for item in items)),
            itemgetter(*places),
        )

    def read(self, data: bytes, place: int) -> DigestArray | None:
        """The array that starts at `place` of the data; None when it is of another shape."""
        if self.pattern.match(data, place) is None:
            return None
        return DigestArray(self.arrange((*self.digests.unpack_from(data, place), None)))


class ShapeMemory:
    """The shapes that were read last, each under what else is known of an array before it is read."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int, int], Shape] = OrderedDict()

    def read(self, data: bytes, place: int, count: int) -> tuple[DigestArray, int] | None:
        """The array of so many items at `place`, and where it ends; None when it must be read item by item."""
        shape = self._known.get((count, place, len(data)))
        if shape is None or (found := shape.read(data, place)) is None:
            return None
        return found, place + shape.digests.size

    def remember(self, items: DigestArray, place: int, size: int) -> None:
        """Keep the shape of an array that was read item by item at `place` of `size` bytes."""
        if LEAST <= len(items) <= MOST:
            self._known[len(items), place, size] = Shape.of(items)
            while len(self._known) > MAX_SHAPES:
                self._known.popitem(last=False)
