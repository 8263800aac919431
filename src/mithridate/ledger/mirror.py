"""A copy of a log that the log cannot take back: fetched from its tiles, hashed anew, checked against its signature.

What is copied is proved, batch after batch, to be the beginning of the tree that the log has signed, so a mirror that
was cut short goes on where it stood, and a log that shows another history is found out at the first batch.  The mirror
is laid out as C2SP tlog-tiles says and can be served as static files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mithridate.errors import UserError
from mithridate.files import remove_file, replace_file, replace_text
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint
from mithridate.ledger.errors import EvidenceError, TileError
from mithridate.ledger.note import MAX_NOTE_BYTES, NoteVerifier
from mithridate.ledger.tile_reader import Fetch, TileReader, folder_source
from mithridate.ledger.tile_writer import TileWriter
from mithridate.ledger.tiles import CHECKPOINT_PATH, MAX_ENTRY_BYTES, TILE_WIDTH
from mithridate.ledger.witness.web import Web

BATCH = 8 * TILE_WIDTH
"""Entries copied between two points at which a mirror that was killed goes on."""
MAX_FILE_BYTES = TILE_WIDTH * (MAX_ENTRY_BYTES + 2)

_PROGRESS, _LOCK, _EVIDENCE = "mirror.json", ".mirror.lock", "evidence"

Progress = Callable[[str, int, int], None]


class SplitViewError(EvidenceError):
    """The log has signed something that contradicts what it signed before: a rollback, or a second history."""


@dataclass(frozen=True)
class Mirrored:
    """What a run of the mirror did: the log's origin, its size before and after, and the root."""

    origin: str
    former: int
    size: int
    root: bytes


def url_source(web: Web) -> Fetch:
    """Read tiles from the address of a log or of another mirror."""
    return lambda path: web.get(path, MAX_NOTE_BYTES if path == CHECKPOINT_PATH else MAX_FILE_BYTES)


def mirror_log(
    fetch: Fetch,
    folder: Path,
    verifiers: Sequence[NoteVerifier],
    *,
    origin: str | None = None,
    progress: Progress | None = None,
) -> Mirrored:
    """Bring a mirror in a folder up to the log's last checkpoint, which a trusted key must have signed.

    Raises SplitViewError, and keeps both checkpoints below evidence/, when the log was rolled back or shows another
    history; TileError or ProofError when its tiles do not lead to its own root; UserError when another run is at work.
    """
    data = fetch(CHECKPOINT_PATH)
    if data is None:
        raise UserError(
            "there is no checkpoint at the source: name the folder or address that holds tile/ and checkpoint"
        )
    head, _ = open_checkpoint(data, verifiers, origin=origin)
    folder.mkdir(parents=True, exist_ok=True)
    with _only_one(folder):
        former_note = folder_source(folder)(CHECKPOINT_PATH)
        former = None if former_note is None else open_checkpoint(former_note, verifiers, origin=head.origin)[0]
        source = TileReader(fetch, head.size)
        if former is not None and former_note is not None:
            try:
                _check_successor(former, head, source)
            except SplitViewError:
                _keep_evidence(folder, former_note, data)
                raise
        writer = _resume(folder, former)
        _copy(source, head, writer, folder, progress)
        if writer.root() != head.root:
            raise TileError(f"the {head.size} entries at the source do not lead to the root that the log signed")
        writer.publish(data)
        remove_file(folder / _PROGRESS)
    return Mirrored(head.origin, former.size if former else 0, head.size, head.root)


def _check_successor(former: Checkpoint, head: Checkpoint, source: TileReader) -> None:
    """Raises SplitViewError unless the log's checkpoint extends the one that the mirror stands at."""
    if head.size < former.size:
        raise SplitViewError(
            f"the log {head.origin!r} states {head.size} entries and had signed {former.size}: it was rolled back"
        )
    if head.size == former.size and head.root != former.root:
        raise SplitViewError(f"the log {head.origin!r} has signed two different trees of {head.size} entries")
    if 0 < former.size < head.size:
        try:
            proof = source.consistency_proof(former.size)
            merkle.verify_consistency(former.size, head.size, former.root, head.root, proof)
        except EvidenceError as error:
            if source.root() != head.root:
                raise  # the tiles are wrong, which says nothing yet about what the log has signed
            raise SplitViewError(
                f"the log's tree of {head.size} entries does not extend the {former.size} that it had signed before"
            ) from error


def _copy(source: TileReader, head: Checkpoint, writer: TileWriter, folder: Path, progress: Progress | None) -> None:
    """Append what is missing, in batches that each end on a full tile and are proved before they count."""
    while writer.size < head.size:
        end = min(head.size, writer.size - writer.size % TILE_WIDTH + BATCH)
        root = writer.append(list(islice(source.entries(writer.size), end - writer.size)))
        if end < head.size:
            merkle.verify_consistency(end, head.size, root, head.root, source.consistency_proof(end))
            replace_text(folder / _PROGRESS, json.dumps({"size": end, "root": root.hex()}) + "\n")
        if progress is not None:
            progress(f"mirroring {head.origin}", end, head.size)


def _resume(folder: Path, former: Checkpoint | None) -> TileWriter:
    """Go on from the last proved batch of a run that was cut short, else from the last checkpoint."""
    size, root = (former.size, former.root) if former is not None else (0, merkle.EMPTY_ROOT)
    try:
        stated = json.loads((folder / _PROGRESS).read_text(encoding="utf-8"))
        further, proved = int(stated["size"]), bytes.fromhex(stated["root"])
        if further > size:
            return TileWriter(folder, further, proved)
    except (OSError, ValueError, KeyError, TypeError, TileError):
        pass  # the checkpoint's own place is as good, only further back
    return TileWriter(folder, size, root)


def _keep_evidence(folder: Path, former: bytes, other: bytes) -> None:
    """Two notes that the log signed and that contradict each other; named by their content, so that none is lost."""
    for note in (former, other):
        name = f"checkpoint-{merkle.leaf_hash(note).hex()[:16]}"
        replace_file(folder / _EVIDENCE / name, lambda partial, note=note: partial.write_bytes(note))  # type: ignore[misc]


@contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """Keep a second run out: it could publish an older checkpoint after a newer one.  Ends with the process."""
    try:
        import fcntl
    except ImportError:  # Windows has no such lock, and one run at a time is the user's to see to
        yield
        return
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UserError(f"{folder} is being written by another run of the mirror: wait for it to end") from None
    finally:
        os.close(descriptor)
