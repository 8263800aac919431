"""ML-DSA-44 cosignatures: the message of C2SP tlog-cosignature, signed and checked, and nothing else accepted."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from mithridate.ledger.errors import NoteError
from mithridate.ledger.keys import FileSigner, create_key
from mithridate.ledger.mldsa import (
    MldsaKey,
    MldsaVerifier,
    cosigned_message,
    create_mldsa_key,
    load_mldsa_key,
    parse_verifier,
)
from mithridate.ledger.note import parse_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey, VerifierKey

CHECKPOINT = Checkpoint("log.example/1", 300, b"\x07" * 32)
KEY = MldsaKey("witness.example/w1", b"\x05" * 32, clock=lambda: 1_700_000_000)
ED25519_KEY = NoteKey("witness.example/w1", FileSigner.from_seed(b"\x05" * 32), COSIGNATURE, clock=lambda: 1)


def test_the_message_is_the_structure_of_the_specification() -> None:
    expected = (
        b"subtree/v1\n\x00"  # uint8 label[12]
        + b"\x12witness.example/w1"  # opaque cosigner_name<1..2^8-1>
        + bytes.fromhex("000000006553f100")  # uint64 timestamp = 1700000000
        + b"\x0dlog.example/1"  # opaque log_origin<1..2^8-1>
        + bytes(8)  # uint64 start
        + bytes.fromhex("000000000000012c")  # uint64 end = 300
        + b"\x07" * 32  # uint8 hash[32]
    )
    assert cosigned_message("witness.example/w1", 1_700_000_000, CHECKPOINT.text()) == expected


def test_extension_lines_are_not_vouched_for() -> None:
    extended = Checkpoint(CHECKPOINT.origin, CHECKPOINT.size, CHECKPOINT.root, ("anything",))
    assert cosigned_message("w", 1, extended.text()) == cosigned_message("w", 1, CHECKPOINT.text())


def test_a_checkpoint_with_both_kinds_of_cosignatures_is_checked_with_either() -> None:
    note = sign_checkpoint(CHECKPOINT, [ED25519_KEY, KEY])
    for key, time in ((KEY.verifier(), 1_700_000_000), (ED25519_KEY.verifier(), 1)):
        opened, (found,) = open_checkpoint(note, [key])
        assert (opened, found.time) == (CHECKPOINT, time)
    signature = parse_note(note).signatures[1]
    assert len(signature.signature) == 8 + 2420


def test_whatever_is_changed_is_refused() -> None:
    (signature,) = parse_note(sign_checkpoint(CHECKPOINT, [KEY])).signatures
    verifier = KEY.verifier()
    for other in (
        Checkpoint("log.example/2", 300, CHECKPOINT.root),
        Checkpoint("log.example/1", 301, CHECKPOINT.root),
        Checkpoint("log.example/1", 300, b"\x08" * 32),
    ):
        with pytest.raises(NoteError, match="false"):
            verifier.check(other.text(), signature.signature)
    for place in (0, 7, 8, 1000, len(signature.signature) - 1):  # the stated time, the signature
        changed = bytearray(signature.signature)
        changed[place] ^= 1
        with pytest.raises(NoteError, match="false"):
            verifier.check(CHECKPOINT.text(), bytes(changed))
    with pytest.raises(NoteError, match="2,428"):
        verifier.check(CHECKPOINT.text(), signature.signature[:-1])
    with pytest.raises(NoteError, match="false"):
        MldsaVerifier("another.example", verifier.public_key).check(CHECKPOINT.text(), signature.signature)


def test_keys_have_one_text_form() -> None:
    verifier = KEY.verifier()
    assert MldsaVerifier.parse(str(verifier)) == verifier
    assert parse_verifier(str(verifier)) == verifier
    plain = ED25519_KEY.verifier()
    assert parse_verifier(str(plain)) == plain
    assert isinstance(parse_verifier(str(plain)), VerifierKey)
    for wrong in (str(verifier)[:-4], "x" + str(verifier), str(verifier).replace("+", "-"), "name"):
        with pytest.raises(NoteError):
            parse_verifier(wrong)


def test_a_name_too_long_for_the_structure_is_refused() -> None:
    with pytest.raises(NoteError, match="255"):
        cosigned_message("w" * 256, 1, CHECKPOINT.text())


def test_keys_are_kept_in_files_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "mldsa.pem"
    made = create_mldsa_key(path, "w")
    assert load_mldsa_key(path, "w") == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.seed.hex() not in repr(made)
    with pytest.raises(UserError, match="never replaced"):
        create_mldsa_key(path, "w")
    path.chmod(0o644)
    with pytest.raises(UserError, match="chmod 600"):
        load_mldsa_key(path, "w")
    create_key(tmp_path / "other.pem")
    with pytest.raises(UserError, match="another kind"):
        load_mldsa_key(tmp_path / "other.pem", "w")
    (tmp_path / "junk.pem").write_text("junk")
    with pytest.raises(UserError, match="PEM"):
        load_mldsa_key(tmp_path / "junk.pem", "w")
    with pytest.raises(UserError, match="cannot be read"):
        load_mldsa_key(tmp_path / "absent.pem", "w")
    with pytest.raises(UserError, match="32 bytes"):
        MldsaKey("w", b"short")
