"""Policies in the C2SP form: what is accepted follows from the counting, and mistakes are named by their line."""

from __future__ import annotations

import contextlib
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithridate.errors import UserError
from mithridate.ledger.checkpoint import Checkpoint, sign_checkpoint
from mithridate.ledger.errors import NoteError
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.mldsa import MldsaKey
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey
from mithridate.ledger.quorum import QuorumError, TrustPolicy, load_policy, parse_policy

ORIGIN = "log.example/radiology"


def cosigner(number: int) -> NoteKey:
    signer = FileSigner.from_seed(bytes([number]) * 32)
    return NoteKey(f"witness.example/{number}", signer, COSIGNATURE, clock=lambda: 1_000 + number)


LOG = NoteKey(ORIGIN, FileSigner.from_seed(b"\x0a" * 32))
X = [cosigner(number) for number in (1, 2, 3)]
Y = [cosigner(number) for number in (4, 5, 6)]
CHECKPOINT = Checkpoint(ORIGIN, 7, b"\x07" * 32)

# The shape of the example in the specification: two of one organization and any of another.
POLICY = "\n".join(
    [
        "# two organizations",
        f"log {LOG.verifier()} https://log.example/",
        "",
        *(f"witness X{n} {key.verifier()}" for n, key in enumerate(X, 1)),
        "group\tX-witnesses  2 X1 X2 X3",
        *(f"  witness Y{n} {key.verifier()} https://y{n}.example/" for n, key in enumerate(Y, 1)),
        "group Y-witnesses any Y1 Y2 Y3",
        "group X-and-Y all X-witnesses Y-witnesses",
        "quorum X-and-Y",
        "",
    ]
)


def test_the_specifications_example_counts_as_it_says() -> None:
    policy = parse_policy(POLICY.encode())
    everyone = [*X, *Y]
    for count in range(len(everyone) + 1):
        for chosen in combinations(everyone, count):
            note = sign_checkpoint(CHECKPOINT, [LOG, *chosen])
            enough = sum(key in X for key in chosen) >= 2 and any(key in Y for key in chosen)
            if not enough:
                with pytest.raises(QuorumError, match="the policy asks for 2 of"):
                    policy.accept(note)
                continue
            accepted = policy.accept(note)
            assert accepted.checkpoint == CHECKPOINT
            assert accepted.log == LOG.verifier()
            assert sorted(accepted.witnesses.values()) == [1_000 + int(key.name[-1]) for key in chosen]


def test_the_refusal_names_who_is_missing() -> None:
    with pytest.raises(QuorumError, match=r"cosigned by X1 and .*no cosignature of X2, X3, Y1, Y2, Y3"):
        parse_policy(POLICY.encode()).accept(sign_checkpoint(CHECKPOINT, [LOG, X[0]]))


def test_a_quorum_without_the_log_is_nothing() -> None:
    policy = parse_policy(POLICY.encode())
    with pytest.raises(NoteError, match="signed by no log"):
        policy.accept(sign_checkpoint(CHECKPOINT, [*X, *Y]))
    elsewhere = Checkpoint("log.example/other", 7, b"\x07" * 32)
    with pytest.raises(NoteError, match="signed by no log"):
        policy.accept(sign_checkpoint(elsewhere, [LOG, *X, *Y]))


def test_a_false_signature_of_a_known_witness_condemns_the_note() -> None:
    policy = parse_policy(POLICY.encode())
    other = sign_checkpoint(Checkpoint(ORIGIN, 8, b"\x08" * 32), [X[2]]).decode().split("\n\n")[1]
    note = sign_checkpoint(CHECKPOINT, [LOG, X[0], X[1], Y[0]]).decode() + other
    with pytest.raises(NoteError, match="false"):
        policy.accept(note.encode())


def test_one_signature_twice_counts_once() -> None:
    policy = TrustPolicy.of([LOG.verifier()], [key.verifier() for key in X], 2)
    with pytest.raises(QuorumError):
        policy.accept(sign_checkpoint(CHECKPOINT, [LOG, X[0], X[0]]))


@given(st.integers(0, 3), st.sets(st.integers(0, 2)))
def test_k_of_n(threshold: int, chosen: set[int]) -> None:
    policy = TrustPolicy.of([LOG.verifier()], [key.verifier() for key in X], threshold)
    note = sign_checkpoint(CHECKPOINT, [LOG, *(X[number] for number in chosen)])
    if len(chosen) >= threshold:
        assert len(policy.accept(note).witnesses) == len(chosen)
    else:
        with pytest.raises(QuorumError):
            policy.accept(note)


