from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from ledger.gate.ledgers import STATION, copied, make_template
from ledger.service.running import served
from mithridate.ledger.log import Ledger
from mithridate.ledger.service.app import create_app
from mithridate.ledger.service.audit_trail import open_trail
from mithridate.ledger.service.context import Context
from mithridate.ledger.service.credentials import Credentials
from mithridate.ledger.service.roles import Role
from mithridate.ledger.service.settings import Settings, load_settings


class Service:
    """A running service, with a client for each role."""

    def __init__(self, ledger: Ledger, folder: Path, stack: ExitStack, **settings: object) -> None:
        self.ledger = ledger
        self.audit = folder / "audit.log"
        self.settings: Settings = load_settings(None, **{"port": 0, "audit_file": self.audit, "rate": 1e6, **settings})
        self.credentials = Credentials(folder / "credentials.json")
        trail = open_trail("ledger-test", self.settings.audit_file, None, self.settings.audit_format)
        stack.callback(trail.close)
        self.context = Context(ledger, self.settings, self.credentials, trail)
        self.app = create_app(self.context)
        self.address = stack.enter_context(served(self.app, self.settings))
        self.keys = {role: self.credentials.create_key(f"the {role}", role)[1] for role in Role}
        self._stack = stack

    def client(self, role: Role | None = None, key: str | None = None) -> httpx.Client:
        text = key if role is None else self.keys[role]
        headers = {"authorization": f"Bearer {text}"} if text is not None else {}
        client = httpx.Client(base_url=self.address, headers=headers, timeout=60, trust_env=False)
        return self._stack.enter_context(client)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template") / "ledger")


@pytest.fixture
def serve(template: Path, tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Starts a service of its own on a copy of the ledger."""
    with ExitStack() as stack:

        def start(**settings: object) -> Service:
            ledger = stack.enter_context(copied(template, tmp_path / "ledger"))
            return Service(ledger, tmp_path, stack, **settings)

        yield start


@pytest.fixture(scope="module")
def service(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service for a module's tests, which only add to its ledger."""
    folder = tmp_path_factory.mktemp("service")
    with ExitStack() as stack:
        ledger = stack.enter_context(copied(template, folder / "ledger"))
        yield Service(ledger, folder, stack, station=STATION)
