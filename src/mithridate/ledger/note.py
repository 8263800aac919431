"""Signed notes (C2SP signed-note): a text and lines that say who signed it.

    <text, which may hold blank lines and ends with a newline>
    <one blank line, the last in the note>
    — <key name> <base64 of the 4-byte key ID and the signature>

A note's text may be used only when a trusted key signed it, so the one way to it is `open_note`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mithridate.ledger.encodings import from_base64, to_base64
from mithridate.ledger.errors import NoteError

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
KEY_ID_SIZE = 4

_MARK = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class NoteSignature:
    """One signature line: the key's name, its 4-byte ID, and what follows it."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The line as it stands in a note, its newline included."""
        return f"{_MARK}{self.name} {to_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True)
class Note:
    """A note as parsed; nothing says yet that anyone trusted signed it."""

    text: str
    signatures: tuple[NoteSignature, ...]

    def encode(self) -> bytes:
        """The note's bytes."""
        return (self.text + "\n" + "".join(signature.line() for signature in self.signatures)).encode()


@dataclass(frozen=True)
class Endorsement:
    """A signature that was checked: by which key, and the time in seconds since 1970 that it states, if any."""

    name: str
    key_id: bytes
    time: int | None = None


class NoteVerifier(Protocol):
    """A trusted key."""

    @property
    def name(self) -> str: ...

    @property
    def key_id(self) -> bytes: ...

    def check(self, text: str, signature: bytes) -> int | None:
        """The time that the signature states, None when its kind states none.  Raises NoteError when it is false."""
        ...


class NoteSigner(Protocol):
    """A key that signs notes under a name."""

    def sign_text(self, text: str) -> NoteSignature:
        """The signature over a note's text."""
        ...


def key_id(name: str, kind: int, public_key: bytes) -> bytes:
    """The 4 bytes that, with the name, say which key signed: a hint for finding it, not a proof of anything."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + public_key).digest()[:KEY_ID_SIZE]


def check_key_name(name: str) -> str:
    """The name itself.  Raises NoteError when it is empty or holds a space, a plus sign or a control character."""
    if not name or "+" in name or any(letter.isspace() or letter < " " for letter in name):
        raise NoteError(f"{name!r} is not a key name: it must not be empty or hold spaces, control characters or '+'")
    return name


def parse_note(data: bytes) -> Note:
    """Split a note into its text and its signatures, checking no signature.

    Raises NoteError for anything that is not exactly of the form, so `parse_note(data).encode() == data`.
    """
    text, tail = _split(_decode(data))
    lines = tail.split("\n")
    if lines[-1] != "" or len(lines) < 2:
        raise NoteError("the note has no signature line, or its last one does not end with a newline")
    if len(lines) - 1 > MAX_SIGNATURES:
        raise NoteError(f"the note has {len(lines) - 1} signatures, above the limit of {MAX_SIGNATURES}")
    return Note(text, tuple(_parse_line(line) for line in lines[:-1]))


def open_note(data: bytes, verifiers: Iterable[NoteVerifier]) -> tuple[Note, tuple[Endorsement, ...]]:
    """Parse a note and check the signatures of all keys that are trusted; others are ignored, as they must be.

    Each key is listed once.  Raises NoteError when the note is malformed, a trusted key's signature is false, or no
    trusted key signed.
    """
    note = parse_note(data)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    endorsements: dict[tuple[str, bytes], Endorsement] = {}
    for signature in note.signatures:
        key = (signature.name, signature.key_id)
        if verifier := known.get(key):
            time = verifier.check(note.text, signature.signature)
            endorsements.setdefault(key, Endorsement(*key, time))
    if not endorsements:
        trusted = ", ".join(sorted({name for name, _ in known})) or "nobody"
        raise NoteError(f"the note is signed by none of the trusted keys ({trusted}): do not use it")
    return note, tuple(endorsements.values())


def sign_note(text: str, signers: Sequence[NoteSigner]) -> Note:
    """A note over the text with one signature of each signer.  Raises NoteError for a text that no note can hold."""
    note = Note(text, tuple(signer.sign_text(text) for signer in signers))
    parsed = parse_note(note.encode())
    if parsed != note:
        raise NoteError("the text would be read back differently: it must end with one newline")
    return note


def _decode(data: bytes) -> str:
    if len(data) > MAX_NOTE_BYTES:
        raise NoteError(f"the note has {len(data):,} bytes, above the limit of {MAX_NOTE_BYTES:,}")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise NoteError("the note is not UTF-8") from None
    if _CONTROL.search(whole):
        raise NoteError("the note holds a control character other than newline")
    return whole


def _split(whole: str) -> tuple[str, str]:
    """Text and signature lines, parted at the last blank line."""
    end = whole.rfind("\n\n")
    if end < 0:
        raise NoteError("the note has no blank line between its text and its signatures")
    return whole[: end + 1], whole[end + 2 :]


def _parse_line(line: str) -> NoteSignature:
    parts = line.removeprefix(_MARK).split(" ")
    if not line.startswith(_MARK) or len(parts) != 2:
        raise NoteError("a signature line is not an em dash, a key name and a signature with one space between each")
    name = check_key_name(parts[0])
    try:
        blob = from_base64(parts[1])
    except ValueError as error:
        raise NoteError(f"the signature of {name} cannot be read: {error}") from None
    if len(blob) <= KEY_ID_SIZE:
        raise NoteError(f"the signature of {name} holds no more than a key ID")
    return NoteSignature(name, blob[:KEY_ID_SIZE], blob[KEY_ID_SIZE:])
