"""The arithmetic of Ed25519 signatures: by libsodium where PyNaCl is installed, in a third less time, or by OpenSSL.

Both check the equation of RFC 8032 (5.1.7) without the cofactor, and refuse a second half that is not below the order
of the group.  They differ about points that no honest signer uses: the caller has refused those before (`points`), so
that it does not matter which of the two is asked.
"""

from __future__ import annotations

from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_load = lru_cache(maxsize=1024)(Ed25519PublicKey.from_public_bytes)


def by_openssl(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature of 64 bytes holds, for a public key of 32."""
    try:
        _load(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def by_libsodium(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature of 64 bytes holds, for a public key of 32.  Needs PyNaCl."""
    try:
        crypto_sign_open(signature + message, public_key)
    except BadSignatureError:
        return False
    return True


try:
    from nacl.bindings import crypto_sign_open  # type: ignore[import-not-found, unused-ignore]
    from nacl.exceptions import BadSignatureError  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    holds = by_openssl
else:
    holds = by_libsodium
