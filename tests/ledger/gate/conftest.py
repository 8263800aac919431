from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.gate.ledgers import copied, make_template
from mithridate.ledger.gate import Gate, Policy
from mithridate.ledger.log import Ledger


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "ledger")


@pytest.fixture
def ledger(template: Path, tmp_path: Path) -> Iterator[Ledger]:
    with copied(template, tmp_path / "ledger") as opened:
        yield opened


@pytest.fixture
def policy(ledger: Ledger) -> Policy:
    """A proof is asked for; whose image it is, the tests say where it matters."""
    return Policy(log_key=str(ledger.verifier()), identity="optional")


@pytest.fixture
def gate(ledger: Ledger, policy: Policy) -> Gate:
    return Gate(policy, ledger)


@pytest.fixture(scope="session")
def shared_ledger(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """One ledger for tests that only add to it."""
    with copied(template, tmp_path_factory.mktemp("shared") / "ledger") as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_gate(shared_ledger: Ledger) -> Gate:
    return Gate(Policy(log_key=str(shared_ledger.verifier()), identity="optional"), shared_ledger)
