"""Stations whose keys the ledger's host keeps: `NAME.json` says who it is, and names the file of its key."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import asdict, fields
from pathlib import Path

from mithridate.errors import UserError
from mithridate.files import remove_file, replace_text
from mithridate.ledger.errors import RecordError
from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.keys import create_key, load_key
from mithridate.ledger.station import Station

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}")
_KEY_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _-]{0,63}\.[0-9a-f]{8}\.pem")


class StationFiles:
    """A folder of stations.  Every step is whole or absent, so a command that was cut short can be given again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> tuple[str, ...]:
        """The stations there are, in alphabetical order."""
        return tuple(sorted(path.stem for path in self._folder.glob("*.json")))

    def load(self, name: str) -> Station:
        """Raises UserError, naming those there are, when there is none of this name."""
        path = self._folder / f"{check_name(name)}.json"
        if not path.exists():
            known = ", ".join(self.names()) or "none"
            raise UserError(f"there is no station {name!r} here: name one of those there are ({known}) or enroll it")
        return _read(path)

    def prepare(self, identity: DeviceIdentity) -> Station:
        """The station with a key of its own, made once; the key in `identity` is not looked at.

        It is one of `names` only after `settle`.
        """
        path = self._pending(check_name(identity.name))
        if path.exists():
            return _read(path)
        key_file = f"{identity.name}.{secrets.token_hex(4)}.pem"
        signer = create_key(self._folder / key_file)
        values = asdict(identity) | {"public_key": signer.public_key.hex(), "key_file": key_file}
        replace_text(path, json.dumps(values, indent=2) + "\n")
        return _read(path)

    def settle(self, name: str) -> None:
        """Put the prepared station in place of the former one of its name."""
        pending = self._pending(name)
        replace_text(self._folder / f"{name}.json", pending.read_text(encoding="utf-8"))
        remove_file(pending)

    def _pending(self, name: str) -> Path:
        return self._folder / f"{name}.prepared"


def check_name(name: str) -> str:
    """The name itself.  Raises UserError when it cannot be the name of a file everywhere."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r} is not a station's name: up to 64 letters, digits, spaces, '-' and '_'")
    return name


def _read(path: Path) -> Station:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        key_file = values.pop("key_file")
        if set(values) != {field.name for field in fields(DeviceIdentity)} or not _KEY_FILE.fullmatch(key_file):
            raise ValueError("it holds other fields")
        identity = DeviceIdentity(**values | {"public_key": bytes.fromhex(values["public_key"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecordError) as error:
        raise UserError(f"{path} is not the description of a station ({error}): restore it") from None
    return Station(identity, load_key(path.parent / key_file))
