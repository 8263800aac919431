"""Asking a witness, as a log does: prove that the checkpoint extends what the witness knows, take its cosignature."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mithridate.ledger.checkpoint import parse_checkpoint
from mithridate.ledger.errors import EvidenceError, NoteError
from mithridate.ledger.note import NoteSignature, open_note, parse_note
from mithridate.ledger.quorum import PublicKey
from mithridate.ledger.witness.web import Reply, Web, WebFailure
from mithridate.ledger.witness.wire import ADD_CHECKPOINT_PATH, MAX_REQUEST_BYTES, SIZE_TYPE, AddCheckpoint, parse_size

Prove = Callable[[int, int], Sequence[bytes]]
"""The consistency proof from an older size to a newer one, of the log itself."""

_ATTEMPTS = 4
_NEVER_SEEN = 0


class WitnessDisagreement(EvidenceError):
    """The witness holds another history of this log, or is ahead of the checkpoint: one of the two was rolled back."""


def ask_witness(
    web: Web, keys: Sequence[PublicKey], note: bytes, prove: Prove, *, known_size: int = _NEVER_SEEN
) -> tuple[NoteSignature, ...]:
    """The cosignatures of a witness, checked with its `keys`, over a checkpoint as the log signed it.

    `known_size` is where the witness is believed to be; when it says otherwise it is believed.
    Raises WitnessDisagreement when its history is another or longer, WebFailure when it does not answer or refuses.
    """
    checkpoint = parse_checkpoint(parse_note(note).text)
    old = min(known_size, checkpoint.size)
    for _ in range(_ATTEMPTS):
        proof = prove(old, checkpoint.size) if 0 < old < checkpoint.size else ()
        body = AddCheckpoint(old, tuple(proof), note).encode()
        reply = web.post(ADD_CHECKPOINT_PATH, body, MAX_REQUEST_BYTES, {"content-type": "text/plain; charset=utf-8"})
        if reply.status == 200:
            return _cosignatures(reply.body, note, keys, web.prefix)
        if reply.status != 409 or reply.media_type != SIZE_TYPE:
            raise _refused(reply, web.prefix)
        old = _stated_size(reply, web.prefix)
        if old > checkpoint.size:
            raise WitnessDisagreement(
                f"the witness {web.prefix} has seen {old} entries of {checkpoint.origin!r}, this checkpoint has "
                f"{checkpoint.size}: the log was rolled back, or another copy of it is running"
            )
    raise WebFailure(f"the witness {web.prefix} moves on faster than it can be asked: try again")


def _cosignatures(lines: bytes, note: bytes, keys: Sequence[PublicKey], where: str) -> tuple[NoteSignature, ...]:
    """The lines that the witness's own keys signed; others are ignored."""
    text = parse_note(note).text
    try:
        found, endorsements = open_note(text.encode() + b"\n" + lines, keys)
    except NoteError as error:
        raise WebFailure(f"the witness {where} answers with no signature of its own: {error}") from None
    trusted = {(item.name, item.key_id) for item in endorsements}
    return tuple(item for item in found.signatures if (item.name, item.key_id) in trusted)


def _stated_size(reply: Reply, where: str) -> int:
    try:
        return parse_size(reply.body.decode("ascii").removesuffix("\n"))
    except (NoteError, UnicodeDecodeError):
        raise WebFailure(f"the witness {where} answers with a conflict and states no size") from None


def _refused(reply: Reply, where: str) -> Exception:
    said = " ".join(reply.body.decode("utf-8", "replace").split())[:200]
    if reply.status == 409 or reply.status == 422:
        return WitnessDisagreement(
            f"the witness {where} holds another history of this log ({said}): keep both, and ask"
        )
    return WebFailure(f"the witness {where} refuses with status {reply.status} ({said})")
