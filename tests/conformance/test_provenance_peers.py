"""Head to head with other provenance tools: the ledger catches every edit of the table and keeps every transcoding."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).resolve().parents[2] / "bench" / "ledger_peers.py"


@pytest.fixture(scope="module")
def peers() -> ModuleType:
    sys.path.insert(0, str(BENCH.parent))  # it has helpers beside it
    spec = importlib.util.spec_from_file_location("ledger_peers", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["ledger_peers"] = module  # its dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def missed(peers: ModuleType, found: dict[str, bool]) -> set[str]:
    return {edit for edit in peers.EDITS if found[edit]}


def lost(peers: ModuleType, found: dict[str, bool]) -> set[str]:
    return {encoding for encoding in peers.TRANSCODINGS if not found[encoding]}


def test_the_ledger_catches_every_edit_and_keeps_every_encoding(peers: ModuleType, tmp_path: Path) -> None:
    found = peers.judge(peers.ledger_peer(tmp_path / "ledger"), tmp_path / "work")
    assert len(found) == len(peers.EDITS) + len(peers.TRANSCODINGS)
    assert missed(peers, found) == set()
    assert lost(peers, found) == set()


def test_dcmsign_does_not_see_what_is_inserted_or_stripped(peers: ModuleType, tmp_path: Path) -> None:
    peer = peers.dcmsign_peer(tmp_path / "dcmsign", strict=False)
    if peer is None:
        pytest.skip("dcmsign is not installed (on Debian: apt install dcmtk)")
    found = peers.judge(peer, tmp_path / "work")
    assert missed(peers, found) >= {"Modality LUT inserted", "VOI LUT inserted", "signature stripped, pixels changed"}
    assert "one pixel changed by one" not in missed(peers, found)  # or the comparison would be unfair
    assert "RLE lossless" in lost(peers, found)


def test_c2pa_health_imaging_does_not_see_attributes_beyond_its_profile(peers: ModuleType, tmp_path: Path) -> None:
    python = peers.python_with(peers.C2PA, peers.PYTHON_VARIABLE, tmp_path, install=False)
    if python is None:
        pytest.skip(f"{peers.PYTHON_VARIABLE} names no Python that has {peers.C2PA} {peers.C2PA_VERSION}")
    found = peers.judge(peers.c2pa_peer(python, tmp_path / "c2pa"), tmp_path / "work")
    assert missed(peers, found) >= {"RescaleSlope changed", "PatientID changed", "SOPInstanceUID changed"}
    assert "one pixel changed by one" not in missed(peers, found)
