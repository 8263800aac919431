"""Many entries at once, on the caller's own thread: prepared, committed and answered a batch at a time.

Threads that share one interpreter take it from each other for every signature, which costs more than they save.  Who
wants to use more processors submits from several processes: they may all have the same ledger open.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from itertools import islice

from mithridate.ledger.batching import MAX_BATCH, Sequencer
from mithridate.ledger.receipt import LedgerRefusal, Receipt
from mithridate.ledger.submission import Submission


def submit_all(
    entries: Iterable[bytes], prepare: Callable[[bytes], Submission], sequencer: Sequencer
) -> Generator[Receipt | LedgerRefusal, None, None]:
    """The answers to all entries, in their order; `prepare` takes an entry apart and checks it.

    Entries are taken a batch ahead of the answers.  Raises LedgerFailure when the ledger cannot answer.
    """
    remaining = iter(entries)
    while batch := list(islice(remaining, MAX_BATCH)):
        prepared = [_prepared(prepare, entry) for entry in batch]
        committed = iter(sequencer.commit_all([one for one in prepared if isinstance(one, Submission)]))
        for one in prepared:
            answer = next(committed) if isinstance(one, Submission) else one
            if not isinstance(answer, Receipt | LedgerRefusal):
                raise answer
            yield answer


def _prepared(prepare: Callable[[bytes], Submission], entry: bytes) -> Submission | LedgerRefusal:
    try:
        return prepare(entry)
    except LedgerRefusal as refusal:
        return refusal
