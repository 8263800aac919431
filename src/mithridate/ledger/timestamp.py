"""RFC 3161 time stamps on checkpoints: a third party's word that a log stood at this root at that time.

A device's clock and the log's are claims.  A time stamp authority, which learns nothing but a hash, bounds them from
outside: every entry under the stamped checkpoint existed by then, and a key that is stolen later cannot sign itself
into the past.  Stamped is the checkpoint's text (origin, size, root), so cosignatures may be added afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mithridate.errors import MissingExtra, UserError
from mithridate.ledger.checkpoint import parse_checkpoint
from mithridate.ledger.errors import EvidenceError
from mithridate.ledger.note import parse_note
from mithridate.ledger.witness.web import Web, WebFailure

if TYPE_CHECKING:
    from rfc3161_client import TimeStampRequest

MAX_TOKEN_BYTES = 64 * 1024

_QUERY_TYPE, _REPLY_TYPE = "application/timestamp-query", "application/timestamp-reply"


class TimestampError(EvidenceError):
    """A time stamp does not hold: of another checkpoint, by nobody trusted, or malformed."""


@dataclass(frozen=True)
class Stamp:
    """A time stamp that was checked.

    Attributes: time (UTC), accuracy in seconds or None when the authority states none, authority (the subject of the
    certificate that signed), policy (the authority's, an OID), serial (its number for this stamp).
    """

    time: datetime
    accuracy: float | None
    authority: str
    policy: str
    serial: int


def stamp_checkpoint(note: bytes, url: str, roots: Sequence[x509.Certificate]) -> bytes:
    """Have an authority stamp a checkpoint, check its answer, and give the reply's DER bytes.

    Raises WebFailure when the authority does not answer, TimestampError when its answer does not hold under `roots`.
    """
    client = _library()
    request: TimeStampRequest = (
        client.TimestampRequestBuilder()
        .data(_stamped(note))
        .hash_algorithm(client.HashAlgorithm.SHA256)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    with Web(url) as web:
        reply = web.post("", request.as_bytes(), MAX_TOKEN_BYTES, {"content-type": _QUERY_TYPE, "accept": _REPLY_TYPE})
    if reply.status != 200 or reply.media_type != _REPLY_TYPE:
        raise WebFailure(
            f"{url} answers with status {reply.status} and {reply.media_type or 'no type'}: it is no authority"
        )
    check_stamp(note, reply.body, roots, nonce=request.nonce)
    return reply.body


def check_stamp(note: bytes, token: bytes, roots: Sequence[x509.Certificate], *, nonce: int | None = None) -> Stamp:
    """Check a time stamp of a checkpoint, offline.

    `token` is the authority's reply (TimeStampResp), `roots` the certificates that are trusted.
    Raises TimestampError when it is of another text, is signed by nobody under `roots`, or is malformed.
    """
    client = _library()
    if not roots:
        raise UserError("no trusted certificate is given: name the file of the time stamp authority's root")
    try:
        response = client.decode_timestamp_response(token)
        builder = client.VerifierBuilder(roots=list(roots), nonce=nonce)
        builder.build().verify_message(response, _stamped(note))
        return _read(response)
    except client.VerificationError as error:
        raise TimestampError(f"the time stamp does not hold: {_sentence(error)}") from None
    except (ValueError, TypeError, AttributeError, LookupError) as error:
        raise TimestampError(f"the time stamp cannot be read: {_sentence(error)}") from None


def load_certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file.  Raises UserError when it cannot be read or holds none."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}): name a file of certificates") from None
    except ValueError:
        raise UserError(f"{path} holds no certificates in PEM form: name the file of the authority's root") from None


def _stamped(note: bytes) -> bytes:
    text = parse_note(note).text
    parse_checkpoint(text)
    return text.encode()


def _read(response: Any) -> Stamp:
    info = response.tst_info
    accuracy = info.accuracy
    seconds = None
    if accuracy is not None:
        seconds = (accuracy.seconds or 0) + (accuracy.millis or 0) / 1e3 + (accuracy.micros or 0) / 1e6
    return Stamp(info.gen_time, seconds, _authority(response), info.policy.dotted_string, info.serial_number)


def _authority(response: Any) -> str:
    """The subject of the certificate whose serial number the signature names."""
    (signer,) = response.signed_data.signer_infos
    for encoded in response.signed_data.certificates:
        certificate = x509.load_der_x509_certificate(encoded)
        if certificate.serial_number == signer.serial_number and certificate.issuer == signer.issuer:
            return certificate.subject.rfc4514_string()
    return "unnamed"


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _library() -> Any:
    try:
        import rfc3161_client
    except ImportError:
        raise MissingExtra("A time stamp on a checkpoint", "timestamps") from None
    return rfc3161_client
