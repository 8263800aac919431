"""Time stamps: what an authority's reply proves, offline, and everything that it must not be taken for."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from ledger.authority import POLICY, Authority
from ledger.witness.logs import WITNESS_KEY, Log
from mithridate.errors import UserError
from mithridate.ledger.checkpoint import add_signatures
from mithridate.ledger.errors import NoteError
from mithridate.ledger.note import parse_note
from mithridate.ledger.timestamp import TimestampError, check_stamp, load_certificates, stamp_checkpoint
from mithridate.ledger.witness.web import WebFailure

pytest.importorskip("rfc3161_client", reason="rfc3161-client is not installed (the extra timestamps)")
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not on this machine")

NOTE = Log().grow(7).note()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority") / "a")


@pytest.fixture(scope="module")
def token(authority: Authority) -> bytes:
    with authority.serve() as url:
        return stamp_checkpoint(NOTE, url, [authority.root])


def test_a_stamp_says_when_by_whom_and_how_exactly(authority: Authority, token: bytes) -> None:
    stamp = check_stamp(NOTE, token, [authority.root])
    assert abs(stamp.time - datetime.now(UTC)) < timedelta(minutes=5)
    assert stamp.accuracy == 1.5
    assert stamp.authority == "CN=Test time stamps"
    assert (stamp.policy, stamp.serial) == (POLICY, 0x42)


def test_cosignatures_may_be_added_after_the_stamp(authority: Authority, token: bytes) -> None:
    cosigned = add_signatures(parse_note(NOTE), [WITNESS_KEY]).encode()
    assert check_stamp(cosigned, token, [authority.root]) == check_stamp(NOTE, token, [authority.root])


def test_a_stamp_is_of_one_checkpoint_only(authority: Authority, token: bytes) -> None:
    for other in (Log().grow(8).note(), Log().grow(7, "x").note()):
        with pytest.raises(TimestampError, match="does not hold"):
            check_stamp(other, token, [authority.root])
    with pytest.raises(NoteError):
        check_stamp(b"no note", token, [authority.root])


def test_a_stamp_by_anybody_else_is_nothing(tmp_path: Path, token: bytes) -> None:
    stranger = Authority(tmp_path / "stranger")
    with pytest.raises(TimestampError):
        check_stamp(NOTE, token, [stranger.root])
    with pytest.raises(UserError, match="no trusted certificate"):
        check_stamp(NOTE, token, [])


def test_a_certificate_for_another_purpose_stamps_nothing(tmp_path: Path) -> None:
    server = Authority(tmp_path / "server", purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with server.serve() as url, pytest.raises((TimestampError, WebFailure)):
        stamp_checkpoint(NOTE, url, [server.root])


def test_an_answer_to_another_question_is_refused(authority: Authority, token: bytes) -> None:
    with pytest.raises(TimestampError):
        check_stamp(NOTE, token, [authority.root], nonce=1)


def test_no_changed_token_is_accepted(authority: Authority, token: bytes) -> None:
    accepted = []
    for place in range(0, len(token), 7):
        changed = token[:place] + bytes([token[place] ^ 0x01]) + token[place + 1 :]
        try:
            stamp = check_stamp(NOTE, changed, [authority.root])
        except TimestampError:
            continue
        accepted.append((place, stamp))
    # What is outside the signature (the status, the attached root) may change; what the stamp says may not.
    assert {stamp for _, stamp in accepted} <= {check_stamp(NOTE, token, [authority.root])}
    for junk in (b"", b"junk", token[:-1], token[:100], bytes(5000)):
        with pytest.raises(TimestampError):
            check_stamp(NOTE, junk, [authority.root])


def test_openssl_agrees(authority: Authority, token: bytes, tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "text").write_bytes(parse_note(NOTE).text.encode())
    (tmp_path / "token").write_bytes(token)
    command = [
        "openssl",
        "ts",
        "-verify",
        "-data",
        "text",
        "-in",
        "token",
        "-CAfile",
        str(authority.folder / "root.pem"),
    ]
    assert "Verification: OK" in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True).stdout


def test_roots_come_from_a_file(authority: Authority, tmp_path: Path) -> None:
    assert load_certificates(authority.folder / "root.pem") == [authority.root]
    (tmp_path / "junk.pem").write_text("junk")
    for name in ("junk.pem", "absent.pem"):
        with pytest.raises(UserError, match=name):
            load_certificates(tmp_path / name)


def test_an_address_that_is_no_authority(authority: Authority) -> None:
    with pytest.raises(WebFailure):
        stamp_checkpoint(NOTE, "http://127.0.0.1:9/", [authority.root])
    with pytest.raises(UserError, match="no address"):
        stamp_checkpoint(NOTE, "authority", [authority.root])
