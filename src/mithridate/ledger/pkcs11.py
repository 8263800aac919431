"""Keys that never leave a token: Ed25519 through PKCS #11 (OASIS, version 3.0, mechanism CKM_EDDSA).

A key is named by a PKCS #11 URI (RFC 7512), in which values are percent-encoded:

    pkcs11:token=hospital;object=CT1?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/mithridate/pin

Without a pin-source, the PIN is taken from the environment variable MITHRIDATE_PKCS11_PIN; it is never in the URI.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from mithridate.errors import MissingExtra, MithridateError, UserError
from mithridate.ledger.keys import PUBLIC_KEY_SIZE, Signer, is_signature, load_key

PIN_VARIABLE = "MITHRIDATE_PKCS11_PIN"

_SCHEME = "pkcs11:"
_PATH_NAMES = ("token", "serial", "object", "id")
_QUERY_NAMES = ("module-path", "pin-source")
_EDWARDS25519 = b"\x13\x0cedwards25519"
"""CKA_EC_PARAMS of the curve: its name as a PrintableString (PKCS #11 3.0, 2.3.10)."""
_PROBE_DOMAIN = b"mithridate/probe/1\x00"

_LOCK = Lock()
"""Tokens need not bear two threads at once, and a login is shared by all sessions of a process."""
_LOGINS: dict[tuple[str, str | None, str | None], Any] = {}


class TokenFailure(MithridateError):
    """The token does not answer, or does not sign."""


@dataclass(frozen=True)
class KeyUri:
    """Where a key is.  Attributes: module (path of the PKCS #11 library), token and serial (of the token), object (the
    key's label), id (the key's ID), pin_source (file of the PIN); None for what the URI does not state."""

    module: str
    token: str | None = None
    serial: str | None = None
    object: str | None = None
    id: bytes | None = None
    pin_source: Path | None = None

    @classmethod
    def parse(cls, text: str) -> KeyUri:
        """Read a URI.  Raises UserError when it is malformed or does not name one key of one token."""
        if not text.startswith(_SCHEME):
            raise UserError(f"{text!r} is no PKCS #11 URI: it starts with {_SCHEME!r}")
        path, _, query = text.removeprefix(_SCHEME).partition("?")
        found = _pairs(path, ";", _PATH_NAMES) | _pairs(query, "&", _QUERY_NAMES)
        if "module-path" not in found:
            raise UserError("the PKCS #11 URI does not name the token's library: add ?module-path=/path/of/library.so")
        if not {"token", "serial"} & set(found) or not {"object", "id"} & set(found):
            raise UserError("the PKCS #11 URI does not name a token (token= or serial=) and a key (object= or id=)")
        source = unquote(found["pin-source"]) if "pin-source" in found else None
        return cls(
            module=unquote(found["module-path"]),
            token=unquote(found["token"]) if "token" in found else None,
            serial=unquote(found["serial"]) if "serial" in found else None,
            object=unquote(found["object"]) if "object" in found else None,
            id=unquote_to_bytes(found["id"]) if "id" in found else None,
            pin_source=Path(source.removeprefix("file:")) if source is not None else None,
        )

    def pin(self) -> str:
        """The token's PIN.  Raises UserError when it is nowhere to be found."""
        if self.pin_source is not None:
            try:
                return self.pin_source.read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise UserError(f"{self.pin_source}, the pin-source of the key's URI, cannot be read") from None
        if PIN_VARIABLE not in os.environ:
            raise UserError(f"the token asks for a PIN: set {PIN_VARIABLE}, or give the key's URI a pin-source")
        return os.environ[PIN_VARIABLE]


@dataclass
class Pkcs11Signer:
    """A private key in a token; thread-safe.  A session that the token has ended is opened again, once a signature."""

    uri: KeyUri
    public_key: bytes = field(init=False)
    _private: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        with _LOCK:
            self.public_key, self._private = _open_key(self.uri)
        probe = _PROBE_DOMAIN + secrets.token_bytes(32)
        if not is_signature(self.public_key, probe, self.sign(probe)):
            raise TokenFailure(
                f"{_described(self.uri)} signs what its public key does not verify: it is no Ed25519 key"
            )

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over the message.  Raises TokenFailure when the token does not sign."""
        import pkcs11

        with _LOCK:
            try:
                return self._sign(message)
            except pkcs11.PKCS11Error:
                _log_out(self.uri)
                public_key, self._private = _open_key(self.uri)
                if public_key != self.public_key:
                    raise TokenFailure(f"{_described(self.uri)} is another key than when it was opened") from None
            try:
                return self._sign(message)
            except pkcs11.PKCS11Error as error:
                raise TokenFailure(f"{_described(self.uri)} does not sign ({_reason(error)})") from error

    def _sign(self, message: bytes) -> bytes:
        import pkcs11

        return bytes(self._private.sign(message, mechanism=pkcs11.Mechanism.EDDSA))


def load_signer(key: str, folder: Path) -> Signer:
    """The signer of a key: a PKCS #11 URI, or a file, relative to `folder`.  Raises UserError when there is none."""
    return Pkcs11Signer(KeyUri.parse(key)) if key.startswith(_SCHEME) else load_key(folder / key)


def create_token_key(uri: KeyUri) -> Pkcs11Signer:
    """Make a key inside a token, never to be taken out of it, under the URI's label and ID.

    Raises UserError when the token holds a key of that name already, TokenFailure when it cannot make one.
    """
    with _LOCK:
        _make_key(uri)
    return Pkcs11Signer(uri)


def _make_key(uri: KeyUri) -> None:
    pkcs11 = _library()
    attribute = pkcs11.Attribute
    session = _open_session(uri, writable=True)
    try:
        named = {getattr(attribute, name.upper()): value for name, value in _selector(uri).items()}
        if list(session.get_objects(named | {attribute.CLASS: pkcs11.ObjectClass.PRIVATE_KEY})):
            raise UserError(f"{_described(uri)} exists and keys are never replaced: name another")
        curve = {attribute.EC_PARAMS: _EDWARDS25519}
        session.create_domain_parameters(pkcs11.KeyType.EC_EDWARDS, curve, local=True).generate_keypair(
            mechanism=pkcs11.Mechanism.EC_EDWARDS_KEY_PAIR_GEN,
            store=True,
            label=uri.object,
            id=uri.id,
            private_template={attribute.EXTRACTABLE: False, attribute.SENSITIVE: True},
        )
    except pkcs11.PKCS11Error as error:
        raise TokenFailure(f"{_described(uri)} cannot be made ({_reason(error)})") from error
    finally:
        session.close()


def _open_key(uri: KeyUri) -> tuple[bytes, Any]:
    """The public key's 32 bytes and the private key's handle."""
    pkcs11 = _library()
    session = _open_session(uri)
    try:
        private = session.get_key(**_selector(uri), object_class=pkcs11.ObjectClass.PRIVATE_KEY)
        public = session.get_key(**_selector(uri), object_class=pkcs11.ObjectClass.PUBLIC_KEY)
        point = bytes(public[pkcs11.Attribute.EC_POINT])
    except pkcs11.NoSuchKey:
        raise UserError(f"{_described(uri)} is absent, or its public half is: both must be in the token") from None
    except pkcs11.MultipleObjectsReturned:
        raise UserError(f"{_described(uri)} is the name of several keys: add id= to the URI") from None
    except pkcs11.PKCS11Error as error:
        raise TokenFailure(f"{_described(uri)} cannot be read ({_reason(error)})") from error
    wrapped = len(point) == PUBLIC_KEY_SIZE + 2 and point[:2] == bytes([0x04, PUBLIC_KEY_SIZE])
    point = point[2:] if wrapped else point  # a DER OCTET STRING or, before PKCS #11 3.0, the bare point
    if len(point) != PUBLIC_KEY_SIZE:
        raise UserError(f"{_described(uri)} is no Ed25519 key: make one of that kind")
    return point, private


def _open_session(uri: KeyUri, *, writable: bool = False) -> Any:
    """A session of the token, logged in; the login is the process's own, and lasts until `_log_out`."""
    pkcs11 = _library()
    try:
        library = pkcs11.lib(uri.module)
    except (pkcs11.PKCS11Error, RuntimeError) as error:
        raise UserError(f"{uri.module} is no PKCS #11 library ({_reason(error)}): correct module-path") from None
    try:
        token = library.get_token(token_label=uri.token, token_serial=uri.serial.encode() if uri.serial else None)
        if _place(uri) not in _LOGINS:
            with contextlib.suppress(pkcs11.UserAlreadyLoggedIn):  # by another part of this process
                _LOGINS[_place(uri)] = token.open(user_pin=uri.pin())
        return token.open(rw=writable)
    except (pkcs11.NoSuchToken, pkcs11.MultipleTokensReturned):
        raise UserError(f"no token, or more than one, is the {uri.token or uri.serial!r} of {uri.module}") from None
    except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange, pkcs11.PinLocked) as error:
        raise UserError(f"the token {uri.token or uri.serial!r} refuses the PIN ({_reason(error)})") from None
    except pkcs11.PKCS11Error as error:
        _log_out(uri)
        raise TokenFailure(f"the token {uri.token or uri.serial!r} does not open ({_reason(error)})") from error


def _log_out(uri: KeyUri) -> None:
    """Forget a login that may no longer hold, so that the next session makes a new one."""
    with contextlib.suppress(Exception):  # whatever ended it may have taken the session with it
        if session := _LOGINS.pop(_place(uri), None):
            session.close()


def _place(uri: KeyUri) -> tuple[str, str | None, str | None]:
    return uri.module, uri.token, uri.serial


def _library() -> Any:
    try:
        import pkcs11
    except ImportError:
        raise MissingExtra("A key in a PKCS #11 token", "hsm") from None
    return pkcs11


def _selector(uri: KeyUri) -> dict[str, Any]:
    return {name: value for name, value in (("label", uri.object), ("id", uri.id)) if value is not None}


def _described(uri: KeyUri) -> str:
    return f"the key {uri.object or (uri.id or b'').hex()!r} in the token {uri.token or uri.serial!r}"


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _pairs(text: str, mark: str, names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for pair in text.split(mark) if text else []:
        name, equals, value = pair.partition("=")
        if not equals or name not in names or name in found or not value:
            raise UserError(f"the PKCS #11 URI holds {name!r} without a value, twice, or in the wrong place")
        found[name] = value
    return found
