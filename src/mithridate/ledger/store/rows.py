"""Rows as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from mithridate.ledger.merkle import HASH_SIZE, Frontier
from mithridate.ledger.store.tables import Lookup


@dataclass(frozen=True)
class Head:
    """The log's head: origin, size, root, the frontier's peaks, and the signed note that states it."""

    origin: str
    size: int
    root: bytes
    peaks: tuple[bytes, ...]
    checkpoint: bytes

    def frontier(self) -> Frontier:
        """The tree, ready to grow.  Raises ProofError when there are not as many peaks as the size needs."""
        return Frontier(self.size, list(self.peaks))

    def packed_peaks(self) -> bytes:
        """The peaks as they stand in the database."""
        return b"".join(self.peaks)

    @staticmethod
    def unpack_peaks(data: bytes) -> tuple[bytes, ...]:
        """The inverse of `packed_peaks`."""
        return tuple(data[place : place + HASH_SIZE] for place in range(0, len(data), HASH_SIZE))


@dataclass
class Device:
    """A device's row, in the order of the table.

    Attributes: number (its number here), device (its ID), enrolled (the index of its enrolment), following (the
    sequence number that its next record must have), is_operator, revoked (the index at which it was).
    """

    number: int
    device: bytes
    enrolled: int
    following: int = 0
    is_operator: bool = False
    revoked: int | None = None


class EntryRow(NamedTuple):
    """An entry's row, in the order of the table; `device` is the device's number here."""

    position: int
    leaf: bytes
    device: int
    sequence: int
    time: int
    entry: bytes


@dataclass
class Batch:
    """What one transaction adds."""

    entries: list[EntryRow] = field(default_factory=list)
    lookups: list[tuple[Lookup, bytes, int]] = field(default_factory=list)
    salts: list[tuple[int, bytes]] = field(default_factory=list)
    revocations: list[tuple[bytes, int]] = field(default_factory=list)
    new_devices: list[Device] = field(default_factory=list)
    changed_devices: dict[int, Device] = field(default_factory=dict)


@dataclass(frozen=True)
class Endorsement:
    """A checkpoint of the log as others signed it, and an RFC 3161 token over it, if there is one."""

    size: int
    checkpoint: bytes
    timestamp: bytes | None = None
