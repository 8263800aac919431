"""Whether a receipt is one that this log gave, and whether the log still stands by it."""

from __future__ import annotations

from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.entry import read_entry
from mithridate.ledger.errors import NoteError
from mithridate.ledger.log import Ledger
from mithridate.ledger.merkle import Frontier
from mithridate.ledger.receipt import LedgerRefusal, Receipt


def check_receipt(ledger: Ledger, receipt: Receipt) -> int:
    """The log's size, once every part of the receipt is found to be true.

    Raises LedgerRefusal, saying what is not, for a receipt that is forged, changed, or of another log.
    """
    try:
        checkpoint, _ = open_checkpoint(receipt.checkpoint, [ledger.verifier()], origin=ledger.origin)
    except NoteError as error:
        raise LedgerRefusal(f"the receipt is not this log's: {error}") from error
    reader = ledger.reader()
    if not receipt.index < checkpoint.size <= reader.size:
        raise LedgerRefusal(f"the receipt's checkpoint does not cover entry {receipt.index}, or is none of this log")
    if Frontier.load(checkpoint.size, reader.node).root() != checkpoint.root:
        raise LedgerRefusal("the receipt's checkpoint is of another history than this log's: keep it, it proves a fork")
    record, _ = read_entry(reader.entry(receipt.index))
    stated = (receipt.leaf, receipt.device, receipt.sequence)
    if stated != (reader.leaf(receipt.index), record.device, record.sequence):
        raise LedgerRefusal(f"the receipt is not of entry {receipt.index}: leaf, device or sequence number differ")
    return reader.size
