"""Who may say what: the rules by which the log takes an entry, gives its receipt again, or refuses it.

They are applied inside the transaction that adds the entries, so two servers cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from mithridate.ledger.identity import DeviceIdentity
from mithridate.ledger.receipt import LedgerRefusal, SequenceRefusal
from mithridate.ledger.record import Derivation, Enrolment, Revocation
from mithridate.ledger.store.rows import Batch, Device, EntryRow, Head
from mithridate.ledger.store.store import Store
from mithridate.ledger.store.tables import Lookup
from mithridate.ledger.submission import Submission, fingerprint_of, public_keys

OPERATOR_MODEL = "mithridate operator"
"""The model of an identity that may enroll and revoke, if an operator enrolled it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where an entry stands, newly or since before, and what is worth reporting about it; or why it is refused."""

    position: int = -1
    notices: tuple[str, ...] = ()
    refusal: LedgerRefusal | None = None


@dataclass
class Admission:
    """One batch against the log as it stands under the locked head."""

    store: Store
    connection: Connection
    head: Head
    batch: Batch = field(default_factory=Batch)
    _devices: dict[bytes, Device] = field(default_factory=dict)
    _leaves: dict[bytes, int] = field(default_factory=dict)
    _known_images: dict[bytes, int] = field(default_factory=dict)
    _device_count: int | None = None

    def decide(self, submissions: Sequence[Submission]) -> list[Outcome]:
        """What becomes of each submission, in order; those taken are added to `batch`."""
        self._load(submissions)
        return [self._decide(submission) for submission in submissions]

    def _load(self, submissions: Sequence[Submission]) -> None:
        ids = {submission.record.device for submission in submissions}
        for submission in submissions:
            body = submission.record.body
            if isinstance(body, Enrolment):
                ids.add(body.identity.device_id)
            elif isinstance(body, Revocation):
                ids.add(body.target)
        self._devices = self.store.devices(self.connection, ids)
        keys = {key for submission in submissions for kind, key in submission.keys if kind == Lookup.SOP_INSTANCE}
        if keys:
            self._known_images = self.store.find_first(self.connection, Lookup.SOP_INSTANCE, keys)

    def _decide(self, submission: Submission) -> Outcome:
        try:
            if (former := self._former(submission)) is not None:
                return Outcome(former)
            self._check_sequence(submission)
            self._check_body(submission)
        except LedgerRefusal as refusal:
            return Outcome(refusal=refusal)
        return Outcome(self._take(submission), self._notices(submission))

    def _former(self, submission: Submission) -> int | None:
        """The index of the same bytes, if the log holds them."""
        record = submission.record
        device = self._devices.get(record.device)
        if device is None or record.sequence >= device.following:
            return None
        row = self.store.entry_of(self.connection, device.number, record.sequence)
        row = row or next((row for row in self.batch.entries if _place(row) == (device.number, record.sequence)), None)
        if row is None or row.entry != submission.entry:
            raise SequenceRefusal(
                f"the device's record {record.sequence} is logged already with other content: sign anew as "
                f"{device.following}",
                device.following,
            )
        return row.position

    def _check_sequence(self, submission: Submission) -> None:
        record = submission.record
        device = self._devices.get(record.device)
        if device is None:
            if not (_enrolls_itself(submission) and submission.may_enroll):
                raise LedgerRefusal(f"the device {record.device.hex()[:16]} is not enrolled: enroll it first")
            if record.sequence:
                raise SequenceRefusal("a device that enrolls itself does so as its record number 0", 0)
            return
        if device.revoked is not None:
            raise LedgerRefusal(f"the device {record.device.hex()[:16]} was revoked by entry {device.revoked}")
        if record.sequence != device.following:
            raise SequenceRefusal(
                f"the device's next record is number {device.following}, and this is {record.sequence}: a record "
                f"between them is missing",
                device.following,
            )

    def _check_body(self, submission: Submission) -> None:
        body = submission.record.body
        if isinstance(body, Enrolment):
            self._check_enrolment(submission, body.identity)
        elif isinstance(body, Revocation):
            self._check_revocation(self._devices[submission.record.device], body)
        elif isinstance(body, Derivation) and self._position_of(body.source) is None:
            raise LedgerRefusal("the derivation is of an entry that is not in this log: log its source first")

    def _check_enrolment(self, submission: Submission, identity: DeviceIdentity) -> None:
        if not submission.may_enroll:
            raise LedgerRefusal("enrolments are the operator's: hand this one to whoever runs the ledger")
        known = self._devices.get(identity.device_id)
        if known is not None:
            raise LedgerRefusal(f"the device {identity.name!r} is enrolled already, by entry {known.enrolled}")
        signer = self._devices.get(submission.record.device)
        if signer is not None and not signer.is_operator:
            raise LedgerRefusal(f"the device {identity.name!r} is enrolled by another device, which is no operator")

    def _check_revocation(self, signer: Device, body: Revocation) -> None:
        if body.scope == "device":
            target = self._devices.get(body.target)
            if target is None:
                raise LedgerRefusal(f"the device {body.target.hex()[:16]} to be revoked is not enrolled")
            if target.revoked is not None:
                raise LedgerRefusal(f"the device was revoked already, by entry {target.revoked}")
            if target.is_operator and not self._has_other_operator(target):
                raise LedgerRefusal("the only operator cannot be revoked: enroll another one first")
            owner = target.number
        else:
            position = self._position_of(body.target)
            if position is None:
                raise LedgerRefusal(f"the record {body.target.hex()[:16]} to be revoked is not in this log")
            if (former := self._revoked_by(body.target)) is not None:
                raise LedgerRefusal(f"the record was revoked already, by entry {former}")
            owner = self._owner(position)
        if not signer.is_operator and signer.number != owner:
            raise LedgerRefusal("a device revokes only itself and its own records: let the operator sign this")

    def _take(self, submission: Submission) -> int:
        """Add the entry and everything that follows from it to the batch."""
        record, body = submission.record, submission.record.body
        position = self.head.size + len(self.batch.entries)
        if isinstance(body, Enrolment):
            self._enroll(submission, body.identity, position)
        device = self._devices[record.device]
        device.following = record.sequence + 1
        self._note_change(device)
        self.batch.entries.append(
            EntryRow(position, submission.leaf, device.number, record.sequence, record.time, submission.entry)
        )
        self._leaves[submission.leaf] = position
        if isinstance(body, Revocation):
            self.batch.revocations.append((body.target, position))
            if body.scope == "device":
                self._devices[body.target].revoked = position
                self._note_change(self._devices[body.target])
        fingerprint = fingerprint_of(record)
        if fingerprint is not None:
            keys = dict.fromkeys(submission.keys)  # two of an image's names may be the same
            self.batch.lookups.extend([(kind, key, position) for kind, key in (*public_keys(fingerprint), *keys)])
        if submission.salt is not None:
            self.batch.salts.append((position, submission.salt))
        return position

    def _enroll(self, submission: Submission, identity: DeviceIdentity, position: int) -> None:
        if self._device_count is None:
            self._device_count = self.store.count_devices(self.connection)
        signer = self._devices.get(submission.record.device)
        by_operator = signer.is_operator if signer is not None else position == 0
        device = Device(
            number=self._device_count,
            device=identity.device_id,
            enrolled=position,
            is_operator=by_operator and identity.model == OPERATOR_MODEL,
        )
        self._device_count += 1
        self._devices[identity.device_id] = device
        self.batch.new_devices.append(device)

    def _note_change(self, device: Device) -> None:
        if not any(new is device for new in self.batch.new_devices):
            self.batch.changed_devices[device.number] = device

    def _notices(self, submission: Submission) -> tuple[str, ...]:
        """Whether the SOP instance UID, which should be unique, is logged already."""
        if not submission.keys:
            return ()
        keys = [key for kind, key in submission.keys if kind == Lookup.SOP_INSTANCE]
        position = self._leaves[submission.leaf]
        first = [self._known_images.setdefault(key, position) for key in keys]
        return tuple(
            f"its SOP instance UID was logged before, as entry {earlier}" for earlier in first if earlier != position
        )

    def _position_of(self, leaf: bytes) -> int | None:
        if leaf in self._leaves:
            return self._leaves[leaf]
        return self.store.position_of(self.connection, leaf)

    def _revoked_by(self, target: bytes) -> int | None:
        here = next((position for revoked, position in self.batch.revocations if revoked == target), None)
        return here if here is not None else self.store.revocation(self.connection, target)

    def _owner(self, position: int) -> int:
        """The number of the device that signed an entry."""
        if position >= self.head.size:
            return self.batch.entries[position - self.head.size].device
        row = self.store.entry(self.connection, position)
        if row is None:
            raise LedgerRefusal(f"entry {position} is missing from the database: run  mithridate ledger fsck")
        return row.device

    def _has_other_operator(self, target: Device) -> bool:
        known = {device.device: device for device in self.store.all_devices(self.connection)} | self._devices
        return any(
            device.is_operator and device.revoked is None and device.device != target.device
            for device in known.values()
        )


def _place(row: EntryRow) -> tuple[int, int]:
    return row.device, row.sequence


def _enrolls_itself(submission: Submission) -> bool:
    body = submission.record.body
    return isinstance(body, Enrolment) and body.identity.device_id == submission.record.device
