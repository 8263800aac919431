"""Nonces: used once, in time, by whoever they are for, whatever happens around them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ledger.gate.ledgers import CT, CT_PATIENT, altered
from mithridate.errors import UserError
from mithridate.ledger.gate import Expected, Gate, GateDatabase, GateRefusal, Policy, RefusalCode
from mithridate.ledger.gate import nonces as module
from mithridate.ledger.gate.nonces import NonceStore

ANY = Expected()


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def refused(store: NonceStore, text: str, expected: Expected = ANY) -> str:
    with pytest.raises(GateRefusal) as error:
        store.use(text, expected)
    assert error.value.code is RefusalCode.NONCE
    return error.value.reason


def test_a_nonce_opens_once(clock: Clock) -> None:
    store = NonceStore(GateDatabase(), clock=clock)
    text = store.issue().text
    store.use(text, ANY)
    assert "used before" in refused(store, text)
    assert "unknown" in refused(store, "another")
    assert "unknown" in refused(store, "")
    assert "unknown" in refused(store, "\ud800")


def test_a_nonce_expires_and_no_clock_revives_it(clock: Clock) -> None:
    store = NonceStore(GateDatabase(), lifetime=60, clock=clock)
    first, used = store.issue().text, store.issue().text
    store.use(used, ANY)
    clock.now += 60
    assert "expired" in refused(store, first)
    store.issue()  # which removes what has expired
    clock.now -= 3600
    assert "unknown" in refused(store, first)
    assert "unknown" in refused(store, used)


def test_a_nonce_serves_only_the_request_that_it_was_issued_for(clock: Clock) -> None:
    store = NonceStore(GateDatabase(), clock=clock)
    text = store.issue(Expected(patient="1")).text
    assert "another image" in refused(store, text, Expected(patient="2"))
    assert "used before" in refused(store, text, Expected(patient="1"))  # the attempt has used it up
    text = store.issue(Expected(patient="1")).text
    store.use(text, Expected(patient="1"))


def test_what_was_used_stays_used_after_a_restart(tmp_path: Path, clock: Clock) -> None:
    database = GateDatabase(tmp_path / "gate.sqlite")
    store = NonceStore(database, clock=clock)
    used, kept = store.issue().text, store.issue().text
    store.use(used, ANY)
    database.close()
    again = NonceStore(GateDatabase(tmp_path / "gate.sqlite"), clock=clock)
    assert "used before" in refused(again, used)
    again.use(kept, ANY)


def test_of_many_who_use_it_at_once_one_gets_in(tmp_path: Path, clock: Clock) -> None:
    stores = [NonceStore(GateDatabase(tmp_path / "gate.sqlite"), clock=clock) for _ in range(4)]  # as four processes
    texts = [stores[0].issue().text for _ in range(5)]

    def attempt(number: int) -> str:
        text = texts[number % len(texts)]
        try:
            stores[number % len(stores)].use(text, ANY)
        except GateRefusal:
            return ""
        return text

    with ThreadPoolExecutor(8) as pool:
        won = Counter(pool.map(attempt, range(40)))
    assert {text: won[text] for text in texts} == dict.fromkeys(texts, 1)


def test_the_file_holds_no_nonce(tmp_path: Path, clock: Clock) -> None:
    store = NonceStore(GateDatabase(tmp_path / "gate.sqlite"), clock=clock)
    text = store.issue().text
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert text.encode() not in content


def test_asking_for_nonces_fills_no_disk(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_OUTSTANDING", 3)
    store = NonceStore(GateDatabase(), lifetime=60, clock=clock)
    for _ in range(3):
        store.issue()
    with pytest.raises(GateRefusal, match="3 nonces are open"):
        store.issue()
    clock.now += 61
    store.issue()


def test_a_request_sent_again_is_refused_whatever_became_of_the_first(gate: Gate) -> None:
    strict = Gate(Policy(log_key=gate.policy.log_key, nonce="required"), gate.source)
    expected = Expected(patient=CT_PATIENT)
    with pytest.raises(GateRefusal, match="asks for a nonce"):
        strict.admit(CT, expected=expected)
    nonce = strict.nonces.issue(expected).text
    strict.admit(CT, expected=expected, nonce=nonce)
    with pytest.raises(GateRefusal, match="used before"):
        strict.admit(CT, expected=expected, nonce=nonce)
    burnt = strict.nonces.issue(expected).text
    with pytest.raises(GateRefusal, match="MISMATCH"):
        strict.admit(altered(), expected=expected, nonce=burnt)
    with pytest.raises(GateRefusal, match="used before"):
        strict.admit(CT, expected=expected, nonce=burnt)


def test_a_gate_whose_database_is_away_admits_nothing(gate: Gate, tmp_path: Path) -> None:
    database = GateDatabase(tmp_path / "gate.sqlite")
    closed = Gate(gate.policy, gate.source, database=database)
    database.close()
    for nonce in (None, "any"):
        with pytest.raises(GateRefusal) as error:
            closed.admit(CT, nonce=nonce)
        assert error.value.code is RefusalCode.FAILURE


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "gate.sqlite"
    path.write_bytes(b"no database" * 100)
    with pytest.raises(UserError, match=r"gate\.sqlite"):
        GateDatabase(path)
    assert sqlite3.sqlite_version_info >= (3, 24)  # which the gate's statements need
