"""What comes to the log: an entry read and its signature checked, before it waits for its turn."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from mithridate.ledger import merkle
from mithridate.ledger.fingerprint.dicom_schema import IDENTITY
from mithridate.ledger.fingerprint.model import digest_value
from mithridate.ledger.receipt import LedgerRefusal
from mithridate.ledger.record import Capture, Derivation, Record
from mithridate.ledger.sealed import SALT_SIZE, SealedFingerprint, commit
from mithridate.ledger.store.tables import KEY_SIZE, Lookup

Key = tuple[Lookup, bytes]

IDENTITY_LOOKUPS = {
    "SOPInstanceUID": Lookup.SOP_INSTANCE,
    "PatientID": Lookup.PATIENT,
    "AccessionNumber": Lookup.ACCESSION,
}
"""The identity attributes by which records can be found."""

_DOMAIN = b"mithridate/lookup/1\x00"
_OF_IMAGES = (Capture, Derivation)


@dataclass(slots=True)
class Submission:
    """An entry on its way into the log; `keys` are the private lookups under which it is to be found.

    `leaf` is the entry's leaf hash.
    """

    entry: bytes
    record: Record
    salt: bytes | None = None
    keys: tuple[Key, ...] = ()
    may_enroll: bool = False
    leaf: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.leaf = merkle.leaf_hash(self.entry)


class LookupKeys:
    """Makes the keys of private lookups; without the ledger's secret nobody can search the table for an identifier."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def of_identity(self, identity: Mapping[str, bytes | None]) -> tuple[Key, ...]:
        """The keys of an image's identity, `Fingerprint.identity`; empty for kinds of images without any."""
        found = ((kind, identity.get(keyword), keyword) for keyword, kind in IDENTITY_LOOKUPS.items())
        return tuple((kind, self._key(keyword, digest)) for kind, digest, keyword in found if digest is not None)

    def of_value(self, keyword: str, value: str) -> Key:
        """The key of one identity attribute with this value.  Raises LedgerRefusal for any other attribute."""
        if keyword not in IDENTITY_LOOKUPS:
            raise LedgerRefusal(f"records are not found by {keyword}: name one of {', '.join(IDENTITY_LOOKUPS)}")
        digest = digest_value("identity", ("texts", (value.strip(" \x00"),)) if value else ("empty",))
        return IDENTITY_LOOKUPS[keyword], self._key(keyword, digest)

    def of_name(self, path: str) -> tuple[Key, ...]:
        """The keys of a file's path: of exactly this path, then of its last two parts and of its last; none for what
        is no file's name.

        By these an altered image is found that bears no identity of its own.  They prove nothing: whoever is found by
        one is compared in full.
        """
        parts = PurePath(path).parts
        if not parts or not PurePath(path).suffix:
            return ()
        named = [("Path", path), *(("Name", tail) for tail in dict.fromkeys(("/".join(parts[-2:]), parts[-1])))]
        return tuple((Lookup.NAME, self._key(kind, digest_value("name", name))) for kind, name in named)

    def _key(self, keyword: str, digest: bytes) -> bytes:
        message = _DOMAIN + keyword.encode() + b"\x00" + digest
        return hmac.new(self._secret, message, hashlib.sha256).digest()[:KEY_SIZE]


def fingerprint_of(record: Record) -> SealedFingerprint | None:
    """The fingerprint in a record, None in those that have none."""
    return record.body.fingerprint if isinstance(record.body, _OF_IMAGES) else None


def public_keys(fingerprint: SealedFingerprint) -> tuple[Key, ...]:
    """The keys under which anyone who has the image finds its record."""
    keys = [(Lookup.FILE, fingerprint.file[:KEY_SIZE]), (Lookup.STREAM, fingerprint.stream[:KEY_SIZE])]
    if fingerprint.pixels is not None:
        keys.append((Lookup.PIXELS, fingerprint.pixels[:KEY_SIZE]))
    return tuple(keys)


def check_opening(record: Record, salt: bytes | None, identity: Mapping[str, bytes | None] | None) -> None:
    """Raises LedgerRefusal unless the salt, and the identity if given, are those of the record's commitments."""
    fingerprint = fingerprint_of(record)
    if salt is not None and (fingerprint is None or len(salt) != SALT_SIZE):
        raise LedgerRefusal(f"the salt belongs to no fingerprint, or has not {SALT_SIZE} bytes: leave it out")
    if identity is None:
        return
    if fingerprint is None or salt is None:
        raise LedgerRefusal("an identity was given without the salt that shows it to be the record's: give both")
    ordered = {name: identity.get(name) for name in IDENTITY} if identity else {}
    if commit(salt, "identity", ordered) != fingerprint.identity:
        raise LedgerRefusal("the identity given is not the one that the record commits to: give the image's own")
