"""Ed25519 keys (RFC 8032): who signs, and where the private half is kept."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mithridate.errors import UserError
from mithridate.files import flush_folder
from mithridate.ledger import verifying
from mithridate.ledger.points import is_sound_point

PUBLIC_KEY_SIZE = 32
SIGNATURE_SIZE = 64

_SHORT_MESSAGE = 1024  # bytes of the longest message whose answer is remembered


class Signer(Protocol):
    """Holds a private key, or reaches the token that does, and signs with it."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over the message."""
        ...


@dataclass(frozen=True)
class FileSigner:
    """A private key in memory, as read from a file; never shown in messages or representations."""

    _private: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"FileSigner(public_key={self.public_key.hex()})"

    @property
    def public_key(self) -> bytes:
        """The 32 bytes of the Ed25519 public key."""
        return self._private.public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of the Ed25519 signature over the message."""
        return self._private.sign(message)

    def seed(self) -> bytes:
        """The 32 secret bytes that make the key; whoever holds them can sign."""
        return self._private.private_bytes_raw()

    @classmethod
    def from_seed(cls, seed: bytes) -> FileSigner:
        """The key that these 32 secret bytes make.  Raises UserError for another number of bytes."""
        if len(seed) != 32:
            raise UserError(f"an Ed25519 private key has 32 bytes, not {len(seed)}: give the key as it was written")
        return cls(Ed25519PrivateKey.from_private_bytes(seed))


def is_signature(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of the key's private half signed the message; False for keys and signatures out of form.

    Stricter than RFC 8032 (5.1.7) asks for: points that no honest signer uses are refused (`points`).
    """
    if len(public_key) != PUBLIC_KEY_SIZE or len(signature) != SIGNATURE_SIZE:
        return False
    if len(message) > _SHORT_MESSAGE:
        return _verify(public_key, message, signature)
    return _remembered(public_key, message, signature)


def _verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    points = (public_key, signature[:PUBLIC_KEY_SIZE])
    return all(map(is_sound_point, points)) and verifying.holds(public_key, message, signature)


_remembered = lru_cache(maxsize=4096)(_verify)
"""The same checkpoints, enrolments and records are checked again and again, and the answer never changes."""


def create_key(path: Path) -> FileSigner:
    """Make a key and keep it in a new file: PKCS #8, PEM, readable by its owner alone.

    The file is whole or absent, and an existing one is never replaced: a lost key ends the identity that it signs for.
    Raises UserError when the file exists or cannot be written.
    """
    signer = FileSigner(Ed25519PrivateKey.generate())
    pem = signer._private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_private(partial, pem)
        os.link(partial, path)  # unlike a rename, refuses to replace what is there
        flush_folder(path.parent)
    except OSError as error:
        if isinstance(error, FileExistsError) and path.exists():
            raise UserError(f"{path} exists and keys are never replaced: name another file or move it away") from None
        raise UserError(f"{path} cannot be written ({error.strerror or error}): choose another place") from error
    finally:
        with contextlib.suppress(OSError):  # where nothing could be made there is nothing to remove
            partial.unlink()
    return signer


def load_key(path: Path) -> FileSigner:
    """Read a key written by `create_key` or by `openssl genpkey -algorithm ed25519`.

    Raises UserError when the file is absent, holds no Ed25519 private key, or may be read by others than its owner.
    """
    try:
        mode = path.stat().st_mode
        pem = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name the file of a private key") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UserError(f"{path} can be read by others than its owner: run  chmod 600 {path}  and consider it exposed")
    try:
        private = serialization.load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise UserError(f"{path} holds no unencrypted private key in PEM form: name the file of one") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise UserError(f"{path} holds a private key of another kind than Ed25519: make one of that kind")
    return FileSigner(private)


def _write_private(path: Path, content: bytes) -> None:
    """Write a new file that was never readable by others, not even while it was empty."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
