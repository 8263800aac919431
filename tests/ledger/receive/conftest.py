"""A real ledger and a real receiver for the tests of the ways in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.receive.sending import PATIENT
from mithridate.ledger.log import Ledger
from mithridate.ledger.receive.dicom import DicomReceiver
from mithridate.ledger.receive.intake import Intake
from mithridate.ledger.receive.limits import ReceiveLimits
from mithridate.ledger.receive.quarantine import Quarantine
from mithridate.ledger.receive.spool import Spool
from mithridate.ledger.station import Station


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with Ledger.create(tmp_path_factory.mktemp("ledger") / "log", origin="hospital.example/ledger") as made:
        yield made


@pytest.fixture(scope="module")
def station(ledger: Ledger) -> Station:
    return ledger.add_station("GATEWAY")


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool", forward=False, keep=True)


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(tmp_path / "quarantine", 1 << 30)


@pytest.fixture
def receiver(
    ledger: Ledger, station: Station, spool: Spool, quarantine: Quarantine
) -> Iterator[Callable[..., DicomReceiver]]:
    """Starts receivers on free ports; `limits` bound the intake, everything else is the receiver's own."""
    running: list[DicomReceiver] = []

    def start(limits: ReceiveLimits | None = None, **options: Any) -> DicomReceiver:
        intake = Intake(ledger, station, limits=limits or PATIENT, spool=spool, quarantine=quarantine)
        made = DicomReceiver(intake, port=0, ae_title="LEDGER", **options)
        made.start()
        running.append(made)
        return made

    yield start
    for one in running:
        one.stop(grace_seconds=2)


@pytest.fixture(scope="module")
def door(
    ledger: Ledger, station: Station, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DicomReceiver, Spool]]:
    """A receiver for many tests, and where it keeps what it receives."""
    spool = Spool(tmp_path_factory.mktemp("door") / "spool", forward=False, keep=True)
    with DicomReceiver(Intake(ledger, station, limits=PATIENT, spool=spool), port=0, ae_title="LEDGER") as running:
        yield running, spool
