"""The proxy with everything that it holds open."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fastapi import FastAPI

from mithridate.errors import UserError
from mithridate.ledger.gate.admission import Gate
from mithridate.ledger.gate.database import GateDatabase
from mithridate.ledger.gate.events import log_event
from mithridate.ledger.gate.evidence import Source
from mithridate.ledger.gate.journal import Journal
from mithridate.ledger.gate.preprocessing import PREPROCESSING
from mithridate.ledger.gate.proxy import create_proxy
from mithridate.ledger.gate.proxy_metrics import GateMetrics
from mithridate.ledger.gate.proxy_settings import ProxySettings
from mithridate.ledger.gate.remote import RemoteLedger
from mithridate.ledger.gate.upstream import Upstream
from mithridate.ledger.log import Ledger
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.service.access import Access
from mithridate.ledger.service.credentials import Credentials
from mithridate.ledger.service.limits import RateLimit
from mithridate.ledger.service.roles import Permission

_RATE, _BURST = 100, 400  # requests a second of one caller: more than any model answers


@contextmanager
def opened_proxy(settings: ProxySettings) -> Iterator[FastAPI]:
    """The application; what it uses is closed when the block ends.  Raises UserError for settings that lead nowhere."""
    metrics = GateMetrics()
    with ExitStack() as stack:
        database = GateDatabase(settings.state / "gate.sqlite")
        stack.callback(database.close)
        journal = Journal(settings.state / "journal.jsonl")
        stack.callback(journal.close)
        gate = Gate(
            settings.policy,
            _source(settings, stack),
            PREPROCESSING[settings.preprocessing],
            database,
            journal,
            (log_event, metrics),
        )
        trail = settings.open_trail()
        stack.callback(trail.close)
        is_open = settings.credentials is None
        access = Access(
            Credentials(settings.credentials or settings.state / "credentials.json"),
            RateLimit(_RATE, _BURST),
            trail,
            frozenset({Permission.JUDGE, Permission.MONITOR}) if is_open else frozenset(),
        )
        yield create_proxy(gate, settings, Upstream(settings), access, metrics)


def _source(settings: ProxySettings, stack: ExitStack) -> Source | None:
    if settings.ledger is None:
        return None
    if "://" not in settings.ledger:
        return stack.enter_context(Ledger.open(Path(settings.ledger)))
    api_key = _read_key(settings.api_key_file) if settings.api_key_file is not None else None
    key = VerifierKey.parse(settings.policy.log_key or "")
    return stack.enter_context(
        RemoteLedger(settings.ledger, key, api_key=api_key, authorities=settings.ledger_authorities)
    )


def _read_key(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{path} cannot be read: name the file that holds the API key") from None
