"""A fingerprint in the open, before it is sealed, and the hashes that every kind of image shares."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from mithridate.errors import UserError
from mithridate.ledger import canonical
from mithridate.ledger.canonical import Value
from mithridate.ledger.sealed import ImageHashes, SealedFingerprint, commit

Named = Mapping[str, bytes | None]
"""A digest for each name of a fixed list, in its order; None for what is absent."""


class FingerprintError(UserError):
    """The image cannot be fingerprinted, so it cannot be vouched for: it is refused."""


@dataclass(frozen=True)
class Limits:
    """What an image may ask for before it is refused; nothing is allocated on the word of a header.

    Attributes: file_bytes of the file, inflated_bytes after inflating, frame_samples in one frame, frames.
    """

    file_bytes: int = 4 << 30
    inflated_bytes: int = 1 << 30
    frame_samples: int = 1 << 28
    frames: int = 1 << 20


@dataclass(frozen=True)
class Fingerprint(ImageHashes):
    """F0 to F4 of one image.

    Attributes: those of `ImageHashes`; coding, attributes (F3) and identity (F4) by name; fault, None or the reason why
    the pixels cannot be read.  A fingerprint with a fault can be compared, to say what was done to the image, and never
    recorded.
    """

    coding: Named
    attributes: Named
    identity: Named
    fault: str | None = None

    def seal(self, salt: bytes) -> SealedFingerprint:
        """The fingerprint as it may be logged.  Raises FingerprintError when it has a fault."""
        if self.fault is not None:
            raise FingerprintError(self.fault)
        return SealedFingerprint(
            media=self.media,
            schema=self.schema,
            frames=self.frames,
            file=self.file,
            stream=self.stream,
            pixels=self.pixels,
            coding=commit(salt, "coding", self.coding),
            attributes=commit(salt, "attributes", self.attributes),
            identity=commit(salt, "identity", self.identity),
        )


def digest_bytes(domain: str, *parts: bytes | memoryview) -> bytes:
    """SHA-256 of byte strings under the name of what they are; the caller fixes how they are divided."""
    return digest_parts(domain, parts)


def digest_parts(domain: str, parts: Iterable[bytes | memoryview]) -> bytes:
    """`digest_bytes` of byte strings that are made one after another."""
    state = hashlib.sha256(_prefix(domain))
    for part in parts:
        state.update(part)
    return state.digest()


def digest_value(domain: str, value: Value) -> bytes:
    """SHA-256 of a value's canonical encoding under the name of what it is."""
    return hashlib.sha256(_prefix(domain) + canonical.encode(value)).digest()


@cache
def _prefix(domain: str) -> bytes:
    return f"mithridate/{domain}/1\x00".encode()


def frame_leaf(header: Value, samples: bytes, residue: bytes = b"") -> bytes:
    """The Merkle leaf of one frame.

    `header` holds the shape, the bits and the kind of the samples, `samples` is the digest of their canonical bytes
    under the name "samples", `residue` what stands in a word beside the sample's own bits, if anything does.
    """
    inner = digest_bytes("frame", digest_value("frame-header", header), digest_bytes("residue", residue), samples)
    return hashlib.sha256(b"\x00" + inner).digest()


def named_digests(domain: str, values: Mapping[str, Value | None], names: Sequence[str]) -> Named:
    """The digest of each named value; a name without a value is absent."""
    digests: dict[str, bytes | None] = dict.fromkeys(names)
    digests.update({name: digest_value(domain, value) for name, value in values.items() if value is not None})
    return digests
