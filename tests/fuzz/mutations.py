"""Changed bytes: what storage, networks and enemies make of a file."""

from __future__ import annotations

from hypothesis import strategies as st

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


@st.composite
def mutated(draw: st.DrawFn, originals: tuple[bytes, ...]) -> bytes:
    """One of the originals with one to four changes: bytes set, flipped, cut out, doubled, moved in from another."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(len(data) - 1, 0)))
        length = draw(st.integers(1, 64))
        kind = draw(st.integers(0, 6))
        if kind == 0 and data:
            data[place] = draw(st.sampled_from(_INTERESTING) | st.integers(0, 255))
        elif kind == 1 and data:
            data[place] ^= 1 << draw(st.integers(0, 7))
        elif kind == 2:
            del data[place : place + length]
        elif kind == 3:
            data[place:place] = data[place : place + length]
        elif kind == 4:
            other = draw(st.sampled_from(originals))
            start = draw(st.integers(0, max(len(other) - 1, 0)))
            data[place : place + length] = other[start : start + length]
        elif kind == 5:
            data[place : place + 4] = draw(st.integers(0, 2**32 - 1)).to_bytes(
                4, draw(st.sampled_from(["big", "little"]))
            )
        else:
            del data[place:]
    return bytes(data)
