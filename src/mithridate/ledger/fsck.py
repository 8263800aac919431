"""Checking a whole log: every entry hashed and its signature checked, then all that should follow from the entries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint
from mithridate.ledger.errors import EvidenceError, NoteError
from mithridate.ledger.folder import LedgerFolder
from mithridate.ledger.fsck_entries import EntryCheck
from mithridate.ledger.fsck_tiles import check_tiles
from mithridate.ledger.publishing import Publisher, rebuild_tiles
from mithridate.ledger.store.rows import Head
from mithridate.ledger.store.store import CHUNK, Store

Progress = Callable[[str, int, int], None]
"""Is told what is being done, how much of it is done, and how much there is."""

MAX_PROBLEMS = 1000


@dataclass(frozen=True)
class Problem:
    """One thing that does not hold: at which entry (None when it is not of one), and a sentence that says what."""

    index: int | None
    message: str


@dataclass(frozen=True)
class FsckReport:
    """Attributes: size (entries that the log should hold), entries (those read), problems (1,000 at most)."""

    size: int
    entries: int
    problems: tuple[Problem, ...]

    @property
    def is_clean(self) -> bool:
        """Whether everything holds."""
        return not self.problems

    @property
    def first_bad_index(self) -> int | None:
        """The lowest index at which something does not hold; None when nothing does at any."""
        return min((problem.index for problem in self.problems if problem.index is not None), default=None)


@dataclass
class Findings:
    """Problems as they are found; beyond the first 1,000 they are no longer kept."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, index: int | None, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(index, message))


def check_ledger(folder: LedgerFolder, store: Store, progress: Progress | None = None) -> FsckReport:
    """Check the database against itself, against the published tiles, and both against the signed checkpoints.

    Reads what was committed when it began; a log may be checked while it grows.  Raises LedgerFailure when the
    database does not answer.
    """
    tell = progress or _silent
    found = Findings()
    head = store.head()
    published = _check_heads(folder, store, head, found)
    check = EntryCheck(store, head.size, found.add)
    roots = {head.size: head.root} | ({published.size: published.root} if published else {})
    for row in store.entries(0, head.size):
        check.take(row)
        if check.is_chunk_full or row.position == head.size - 1:
            check.flush()
        if row.position % CHUNK == 0:
            tell("entries", row.position, head.size)
        if check.size in roots and check.is_contiguous:
            _compare_root(check, roots.pop(check.size), found)
    check.finish()
    if check.size < head.size:
        found.add(check.size, f"the database ends after {check.size} of {head.size} entries")
    tell("entries", head.size, head.size)
    if published is not None:
        check_tiles(folder.tiles, published, store, found.add, tell)
    _check_endorsements(folder, store, head, found)
    problems = sorted(found.problems, key=lambda problem: (problem.index is None, problem.index))
    return FsckReport(head.size, check.count, tuple(problems))


def repair_tiles(folder: LedgerFolder, store: Store, progress: Progress | None = None) -> None:
    """Write all tiles again from the database.

    Raises EvidenceError, with nothing written, unless every entry leads to the log's own signed head and nothing newer
    was published.
    """
    head = store.head()
    found = Findings()
    published = _check_heads(folder, store, head, found, is_repair=True)
    check = EntryCheck(store, head.size, found.add)
    for row in store.entries(0, head.size):
        check.take(row)
        if check.is_chunk_full:
            check.flush()
            (progress or _silent)("entries", row.position, head.size)
        if published is not None and check.size == published.size and check.root() != published.root:
            found.add(None, f"the database holds other {published.size} entries than were published")
    check.flush()
    check.finish()
    if check.size != head.size or check.root() != head.root:
        found.add(None, "the entries of the database do not lead to its signed head")
    if found.problems:
        raise EvidenceError(f"the tiles cannot be made from this database: {found.problems[0].message}")
    rebuild_tiles(folder.tiles, folder.lock("tiles"), store, head)


def _check_heads(
    folder: LedgerFolder, store: Store, head: Head, found: Findings, *, is_repair: bool = False
) -> Checkpoint | None:
    """Check both signed heads; the published one, None when there is none that counts."""
    try:
        signed, _ = open_checkpoint(head.checkpoint, [folder.verifier], origin=folder.origin)
        if signed != Checkpoint(head.origin, head.size, head.root) or head.frontier().root() != head.root:
            found.add(None, "the head in the database is not what its checkpoint states")
    except EvidenceError as error:
        found.add(None, f"the checkpoint in the database does not hold: {error}")
    try:
        _, published = Publisher(folder.tiles, folder.lock("tiles"), folder.verifier, store).checkpoint()
    except NoteError as error:
        if not is_repair:  # a damaged checkpoint is one of the things to be repaired
            found.add(None, f"the published checkpoint does not hold: {error}")
        return None
    if published is None:
        if head.size and not is_repair:
            found.add(None, "there is no published checkpoint: run  mithridate ledger fsck --repair-tiles")
        return None
    if published.size > head.size:
        found.add(head.size, f"{published.size} entries were published, and the database holds {head.size}")
        return None
    return published


def _compare_root(check: EntryCheck, root: bytes, found: Findings) -> None:
    if check.root() != root:
        found.add(None, f"the first {check.size} entries of the database do not lead to the root that was signed")


def _check_endorsements(folder: LedgerFolder, store: Store, head: Head, found: Findings) -> None:
    with store.reading() as connection:
        endorsement = store.endorsement(connection)
    if endorsement is None:
        return
    try:
        checkpoint, _ = open_checkpoint(endorsement.checkpoint, [folder.verifier], origin=folder.origin)
    except NoteError as error:
        found.add(None, f"the endorsed checkpoint of {endorsement.size} entries does not hold: {error}")
        return
    if checkpoint.size != endorsement.size or checkpoint.size > head.size:
        found.add(head.size, f"a checkpoint of {checkpoint.size} entries was endorsed; the log holds {head.size}")


def _silent(what: str, done: int, total: int) -> None:
    pass
