"""What a log and a witness say to each other (C2SP tlog-witness, add-checkpoint): bytes in one form, and no other."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from mithridate.ledger.encodings import from_base64, to_base64
from mithridate.ledger.errors import NoteError
from mithridate.ledger.merkle import HASH_SIZE, MAX_SIZE

ADD_CHECKPOINT_PATH = "/add-checkpoint"
SIZE_TYPE = "text/x.tlog.size"
MAX_PROOF = 63
MAX_REQUEST_BYTES = 256 * 1024
"""More than 63 hashes and a checkpoint with 64 post-quantum signatures take."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class AddCheckpoint:
    """A request to cosign: `old` is the size that the log believes the witness to be at, `proof` leads from it to the
    checkpoint's size, `note` is the checkpoint as signed."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    def encode(self) -> bytes:
        """The request's body."""
        return (
            "".join([f"old {self.old}\n", *(f"{to_base64(node)}\n" for node in self.proof), "\n"]).encode() + self.note
        )

    @classmethod
    def decode(cls, body: bytes) -> AddCheckpoint:
        """The inverse of `encode`.  Raises NoteError for any other bytes; the note itself is not looked into."""
        if len(body) > MAX_REQUEST_BYTES:
            raise NoteError(f"the request has {len(body):,} bytes, above the limit of {MAX_REQUEST_BYTES:,}")
        head, blank, note = body.partition(b"\n\n")
        try:
            first, *lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise NoteError("the request does not start with 'old', a size, and hashes in base64") from None
        if not blank or not first.startswith("old "):
            raise NoteError("the request does not start with an 'old' line, or no blank line follows the proof")
        if len(lines) > MAX_PROOF:
            raise NoteError(f"the request holds {len(lines)} proof lines, above the limit of {MAX_PROOF}")
        return cls(parse_size(first.removeprefix("old ")), tuple(_hash(line) for line in lines), note)


def parse_size(text: str) -> int:
    """A tree size in plain decimal.  Raises NoteError for any other spelling, or one too large for any log."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise NoteError(f"{text[:40]!r} is not a tree size in plain decimal")
    return int(text)


def log_path(origin: str) -> str:
    """Where a witness or mirror serves what it knows of a log: the hexadecimal SHA-256 of the log's origin."""
    return hashlib.sha256(origin.encode()).hexdigest()


def _hash(line: str) -> bytes:
    try:
        value = from_base64(line)
    except ValueError as error:
        raise NoteError(f"a proof line cannot be read: {error}") from None
    if len(value) != HASH_SIZE:
        raise NoteError(f"a proof line holds {len(value)} bytes instead of {HASH_SIZE}")
    return value
