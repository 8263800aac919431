"""Images that bear no identity: an altered PNG, JPEG or TIFF is told from one that was never logged."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ledger.samples import ORIGIN
from mithridate.ledger.fingerprint import Verdict
from mithridate.ledger.gate import Expected, Gate, GateRefusal, Policy, RefusalCode
from mithridate.ledger.log import Ledger, Station
from mithridate.ledger.store.tables import Lookup

KINDS = ("PNG", "JPEG", "TIFF")


def picture(kind: str = "PNG", seed: int = 0, *, changed: bool = False) -> bytes:
    """A picture of its own for each seed; `changed` is the same with one sample of one pixel changed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    if changed:
        pixels[8, 8, 1] ^= 64
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def camera(sqlite_ledger: Ledger) -> Station:
    return sqlite_ledger.add_station("CAMERA")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known_as", ["/scans/eye/a.png", "eye/a.png", "a.png", "/moved/elsewhere/a.png"])
def test_an_altered_picture_is_judged_by_the_record_of_its_file(ledger: Ledger, kind: str, known_as: str) -> None:
    camera = ledger.add_station("CAMERA")
    logged = ledger.capture(picture(kind), "a", station=camera, known_as="/scans/eye/a.png")
    ledger.capture(picture(kind, 1), "b", station=camera, known_as="/scans/eye/b.png")
    found = ledger.judge(picture(kind, changed=True), "a", known_as=known_as)
    assert (found.verdict, found.index) == (Verdict.MISMATCH, logged.index)
    assert "by the record of the file of this name" in found.reason
    assert ledger.judge(picture(kind), "z.png").verdict is Verdict.IDENTICAL, "the name is a hint, not a condition"
    assert ledger.judge(picture(kind, 2), "new.png").verdict is Verdict.UNKNOWN
    assert ledger.fsck().is_clean


def test_a_name_that_several_files_have_decides_nothing(sqlite_ledger: Ledger, camera: Station) -> None:
    indices = [
        sqlite_ledger.capture(picture(seed=seed), "x", station=camera, known_as=f"/{seed}/eyes/1.png").index
        for seed in range(2)
    ]
    for known_as in ("eyes/1.png", "1.png", "/9/eyes/1.png"):
        found = sqlite_ledger.judge(picture(changed=True), "x", known_as=known_as)
        assert (found.verdict, found.index) == (Verdict.UNKNOWN, None)
        assert f"(entries {indices[1]}, {indices[0]}): say which entry" in found.reason
    for seed, index in enumerate(indices):
        whole = sqlite_ledger.judge(picture(changed=True), "x", known_as=f"/{seed}/eyes/1.png")
        assert (whole.verdict, whole.index) == (Verdict.MISMATCH, index)
        named = sqlite_ledger.judge(picture(changed=True), "x", entry=index)
        assert (named.verdict, named.index) == (Verdict.MISMATCH, index)


def test_the_same_file_logged_again_is_judged_by_its_newest_record(sqlite_ledger: Ledger, camera: Station) -> None:
    sqlite_ledger.capture(picture(seed=1), "a.png", station=camera)
    newest = sqlite_ledger.capture(picture(seed=2), "a.png", station=camera)
    assert sqlite_ledger.judge(picture(seed=3), "a.png").index == newest.index


def test_a_name_makes_no_image_acceptable(sqlite_ledger: Ledger, camera: Station) -> None:
    """Nor does it hide that the record of this name was revoked."""
    logged = sqlite_ledger.capture(picture(), "a.png", station=camera)
    assert not sqlite_ledger.judge(picture(seed=1), "a.png").is_accepted
    sqlite_ledger.revoke("record", logged.leaf, "mislabeled")
    assert sqlite_ledger.judge(picture(changed=True), "a.png").verdict is Verdict.REVOKED


@pytest.mark.parametrize("entry", [0, 1, 99])
def test_an_entry_that_records_no_image_vouches_for_none(sqlite_ledger: Ledger, camera: Station, entry: int) -> None:
    sqlite_ledger.capture(picture(), "a.png", station=camera)
    found = sqlite_ledger.judge(picture(), "a.png", entry=entry)
    assert (found.verdict, found.reason) == (Verdict.UNKNOWN, f"entry {entry} records no image")


def test_file_names_are_kept_as_keyed_hashes_alone(tmp_path: Path) -> None:
    name = "jones-john-1961-left.png"
    with Ledger.create(tmp_path / "ledger", origin=ORIGIN) as ledger:
        ledger.capture(picture(), name, station=ledger.add_station("CAMERA"), known_as=f"/ward/{name}")
        with ledger._store.reading() as connection:
            assert ledger._store.count_lookups(connection)[Lookup.NAME] == 3
    for path in (tmp_path / "ledger").rglob("*"):
        if path.is_file():
            assert b"jones" not in path.read_bytes(), path


def test_the_gate_admits_the_picture_whose_record_the_order_names(sqlite_ledger: Ledger, camera: Station) -> None:
    left = sqlite_ledger.capture(picture(seed=1), "left.png", station=camera).index
    right = sqlite_ledger.capture(picture(seed=2), "right.png", station=camera).index
    gate = Gate(Policy(log_key=str(sqlite_ledger.verifier())), sqlite_ledger)

    def refused(data: bytes, expected: Expected, **options: object) -> GateRefusal:
        with pytest.raises(GateRefusal) as refusal:
            gate.admit(data, expected=expected, **options)  # type: ignore[arg-type]
        return refusal.value

    assert gate.admit(picture(seed=1), expected=Expected(entry=left)).index == left
    bundle = sqlite_ledger.prove(left).encode()
    offline = Gate(gate.policy)
    assert offline.admit(picture(seed=1), expected=Expected(entry=left), bundle=bundle).index == left
    with pytest.raises(GateRefusal) as other:
        offline.admit(picture(seed=1), expected=Expected(entry=right), bundle=bundle)
    assert other.value.code is RefusalCode.UNEXPECTED_IDENTITY
    changed = refused(picture(seed=1, changed=True), Expected(entry=left))
    assert (changed.code, changed.verdict, changed.index) == (RefusalCode.MISMATCH, Verdict.MISMATCH, left)
    assert refused(picture(seed=1), Expected(entry=right)).code is RefusalCode.MISMATCH
    assert refused(picture(seed=1), Expected()).code is RefusalCode.IDENTITY_MISSING
    assert refused(picture(seed=1), Expected(patient="P1", entry=left)).code is RefusalCode.IDENTITY_MISSING
    nonce = gate.nonces.issue(Expected(entry=left)).text
    assert refused(picture(seed=2), Expected(entry=right), nonce=nonce).code is RefusalCode.NONCE
