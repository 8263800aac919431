"""The folder of a ledger: what is where in it, and who may read it.

ledger.json    the log's public key, and the database's URL unless it is here
keys/          private: log.pem, lookup.key, the operator's key, and stations/
ledger.db      private: entries, salts and lookups, unless they are on a PostgreSQL server
tiles/         public: the log as static files, `checkpoint` first
locks/         files that processes lock while they write
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

from mithridate.errors import UserError
from mithridate.files import replace_file
from mithridate.ledger.errors import NoteError
from mithridate.ledger.keys import FileSigner, Signer, create_key, load_key
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.station_files import StationFiles
from mithridate.ledger.store.engine import parse_url

FORMAT = 1
LOOKUP_KEY_SIZE = 32

_CONFIG = "ledger.json"
_LOG_KEY = Path("keys", "log.pem")
_LOOKUP_KEY = Path("keys", "lookup.key")


@dataclass(frozen=True)
class LedgerFolder:
    """A ledger's folder and what its configuration says: the log's public key, whose name is the origin, and the
    database's URL, None for SQLite in the folder."""

    path: Path
    verifier: VerifierKey
    database: str | None

    @classmethod
    def create(cls, path: Path, origin: str, database: str | None, signer: Signer | None) -> LedgerFolder:
        """Make the folder, or go on where the making of it was cut short.

        Raises UserError when something else is in it or it was begun under another origin.
        """
        config = path / _CONFIG
        if config.exists():
            folder = cls.load(path)
            if (folder.origin, folder.database) != (origin, database):
                raise UserError(f"{path} holds the ledger {folder.origin!r} already: name another folder")
            return folder
        if path.exists() and (not path.is_dir() or not all(_is_begun(entry.name) for entry in path.iterdir())):
            raise UserError(f"{path} holds other files: name a new folder for the ledger")
        if database is not None:
            parse_url(database)
        try:
            (path / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(f"{path} cannot be made: {error.strerror or error}") from error
        if signer is None:
            signer = load_key(path / _LOG_KEY) if (path / _LOG_KEY).exists() else create_key(path / _LOG_KEY)
        if not (path / _LOOKUP_KEY).exists():
            _write_private(path / _LOOKUP_KEY, secrets.token_hex(LOOKUP_KEY_SIZE) + "\n")
        folder = cls(path, VerifierKey(origin, signer.public_key), database)
        values = {"format": FORMAT, "log": str(folder.verifier), "database": database}
        _write_private(config, json.dumps(values, indent=2) + "\n")
        return folder

    @classmethod
    def load(cls, path: Path) -> LedgerFolder:
        """Raises UserError when the folder holds no ledger."""
        config = path / _CONFIG
        try:
            values = json.loads(config.read_text(encoding="utf-8"))
            found, log, database = values["format"], values["log"], values["database"]
        except FileNotFoundError:
            raise UserError(f"{path} holds no ledger: make one with  mithridate ledger init {path}") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(f"{config} cannot be read ({error}): restore it") from None
        if found != FORMAT:
            raise UserError(f"{config} is of the form {found!r}: this program reads {FORMAT}")
        try:
            if not isinstance(database, str | None):
                raise NoteError("the database is not a text")
            return cls(path, VerifierKey.parse(str(log)), database)
        except NoteError as error:
            raise UserError(f"{config} cannot be read ({error}): restore it") from None

    @property
    def origin(self) -> str:
        """The log's name in its checkpoints."""
        return self.verifier.name

    @property
    def tiles(self) -> Path:
        """The public part."""
        return self.path / "tiles"

    def lock(self, name: str) -> Path:
        """A file for processes to lock."""
        path = self.path / "locks"
        try:
            path.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{path} cannot be made: {error.strerror or error}") from error
        return path / name

    def url(self) -> URL:
        """Where the database is.  An SQLite file is made, readable by its owner alone, when it is absent."""
        if self.database is not None:
            return parse_url(self.database)
        path = self.path / "ledger.db"
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise UserError(f"{path} cannot be opened: {error.strerror or error}") from error
        return URL.create("sqlite", database=str(path))

    def log_signer(self) -> FileSigner:
        """The log's key.  Raises UserError when it is not kept in the folder."""
        return load_key(self.path / _LOG_KEY)

    def lookup_secret(self) -> bytes:
        """The 32 bytes that keep identifiers from being searched for in the database."""
        path = self.path / _LOOKUP_KEY
        try:
            secret = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except (OSError, ValueError) as error:
            raise UserError(f"{path} cannot be read ({error}): restore it from a backup") from None
        if len(secret) != LOOKUP_KEY_SIZE:
            raise UserError(f"{path} holds {len(secret)} bytes instead of {LOOKUP_KEY_SIZE}: restore it from a backup")
        return secret

    def stations(self) -> StationFiles:
        """The devices that this host signs for."""
        return StationFiles(self.path / "keys" / "stations")

    def operators(self) -> StationFiles:
        """Who signs enrolments and revocations, under the one name "operator"."""
        return StationFiles(self.path / "keys")


def _is_begun(name: str) -> bool:
    """Whether a file is of a ledger that was about to be made when that was cut short."""
    return name == "keys" or (name.startswith(f".{_CONFIG}.") and name.endswith(".part"))


def _write_private(path: Path, text: str) -> None:
    def write(partial: Path) -> None:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)

    replace_file(path, write)
