"""Ed25519 keys that sign notes: plainly (type 1), or as a witness who also states the time (type 4, cosignature/v1)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from mithridate.ledger.encodings import from_base64, to_base64
from mithridate.ledger.errors import NoteError
from mithridate.ledger.keys import PUBLIC_KEY_SIZE, SIGNATURE_SIZE, FileSigner, Signer, is_signature
from mithridate.ledger.note import NoteSignature, check_key_name, key_id

ED25519 = 0x01
COSIGNATURE = 0x04

_TIME_SIZE = 8
_SECRET_MARK = "PRIVATE+KEY+"


@dataclass(frozen=True)
class VerifierKey:
    """A trusted public key under its name; `kind` is ED25519 or COSIGNATURE."""

    name: str
    public_key: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if self.kind not in (ED25519, COSIGNATURE):
            raise NoteError(f"the key of {self.name} is of type {self.kind:#04x}: only 0x01 and 0x04 are understood")
        if len(self.public_key) != PUBLIC_KEY_SIZE:
            raise NoteError(f"the key of {self.name} has {len(self.public_key)} bytes instead of {PUBLIC_KEY_SIZE}")

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read the text form, name+ID+base64.  Raises NoteError when it is malformed or its ID is another key's."""
        name, key_hash, encoded = _three_parts(text)
        material = _key_material(name, encoded)
        key = cls(name, material[1:], material[0])
        if key.key_id.hex() != key_hash:
            raise NoteError(f"the key of {name} does not belong to its ID {key_hash}: copy the whole line again")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([self.kind]) + self.public_key)}"

    @cached_property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature line names this key."""
        return key_id(self.name, self.kind, self.public_key)

    def check(self, text: str, signature: bytes) -> int | None:
        """The time that a cosignature states, None for a plain signature.  Raises NoteError when it is false."""
        stated: int | None = None
        message, plain = text.encode(), signature
        if self.kind == COSIGNATURE:
            if len(signature) != _TIME_SIZE + SIGNATURE_SIZE:
                raise NoteError(f"the cosignature of {self.name} has {len(signature)} bytes instead of 72")
            stated, plain = int.from_bytes(signature[:_TIME_SIZE], "big"), signature[_TIME_SIZE:]
            message = _cosigned_message(text, stated)
        if not is_signature(self.public_key, message, plain):
            raise NoteError(f"the signature of {self.name} is false: the note was changed or the key is another's")
        return stated


@dataclass(frozen=True)
class NoteKey:
    """A private key that signs notes under a name; a cosigner states the time that `clock` gives in seconds."""

    name: str
    signer: Signer
    kind: int = ED25519
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        self.verifier()

    def verifier(self) -> VerifierKey:
        """The public half."""
        return self._verifier

    @cached_property
    def _verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.signer.public_key, self.kind)

    def sign_text(self, text: str) -> NoteSignature:
        """The signature line over a note's text."""
        if self.kind == ED25519:
            signature = self.signer.sign(text.encode())
        else:
            stated = int(self.clock())
            signature = stated.to_bytes(_TIME_SIZE, "big") + self.signer.sign(_cosigned_message(text, stated))
        return NoteSignature(self.name, self.verifier().key_id, signature)


def secret_text(name: str, signer: FileSigner, kind: int = ED25519) -> str:
    """The text form of a private key, PRIVATE+KEY+name+ID+base64, for programs that take keys so; keep it secret."""
    key = VerifierKey(name, signer.public_key, kind)
    return f"{_SECRET_MARK}{name}+{key.key_id.hex()}+{to_base64(bytes([kind]) + signer.seed())}"


def parse_secret_text(text: str) -> NoteKey:
    """The inverse of `secret_text`.  Raises NoteError, which never quotes the text, when it is malformed."""
    if not text.startswith(_SECRET_MARK):
        raise NoteError(f"a private key's text starts with {_SECRET_MARK}: this one does not")
    name, key_hash, encoded = _three_parts(text.removeprefix(_SECRET_MARK))
    material = _key_material(name, encoded)
    key = NoteKey(name, FileSigner.from_seed(material[1:]), material[0])
    if key.verifier().key_id.hex() != key_hash:
        raise NoteError(f"the private key of {name} does not belong to its ID {key_hash}: copy the whole line again")
    return key


def _cosigned_message(text: str, stated: int) -> bytes:
    return f"cosignature/v1\ntime {stated}\n{text}".encode()


def _three_parts(text: str) -> tuple[str, str, str]:
    parts = text.split("+", 2)  # base64 may hold more plus signs, names may not
    if len(parts) != 3 or len(parts[1]) != 8 or parts[1].strip("0123456789abcdef"):
        raise NoteError("a note's key is written as name+ID+base64, the ID as 8 lower-case hexadecimal digits")
    return parts[0], parts[1], parts[2]


def _key_material(name: str, encoded: str) -> bytes:
    try:
        material = from_base64(encoded)
    except ValueError as error:
        raise NoteError(f"the key of {name} cannot be read: {error}") from None
    if len(material) != 1 + PUBLIC_KEY_SIZE:
        raise NoteError(f"the key of {name} has {len(material)} bytes instead of 33: a type and an Ed25519 key")
    return material
