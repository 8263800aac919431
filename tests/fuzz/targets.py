"""Every parser that reads bytes of others, with bytes that it accepts, and what must hold of whatever it accepts.

Each target is a function of bytes that says whether they are accepted, and raises when the parser is wrong: when it
crashes, or takes something that it should refuse.  The tests here and `fuzz/run_atheris.py` drive the same targets.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from io import BytesIO

import numpy as np
from PIL import Image

from ledger.dicom_files import FOLDER
from mithridate.errors import UserError
from mithridate.ledger import canonical, merkle
from mithridate.ledger.bundle import ProofBundle, judge_offline
from mithridate.ledger.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint, sign_checkpoint
from mithridate.ledger.entry import open_entry, read_entry, sign_record
from mithridate.ledger.errors import EvidenceError, RecordError, TileError
from mithridate.ledger.fingerprint import Fingerprint, Verdict, compare, fingerprint_image
from mithridate.ledger.fingerprint.model import FingerprintError, Limits
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import FileSigner
from mithridate.ledger.note import parse_note
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey
from mithridate.ledger.quorum import parse_policy
from mithridate.ledger.record import Capture, Enrolment, Record, Revocation
from mithridate.ledger.status import Status
from mithridate.ledger.tiles import Tile, decode_bundle, decode_hashes, encode_bundle, parse_path
from mithridate.ledger.witness.wire import AddCheckpoint

Target = Callable[[bytes], bool]

LIMITS = Limits(file_bytes=1 << 20, inflated_bytes=4 << 20, frame_samples=1 << 20, frames=64)
SALT = b"\x05" * 32

LOG = NoteKey("log.example/1", FileSigner.from_seed(b"\x01" * 32))
WITNESS = NoteKey("w.example", FileSigner.from_seed(b"\x02" * 32), COSIGNATURE, clock=lambda: 1_700_000_000)
DEVICE_KEY = FileSigner.from_seed(b"\x03" * 32)
DEVICE = DeviceIdentity("CT1", "Maker", "Model", "0001", "1.0", DEVICE_KEY.public_key)
IMAGE = (FOLDER / "MR_small_RLE.dcm").read_bytes()


@functools.cache
def entries() -> tuple[bytes, ...]:
    """Entries of each kind, signed by the device."""
    sealed = fingerprint_image(IMAGE, "image").seal(SALT)
    bodies = (Enrolment.create(DEVICE, DEVICE_KEY), Capture(sealed), Revocation("record", b"t" * 32, "reason"))
    return tuple(
        sign_record(Record(DEVICE.device_id, number, 1_700_000_000_000_000, body), DEVICE, DEVICE_KEY)
        for number, body in enumerate(bodies)
    )


@functools.cache
def checkpoint() -> bytes:
    root = merkle.tree_root(map(merkle.leaf_hash, entries()))
    return sign_checkpoint(Checkpoint(LOG.name, len(entries()), root), [LOG, WITNESS])


@functools.cache
def bundle() -> bytes:
    """The proof of the capture."""
    from mithridate.ledger.bundle import Membership

    leaves = [merkle.leaf_hash(entry) for entry in entries()]

    def member(index: int) -> Membership:
        proof = merkle.inclusion_proof(
            index, 3, lambda level, place: merkle.tree_root(leaves[place << level : (place + 1) << level])
        )
        return Membership(index, entries()[index], proof)

    status = Status(parse_checkpoint(parse_note(checkpoint()).text), leaves[1], None).sign(LOG)
    return ProofBundle(member(1), member(0), checkpoint(), status, None, SALT, None).encode()


def fuzz_canonical(data: bytes) -> bool:
    try:
        value = canonical.decode(data)
    except RecordError:
        return False
    assert canonical.encode(value) == data
    return True


def fuzz_entry(data: bytes) -> bool:
    try:
        record, _ = read_entry(data)
        assert Record.decode(record.encode()) == record
        open_entry(data, DEVICE)
    except RecordError:
        return False
    assert data in entries()  # whatever else the device signed, it did not sign this
    return True


def fuzz_note(data: bytes) -> bool:
    try:
        note = parse_note(data)
        assert note.encode() == data
        found, _ = open_checkpoint(data, [LOG.verifier()])
    except EvidenceError:
        return False
    genuine = parse_checkpoint(parse_note(checkpoint()).text)
    assert found == genuine  # signatures of strangers may be added or changed, what is signed may not
    return True


def fuzz_checkpoint_text(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
        assert parse_checkpoint(text).text() == text
    except (EvidenceError, UnicodeDecodeError):
        return False
    return True


def fuzz_tiles(data: bytes) -> bool:
    accepted = False
    for width in (1, 3, 256):
        with contextlib.suppress(TileError):
            assert encode_bundle(decode_bundle(data, Tile(None, 0, width))) == data
            accepted = True
        with contextlib.suppress(TileError):
            assert b"".join(decode_hashes(data, Tile(0, 0, width))) == data
            accepted = True
    with contextlib.suppress(TileError):
        path = data.decode("latin-1")
        assert parse_path(path).path == path
        accepted = True
    return accepted


def fuzz_bundle(data: bytes) -> bool:
    """A changed bundle is refused, or says nothing else of the image than the true one, or less."""
    try:
        found = ProofBundle.decode(data)
        assert found.encode() == data
        judgement = judge_offline(found, LOG.verifier(), IMAGE, "image", [WITNESS.verifier()])
    except EvidenceError:
        return False
    assert judgement.index == 1
    assert judgement.verdict is Verdict.IDENTICAL
    assert found.record == ProofBundle.decode(bundle()).record
    return True


def fuzz_request(data: bytes) -> bool:
    try:
        assert AddCheckpoint.decode(data).encode() == data
    except EvidenceError:
        return False
    return True


def fuzz_policy(data: bytes) -> bool:
    try:
        parse_policy(data)
    except UserError:
        return False
    return True


def _raster(kind: str, mode: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@functools.cache
def images(kind: str) -> tuple[bytes, ...]:
    """Small images of a kind."""
    if kind == "DICOM":
        names = (
            "MR_small_RLE.dcm",
            "SC_rgb_small_odd.dcm",
            "SC_rgb_small_odd_jpeg.dcm",
            "image_dfl.dcm",
            "reportsi.dcm",
        )
        return tuple(data for name in names if len(data := (FOLDER / name).read_bytes()) < 200_000)
    return tuple(_raster(kind, mode) for mode in ("RGB", "L"))


@functools.cache
def _fingerprints(kind: str) -> tuple[Fingerprint, ...]:
    return tuple(fingerprint_image(data, "original") for data in images(kind))


def fuzz_image(kind: str, data: bytes) -> bool:
    """A changed image is refused, or is judged as another, or truly shows the same."""
    try:
        found = fingerprint_image(data, "image", LIMITS)
    except FingerprintError:
        return False
    for original in _fingerprints(kind):
        judgement = compare(original.seal(SALT), found, SALT)
        if judgement.verdict is Verdict.IDENTICAL:
            assert data in images(kind)
        elif judgement.verdict is Verdict.TRANSCODED:
            assert found.fault is None
            same = (original.pixels, original.attributes, original.identity)
            assert (found.pixels, found.attributes, found.identity) == same
            assert found.pixels is not None or found.stream == original.stream
    return True


TARGETS: Mapping[str, tuple[Target, Callable[[], tuple[bytes, ...]]]] = {
    "canonical": (fuzz_canonical, lambda: (canonical.encode({"a": [1, b"x", None], "b": "text"}), *entries())),
    "entry": (fuzz_entry, entries),
    "note": (fuzz_note, lambda: (checkpoint(),)),
    "checkpoint": (fuzz_checkpoint_text, lambda: (parse_note(checkpoint()).text.encode(),)),
    "tiles": (fuzz_tiles, lambda: (encode_bundle([b"", b"one", b"two"]), bytes(96), b"tile/entries/x001/067.p/3")),
    "bundle": (fuzz_bundle, lambda: (bundle(),)),
    "request": (fuzz_request, lambda: (AddCheckpoint(3, (b"h" * 32,), checkpoint()).encode(),)),
    "policy": (fuzz_policy, lambda: (f"log {LOG.verifier()}\nwitness w {WITNESS.verifier()}\nquorum w\n".encode(),)),
    **{
        f"image-{kind.lower()}": (functools.partial(fuzz_image, kind), functools.partial(images, kind))
        for kind in ("DICOM", "PNG", "JPEG", "TIFF")
    },
}
"""Each target with the bytes that it starts from."""
