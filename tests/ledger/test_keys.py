"""Keys in files: made once, read back, readable by nobody else; signatures as in RFC 8032."""

from __future__ import annotations

import hashlib
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from mithridate.errors import UserError
from mithridate.ledger import keys, verifying
from mithridate.ledger.keys import FileSigner, create_key, is_signature, load_key
from mithridate.ledger.points import SMALL_ORDER, is_sound_point


@pytest.fixture(params=["by_openssl", "by_libsodium"])
def holds(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Signatures are checked by this library."""
    if request.param == "by_libsodium":
        pytest.importorskip("nacl", reason="PyNaCl is not installed: pip install mithridate[libsodium]")
    monkeypatch.setattr(verifying, "holds", getattr(verifying, request.param))
    keys._remembered.cache_clear()


@pytest.mark.usefixtures("holds")
def test_the_signatures_are_those_of_rfc_8032() -> None:
    # Section 7.1, test 2.
    signer = FileSigner.from_seed(bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"))
    assert signer.public_key.hex() == "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
    assert signer.sign(b"\x72").hex() == (
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    assert is_signature(signer.public_key, b"\x72", signer.sign(b"\x72"))


@pytest.mark.usefixtures("holds")
def test_no_changed_bit_of_message_key_or_signature_is_overlooked() -> None:
    signer = FileSigner.from_seed(b"\x07" * 32)
    parts = [signer.public_key, b"message", signer.sign(b"message")]
    assert is_signature(*parts)
    for number, part in enumerate(parts):
        for bit in range(8 * len(part)):
            changed = (int.from_bytes(part, "little") ^ 1 << bit).to_bytes(len(part), "little")
            assert not is_signature(*[*parts[:number], changed, *parts[number + 1 :]])


def test_a_key_is_read_back_as_it_was_made(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "device.pem"
    signer = create_key(path)
    assert load_key(path).public_key == signer.public_key
    assert is_signature(signer.public_key, b"message", load_key(path).sign(b"message"))
    assert [file.name for file in path.parent.iterdir()] == ["device.pem"]
    assert create_key(tmp_path / "other.pem").public_key != signer.public_key


def test_a_key_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "device.pem"
    create_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(UserError, match="chmod 600"):
            load_key(path)
    path.chmod(0o400)
    load_key(path)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "device.pem"
    create_key(path)
    before = path.read_bytes()
    with pytest.raises(UserError, match="never replaced"):
        create_key(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["device.pem"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        create_key(tmp_path / "file" / "device.pem")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load_key(tmp_path / "absent.pem")
    options = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(*options, serialization.NoEncryption())
    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(*options, serialization.BestAvailableEncryption(b"pw"))
    for content, gist in ((b"", "PEM"), (b"junk", "PEM"), (curve, "another kind"), (locked, "unencrypted")):
        path = tmp_path / "key.pem"
        path.write_bytes(content)
        path.chmod(0o600)
        with pytest.raises(UserError, match=gist):
            load_key(path)


def test_what_is_out_of_form_is_no_signature() -> None:
    signer = FileSigner.from_seed(bytes(32))
    signature = signer.sign(b"message")
    assert is_signature(signer.public_key, b"message", signature)
    assert not is_signature(signer.public_key, b"massage", signature)
    assert not is_signature(signer.public_key, b"message", signature[:-1])
    assert not is_signature(signer.public_key[:-1], b"message", signature)
    assert not is_signature(b"\xff" * 32, b"message", signature)
    # S + L instead of S: the same equation, another signature; RFC 8032 5.1.7 refuses it.
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    assert not is_signature(signer.public_key, b"message", signature[:32] + s.to_bytes(32, "little"))


def test_the_secret_is_not_shown() -> None:
    signer = FileSigner.from_seed(b"\x07" * 32)
    assert signer.seed().hex() not in repr(signer)
    assert signer.public_key.hex() in repr(signer)
    with pytest.raises(UserError, match="32 bytes"):
        FileSigner.from_seed(b"short")


def test_openssl_reads_the_same_key(tmp_path: Path) -> None:
    signer = create_key(tmp_path / "device.pem")
    command = ["openssl", "pkey", "-in", str(tmp_path / "device.pem"), "-pubout", "-outform", "DER"]
    try:
        made = subprocess.run(command, capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("openssl is not on this machine")
    assert made[-32:] == signer.public_key


PRIME = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
BASE = (4 * pow(5, -1, PRIME) % PRIME).to_bytes(32, "little")
CONSTANT = -121665 * pow(121666, -1, PRIME) % PRIME


def with_both_signs(y: int) -> list[bytes]:
    return [(y | sign << 255).to_bytes(32, "little") for sign in (0, 1)]


def test_the_points_of_small_order_are_all_there_are() -> None:
    """0 and 1 and -1 are the coordinates of order 4, 1 and 2; doubling (x, y) gives y = 0 where d y^4 + 2 y^2 = 1."""
    eighth = {y for y in SMALL_ORDER if (CONSTANT * y**4 + 2 * y**2 - 1) % PRIME == 0}
    assert len(eighth) == 2
    assert {0, 1, PRIME - 1} | eighth == SMALL_ORDER


@pytest.mark.usefixtures("holds")
@pytest.mark.parametrize("key", [point for y in sorted(SMALL_ORDER) for point in with_both_signs(y)], ids=bytes.hex)
def test_keys_of_small_order_sign_nothing(key: bytes) -> None:
    """Under the neutral element, R = B and S = 1 hold over every message; under the others, over some of 64."""
    signature = BASE + (1).to_bytes(32, "little")
    messages = [bytes([number]) for number in range(64)]
    assert not any(is_signature(key, message, signature) for message in messages)


def test_the_library_alone_would_take_a_key_that_signs_everything() -> None:
    """Otherwise the test above shows nothing."""
    neutral = ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little"))
    for message in (b"one message", b"another"):
        neutral.verify(BASE + (1).to_bytes(32, "little"), message)


@pytest.mark.usefixtures("holds")
def test_a_signature_whose_first_half_is_of_small_order_is_refused() -> None:
    """S = h a with R = 0 fulfills the equation; an honest signer, whose R is random, never makes it."""
    seed = b"\x07" * 32
    signer = FileSigner.from_seed(seed)
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little") & ~7 & (1 << 254) - 1 | 1 << 254
    neutral = (1).to_bytes(32, "little")
    challenge = int.from_bytes(hashlib.sha512(neutral + signer.public_key + b"message").digest(), "little")
    signature = neutral + (challenge * scalar % ORDER).to_bytes(32, "little")
    ed25519.Ed25519PublicKey.from_public_bytes(signer.public_key).verify(signature, b"message")
    assert not is_signature(signer.public_key, b"message", signature)


@pytest.mark.parametrize("y", range(19))
def test_points_are_spelled_in_one_way(y: int) -> None:
    for encoded in with_both_signs(y + PRIME):
        assert not is_sound_point(encoded)


@pytest.mark.usefixtures("holds")
def test_a_signature_is_spelled_in_one_way() -> None:
    signer = FileSigner.from_seed(b"\x07" * 32)
    signature = signer.sign(b"message")
    assert is_signature(signer.public_key, b"message", signature)
    larger = int.from_bytes(signature[32:], "little") + ORDER
    assert not is_signature(signer.public_key, b"message", signature[:32] + larger.to_bytes(32, "little"))
