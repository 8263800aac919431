"""Asking every witness of a policy, side by side, and keeping what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mithridate.errors import MithridateError, UserError
from mithridate.ledger import merkle
from mithridate.ledger.note import Note, NoteSignature, parse_note
from mithridate.ledger.quorum import KnownWitness, QuorumError, TrustPolicy
from mithridate.ledger.witness.client import Prove, ask_witness
from mithridate.ledger.witness.web import Web

if TYPE_CHECKING:
    from mithridate.ledger.log import Ledger


@dataclass(frozen=True)
class Collected:
    """What the witnesses said: the checkpoint with all cosignatures that were given, and the failures by witness."""

    note: bytes
    cosigned: tuple[str, ...]
    failures: Mapping[str, MithridateError]


def collect(note: bytes, policy: TrustPolicy, prove: Prove) -> Collected:
    """Ask each witness that has an address for its cosignature.

    A witness that fails does not stop the others.  Raises UserError when no witness has an address.
    """
    asked = [witness for witness in policy.witnesses if witness.url is not None]
    if not asked:
        raise UserError("no witness of the policy has an address: write it after the witness's key")
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda witness: _ask(witness, note, prove), asked))
    signatures: dict[NoteSignature, None] = dict.fromkeys(parse_note(note).signatures)
    cosigned, failures = [], {}
    for witness, answer in zip(asked, answers, strict=True):
        if isinstance(answer, MithridateError):
            failures[witness.name] = answer
        else:
            cosigned.append(witness.name)
            signatures |= dict.fromkeys(answer)
    return Collected(Note(parse_note(note).text, tuple(signatures)).encode(), tuple(cosigned), failures)


def endorse_ledger(ledger: Ledger, policy: TrustPolicy) -> Collected:
    """Have a ledger's last checkpoint cosigned, and publish it when the policy accepts it then.

    Raises QuorumError, with each witness's reason, when too few cosigned; those who did do so again when asked.
    """
    note = ledger.checkpoint()
    reader = ledger.reader()  # it may have grown since: nodes of the smaller tree are in the larger one
    collected = collect(note, policy, lambda old, new: merkle.consistency_proof(old, new, reader.node))
    try:
        policy.accept(collected.note)
    except QuorumError as error:
        why = "; ".join(f"{name}: {failure}" for name, failure in collected.failures.items())
        raise QuorumError(f"{error} ({why})" if why else str(error)) from None
    ledger.endorse(collected.note)
    return collected


def _ask(witness: KnownWitness, note: bytes, prove: Prove) -> Sequence[NoteSignature] | MithridateError:
    try:
        with Web(witness.url or "") as web:
            return ask_witness(web, [witness.key], note, prove)
    except MithridateError as error:
        return error
