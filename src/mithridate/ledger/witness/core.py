"""What a witness does: let a log's checkpoint pass only when it extends the last one, remember it, then cosign it.

The order matters.  The checkpoint is on disk before it is signed, so whatever kills the witness in between costs a
signature, which the log asks for again, and never leads to one on another history.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mithridate.errors import UserError
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint, parse_checkpoint
from mithridate.ledger.errors import NoteError, ProofError
from mithridate.ledger.mldsa import MldsaKey
from mithridate.ledger.note import Note, open_note, parse_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey
from mithridate.ledger.quorum import PublicKey
from mithridate.ledger.witness.state import Change, Conflict, Head, WitnessState
from mithridate.ledger.witness.wire import AddCheckpoint, log_path

Cosigner = NoteKey | MldsaKey


class WitnessRefusal(UserError):
    """A request that the witness turns down: the HTTP status that says so and, for a size that is not the witness's,
    the size at which it stands."""

    def __init__(self, status: int, message: str, size: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.size = size


@dataclass(frozen=True)
class _Outcome:
    head: Head
    refusal: WitnessRefusal | None = None


@dataclass(frozen=True)
class _Cosigned:
    head: Head
    note: bytes


class Witness:
    """Cosigns for the logs whose keys it is given, by origin; thread-safe.

    `cosigners` are its own keys: one Ed25519 key of type 0x04, ML-DSA-44 keys, or both.  `clock` gives seconds since
    1970; the time stated for a log never goes back, whatever the clock does.
    """

    def __init__(
        self,
        state: WitnessState,
        logs: Mapping[str, Sequence[PublicKey]],
        cosigners: Sequence[Cosigner],
        clock: Callable[[], float] = time.time,
    ) -> None:
        if not cosigners or any(isinstance(key, NoteKey) and key.kind != COSIGNATURE for key in cosigners):
            raise UserError("a witness signs with keys of type 0x04 or 0x06, and with one at least")
        self._state = state
        self._logs = {origin: tuple(keys) for origin, keys in logs.items()}
        self._cosigners = tuple(cosigners)
        self._clock = clock
        self._latest: dict[str, _Cosigned] = {}

    @property
    def verifiers(self) -> tuple[PublicKey, ...]:
        """The public halves of its keys."""
        return tuple(key.verifier() for key in self._cosigners)

    @property
    def origins(self) -> tuple[str, ...]:
        """The logs that it knows."""
        return tuple(self._logs)

    def add_checkpoint(self, body: bytes) -> bytes:
        """Answer an add-checkpoint request with signature lines.

        Raises WitnessRefusal with status 400 (malformed), 404 (unknown log), 403 (not signed by it), 409 (another size,
        or another root at the same size) or 422 (not an extension); WitnessFailure when the state cannot be kept.
        """
        try:
            request = AddCheckpoint.decode(body)
            note = parse_note(request.note)
            checkpoint = parse_checkpoint(note.text)
        except NoteError as error:
            raise WitnessRefusal(400, str(error)) from None
        signed = self._signed_by_log(request.note, note, checkpoint.origin)
        if request.old > checkpoint.size:
            raise WitnessRefusal(400, f"the old size {request.old} is above the checkpoint's, {checkpoint.size}")
        with self._state.change() as change:
            outcome = self._judge(change, request, checkpoint, signed)
            if outcome.refusal is None:
                change.advance(checkpoint.origin, outcome.head)
        if outcome.refusal is not None:
            raise outcome.refusal
        lines, self._latest[checkpoint.origin] = self._cosign(outcome.head)
        return lines

    def latest(self, path: str) -> bytes | None:
        """The last checkpoint of a log with the witness's cosignatures, for monitors; None when there is none.

        The log is named by the `log_path` of its origin.
        """
        origin = next((origin for origin in self._logs if log_path(origin) == path), None)
        head = None if origin is None else self._state.head(origin)
        if origin is None or head is None:
            return None
        known = self._latest.get(origin)
        if known is None or known.head != head:  # it passed through another process, or before this one started
            _, known = self._cosign(head)
            self._latest[origin] = known
        return known.note

    def conflicts(self) -> list[Conflict]:
        """Proofs of split views that it has met."""
        return self._state.conflicts()

    def _signed_by_log(self, data: bytes, note: Note, origin: str) -> bytes:
        """The note with the log's own valid signatures and no others."""
        if origin not in self._logs:
            raise WitnessRefusal(404, f"the log {origin!r} is not known to this witness")
        try:
            _, endorsements = open_note(data, self._logs[origin])
        except NoteError as error:
            raise WitnessRefusal(403, str(error)) from None
        trusted = {(found.name, found.key_id) for found in endorsements}
        signatures = [found for found in note.signatures if (found.name, found.key_id) in trusted]
        return Note(note.text, tuple(dict.fromkeys(signatures))).encode()

    def _judge(self, change: Change, request: AddCheckpoint, checkpoint: Checkpoint, signed: bytes) -> _Outcome:
        head = change.head(checkpoint.origin)
        size, root = (0, merkle.EMPTY_ROOT) if head is None else (head.size, head.root)
        stated = max(int(self._clock()), head.time if head is not None else 0, 1)
        new = Head(checkpoint.size, checkpoint.root, stated, signed)
        if request.old != size:
            reason = f"the witness stands at {size} entries, not at {request.old}"
            if head is not None and checkpoint.size == size and checkpoint.root != root:
                change.convict(Conflict(checkpoint.origin, size, signed, head.note), checkpoint.root)
            return _Outcome(new, WitnessRefusal(409, reason, size))
        if checkpoint.size == size and checkpoint.root != root:
            if head is not None:
                change.convict(Conflict(checkpoint.origin, size, signed, head.note), checkpoint.root)
            reason = f"the log has signed two different roots for its first {size} entries: it shows two histories"
            return _Outcome(new, WitnessRefusal(409, reason))
        try:
            _check_extension(size, root, checkpoint, request.proof)
        except ProofError as error:
            return _Outcome(new, WitnessRefusal(422, str(error)))
        return _Outcome(new)

    def _cosign(self, head: Head) -> tuple[bytes, _Cosigned]:
        """Sign what is on disk already, at the time that is stored with it."""
        note = parse_note(head.note)
        signatures = [replace(key, clock=lambda: head.time).sign_text(note.text) for key in self._cosigners]
        cosigned = Note(note.text, (*note.signatures, *signatures)).encode()
        return "".join(signature.line() for signature in signatures).encode(), _Cosigned(head, cosigned)


def _check_extension(size: int, root: bytes, checkpoint: Checkpoint, proof: Sequence[bytes]) -> None:
    """Raises ProofError unless the checkpoint extends the tree of this size and root."""
    if size == 0:
        if proof:
            raise ProofError("a proof from nothing must be empty: every log extends the empty one")
        return
    merkle.verify_consistency(size, checkpoint.size, root, checkpoint.root, proof)
