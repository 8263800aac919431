"""Nonces: a request that was recorded and sent again opens nothing, because its nonce has been used."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from mithridate.ledger.gate.database import GateDatabase
from mithridate.ledger.gate.expected import Expected
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode

DEFAULT_LIFETIME = 300.0
MAX_OUTSTANDING = 100_000
"""Nonces that may be open at once, so that asking for them fills no disk."""


@dataclass(frozen=True)
class Nonce:
    """A nonce and the time, in seconds since 1970, from which it counts no more."""

    text: str
    expires: int


class NonceStore:
    """Issues nonces and lets each be used once, within its lifetime, by whoever it was issued for.

    Only hashes are stored.  A nonce that is not there, because it never was, has expired or was removed, is refused; so
    a clock that is set back revives none.
    """

    def __init__(
        self, database: GateDatabase, *, lifetime: float = DEFAULT_LIFETIME, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._lifetime = lifetime
        self._clock = clock

    def issue(self, expected: Expected | None = None) -> Nonce:
        """A fresh nonce, on disk when this returns; with `expected`, for a request that expects exactly this.

        Raises GateRefusal when too many are open.
        """
        text, now = secrets.token_urlsafe(32), self._clock()
        expires = int(now + self._lifetime)
        bound = expected.digest() if expected is not None else None
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM nonces WHERE expires <= ?", (int(now),))
            (count,) = connection.execute("SELECT count(*) FROM nonces").fetchone()
            if count >= MAX_OUTSTANDING:
                raise GateRefusal(RefusalCode.NONCE, f"{count:,} nonces are open: try again in {self._lifetime:g} s")
            connection.execute("INSERT INTO nonces VALUES (?, ?, ?, NULL)", (_digest(text), bound, expires))
        return Nonce(text, expires)

    def use(self, text: str, expected: Expected) -> None:
        """Use a nonce up.  Raises GateRefusal for one that is unknown, expired, used, or another request's.

        It is used up whatever becomes of the request.
        """
        now = int(self._clock())
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE nonces SET used = ? WHERE digest = ? AND used IS NULL AND expires > ?",
                (now, _digest(text), now),
            ).rowcount
            row = connection.execute("SELECT bound, used FROM nonces WHERE digest = ?", (_digest(text),)).fetchone()
        if changed == 1 and row[0] in (None, expected.digest()):
            return
        if changed == 1:
            reason = "the nonce was issued for a request that expects another image"
        elif row is not None and row[1] is not None:
            reason = "the nonce has been used before: the request may have been recorded and sent again"
        else:
            reason = "the nonce is unknown or has expired: ask for a new one"
        raise GateRefusal(RefusalCode.NONCE, reason)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
