"""Where the gate learns what an image is, and how far it believes what it is told."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

from mithridate.errors import MithridateError
from mithridate.ledger.bundle import ProofBundle, check_bundle, judge_checked
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.fingerprint import Fingerprint
from mithridate.ledger.gate.policy import Policy
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode
from mithridate.ledger.gate.trust import CheckpointJudge
from mithridate.ledger.judgement import LogJudgement
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.tile_reader import TileReader


class Source(Protocol):
    """Where judgements and proofs come from: a `Ledger` in this process, or a `RemoteLedger` over HTTP."""

    def judge_fingerprint(self, fingerprint: Fingerprint, *, entry: int | None = None) -> LogJudgement:
        """What the log says of an image, by the record `entry` if one is named."""
        ...

    def prove(self, index: int, *, with_salt: bool = True) -> ProofBundle:
        """The offline proof of one entry."""
        ...

    def reader(self) -> TileReader:
        """The log's tiles."""
        ...


@dataclass(frozen=True)
class Finding:
    """A judgement, with the proof that it was checked by and the size of the log in that, None where none was asked."""

    judgement: LogJudgement
    proof: ProofBundle | None = None
    size: int | None = None


@dataclass(frozen=True)
class EvidenceCheck:
    """Judges images by a source, and checks every proof with the policy's own keys."""

    source: Source | None
    checkpoints: CheckpointJudge

    def judge(
        self, fingerprint: Fingerprint, policy: Policy, bundle: ProofBundle | bytes | None, entry: int | None = None
    ) -> Finding:
        """What the image is, by the record `entry` if one is named.

        A source comes before a bundle: it knows what was revoked since the bundle was made.  Raises GateRefusal when
        nobody can say, or what they say does not hold.
        """
        if self.source is not None:
            return self._judge_live(self.source, fingerprint, policy, entry)
        if bundle is None:
            raise GateRefusal(RefusalCode.PROOF, "this gate is connected to no ledger: send the proof bundle along")
        try:
            proof = ProofBundle.decode(bundle) if isinstance(bundle, bytes) else bundle
        except EvidenceError as error:
            raise GateRefusal(RefusalCode.PROOF, f"the proof bundle cannot be used: {error}") from error
        return self._judge_proof(fingerprint, proof, policy, None)

    def _judge_live(self, source: Source, fingerprint: Fingerprint, policy: Policy, entry: int | None) -> Finding:
        try:
            stated = source.judge_fingerprint(fingerprint, entry=entry)
            if not policy.proof_required or not policy.accepts(stated.verdict):
                return Finding(stated)
            if stated.index is None:
                raise GateRefusal(RefusalCode.PROOF, "the ledger names no entry for its judgement")
            proof = source.prove(stated.index)
        except GateRefusal:
            raise
        except EvidenceError as error:
            raise GateRefusal(RefusalCode.PROOF, f"the ledger's own evidence does not hold: {error}") from error
        except (MithridateError, OSError) as error:
            raise GateRefusal(RefusalCode.LEDGER, f"the ledger does not answer: {error}") from error
        found = self._judge_proof(fingerprint, proof, policy, source)
        if (found.judgement.index, found.judgement.device) != (stated.index, stated.device):
            raise GateRefusal(RefusalCode.PROOF, "the ledger's proof is of another entry than its judgement")
        return replace(found, judgement=replace(found.judgement, others=stated.others))

    def _judge_proof(
        self, fingerprint: Fingerprint, proof: ProofBundle, policy: Policy, source: Source | None
    ) -> Finding:
        if policy.trust is None:
            raise GateRefusal(RefusalCode.PROOF, "the policy states no key to check a proof with: add log_key")
        tiles = source.reader if source is not None else None
        accepted = self.checkpoints.accept(proof.checkpoint, proof.timestamp, policy, policy.trust, tiles=tiles)
        if not isinstance(accepted.log, VerifierKey):
            raise GateRefusal(RefusalCode.PROOF, "the policy's log key is no Ed25519 key: state that of the log")
        try:
            judgement = judge_checked(check_bundle(proof, accepted.log), fingerprint)
        except EvidenceError as error:
            raise GateRefusal(RefusalCode.PROOF, f"the proof does not hold: {error}") from error
        return Finding(judgement, proof, accepted.checkpoint.size)
