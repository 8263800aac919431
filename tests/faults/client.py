"""What is killed or given errors: processes that submit to a ledger and tell, over a pipe, which receipts they got."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import alembic.command  # noqa: F401 - so that no import, only the ledger, meets the faults
import psycopg  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.pysqlite  # noqa: F401

from ledger.samples import ORIGIN, Device, capture
from mithridate.errors import MithridateError
from mithridate.ledger.log import Ledger

THREADS = 3
TRIES = 3


def submit(folder: Path, entries: list[list[bytes]], pipe: Connection) -> None:
    """Open the ledger and submit each device's entries in order, the devices at the same time.

    An entry that the ledger could not confirm is submitted again, as a device would.
    """
    _wait(pipe)
    with suppress(MithridateError, OSError), Ledger.open(folder) as ledger, ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda own: _submit_own(ledger, own, pipe), entries))
    _end(pipe)


def create(folder: Path, pipe: Connection) -> None:
    """Make a ledger and a station."""
    _wait(pipe)
    with suppress(MithridateError, OSError), Ledger.create(folder, origin=ORIGIN) as ledger:
        ledger.add_station("CT1")
    _end(pipe)


def entries_of(devices: list[Device], count: int) -> list[list[bytes]]:
    """Entries to submit, of each device its own."""
    return [
        [device.sign(capture(1000 * number + place)) for place in range(count)] for number, device in enumerate(devices)
    ]


def _submit_own(ledger: Ledger, entries: list[bytes], pipe: Connection) -> None:
    for entry in entries:
        for _ in range(TRIES):
            with suppress(MithridateError, OSError):
                receipt = ledger.submit(entry)
                pipe.send((receipt.index, receipt.leaf, receipt.checkpoint))
                break


def _wait(pipe: Connection) -> None:
    pipe.send("ready")
    pipe.recv()


def _end(pipe: Connection) -> None:
    with suppress(OSError):
        pipe.send("end")
