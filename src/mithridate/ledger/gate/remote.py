"""A ledger behind its HTTP service, as a gate elsewhere in the hospital reaches it.

What it says is checked by the gate with keys of its own, so nothing here has to be believed; TLS keeps it private.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from pydantic import BaseModel, ValidationError

from mithridate.errors import UserError
from mithridate.ledger.bundle import MAX_BUNDLE_BYTES, ProofBundle
from mithridate.ledger.checkpoint import open_checkpoint
from mithridate.ledger.errors import TileError
from mithridate.ledger.fingerprint import Fingerprint
from mithridate.ledger.judgement import LogJudgement
from mithridate.ledger.note_keys import VerifierKey
from mithridate.ledger.receipt import LedgerFailure
from mithridate.ledger.service.wire import FingerprintBody, JudgementBody
from mithridate.ledger.tile_reader import TileReader
from mithridate.ledger.tiles import CHECKPOINT_PATH

TIMEOUT = 10.0
_MAX_ANSWER = MAX_BUNDLE_BYTES


class _NotFound(LedgerFailure):
    """The service says that there is no such thing."""


class RemoteLedger:
    """Asks a ledger's service.  Thread-safe; every method raises LedgerFailure when there is no proper answer.

    `key` is the log's public key, `authorities` a PEM file of those that vouch for the service's certificate (the
    system's own unless given), `certificate` and `private_key` what to show to a service that asks for one.
    """

    def __init__(
        self,
        url: str,
        key: VerifierKey,
        *,
        api_key: str | None = None,
        authorities: Path | None = None,
        certificate: Path | None = None,
        private_key: Path | None = None,
        timeout: float = TIMEOUT,
    ) -> None:
        self._key = key
        headers = {"authorization": f"Bearer {api_key}"} if api_key is not None else {}
        try:
            context = ssl.create_default_context(cafile=authorities)
            if certificate is not None:
                context.load_cert_chain(certificate, private_key)
            self._client = httpx.Client(
                base_url=url, headers=headers, verify=context, timeout=timeout, follow_redirects=False, trust_env=False
            )
        except (OSError, ssl.SSLError, httpx.InvalidURL, ValueError) as error:
            raise UserError(
                f"{url} cannot be reached as stated ({error}): check the address and the TLS files"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connections."""
        self._client.close()

    def judge_fingerprint(self, fingerprint: Fingerprint, *, entry: int | None = None) -> LogJudgement:
        """What the log says of an image, by the record `entry` if one is named; only its hashes are sent."""
        body = FingerprintBody.of(fingerprint).model_dump_json().encode()
        query = "" if entry is None else f"?entry={entry}"
        content = self._ask("POST", f"/v1/verify/fingerprint{query}", body)
        try:
            return JudgementBody.model_validate_json(content).judgement()
        except ValidationError:
            raise LedgerFailure("the ledger's service answers with something that is no judgement") from None

    def prove(self, index: int, *, with_salt: bool = True) -> ProofBundle:
        """The offline proof of one entry.  Raises EvidenceError when the answer is no bundle."""
        return ProofBundle.decode(self._ask("GET", f"/v1/entries/{index}/proof?salt={str(with_salt).lower()}"))

    def checkpoint(self) -> bytes:
        """The last published checkpoint."""
        return self._ask("GET", f"/{CHECKPOINT_PATH}")

    def reader(self) -> TileReader:
        """The log's tiles under its last checkpoint.  Raises NoteError when the log's key did not sign that."""
        checkpoint, _ = open_checkpoint(self.checkpoint(), [self._key], origin=self._key.name)
        return TileReader(self._fetch, checkpoint.size)

    def _fetch(self, path: str) -> bytes | None:
        """A tile, None where there is none, as when a partial one has become full."""
        try:
            return self._ask("GET", f"/{path}")
        except _NotFound:
            return None
        except LedgerFailure as error:
            raise TileError(str(error)) from error

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """The body of a successful answer."""
        headers = {"content-type": "application/json"} if body is not None else {}
        try:
            with self._client.stream(method, path, content=body, headers=headers) as answer:
                content = bytearray()
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > _MAX_ANSWER:
                        raise LedgerFailure(f"the ledger's service answers with more than {_MAX_ANSWER:,} bytes")
        except httpx.HTTPError as error:
            raise LedgerFailure(f"the ledger's service does not answer ({error})") from error
        if answer.status_code != 200:
            kind = _NotFound if answer.status_code == 404 else LedgerFailure
            raise kind(f"the ledger's service answers {answer.status_code}: {_detail(bytes(content))}")
        return bytes(content)


class _Detail(BaseModel):
    detail: str = "no reason given"


def _detail(content: bytes) -> str:
    try:
        return _Detail.model_validate_json(content).detail[:500]
    except ValidationError:
        return "no reason given"
