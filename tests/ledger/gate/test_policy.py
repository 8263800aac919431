"""Policies: what is not stated is refused, and a mistake is named with its field."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from ledger.gate.ledgers import ORIGIN, witness
from mithridate.errors import UserError
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.gate import Policy, load_gate_policy
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.note_keys import VerifierKey

KEY = str(VerifierKey(ORIGIN, FileSigner.from_seed(b"\x01" * 32).public_key))
WITNESS = str(witness(1, 0).verifier())


def test_the_defaults_are_the_strict_ones() -> None:
    policy = Policy(log_key=KEY)
    assert [verdict for verdict in Verdict if policy.accepts(verdict)] == [Verdict.IDENTICAL, Verdict.TRANSCODED]
    assert policy.proof_required
    assert policy.identity == "required"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "log_key"),
        ({"log_key": KEY, "verdicts": []}, "no verdict"),
        ({"log_key": KEY, "verdicts": ["MISMATCH"]}, "verdicts"),
        ({"log_key": KEY, "verdicts": ["METADATA-EDITED"]}, "verdicts"),
        ({"log_key": KEY, "quorum": 1}, "only 0 witnesses"),
        ({"log_key": KEY, "witness_keys": [WITNESS], "quorum": 2}, "only 1"),
        ({"log_key": KEY, "max_checkpoint_age": 60}, "what others say"),
        ({"log_key": KEY, "witness_keys": [WITNESS], "max_checkpoint_age": 60}, "what others say"),
        ({"log_key": KEY, "max_checkpoint_age": -1, "witness_keys": [WITNESS], "quorum": 1}, "max_checkpoint_age"),
        ({"proof_required": False, "max_checkpoint_age": 60}, "proof_required: true"),
        ({"log_key": KEY, "trust_file": "trust.txt"}, "state either"),
        ({"log_key": "nonsense"}, "name\\+ID\\+base64"),
        ({"log_key": KEY, "devices": ["12"]}, "devices.0"),
        ({"log_key": KEY, "witness": []}, "witness"),
    ],
)
def test_mistakes_are_named(values: dict[str, object], message: str, tmp_path: Path) -> None:
    import yaml

    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(values) if values else "identity: optional\n")
    with pytest.raises(UserError, match=message) as error:
        load_gate_policy(path)
    assert str(path) in str(error.value)
    with pytest.raises((ValidationError, UserError)):
        Policy.model_validate(values)


def test_a_policy_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "trust.txt").write_text(f"log {KEY}\nwitness w1 {WITNESS}\nquorum w1\n")
    path = tmp_path / "policy.yaml"
    path.write_text("trust_file: trust.txt\nmax_checkpoint_age: 86400\nverdicts: [IDENTICAL]\n")
    policy = load_gate_policy(path)
    assert policy.trust is not None
    assert policy.trust.quorum == "w1"
    assert policy.max_checkpoint_age == 86400


@pytest.mark.parametrize("content", ["", "- a list", "a: [", "\x00"])
def test_what_is_no_policy_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"policy\.yaml"):
        load_gate_policy(path)
    with pytest.raises(UserError, match=r"absent\.yaml"):
        load_gate_policy(tmp_path / "absent.yaml")
