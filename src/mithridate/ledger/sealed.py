"""A fingerprint as it is logged: what must stay private is there only as salted commitments.

The log may be public.  File, codestream and pixel hashes are of content that nobody can guess; an identifier, a date or
a patient's weight can be guessed, and its plain hash searched for.  So those are committed to by HMAC-SHA256 under a
salt of the record's own, which stays with whoever keeps the images: with it anyone can check the record against an
image, and once it is destroyed nobody can.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from mithridate.ledger.canonical import Value
from mithridate.ledger.errors import RecordError
from mithridate.ledger.fields import (
    read_bytes,
    read_digest_or_none,
    read_digests,
    read_integer,
    read_map,
    read_text,
)

SALT_SIZE = 32

_KEYS = ("media", "schema", "frames", "file", "stream", "pixels", "coding", "attributes", "identity")
_DOMAIN = b"mithridate/commitment/1\x00"

_BLOCK_SIZE = 64
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
"""HMAC-SHA256 as RFC 2104 defines it: keyed once for all commitments of a record, of which there are hundreds."""

Digests = tuple[bytes | None, ...]


@dataclass(frozen=True, slots=True)
class ImageHashes:
    """What of an image's fingerprint nobody can guess, and so may be known to all.

    Attributes: media ("dicom", "png", ...), schema (which names the other parts follow), frames (0 where there is no
    image), file (F0), stream (F1), pixels (F2, None where decoders may differ and the stream is the authority).
    """

    media: str
    schema: str
    frames: int
    file: bytes
    stream: bytes
    pixels: bytes | None


@dataclass(frozen=True, slots=True)
class SealedFingerprint(ImageHashes):
    """F0 to F4 of one image; the lists hold one commitment for each name of the schema, None for what is absent.

    Attributes: those of `ImageHashes`, coding (labels of how the stream is coded), attributes (F3), identity (F4).
    """

    coding: Digests
    attributes: Digests
    identity: Digests

    def to_value(self) -> Value:
        """The fingerprint as it stands in a record."""
        return {key: getattr(self, key) for key in _KEYS}

    @classmethod
    def from_value(cls, value: Value) -> SealedFingerprint:
        """The inverse of `to_value`.  Raises RecordError for anything else."""
        entries = read_map(value, _KEYS, "fingerprint")
        return cls(
            media=read_text(entries["media"], "kind of media"),
            schema=read_text(entries["schema"], "fingerprint's schema"),
            frames=read_integer(entries["frames"], "number of frames"),
            file=read_bytes(entries["file"], "file's hash"),
            stream=read_bytes(entries["stream"], "stream's hash"),
            pixels=read_digest_or_none(entries["pixels"], "pixels' hash"),
            coding=_read_digests(entries["coding"], "coding"),
            attributes=_read_digests(entries["attributes"], "attributes"),
            identity=_read_digests(entries["identity"], "identity"),
        )


def new_salt() -> bytes:
    """A fresh salt of 32 bytes.  It must differ for every record, or commitments could be compared between them."""
    return secrets.token_bytes(SALT_SIZE)


def commit(salt: bytes, group: str, values: Mapping[str, bytes | None]) -> Digests:
    """One commitment for each named value, in the mapping's order; None, in the open, for one that is absent.

    Raises RecordError for a salt of another length than 32 bytes.
    """
    if len(salt) != SALT_SIZE:
        raise RecordError(f"the salt has {len(salt)} bytes instead of {SALT_SIZE}")
    inner, outer = (hashlib.sha256(salt.ljust(_BLOCK_SIZE, b"\x00").translate(pad)) for pad in (_INNER, _OUTER))
    found: list[bytes | None] = []
    for name, value in values.items():
        if value is None:
            found.append(None)
            continue
        state, last = inner.copy(), outer.copy()
        state.update(_DOMAIN + f"{group}/{name}".encode() + b"\x00" + value)
        last.update(state.digest())
        found.append(last.digest())
    return tuple(found)


def _read_digests(value: Value, what: str) -> Digests:
    return read_digests(value, f"{what} of the fingerprint")
