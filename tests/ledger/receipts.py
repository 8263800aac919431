"""What a receipt must hold."""

from __future__ import annotations

from ledger.samples import ORIGIN
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.log import Ledger, Receipt

START = 2
"""Entries before a test's own: the operator's enrolment and the device's."""


def assert_covered(ledger: Ledger, receipt: Receipt, entry: bytes) -> None:
    """The receipt's own checkpoint proves the entry where the receipt says it is."""
    checkpoint, _ = open_checkpoint(receipt.checkpoint, [ledger.verifier()], origin=ORIGIN)
    assert receipt.index < checkpoint.size
    reader = ledger.reader()
    proof = merkle.inclusion_proof(receipt.index, checkpoint.size, reader.node)
    assert receipt.leaf == merkle.leaf_hash(entry)
    merkle.verify_inclusion(receipt.index, checkpoint.size, receipt.leaf, proof, checkpoint.root)
    assert reader.entry(receipt.index) == entry
