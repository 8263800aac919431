"""Notes and checkpoints: the specification's own examples, and everything that only looks like one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mithridate.ledger.checkpoint import Checkpoint, add_signatures, open_checkpoint, parse_checkpoint, sign_checkpoint
from mithridate.ledger.errors import NoteError
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.merkle import EMPTY_ROOT
from mithridate.ledger.note import Note, open_note, parse_note, sign_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey, VerifierKey, parse_secret_text, secret_text

ROOT = bytes(range(32))
LOG = NoteKey("log.example/scans", FileSigner.from_seed(b"\x01" * 32))
OTHER = NoteKey("log.example/scans", FileSigner.from_seed(b"\x02" * 32))
WITNESS = NoteKey("witness.example", FileSigner.from_seed(b"\x03" * 32), COSIGNATURE, clock=lambda: 1679315147.9)

# The worked example of the Go module golang.org/x/mod/sumdb/note, whose keys are published with it.
GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_NOTE = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
    "\n"
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
TEXTS = st.lists(
    st.text(st.characters(blacklist_categories=["Cs"], min_codepoint=32), max_size=12), min_size=1, max_size=5
).map(lambda lines: "".join(line + "\n" for line in lines))


def test_a_note_by_another_program_verifies_and_is_made_again_byte_for_byte() -> None:
    key = parse_secret_text(GO_SECRET)
    assert str(key.verifier()) == GO_PUBLIC
    assert secret_text("PeterNeumann", FileSigner.from_seed(key.signer.seed())) == GO_SECRET  # type: ignore[attr-defined]
    note, endorsements = open_note(GO_NOTE.encode(), [VerifierKey.parse(GO_PUBLIC)])
    assert note.encode() == GO_NOTE.encode()
    assert [endorsement.name for endorsement in endorsements] == ["PeterNeumann"]
    assert sign_note(note.text, [key]).encode() == GO_NOTE.encode()


@given(TEXTS)
def test_what_is_signed_is_what_is_read(text: str) -> None:
    note, endorsements = open_note(sign_note(text, [LOG, WITNESS]).encode(), [LOG.verifier(), WITNESS.verifier()])
    assert note.text == text
    assert [(e.name, e.time) for e in endorsements] == [("log.example/scans", None), ("witness.example", 1679315147)]


def test_the_text_ends_at_the_last_blank_line() -> None:
    inner = sign_note("inner\n", [OTHER]).encode().decode()
    note = sign_note(inner, [LOG])
    assert parse_note(note.encode()) == note
    assert open_note(note.encode(), [LOG.verifier()])[0].text == inner
    with pytest.raises(NoteError):  # a signature inside the text signs nothing
        open_note(note.encode(), [OTHER.verifier()])


@given(st.data())
def test_no_changed_byte_is_accepted(data: st.DataObject) -> None:
    encoded = sign_note("text\n\nmore\n", [LOG]).encode()
    place, bit = data.draw(st.integers(0, len(encoded) - 1)), data.draw(st.integers(0, 7))
    changed = encoded[:place] + bytes([encoded[place] ^ 1 << bit]) + encoded[place + 1 :]
    with pytest.raises(NoteError):
        open_note(changed, [LOG.verifier()])


@given(st.binary(max_size=120))
def test_bytes_that_parse_are_written_again_the_same(data: bytes) -> None:
    try:
        note = parse_note(data)
    except NoteError:
        return
    assert note.encode() == data


def test_only_the_key_counts_not_the_name_or_the_id_alone() -> None:
    note = sign_note("text\n", [OTHER])
    with pytest.raises(NoteError, match="none of the trusted keys"):
        open_note(note.encode(), [LOG.verifier()])
    forged = note.signatures[0].__class__(LOG.name, LOG.verifier().key_id, note.signatures[0].signature)
    with pytest.raises(NoteError, match="false"):
        open_note(Note(note.text, (forged,)).encode(), [LOG.verifier()])


def test_a_false_signature_of_a_trusted_key_spoils_the_note() -> None:
    good = sign_note("text\n", [LOG, WITNESS])
    bad = Note("text\n", (good.signatures[0], sign_note("else\n", [WITNESS]).signatures[0]))
    assert len(open_note(bad.encode(), [LOG.verifier()])[1]) == 1  # to one who does not know the witness it is noise
    with pytest.raises(NoteError, match="false"):
        open_note(bad.encode(), [LOG.verifier(), WITNESS.verifier()])


def test_a_cosignature_is_not_a_plain_signature_and_its_time_is_signed() -> None:
    as_plain = NoteKey(WITNESS.name, WITNESS.signer)
    assert as_plain.verifier().key_id != WITNESS.verifier().key_id
    line = sign_note("text\n", [WITNESS]).signatures[0]
    later = line.__class__(line.name, line.key_id, (1679315148).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(NoteError, match="false"):
        open_note(Note("text\n", (later,)).encode(), [WITNESS.verifier()])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"text\n",
        b"text\n\n",
        b"text\n\n\n",
        "text\n\n— a AAAAAAA=".encode(),  # no last newline
        "text\n\n— a AAAAAA==\n".encode(),  # a key ID alone
        "text\n\n— a AAAAAAB=\n".encode(),  # base64 with unused bits set
        "text\n\n— a AAAA AAA=\n".encode(),
        "text\n\n—  a AAAAAAA=\n".encode(),
        "text\n\n— a+b AAAAAAA=\n".encode(),
        "text\n\n— a\u2003b AAAAAAA=\n".encode(),
        b"text\n\n- a AAAAAAA=\n",
        "text\r\n\n— a AAAAAAA=\n".encode(),
        "te\txt\n\n— a AAAAAAA=\n".encode(),
        b"te\xffxt\n\n" + "— a AAAAAAA=\n".encode(),
        b"text\n\n" + "— a AAAAAAA=\n".encode() * 101,
        b"x" * 1_000_001,
    ],
)
def test_malformed_notes_are_refused(data: bytes) -> None:
    with pytest.raises(NoteError):
        parse_note(data)


@pytest.mark.parametrize("text", ["", "no newline", "control\x07\n"])
def test_texts_that_no_note_can_hold_are_not_signed(text: str) -> None:
    with pytest.raises(NoteError):
        sign_note(text, [LOG])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name+12345678",
        GO_PUBLIC.replace("c74f20a3", "c74f20a4"),
        GO_PUBLIC.replace("c74f20a3", "C74F20A3"),
        GO_PUBLIC.replace("Peter", "Peter "),
        GO_PUBLIC[:-4],
        GO_PUBLIC.replace("+AR", "+BR"),
        GO_PUBLIC.replace("TW", "T=W"),
    ],
)
def test_malformed_keys_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)
    with pytest.raises(NoteError):
        parse_secret_text("PRIVATE+KEY+" + text)


@given(st.integers(1, 2**63 - 1), st.lists(st.sampled_from(["extension", "— x", "0"]), max_size=2))
def test_checkpoints_are_read_as_written(size: int, extensions: list[str]) -> None:
    checkpoint = Checkpoint("log.example/scans", size, ROOT, tuple(extensions))
    assert parse_checkpoint(checkpoint.text()) == checkpoint
    opened, _ = open_checkpoint(sign_checkpoint(checkpoint, [LOG]), [LOG.verifier()], origin="log.example/scans")
    assert opened == checkpoint


def test_a_witness_adds_its_signature_below_the_logs() -> None:
    data = sign_checkpoint(Checkpoint("log.example/scans", 5, ROOT), [LOG])
    cosigned = add_signatures(parse_note(data), [WITNESS]).encode()
    assert cosigned.startswith(data)
    _, endorsements = open_checkpoint(cosigned, [WITNESS.verifier(), LOG.verifier()])
    assert {endorsement.name for endorsement in endorsements} == {LOG.name, WITNESS.name}
    with pytest.raises(NoteError, match="not of"):
        open_checkpoint(cosigned, [LOG.verifier()], origin="log.example/other")


def test_the_empty_log_has_the_one_root_of_nothing() -> None:
    assert parse_checkpoint(Checkpoint("o", 0, EMPTY_ROOT).text()).size == 0
    with pytest.raises(NoteError):
        Checkpoint("o", 0, ROOT)


ROOT_LINE = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


@pytest.mark.parametrize(
    "text",
    [
        "o\n1\n",
        f"o\n1\n{ROOT_LINE}",
        f"\n1\n{ROOT_LINE}\n",
        f"o\n01\n{ROOT_LINE}\n",
        f"o\n+1\n{ROOT_LINE}\n",
        f"o\n-1\n{ROOT_LINE}\n",
        f"o\n 1\n{ROOT_LINE}\n",
        f"o\n1_0\n{ROOT_LINE}\n",
        f"o\n١\n{ROOT_LINE}\n",
        f"o\n0x1\n{ROOT_LINE}\n",
        f"o\n{2**63}\n{ROOT_LINE}\n",
        f"o\n0\n{ROOT_LINE}\n",
        f"o\n1\n{ROOT_LINE[:-4]}\n",
        f"o\n1\n{ROOT_LINE[:-2]}9=\n",
        f"o\n1\n{ROOT_LINE}\n\n",
        f"o\n1\n{ROOT_LINE}\n\nextension\n",
    ],
)
def test_malformed_checkpoints_are_refused(text: str) -> None:
    assert parse_checkpoint(f"o\n1\n{ROOT_LINE}\n") == Checkpoint("o", 1, ROOT)
    with pytest.raises(NoteError):
        parse_checkpoint(text)


def test_an_oversized_time_is_not_a_cosignature(tmp_path: Path) -> None:
    line = sign_note("text\n", [WITNESS]).signatures[0]
    short = line.__class__(line.name, line.key_id, line.signature[:-1])
    with pytest.raises(NoteError, match="72"):
        open_note(Note("text\n", (short,)).encode(), [WITNESS.verifier()])
