"""Keys in a token, with SoftHSM: they sign as files do, survive the token's moods, and are named without doubt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from mithridate.errors import UserError
from mithridate.ledger import pkcs11 as module_under_test
from mithridate.ledger.entry import open_entry, sign_record
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import create_key, is_signature
from mithridate.ledger.pkcs11 import PIN_VARIABLE, KeyUri, Pkcs11Signer, create_token_key, load_signer
from mithridate.ledger.record import Record, Revocation

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed (the extra hsm)")

MODULES = [
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/local/lib/softhsm/libsofthsm2.so"),
]
PIN = "734912"


@pytest.fixture(scope="session")
def module() -> Path:
    """SoftHSM; the test skips, visibly, where it is not installed."""
    found = next((path for path in MODULES if path.exists()), None)
    if found is None or shutil.which("softhsm2-util") is None:
        pytest.skip("SoftHSM is not installed (on Debian: apt install softhsm2)")
    return found


@pytest.fixture(scope="session")
def token(module: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A token; SoftHSM reads its configuration once in a process, so all tests share it."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder / 'tokens'}\nobjectstore.backend = file\n")
    former = {name: os.environ.get(name) for name in ("SOFTHSM2_CONF", PIN_VARIABLE)}
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    os.environ[PIN_VARIABLE] = PIN
    command = ["softhsm2-util", "--init-token", "--free", "--label", "hospital", "--pin", PIN, "--so-pin", "5678"]
    subprocess.run(command, check=True, capture_output=True)
    yield "hospital"
    for name, value in former.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


@pytest.fixture
def uri(module: Path, token: str, request: pytest.FixtureRequest) -> KeyUri:
    return KeyUri(str(module), token=token, object=request.node.name)


def test_a_token_signs_what_a_files_key_would(uri: KeyUri) -> None:
    made = create_token_key(uri)
    opened = Pkcs11Signer(uri)
    assert opened.public_key == made.public_key
    message = b"any message"
    signature = opened.sign(message)
    assert is_signature(made.public_key, message, signature)
    assert signature == made.sign(message)  # Ed25519 is deterministic
    assert not is_signature(made.public_key, b"another", signature)


def test_a_device_whose_key_is_in_a_token_signs_records(uri: KeyUri) -> None:
    signer = create_token_key(uri)
    device = DeviceIdentity("CT1", "Maker", "Model", "0001", "1.0", signer.public_key)
    record = Record(device.device_id, 0, 1, Revocation("record", b"t" * 32, "test"))
    assert open_entry(sign_record(record, device, signer), device) == record


def test_the_key_cannot_be_taken_out(uri: KeyUri) -> None:
    create_token_key(uri)
    with pkcs11.lib(uri.module).get_token(token_label=uri.token).open() as session:
        key = session.get_key(label=uri.object, object_class=pkcs11.ObjectClass.PRIVATE_KEY)
        with pytest.raises(pkcs11.PKCS11Error):
            key[pkcs11.Attribute.VALUE]


def test_threads_and_several_keys_share_a_token(uri: KeyUri) -> None:
    signers = [create_token_key(replace(uri, object=f"{uri.object}-{number}")) for number in range(2)]

    def sign(number: int) -> bool:
        signer, message = signers[number % 2], str(number).encode()
        return is_signature(signer.public_key, message, signer.sign(message))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(sign, range(100)))


def test_a_session_that_the_token_ended_is_opened_again(uri: KeyUri) -> None:
    signer = create_token_key(uri)
    signer._private.session.close()
    assert is_signature(signer.public_key, b"message", signer.sign(b"message"))
    for session in module_under_test._LOGINS.values():  # the token has been reset: nobody is logged in any more
        session.close()
    assert is_signature(signer.public_key, b"message", signer.sign(b"message"))


def test_keys_are_never_replaced(uri: KeyUri) -> None:
    create_token_key(uri)
    with pytest.raises(UserError, match="never replaced"):
        create_token_key(uri)


def test_what_is_not_there_is_named(uri: KeyUri, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is absent"):
        Pkcs11Signer(uri)
    with pytest.raises(UserError, match="'elsewhere'"):
        Pkcs11Signer(replace(uri, token="elsewhere"))
    with pytest.raises(UserError, match="cannot be read"):
        replace(uri, pin_source=tmp_path / "absent").pin()
    monkeypatch.delenv(PIN_VARIABLE)
    with pytest.raises(UserError, match=PIN_VARIABLE):
        uri.pin()


def test_a_wrong_pin_is_refused(uri: KeyUri, tmp_path: Path) -> None:
    (tmp_path / "pin").write_text("000000")
    code = (
        "import sys; from mithridate.ledger.pkcs11 import *; from mithridate.errors import UserError\n"
        "try: Pkcs11Signer(KeyUri.parse(sys.argv[1]))\n"
        "except UserError as error: print(error)"
    )
    text = f"pkcs11:token={uri.token};object=any?module-path={uri.module}&pin-source=file:{tmp_path / 'pin'}"
    # In a process of its own: within one, a token that is open stays so whatever PIN is given next.
    done = subprocess.run([sys.executable, "-c", code, text], capture_output=True, text=True, check=True)
    assert "refuses the PIN" in done.stdout
    assert PIN not in done.stdout


def test_a_key_of_another_kind_is_refused(uri: KeyUri) -> None:
    from pkcs11.util.ec import encode_named_curve_parameters

    create_token_key(replace(uri, object="any"))  # which logs this process in
    with pkcs11.lib(uri.module).get_token(token_label=uri.token).open(rw=True) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        parameters.generate_keypair(store=True, label=uri.object)
    with pytest.raises(UserError, match="no Ed25519 key"):
        Pkcs11Signer(uri)


def test_a_library_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PIN_VARIABLE, PIN)
    library = tmp_path / "library.so"
    library.write_text("no library")
    with pytest.raises(UserError, match=r"library\.so is no PKCS #11 library"):
        Pkcs11Signer(KeyUri(str(library), token="t", object="k"))


def test_uris_are_read_as_rfc_7512_writes_them() -> None:
    text = "pkcs11:token=The%20token;object=CT%3b1;id=%01%ff?module-path=/lib/p11.so&pin-source=file:/etc/pin"
    assert KeyUri.parse(text) == KeyUri(
        "/lib/p11.so", token="The token", object="CT;1", id=b"\x01\xff", pin_source=Path("/etc/pin")
    )


@pytest.mark.parametrize(
    "text",
    [
        "file:key.pem",
        "pkcs11:token=t;object=k",
        "pkcs11:object=k?module-path=/m",
        "pkcs11:token=t?module-path=/m",
        "pkcs11:token=t;token=u;object=k?module-path=/m",
        "pkcs11:token=t;object=k;pin-value=1234?module-path=/m",
        "pkcs11:token=t;object=k?module-path=/m&pin-value=1234",
        "pkcs11:token=;object=k?module-path=/m",
    ],
)
def test_uris_that_do_not_name_one_key_are_refused(text: str) -> None:
    with pytest.raises(UserError) as caught:
        KeyUri.parse(text)
    assert "1234" not in str(caught.value)


def test_a_file_or_a_token_by_one_name(uri: KeyUri, tmp_path: Path) -> None:
    made = create_key(tmp_path / "key.pem")
    assert load_signer("key.pem", tmp_path).public_key == made.public_key
    signer = create_token_key(uri)
    text = f"pkcs11:token={uri.token};object={uri.object}?module-path={uri.module}"
    assert load_signer(text, tmp_path).public_key == signer.public_key
