"""ML-DSA-44 cosignatures of checkpoints (FIPS 204; C2SP tlog-cosignature, type 0x06): a signature for after quantum
computers, beside the Ed25519 ones and never instead of them.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from mithridate.errors import UserError
from mithridate.files import replace_file
from mithridate.ledger.checkpoint import parse_checkpoint
from mithridate.ledger.encodings import from_base64, to_base64
from mithridate.ledger.errors import NoteError
from mithridate.ledger.note import NoteSignature, check_key_name, key_id
from mithridate.ledger.note_keys import VerifierKey

MLDSA = 0x06
PUBLIC_KEY_SIZE = 1312
SIGNATURE_SIZE = 2420
SEED_SIZE = 32

_TIME_SIZE = 8
_LABEL = b"subtree/v1\n\x00"


@dataclass(frozen=True)
class MldsaVerifier:
    """A trusted ML-DSA-44 public key of 1,312 bytes under its name."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        check_key_name(self.name)
        if len(self.public_key) != PUBLIC_KEY_SIZE:
            raise NoteError(f"the key of {self.name} has {len(self.public_key)} bytes instead of {PUBLIC_KEY_SIZE}")

    @classmethod
    def parse(cls, text: str) -> MldsaVerifier:
        """Read the text form, name+ID+base64.  Raises NoteError when it is malformed or its ID is another key's."""
        name, _, rest = text.partition("+")
        stated, _, encoded = rest.partition("+")
        try:
            material = from_base64(encoded)
        except ValueError as error:
            raise NoteError(f"the key of {name} cannot be read: {error}") from None
        if material[:1] != bytes([MLDSA]):
            raise NoteError(f"the key of {name} is not of type {MLDSA:#04x}: it is no ML-DSA-44 key")
        key = cls(name, material[1:])
        if key.key_id.hex() != stated:
            raise NoteError(f"the key of {name} does not belong to its ID {stated}: copy the whole line again")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{to_base64(bytes([MLDSA]) + self.public_key)}"

    @property
    def key_id(self) -> bytes:
        """The 4 bytes by which a signature line names this key."""
        return key_id(self.name, MLDSA, self.public_key)

    def check(self, text: str, signature: bytes) -> int | None:
        """The time that the cosignature states, in seconds since 1970.

        Raises NoteError when it is false, or the text is no checkpoint: of its extension lines nothing is said.
        """
        if len(signature) != _TIME_SIZE + SIGNATURE_SIZE:
            raise NoteError(f"the cosignature of {self.name} has {len(signature)} bytes instead of 2,428")
        stated = int.from_bytes(signature[:_TIME_SIZE], "big")
        message = cosigned_message(self.name, stated, text)
        try:
            MLDSA44PublicKey.from_public_bytes(self.public_key).verify(signature[_TIME_SIZE:], message)
        except (InvalidSignature, ValueError):
            raise NoteError(
                f"the signature of {self.name} is false: the note was changed or the key is another's"
            ) from None
        return stated


@dataclass(frozen=True)
class MldsaKey:
    """A private key that cosigns checkpoints under a name, stating the time that `clock` gives in seconds.

    `seed` is the 32 secret bytes that make the key (FIPS 204, the input of key generation).
    """

    name: str
    seed: bytes
    clock: Callable[[], float] = time.time

    def __post_init__(self) -> None:
        if len(self.seed) != SEED_SIZE:
            raise UserError(f"an ML-DSA-44 seed has {SEED_SIZE} bytes, not {len(self.seed)}: give it as it was written")
        self.verifier()

    def __repr__(self) -> str:
        return f"MldsaKey(name={self.name!r})"

    def verifier(self) -> MldsaVerifier:
        """The public half."""
        return MldsaVerifier(self.name, self._private().public_key().public_bytes_raw())

    def sign_text(self, text: str) -> NoteSignature:
        """The signature line over a checkpoint's text.  Raises NoteError for another kind of note."""
        stated = int(self.clock())
        signature = self._private().sign(cosigned_message(self.name, stated, text))
        return NoteSignature(self.name, self.verifier().key_id, stated.to_bytes(_TIME_SIZE, "big") + signature)

    def _private(self) -> MLDSA44PrivateKey:
        return MLDSA44PrivateKey.from_seed_bytes(self.seed)


def cosigned_message(name: str, stated: int, text: str) -> bytes:
    """What an ML-DSA-44 cosigner of this name signs at this time for a checkpoint's text (`cosigned_message`).

    Raises NoteError for a text that is no checkpoint, or a name or origin of more than 255 bytes.
    """
    checkpoint = parse_checkpoint(text)
    return b"".join(
        [
            _LABEL,
            _short(name, "cosigner's name"),
            stated.to_bytes(_TIME_SIZE, "big"),
            _short(checkpoint.origin, "log's origin"),
            (0).to_bytes(8, "big"),  # the first leaf: a checkpoint covers all of them
            checkpoint.size.to_bytes(8, "big"),
            checkpoint.root,
        ]
    )


def parse_verifier(text: str) -> VerifierKey | MldsaVerifier:
    """A public key of any kind that may sign a checkpoint, from its text form.  Raises NoteError when it is none."""
    encoded = text.split("+", 2)[-1]
    if len(encoded) > 1000:  # an Ed25519 key takes 44 characters, one of this kind 1,752
        return MldsaVerifier.parse(text)
    return VerifierKey.parse(text)


def create_mldsa_key(path: Path, name: str) -> MldsaKey:
    """Make a key and keep it in a new file, PKCS #8 in PEM form, readable by its owner alone.

    Raises UserError when the file exists or cannot be written.
    """
    if path.exists():
        raise UserError(f"{path} exists and keys are never replaced: name another file or move it away")
    private = MLDSA44PrivateKey.generate()
    options = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    pem = private.private_bytes(*options)

    def write(partial: Path) -> None:
        partial.touch(mode=0o600, exist_ok=False)  # never readable by others, not even while it is empty
        partial.write_bytes(pem)

    replace_file(path, write)
    return MldsaKey(name, private.private_bytes_raw())


def load_mldsa_key(path: Path, name: str) -> MldsaKey:
    """Read a key written by `create_mldsa_key`.

    Raises UserError when the file is absent, holds no such key, or may be read by others than its owner.
    """
    try:
        mode = path.stat().st_mode
        private = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name the file of a private key") from None
    except (ValueError, TypeError):
        raise UserError(f"{path} holds no unencrypted private key in PEM form: name the file of one") from None
    if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
        raise UserError(f"{path} can be read by others than its owner: run  chmod 600 {path}  and consider it exposed")
    if not isinstance(private, MLDSA44PrivateKey):
        raise UserError(f"{path} holds a private key of another kind than ML-DSA-44: make one of that kind")
    return MldsaKey(name, private.private_bytes_raw())


def _short(text: str, what: str) -> bytes:
    content = text.encode()
    if not 1 <= len(content) <= 255:
        raise NoteError(f"the {what} has {len(content)} bytes: an ML-DSA-44 cosignature can state 1 to 255")
    return bytes([len(content)]) + content
