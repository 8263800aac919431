"""A witness in a folder: who it is, its keys, the logs that it watches, and what it must not forget.

witness.yaml    name and keys
logs.policy     one line a log, as in C2SP tlog-policy: log <key> [<url>]
key.pem         Ed25519; mldsa.pem beside it when the witness also signs for after quantum computers
state.sqlite    see `state`: never copied back from a backup, never made anew
"""

from __future__ import annotations

from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from mithridate.errors import UserError
from mithridate.files import replace_text
from mithridate.ledger.keys import create_key
from mithridate.ledger.mldsa import create_mldsa_key, load_mldsa_key
from mithridate.ledger.note import check_key_name
from mithridate.ledger.note_keys import COSIGNATURE, NoteKey
from mithridate.ledger.pkcs11 import load_signer
from mithridate.ledger.quorum import PublicKey, TrustPolicy, parse_policy
from mithridate.ledger.witness.core import Cosigner, Witness
from mithridate.ledger.witness.state import WitnessState

CONFIG, LOGS, STATE = "witness.yaml", "logs.policy", "state.sqlite"
_KEY, _MLDSA_KEY = "key.pem", "mldsa.pem"
_LOGS_HEAD = "# The logs that this witness watches: one line each, log <key> [<url>]\n"


class WitnessConfig(BaseModel):
    """witness.yaml.  `key` is a file below the folder or a PKCS #11 URI; `mldsa_key` a file, or absent."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    key: str = _KEY
    mldsa_key: str | None = None


def create_witness(folder: Path, name: str, *, key: str | None = None, post_quantum: bool = False) -> Witness:
    """Set up a witness under a name, such as "witness.example/w1", and open it.

    `key` is a PKCS #11 URI for a key in a token; by default one is made in a file.
    Raises UserError when the folder holds a witness already, or cannot be written.
    """
    check_key_name(name)
    if (folder / CONFIG).exists() or (folder / STATE).exists():
        raise UserError(f"{folder} holds a witness already: name another folder")
    if key is None:
        create_key(folder / _KEY)
    if post_quantum:
        create_mldsa_key(folder / _MLDSA_KEY, name)
    config = WitnessConfig(name=name, key=key or _KEY, mldsa_key=_MLDSA_KEY if post_quantum else None)
    replace_text(folder / LOGS, _LOGS_HEAD)
    WitnessState.create(folder / STATE).close()
    replace_text(folder / CONFIG, yaml.safe_dump(config.model_dump(exclude_none=True), sort_keys=False))
    return open_witness(folder)


def open_witness(folder: Path) -> Witness:
    """Open the witness of a folder.  Raises UserError when there is none, or a part of it is absent or malformed."""
    config = _config(folder)
    logs: dict[str, list[PublicKey]] = {}
    for log in read_logs(folder).logs:
        logs.setdefault(log.key.name, []).append(log.key)
    return Witness(WitnessState(folder / STATE), logs, _cosigners(folder, config))


def witness_keys(folder: Path) -> tuple[PublicKey, ...]:
    """The public keys of a folder's witness, as others list them in their policies."""
    return tuple(key.verifier() for key in _cosigners(folder, _config(folder)))


def read_logs(folder: Path) -> TrustPolicy:
    """The logs that a folder's witness watches."""
    path = folder / LOGS
    return parse_policy(_read(path).encode() + b"\nquorum none\n", str(path))


def watch_log(folder: Path, key: str, url: str | None = None) -> None:
    """Add a log by its key; a running witness takes it up when it is started again.

    Raises UserError when the key is malformed or listed already.
    """
    _config(folder)
    path = folder / LOGS
    text = f"{_read(path).rstrip()}\nlog {key}{f' {url}' if url else ''}\n"
    parse_policy(text.encode() + b"quorum none\n", str(path))
    replace_text(path, text)


def _config(folder: Path) -> WitnessConfig:
    path = folder / CONFIG
    try:
        return WitnessConfig.model_validate(yaml.safe_load(_read(path)))
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML ({' '.join(str(error).split())}): correct it") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UserError(f"{path}: {where}: {first['msg']}: correct it") from None


def _cosigners(folder: Path, config: WitnessConfig) -> list[Cosigner]:
    keys: list[Cosigner] = [NoteKey(config.name, load_signer(config.key, folder), COSIGNATURE)]
    if config.mldsa_key is not None:
        keys.append(load_mldsa_key(folder / config.mldsa_key, config.name))
    return keys


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{path} cannot be read ({reason}): `mithridate ledger witness init` sets up a witness"
        ) from None
