"""Errors and death at storage system calls: afterwards the log is sound and holds everything that was acknowledged.

Every run injects one fault at a call chosen by a seed.  MITHRIDATE_FAULTS=N makes N runs for each kind of call and
fault instead of one.
"""

from __future__ import annotations

import os
import random
import shutil
from pathlib import Path

import pytest

from faults import client, tracing
from ledger.samples import ORIGIN, Device, station
from mithridate.errors import UserError
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.log import Ledger

pytestmark = pytest.mark.skipif(not tracing.has_strace(), reason="strace is not installed")

RUNS = int(os.environ.get("MITHRIDATE_FAULTS", "1"))
FAULTS = {"EIO": "error=EIO", "SIGKILL": "signal=SIGKILL", "ENOSPC": "error=ENOSPC"}
WRITING = ("openat", "write", "pwrite64", "fsync", "fdatasync", "rename", "close", "unlink")
MAKING = ("mkdir", "link", "rename", "openat", "write", "fsync", "pwrite64")
PER_DEVICE = 4


class Scene:
    """A ledger with three enrolled devices, what they are going to submit, and how many calls that takes."""

    def __init__(self, folder: Path) -> None:
        self.context = tracing.server()
        self.template = folder / "template"
        devices = [Device(station(f"D{seed}", seed)) for seed in (1, 2, 3)]
        with Ledger.create(self.template, origin=ORIGIN) as ledger:
            for device in devices:
                ledger.enroll(device.enrolment())
            self.before = ledger.size
        self.entries = client.entries_of(devices, PER_DEVICE)
        self.submitting = self._count(client.submit, folder / "sound", self.entries)
        self.creating = self._count(client.create, folder / "made")

    def copy(self, to: Path) -> Path:
        return Path(shutil.copytree(self.template, to))

    def _count(self, work: object, folder: Path, *arguments: object) -> tracing.Outcome:
        if work is client.submit:
            self.copy(folder)
        log = folder.with_suffix(".strace")
        return tracing.run(self.context, work, (folder, *arguments), log)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    return Scene(tmp_path_factory.mktemp("faults"))


def occurrences(kind: str, outcome: tracing.Outcome) -> list[int]:
    """Which calls of a kind to strike, drawn from all that an undisturbed run makes."""
    draw = random.Random(f"{kind} {RUNS}")
    return [draw.randint(1, max(outcome.calls[kind.split()[0]], 1)) for _ in range(RUNS)]


def test_an_undisturbed_run_acknowledges_everything(scene: Scene) -> None:
    """Otherwise the others show nothing; it also shows that the calls to be struck are made at all."""
    assert scene.submitting.ended
    assert len(scene.submitting.receipts) == 3 * PER_DEVICE
    assert all(scene.submitting.calls[call] for call in WRITING), scene.submitting.calls
    assert scene.creating.ended
    assert all(scene.creating.calls[call] for call in MAKING), scene.creating.calls


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", WRITING)
def test_no_acknowledged_record_is_lost(scene: Scene, tmp_path: Path, call: str, fault: str) -> None:
    for occurrence in occurrences(f"{call} {fault}", scene.submitting):
        folder = scene.copy(tmp_path / f"ledger-{occurrence}")
        inject = f"inject={call}:{FAULTS[fault]}:when={occurrence}"
        outcome = tracing.run(scene.context, client.submit, (folder, scene.entries), tmp_path / "log", inject)
        with Ledger.open(folder) as ledger:
            report = ledger.fsck()
            assert report.is_clean, (inject, report.problems)
            reader = ledger.reader()
            for index, leaf, note in outcome.receipts:
                assert reader.leaf(index) == leaf, inject
                seen, _ = open_checkpoint(note, [ledger.verifier()])
                assert index < seen.size <= ledger.size
            indices = [index for index, _, _ in outcome.receipts]
            assert len(set(indices)) == len(indices)
            for own in scene.entries:  # and the log goes on: what was not acknowledged can still be submitted
                for entry in own:
                    ledger.submit(entry)
            assert ledger.size == scene.before + 3 * PER_DEVICE
        shutil.rmtree(folder)


def create_or_open(folder: Path) -> Ledger:
    """As whoever gives the command again: it is made, or it is there already."""
    try:
        return Ledger.create(folder, origin=ORIGIN)
    except UserError as error:
        if "already" not in str(error):
            raise
        return Ledger.open(folder)


@pytest.mark.parametrize("fault", ["EIO", "SIGKILL"])
@pytest.mark.parametrize("call", MAKING)
def test_making_a_ledger_can_be_given_again(scene: Scene, tmp_path: Path, call: str, fault: str) -> None:
    for occurrence in occurrences(f"{call} {fault} create", scene.creating):
        folder = tmp_path / f"ledger-{occurrence}"
        inject = f"inject={call}:{FAULTS[fault]}:when={occurrence}"
        tracing.run(scene.context, client.create, (folder,), tmp_path / "log", inject)
        with create_or_open(folder) as ledger:
            if "CT1" not in ledger.stations():
                ledger.add_station("CT1")
            assert ledger.station("CT1").identity.name == "CT1"
            assert ledger.fsck().is_clean, inject
            assert ledger.size == 2
