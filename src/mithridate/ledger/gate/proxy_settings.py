"""How the gate is run as a proxy, as a typed object or a YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from mithridate.ledger.gate.policy import POLICY_FILES, Policy
from mithridate.ledger.service.audited import AuditedListening
from mithridate.ledger.service.listening import LISTENING_FILES, make_settings, read_settings

_OWN_PATHS = ("/nonces", "/health/live", "/health/ready", "/metrics", "/openapi.json")


class ProxySettings(AuditedListening):
    """The proxy's settings, beside those of `AuditedListening`; files are relative to the file that names them.

    Attributes:
        model: Where the model takes its input, an HTTP address.
        forward: What the model is sent: the verified array as a NumPy file ("npy"), or the verified bytes ("bytes").
        preprocessing: How the array is made: "stored" or "display".
        ledger: Folder of a ledger on this machine, or address of a ledger's service; None when every request brings
            its proof bundle.
        api_key_file: File that holds the API key for the ledger's service, and nothing else.
        ledger_authorities: PEM file of those that vouch for its certificate.
        policy: What the gate asks for.
        state: Folder for nonces, the log's last size and the journal of decisions.
        credentials: File of API keys and certificates of those who may send requests; None for anybody who can reach
            the proxy.
        path: Where requests come in.
        model_timeout: Seconds that the model has for its answer.
        max_answer: Bytes of the model's largest answer.
        threads: Images verified at once.
    """

    model: str = Field(pattern="^https?://")
    forward: Literal["npy", "bytes"] = "npy"
    preprocessing: Literal["stored", "display"] = "stored"
    ledger: str | None = None
    api_key_file: Path | None = None
    ledger_authorities: Path | None = None
    policy: Policy
    state: Path
    credentials: Path | None = None
    path: str = Field(default="/predict", pattern=r"^/[A-Za-z0-9._~/-]*$")
    audit_source: str = Field(default="mithridate-gate", min_length=1, max_length=100)
    port: int = Field(default=8471, ge=0, le=65535)
    model_timeout: float = Field(default=60, gt=0)
    max_answer: int = Field(default=64 << 20, gt=0)
    threads: int = Field(default=8, ge=1, le=256)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.path in _OWN_PATHS:
            raise ValueError(f"the path {self.path} is taken: name another")
        if self.ledger is None and not self.policy.proof_required:
            raise ValueError("without a ledger every request must bring a proof: set proof_required: true")
        if self.ledger is not None and "://" in self.ledger and self.policy.log_key is None:
            raise ValueError("a ledger's service is believed by its key alone: state log_key in the policy")
        return self


def load_proxy_settings(path: Path, **changes: Any) -> ProxySettings:
    """Read settings from a YAML file; `changes` come before what it says.

    Raises UserError, naming the file and the field, when it is none.
    """
    files = ("api_key_file", "ledger_authorities", "state", "credentials", "audit_file")
    data = read_settings(path, (*LISTENING_FILES, *files, *(f"policy.{field}" for field in POLICY_FILES)))
    if isinstance(data.get("ledger"), str) and "://" not in data["ledger"]:
        data["ledger"] = str(path.parent / data["ledger"])
    return make_settings(ProxySettings, data | changes, str(path))
