"""API keys and client certificates: a file with what is needed to recognize them, and with no secret in it.

An API key is 256 random bits, so its plain SHA-256 is safe to keep: there is nothing to guess.  Comparison takes the
same time for every wrong key.  The file is read again whenever it changes, so a removed key ends at once.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mithridate.errors import UserError
from mithridate.files import replace_text
from mithridate.ledger.service.roles import Principal, Role

FILE_NAME = "credentials.json"

_KEY = re.compile(r"mithridate_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_DOMAIN = b"mithridate/api-key/1\x00"
_HEX = "^[0-9a-f]{64}$"


class Credential(BaseModel):
    """One API key or client certificate.

    Attributes: id (12 hexadecimal digits, which an API key states), name (of its holder), role, digest (SHA-256 of the
    key, or of the certificate in DER form), is_certificate, device (ID of the only device that it submits for),
    expires (seconds since 1970, None for never).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = Field(pattern="^[0-9a-f]{12}$")
    name: str = Field(min_length=1, max_length=200)
    role: Role
    digest: str = Field(pattern=_HEX)
    is_certificate: bool = False
    device: str | None = Field(default=None, pattern=_HEX)
    expires: int | None = None

    def principal(self) -> Principal:
        """Who holds it."""
        return Principal(self.name, self.role, bytes.fromhex(self.device) if self.device is not None else None)


_FILE = TypeAdapter(tuple[Credential, ...])


@dataclass(frozen=True)
class _Loaded:
    stamp: tuple[int, int, int]
    credentials: tuple[Credential, ...]


class Credentials:
    """The credentials in a file, which may be absent and then holds none.  Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._loaded = _Loaded((0, 0, 0), ())
        self.list()

    def list(self) -> tuple[Credential, ...]:
        """All of them.  Raises UserError, naming the file, when it cannot be read."""
        with self._lock:
            try:
                state = self._path.stat()
            except FileNotFoundError:
                return ()
            stamp = (state.st_mtime_ns, state.st_size, state.st_ino)
            if stamp != self._loaded.stamp:
                self._loaded = _Loaded(stamp, _read(self._path))
            return self._loaded.credentials

    def create_key(
        self, name: str, role: Role, *, device: bytes | None = None, lifetime: float | None = None
    ) -> tuple[Credential, str]:
        """Make an API key and give it, once: only its hash is kept."""
        key_id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
        text = f"mithridate_{key_id}_{secret}"
        return self._add(key_id, name, role, _digest(text), False, device, lifetime), text

    def add_certificate(
        self, name: str, role: Role, certificate: bytes, *, device: bytes | None = None, lifetime: float | None = None
    ) -> Credential:
        """Recognize a client certificate, given in DER form."""
        digest = hashlib.sha256(certificate).hexdigest()
        return self._add(secrets.token_hex(6), name, role, digest, True, device, lifetime)

    def remove(self, credential_id: str) -> None:
        """End a credential.  Raises UserError, naming those there are, when there is none of this ID."""
        credentials = self.list()
        kept = tuple(one for one in credentials if one.id != credential_id)
        if len(kept) == len(credentials):
            known = ", ".join(f"{one.id} ({one.name})" for one in credentials) or "none"
            raise UserError(f"there is no credential {credential_id!r}: there is {known}")
        self._write(kept)

    def recognize_key(self, text: str, now: float | None = None) -> Principal | None:
        """Whose API key this is, None when it is nobody's or has expired."""
        match = _KEY.fullmatch(text)
        found = [one for one in self.list() if match and one.id == match[1] and not one.is_certificate]
        digest = found[0].digest if found else "0" * 64
        is_right = hmac.compare_digest(digest, _digest(text))  # also when there is none, to take as long
        return found[0].principal() if found and is_right and _is_current(found[0], now) else None

    def recognize_certificate(self, certificate: bytes, now: float | None = None) -> Principal | None:
        """Whose client certificate this is; that its holder has the key, TLS has made sure of."""
        digest = hashlib.sha256(certificate).hexdigest()
        for one in self.list():
            if one.is_certificate and hmac.compare_digest(one.digest, digest) and _is_current(one, now):
                return one.principal()
        return None

    def _add(
        self,
        credential_id: str,
        name: str,
        role: Role,
        digest: str,
        is_certificate: bool,
        device: bytes | None,
        lifetime: float | None,
    ) -> Credential:
        try:
            credential = Credential(
                id=credential_id,
                name=name,
                role=role,
                digest=digest,
                is_certificate=is_certificate,
                device=device.hex() if device is not None else None,
                expires=int(time.time() + lifetime) if lifetime is not None else None,
            )
        except ValidationError:
            raise UserError("a credential needs a name of 1 to 200 characters and, if any, a device ID") from None
        self._write((*self.list(), credential))
        return credential

    def _write(self, credentials: tuple[Credential, ...]) -> None:
        replace_text(self._path, _FILE.dump_json(credentials, indent=2).decode() + "\n")


def _read(path: Path) -> tuple[Credential, ...]:
    try:
        return _FILE.validate_python(json.loads(path.read_text("utf-8")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
    except (ValueError, ValidationError):
        raise UserError(f"{path} is no file of credentials: restore it, or remove it and make new keys") from None


def _digest(text: str) -> str:
    return hashlib.sha256(_DOMAIN + text.encode("utf-8", "surrogatepass")).hexdigest()


def _is_current(credential: Credential, now: float | None) -> bool:
    return credential.expires is None or (time.time() if now is None else now) < credential.expires
