"""Checkpoints (C2SP tlog-checkpoint): the note in which a log states its size and its root."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mithridate.ledger.encodings import from_base64, to_base64
from mithridate.ledger.errors import NoteError
from mithridate.ledger.merkle import EMPTY_ROOT, HASH_SIZE, MAX_SIZE
from mithridate.ledger.note import Endorsement, Note, NoteSigner, NoteVerifier, open_note, sign_note

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True)
class Checkpoint:
    """The head of a log: its identity, the number of its leaves, and their 32-byte root."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_SIZE:
            raise NoteError(f"the checkpoint's size {self.size} is not between 0 and {MAX_SIZE}")
        if len(self.root) != HASH_SIZE:
            raise NoteError(f"the checkpoint's root has {len(self.root)} bytes instead of {HASH_SIZE}")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise NoteError("the checkpoint states a root of leaves for a log without any")
        if any(not line or "\n" in line for line in (self.origin, *self.extensions)):
            raise NoteError("the checkpoint's origin or one of its extension lines is empty or more than one line")

    def text(self) -> str:
        """The note's text."""
        lines = (self.origin, str(self.size), to_base64(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines)


def parse_checkpoint(text: str) -> Checkpoint:
    """Read a note's text as a checkpoint.

    Raises NoteError for anything that is not exactly of the form, so `parse_checkpoint(text).text() == text`.
    """
    lines = text.split("\n")
    if len(lines) < 4 or lines[-1] != "":
        raise NoteError("a checkpoint has at least three lines, each with a newline: origin, size and root")
    origin, size, root, *extensions = lines[:-1]
    if not _DECIMAL.fullmatch(size):
        raise NoteError(f"the checkpoint's size {size!r} is not a plain decimal number")
    try:
        return Checkpoint(origin, int(size), from_base64(root), tuple(extensions))
    except ValueError as error:
        raise NoteError(f"the checkpoint's root cannot be read: {error}") from None


def open_checkpoint(
    data: bytes, verifiers: Iterable[NoteVerifier], *, origin: str | None = None
) -> tuple[Checkpoint, tuple[Endorsement, ...]]:
    """Read a checkpoint that at least one trusted key signed, and say which ones did.

    Whether these are enough (the log's own and a quorum of witnesses) is the caller's policy.
    Raises NoteError when the note or a trusted key's signature is false, or the log is another than `origin`.
    """
    note, endorsements = open_note(data, verifiers)
    checkpoint = parse_checkpoint(note.text)
    if origin is not None and checkpoint.origin != origin:
        raise NoteError(f"the checkpoint is of the log {checkpoint.origin!r}, not of {origin!r}")
    return checkpoint, endorsements


def sign_checkpoint(checkpoint: Checkpoint, signers: Sequence[NoteSigner]) -> bytes:
    """The checkpoint as a note.  The caller must know that it extends every checkpoint signed before."""
    return sign_note(checkpoint.text(), signers).encode()


def add_signatures(note: Note, signers: Iterable[NoteSigner]) -> Note:
    """The note with further signatures below those that it has, as a witness adds its own."""
    return Note(note.text, (*note.signatures, *(signer.sign_text(note.text) for signer in signers)))
