"""The tables, as `migrations/` makes them.

The log is `entries` under `head`; everything else can be computed from the entries again, but for the salts and the
key of the lookups, which are private, and the endorsements, which are others' words.
"""

from __future__ import annotations

from enum import IntEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
)

KEY_SIZE = 16
"""Bytes of a lookup's key: the beginning of a hash.  What is found is compared in full before it counts."""

metadata = MetaData()

head = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # always 1: there is one head
    Column("origin", String(255), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary(32), nullable=False),
    Column("peaks", LargeBinary, nullable=False),
    Column("checkpoint", LargeBinary, nullable=False),
)

entries = Table(
    "entries",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary(32), nullable=False),
    Column("device", Integer, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("time", BigInteger, nullable=False),
    Column("entry", LargeBinary, nullable=False),
    UniqueConstraint("device", "sequence", name="entries_device_sequence"),
    Index("entries_leaf", "leaf"),
    Index("entries_time", "time"),
)

devices = Table(
    "devices",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("device", LargeBinary(32), nullable=False, unique=True),
    Column("enrolled", BigInteger, nullable=False),
    Column("following", BigInteger, nullable=False),  # the sequence number that its next record must have
    Column("is_operator", Boolean, nullable=False),
    Column("revoked", BigInteger),
)

revocations = Table(
    "revocations",
    metadata,
    Column("target", LargeBinary(32), primary_key=True),
    Column("position", BigInteger, nullable=False),
)

lookups = Table(
    "lookups",
    metadata,
    Column("kind", SmallInteger, primary_key=True, autoincrement=False),
    Column("key", LargeBinary(KEY_SIZE), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    sqlite_with_rowid=False,
)

salts = Table(
    "salts",
    metadata,
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("salt", LargeBinary(32), nullable=False),
)

endorsements = Table(
    "endorsements",
    metadata,
    Column("size", BigInteger, primary_key=True, autoincrement=False),
    Column("checkpoint", LargeBinary, nullable=False),
    Column("timestamp", LargeBinary),
)


class Lookup(IntEnum):
    """What a record can be found by."""

    FILE = 1
    STREAM = 2
    PIXELS = 3
    SOP_INSTANCE = 4
    PATIENT = 5
    ACCESSION = 6
    NAME = 7
