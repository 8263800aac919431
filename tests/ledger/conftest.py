from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.databases import PostgreSQL, postgresql
from ledger.receipts import START
from ledger.samples import ORIGIN, Device
from mithridate.ledger.log import Ledger


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[PostgreSQL]:
    with postgresql() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """What `Ledger.create` is given as its database, once for each kind of them."""
    if request.param == "sqlite":
        yield None
        return
    server: PostgreSQL = request.getfixturevalue("postgresql_server")
    url = server.create()
    yield url
    server.drop(url)


@pytest.fixture
def ledger(tmp_path: Path, database: str | None) -> Iterator[Ledger]:
    """A new ledger on each kind of database."""
    with Ledger.create(tmp_path / "ledger", origin=ORIGIN, database=database) as made:
        yield made


@pytest.fixture
def sqlite_ledger(tmp_path: Path) -> Iterator[Ledger]:
    """A new ledger, for what does not depend on the database."""
    with Ledger.create(tmp_path / "ledger", origin=ORIGIN) as made:
        yield made


@pytest.fixture
def device(ledger: Ledger) -> Device:
    """A device that keeps its own key, enrolled."""
    made = Device()
    assert ledger.enroll(made.enrolment()).index == START - 1
    return made


@pytest.fixture
def sqlite_device(sqlite_ledger: Ledger) -> Device:
    made = Device()
    sqlite_ledger.enroll(made.enrolment())
    return made