def test_no_witness_is_asked_for_only_when_the_policy_says_so() -> None:
    note = sign_checkpoint(CHECKPOINT, [LOG])
    assert parse_policy(f"log {LOG.verifier()}\nquorum none\n".encode()).accept(note).witnesses == {}
    with pytest.raises(UserError, match="0 quorum lines"):
        parse_policy(f"log {LOG.verifier()}\n".encode())


def test_a_post_quantum_witness_counts_like_any_other() -> None:
    key = MldsaKey("pq.example", b"\x01" * 32, clock=lambda: 9)
    policy = parse_policy(f"log {LOG.verifier()}\nwitness w {key.verifier()}\nquorum w\n".encode())
    assert policy.accept(sign_checkpoint(CHECKPOINT, [LOG, key])).witnesses == {"w": 9}


W1, W2 = (f"witness W{n} {key.verifier()}" for n, key in enumerate(X[:2], 1))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["quorum none", "quorum none"], "2 quorum lines"),
        (["quorum W1"], "line 1: .*no witness or group"),
        (["quorum W1", W1], "line 1"),
        ([W1, "group g 1 W1 W2", W2, "quorum g"], "line 2: .*'W2', which no line above"),
        ([W1, W1.replace("W1", "W3"), "quorum none"], "line 2: .*the same key"),
        ([W1, W2.replace("W2", "W1"), "quorum none"], "line 2: .*twice"),
        ([W1, "group W1 any W1", "quorum none"], "line 2: .*twice"),
        ([W1, "group none any W1", "quorum none"], "line 2"),
        ([W1, "group g any none", "quorum none"], "line 2"),
        ([W1, "group g 2 W1", "quorum none"], "line 2: .*1 to 1"),
        ([W1, "group g 0 W1", "quorum none"], "line 2"),
        ([W1, "group g 01 W1", "quorum none"], "line 2"),
        ([W1, "group g any", "quorum none"], "line 2"),
        ([W1, "group g all W1 W1", "quorum none"], "line 2: .*twice"),
        ([W1, "group g any W1", "group h any W1", "quorum none"], "line 3: .*two groups"),
        (["group g any g", "quorum none"], "line 1"),
        ([f"witness W {LOG.verifier()}", "quorum none"], "line 1: .*0x01"),
        ([f"log {X[0].verifier()}", "quorum none"], "line 1: .*0x04"),
        ([f"log {LOG.verifier()} a b", "quorum none"], "line 1"),
        ([f"log {LOG.verifier()}", f"log {LOG.verifier()}", "quorum none"], "line 2: .*the same key"),
        (["log key", "quorum none"], "line 1"),
        (["trust me", "quorum none"], "line 1: 'trust'"),
        (["quorum none\r"], "line 1 .*control character"),
    ],
)
def test_mistakes_are_named_by_their_line(lines: list[str], said: str, tmp_path: Path) -> None:
    path = tmp_path / "trust.policy"
    path.write_bytes("\n".join(lines).encode())
    with pytest.raises(UserError, match=said) as caught:
        load_policy(path)
    assert "trust.policy" in str(caught.value)


def test_names_are_opaque_bytes() -> None:
    kelvin = b"witness \xe2\x84\xaa " + str(X[0].verifier()).encode()
    plain = b"\nwitness K " + str(X[1].verifier()).encode()
    broken = b"\nwitness \xff\xfe " + str(X[2].verifier()).encode()
    policy = parse_policy(kelvin + plain + broken + b"\nquorum K\n")
    assert len({witness.name for witness in policy.witnesses}) == 3


def test_a_key_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(UserError, match="not UTF-8"):
        parse_policy(b"log \xd5" + str(LOG.verifier()).encode() + b"\nquorum none\n")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"absent\.policy cannot be read"):
        load_policy(tmp_path / "absent.policy")


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_parser(data: bytes) -> None:
    with contextlib.suppress(UserError):
        policy = parse_policy(data)
        assert not policy.logs, "a key was found in noise"
        with pytest.raises(NoteError):  # a policy of witnesses alone is one, and accepts nothing
            policy.accept(sign_checkpoint(CHECKPOINT, [LOG]))
