"""Text forms of bytes in which every value has exactly one spelling."""

from __future__ import annotations

import base64
import binascii


def to_base64(value: bytes) -> str:
    """Standard base64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(value).decode("ascii")


def from_base64(text: str) -> bytes:
    """The inverse of `to_base64`.  Raises ValueError for any other spelling, unused bits that are not zero included."""
    try:
        value = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("it is not base64") from None
    if to_base64(value) != text:
        raise ValueError("its base64 is not in the one canonical spelling")
    return value
