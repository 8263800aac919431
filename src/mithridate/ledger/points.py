"""Points of Ed25519 that no honest key or signature holds, and that libraries disagree about.

With a public key of small order, one signature holds over many messages, so that anyone can sign for its owner, and the
owner can deny it; a point spelled in a second way makes two keys of one.  RFC 8032 leaves open what to do about either;
Chalkias, Garillot and Nikolaenko, "Taming the Many EdDSAs" (2020), show what each library does.
"""

from __future__ import annotations

_PRIME = 2**255 - 19
_SIGN = 1 << 255

SMALL_ORDER = frozenset(
    {
        1,  # order 1, the neutral element
        _PRIME - 1,  # order 2
        0,  # order 4
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,  # order 8
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,  # order 8
    }
)
"""The y coordinates of the eight points of small order."""


def is_sound_point(encoded: bytes) -> bool:
    """Whether 32 bytes are the one spelling of a y coordinate, and not that of a point of small order.

    That there is a point with this coordinate is left to whoever computes with it.
    """
    y = int.from_bytes(encoded, "little") & ~_SIGN
    return y < _PRIME and y not in SMALL_ORDER
