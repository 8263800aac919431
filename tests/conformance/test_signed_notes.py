"""Notes of others: examples of the specifications and of the reference program, byte for byte.

Sources: C2SP signed-note, tlog-cosignature and tlog-witness (the examples in their texts), and the documentation of
Go's golang.org/x/mod/sumdb/note, whose example pair of keys is public on purpose.
"""

from __future__ import annotations

import hashlib

import pytest

from mithridate.ledger.checkpoint import parse_checkpoint
from mithridate.ledger.errors import NoteError
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.mldsa import MLDSA, MldsaKey
from mithridate.ledger.note import key_id, open_note, parse_note, sign_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey, VerifierKey, parse_secret_text, secret_text
from mithridate.ledger.witness.wire import AddCheckpoint

GO_SECRET = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_SIGNATURE = "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
GO_NOTE = f"{GO_TEXT}\n— PeterNeumann {GO_SIGNATURE}\n".encode()

COSIGNED = """\
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
"""  # noqa: E501

REQUEST = """\
old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— example.com/behind-the-sofa opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=
"""  # noqa: E501


def test_gos_note_is_accepted() -> None:
    note, (endorsement,) = open_note(GO_NOTE, [VerifierKey.parse(GO_VERIFIER)])
    assert (note.text, endorsement.name, endorsement.time) == (GO_TEXT, "PeterNeumann", None)
    assert str(VerifierKey.parse(GO_VERIFIER)) == GO_VERIFIER


def test_gos_key_signs_gos_note_byte_for_byte() -> None:
    key = parse_secret_text(GO_SECRET)
    assert sign_note(GO_TEXT, [key]).encode() == GO_NOTE
    assert str(key.verifier()) == GO_VERIFIER
    assert isinstance(key.signer, FileSigner)
    assert secret_text("PeterNeumann", key.signer) == GO_SECRET


def test_gos_note_with_any_byte_changed_is_refused() -> None:
    key = VerifierKey.parse(GO_VERIFIER)
    for place in range(len(GO_NOTE)):
        changed = GO_NOTE[:place] + bytes([GO_NOTE[place] ^ 1]) + GO_NOTE[place + 1 :]
        with pytest.raises(NoteError):
            open_note(changed, [key])


@pytest.mark.parametrize(
    "text",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",  # wrong length, adjusted ID
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",  # unknown algorithm, adjusted ID
    ],
)
def test_keys_that_go_refuses_are_refused(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_gos_key_mangled_anywhere_is_refused() -> None:
    for place in range(len(GO_VERIFIER)):
        changed = GO_VERIFIER[:place] + chr(ord(GO_VERIFIER[place]) + 1) + GO_VERIFIER[place + 1 :]
        with pytest.raises(NoteError):
            VerifierKey.parse(changed)
    for end in range(len(GO_VERIFIER)):
        with pytest.raises(NoteError):
            VerifierKey.parse(GO_VERIFIER[:end])


def test_the_specifications_cosigned_checkpoint_is_read() -> None:
    note = parse_note(COSIGNED.encode())
    assert note.encode() == COSIGNED.encode()
    checkpoint = parse_checkpoint(note.text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    log, witness = note.signatures
    assert (log.name, len(log.signature)) == ("example.com/behind-the-sofa", 64)
    assert (witness.name, len(witness.signature)) == ("witness.example.com/w1", 72)
    assert int.from_bytes(witness.signature[:8], "big") == 1679315147  # as the specification's message states


def test_the_specifications_request_is_read_and_written() -> None:
    request = AddCheckpoint.decode(REQUEST.encode())
    assert (request.old, len(request.proof)) == (20852014, 4)
    assert len(parse_note(request.note).signatures) == 2
    assert request.encode() == REQUEST.encode()


def test_a_cosignature_is_over_the_message_that_the_specification_spells_out() -> None:
    text = COSIGNED.split("\n\n")[0] + "\n"
    signer = FileSigner.from_seed(b"\x07" * 32)
    key = NoteKey("witness.example.com/w1", signer, COSIGNATURE, clock=lambda: 1679315147)
    message = (
        "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n"
        "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    )
    made = key.sign_text(text).signature
    assert made == (1679315147).to_bytes(8, "big") + signer.sign(message.encode())


def test_key_ids_are_the_hashes_that_the_specifications_define() -> None:
    public = b"\x01" * 32
    for kind, content in ((0x01, public), (0x04, public)):
        expected = hashlib.sha256(b"name\n" + bytes([kind]) + content).digest()[:4]
        assert key_id("name", kind, content) == expected == VerifierKey("name", content, kind).key_id
    verifier = MldsaKey("name", b"\x02" * 32).verifier()
    assert MLDSA == 0x06
    assert len(verifier.public_key) == 1312
    assert verifier.key_id == hashlib.sha256(b"name\n\x06" + verifier.public_key).digest()[:4]
