"""What the gate asks for before it lets an image through, as a typed object or a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from cryptography.x509 import Certificate
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.mldsa import parse_verifier
from mithridate.ledger.quorum import NONE, TrustPolicy, load_policy
from mithridate.ledger.service.listening import make_settings, read_settings
from mithridate.ledger.timestamp import load_certificates

POLICY_FILES = ("trust_file", "timestamp_authorities")
"""The fields that name files."""

DeviceId = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Policy(BaseModel):
    """The gate's demands.  What is not stated here is refused; every default is the stricter choice.

    Attributes:
        verdicts: Which verdicts count.  DERIVED, an image made from a logged one, counts only when listed.
        identity: "required" refuses a request that does not say whose image it expects.
        proof_required: Whether every decision needs a proof that was checked here, against keys stated here.  Without
            it the gate believes the ledger that it is connected to.
        log_key: The log's public key, name+ID+base64, as `mithridate ledger` prints it.
        witness_keys: Public keys of the witnesses, in the same form.
        quorum: How many of them must have cosigned the checkpoint.
        trust_file: Instead of the three above, a policy file in the form of C2SP tlog-policy.
        timestamp_authorities: A PEM file with the roots of RFC 3161 authorities, whose stamps count as times.
        max_checkpoint_age: Seconds since enough witnesses cosigned, or an authority stamped; None for no limit.  A
            time that only the log states counts for nothing.
        max_clock_skew: Seconds by which a cosignature may lie in the future.
        devices: IDs of the devices whose images count; None for all that are enrolled.
        two_identities: What happens when the same pixels are logged under another identity: "alert" or "refuse".
        nonce: "required" refuses a request without a single-use nonce.
        lossy: Whether images under lossy compression, which are known by their stream alone, count.
        decoder: The decoder, as library and version ("python-gdcm 3.2.6"), that must have read a lossy image.
        max_bytes: Size of the largest image that is looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdicts: tuple[Literal["IDENTICAL", "TRANSCODED", "DERIVED"], ...] = ("IDENTICAL", "TRANSCODED")
    identity: Literal["required", "optional"] = "required"
    proof_required: bool = True
    log_key: str | None = None
    witness_keys: tuple[str, ...] = ()
    quorum: int = Field(default=0, ge=0)
    trust_file: Path | None = None
    timestamp_authorities: Path | None = None
    max_checkpoint_age: float | None = Field(default=None, gt=0)
    max_clock_skew: float = Field(default=300, ge=0)
    devices: tuple[DeviceId, ...] | None = None
    two_identities: Literal["alert", "refuse"] = "alert"
    nonce: Literal["required", "optional"] = "optional"
    lossy: bool = True
    decoder: str | None = None
    max_bytes: int = Field(default=1 << 30, gt=0)
    _trust: TrustPolicy | None = PrivateAttr(default=None)
    _roots: tuple[Certificate, ...] = PrivateAttr(default=())

    @model_validator(mode="after")
    def _check(self) -> Self:
        trust = self._trust = self._read_trust()
        if self.proof_required and trust is None:
            raise ValueError("a proof needs the key that it is checked with: state log_key, or proof_required: false")
        if not self.proof_required and (self.witness_keys or self.max_checkpoint_age is not None):
            raise ValueError("witnesses and the checkpoint's age are checked in proofs: set proof_required: true")
        if self.timestamp_authorities is not None:
            self._roots = tuple(load_certificates(self.timestamp_authorities))
        if self.max_checkpoint_age is not None and (trust is None or trust.quorum == NONE) and not self._roots:
            raise ValueError(
                "a checkpoint's age is what others say it is: state witness_keys and a quorum, or timestamp_authorities"
            )
        if not self.verdicts:
            raise ValueError("no verdict is listed, so nothing could ever be admitted")
        return self

    @property
    def trust(self) -> TrustPolicy | None:
        """Whom to believe; None when no log key is stated."""
        return self._trust

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """Certificates of the time stamp authorities."""
        return self._roots

    def _read_trust(self) -> TrustPolicy | None:
        if self.trust_file is not None:
            if self.log_key is not None or self.witness_keys or self.quorum:
                raise ValueError("trust_file stands instead of log_key, witness_keys and quorum: state either")
            return load_policy(self.trust_file)
        if self.log_key is None:
            if self.witness_keys or self.quorum:
                raise ValueError("witnesses are checked in proofs: state log_key too")
            return None
        if self.quorum > len(self.witness_keys):
            raise ValueError(f"the quorum is {self.quorum} of only {len(self.witness_keys)} witnesses")
        return TrustPolicy.of([parse_verifier(self.log_key)], list(map(parse_verifier, self.witness_keys)), self.quorum)

    def accepts(self, verdict: Verdict) -> bool:
        """Whether an image with this verdict may pass."""
        return verdict.value in self.verdicts


def load_gate_policy(path: Path) -> Policy:
    """Read a policy from a YAML file; files that it names are sought beside it.

    Raises UserError, naming the file and the field, when it is not one.
    """
    return make_settings(Policy, read_settings(path, POLICY_FILES), str(path))
