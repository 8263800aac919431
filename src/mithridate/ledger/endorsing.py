"""Keeping what others say of the log's checkpoints: cosignatures of witnesses, time stamps."""

from __future__ import annotations

from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.errors import NoteError
from mithridate.ledger.note import Note, parse_note
from mithridate.ledger.publishing import Publisher
from mithridate.ledger.store.rows import Endorsement
from mithridate.ledger.store.store import Store
from mithridate.ledger.view import LogView


def endorse(
    store: Store, publisher: Publisher, view: LogView, checkpoint: Checkpoint, note: bytes, timestamp: bytes | None
) -> None:
    """Keep a note over a checkpoint together with the signatures and the time stamp kept for it before.

    Raises NoteError unless the log under `view` extends the checkpoint.
    """
    if checkpoint.size > view.size or view.root_at(checkpoint.size) != checkpoint.root:
        raise NoteError(f"the checkpoint of {checkpoint.size} entries is not one that this log has reached")
    with store.writing() as connection:
        store.lock_head(connection)
        former = store.endorsement(connection, checkpoint.size)
        merged = _merge(parse_note(former.checkpoint), parse_note(note)) if former else note
        kept = timestamp if timestamp is not None or former is None else former.timestamp
        store.endorse(connection, Endorsement(checkpoint.size, merged, kept))
    publisher.replace_checkpoint(merged)


def _merge(former: Note, new: Note) -> bytes:
    """One note with the signatures of both; a key's newer signature replaces its former one."""
    if former.text != new.text:
        raise NoteError("two different checkpoints of the same size were endorsed: the log was forked")
    lines = {(line.name, line.key_id): line for line in (*former.signatures, *new.signatures)}
    return Note(new.text, tuple(lines.values())).encode()
