"""The log as a signed checkpoint shows it: nothing read through it counts before its proof was checked."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.tile_reader import TileReader


class LogView:
    """A checkpoint and the tiles under it; thread-safe."""

    def __init__(self, note: bytes, checkpoint: Checkpoint, reader: Callable[[int], TileReader]) -> None:
        self.note = note
        self.checkpoint = checkpoint
        self._reader = reader(checkpoint.size)
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """How many entries the checkpoint covers."""
        return self.checkpoint.size

    def prove(self, index: int, entry: bytes) -> tuple[bytes, ...]:
        """The checked proof that the entry stands at this index.  Raises EvidenceError when it does not."""
        with self._lock:
            proof = self._reader.inclusion_proof(index)
        merkle.verify_inclusion(index, self.size, merkle.leaf_hash(entry), proof, self.checkpoint.root)
        return proof

    def root_at(self, size: int) -> bytes:
        """The root of the log's first `size` entries."""
        with self._lock:
            return merkle.Frontier.load(size, self._reader.node).root()
