"""A log in memory, and one that lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint, sign_checkpoint
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.mldsa import MldsaKey
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey
from mithridate.ledger.witness.core import Witness
from mithridate.ledger.witness.state import WitnessState
from mithridate.ledger.witness.wire import AddCheckpoint

ORIGIN = "log.example/radiology"
LOG_KEY = NoteKey(ORIGIN, FileSigner.from_seed(b"\x01" * 32))
WITNESS_KEY = NoteKey("witness.example/w1", FileSigner.from_seed(b"\x02" * 32), COSIGNATURE)
MLDSA_KEY = MldsaKey("witness.example/w1", b"\x03" * 32)
NOW = 1_700_000_000


@dataclass
class Log:
    """Entries of which every past tree can be shown; a fork shares its first ones."""

    entries: list[bytes] = field(default_factory=list)
    key: NoteKey = LOG_KEY

    def grow(self, count: int, tag: str = "") -> Log:
        self.entries += [f"{tag}{len(self.entries) + place}".encode() for place in range(count)]
        return self

    def fork(self, at: int) -> Log:
        return Log(self.entries[:at], self.key)

    def root(self, size: int) -> bytes:
        return merkle.tree_root(merkle.leaf_hash(entry) for entry in self.entries[:size])

    def note(self, size: int | None = None) -> bytes:
        size = len(self.entries) if size is None else size
        return sign_checkpoint(Checkpoint(self.key.name, size, self.root(size)), [self.key])

    def node(self, level: int, index: int) -> bytes:
        leaves = self.entries[index << level : (index + 1) << level]
        return merkle.tree_root(merkle.leaf_hash(entry) for entry in leaves)

    def prove(self, old: int, new: int) -> tuple[bytes, ...]:
        return merkle.consistency_proof(old, new, self.node)

    def request(self, old: int, new: int) -> bytes:
        """An honest request to cosign `new` entries, from a witness that stands at `old`."""
        proof = self.prove(old, new) if 0 < old <= new else ()
        return AddCheckpoint(old, proof, self.note(new)).encode()


def make(path: Path, clock: Callable[[], float] = lambda: NOW) -> Witness:
    state = WitnessState(path) if path.exists() else WitnessState.create(path)
    return Witness(state, {ORIGIN: [LOG_KEY.verifier()]}, [WITNESS_KEY], clock)
