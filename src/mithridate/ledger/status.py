"""The log's signed word on whether a record still counts.

A tree proves what is in it, not what is not.  That nothing in it revokes a record is therefore stated by the log, in a
note of its own that anyone with the log can hold against it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.encodings import from_base64, to_base64
from mithridate.ledger.errors import NoteError
from mithridate.ledger.note import NoteSigner, NoteVerifier, open_note, sign_note

_TITLE = "mithridate/status/1"  # no checkpoint's second line is a text, so none of them can be read as the other
_FORM = re.compile(r"log (.+)\nsize (0|[1-9][0-9]{0,18})\nroot (\S+)\nleaf (\S+)\nrevoked (no|0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True)
class Status:
    """As of a checkpoint: the leaf of an entry, and the index at which it was revoked, None when it was not."""

    checkpoint: Checkpoint
    leaf: bytes
    revoked: int | None

    def text(self) -> str:
        """The note's text."""
        head = self.checkpoint
        return (
            f"{_TITLE}\nlog {head.origin}\nsize {head.size}\nroot {to_base64(head.root)}\n"
            f"leaf {to_base64(self.leaf)}\nrevoked {'no' if self.revoked is None else self.revoked}\n"
        )

    def sign(self, signer: NoteSigner) -> bytes:
        """The status as a note."""
        return sign_note(self.text(), [signer]).encode()


def open_status(data: bytes, verifiers: Iterable[NoteVerifier]) -> Status:
    """Read a status that a trusted key signed.  Raises NoteError for anything else."""
    note, _ = open_note(data, verifiers)
    match = _FORM.fullmatch(note.text.removeprefix(f"{_TITLE}\n"))
    if not note.text.startswith(f"{_TITLE}\n") or match is None:
        raise NoteError("the note is not the status of a record")
    origin, size, root, leaf, revoked = match.groups()
    try:
        checkpoint = Checkpoint(origin, int(size), from_base64(root))
        return Status(checkpoint, from_base64(leaf), None if revoked == "no" else int(revoked))
    except ValueError as error:
        raise NoteError(f"the status cannot be read: {error}") from None
