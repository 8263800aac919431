"""A witness as others meet it: a real server on a loopback address, its own client, and the bytes of the protocol."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ledger.witness.logs import LOG_KEY, MLDSA_KEY, ORIGIN, WITNESS_KEY, Log, make
from mithridate.errors import UserError
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.note import Note, parse_note
from mithridate.ledger.quorum import Group, QuorumError, TrustPolicy, parse_policy
from mithridate.ledger.witness.client import WitnessDisagreement, ask_witness
from mithridate.ledger.witness.collect import collect
from mithridate.ledger.witness.core import Witness
from mithridate.ledger.witness.folder import create_witness, open_witness, watch_log, witness_keys
from mithridate.ledger.witness.state import WitnessState
from mithridate.ledger.witness.web import Web, WebFailure
from mithridate.ledger.witness.wire import MAX_REQUEST_BYTES, AddCheckpoint

uvicorn = pytest.importorskip("uvicorn", reason="uvicorn is not installed (the extra service)")
httpx = pytest.importorskip("httpx", reason="httpx is not installed (the extra http)")

KEYS = [WITNESS_KEY.verifier()]


@contextmanager
def serving(witness: Witness) -> Iterator[str]:
    from mithridate.ledger.witness.server import witness_app

    server = uvicorn.Server(uvicorn.Config(witness_app(witness), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    with serving(make(tmp_path / "state")) as url:
        yield url


def test_a_log_is_cosigned_wherever_the_witness_stands(address: str) -> None:
    log = Log().grow(40)
    with Web(address) as web:
        for size, hint in ((5, 0), (20, 5), (20, 0), (33, 7), (40, 40)):
            signatures = ask_witness(web, KEYS, log.note(size), log.prove, known_size=hint)
            note = Note(parse_note(log.note(size)).text, signatures).encode()
            assert open_checkpoint(note, KEYS)[0].size == size


def test_a_log_that_was_rolled_back_or_forked_is_told_so(address: str) -> None:
    log = Log().grow(20)
    fork = log.fork(19).grow(6, "other")
    with Web(address) as web:
        ask_witness(web, KEYS, log.note(20), log.prove)
        with pytest.raises(WitnessDisagreement, match="rolled back"):
            ask_witness(web, KEYS, log.note(10), log.prove)
        for size in (20, 25):
            with pytest.raises(WitnessDisagreement, match="another history"):
                ask_witness(web, KEYS, fork.note(size), fork.prove)


def test_the_protocol_byte_by_byte(address: str) -> None:
    log = Log().grow(20)
    url = f"{address}/add-checkpoint"
    first = httpx.post(url, content=log.request(0, 10))
    assert first.status_code == 200
    assert first.text.startswith("— witness.example/w1 ")
    assert first.text.endswith("\n")
    conflict = httpx.post(url, content=log.request(5, 10))
    assert (conflict.status_code, conflict.text) == (409, "10\n")
    assert conflict.headers["content-type"] == "text/x.tlog.size"
    fork = log.fork(9).grow(1, "x")
    other = httpx.post(url, content=AddCheckpoint(10, (), fork.note(10)).encode())
    assert other.status_code == 409
    assert other.headers["content-type"].startswith("text/plain")
    assert httpx.post(url, content=AddCheckpoint(10, (), log.note(20)).encode()).status_code == 422
    assert httpx.post(url, content=b"junk").status_code == 400
    assert httpx.post(url, content=bytes(MAX_REQUEST_BYTES + 1)).status_code == 413
    assert httpx.get(url).status_code == 405
    head = httpx.get(f"{address}/{hashlib.sha256(ORIGIN.encode()).hexdigest()}/checkpoint")
    assert head.content == log.note(10) + first.content
    assert httpx.get(f"{address}/{'0' * 64}/checkpoint").status_code == 404
    assert httpx.get(f"{address}/witness.v0.json").json()["verifier_keys"] == [str(KEYS[0])]


def test_a_witness_that_lies_is_not_believed(tmp_path: Path) -> None:
    log = Log().grow(5)
    with serving(make(tmp_path / "state")) as url, Web(url) as web:
        stranger = [MLDSA_KEY.verifier()]
        with pytest.raises(WebFailure, match="no signature of its own"):
            ask_witness(web, stranger, log.note(), log.prove)


def test_a_policy_asks_all_of_its_witnesses_and_survives_some(tmp_path: Path) -> None:
    log = Log().grow(9)
    state = WitnessState.create(tmp_path / "pq")
    post_quantum = Witness(state, {ORIGIN: [LOG_KEY.verifier()]}, [MLDSA_KEY])
    with serving(make(tmp_path / "a")) as one, serving(post_quantum) as two:
        dead = make_key(tmp_path)
        lines = [
            f"log {LOG_KEY.verifier()}",
            f"witness one {WITNESS_KEY.verifier()} {one}",
            f"witness two {MLDSA_KEY.verifier()} {two}",
            f"witness dead {dead} http://127.0.0.1:9",
            "group enough 2 one two dead",
            "quorum enough",
        ]
        policy = parse_policy("\n".join(lines).encode())
        collected = collect(log.note(), policy, log.prove)
    assert collected.cosigned == ("one", "two")
    assert list(collected.failures) == ["dead"]
    assert set(policy.accept(collected.note).witnesses) == {"one", "two"}
    assert collected.note.startswith(log.note())
    everyone = TrustPolicy(policy.logs, policy.witnesses, (Group("g", 3, ("one", "two", "dead")),), "g")
    with pytest.raises(QuorumError, match="no cosignature of dead"):
        everyone.accept(collected.note)


def make_key(tmp_path: Path) -> str:
    create_witness(tmp_path / "dead", "dead.example")
    (key,) = witness_keys(tmp_path / "dead")
    return str(key)


def test_no_address_no_witness() -> None:
    policy = TrustPolicy.of([LOG_KEY.verifier()], [WITNESS_KEY.verifier()], 1)
    with pytest.raises(UserError, match="no witness of the policy has an address"):
        collect(Log().note(), policy, Log().prove)


def test_a_folder_is_a_witness(tmp_path: Path) -> None:
    log, folder = Log().grow(3), tmp_path / "w"
    create_witness(folder, "witness.example/w7", post_quantum=True)
    watch_log(folder, str(LOG_KEY.verifier()), "https://log.example")
    witness = open_witness(folder)
    lines = witness.add_checkpoint(log.request(0, 3))
    for key in witness_keys(folder):
        assert open_checkpoint(log.note() + lines, [key])[0].size == 3
    assert oct((folder / "key.pem").stat().st_mode)[-3:] == "600"
    assert oct((folder / "mldsa.pem").stat().st_mode)[-3:] == "600"
    with pytest.raises(UserError, match="holds a witness already"):
        create_witness(folder, "witness.example/w8")
    with pytest.raises(UserError, match="the same key"):
        watch_log(folder, str(LOG_KEY.verifier()))
    (folder / "state.sqlite").unlink()
    with pytest.raises(UserError, match="must not sign"):
        open_witness(folder)


@pytest.mark.parametrize(
    ("content", "said"),
    [("name: [", "not YAML"), ("nam: x", "name"), ("name: w\nkey: absent.pem", "absent.pem"), ("- x", "correct it")],
)
def test_a_folders_mistakes_are_named(content: str, said: str, tmp_path: Path) -> None:
    create_witness(tmp_path / "w", "w")
    (tmp_path / "w" / "witness.yaml").write_text(content)
    with pytest.raises(UserError, match=said):
        open_witness(tmp_path / "w")
    with pytest.raises(UserError, match="sets up a witness"):
        open_witness(tmp_path / "nowhere")
