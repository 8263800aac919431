"""Whether a checkpoint may be relied on: signed, witnessed by enough, recent, and never behind what was seen before."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter

from mithridate.errors import MithridateError
from mithridate.ledger import merkle
from mithridate.ledger.checkpoint import Checkpoint
from mithridate.ledger.errors import EvidenceError, NoteError
from mithridate.ledger.gate.database import GateDatabase
from mithridate.ledger.gate.policy import Policy
from mithridate.ledger.gate.refusal import GateRefusal, RefusalCode
from mithridate.ledger.quorum import NONE, Accepted, QuorumError, TrustPolicy
from mithridate.ledger.tile_reader import TileReader
from mithridate.ledger.timestamp import check_stamp

ReadTiles = Callable[[], TileReader]


@dataclass(frozen=True)
class CheckpointJudge:
    """Applies a policy to checkpoints and remembers the largest one seen of each log."""

    database: GateDatabase
    clock: Callable[[], float] = time.time

    def accept(
        self, note: bytes, stamp: bytes | None, policy: Policy, trust: TrustPolicy, *, tiles: ReadTiles | None
    ) -> Accepted:
        """The checkpoint, once it may be relied on; `stamp` is an RFC 3161 time stamp of it, if there is one.

        With `tiles`, those of the log that it comes from, it must belong to one history with the largest one seen
        before, whichever extends the other: a log that was set back cannot show that.  Without, it came with a bundle,
        and is compared with one of the same size alone.  Raises GateRefusal.
        """
        try:
            accepted = trust.accept(note)
        except QuorumError as error:
            raise GateRefusal(RefusalCode.QUORUM, str(error)) from error
        except NoteError as error:
            raise GateRefusal(RefusalCode.PROOF, str(error)) from error
        if policy.max_checkpoint_age is not None:
            times = [quorum_time(accepted.witnesses, trust), *_stamped_times(note, stamp, policy)]
            self._check_age(accepted.checkpoint, max(times), policy.max_checkpoint_age, policy.max_clock_skew)
        self._check_head(accepted.checkpoint, tiles)
        return accepted

    def _check_age(self, checkpoint: Checkpoint, vouched: float, limit: float, skew: float) -> None:
        age = self.clock() - vouched
        if age > limit:
            when = f"last vouched for {age:.0f} s ago" if vouched else "vouched for by nobody but the log"
            raise GateRefusal(
                RefusalCode.STALE,
                f"the checkpoint of {checkpoint.size} entries was {when}, and the policy allows {limit:g} s: what was "
                "revoked since would not show",
            )
        if age < -skew:
            raise GateRefusal(
                RefusalCode.STALE, f"the checkpoint was vouched for {-age:.0f} s in the future: check the clocks"
            )

    def _check_head(self, checkpoint: Checkpoint, tiles: ReadTiles | None) -> None:
        with self.database.transaction() as connection:
            row = connection.execute("SELECT size, root FROM heads WHERE origin = ?", (checkpoint.origin,)).fetchone()
        if row is None:
            self._remember(checkpoint, tiles)
            return
        known = Checkpoint(checkpoint.origin, *row)
        if checkpoint.size == known.size and checkpoint.root != known.root:
            raise GateRefusal(
                RefusalCode.ROLLBACK,
                f"the log {checkpoint.origin!r} has shown two different histories of {known.size} entries: trust "
                "neither",
            )
        if tiles is None or checkpoint.size == known.size:
            return
        old, new = sorted((known, checkpoint), key=attrgetter("size"))
        _prove_growth(old, new, tiles)
        if checkpoint.size > known.size:
            self._remember(checkpoint, tiles)

    def _remember(self, checkpoint: Checkpoint, tiles: ReadTiles | None) -> None:
        """Keep what a log itself has shown; a bundle may be anybody's."""
        if tiles is None:
            return
        with self.database.transaction() as connection:
            connection.execute(
                "INSERT INTO heads VALUES (?, ?, ?) ON CONFLICT (origin) DO UPDATE SET size = excluded.size, "
                "root = excluded.root WHERE excluded.size > heads.size",
                (checkpoint.origin, checkpoint.size, checkpoint.root),
            )


def _prove_growth(old: Checkpoint, new: Checkpoint, tiles: ReadTiles) -> None:
    try:
        proof = merkle.consistency_proof(old.size, new.size, tiles().node)
        merkle.verify_consistency(old.size, new.size, old.root, new.root, proof)
    except EvidenceError as error:
        raise GateRefusal(
            RefusalCode.ROLLBACK,
            f"the log {new.origin!r} cannot prove that its history of {new.size} entries extends that of {old.size}, "
            f"both of which it has shown: {error}",
        ) from error
    except (MithridateError, OSError) as error:
        raise GateRefusal(RefusalCode.LEDGER, f"the ledger does not answer: {error}") from error


def quorum_time(witnesses: Mapping[str, int], trust: TrustPolicy) -> int:
    """The latest time, in seconds since 1970, at which enough witnesses had cosigned, by their own clocks; 0 when the
    policy asks for none."""
    if trust.quorum == NONE:
        return 0
    counted: dict[str, int] = {}
    for name, stated in sorted(witnesses.items(), key=lambda item: -item[1]):
        counted[name] = stated
        if trust.is_quorum(counted):
            return stated
    return 0


def _stamped_times(note: bytes, stamp: bytes | None, policy: Policy) -> list[float]:
    """The time of a stamp by an authority that the policy lists."""
    if stamp is None or not policy.roots:
        return []
    try:
        return [check_stamp(note, stamp, policy.roots).time.timestamp()]
    except EvidenceError as error:
        raise GateRefusal(RefusalCode.PROOF, str(error)) from error
